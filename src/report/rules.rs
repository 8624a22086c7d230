//! What is found, beside the report's one pass: taken from the recording where it is stored, searched for otherwise.
//! Step: trace → model → **view**.

use crate::derive;
use crate::findings::{Findings, Outcome, Thresholds};
use crate::model::{Id, Model, Sink};
use crate::record::event::Event;
use crate::trace::Reader;
use std::vec;

/// The rules, or what they have said before.
pub(super) enum Rules {
    Search(Box<Findings>),
    /// The outcome, and the registrations it names that are still to come.
    Stored(Outcome, vec::IntoIter<(u64, Id)>),
}

impl Rules {
    /// Before the first event.
    pub fn of(reader: &mut Reader, limits: &Thresholds) -> Self {
        match derive::findings(reader, limits) {
            Some(outcome) => {
                let named = outcome.named.clone().into_iter();
                Rules::Stored(outcome, named)
            }
            None => Rules::Search(Box::new(Findings::new(limits.clone()))),
        }
    }

    /// Folds in the next event.
    pub fn apply<S: Sink + ?Sized>(
        &mut self,
        model: &mut Model,
        number: u64,
        e: &Event,
        text: &[u8],
        sink: &mut S,
    ) {
        match self {
            Rules::Search(findings) => findings.apply(model, number, e, text, sink),
            Rules::Stored(_, named) => {
                // As the search did: after the event that named it, before the next.
                while let Some((_, reg)) = next_before(named, number) {
                    model.keep(reg);
                }
                model.apply(number, e, text, sink);
            }
        }
    }

    /// What was found.
    pub fn finish(self, model: &mut Model) -> Outcome {
        match self {
            Rules::Search(findings) => findings.finish(model),
            Rules::Stored(outcome, named) => {
                named.for_each(|(_, reg)| model.keep(reg));
                outcome
            }
        }
    }
}

/// The next one, if it was named before this event.
fn next_before(named: &mut vec::IntoIter<(u64, Id)>, number: u64) -> Option<(u64, Id)> {
    let (event, _) = named.as_slice().first()?;
    (*event < number).then(|| named.next()).flatten()
}
