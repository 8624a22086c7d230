//! How long the events of a stretch of time took: a histogram each of notice, queue and run. Step: **model** → view.

use super::Histogram;
use super::codec::codec;
use super::facts::Run;

/// Buckets per power of two where many spectra are stored: a quantile is at most half too high.
const STORED: u8 = 1;

/// Three histograms over the same runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spectrum {
    /// Ready to wakeup, at most; what the loop slept of it is left out, as [`Run::waited`] does.
    pub notice: Histogram,
    /// Wakeup to handler start.
    pub queue: Histogram,
    /// Handler start to end.
    pub run: Histogram,
}

codec!(Spectrum { notice, queue, run });

impl Default for Spectrum {
    fn default() -> Self {
        Self::new(STORED)
    }
}

impl Spectrum {
    /// An empty one with histograms of 2^`bits` buckets per power of two.
    pub fn new(bits: u8) -> Self {
        let empty = || Histogram::new(bits);
        Self {
            notice: empty(),
            queue: empty(),
            run: empty(),
        }
    }

    /// Adds a run.
    pub fn add(&mut self, run: &Run) {
        if run.notice.is_some() {
            let notice = run.waited().hi.saturating_sub(run.queue());
            self.notice.record(notice);
        }
        self.queue.record(run.queue());
        self.run.record(run.run());
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Spectrum) {
        self.notice.merge(&other.notice);
        self.queue.merge(&other.queue);
        self.run.merge(&other.run);
    }

    /// Nothing ran.
    pub fn is_empty(&self) -> bool {
        self.run.is_empty()
    }
}
