//! What we cost: the CPU of this process (collector and UI) and what the pushes cost inside the recorded program.
//! Step: model → **view**.

use crate::capture::calibrate;
use std::time::{Duration, Instant};

/// Both in parts of one core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Collector and UI.
    pub ours: f64,
    /// Pushes times what one costs on this machine; absent when nothing is being recorded.
    pub inside: Option<f64>,
}

impl Cost {
    /// `cost 0.4+0.03%`, or in words where there is room.
    pub fn text(self, long: bool) -> String {
        let percent = |part: f64| match part * 100.0 {
            p if p >= 9.95 => format!("{p:.0}"),
            p if p >= 0.095 || p == 0.0 => format!("{p:.1}"),
            p if p >= 0.005 => format!("{p:.2}"),
            _ => "<0.01".to_owned(),
        };
        match (self.inside, long) {
            (None, _) => format!("cost {}%", percent(self.ours)),
            (Some(inside), false) => format!("cost {}+{}%", percent(self.ours), percent(inside)),
            (Some(inside), true) => format!(
                "cost {}% here, {}% in the program",
                percent(self.ours),
                percent(inside)
            ),
        }
    }
}

/// Measures at most once a second.
#[derive(Debug)]
pub struct Meter {
    wall: Instant,
    cpu: Duration,
    pushed: Option<u64>,
}

impl Meter {
    /// From now on.
    pub fn start() -> Self {
        Meter {
            wall: Instant::now(),
            cpu: cpu(),
            pushed: None,
        }
    }

    /// The cost since the last sample; `pushed` is how many events the recording has while it grows.
    pub fn sample(&mut self, pushed: Option<u64>) -> Option<Cost> {
        let wall = self.wall.elapsed();
        if wall < Duration::from_secs(1) {
            return None;
        }
        let now = cpu();
        let used = now.saturating_sub(self.cpu);
        let seconds = wall.as_secs_f64();
        let before = self.pushed.or(pushed);
        let inside = pushed.zip(before).and_then(|(now, before)| {
            let ns = calibrate::push_ns()?;
            Some(now.saturating_sub(before) as f64 * ns / 1e9 / seconds)
        });
        *self = Meter {
            wall: Instant::now(),
            cpu: now,
            pushed,
        };
        Some(Cost {
            ours: used.as_secs_f64() / seconds,
            inside,
        })
    }
}

fn cpu() -> Duration {
    // SAFETY: all zeroes is a valid timespec, and the call writes only to it.
    let spent = unsafe {
        let mut spent: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut spent);
        spent
    };
    Duration::new(
        spent.tv_sec.max(0) as u64,
        spent.tv_nsec.clamp(0, 999_999_999) as u32,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_costs_are_told_and_a_small_one_is_not_told_as_none() {
        let cost = |ours, inside| Cost { ours, inside };
        assert_eq!(cost(0.004, None).text(false), "cost 0.4%");
        assert_eq!(cost(0.123, Some(0.0003)).text(false), "cost 12+0.03%");
        assert_eq!(cost(0.02, Some(0.000_000_1)).text(false), "cost 2.0+<0.01%");
        assert_eq!(
            cost(0.02, Some(0.0)).text(true),
            "cost 2.0% here, 0.0% in the program"
        );
    }
}
