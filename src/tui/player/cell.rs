//! What one fd, or what else a loop runs, did in one column of time. Step: **model** → view.

/// What one fd did in one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Time in its handler.
    pub run_ns: u64,
    /// Time told and queued.
    pub queue_ns: u64,
    /// Time certainly ready and not told; summaries only.
    pub notice_ns: u64,
    /// Time in which lost or left out events may have done anything to it.
    pub unknown_ns: u64,
    /// Handler runs that touch the column.
    pub runs: u16,
    /// It was ready and not told, for certain.
    pub ready: bool,
    /// It may have been ready: between the two ends of a bounded instant.
    pub maybe: bool,
    /// It was told and queued.
    pub queued: bool,
    /// Edge-triggered with data left behind.
    pub left: bool,
    /// One-shot and not re-armed, or muted.
    pub off: bool,
    /// Lost or left out events may have touched it.
    pub unknown: bool,
    /// Some of what happened in the column was left out, to keep up.
    pub left_out: bool,
    /// A summary of many events: which states, not in which order; all zero when this fd is not told apart in it.
    pub summed: bool,
}

impl Cell {
    /// Nothing happened in it that was seen.
    pub fn is_blank(&self) -> bool {
        self.runs == 0 && !(self.ready || self.maybe || self.queued || self.left || self.off)
    }

    pub(super) fn add(&mut self, other: &Cell) {
        self.run_ns = self.run_ns.saturating_add(other.run_ns);
        self.queue_ns = self.queue_ns.saturating_add(other.queue_ns);
        self.notice_ns = self.notice_ns.saturating_add(other.notice_ns);
        self.unknown_ns = self.unknown_ns.max(other.unknown_ns);
        self.runs = self.runs.saturating_add(other.runs);
        self.ready |= other.ready;
        self.maybe |= other.maybe;
        self.queued |= other.queued;
        self.left |= other.left;
        self.off |= other.off;
        self.unknown |= other.unknown;
    }
}

/// What a loop runs besides handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Timer callbacks: `ready` is due and not fired.
    Timers,
    /// Tasks of its run queue.
    Tasks,
}
