//! Descriptors that nobody closes. Step: model → **view**.

use super::super::book::{Cause, Detail, Entry};
use super::super::facts::{Cx, Hook, Life, Rule, Words};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use crate::model::{Id, Map, Model};

/// From one look at all descriptors to the next.
const WINDOW: u64 = 10_000_000_000;
/// A trend of fewer descriptors than this is none.
const GROWTH: u64 = 50;
/// Processes watched at once, and leaks told apart.
const MOST: usize = 4_096;

/// Open descriptors of a process, from window to window.
#[derive(Clone, Copy, Debug, Default)]
struct Trend {
    open: u64,
    last: u64,
    from: u64,
    rises: u64,
    since: (u64, u64),
    told: bool,
}

/// Ended or taken off its loop, and never closed; or ever more of them.
#[derive(Default)]
pub struct FdLeak {
    next: u64,
    told: Map<(Id, i32, u32), ()>,
    trends: Map<Id, Trend>,
}

impl FdLeak {
    /// Descriptors that have been done with for long.
    fn scan(&mut self, cx: &mut Cx<'_>, which: Option<Id>) {
        let (now, wait) = (cx.now, cx.limits.leak_after);
        let numbers = cx
            .tracks
            .numbers()
            .filter(|((of, _), _)| which.is_none_or(|p| p == *of));
        let leaks = numbers.filter_map(|((process, fd), story)| {
            let done = match (story.end, story.deleted) {
                (Some(end), deleted) => (end.max(deleted.unwrap_or(end)), 0),
                (None, Some(deleted)) => (deleted, 1),
                _ => return None,
            };
            let ((at, event), how) = done;
            let idle = story.touched <= at && now.saturating_sub(at) >= wait;
            idle.then_some((*process, *fd, story.generation, at, event, how))
        });
        let mut leaks: Vec<(Id, i32, u32, u64, u64, u64)> = leaks.collect();
        leaks.sort_unstable();
        for (process, fd, generation, at, event, how) in leaks {
            if self.told.len() >= MOST || self.told.insert((process, fd, generation), ()).is_some()
            {
                continue;
            }
            let mut seen = cx.about_number(Code::FdLeak, process, fd, generation);
            seen.cause = Cause::Errno(how as i32);
            (seen.at, seen.event) = (at, event);
            seen.worst = now.saturating_sub(at);
            seen.confidence = cx.absence(seen.process);
            seen.detail.a = how;
            cx.note(seen);
        }
    }
}

impl Rule for FdLeak {
    fn code(&self) -> Code {
        Code::FdLeak
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Life, Hook::Tick, Hook::Ending]
    }

    fn ending(&mut self, cx: &mut Cx<'_>, process: Id, thread: Option<Id>) {
        if thread.is_none() {
            self.scan(cx, Some(process));
        }
    }

    fn life(&mut self, _cx: &mut Cx<'_>, process: Id, life: Life) {
        let full = self.trends.len() >= MOST && !self.trends.contains_key(&process);
        match life {
            Life::Opened { .. } if !full => self.trends.entry(process).or_default().open += 1,
            Life::Closed { .. } => {
                if let Some(trend) = self.trends.get_mut(&process) {
                    trend.open = trend.open.saturating_sub(1);
                }
            }
            Life::Ended | Life::Exec => {
                self.trends.remove(&process);
            }
            _ => {}
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if cx.now < self.next && !cx.over {
            return;
        }
        let first = self.next == 0;
        self.next = (cx.now / WINDOW + 1).saturating_mul(WINDOW);
        let now = cx.now;
        self.scan(cx, None);
        if cx.over || first {
            return;
        }
        let mut rising: Vec<(Id, Trend)> = Vec::new();
        for (process, trend) in &mut self.trends {
            if trend.open > trend.last {
                if trend.rises == 0 {
                    trend.from = trend.last;
                    trend.since = (now, cx.event);
                }
                trend.rises += 1;
            } else {
                trend.rises = 0;
            }
            trend.last = trend.open;
            let grown = trend.open.saturating_sub(trend.from) >= GROWTH;
            if trend.rises >= cx.limits.leak_windows && grown && !trend.told {
                trend.told = true;
                rising.push((*process, *trend));
            }
        }
        rising.sort_unstable_by_key(|(process, _)| *process);
        for (process, trend) in rising {
            let mut seen = cx.about_number(Code::FdLeak, process, -1, 0);
            seen.cause = Cause::Process(process);
            (seen.at, seen.event) = trend.since;
            seen.severity = Severity::Info;
            seen.confidence = Confidence::Inferred;
            seen.worst = now.saturating_sub(trend.since.0);
            seen.detail = Detail {
                a: 2,
                b: trend.from,
                c: trend.open,
            };
            cx.note(seen);
        }
    }

    fn lost(&mut self) {
        self.trends.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let summary = match w.detail.a {
            0 => format!(
                "the end of {} was read {} ago, nothing was done with it since, and it is still open.",
                entry.who(),
                told(w.worst)
            ),
            1 => format!(
                "{} was taken off its loop {} ago, nothing was done with it since, and it is still open.",
                entry.who(),
                told(w.worst)
            ),
            _ => format!(
                "open descriptors rise and rise: from {} to {} within {}.",
                w.detail.b,
                w.detail.c,
                told(w.worst)
            ),
        };
        Words {
            summary,
            advice: "Close a descriptor on every path out of its handler; EPOLL_CTL_DEL does not close it.".to_owned(),
        }
    }
}
