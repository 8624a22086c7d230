//! Descriptors that are not what the program takes them for: closed and still reported, reused, shared with a forked
//! process, inherited by a started one. Step: model → **view**.

use super::super::book::{Cause, Detail, Entry};
use super::super::facts::{Changed, Cx, Done, Hook, Life, Report, Rule, Waited, Words};
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::times;
use crate::model::{Id, Kernel, Map, Model, Transition, Word};
use crate::record::event::{Ctl, FdKind, Op};

/// −EAGAIN
const AGAIN: i32 = -11;
/// Things watched at once by one rule.
const MOST: usize = 4_096;

/// A closed descriptor that is still reported.
pub struct GhostEvent;

impl Rule for GhostEvent {
    fn code(&self) -> Code {
        Code::GhostEvent
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Report]
    }

    fn report(&mut self, cx: &mut Cx<'_>, r: &Report<'_>) {
        if r.reg.kernel() != Some(Kernel::Ghost) {
            return;
        }
        // A fetch that came before the close is another finding's.
        let known = r.reg.fd >= 0;
        let mut seen = cx.about(Code::GhostEvent, r.reg);
        seen.cause = Cause::Reg(r.reg.id);
        seen.thread = Some(r.thread);
        let key = (seen.code, seen.loop_id, seen.process, seen.cause);
        let before = cx.book.times(key.0, key.1, key.2, key.3);
        if before >= cx.limits.ghost_reports {
            cx.book.extend(key, cx.now, 0, 1);
            return;
        }
        seen.severity = match before + 1 >= cx.limits.ghost_reports {
            true => Severity::Error,
            false => Severity::Info,
        };
        seen.confidence = if known {
            Confidence::Measured
        } else {
            Confidence::Maybe
        };
        seen.detail.a = u64::from(r.mask);
        cx.note(seen);
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} was closed, and is still reported ({}), {} so far: a dup or a forked process holds it open, and with its \
                 number closed no epoll_ctl can take it off.",
                entry.who(),
                crate::text::names::mask(w.detail.a as u32),
                times(w.times)
            ),
            advice: "EPOLL_CTL_DEL before every close; open with SOCK_CLOEXEC so that started programs do not hold copies."
                .to_owned(),
        }
    }
}

/// An event of the batch served on a number that means something else by then.
#[derive(Default)]
pub struct StaleEvent {
    /// Registrations that ended while they were fetched: their number and its generation.
    stale: Vec<(Id, i32, u32)>,
}

impl Rule for StaleEvent {
    fn code(&self) -> Code {
        Code::StaleEvent
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Transition, Hook::Done]
    }

    fn transition(&mut self, cx: &mut Cx<'_>, t: &Transition) {
        if t.to == Word::Stale && self.stale.len() < MOST {
            if let Some(reg) = cx.model.reg(t.reg).filter(|r| r.fd >= 0) {
                self.stale.push((t.reg, reg.fd, reg.generation));
            }
        } else if t.from == Word::Stale && t.to != Word::Running {
            self.stale.retain(|(id, ..)| *id != t.reg);
        }
    }

    fn done(&mut self, cx: &mut Cx<'_>, done: &Done<'_>) {
        if self.stale.is_empty() {
            return;
        }
        let Some(number) = done.number else { return };
        let hit = (self.stale.iter())
            .find(|(_, fd, generation)| *fd == done.fd && *generation < number.generation);
        let (Some((id, ..)), Some(busy)) = (hit.copied(), done.busy) else {
            return;
        };
        let Some(reg) = cx.model.reg(id) else { return };
        // Marked: the handler of the ended registration works on the number. Inferred: somebody reads a connection that is
        // not ready and was never reported, and finds nothing.
        let marked = !busy.inferred && busy.reg == Some(id);
        let guess = busy.inferred
            && done.result == AGAIN
            && matches!(done.op, Op::Read | Op::Recv)
            && done.track.is_none_or(|t| t.told.is_none());
        if !marked && !guess {
            return;
        }
        let mut seen = cx.about(Code::StaleEvent, reg);
        // Each time it is another connection, and the same handler.
        seen.cause = Cause::Role(reg.role);
        seen.loop_id = Some(busy.loop_id);
        seen.thread = Some(done.thread);
        (seen.severity, seen.confidence) = match marked {
            true => (Severity::Error, Confidence::Measured),
            false => (Severity::Info, Confidence::Maybe),
        };
        seen.detail = Detail {
            a: u64::from(number.generation),
            b: u64::from(done.op.code()),
            c: 0,
        };
        self.stale.retain(|(other, ..)| *other != id);
        cx.note(seen);
    }

    fn lost(&mut self) {
        self.stale.clear();
    }

    fn words(&self, _model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let op = Op::from_code(w.detail.b as u16).map_or("a call", Op::name);
        Words {
            summary: format!(
                "the event of {} was still in the batch when an earlier handler closed it and its number was opened again; \
                 the handler then made {op} on what the number means now. So it went {}.",
                entry.who(),
                times(w.times)
            ),
            advice: "Close descriptors at the end of the turn, or carry a generation in the data word and drop events of an \
                     old one."
                .to_owned(),
        }
    }
}

/// What others than its maker did with a loop.
#[derive(Clone, Copy, Debug, Default)]
struct Foreign {
    /// The last epoll_ctl: process, instant, event, operation, and whether it took what the maker had registered.
    ctl: Option<(Id, u64, u64, Ctl, bool)>,
    /// The first wait: process, instant, event.
    wait: Option<(Id, u64, u64)>,
    told: bool,
}

/// A forked process that changes its parent's registrations, or waits beside it.
#[derive(Default)]
pub struct ForkSharedEpoll {
    loops: Map<Id, Foreign>,
}

impl Rule for ForkSharedEpoll {
    fn code(&self) -> Code {
        Code::ForkSharedEpoll
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Ctl, Hook::Waited]
    }

    fn ctl(&mut self, cx: &mut Cx<'_>, ctl: &Changed<'_>) {
        let Some(l) = cx.model.loops().get(ctl.loop_id as usize) else {
            return;
        };
        if ctl.process == l.process || ctl.result < 0 || self.loops.len() >= MOST {
            return;
        }
        let taken = ctl.took.is_some_and(|owner| owner == l.process);
        let foreign = self.loops.entry(ctl.loop_id).or_default();
        foreign.ctl = Some((ctl.process, ctl.t, ctl.event, ctl.op, taken));
    }

    fn waited(&mut self, cx: &mut Cx<'_>, wait: &Waited) {
        let Some(l) = cx.model.loops().get(wait.loop_id as usize) else {
            return;
        };
        let maker = l.process;
        if wait.process != maker {
            if self.loops.len() < MOST || self.loops.contains_key(&wait.loop_id) {
                let foreign = self.loops.entry(wait.loop_id).or_default();
                foreign
                    .wait
                    .get_or_insert((wait.process, wait.t, wait.event));
            }
            return;
        }
        if self.loops.is_empty() {
            return;
        }
        let Some(foreign) = self.loops.get_mut(&wait.loop_id) else {
            return;
        };
        let (by, at, event, op) = match (foreign.ctl.take(), foreign.wait) {
            (Some((by, at, event, op, taken)), _) => (by, at, event, Some((op, taken))),
            (None, Some((by, at, event))) if !foreign.told => (by, at, event, None),
            _ => return,
        };
        foreign.told = true;
        let mut seen = cx.about_loop(Code::ForkSharedEpoll, wait.loop_id);
        seen.cause = Cause::Process(by);
        seen.process = by;
        (seen.at, seen.event) = (at, event);
        seen.confidence = Confidence::Measured;
        seen.severity = if op.is_some() {
            Severity::Error
        } else {
            Severity::Info
        };
        seen.detail = Detail {
            a: op.map_or(0, |(op, _)| u64::from(op.code())),
            b: u64::from(op.is_some_and(|(_, taken)| taken)),
            c: u64::from(maker),
        };
        cx.note(seen);
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let pid = |id: u64| model.processes().get(id as usize).map_or(0, |p| p.pid);
        let (child, maker) = (pid(u64::from(w.process)), pid(w.detail.c));
        let op = Ctl::from_code(w.detail.a as u16)
            .map_or("", Ctl::name)
            .to_uppercase();
        let summary = match (w.detail.a, w.detail.b) {
            (0, _) => format!(
                "process {child} waits on the epoll that process {maker} made and waits on, too."
            ),
            (_, 1) => format!(
                "process {child} took a registration of process {maker} off the epoll that both use (EPOLL_CTL_{op}, {}).",
                times(w.times)
            ),
            _ => format!(
                "process {child} changed the epoll that process {maker} made and goes on using (EPOLL_CTL_{op}, {}): there is \
                 one interest list for both.",
                times(w.times)
            ),
        };
        Words {
            summary,
            advice: "Make a new epoll after fork, and close the inherited one without touching its registrations.".to_owned(),
        }
    }
}

/// An epoll descriptor in a started program.
#[derive(Clone, Copy, Debug)]
struct Heir {
    process: Id,
    fd: i32,
    generation: u32,
    at: u64,
    event: u64,
    seen: bool,
}

/// A program started by execve that holds its parent's epoll.
#[derive(Default)]
pub struct ExecInheritedEpoll {
    heirs: Vec<Heir>,
}

impl Rule for ExecInheritedEpoll {
    fn code(&self) -> Code {
        Code::ExecInheritedEpoll
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Life, Hook::Tick]
    }

    fn life(&mut self, cx: &mut Cx<'_>, process: Id, life: Life) {
        match life {
            Life::Exec => {
                let model = cx.model;
                self.heirs.retain(|h| h.process != process);
                for (fd, number) in model.numbers(process) {
                    let others = model
                        .loop_through(process, fd)
                        .and_then(|id| model.loops().get(id as usize));
                    let others = others.is_some_and(|l| l.process != process);
                    let kept = number.kind == FdKind::Epoll && number.cloexec == Some(false);
                    if kept && others && self.heirs.len() < MOST {
                        self.heirs.push(Heir {
                            process,
                            fd,
                            generation: number.generation,
                            at: cx.now,
                            event: cx.event,
                            seen: false,
                        });
                    }
                }
            }
            // A look at its descriptors: it would have told that this one is gone.
            Life::Seen { .. } => {
                for heir in self.heirs.iter_mut().filter(|h| h.process == process) {
                    heir.seen = true;
                }
            }
            Life::Closed { fd } => self.heirs.retain(|h| (h.process, h.fd) != (process, fd)),
            Life::Ended => self.heirs.retain(|h| h.process != process),
            Life::Opened { .. } => {}
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        let (now, wait) = (cx.now, cx.limits.inherited);
        let mut index = 0;
        while let Some(heir) = self.heirs.get(index).copied() {
            if now.saturating_sub(heir.at) < wait {
                index += 1;
                continue;
            }
            self.heirs.swap_remove(index);
            let number = cx.model.number(heir.process, heir.fd);
            if number.is_none_or(|n| n.generation != heir.generation) {
                continue;
            }
            let mut seen = cx.about_number(
                Code::ExecInheritedEpoll,
                heir.process,
                heir.fd,
                heir.generation,
            );
            seen.loop_id = cx.model.loop_through(heir.process, heir.fd);
            (seen.at, seen.event) = (heir.at, heir.event);
            seen.worst = now.saturating_sub(heir.at);
            // close-on-exec may have been set later, by a call that is not recorded.
            (seen.severity, seen.confidence) = match heir.seen {
                true => (Severity::Warning, Confidence::Measured),
                false => (Severity::Info, Confidence::Maybe),
            };
            cx.note(seen);
        }
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let process = model.processes().get(w.process as usize);
        let pid = process.map_or(0, |p| p.pid);
        Words {
            summary: format!(
                "process {pid} was started by execve and still holds fd {}, the epoll of the process that started it, for {} \
                 or more: every registration lives as long as it does.",
                w.fd,
                told(w.worst)
            ),
            advice: "Make the epoll with epoll_create1(EPOLL_CLOEXEC).".to_owned(),
        }
    }
}
