//! The search for findings, made once beside the fold that makes the index, and the page that keeps what came of it.
//! Step: trace → **findings** → view.
//!
//! Rules keep registrations in the model that it would have let go of, so the search has a model of its own: what stands
//! in checkpoints is what a fold without rules says. It runs in a thread of its own, behind the fold by a few pages.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::findings::{Findings, Outcome, Thresholds};
use crate::model::Model;
use crate::model::codec::{Codec, Cursor, put};
use crate::trace::Events;

/// The version of a page: of the model, and of the rules.
pub(super) const VERSION: u32 = Model::VERSION << 16 | Findings::VERSION as u32;
const _: () = assert!(Model::VERSION < 1 << 16);

/// Pages of events that wait for the search at most: a few megabytes each.
const WAITING: usize = 2;

/// A search under way.
pub(super) struct Search {
    pages: SyncSender<Events>,
    /// Pages that have been looked through, to be filled again.
    done: Receiver<Events>,
    thread: JoinHandle<Outcome>,
}

impl Search {
    /// Begins one; nothing if the system has no thread for it.
    pub fn start(limits: Thresholds) -> Option<Self> {
        let (pages, next) = sync_channel::<Events>(WAITING);
        let (back, done) = channel();
        let search = move || {
            let (mut findings, mut model) = (Findings::new(limits), Model::default());
            for page in next {
                for (number, event, text) in page.iter() {
                    findings.apply(&mut model, number, event, text, &mut ());
                }
                // Nobody fills it again once all have been read.
                let _ = back.send(page);
            }
            findings.finish(&mut model)
        };
        let thread = Builder::new().name("findings".to_owned()).spawn(search);
        Some(Search {
            pages,
            done,
            thread: thread.ok()?,
        })
    }

    /// Looks through a page, some time soon; another one to fill.
    pub fn page(&self, events: Events) -> Events {
        // It is gone only if it has failed, and then nothing is stored.
        let _ = self.pages.send(events);
        self.done.try_recv().unwrap_or_default()
    }

    /// What was found.
    pub fn finish(self) -> Option<Outcome> {
        drop(self.pages);
        self.thread.join().ok()
    }
}

/// Writes what was found with these thresholds, or that it is more than `most` bytes: then it is searched for each time.
pub(super) fn save(outcome: &Outcome, limits: &Thresholds, most: usize, out: &mut Vec<u8>) {
    put(out, limits.fingerprint());
    let start = out.len();
    true.put(out);
    outcome.save(out);
    if out.len() > most {
        out.truncate(start);
        false.put(out);
    }
}

/// What [`save`] wrote of a recording that ends before event `end`, if it was found with these thresholds.
pub(super) fn load(bytes: &[u8], limits: &Thresholds, end: u64) -> Option<Outcome> {
    let mut c = Cursor::new(bytes);
    let same = c.u64()? == limits.fingerprint() && bool::get(&mut c)?;
    let rest = bytes.get(bytes.len() - c.left()..)?;
    same.then(|| Outcome::load(rest, end)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_searched_for() {
        let limits = Thresholds::default();
        let outcome = Outcome {
            omitted: 3,
            changed: vec!["x".repeat(100)],
            ..Outcome::default()
        };
        let stored = |most| {
            let mut out = Vec::new();
            save(&outcome, &limits, most, &mut out);
            assert!(out.len() <= most);
            load(&out, &limits, 1)
        };
        assert_eq!(stored(200), Some(outcome.clone()));
        assert_eq!(stored(64), None);
    }

    #[test]
    fn other_thresholds_search_anew() {
        let (limits, mut out) = (Thresholds::default(), Vec::new());
        save(&Outcome::default(), &limits, 4_096, &mut out);
        assert_eq!(load(&out, &limits, 1), Some(Outcome::default()));
        let other = limits.overridden("long_run = \"1ms\"").unwrap();
        assert_eq!(load(&out, &other, 1), None);
        assert_eq!(load(&out[..3], &Thresholds::default(), 1), None);
        assert_eq!(load(&[], &Thresholds::default(), 1), None);
    }
}
