//! What the collector knows of one ring besides what lies in it. Step: **ring** → trace.

use super::procfs::Proc;
use crate::record::event::Cause;
#[cfg(feature = "cli")]
use crate::record::event::Op;
use crate::record::ring::{Consumer, Drained};
use crate::trace::merge::Merge;

/// What the collector knows of one ring.
pub(super) struct Ring {
    pub consumer: Consumer,
    /// Its thread, `tid | pid << 32`, as it calls itself; 0 free.
    pub owner: u64,
    /// The same by our numbers.
    pub who: u64,
    /// Its count of lost records at the last pass, if that is more than its markers have told.
    pub untold: Option<u64>,
    /// When the call was entered of which it was told that it lasts; 0 of none.
    pub inside: u64,
    pub quiet: bool,
    /// Its thread has waited for a loop's events.
    pub serves: bool,
    /// Its thread has claimed another since: it was exec'd, or joined another recording of ours.
    pub stale: bool,
}

impl Ring {
    /// Of nobody so far.
    pub fn new(consumer: Consumer) -> Self {
        Ring {
            consumer,
            owner: 0,
            who: 0,
            untold: None,
            inside: 0,
            quiet: true,
            serves: false,
            stale: false,
        }
    }
}

#[cfg(feature = "cli")]
impl Ring {
    /// Their threads, as far as a look at them asks.
    pub fn threads(rings: &[Ring]) -> Vec<super::perf::Thread> {
        let taken = rings.iter().filter(|ring| ring.owner != 0);
        let thread = |ring: &Ring| {
            let call = ring.consumer.call().parts();
            super::perf::Thread {
                who: ring.who,
                silent: ring.quiet,
                serves: ring.serves,
                calls: call.is_some(),
                waits: call.is_some_and(|(op, ..)| op == Op::Wait),
            }
        };
        taken.map(thread).collect()
    }
}

/// What came out of a ring and was no record.
pub(super) fn tell_damage(
    merge: &mut Merge,
    at: usize,
    who: Option<u64>,
    done: &Drained,
    now: u64,
) {
    for (cause, n) in [
        (Cause::Torn, done.torn),
        (Cause::Rejected, done.rejected),
        (Cause::Newer, done.newer),
    ] {
        if n > 0 {
            merge.lose(at, who, cause, n, now, &mut Proc::default());
        }
    }
}
