//! Whoever else listens to the report's one pass over a recording. Step: trace → model → **view**.

use crate::findings;
use crate::model::{Model, Run, Segment, Sink, Turn};

/// Listens to a fold, and may ask the model for names: it forgets descriptors that have ended, but not within a page.
pub trait Listener: Sink {
    /// A page of events has been folded.
    fn page(&mut self, _model: &Model) {}
    /// All have; this was found.
    fn end(&mut self, _model: &Model, _found: &findings::Outcome) {}
}

impl Listener for () {}

/// Two that listen to one fold.
pub(super) struct Both<'a, A, B>(pub &'a mut A, pub &'a mut B);

impl<A: Sink, B: Sink> Sink for Both<'_, A, B> {
    fn run(&mut self, run: &Run) {
        self.0.run(run);
        self.1.run(run);
    }
    fn turn(&mut self, turn: &Turn) {
        self.0.turn(turn);
        self.1.turn(turn);
    }
    fn segment(&mut self, segment: &Segment) {
        self.0.segment(segment);
        self.1.segment(segment);
    }
}
