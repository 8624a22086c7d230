//! The program's own words on the timeline: marks, and spans with a begin and an end. Step: **model**.

use super::Model;
use super::codec::codec;
use super::facts::{Id, Sink};
use super::states::At;
use crate::record::event::Event;

/// Spans open at once; one opened beyond them is told when it begins and when it ends, without its length.
const MAX_SPANS: usize = 4_096;

/// What a mark is: one by itself, or an end of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// A mark.
    Mark,
    /// A span begins.
    Begin {
        /// The program's own number.
        span: u64,
    },
    /// A span ends.
    End {
        /// The program's own number.
        span: u64,
        /// When it began; `None` when that was not seen.
        since: Option<u64>,
    },
}

/// The program made a mark, or opened or closed a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number of its event.
    pub event: u64,
    /// When.
    pub t: u64,
    /// The process; its name is one of this process's.
    pub process: Id,
    /// The thread.
    pub thread: Id,
    /// The loop the thread was busy with; a span's end is on the loop of its begin.
    pub loop_id: Option<Id>,
    /// Name id ([`crate::record::event::Space::Mark`]).
    pub name: u32,
    /// The descriptor it speaks of, −1 none.
    pub fd: i32,
    /// Which of the three.
    pub what: Marking,
}

/// A span that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The process; its name is one of this process's.
    pub process: Id,
    /// The program's own number.
    pub id: u64,
    /// The span around it, 0 none.
    pub parent: u64,
    /// The thread that opened it.
    pub thread: Id,
    /// The loop that thread was busy with.
    pub loop_id: Option<Id>,
    /// Name id ([`crate::record::event::Space::Mark`]).
    pub name: u32,
    /// When it was opened.
    pub begin: u64,
    /// Number of that event.
    pub event: u64,
    /// Its fields, see [`crate::record::fields`].
    pub fields: Box<[u8]>,
    /// No event was lost since that may have ended it.
    pub certain: bool,
}

codec!(Span {
    process,
    id,
    parent,
    thread,
    loop_id,
    name,
    begin,
    event,
    fields,
    certain
});

impl Model {
    /// Open spans that an event of the loop's threads, or of a thread without a loop, has opened, oldest first.
    pub fn spans_on(&self, loop_id: Id) -> Vec<&Span> {
        let here = |s: &&Span| s.certain && s.loop_id.is_none_or(|id| id == loop_id);
        let mut open: Vec<&Span> = self.spans.values().filter(here).collect();
        open.sort_by_key(|s| s.event);
        open
    }

    fn mark_at(&self, thread: Id, process: Id, e: &Event, at: At, what: Marking) -> Mark {
        Mark {
            event: at.number,
            t: at.t,
            process,
            thread,
            loop_id: self.busy_seat(thread).map(|seat| seat.loop_id),
            name: e.x as u32,
            fd: e.fd,
            what,
        }
    }

    pub(super) fn marked<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        text: &[u8],
        at: At,
        sink: &mut S,
    ) {
        let mark = self.mark_at(thread, process, e, at, Marking::Mark);
        sink.mark(&mark, text);
    }

    pub(super) fn span_begin<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        text: &[u8],
        at: At,
        sink: &mut S,
    ) {
        let mark = self.mark_at(thread, process, e, at, Marking::Begin { span: e.arg });
        sink.mark(&mark, text);
        if self.spans.len() >= MAX_SPANS && !self.spans.contains_key(&(process, e.arg)) {
            self.ignored += 1;
            return;
        }
        let span = Span {
            process,
            id: e.arg,
            parent: e.y,
            thread,
            loop_id: mark.loop_id,
            name: mark.name,
            begin: at.t,
            event: at.number,
            fields: text.into(),
            certain: true,
        };
        self.spans.insert((process, e.arg), span);
        self.spans_sure = true;
    }

    pub(super) fn span_end<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let span = self.spans.remove(&(process, e.arg));
        let span = span.filter(|s| s.certain);
        let what = Marking::End {
            span: e.arg,
            since: span.as_ref().map(|s| s.begin),
        };
        let mut mark = self.mark_at(thread, process, e, at, what);
        let fields: &[u8] = match &span {
            // It may be closed by another thread than the one whose work it is.
            Some(span) => {
                mark.loop_id = span.loop_id;
                &span.fields
            }
            None => &[],
        };
        sink.mark(&mark, fields);
    }

    /// Lost events: an open span may have ended. Every span is touched once, however many losses there are.
    pub(super) fn doubt_spans(&mut self) {
        if std::mem::take(&mut self.spans_sure) {
            self.spans.values_mut().for_each(|s| s.certain = false);
        }
    }

    /// The process has ended, or runs another program.
    pub(super) fn drop_spans(&mut self, process: Id) {
        let of = (process, 0)..=(process, u64::MAX);
        let gone: Vec<(Id, u64)> = self.spans.range(of).map(|(key, _)| *key).collect();
        for key in &gone {
            self.spans.remove(key);
        }
    }
}
