//! Whoever else listens to the report's one pass over a recording. Step: trace → model → **view**.

use crate::findings;
use crate::model::{Model, Sink};

/// Listens to a fold, and may ask the model for names: it forgets descriptors that have ended, but not within a page.
pub trait Listener: Sink {
    /// A page of events has been folded.
    fn page(&mut self, _model: &Model) {}
    /// All have; this was found.
    fn end(&mut self, _model: &Model, _found: &findings::Outcome) {}
}

impl Listener for () {}
