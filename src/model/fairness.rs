//! Jain's index over xᵢ = runᵢ ÷ (runᵢ + queueᵢ): over the whole recording and over tumbling windows of 1 s.
//! Step: **model**.

use super::Model;
use super::codec::codec;
use super::facts::{Fairness, Id, Run, Sink};

/// Length of a fairness window.
pub const WINDOW_NS: u64 = 1_000_000_000;

/// n, Σx and Σx² of a set of shares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub n: u64,
    pub sum: f64,
    pub squares: f64,
}

codec!(Sums { n, sum, squares });

impl Sums {
    pub fn add(&mut self, run: u64, queue: u64) {
        let x = share(run, queue);
        self.n += 1;
        self.sum += x;
        self.squares += x * x;
    }

    /// Jain's index; `None` without any fd.
    pub fn index(&self) -> Option<f64> {
        match self.n {
            0 => None,
            1 => Some(1.0),
            n if self.squares > 0.0 => {
                Some((self.sum * self.sum / (n as f64 * self.squares)).min(1.0))
            }
            // Every share is 0: nobody is better off than anybody.
            _ => Some(1.0),
        }
    }
}

/// One fd's x: 1 when it never waited, also for a run too short to measure.
fn share(run: u64, queue: u64) -> f64 {
    if queue == 0 {
        1.0
    } else {
        run as f64 / (run as f64 + queue as f64)
    }
}

/// The current 1 s window of a loop and the result of the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// Number of the window: its start ÷ 1 s, plus one; 0 before the first run.
    pub number: u64,
    /// Registrations (slots) with runs in it.
    pub touched: Vec<u32>,
    /// The longest wait (at most) seen in the current window, and whose.
    pub longest: Option<(u32, u64)>,
}

codec!(Window {
    number,
    touched,
    longest
});

impl Model {
    /// Adds a run to the loop's fairness window; closes the window before it.
    pub(super) fn share_window<S: Sink + ?Sized>(
        &mut self,
        loop_id: Id,
        run: &Run,
        slot: u32,
        sink: &mut S,
    ) {
        let Some(l) = self.loops.get_mut(loop_id as usize) else {
            return;
        };
        let number = run.end / WINDOW_NS + 1;
        if number > l.window.number {
            let mut sums = Sums::default();
            for slot in l.window.touched.drain(..) {
                if let Some(reg) = self
                    .regs
                    .get(slot)
                    .filter(|r| r.s.window == l.window.number && r.loop_id == loop_id)
                {
                    sums.add(reg.s.window_run, reg.s.window_queue);
                }
            }
            if let Some(index) = sums.index() {
                sink.fairness(&Fairness {
                    loop_id,
                    start: l.window.number.saturating_sub(1) * WINDOW_NS,
                    index,
                    fds: u32::try_from(sums.n).unwrap_or(u32::MAX),
                    longest: l.window.longest,
                });
            }
            l.window.number = number;
            l.window.longest = None;
        }
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        if reg.s.window != l.window.number {
            reg.s.window = l.window.number;
            reg.s.window_run = 0;
            reg.s.window_queue = 0;
            l.window.touched.push(slot);
        }
        reg.s.window_run = reg.s.window_run.saturating_add(run.run());
        reg.s.window_queue = reg.s.window_queue.saturating_add(run.queue());
        let wait = run.waited().hi;
        if l.window.longest.is_none_or(|(_, longest)| wait > longest) {
            l.window.longest = Some((run.reg, wait));
        }
    }
}
