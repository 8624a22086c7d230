//! A trigger: follows a recording while it grows and says which part surrounds what it waits for. Step: trace → **model**
//! → trace.
//!
//! It folds the growing file as a view does, so it costs the recorder what a view costs, and the program nothing. A run
//! is judged when it ends. Where older parts of the file are dropped faster than they are folded, it starts afresh with
//! what is there.

use crate::model::{Model, Run, Sink};
use crate::query::{Query, Row};
use crate::trace::{Error, Events, Progress, Reader};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A window grows by later matches to at most so many times its least length.
const MOST_LENGTHS: u64 = 10;

/// What to wait for, and how much of what surrounds it to keep, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// A dispatch that passes this.
    pub query: Query,
    /// Kept from before the wakeup that led to it.
    pub pre: u64,
    /// Kept from after its end.
    pub post: u64,
}

/// A part of the recording worth keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first instant.
    pub from: u64,
    /// The first instant behind it.
    pub until: u64,
    /// When the first match's handler started.
    pub at: u64,
    /// Matches in it.
    pub matches: u64,
    /// The descriptor it served, −1 none, and its name.
    pub fd: (i32, String),
}

struct Ended(Vec<Run>);

impl Sink for Ended {
    fn run(&mut self, run: &Run) {
        self.0.push(*run);
    }
}

/// Follows the recording to its end; `grown` hears of each change of the file. `keep` is called with each window as soon
/// as all of it is there, and says whether to go on.
///
/// # Errors
/// When the file cannot be read.
pub fn watch(
    trigger: &Trigger,
    reader: &mut Reader,
    grown: &Receiver<()>,
    keep: &mut dyn FnMut(&mut Reader, &Window) -> bool,
) -> Result<(), Error> {
    let (mut model, mut ended) = (Model::default(), Ended(Vec::new()));
    let mut events = Events::default();
    let (mut next, mut fresh) = (0, true);
    let mut open: Option<(Window, Instant)> = None;
    loop {
        let progress = reader.refresh()?;
        if !fresh && reader.first() > next {
            (model, fresh) = (Model::default(), true);
        }
        let first = if fresh { 0 } else { reader.page_of(next) };
        for page in first..reader.pages().len() {
            reader.read_page(page, &mut events)?;
            for (number, event, text) in events.iter() {
                if events.numbered && number < next {
                    continue;
                }
                model.apply(number, event, text, &mut ended);
                for run in std::mem::take(&mut ended.0) {
                    let row = Row {
                        run: &run,
                        model: &model,
                        findings: &[],
                    };
                    if trigger.query.matches(&row) {
                        trigger.widen(&mut open, &run, &model);
                    }
                }
            }
            next = reader.pages()[page].events().end.max(next);
            fresh = false;
            let there = reader.duration_ns();
            if let Some((window, _)) = open.take_if(|(w, _)| w.until <= there)
                && !keep(reader, &window)
            {
                return Ok(());
            }
        }
        let ending = progress == Progress::Ended;
        // A program that does nothing more makes no more events: what is there is all there will be.
        let due = |since: Instant| since + Duration::from_nanos(trigger.post);
        if let Some((window, _)) = open.take_if(|(_, t)| ending || due(*t) <= Instant::now())
            && !keep(reader, &window)
        {
            return Ok(());
        }
        if ending {
            return Ok(());
        }
        if progress == Progress::Grown {
            continue;
        }
        let wait = open.as_ref().map(|(_, t)| due(*t));
        match wait {
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if grown.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) {
                    std::thread::sleep(left);
                }
            }
            // Nobody tells any more: the file is being completed.
            None if grown.recv().is_err() => std::thread::sleep(Duration::from_millis(5)),
            None => {}
        }
        while grown.try_recv().is_ok() {}
    }
}

impl Trigger {
    /// A match opens a window or joins the open one.
    fn widen(&self, open: &mut Option<(Window, Instant)>, run: &Run, model: &Model) {
        let end = run.end.max(run.start + run.run());
        let until = end.saturating_add(self.post);
        let most = (self.pre + self.post).saturating_mul(MOST_LENGTHS);
        let reg = model.reg(run.reg);
        match open {
            Some((window, seen))
                if until.saturating_sub(window.from) <= most.max(end - run.start) =>
            {
                window.until = window.until.max(until);
                window.matches += 1;
                *seen = Instant::now();
            }
            Some((window, _)) => window.matches += 1,
            None => {
                let window = Window {
                    from: run.wakeup.min(run.start).saturating_sub(self.pre),
                    until,
                    at: run.start,
                    matches: 1,
                    fd: (
                        reg.map_or(-1, |r| r.fd),
                        reg.map_or("", |r| &r.name).to_owned(),
                    ),
                };
                *open = Some((window, Instant::now()));
            }
        }
    }
}
