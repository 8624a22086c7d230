//! Bytes that lie behind on an edge-triggered descriptor whose sender goes on sending: every report takes less than there is,
//! and no silence ever shows it. Step: model → **view**.

use super::super::book::{Detail, Seen};
use super::super::facts::Cx;
use super::super::{Code, Confidence, Severity};
use crate::model::{Id, Map, Registration};

/// Registrations watched at once.
const MOST: usize = 16_384;
/// Reports in a row that were not drained, before it is a habit.
const REPORTS: u64 = 8;
/// Reports between two looks that both found bytes: those of the first look were told of long before the second.
const BETWEEN: u64 = 4;

/// A registration that was not drained since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backlog {
    /// Since its handler first left something behind.
    pub since: u64,
    /// The event that showed it.
    pub event: u64,
    /// Reports whose handler left something, all in a row.
    pub reports: u64,
    /// How many of these there were at the first look that found bytes.
    found: Option<u64>,
}

impl Backlog {
    /// The finding, of so many bytes.
    pub fn seen(&self, cx: &Cx<'_>, reg: &Registration, bytes: u64) -> Seen {
        let mut seen = cx.about(Code::EtNotDrained, reg);
        seen.at = self.since;
        seen.event = self.event;
        seen.worst = cx.now.saturating_sub(self.since);
        (seen.severity, seen.confidence) = match cx.blind {
            false => (Severity::Error, Confidence::Measured),
            true => (Severity::Info, Confidence::Maybe),
        };
        seen.detail = Detail {
            a: bytes,
            b: 0,
            c: self.reports,
        };
        seen
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Backlogs(Map<Id, Backlog>);

impl Backlogs {
    /// A handler has left something behind.
    pub fn left(&mut self, id: Id, t: u64, event: u64) {
        if let Some(backlog) = self.0.get_mut(&id) {
            backlog.reports += 1;
        } else if self.0.len() < MOST {
            let backlog = Backlog {
                since: t,
                event,
                reports: 1,
                found: None,
            };
            self.0.insert(id, backlog);
        }
    }

    /// Nothing is left, or nothing more is known.
    pub fn drained(&mut self, id: Id) {
        self.0.remove(&id);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Somebody has looked how many bytes wait: the backlog, where they show one.
    pub fn saw(&mut self, id: Id, bytes: u64) -> Option<Backlog> {
        if bytes == 0 {
            self.drained(id);
        }
        let backlog = self.0.get_mut(&id)?;
        let found = *backlog.found.get_or_insert(backlog.reports);
        (backlog.reports >= REPORTS && backlog.reports - found >= BETWEEN).then_some(*backlog)
    }
}
