//! Where a recording opens when nobody says where: at its worst wait, in the midst of what it waited behind. The first
//! instant would show an empty loop. Step: model → **view**.

use super::App;
use crate::model::{Id, Model, Part, Phase, Run, Segment, Sink, Transition, Why, Word};
use crate::record::event::FdKind;
use crate::trace::Error;
use crate::tui::player::{Folder, Until};
use crate::tui::widget::text;
use std::collections::HashMap;

/// Recordings with more events are asked through their stored pyramid.
const SCANNED: u64 = 3_000_000;
/// Loops asked then.
const LOOPS: Id = 16;

/// A stretch for which bytes lay: its length, of which fd, the event and the instant of its end.
type Left = (u64, Id, u64, u64);

/// Listens for the longest wait, ended by a run or never.
#[derive(Default)]
struct Ear {
    fd: Option<i32>,
    ended: Option<(u64, Run)>,
    left: HashMap<Id, u64>,
    never: Option<Left>,
    /// Runs and stretches told since the fds were last looked at.
    runs: Vec<(u64, Run)>,
    stretches: Vec<Left>,
}

impl Ear {
    /// Takes over what was told, as far as it is about the fd asked for.
    fn settle(&mut self, model: &Model) {
        let fd = self.fd;
        let of = |reg| model.reg(reg).map(|r| (r.fd, r.kind));
        let mine = |reg| fd.is_none() || of(reg).map(|r| r.0) == fd;
        for (wait, run) in std::mem::take(&mut self.runs) {
            if mine(run.reg) && self.ended.is_none_or(|(most, _)| wait > most) {
                self.ended = Some((wait, run));
            }
        }
        for found in std::mem::take(&mut self.stretches) {
            // A waker's counter may stay: every write to it wakes again.
            let waker = of(found.1).is_some_and(|r| r.1 == FdKind::Eventfd);
            if !waker && mine(found.1) && self.never.is_none_or(|(most, ..)| found.0 > most) {
                self.never = Some(found);
            }
        }
    }
}

impl Sink for Ear {
    fn run(&mut self, run: &Run) {
        let wait = run.waited().hi;
        let longer = |most: &(u64, Run)| wait > most.0;
        // Without an fd asked for only a new longest matters.
        if self.fd.is_some() || self.ended.as_ref().is_none_or(longer) {
            match self.fd {
                Some(_) => self.runs.push((wait, *run)),
                None => self.ended = Some((wait, *run)),
            }
        }
    }

    fn transition(&mut self, t: &Transition) {
        // Bytes left behind stay behind through every further event that does not drain the fd.
        match (t.to, t.why) {
            (Word::Residual, _) => {
                self.left.entry(t.reg).or_insert(t.t);
            }
            (_, Why::Drained) => {
                self.left.remove(&t.reg);
            }
            (_, Why::Close | Why::CloseWithAlias | Why::Del | Why::Reuse) => {
                if let Some(since) = self.left.remove(&t.reg) {
                    self.stretches.push((t.t - since, t.reg, t.event, t.t));
                }
            }
            _ => {}
        }
    }
}

/// Where to stand, which fd to choose, what to say.
struct Place {
    run: Option<Run>,
    event: u64,
    /// When it ended, and how long it was.
    at: u64,
    wait: u64,
    reg: Id,
    said: String,
}

impl App {
    /// Goes where nobody is served, to the middle; to the start if no loop is there yet.
    pub fn go_to_sleep(&mut self) -> Result<(), Error> {
        self.player.seek(self.player.duration() / 2)?;
        self.player.finish()?;
        if self.model().loops().is_empty() {
            let first = self.player.reader().first();
            self.player.seek_event(first)?;
        }
        Ok(())
    }

    /// Goes to the worst wait of the recording, or of one fd in it, and tells whose that was, how long and behind whom.
    /// Nothing where nobody ever waited.
    pub fn go_to_worst(&mut self, fd: Option<i32>) -> Result<Option<String>, Error> {
        let Some(place) = self.worst_place(fd)? else {
            return Ok(None);
        };
        let (folder, facts) = self.player.glimpse(place.event)?;
        let Some(reg) = folder.model.reg(place.reg) else {
            return Ok(None);
        };
        let (loop_id, number) = (reg.loop_id, reg.fd);
        let name = crate::tui::names::name(reg);
        let mut said = format!("{name} (fd {number}) {}", place.said);
        // In the midst of what it waited behind longest: just before that ended.
        let behind = place.run.and_then(|run| {
            let from = run.ready.map_or(run.wakeup, |r| r.lo);
            let inside = |s: &&Segment| {
                (s.loop_id, s.thread) == (run.loop_id, run.thread)
                    && s.end > from
                    && s.start < run.start
                    && s.part != Part::Wait
            };
            let length = |s: &&Segment| s.end.min(run.start) - s.start.max(from);
            let longest = facts.segments.iter().filter(inside).max_by_key(length)?;
            let shown = run.queue().max(length(&longest));
            (length(&longest) * 2 > shown && longest.end > longest.start + 1).then_some(*longest)
        });
        match behind {
            Some(segment) => {
                if let Part::Run(who) = segment.part
                    && who != place.reg
                    && let Some(who) = folder.model.reg(who)
                {
                    said.push_str(&format!(", behind {}", crate::tui::names::told(who)));
                }
                self.player.seek(segment.end - 1)?;
            }
            // Nobody came: the loop sleeps while the bytes lie there.
            None if place.run.is_none() => {
                // The last sleep may go on to the end.
                let threads = folder.model.loops().get(loop_id as usize);
                let open = threads.into_iter().flat_map(|l| &l.threads);
                let open = open.filter_map(|t| match t.phase {
                    Phase::Waiting { since, .. } => Some((since, place.at)),
                    _ => None,
                });
                let asleep = |s: &&Segment| s.loop_id == loop_id && s.part == Part::Wait;
                let lately = facts.segments.iter().rev().filter(asleep).take(8);
                let after = place.at.saturating_sub(place.wait);
                let sleeps = lately.map(|s| (s.start, s.end)).chain(open);
                let sleeps = sleeps.filter(|s| s.1 > s.0 && s.1 > after);
                match sleeps.max_by_key(|s| s.1 - s.0.max(after)) {
                    Some((_, end)) => self.player.seek(end.saturating_sub(1))?,
                    // The program was killed in its sleep: a little before that.
                    None => self.player.seek(place.at - place.wait / 20)?,
                }
            }
            None => self.player.seek_event(place.event)?,
        }
        self.player.finish()?;
        (self.loop_id, self.chosen) = (loop_id, Some(place.reg));
        self.say(format!("worst wait: {said}   g start"));
        Ok(Some(said))
    }

    fn worst_place(&mut self, fd: Option<i32>) -> Result<Option<Place>, Error> {
        let waits = |wait: u64, run: Run| Place {
            run: Some(run),
            event: run.event,
            at: run.start,
            wait,
            reg: run.reg,
            said: match text::is_narrow(run.waited()) {
                true => text::time(wait),
                false => format!("at most {}", text::time(wait)),
            },
        };
        if self.player.reader().len() > SCANNED {
            let mut worst: Option<(u64, Run)> = None;
            for loop_id in 0..LOOPS {
                let found = self.player.worst(loop_id, 0, u64::MAX)?;
                let wait = |r: &Run| r.waited().hi;
                if let Some(run) = found
                    && worst.as_ref().is_none_or(|(most, _)| wait(&run) > *most)
                {
                    worst = Some((wait(&run), run));
                }
            }
            return Ok(worst.map(|(wait, run)| waits(wait, run)));
        }
        let mut ear = Ear {
            fd,
            ..Ear::default()
        };
        let mut folder = Folder::start();
        let reader = self.player.reader_mut();
        while !folder.run(reader, Until::event(u64::MAX), 16_384, &mut ear)? {
            ear.settle(&folder.model);
        }
        let (now, end) = (folder.model.now(), reader.end());
        let open: Vec<_> = ear
            .left
            .drain()
            .map(|(reg, t)| (now - t, reg, end, now))
            .collect();
        ear.stretches.extend(open);
        ear.settle(&folder.model);
        let most = ear.ended.map_or(0, |(wait, _)| wait);
        if let Some((ns, reg, event, at)) = ear.never.filter(|(ns, ..)| *ns > most) {
            return Ok(Some(Place {
                run: None,
                event,
                at,
                wait: ns,
                reg,
                said: format!("left unread for {}", text::time(ns)),
            }));
        }
        Ok(ear
            .ended
            .filter(|(wait, _)| *wait > 0)
            .map(|(wait, run)| waits(wait, run)))
    }
}
