//! What a recording's header says about the machine and the program. Step: **trace**.
#![forbid(unsafe_code)]

use crate::record::clock::{Anchor, Clock};
use crate::record::segment::Layout;
use crate::trace::Meta;
use std::fs;

/// The kernel's clocksource, empty if it does not say.
pub fn clocksource() -> String {
    line("/sys/devices/system/clocksource/clocksource0/current_clocksource")
}

/// The clock to stamp events with on this machine.
pub fn clock() -> Clock {
    Clock::best(&clocksource())
}

/// The header of a recording that starts at `start`: everything but what only its maker knows (command, title, pid).
pub fn meta(clock: Clock, start: Anchor, layout: Layout) -> Meta {
    Meta {
        tool: concat!("loopscope ", env!("CARGO_PKG_VERSION")).to_owned(),
        source: "library".to_owned(),
        cwd: std::env::current_dir()
            .map(|dir| dir.to_string_lossy().into_owned())
            .unwrap_or_default(),
        started_ns: start.real,
        monotonic_ns: start.mono,
        kernel: line("/proc/version"),
        cpu: cpu(),
        cpus: std::thread::available_parallelism().map_or(0, |n| n.get() as u32),
        boot_id: line("/proc/sys/kernel/random/boot_id"),
        clock: clock.name().to_owned(),
        clocksource: clocksource(),
        ring_bytes: layout.bytes().unwrap_or(0) as u64,
        kernel_ready: "bounded".to_owned(),
        handlers: "measured".to_owned(),
        ..Meta::default()
    }
}

/// The first line of a small file of the kernel's; empty if it cannot be read.
pub(super) fn line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(':'))
        .map(|(_, model)| model.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_knows_this_machine() {
        let clock = clock();
        let meta = meta(clock, Anchor::take(clock), Layout::default());
        assert!(meta.kernel.starts_with("Linux version"), "{}", meta.kernel);
        assert!(meta.cpus > 0 && meta.started_ns > 1_600_000_000_000_000_000);
        assert!(["tsc", "monotonic"].contains(&&*meta.clock));
    }
}
