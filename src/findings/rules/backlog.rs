//! Bytes that lie behind on an edge-triggered descriptor whose sender goes on sending: every report takes less than there is,
//! and no silence ever shows it. Step: model → **view**.

use super::super::book::{Detail, Entry, Seen};
use super::super::facts::{Cx, Words};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::times;
use crate::model::{Id, Map, Registration};
use crate::record::event::FdKind;

/// Registrations watched at once.
const MOST: usize = 16_384;
/// Reports in a row that were not drained, before it is a habit.
const REPORTS: u64 = 8;
/// Reports between two looks that both found bytes: those of the first look were told of long before the second.
const BETWEEN: u64 = 4;

/// What waits on it are connections.
pub(super) fn is_listener(kind: FdKind) -> bool {
    matches!(kind, FdKind::TcpListener | FdKind::UnixListener)
}

/// In [`Detail::b`]: what was left are connections.
pub(super) const LISTENER: u64 = 2;

/// A listener from which not all connections are taken.
pub(super) fn of_listener(entry: &Entry) -> Words {
    let w = &entry.worst;
    let summary = match w.detail.c {
        0 => format!(
            "the handler of {} stopped accepting before EAGAIN {}; connections that came together with the last one, if any, have \
             waited for {}: edge-triggered, epoll does not report them again.",
            entry.who(),
            times(w.times),
            told(w.worst)
        ),
        reports => format!(
            "the handler of {} took connections after each of {reports} reports in a row, for {}, and never went on until EAGAIN: \
             edge-triggered, connections that come together are one report, so all but the first wait in the listener's queue until \
             others come, and it never gets shorter.",
            entry.who(),
            told(w.worst)
        ),
    };
    Words {
        summary,
        advice: "Accept in a loop until EAGAIN after each report; or ask again with EPOLL_CTL_MOD; or drop EPOLLET.".to_owned(),
    }
}

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
            b: u64::from(is_listener(reg.kind)) * LISTENER,
            c: self.reports,
        };
        seen
    }
}

impl Backlog {
    /// The finding about a listener of which each report took a connection and never met EAGAIN. Nobody looks how many wait, but two
    /// that come together are one report. Where several threads wait, the second has woken another of them.
    pub fn of_listener(&self, cx: &Cx<'_>, reg: Id) -> Option<Seen> {
        let reg = cx.model.reg(reg).filter(|reg| is_listener(reg.kind))?;
        let its_loop = cx.model.loops().get(reg.loop_id as usize)?;
        if its_loop.threads.len() > 1 {
            return None;
        }
        let mut seen = self.seen(cx, reg, 0);
        (seen.severity, seen.confidence) = match cx.absence(reg.process) {
            Confidence::Maybe => (Severity::Info, Confidence::Maybe),
            sure => (Severity::Warning, sure),
        };
        seen.times = match self.reports {
            REPORTS => REPORTS,
            _ => 1,
        };
        Some(seen)
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Backlogs(Map<Id, Backlog>);

impl Backlogs {
    /// A handler has left something behind: the backlog, once that is a habit.
    pub fn left(&mut self, id: Id, t: u64, event: u64) -> Option<Backlog> {
        if let Some(backlog) = self.0.get_mut(&id) {
            backlog.reports += 1;
            return (backlog.reports >= REPORTS).then_some(*backlog);
        }
        if self.0.len() < MOST {
            let backlog = Backlog {
                since: t,
                event,
                reports: 1,
                found: None,
            };
            self.0.insert(id, backlog);
        }
        None
    }

    /// It is a listener's habit.
    pub fn is_told(&self, reg: &Registration) -> bool {
        let backlog = self.0.get(&reg.id).filter(|_| is_listener(reg.kind));
        backlog.is_some_and(|b| b.reports >= REPORTS)
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
