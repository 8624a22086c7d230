//! A descriptor that is reported on every wait and of which nobody takes anything, while the loop goes on to serve others: the
//! busy-loop of one descriptor. Step: model → **view**.

use super::super::book::{Cause, Detail, Seen};
use super::super::facts::{Cx, Report};
use super::super::{Code, Confidence};
use crate::model::registration::{ERR, HUP, IN, PRI, RDHUP};
use crate::model::{Fidelity, Id, Map};
use crate::record::event::FdKind;

/// In [`Detail::b`]: one descriptor is reported on every wait.
pub(in super::super) const IGNORED: u64 = 2;

/// Registrations watched at once.
const MOST: usize = 1_024;
/// Reports from one judgement to the next.
const EVERY: u64 = 64;
const SECOND: u64 = 1_000_000_000;

/// Waits of a thread on a loop since it was first seen there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub waits: u64,
    /// Of those, the ones that slept.
    pub slept: u64,
}

/// Reports in a row about which nobody did anything.
#[derive(Clone, Copy, Debug)]
struct Row {
    loop_id: Id,
    thread: Id,
    since: (u64, u64),
    /// The waits of its thread until then.
    pace: Pace,
    /// Reports before events were lost in it.
    before: u64,
    /// The last one judged: when, and how many there were.
    last: (u64, u64),
    /// Events were lost since.
    lost: bool,
    /// They were, some time in it.
    doubt: bool,
}

/// All such rows.
#[derive(Default)]
pub(super) struct Ignored(Map<Id, Row>);

impl Ignored {
    /// A registration is reported; its thread's waits until now.
    pub fn report(&mut self, cx: &mut Cx<'_>, r: &Report<'_>, pace: Pace) {
        let (quiet, least) = (r.track.quiet, cx.limits.spin_reports.max(1));
        if quiet < least || !is_judged(r) {
            return;
        }
        if quiet == least {
            return self.begins(r, pace);
        }
        if !quiet.is_multiple_of(EVERY) {
            return;
        }
        let Some(row) = self.0.get_mut(&r.reg.id) else {
            return;
        };
        row.last = (r.t, quiet);
        let length = r.t.saturating_sub(row.since.0);
        if length < SECOND || row.thread != r.thread || cx.starts(r.process) {
            return;
        }
        let waits = pace.waits.saturating_sub(row.pace.waits);
        let slept = pace.slept.saturating_sub(row.pace.slept);
        let reports = row.before.saturating_add(quiet);
        let rate = reports.saturating_mul(SECOND) / length.max(1);
        let sleeps = slept.saturating_mul(100) > waits.saturating_mul(cx.limits.spinning_asleep);
        if rate < cx.limits.spinning_waits || sleeps {
            return;
        }
        let confidence = match row.doubt || !takes_are_seen(cx, r) {
            true => Confidence::Maybe,
            false => cx.absence(r.process),
        };
        let (at, event) = row.since;
        let seen = Seen {
            // The same as a loop's that does nothing else.
            cause: Cause::Thread(r.thread),
            thread: Some(r.thread),
            reg: Some(r.reg.id),
            fd: r.reg.fd,
            generation: r.reg.generation,
            at,
            event,
            worst: length,
            confidence,
            detail: Detail {
                a: rate,
                b: IGNORED,
                c: reports,
            },
            ..cx.about_loop(Code::BusyLoop, r.reg.loop_id)
        };
        cx.book.go_on(cx.model, cx.now, seen);
    }

    /// Nobody has done anything about so many reports.
    fn begins(&mut self, r: &Report<'_>, pace: Pace) {
        if let Some(row) = self.0.get_mut(&r.reg.id)
            && row.lost
            && row.thread == r.thread
            && r.t.saturating_sub(row.last.0) < SECOND
        {
            // It went on through a gap, as far as anybody knows.
            row.before = row.before.saturating_add(row.last.1);
            (row.lost, row.doubt) = (false, true);
            return;
        }
        if self.0.len() >= MOST {
            self.0
                .retain(|_, row| r.t.saturating_sub(row.last.0) < SECOND);
        }
        if self.0.len() < MOST || self.0.contains_key(&r.reg.id) {
            let row = Row {
                loop_id: r.reg.loop_id,
                thread: r.thread,
                since: r.track.quiet_since,
                pace,
                before: 0,
                last: (r.t, r.track.quiet),
                lost: false,
                doubt: false,
            };
            self.0.insert(r.reg.id, row);
        }
    }

    /// Bytes were moved from one descriptor to another on this loop, and only the other is known: which one was read is not.
    pub fn moved(&mut self, loop_id: Id) {
        if !self.0.is_empty() {
            self.0.retain(|_, row| row.loop_id != loop_id);
        }
    }

    pub fn lost(&mut self) {
        self.0.values_mut().for_each(|row| row.lost = true);
    }
}

/// It is told on every wait for as long as nobody takes what there is, and no other finding's: nothing but room, a hang-up.
fn is_judged(r: &Report<'_>) -> bool {
    let told = r.mask & (IN | PRI) != 0 && r.mask & (HUP | ERR | RDHUP) == 0;
    let level = !r.reg.is_edge() && !r.reg.is_oneshot() && r.reg.closed_ns.is_none();
    // What is ready inside a nested epoll is taken by waits on that one.
    told && level && r.reg.kind != FdKind::Epoll
}

/// Whoever took something from it would have been seen: there is no other way to, it was taken in a way that is seen before, or
/// the kernel says that it is still there. Streams of the C library read inside of it, devices have ways of their own.
fn takes_are_seen(cx: &Cx<'_>, r: &Report<'_>) -> bool {
    use FdKind::{Eventfd, Signalfd, TcpListener, Timerfd, UnixListener};
    let only = matches!(
        r.reg.kind,
        Eventfd | Signalfd | TcpListener | Timerfd | UnixListener
    );
    let story = cx.tracks.number(r.process, r.reg.fd);
    let waits = r.reg.unread_fidelity == Fidelity::Measured && r.reg.unread.unwrap_or(0) > 0;
    only || waits || story.is_some_and(|s| s.generation == r.reg.generation && s.read)
}
