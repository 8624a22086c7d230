//! A window of time for the timeline and what stands beside it: folded once from the nearest checkpoint, a piece at a
//! time, and kept until another window is asked for. Step: **model** → view.

use super::cells::Cells;
use super::facts::Facts;
use super::folder::{Folder, Until};
use super::summary;
use crate::model::pyramid::Pyramid;
use crate::model::{Id, ItemState, Model, Part, Phase, Word};
use crate::trace::{Error, Reader};

/// Which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The loop shown.
    pub loop_id: Id,
    /// Nanoseconds a column.
    pub width: u64,
    /// Absolute number of the first column.
    pub first: u64,
    /// How many columns.
    pub cols: usize,
    /// It moves on with the end of a growing recording.
    pub follow: bool,
}

impl Key {
    /// The first instant.
    pub fn from(&self) -> u64 {
        self.first.saturating_mul(self.width)
    }
    /// The instant after the last.
    pub fn to(&self) -> u64 {
        (self.first + self.cols as u64).saturating_mul(self.width)
    }
}

/// The window and how far it has been folded.
#[derive(Clone, Debug)]
pub struct Window {
    /// Which.
    pub key: Key,
    /// The runs, turns, segments and transitions in it, as many as memory allows.
    pub facts: Facts,
    /// Everything up to its end was folded.
    pub done: bool,
    cells: Cells,
    started: bool,
    folder: Folder,
}

impl Window {
    /// A window to be folded from `folder`, which stands before it.
    pub fn new(key: Key, folder: Folder) -> Self {
        Window {
            key,
            cells: Cells::new(key.loop_id, key.first, key.width, key.cols),
            facts: Facts::since(folder.model.now()),
            done: false,
            started: false,
            folder,
        }
    }

    /// A window of summaries: `model` stands near its end.
    pub fn summed(key: Key, pyramid: &mut Pyramid, before: Option<&Model>, after: Folder) -> Self {
        let mut window = Window::new(key, after);
        summary::fill(&mut window.cells, pyramid, before, &window.folder.model);
        // None of its events is here.
        window.facts = Facts::since(u64::MAX);
        window.done = true;
        window
    }

    /// How much an fd did and waited in a window of summaries; 0 in another.
    pub fn activity(&self, reg: Id) -> u64 {
        match self.is_summary() {
            true => self.cells.activity(reg),
            false => 0,
        }
    }

    /// It shows summaries: single runs are not known.
    pub fn is_summary(&self) -> bool {
        self.cells.is_summary()
    }

    /// How far it is, in parts of one.
    pub fn progress(&self) -> f64 {
        let (from, to) = (self.facts.from, self.key.to());
        let now = self.folder.model.now().clamp(from.min(to), to);
        (now - from.min(to)) as f64 / (to - from.min(to)).max(1) as f64
    }

    /// The state at its end.
    pub fn model(&self) -> &Model {
        &self.folder.model
    }

    /// The fold on its way through the window.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Goes on where another fold stands: nothing is known of what lies between.
    pub fn go_on_from(&mut self, other: &Folder, reader: &Reader) {
        let from = self.folder.model.now();
        self.folder.go_on_from(other, reader);
        let to = self.folder.model.now();
        self.cells.follow(to);
        self.cells.leave_out(from, to);
        self.started = true;
        self.done = false;
        self.facts.from = self.facts.from.max(to);
        let regs = self.folder.model.regs();
        for reg in regs.filter(|r| r.loop_id == self.key.loop_id) {
            self.cells.begin_state(reg.id, reg.word, reg.since);
        }
    }

    /// The page table has changed.
    pub fn rebase(&mut self, reader: &Reader) {
        self.folder.rebase(reader);
        self.done = false;
    }

    /// Folds at most `most` events more; true once all of it is there.
    pub fn run(&mut self, reader: &mut Reader, most: u64) -> Result<bool, Error> {
        if self.done {
            return Ok(true);
        }
        if !self.started {
            // What is told on the way there is about runs that may reach into the window.
            let sink = &mut (&mut self.facts, &mut self.cells);
            let before = Until::time(self.key.from().saturating_sub(1));
            if !self.folder.run(reader, before, most, sink)? {
                return Ok(false);
            }
            self.started = true;
            let regs = self.folder.model.regs();
            for reg in regs.filter(|r| r.loop_id == self.key.loop_id) {
                self.cells.begin_state(reg.id, reg.word, reg.since);
            }
        }
        let until = match self.key.follow {
            true => Until::event(u64::MAX),
            false => Until::time(self.key.to()),
        };
        if self.key.follow {
            // What comes in now may lie behind the last column: make room before it is painted.
            self.cells.follow(reader.duration_ns());
        }
        let sink = &mut (&mut self.facts, &mut self.cells);
        self.done = self.folder.run(reader, until, most, sink)?;
        if self.key.follow {
            self.cells.follow(self.folder.model.now());
        }
        Ok(self.done)
    }

    /// The first instant of its columns and the one after their last.
    pub fn span(&self) -> (u64, u64) {
        (self.cells.from(), self.cells.to())
    }

    /// The columns, with what was still going on at the window's end painted in.
    pub fn painted(&self) -> Cells {
        let mut cells = self.cells.clone();
        if cells.is_summary() {
            return cells;
        }
        let model = &self.folder.model;
        let now = model.now().min(cells.to());
        if self.key.follow && !self.done && now + 2 * cells.width < cells.to() {
            // It is not folded yet what happened there.
            cells.leave_out(now, cells.to());
        }
        let mine = |id: Id| id == self.key.loop_id;
        for reg in model.regs().filter(|r| mine(r.loop_id) && r.is_live()) {
            if let Some(since) = reg.ready_since {
                cells.state(reg.id, Word::Ready, since.hi, now);
                if since.lo < since.hi {
                    cells.span(reg.id, since.lo, since.hi, |c, _| c.maybe = true);
                }
            }
            if reg.word != Word::Ready && reg.word != Word::Fetched {
                cells.state(reg.id, reg.word, reg.since, now);
            }
        }
        let threads = model.loops().get(self.key.loop_id as usize);
        let timers = threads.into_iter().flat_map(|l| l.timers.armed());
        for timer in timers.filter(|t| t.certain) {
            cells.side_due(timer.due, now);
        }
        for thread in threads.into_iter().flat_map(|l| &l.threads) {
            if let Phase::Running {
                reg: Some(reg),
                since,
            } = thread.phase
            {
                cells.running(reg, since, now);
            }
            match thread.phase {
                Phase::Waiting { since, .. } => cells.turn(Part::Wait, since, now),
                Phase::Running { since, .. }
                | Phase::Timer { since, .. }
                | Phase::Task { since, .. }
                | Phase::Rest { since } => cells.turn(Part::Rest, since, now),
                _ => {}
            }
            match thread.phase {
                Phase::Timer { name, since } => cells.side_running(Part::Timer(name), since, now),
                Phase::Task { name, since } => cells.side_running(Part::Task(name), since, now),
                _ => {}
            }
            for item in &thread.batch {
                if item.state == ItemState::Fetched {
                    cells.state(item.reg, Word::Fetched, thread.wakeup, now);
                }
            }
        }
        cells.settle();
        cells
    }
}
