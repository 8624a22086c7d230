//! What the hypervisor takes of a virtual machine's CPUs, as /proc/stat counts it: read about ten times a second while
//! events come, once a second otherwise, and told only where it has grown. Step: **event → ring** (for the collector's own
//! events).
//!
//! The kernel knows it to the nanosecond (the paravirtual steal clock) and tells it nowhere else: perf's clocks go on while
//! the CPU stands still, and schedstat counts the time as run.

use std::time::{Duration, Instant};

use crate::record::event::{Kind, STEAL_TICK};
use crate::record::wire::Rec;

/// Between two readings while events come.
const BUSY: Duration = Duration::from_millis(100);
/// Between two while none do.
const IDLE: Duration = Duration::from_secs(1);
/// So many times as long as it took is left between two readings: on a large machine it takes milliseconds.
const SHARE: u32 = 200;
/// CPUs read at most.
const MOST: usize = 4_096;

/// One reading of /proc/stat.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// When it began, and how long it took.
    pub at: Instant,
    pub took: Duration,
    /// Ticks stolen of each CPU since the machine started.
    pub cpus: Vec<(i32, u64)>,
}

/// Reads what was stolen so far.
pub(super) fn read() -> Option<Reading> {
    let at = Instant::now();
    let text = std::fs::read("/proc/stat").ok()?;
    let cpus = parse(&text)?;
    Some(Reading {
        at,
        took: at.elapsed(),
        cpus,
    })
}

/// The ticks stolen of each CPU; nothing where the kernel does not count them.
fn parse(text: &[u8]) -> Option<Vec<(i32, u64)>> {
    let mut cpus = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        let Some(rest) = line.strip_prefix(b"cpu") else {
            break;
        };
        let mut words = std::str::from_utf8(rest).ok()?.split(' ');
        let name = words.next()?;
        // user nice system idle iowait irq softirq steal
        let stolen = words.filter(|w| !w.is_empty()).nth(7)?.parse().ok()?;
        // The first line is the sum.
        if let Ok(cpu) = name.parse()
            && cpus.len() < MOST
        {
            cpus.push((cpu, stolen));
        }
    }
    (!cpus.is_empty()).then_some(cpus)
}

/// A hypervisor is beneath us, or has been.
fn is_virtual(reading: &Reading) -> bool {
    reading.cpus.iter().any(|(_, ticks)| *ticks > 0) || hypervisor()
}

#[cfg(target_arch = "x86_64")]
fn hypervisor() -> bool {
    // Leaf 1, bit 31 of ECX: no processor sets it, every hypervisor does.
    std::arch::x86_64::__cpuid(1).ecx >> 31 & 1 != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn hypervisor() -> bool {
    false
}

/// The readings of a recording. On a machine that is none of a hypervisor's there is only the first.
#[derive(Debug, Default)]
pub(super) struct Steal {
    last: Option<Reading>,
    /// That it is counted has been said.
    introduced: bool,
    /// The next reading has been asked for.
    asked: bool,
    /// Events have come since.
    events: bool,
}

impl Steal {
    /// The first reading.
    pub fn begin() -> Steal {
        Steal::of(read().filter(is_virtual))
    }

    fn of(last: Option<Reading>) -> Steal {
        Steal {
            last,
            ..Steal::default()
        }
    }

    /// Events have come.
    pub fn heard(&mut self) {
        self.events = true;
    }

    /// Whether it is time to read again.
    pub fn is_due(&self) -> bool {
        let pause = if self.events { BUSY } else { IDLE };
        let due = |last: &Reading| last.at.elapsed() >= pause.max(last.took.saturating_mul(SHARE));
        !self.asked && self.last.as_ref().is_some_and(due)
    }

    /// The next reading has been asked for.
    pub fn ask(&mut self) {
        (self.asked, self.events) = (true, false);
    }

    /// It is counted at all.
    pub fn is_counted(&self) -> bool {
        self.last.is_some()
    }

    /// That it is counted, once.
    pub fn introduction(&mut self) -> Option<Rec> {
        let last = self.last.as_ref().filter(|_| !self.introduced)?;
        self.introduced = true;
        Some(rec(last.cpus.len(), -1, 0, 0))
    }

    /// A reading has come: what has grown since the one before, to be told as of now.
    pub fn came(&mut self, reading: Option<Reading>) -> Vec<Rec> {
        self.asked = false;
        let (Some(reading), Some(last)) = (reading, &mut self.last) else {
            return Vec::new();
        };
        // The kernel accounts at its ticks: what it tells now may have been before the reading before.
        let since = u64::try_from(last.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let since = since.saturating_add(STEAL_TICK);
        let before = |at: usize, cpu: i32| match last.cpus.get(at) {
            Some((same, ticks)) if *same == cpu => Some(*ticks),
            // CPUs come and go.
            _ => last.cpus.iter().find(|(c, _)| *c == cpu).map(|(_, t)| *t),
        };
        let all = reading.cpus.len();
        let grown = reading
            .cpus
            .iter()
            .enumerate()
            .filter_map(|(at, (cpu, ticks))| {
                let more = ticks.saturating_sub(before(at, *cpu)?);
                (more > 0).then(|| rec(all, *cpu, more.saturating_mul(STEAL_TICK), since))
            });
        let grown = grown.collect();
        *last = reading;
        grown
    }
}

fn rec(cpus: usize, cpu: i32, stolen: u64, since: u64) -> Rec {
    Rec {
        kind: Kind::Steal,
        aux: u16::try_from(cpus).unwrap_or(u16::MAX),
        fd: -1,
        x: cpu,
        arg: stolen,
        y: (since > 0).then_some(since),
        ..Rec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &[u8] = b"cpu  9 8 7 6 5 4 3 21 1 0\ncpu0 1 1 1 1 1 1 1 20 0 0\ncpu12 1 1 1 1 1 1 1 1 0 0\nintr 5 cpu\n";

    fn reading(cpus: &[(i32, u64)]) -> Reading {
        Reading {
            at: Instant::now(),
            took: Duration::ZERO,
            cpus: cpus.to_vec(),
        }
    }

    #[test]
    fn the_eighth_column_of_each_cpu_is_read() {
        assert_eq!(parse(STAT), Some(vec![(0, 20), (12, 1)]));
        // A kernel that has no such column, and what is none of it.
        assert_eq!(parse(b"cpu  1 2 3 4\ncpu0 1 2 3 4\n"), None);
        assert_eq!(parse(b"cpu  1 2 3 4 5 6 7 -8\n"), None);
        assert_eq!(parse(b"intr 1\n"), None);
        assert_eq!(parse(b""), None);
        for cut in 0..STAT.len() {
            let _ = parse(&STAT[..cut]);
        }
    }

    #[test]
    fn this_machine_can_be_read() {
        let cpus = read().unwrap().cpus;
        assert!(cpus.iter().any(|(cpu, _)| *cpu >= 0));
    }

    #[test]
    fn what_grew_is_told_of_its_cpu_and_nothing_else() {
        let mut steal = Steal::of(Some(reading(&[(0, 5), (1, 7), (3, 1)])));
        let told = steal.introduction().unwrap();
        assert_eq!((told.x, told.arg, told.aux, told.y), (-1, 0, 3, None));
        assert_eq!(steal.introduction(), None);
        assert!(
            steal
                .came(Some(reading(&[(0, 5), (1, 7), (3, 1)])))
                .is_empty()
        );
        // CPU 1 has gone, CPU 4 is new, and CPU 0's sum went back.
        let recs = steal.came(Some(reading(&[(0, 4), (3, 3), (4, 9)])));
        assert_eq!(recs.len(), 1);
        assert_eq!((recs[0].x, recs[0].arg, recs[0].aux), (3, 20_000_000, 3));
        assert!(recs[0].y.is_some_and(|y| y >= STEAL_TICK));
        assert!(steal.came(None).is_empty());
        let recs = steal.came(Some(reading(&[(0, 6)])));
        assert_eq!((recs[0].x, recs[0].arg), (0, 20_000_000));
    }

    #[test]
    fn it_is_read_again_when_events_come_and_only_where_it_is_counted() {
        let long_ago = |ago: Duration, took: Duration| Reading {
            at: Instant::now().checked_sub(ago).unwrap(),
            took,
            cpus: vec![(0, 0)],
        };
        let mut steal = Steal::of(Some(long_ago(BUSY * 2, Duration::ZERO)));
        assert!(!steal.is_due(), "nothing has come");
        steal.heard();
        assert!(steal.is_due());
        steal.ask();
        steal.heard();
        assert!(!steal.is_due(), "it has been asked for");
        assert!(Steal::of(Some(long_ago(IDLE * 2, Duration::ZERO))).is_due());
        let mut dear = Steal::of(Some(long_ago(BUSY * 2, BUSY)));
        dear.heard();
        assert!(!dear.is_due(), "it takes too long for that");
        let mut none = Steal::of(None);
        none.heard();
        assert!(!none.is_due() && none.introduction().is_none());
        assert!(none.came(Some(reading(&[(0, 9)]))).is_empty());
    }
}
