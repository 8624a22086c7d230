//! One cursor in a recording, whether finished or growing: the model there, the way to any other instant, and the
//! window around it. Live is this at the end of the file. Step: trace → **model** → view.

mod ahead;
pub mod cell;
pub mod cells;
pub mod facts;
mod find;
pub mod folder;
mod heard;
mod keep_up;
mod meanwhile;
mod paint;
mod saved;
mod search;
mod summary;
pub mod window;
mod worst;

pub use cell::{Cell, Side};
pub use cells::Cells;
pub use facts::Facts;
pub use folder::{Folder, Until};
pub use window::{Key, Window};

use crate::derive::{self, Marks};
use crate::model::pyramid::{self, Pyramid};
use crate::model::{Id, Model, Word};
use crate::record::event::Event;
use crate::trace::{Error, Progress, Reader};
use saved::Checkpoints;
use std::collections::HashMap;
use std::time::Instant;

/// Events folded in one go at most.
const PIECE: u64 = 150_000;
/// A window with more events is drawn from the stored pyramid, if there is one.
const SUMMED: u64 = 1_000_000;
/// The same for a window whose columns are no narrower than what the pyramid tells apart.
const SUMMED_WELL: u64 = 200_000;
/// Events folded before the instant asked for, so that the last turns are known there.
const RUN_UP: u64 = 16_384;
/// The same before a window of time. What reaches into one is told when it ends, so few will do.
const LEAD_IN: u64 = 2_048;

/// On a long way only what happens in so many events before the goal is listened to.
const NEAR: u64 = 4 * RUN_UP;

/// Where the cursor is going, when that takes longer than one piece.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Goal {
    until: Until,
    /// The instant to show once there; the last event's when absent.
    t: Option<u64>,
    from: u64,
    /// Nobody listens before this event.
    quiet: u64,
    /// A place on the way to it that is kept too: the window around the goal will be folded from there.
    keep: u64,
    /// Before this event what is frequent is left out.
    thin: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Player {
    reader: Reader,
    folder: Folder,
    /// The instant shown: of the last event applied or later.
    t: u64,
    tail: Facts,
    saved: Checkpoints,
    goal: Option<Goal>,
    window: Option<Window>,
    /// A fold that runs ahead of the cursor, and where it set out: for names that are given a little later.
    ahead: Option<(u64, Folder)>,
    /// The stored pyramid, once somebody has asked for it.
    pyramid: Option<Option<Pyramid>>,
    /// The same for where marks are.
    marks: Option<Option<Marks>>,
    /// The search for findings, if its end is stored or once somebody has asked for it.
    search: Option<Box<search::Search>>,
    /// What the thread of the finding last looked into was doing.
    meanwhile: Option<Box<meanwhile::Meanwhile>>,
    /// The file will not grow any more.
    ended: bool,
    /// It is on its way to the end of a growing file, to stay there; and has been there.
    follows: bool,
    was_at_end: bool,
    /// Events it was behind the end when it last set out.
    behind: u64,
    /// What registrations were, and when, before events were left out.
    words: HashMap<Id, (Word, u64)>,
    /// Events folded a second, as measured of late; 0 before.
    rate: f64,
    /// Events looked through a second where they are left out, as last measured; 0 before.
    look_rate: f64,
}

impl Player {
    /// At the beginning of a recording; `live` when it may still grow.
    pub fn new(mut reader: Reader, live: bool) -> Self {
        let search = search::Search::stored(&mut reader);
        Player {
            reader,
            folder: Folder::start(),
            t: 0,
            tail: Facts::default(),
            saved: Checkpoints::default(),
            goal: None,
            window: None,
            ahead: None,
            pyramid: None,
            marks: None,
            search,
            meanwhile: None,
            ended: !live,
            follows: false,
            was_at_end: false,
            behind: 0,
            words: HashMap::new(),
            rate: 0.0,
            look_rate: 0.0,
        }
    }

    /// The recording.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The same, to read pages.
    pub fn reader_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// The program's state at the cursor.
    pub fn model(&self) -> &Model {
        &self.folder.model
    }

    /// What happened up to the cursor.
    pub fn tail(&self) -> &Facts {
        &self.tail
    }

    /// The fold at the cursor.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The instant at the cursor.
    pub fn t(&self) -> u64 {
        self.t
    }

    /// The program's state `idle` after the cursor, nothing having been recorded since.
    pub fn pass(&mut self, idle: u64) {
        let now = self.t.saturating_add(idle);
        let folder = &mut self.folder;
        folder.model.pass(now, folder.next, &mut self.tail);
    }

    /// Number of the first event after the cursor.
    pub fn next(&self) -> u64 {
        self.folder.next
    }

    /// The recording's length so far.
    pub fn duration(&self) -> u64 {
        self.reader.duration_ns().max(self.t)
    }

    /// The file will not grow any more.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The cursor stands behind the last event.
    pub fn at_end(&self) -> bool {
        self.folder.next >= self.reader.end()
    }

    /// On the way somewhere: how far, in parts of one.
    pub fn progress(&self) -> Option<f64> {
        // Who stays at the end is not on a way that anybody waits for.
        let goal = self.goal.filter(|_| !(self.follows && self.was_at_end))?;
        let end = goal.until.event.min(self.reader.end());
        let all = end.saturating_sub(goal.from).max(1);
        Some(self.folder.next.saturating_sub(goal.from) as f64 / all as f64)
    }

    /// Looks whether the file has grown.
    pub fn refresh(&mut self) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        let progress = self.reader.refresh()?;
        self.ended = progress == Progress::Ended;
        if progress == Progress::Grown {
            self.folder.rebase(&self.reader);
            if let Some(window) = &mut self.window {
                window.rebase(&self.reader);
            }
            if let Some(looked) = &mut self.meanwhile {
                looked.rebase(&self.reader);
            }
        }
        Ok(progress == Progress::Grown)
    }

    /// Goes on with what has been begun; true when there is more to do.
    pub fn work(&mut self) -> Result<bool, Error> {
        let Some(goal) = self.goal else {
            return Ok(false);
        };
        if self.folder.next < goal.thin {
            self.leave_out(goal.thin)?;
            return Ok(true);
        }
        if self.folder.next < goal.quiet {
            let stop = match self.folder.next < goal.keep {
                true => goal.keep.min(goal.quiet),
                false => goal.quiet,
            };
            let piece = self.saved.room(&self.folder, stop).min(self.piece());
            let quiet = Until::event(stop);
            let (here, began) = (self.folder.next, Instant::now());
            let arrived = self.folder.run(&mut self.reader, quiet, piece, &mut ())?;
            self.folded(self.folder.next - here, began);
            self.t = self.folder.model.now();
            self.tail = Facts::since(self.t);
            match arrived {
                // The way to the goal's surroundings starts here.
                true => self.saved.keep(&self.folder),
                false => self.saved.offer(&self.folder, stop),
            }
            return Ok(true);
        }
        let here = self.folder.next;
        let piece = self.saved.room(&self.folder, here).min(self.piece());
        let piece = match here < goal.keep {
            true => piece.min(goal.keep - here),
            false => piece,
        };
        let began = Instant::now();
        let reader = &mut self.reader;
        let done = self.folder.run(reader, goal.until, piece, &mut self.tail)?;
        self.folded(self.folder.next - here, began);
        match self.folder.next == goal.keep {
            true => self.saved.keep(&self.folder),
            false => self.saved.offer(&self.folder, self.folder.next),
        }
        self.t = self.folder.model.now();
        if done {
            self.goal = None;
            self.was_at_end |= self.follows;
            if let Some(t) = goal.t {
                self.t = t.max(self.t);
                self.pass(0);
            }
        }
        Ok(!done)
    }

    /// The same to the end.
    pub fn finish(&mut self) -> Result<(), Error> {
        while self.work()? {}
        Ok(())
    }

    /// Gives up on where it was going and stays where it has come to; false when it was going nowhere.
    pub fn interrupt(&mut self) -> bool {
        self.goal.take().is_some()
    }

    /// A fold that has seen everything before event `before` minus a run-up, or nothing.
    fn start_before(&mut self, before: u64) -> Folder {
        let early = before.saturating_sub(RUN_UP);
        self.saved.before(early, &mut self.reader)
    }

    fn go(&mut self, until: Until, t: Option<u64>, target: u64) -> Result<(), Error> {
        let here = self.folder.next;
        let early = target.saturating_sub(RUN_UP);
        if target < here || self.saved.shortens(here, early, &self.reader) {
            self.folder = self.start_before(target);
            self.tail = Facts::since(self.folder.model.now());
        }
        let from = self.folder.next;
        let quiet = target.saturating_sub(NEAR);
        let keep = self.window_before(t, target)?;
        self.goal = Some(Goal {
            until,
            t,
            from,
            quiet,
            keep,
            thin: 0,
        });
        self.follows = false;
        Ok(())
    }

    /// Moves the cursor to an instant: everything at or before it has happened.
    pub fn seek(&mut self, t: u64) -> Result<(), Error> {
        let t = t.min(self.reader.duration_ns());
        let target = match t.checked_add(1) {
            Some(after) => self.reader.event_at_time(after)?,
            None => self.reader.end(),
        };
        self.go(Until::event(target), Some(t), target)
    }

    /// Moves the cursor before event `number`.
    pub fn seek_event(&mut self, number: u64) -> Result<(), Error> {
        let number = number.clamp(self.reader.first(), self.reader.end());
        self.go(Until::event(number), None, number)
    }

    /// Moves the cursor behind the last event.
    pub fn seek_end(&mut self) -> Result<(), Error> {
        let end = self.reader.end();
        self.go(Until::event(end), Some(self.reader.duration_ns()), end)
    }

    /// Where the cursor will stand once it has arrived: keys typed faster than frames are drawn add up.
    fn bound_for(&self) -> u64 {
        match self.goal {
            Some(goal) if goal.until.event != u64::MAX => goal.until.event,
            _ => self.folder.next,
        }
    }

    /// Some events on or back.
    pub fn step(&mut self, by: i64) -> Result<(), Error> {
        self.seek_event(self.bound_for().saturating_add_signed(by))
    }

    /// The instant of the next event, if there is one.
    pub fn next_instant(&mut self) -> Result<Option<u64>, Error> {
        Ok(self.folder.peek(&mut self.reader)?.map(|(_, e)| e.t))
    }

    /// Moves on to a later instant, as play does.
    pub fn advance(&mut self, t: u64) {
        let t = t.min(self.reader.duration_ns());
        self.goal = Some(Goal {
            until: Until::time(t),
            t: Some(t),
            from: self.folder.next,
            quiet: 0,
            keep: 0,
            thin: 0,
        });
        self.follows = false;
    }

    /// Asks for a window; what is there already is kept. True while there is more to fold.
    pub fn want(&mut self, key: Key) -> Result<bool, Error> {
        if self.window.as_ref().is_none_or(|w| w.key != key) {
            let first = self.reader.event_at_time(key.from())?;
            self.window = match self.summed(key, first)? {
                Some(window) => Some(window),
                None => {
                    let early = first.saturating_sub(LEAD_IN);
                    let folder = self.saved.before(early, &mut self.reader);
                    Some(Window::new(key, folder))
                }
            };
        }
        self.pull_window();
        let most = self.piece();
        match &mut self.window {
            Some(window) => {
                let here = window.folder().next;
                let piece = self.saved.room(window.folder(), here).min(most);
                let done = window.run(&mut self.reader, piece)?;
                if !done {
                    self.saved.offer(window.folder(), here);
                }
                Ok(!done)
            }
            None => Ok(false),
        }
    }

    /// The pyramid of a finished recording, if one is stored.
    fn pyramid(&mut self) -> Option<&mut Pyramid> {
        if !self.ended {
            return None;
        }
        let reader = &mut self.reader;
        let stored = self.pyramid.get_or_insert_with(|| derive::pyramid(reader));
        stored.as_mut()
    }

    /// A window too wide to fold, from summaries; nothing when it can be folded or none are stored.
    fn summed(&mut self, key: Key, first: u64) -> Result<Option<Window>, Error> {
        let last = self.reader.event_at_time(key.to())?;
        let most = match key.width >= pyramid::BASE_NS {
            true => SUMMED_WELL,
            false => SUMMED,
        };
        if key.follow || last.saturating_sub(first) <= most || self.pyramid().is_none() {
            return Ok(None);
        }
        let after = self.saved.before(last, &mut self.reader);
        let before = match first > self.reader.first() {
            true => Some(self.saved.before(first, &mut self.reader)),
            false => None,
        };
        let model = before.as_ref().map(|f| &f.model);
        let pyramid = self.pyramid.as_mut().and_then(Option::as_mut);
        Ok(pyramid.map(|pyramid| Window::summed(key, pyramid, model, after)))
    }

    /// The window last asked for.
    pub fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    /// The state just before event `number`, folded aside: the cursor stays.
    pub fn glimpse(&mut self, number: u64) -> Result<(Folder, Facts), Error> {
        let mut folder = self.start_before(number);
        let mut facts = Facts::since(folder.model.now());
        let until = Until::event(number);
        loop {
            let room = self.saved.room(&folder, number);
            if folder.run(&mut self.reader, until, room, &mut facts)? {
                break;
            }
            self.saved.offer(&folder, number);
        }
        Ok((folder, facts))
    }

    /// Events around a number, for the log: up to `before` before it and `after` from it on.
    pub fn around(&mut self, number: u64, before: usize, after: usize) -> Result<Vec<Row>, Error> {
        let from = number
            .saturating_sub(before as u64)
            .max(self.reader.first());
        let mut rows = Vec::new();
        let mut cursor = self.reader.events_from(from);
        while let Some((n, event, text)) = cursor.next()? {
            if n >= number + after as u64 || rows.len() >= before + after {
                break;
            }
            rows.push(Row {
                number: n,
                event: *event,
                text: text.to_vec(),
            });
        }
        Ok(rows)
    }
}

/// One event of the log.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number.
    pub number: u64,
    /// The event.
    pub event: Event,
    /// Its text.
    pub text: Vec<u8>,
}
