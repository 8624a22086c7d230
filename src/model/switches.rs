//! The kernel's switch records and page faults find their thread; calls that end explain its sleeps. Step: **model**.

use super::Model;
use super::counted::Counters;
use super::cpu::Why;
use super::facts::{Id, Sink};
use super::spent::{BlockedIn, Spent};
use super::stack::Sample;
use super::states::At;
use crate::record::event::{Event, Kind, Mode, Off, Op};

/// Who waits changes while a thread sleeps: the sleep is weighed piece by piece, in nanoseconds.
const TICK: u64 = 1_000_000;
/// Pieces at most; a longer sleep has longer ones.
const MOST_TICKS: u64 = 1_000;

impl Model {
    /// A switch record or page faults.
    pub(super) fn switched(&mut self, thread: Id, e: &Event, at: At) {
        let Some(t) = self.threads.get_mut(thread as usize) else {
            return;
        };
        // Nobody asks how one spends its time that is on no loop.
        let keep = !t.work.seats.is_empty();
        let cpu = &mut t.work.cpu;
        if e.kind != Kind::Fault {
            cpu.on(at.t, e.x);
        }
        match e.kind {
            Kind::SwitchOut => {
                let preempted = e.aux == Off::Preempted.code();
                t.work.looked.out(preempted);
                cpu.out(at.t, preempted, keep);
            }
            Kind::SwitchIn => {
                t.work.looked.comes_back(at.t);
                match Off::from_code(e.aux) {
                    Some(Off::Stopped) => cpu.seen_off(Why::Stopped),
                    Some(Off::InCall) => cpu.seen_off(Why::InCall),
                    _ => {}
                }
                cpu.back(at.t, keep);
            }
            Kind::Fault => {
                let count = u64::try_from(e.x).unwrap_or(0);
                cpu.fault(at.t.saturating_sub(e.y), at.t, count, keep);
            }
            _ => {}
        }
    }

    /// Since when a thread has been asleep that has not come back, nobody has said in what; nothing if it is not known to be.
    pub fn asleep_since(&self, thread: Id) -> Option<u64> {
        let off = self.threads.get(thread as usize)?.work.cpu.off?;
        (off.why == Why::Slept).then_some(off.since)
    }

    /// What the kernel counts of a thread, as the collector read it.
    pub(super) fn counted(&mut self, process: Id, e: &Event, at: At) {
        let of = |t: &&mut super::process::Thread| {
            t.tid == e.x && t.process == process && t.ended.is_none()
        };
        if let Some(t) = self.threads.iter_mut().rev().find(of) {
            let keep = !t.work.seats.is_empty();
            let read = Counters {
                t: at.t,
                ran: e.arg,
                waited: e.y,
                runnable: e.aux != 0,
            };
            t.work.cpu.count(read, keep);
        }
    }

    /// A clock found the thread on its CPU; or it has slept, and that is told as so many samples as a clock would have taken.
    pub(super) fn sampled<S: Sink + ?Sized>(
        &self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let asleep = e.aux == Mode::Asleep.code();
        let parts = match asleep {
            true => (e.arg / TICK).clamp(1, MOST_TICKS),
            false => 1,
        };
        let ns = e.arg / parts;
        for part in (1..=parts).rev() {
            sink.sample(&Sample {
                t: match asleep {
                    true => {
                        at.t.saturating_sub(ns.saturating_mul(part).saturating_sub(ns / 2))
                    }
                    false => at.t,
                },
                thread,
                process,
                stack: u32::try_from(e.x).unwrap_or(0),
                ns,
                in_kernel: e.aux == Mode::Kernel.code(),
                asleep,
            });
        }
    }

    /// Switch records are missing from this instant on.
    pub(super) fn lose_switches(&mut self, since: u64) {
        for t in self.threads.iter_mut().filter(|t| t.ended.is_none()) {
            let keep = !t.work.seats.is_empty();
            t.work.cpu.unknown(since, keep);
        }
    }

    /// A call has returned: what the thread slept since `entry` it slept in there.
    #[inline]
    pub(super) fn slept_in(
        &mut self,
        thread: Id,
        entry: u64,
        exit: u64,
        call: (Option<Op>, u32, i32),
    ) {
        if let Some(t) = self.threads.get_mut(thread as usize) {
            let (op, name, fd) = call;
            t.work.cpu.call(entry, exit, Why::Call(op, name, fd));
        }
    }

    /// How the thread spent a stretch of the turn it is in.
    #[inline]
    pub(super) fn spent(&self, thread: Id, from: u64, to: u64) -> (Spent, Option<BlockedIn>) {
        match self.threads.get(thread as usize) {
            Some(t) => t.work.cpu.spent(from, to),
            None => (Spent::default(), None),
        }
    }
}
