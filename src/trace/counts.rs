//! What a merge has written, and what was lost on the way. Step: ring → **trace**.
#![forbid(unsafe_code)]

use crate::record::event::Cause;

/// What a merge has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events written.
    pub events: u64,
    /// Of them, records that came out of rings.
    pub records: u64,
    /// Of these, those that tell of a loop or were said by the program itself: a wait, a run, a mark, not the calls that
    /// every program makes.
    pub told: u64,
    /// Of the records, late ones.
    pub late: u64,
    /// Records lost, by [`Cause`] code.
    pub lost: [u64; 11],
}

impl Counts {
    /// Records of the program that are lost, for any cause.
    pub fn lost(&self) -> u64 {
        self.lost.iter().sum::<u64>() - self.switches_lost() - self.samples_lost()
    }

    /// There were events of a program, or there would have been.
    pub fn tells_anything(&self) -> bool {
        self.told > 0 || self.lost() > 0
    }

    /// Of what the kernel tells of threads and their CPUs: no event of the program is missing with them.
    pub fn switches_lost(&self) -> u64 {
        self.lost[Cause::Switches as usize]
    }
    /// Samples that the kernel had no room for.
    pub fn samples_lost(&self) -> u64 {
        self.lost[Cause::Samples as usize]
    }
    pub(super) fn lose(&mut self, cause: u16, n: u64) {
        if let Some(count) = self.lost.get_mut(cause as usize) {
            *count = count.saturating_add(n);
        }
    }
}

impl Cause {
    /// What is lost was the kernel's to tell: no event of the program is missing.
    pub const fn is_the_kernels(self) -> bool {
        matches!(self, Cause::Switches | Cause::Samples)
    }
}
