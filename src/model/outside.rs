//! A loop taken from outside: its thread sleeps in another loop's wait, and asks this one only what there is. A Ruby
//! EventMachine polls its epoll descriptor and then calls epoll_wait with time-out 0; GLib and Qt carry other loops along like
//! that, and an epoll may wait on another. Its turn ends where the wait outside begins, and that sleep is its sleep too.
//! Step: **model**.

use super::Model;
use super::NONE;
use super::facts::{Id, Part, Sink};
use super::loops::Phase;
use super::process::Seat;
use super::run::MAX_NESTED;
use super::states::At;

/// Waits that all had time-out 0 after which a loop nobody is known to watch counts as one that never sleeps itself. A
/// program's start asks a few times without sleeping, before its own loop comes to rest.
const NEVER_SLEEPS: u64 = 16;

impl Model {
    /// The thread enters the wait of `seat`: its other loops that this wait stands for have their turn behind them. A loop
    /// inside of whose handler, timer or task the thread is keeps its turn: there the wait is a call that blocks it.
    pub(super) fn set_aside<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        seat: Seat,
        at: At,
        sink: &mut S,
    ) {
        let mut outer = vec![seat.loop_id];
        let turn = self.seat(seat).filter(|ts| ts.in_turn).map(|ts| ts.wakeup);
        let mut others = self.others(thread, seat);
        // A loop that waits on one that waits on another: from the outside in.
        while let Some(next) = others.iter().position(|s| self.is_idle(*s, &outer, turn)) {
            let other = others.swap_remove(next);
            self.end_turn(other, at, sink);
            let ended = (self.loops.get(other.loop_id as usize)).is_some_and(|l| l.ended.is_some());
            if ended {
                continue;
            }
            self.segment(other, at.t, Part::Wait, NONE, sink);
            outer.push(other.loop_id);
            if let Some(ts) = self.seat(other) {
                ts.phase = Phase::Elsewhere { since: at.t };
            }
        }
    }

    /// The wait outside is over: the thread is awake on all its loops.
    pub(super) fn come_back<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        seat: Seat,
        at: At,
        sink: &mut S,
    ) {
        for other in self.others(thread, seat) {
            let Some(l) = self.loops.get_mut(other.loop_id as usize) else {
                continue;
            };
            let Some(ts) = l.threads.get_mut(other.at as usize) else {
                continue;
            };
            if let Phase::Elsewhere { since } = ts.phase {
                l.wait_ns = l.wait_ns.saturating_add(at.t.saturating_sub(since));
                ts.phase = Phase::Rest { since: at.t };
                self.segment(other, at.t, Part::Rest, NONE, sink);
            }
        }
    }

    /// A poll entered while the handlers of `open` run is the wait of the loop outside them, not a call of theirs: all of
    /// them are inferred, of loops that never sleep themselves, and the thread has such a loop.
    pub(super) fn polls_outside(&self, open: &[Seat], own: Option<Seat>) -> bool {
        own.is_some()
            && open.iter().all(|seat| {
                let l = self.loops.get(seat.loop_id as usize);
                let ts = l.and_then(|l| l.threads.get(seat.at as usize));
                ts.is_some_and(|ts| ts.inferred_run()) && self.never_sleeps(*seat)
            })
    }

    /// The places the thread has on other loops, the newest.
    fn others(&self, thread: Id, seat: Seat) -> Vec<Seat> {
        match self.threads.get(thread as usize).map(|t| &t.work.seats[..]) {
            None | Some([] | [_]) => Vec::new(),
            Some(seats) => {
                let others = seats.iter().rev().filter(|s| **s != seat);
                others.take(MAX_NESTED).copied().collect()
            }
        }
    }

    /// Nothing is under way there, and a wait on one of `outer` is where its thread sleeps: that loop watches it, or its turn
    /// began inside the turn that is over now (`turn` is its wakeup), or it never sleeps itself.
    fn is_idle(&self, seat: Seat, outer: &[Id], turn: Option<u64>) -> bool {
        let Some(l) = self.loops.get(seat.loop_id as usize) else {
            return false;
        };
        let Some(ts) = l.threads.get(seat.at as usize) else {
            return false;
        };
        if !matches!(ts.phase, Phase::Rest { .. }) || ts.run.is_some() {
            return false;
        }
        if l.ended.is_some() {
            // Nobody will wait on it again.
            return ts.in_turn;
        }
        let inside = ts.in_turn && turn.is_some_and(|wakeup| ts.wakeup >= wakeup);
        inside || self.watched(l.id).any(|id| outer.contains(&id)) || self.never_sleeps(seat)
    }

    /// All its waits had time-out 0, and it is watched by another loop (of a helper thread, perhaps) or has been asked often.
    fn never_sleeps(&self, seat: Seat) -> bool {
        let l = self.loops.get(seat.loop_id as usize);
        let ts = l.and_then(|l| l.threads.get(seat.at as usize));
        ts.is_some_and(|ts| {
            !ts.slept && (ts.waits >= NEVER_SLEEPS || self.watched(seat.loop_id).next().is_some())
        })
    }

    /// The loops that wait on the descriptor of this one, as far as known.
    fn watched(&self, loop_id: Id) -> impl Iterator<Item = Id> + '_ {
        let l = self.loops.get(loop_id as usize);
        let process = l.and_then(|l| self.processes.get(l.process as usize));
        let fds = l.into_iter().flat_map(|l| l.epfds.iter().take(4));
        let descs = fds.filter_map(move |fd| Some(process?.fds.get(*fd).desc));
        let of_it = descs
            .filter(move |desc| self.descs.get(*desc).and_then(|d| d.loop_id) == Some(loop_id));
        of_it
            .flat_map(|desc| self.regs_of(desc))
            .filter_map(|slot| Some(self.regs.get(slot)?.loop_id))
    }
}
