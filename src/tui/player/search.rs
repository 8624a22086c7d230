//! What was found: as the recording has it stored, or searched for in a fold of its own over all of it, a page at a time
//! beside the screen. Step: trace → findings → **view**.

use super::Player;
use crate::derive;
use crate::findings::{Findings, Outcome, Thresholds};
use crate::model::Model;
use crate::trace::{Error, Events, Reader};

/// How far the search has come, and what came of it.
#[derive(Default)]
pub struct Search {
    findings: Findings,
    model: Model,
    page: usize,
    /// Events the recording had when it was begun.
    len: u64,
    outcome: Option<Outcome>,
}

impl Search {
    /// A search that the recording tells the end of.
    pub(super) fn stored(reader: &mut Reader) -> Option<Box<Self>> {
        let outcome = derive::findings(reader, &Thresholds::default())?;
        Some(Box::new(Search {
            page: reader.pages().len(),
            len: reader.len(),
            outcome: Some(outcome),
            ..Search::default()
        }))
    }

    /// What was found, once the whole recording has been looked through.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }
}

impl Player {
    /// Looks through the next page; true while there is more to do.
    pub fn search_on(&mut self) -> Result<bool, Error> {
        let len = self.reader.len();
        let mut search = match self.search.take() {
            Some(search) => search,
            None => Box::new(Search {
                len,
                ..Search::default()
            }),
        };
        if search.outcome.is_none() {
            if search.page < self.reader.pages().len() {
                let mut events = Events::default();
                self.reader.read_page(search.page, &mut events)?;
                for (number, event, text) in events.iter() {
                    (search.findings).apply(&mut search.model, number, event, text, &mut ());
                }
                search.page += 1;
            } else {
                let findings = std::mem::take(&mut search.findings);
                search.outcome = Some(findings.finish(&mut search.model));
                search.model = Model::default();
            }
        }
        let more = search.outcome.is_none();
        self.search = Some(search);
        Ok(more)
    }

    /// A recording that has grown is to be looked through again.
    pub fn search_anew(&mut self) {
        let len = self.reader.len();
        self.search.take_if(|search| search.len != len);
    }

    /// What was found.
    pub fn found(&self) -> Option<&Outcome> {
        self.search.as_ref()?.outcome()
    }

    /// How much of the recording has been looked through, 0 to 1.
    pub fn searched(&self) -> f64 {
        let pages = self.reader.pages().len().max(1);
        let page = self.search.as_ref().map_or(0, |s| s.page);
        page as f64 / pages as f64
    }
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search")
            .field("page", &self.page)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
