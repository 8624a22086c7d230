//! One event at a time: which part of the model an event kind belongs to. Step: **model**.

use super::facts::Sink;
use super::{Model, NONE};
use crate::record::event::{Event, Kind, flags};

impl Model {
    /// Folds in the next event of the recording. `number` is its position in the file, `text` its own text.
    pub fn apply(&mut self, number: u64, e: &Event, text: &[u8], sink: &mut impl Sink) {
        let _ = (number, text, sink, NONE);
        self.applied += 1;
        self.now = self.now.max(e.t);
        if e.flags & flags::LATE != 0 {
            self.late += 1;
        }
        if e.kind == Kind::Lost {
            let cause = usize::from(e.aux) & 15;
            self.lost_by_cause[cause] = self.lost_by_cause[cause].saturating_add(e.arg);
        }
    }
}
