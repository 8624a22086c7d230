//! What this machine offers a recorder, each with what it means and what to do about it. Every answer is tried out, not
//! looked up, where that is possible. Step: none of the pipeline; it explains why one may not start.

use super::machine::{self, line};
use super::memory::Memory;
use super::perf;
use super::rendezvous::{self, Rendezvous};
use crate::record::clock::Clock;
use crate::record::segment::Layout;
use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd;

/// How good an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Good,
    /// It works, with a limit.
    Limited,
    /// Something cannot work.
    Bad,
}

impl Grade {
    /// The word used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Grade::Good => "good",
            Grade::Limited => "limited",
            Grade::Bad => "bad",
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How good it is.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do, if anything needs doing.
    pub advice: Option<String>,
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Check {
        Check {
            name,
            grade: Grade::Good,
            found: found.into(),
            advice: None,
        }
    }

    fn but(name: &'static str, grade: Grade, found: impl Into<String>, advice: &str) -> Check {
        Check {
            name,
            grade,
            found: found.into(),
            advice: Some(advice.to_owned()),
        }
    }
}

/// Looks at everything.
pub fn examine() -> Vec<Check> {
    vec![
        Check::good("loopscope", env!("CARGO_PKG_VERSION")),
        Check::good("kernel", line("/proc/sys/kernel/osrelease")),
        clock(),
        memory(),
        rendezvous(),
        space(),
        files(),
        threads(),
        perf(),
        terminal(),
        colour(),
        encoding(),
    ]
}

fn clock() -> Check {
    let source = machine::clocksource();
    match machine::clock() {
        Clock::Tsc => Check::good("clock", format!("TSC (clocksource {source})")),
        Clock::Monotonic => Check::but(
            "clock",
            Grade::Limited,
            format!("clock_gettime (clocksource {source})"),
            "recording works, each event costs some nanoseconds more; the TSC is used only where CPUID calls it \
             invariant and the kernel keeps time by it",
        ),
    }
}

/// Makes the very segment a recording needs.
fn memory() -> Check {
    let layout = Layout::default();
    match Memory::create(layout, Clock::Monotonic, 0) {
        Ok((memory, _)) => Check::good(
            "shared memory",
            format!("sealed memfd of {} MiB", memory.bytes() >> 20),
        ),
        Err(error) => failed("shared memory", &error),
    }
}

fn rendezvous() -> Check {
    match Rendezvous::create(rendezvous::nonce()) {
        Ok(place) => {
            let base = place.path().parent().and_then(|p| p.parent());
            let base = base.map_or_else(String::new, |p| p.display().to_string());
            match std::env::var_os("XDG_RUNTIME_DIR") {
                Some(_) => Check::good("session directory", base),
                None => Check::but(
                    "session directory",
                    Grade::Limited,
                    format!("{base}; XDG_RUNTIME_DIR is not set"),
                    "nothing to do: the directory is only its user's anyway",
                ),
            }
        }
        Err(error) => failed("session directory", &error),
    }
}

/// An error's text is `what; what to do`.
fn failed(name: &'static str, error: &dyn std::error::Error) -> Check {
    let text = error.to_string();
    let (what, advice) = text.split_once("; ").unwrap_or((&text, ""));
    let cause = error
        .source()
        .map_or_else(String::new, |cause| format!(": {cause}"));
    Check::but(name, Grade::Bad, format!("{what}{cause}"), advice)
}

/// `demo` and `run` without -o record into a file without a name here.
fn space() -> Check {
    let dir = std::env::temp_dir();
    let shown = dir.display();
    let Ok(path) = std::ffi::CString::new(dir.as_os_str().as_encoded_bytes()) else {
        return Check::but(
            "TMPDIR",
            Grade::Bad,
            format!("{shown}"),
            "set TMPDIR to a directory",
        );
    };
    // SAFETY: zero is a valid statvfs; the path is a C string and both outlive the call.
    let (done, stat) = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut stat), stat)
    };
    if done != 0 {
        let error = io::Error::last_os_error();
        return Check::but(
            "TMPDIR",
            Grade::Bad,
            format!("{shown}: {error}"),
            "set TMPDIR to a directory you can write to",
        );
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let found = format!("{shown}, {} MiB free", free >> 20);
    match free {
        0..=0x3ff_ffff => Check::but(
            "TMPDIR",
            Grade::Limited,
            found,
            "live recordings without -o go there: free some space or set TMPDIR",
        ),
        _ => Check::good("TMPDIR", found),
    }
}

fn limit(which: libc::__rlimit_resource_t) -> (u64, u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a live rlimit; a constant the kernel knows.
    unsafe { libc::getrlimit(which, &mut limit) };
    (limit.rlim_cur, limit.rlim_max)
}

fn number(n: u64) -> String {
    match n {
        libc::RLIM_INFINITY => "unlimited".to_owned(),
        n => n.to_string(),
    }
}

fn files() -> Check {
    let (now, most) = limit(libc::RLIMIT_NOFILE);
    let found = format!("{} (ulimit -n), at most {}", number(now), number(most));
    match now {
        0..=255 => Check::but(
            "open files",
            Grade::Limited,
            found,
            "raise it: ulimit -n 1024",
        ),
        _ => Check::good("open files", found),
    }
}

fn threads() -> Check {
    let (now, _) = limit(libc::RLIMIT_NPROC);
    let (space, _) = limit(libc::RLIMIT_AS);
    let found = format!(
        "{} processes (ulimit -u), {} bytes of address space (ulimit -v)",
        number(now),
        number(space)
    );
    match space {
        0..=0x0fff_ffff => Check::but(
            "limits",
            Grade::Limited,
            found,
            "the rings need 16 MiB of address space in each program: raise ulimit -v",
        ),
        _ => Check::good("limits", found),
    }
}

/// Opens the events themselves: the paranoid level alone does not say what a container's seccomp filter does.
fn perf() -> Check {
    let level = line("/proc/sys/kernel/perf_event_paranoid");
    match perf::open(perf::Sampling::Off) {
        Ok(kernel) => Check::good(
            "perf_event_open",
            format!(
                "switches and page faults can be seen (perf_event_paranoid {level}, {} KiB a CPU)",
                kernel.ring_bytes() >> 10
            ),
        ),
        Err(refused) => Check {
            name: "perf_event_open",
            grade: Grade::Limited,
            found: format!("refused: {}", refused.because),
            advice: Some(format!(
                "recording works, but why a run was long is known in part only (schedstat, of runs longer than 20 ms); {}",
                refused.advice
            )),
        },
    }
}

fn terminal() -> Check {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return Check::but(
            "terminal",
            Grade::Limited,
            "stdout is no terminal",
            "without one there is no UI: commands print the text report instead",
        );
    }
    // SAFETY: zero is a valid winsize; TIOCGWINSZ fills it.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        libc::ioctl(stdout.as_raw_fd(), libc::TIOCGWINSZ, &mut size);
        size
    };
    let found = format!("{} columns, {} rows", size.ws_col, size.ws_row);
    match (size.ws_col, size.ws_row) {
        (60.., 16..) => Check::good("terminal", found),
        _ => Check::but(
            "terminal",
            Grade::Limited,
            found,
            "the UI needs 60x16: make the window larger",
        ),
    }
}

fn colour() -> Check {
    let term = std::env::var("TERM").unwrap_or_default();
    if std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) {
        return Check::good(
            "colour",
            "off (NO_COLOR); letters and shapes carry everything",
        );
    }
    match &*term {
        "" | "dumb" => Check::but(
            "colour",
            Grade::Limited,
            format!("TERM is \"{term}\""),
            "set TERM to what the terminal is, such as xterm-256color",
        ),
        _ => Check::good(
            "colour",
            format!("16 colours of the terminal's own (TERM {term})"),
        ),
    }
}

fn encoding() -> Check {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
        .unwrap_or_default();
    let lower = locale.to_lowercase();
    match lower.contains("utf-8") || lower.contains("utf8") {
        true => Check::good("encoding", locale),
        false => Check::but(
            "encoding",
            Grade::Limited,
            format!("locale \"{locale}\" is not UTF-8"),
            "the UI draws with ASCII; for the full picture set LC_ALL=C.UTF-8",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recording_needs_is_here_and_every_limit_has_advice() {
        let checks = examine();
        for check in &checks {
            assert!(!check.found.is_empty(), "{check:?}");
            assert_eq!(
                check.grade == Grade::Good,
                check.advice.is_none(),
                "{check:?}"
            );
        }
        let grade = |name| checks.iter().find(|c| c.name == name).map(|c| c.grade);
        assert_eq!(grade("shared memory"), Some(Grade::Good));
        assert_ne!(grade("session directory"), Some(Grade::Bad));
    }
}
