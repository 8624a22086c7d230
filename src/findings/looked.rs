//! What the collector's looks at a process say, as rules hear of it: bytes that wait, signals that do. Step: model → **view**.

use super::facts::{Hook, Unread};
use super::{Cx, Findings, tell};
use crate::model::{Id, Model};
use crate::record::event::Event;

type At = (u64, u64, bool);

impl Findings {
    /// Bytes were seen to wait on a descriptor, or none.
    pub(super) fn seen_unread(&mut self, model: &Model, at: At, process: Id, e: &Event) {
        let number = model.number(process, e.fd);
        let Some(known) = number else { return };
        let (fd, bytes) = (e.fd, e.arg);
        if let Some(story) = self.tracks.number_mut(process, fd, known.generation) {
            match bytes {
                0 => story.unread = None,
                _ => {
                    story.unread.get_or_insert((at.0, at.1));
                }
            }
        }
        let unread = Unread {
            t: at.0,
            event: at.1,
            process,
            fd,
            number,
            bytes,
            reg: model.registrations(known.desc).next(),
        };
        tell!(self, model, at, Unread, unread, &unread);
    }

    /// Signals were seen to wait for a thread, or none.
    pub(super) fn seen_signals(&mut self, model: &Model, at: At, process: Id, e: &Event) {
        let mut threads = model.threads().iter().rev();
        let of = threads.find(|t| t.tid == e.x && t.process == process && t.ended.is_none());
        if let Some(of) = of.map(|t| t.id) {
            let seen = e.t.saturating_sub(e.y);
            tell!(self, model, at, Signals, signals, of, e.arg, seen);
        }
    }
}
