//! A wait that lasts: the kernel returns at once from a wait while anything is on its ready list, so a thread that sleeps proves
//! that what was believed ready is not. It polls what it finds there and takes off what has nothing to tell. Step: **model**.
//!
//! What the events say of a moment must not depend on who looks, so this is a rule of the fold: it holds [`PROOF_NS`] after
//! the wait began and is applied with the first event after that, or by [`Model::pass`] for a view that stands between two.

use super::facts::{Fidelity, Id, Sink, Why};
use super::loops::{LoopKind, Phase};
use super::registration::Kernel;
use super::states::At;
use super::{Model, Word};

/// How long a wait lasts that has not found anything: a wakeup under way takes less, on a machine that is not overloaded.
pub const PROOF_NS: u64 = 1_000_000;

impl Model {
    /// Time has passed up to `now`, without an event so far; `number` is that of the next one.
    pub fn pass<S: Sink + ?Sized>(&mut self, now: u64, number: u64, sink: &mut S) {
        if now >= self.doubtful_at {
            self.doubt_ready(now, number, sink);
        }
    }

    /// A wait begins on this loop while something of it is believed ready, or something is while it lasts.
    #[inline]
    pub(super) fn doubt_from(&mut self, loop_id: Id, t: u64) {
        if let Some(l) = self.loops.get_mut(loop_id as usize)
            && !l.believed.is_empty()
            // A thread asleep on one descriptor says nothing of the others.
            && l.kind != LoopKind::Threads
        {
            self.doubtful_at = self.doubtful_at.min(t.saturating_add(PROOF_NS));
            if !std::mem::replace(&mut l.doubtful, true) {
                self.doubtful.push(loop_id);
            }
        }
    }

    #[cold]
    fn doubt_ready<S: Sink + ?Sized>(&mut self, now: u64, number: u64, sink: &mut S) {
        self.doubtful_at = u64::MAX;
        let mut keep = std::mem::take(&mut self.doubtful);
        keep.retain(|loop_id| {
            let next = self.doubt_loop(*loop_id, now, number, sink);
            self.doubtful_at = self.doubtful_at.min(next.unwrap_or(u64::MAX));
            if let Some(l) = self.loops.get_mut(*loop_id as usize) {
                l.doubtful = next.is_some();
            }
            next.is_some()
        });
        self.doubtful = keep;
    }

    /// What of the loop is believed ready and proven not to be; when to look again, if anything may be proven by then.
    fn doubt_loop<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        now: u64,
        number: u64,
        sink: &mut S,
    ) -> Option<u64> {
        let l = self.loops.get(loop_id as usize)?;
        let asleep = l.threads.iter().filter_map(|ts| match ts.phase {
            Phase::Waiting { since, .. } => Some(since),
            _ => None,
        });
        // The one that has slept longest proves most.
        let asleep = asleep.min()?;
        let (mut due_next, mut proven) = (None::<u64>, Vec::new());
        for slot in &l.believed {
            let Some(reg) = self.regs.get(*slot) else {
                continue;
            };
            // Bytes that are known to wait are a better proof.
            let holds = reg.unread_fidelity == Fidelity::Measured && reg.unread.unwrap_or(0) > 0;
            if reg.word != Word::Ready || holds {
                continue;
            }
            let due = asleep.max(reg.since).saturating_add(PROOF_NS);
            match due <= now {
                true => proven.push((due, *slot)),
                false => due_next = Some(due_next.map_or(due, |next| next.min(due))),
            }
        }
        proven.sort_unstable();
        for (t, slot) in proven {
            if let Some(reg) = self.regs.get_mut(slot) {
                reg.s.drain = reg.not_ready();
            }
            self.set_kernel(slot, Kernel::Armed);
            let at = At { t, number, site: 0 };
            self.show(slot, at, Why::Slept, Fidelity::Inferred, sink);
        }
        due_next
    }
}
