//! Opens the kernel's events for a program that is about to be launched. Step: **event** → ring → trace.

use super::copied::BYTES;
use super::fold::Kernel;
use super::record::{FRAMES, REGISTERS, Samples};
use super::ring::Ring;
use super::stall::Sampling;
use perf_event_open_sys as perf;
use perf_event_open_sys::bindings::{
    PERF_COUNT_SW_CPU_CLOCK, PERF_COUNT_SW_PAGE_FAULTS, PERF_FLAG_FD_CLOEXEC, PERF_SAMPLE_ADDR,
    PERF_SAMPLE_CALLCHAIN, PERF_SAMPLE_REGS_USER, PERF_SAMPLE_STACK_USER, PERF_SAMPLE_TID,
    PERF_SAMPLE_TIME, PERF_TYPE_SOFTWARE, perf_event_attr,
};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Samples a second of a thread that computes: a prime number, so that nothing periodic keeps step with it.
const RATE: u64 = 997;
/// What a sample stands for, in nanoseconds.
pub(super) const PERIOD: u64 = 1_000_000_000 / RATE;

/// Pages of a CPU's ring: what an ordinary user may lock (516 KiB a CPU, perf_event_mlock_kb) is enough for two sessions.
const MOST_PAGES: usize = 64;
const FEWEST_PAGES: usize = 4;
/// Pages of all rings together, about: more CPUs have smaller ones.
const PAGES: usize = 2048;
/// The same of the rings of samples with a copy of the stack: at most, 60 ms of them find room, in the fewest that are worth it 15.
const MOST_COPY_PAGES: usize = 128;
const COPY_PAGES: usize = 4096;
const FEWEST_COPY_PAGES: usize = 32;

/// Why the kernel tells nothing.
#[derive(Debug, thiserror::Error)]
#[error("{because}")]
pub struct Refused {
    /// In a few words.
    pub because: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// Opens one event a CPU on the calling thread: what that launches from now on is told of, from its first exec on, with its
/// threads and children. The thread itself is not, but whatever else it launches would be. A second one says which function
/// computes, as far as that is wanted and permitted.
pub fn open(sampling: Sampling) -> Result<Kernel, Refused> {
    let cpus = cpus();
    let mut pages = MOST_PAGES;
    while pages > FEWEST_PAGES && pages * cpus.len() > PAGES {
        pages /= 2;
    }
    loop {
        match rings(&cpus, pages, faults, Samples::Faults) {
            Ok(mut all) => {
                if sampling != Sampling::Off {
                    all.extend(clocks(&cpus, pages, sampling == Sampling::Always));
                }
                return Ok(Kernel::new(all, sampling));
            }
            // Too much memory would be locked.
            Err((error, true)) if is_limit(&error) && pages > FEWEST_PAGES => pages /= 2,
            Err((error, mapping)) => return Err(refused(&error, mapping)),
        }
    }
}

/// Every CPU's ring of samples, in the kernel too where we may look there; none where it is refused. They are taken from the
/// program's start on, or when somebody says so. They bring copies of stacks where there is room for that.
fn clocks(cpus: &[u32], pages: usize, from_start: bool) -> Vec<Ring> {
    let mut large = MOST_COPY_PAGES;
    while large * cpus.len() > COPY_PAGES {
        large /= 2;
    }
    let mut ways = Vec::new();
    for only_user in [false, true] {
        let copies = [large, large / 2, large / 4].into_iter();
        let copies = copies.filter(|pages| *pages >= FEWEST_COPY_PAGES && !REGISTERS.is_empty());
        ways.extend(copies.map(|pages| (only_user, pages, Samples::Copies)));
        let few = [(pages / 4).max(FEWEST_PAGES), FEWEST_PAGES];
        ways.extend(few.map(|pages| (only_user, pages, Samples::Stacks)));
    }
    let all = ways.into_iter().find_map(|(only_user, pages, samples)| {
        let clock = |cpu| clock(cpu, only_user, from_start, samples);
        rings(cpus, pages, clock, samples).ok()
    });
    all.unwrap_or_default()
}

/// Every CPU's ring; or why not, and whether it was the memory that was refused.
fn rings(
    cpus: &[u32],
    pages: usize,
    event: impl Fn(u32) -> io::Result<OwnedFd>,
    samples: Samples,
) -> Result<Vec<Ring>, (io::Error, bool)> {
    let mut rings = Vec::with_capacity(cpus.len());
    for cpu in cpus {
        match event(*cpu) {
            Ok(event) => {
                let ring = Ring::map(event, pages, samples).map_err(|error| (error, true))?;
                rings.push(ring);
            }
            // It has been taken away since.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
            Err(error) => return Err((error, false)),
        }
    }
    match rings.is_empty() {
        true => Err((io::Error::from_raw_os_error(libc::ENODEV), false)),
        false => Ok(rings),
    }
}

/// The event of one CPU: page faults in user code one by one, and beside them every switch.
fn faults(cpu: u32) -> io::Result<OwnedFd> {
    let mut attr = perf_event_attr {
        config: u64::from(PERF_COUNT_SW_PAGE_FAULTS),
        sample_type: u64::from(PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR),
        ..common()
    };
    attr.__bindgen_anon_1.sample_period = 1;
    attr.set_context_switch(1);
    attr.set_exclude_kernel(1);
    on_cpu(attr, cpu)
}

/// The clock of one CPU: while a thread runs on it, the functions that are under way, as frame pointers tell them; and what they are
/// found out from where there are none.
fn clock(cpu: u32, only_user: bool, from_start: bool, samples: Samples) -> io::Result<OwnedFd> {
    let mut attr = perf_event_attr {
        config: u64::from(PERF_COUNT_SW_CPU_CLOCK),
        sample_type: u64::from(PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CALLCHAIN),
        sample_max_stack: FRAMES as u16,
        ..common()
    };
    attr.__bindgen_anon_1.sample_freq = RATE;
    attr.set_freq(1);
    attr.set_exclude_kernel(u64::from(only_user));
    attr.set_exclude_callchain_kernel(1);
    attr.set_enable_on_exec(u64::from(from_start));
    if samples == Samples::Copies {
        attr.sample_type |= u64::from(PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER);
        attr.sample_regs_user = wanted();
        attr.sample_stack_user = BYTES as u32;
    }
    on_cpu(attr, cpu)
}

/// The registers that are asked for.
fn wanted() -> u64 {
    REGISTERS.iter().fold(0, |all, (bit, _)| all | 1 << bit)
}

/// A breakpoint where this thread goes on: it fires once, and tells its registers.
#[cfg(target_arch = "x86_64")]
pub(super) fn trap(tid: u32, pc: u64) -> Option<Ring> {
    use perf::bindings::{HW_BREAKPOINT_X, PERF_TYPE_BREAKPOINT};
    let mut attr = perf_event_attr {
        type_: PERF_TYPE_BREAKPOINT,
        bp_type: HW_BREAKPOINT_X,
        sample_type: u64::from(PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_REGS_USER),
        sample_regs_user: wanted(),
        ..common()
    };
    attr.__bindgen_anon_3.bp_addr = pc;
    attr.__bindgen_anon_4.bp_len = size_of::<libc::c_long>() as u64;
    attr.__bindgen_anon_1.sample_period = 1;
    attr.set_exclude_kernel(1);
    attr.set_inherit(0);
    attr.set_enable_on_exec(0);
    let event = opened(attr, libc::pid_t::try_from(tid).ok()?, -1).ok()?;
    let trap = Ring::map(event, 1, Samples::Registers).ok()?;
    trap.fire_once().then_some(trap)
}

/// What it would tell is not known here.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn trap(_: u32, _: u64) -> Option<Ring> {
    None
}

/// What our events have in common.
fn common() -> perf_event_attr {
    let mut attr = perf_event_attr {
        size: size_of::<perf_event_attr>() as u32,
        type_: PERF_TYPE_SOFTWARE,
        clockid: libc::CLOCK_MONOTONIC,
        ..Default::default()
    };
    // Nobody sleeps on it: it wakes nobody before it is full.
    attr.set_watermark(1);
    attr.__bindgen_anon_2.wakeup_watermark = u32::MAX;
    attr.set_sample_id_all(1);
    attr.set_use_clockid(1);
    attr.set_inherit(1);
    attr.set_disabled(1);
    attr.set_enable_on_exec(1);
    attr.set_exclude_hv(1);
    attr
}

/// Of our own thread, on one CPU.
fn on_cpu(attr: perf_event_attr, cpu: u32) -> io::Result<OwnedFd> {
    let cpu = i32::try_from(cpu).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    opened(attr, 0, cpu)
}

fn opened(mut attr: perf_event_attr, tid: libc::pid_t, cpu: i32) -> io::Result<OwnedFd> {
    // SAFETY: a live attribute of the size it names; no group.
    let fd =
        unsafe { perf::perf_event_open(&mut attr, tid, cpu, -1, u64::from(PERF_FLAG_FD_CLOEXEC)) };
    match fd {
        // SAFETY: the kernel has just made it and nobody else owns it.
        0.. => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The numbers of the CPUs that are there.
fn cpus() -> Vec<u32> {
    let listed = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cpus = list(&listed);
    if !cpus.is_empty() {
        return cpus;
    }
    // SAFETY: takes an integer, returns one.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) };
    (0..u32::try_from(count).unwrap_or(1).clamp(1, MOST_CPUS)).collect()
}

const MOST_CPUS: u32 = 8192;

/// A list of the kernel's: `0-3,5`.
fn list(text: &str) -> Vec<u32> {
    let mut out = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            out.extend(first..=last.min(MOST_CPUS));
        }
    }
    out
}

fn is_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOMEM))
}

fn refused(error: &io::Error, mapping: bool) -> Refused {
    if mapping {
        return Refused {
            because: format!("no memory for perf_event_open's rings: {error}"),
            advice: "end other recordings of this user, or raise kernel.perf_event_mlock_kb",
        };
    }
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    match (error.raw_os_error(), level.trim().parse::<i32>()) {
        (Some(libc::EACCES | libc::EPERM), Ok(level @ 3..)) => Refused {
            because: format!("kernel.perf_event_paranoid is {level}"),
            advice: "sudo sysctl kernel.perf_event_paranoid=2, or record as root",
        },
        (Some(libc::EACCES | libc::EPERM), _) => Refused {
            because: format!("perf_event_open: {error}"),
            advice: "in a container, allow perf_event_open in its seccomp profile (--cap-add PERFMON)",
        },
        _ => Refused {
            because: format!("perf_event_open: {error}"),
            advice: "use a kernel with CONFIG_PERF_EVENTS",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(list("0-3,5\n"), [0, 1, 2, 3, 5]);
        assert_eq!(list("7"), [7]);
        assert!(list("").is_empty() && list("x-y").is_empty());
        assert_eq!(list("0-4294967295").len(), MOST_CPUS as usize + 1);
        assert!(!cpus().is_empty());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let no = io::Error::from_raw_os_error(libc::EACCES);
        for mapping in [false, true] {
            let refused = refused(&no, mapping);
            assert!(!refused.because.is_empty() && !refused.advice.is_empty());
        }
    }
}
