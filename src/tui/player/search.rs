//! What was found: as the recording has it stored, or searched for in a fold of its own over all of it, a page at a time
//! beside the screen. Step: trace → findings → **view**.

use super::Player;
use crate::derive;
use crate::findings::{Findings, Outcome, Thresholds};
use crate::model::Model;
use crate::trace::{Error, Events, Reader};

/// A recording that grows is looked through again once it has grown by an eighth, and by so many nanoseconds: all searches
/// together fold a few times as many events as the last one.
const GROWN: u64 = 1_000_000_000;

/// How far the search has come, and what came of it.
#[derive(Default)]
pub struct Search {
    findings: Findings,
    model: Model,
    page: usize,
    /// Events the recording had when the last search ended, and how long it was.
    len: u64,
    duration: u64,
    under_way: bool,
    /// What the last one found; it stands until the next one has ended.
    outcome: Option<Outcome>,
}

impl Search {
    /// A search that the recording tells the end of.
    pub(super) fn stored(reader: &mut Reader) -> Option<Box<Self>> {
        let outcome = derive::findings(reader, &Thresholds::default())?;
        Some(Box::new(Search {
            len: reader.len(),
            outcome: Some(outcome),
            ..Search::default()
        }))
    }

    /// What was found, once the whole recording has been looked through.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    fn begin(&mut self) {
        *self = Search {
            under_way: true,
            outcome: self.outcome.take(),
            ..Search::default()
        };
    }
}

impl Player {
    /// Looks through the next page; true while there is more to do.
    pub fn search_on(&mut self) -> Result<bool, Error> {
        let mut search = self.search.take().unwrap_or_default();
        if !search.under_way && self.is_to_be_searched(&search) {
            search.begin();
        }
        if search.under_way {
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
                (search.len, search.duration) = (self.reader.len(), self.duration());
                search.under_way = false;
            }
        }
        let more = search.under_way;
        self.search = Some(search);
        Ok(more)
    }

    /// Nothing has been found yet, or the recording has grown since by enough, or is whole.
    fn is_to_be_searched(&self, search: &Search) -> bool {
        let enough = GROWN.max(search.duration / 8);
        let grown = self.duration().saturating_sub(search.duration) >= enough || self.ended();
        search.outcome.is_none() || (self.reader.len() != search.len && grown)
    }

    /// A recording that has grown is to be looked through again.
    pub fn search_anew(&mut self) {
        let len = self.reader.len();
        if let Some(search) = (self.search.as_mut()).filter(|s| !s.under_way && s.len != len) {
            search.begin();
        }
    }

    /// What was found.
    pub fn found(&self) -> Option<&Outcome> {
        self.search.as_ref()?.outcome()
    }

    /// How much of the recording has been looked through, 0 to 1.
    pub fn searched(&self) -> f64 {
        let search = self.search.as_ref();
        if search.is_some_and(|s| !s.under_way) {
            return 1.0;
        }
        let pages = self.reader.pages().len().max(1);
        let page = search.map_or(0, |s| s.page);
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
