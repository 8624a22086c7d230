//! `loopscope demo CODE`: the small reproduction of a real bug that makes this finding fire, broken or repaired.
//! Step: event → … → **view**, of a program that is compiled or interpreted on this machine.

use super::demo;
use super::drawn::Drawn;
use super::error::{Exit, Failure, Outcome};
use super::output::Output;
use super::place::Place;
use super::record;
use super::run::unnamed;
use super::watch::{Watch, first_size, watch};
use crate::capture::launch::Streams;
use crate::capture::live::{Live, end_after};
use crate::capture::pty::Size;
use crate::capture::session::{Plan, Target};
use crate::findings::{Code, Confidence, Outcome as Found, Severity, Thresholds};
use crate::report::{self, text};
use crate::trace::Reader;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One reproduction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reproduction {
    /// What its file is called.
    file: &'static str,
    source: &'static str,
}

macro_rules! reproductions {
    ($($file:literal,)*) => {
        /// Every one, by its file.
        const ALL: &[Reproduction] = &[$(Reproduction {
            file: $file,
            source: include_str!(concat!("../../tests/corpus/", $file)),
        },)*];
    };
}

reproductions! {
    "batch_full.py", "blocking_handler.py", "busy_loop.py", "computing_handler.py", "data_names_other_fd.c", "eof_ignored.py",
    "et_eof_missed.py", "et_not_drained.py", "exec_inherited_epoll.c", "fd_leak.py", "fd_left_blocking.py", "fd_limit_spin.py",
    "fork_shared_epoll.py", "ghost_event.py", "greedy_handler.py", "hangup_spin.py", "idle_wakeups.py",
    "interest_without_in.py", "late_timer.py", "long_handler.c", "long_iteration.py", "never_registered.py",
    "oneshot_not_rearmed.py", "page_fault_stall.c", "periodic_timerfd_unread.c", "preempted_handler.c",
    "registration_churn.py", "registration_failed.py", "short_write_dropped.py", "signal_starved.c", "spurious_wakeup.py", "stale_event.c",
    "starvation.py", "thundering_herd.c", "timer_spin.c", "worker_skew.c", "writable_spin.py",
}

/// What they share.
const SHARED: [(&str, &str); 2] = [
    ("lab.py", include_str!("../../tests/corpus/lab.py")),
    ("loopscope.h", include_str!("../../docs/loopscope.h")),
];

/// One that does not end by itself is ended.
const BOUND: Duration = Duration::from_secs(60);

/// Found where it should not be, or not found.
const DOES_NOT_HOLD: Exit = Exit(1);

/// The reproduction of a code.
pub(super) fn find(name: &str) -> Option<Reproduction> {
    let mut all = ALL.iter().copied();
    all.find(|r| r.said("code").any(|code| code == name))
}

/// Every code that has one, and the bug.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let said = |r: &Reproduction, key| r.said(key).next().unwrap_or_default();
    ALL.iter().map(move |r| (said(r, "code"), said(r, "bug")))
}

/// How it is run.
pub(super) struct How<'a> {
    /// The repaired twin.
    pub fixed: bool,
    /// A report instead of the screen.
    pub headless: bool,
    /// Where the recording is kept.
    pub output: Option<&'a Path>,
    /// A file that is there is replaced.
    pub force: bool,
    /// How it is drawn.
    pub drawn: Drawn,
}

impl Reproduction {
    /// What the first lines of its source say of a key: `// code: busy-loop`.
    fn said(self, key: &'static str) -> impl Iterator<Item = &'static str> {
        let lines = self.source.lines();
        let head = lines.map_while(|l| l.strip_prefix("# ").or_else(|| l.strip_prefix("// ")));
        let pairs = head.filter_map(|line| line.split_once(": "));
        pairs.filter_map(move |(k, value)| (k == key).then_some(value))
    }

    fn code(self) -> Option<Code> {
        self.said("code").next()?.parse().ok()
    }

    /// The defaults, with what would take an hour otherwise.
    fn thresholds(self) -> Thresholds {
        let own: Vec<&str> = self.said("threshold").collect();
        let defaults = Thresholds::default();
        defaults
            .clone()
            .overridden(&own.join("\n"))
            .unwrap_or(defaults)
    }

    fn title(self, fixed: bool) -> String {
        let code = self.said("code").next().unwrap_or_default();
        format!("{code} {}", if fixed { "fixed" } else { "broken" })
    }

    /// It is found: as a warning or worse, as the effect of one, or as what it is at most.
    fn is_in(self, found: &Found, code: Code) -> bool {
        let info = self.said("severity").any(|s| s == "info");
        found.found.iter().any(|f| {
            let sure = f.severity >= Severity::Warning
                || (info && f.code == code && f.confidence != Confidence::Maybe);
            sure && f.is(code)
        })
    }
}

/// The program's command, once its files are there and compiled.
fn prepare(one: Reproduction, place: &Place) -> anyhow::Result<Vec<OsString>> {
    for (name, text) in SHARED {
        place.put(name, text)?;
    }
    let file = place.put(one.file, one.source)?;
    let missing = |what: &str, packages: &str| {
        Failure::new(format!(
            "{what} is needed for {} and is not installed",
            one.file
        ))
        .hint(format!("install {packages}, then try again"))
    };
    if one.file.ends_with(".py") {
        let mut asked = Command::new("python3");
        asked
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        return match asked.status() {
            Ok(_) => Ok(vec!["python3".into(), "-B".into(), file.into()]),
            Err(_) => Err(missing(
                "python3",
                "python3 (apt install python3, dnf install python3)",
            )
            .into()),
        };
    }
    let program = place.path().join("program");
    let made = Command::new("cc")
        .args(["-O1", "-D_GNU_SOURCE", "-pthread", "-w", "-I"])
        .arg(place.path())
        .arg("-o")
        .arg(&program)
        .arg(&file)
        .output();
    match made {
        Ok(made) if made.status.success() => Ok(vec![program.into()]),
        Ok(made) => {
            let said = String::from_utf8_lossy(&made.stderr)
                .trim()
                .replace('\n', "; ");
            Err(Failure::new(format!("cc cannot compile {}", one.file))
                .hint(said)
                .into())
        }
        Err(_) => Err(missing(
            "cc",
            "a C compiler (apt install gcc libc6-dev, dnf install gcc)",
        )
        .into()),
    }
}

/// Runs it on the screen, or prints its report and whether the finding fires as it should.
pub(super) fn run(one: Reproduction, how: &How<'_>) -> Outcome {
    let place = Place::new()?;
    let mut argv = prepare(one, &place)?;
    argv.extend(how.fixed.then(|| "fixed".into()));
    let target = match how.output {
        Some(path) => Target::File {
            path: path.to_owned(),
            options: demo::options(how.force),
        },
        None => unnamed(),
    };
    let size = if how.headless {
        Size::default()
    } else {
        first_size()
    };
    let live = start(one, how.fixed, target, &argv, size)?;
    if !how.headless {
        return watch(
            live,
            Watch {
                name: one.title(how.fixed),
                path: how.output.map(Path::to_owned),
                program: "the reproduction".to_owned(),
                drawn: how.drawn,
                demo: None,
            },
        );
    }
    let ended = demo::finish(live, how.output)?;
    let mut reader = Reader::from_file(ended.file, one.file)?;
    judge(one, how, &mut reader)
}

fn start(
    one: Reproduction,
    fixed: bool,
    target: Target,
    argv: &[OsString],
    size: Size,
) -> anyhow::Result<Live> {
    let code = one.said("code").next().unwrap_or_default();
    let mut command: Vec<String> = ["loopscope", "demo", code].map(str::to_owned).to_vec();
    command.extend(fixed.then(|| "--fixed".to_owned()));
    let plan = Plan {
        command,
        title: one.title(fixed),
        attachments: vec![(one.file.to_owned(), one.source.as_bytes().to_vec())],
        ..record::plan(target, argv)
    };
    let live = record::start(plan, argv, Streams::Pty(size), true)?;
    end_after(BOUND, live.control().clone(), live.teller())?;
    Ok(live)
}

/// The report, and whether it says what it should.
fn judge(one: Reproduction, how: &How<'_>, reader: &mut Reader) -> Outcome {
    let summary = report::fold(reader, &one.thresholds(), &mut |_| ())?;
    let found = match (&summary.findings, one.code()) {
        (Some(found), Some(code)) => one.is_in(found, code),
        _ => false,
    };
    let file = how.output.map(|p| p.display().to_string());
    let mut out = Output::stdout();
    out.text(&report::to_text(
        &summary,
        &text::Options {
            top: 10,
            file: file.as_deref(),
        },
    ))?;
    let code = one.said("code").next().unwrap_or_default();
    let bug = one.said("bug").next().unwrap_or_default();
    let (claim, holds) = match how.fixed {
        false => (format!("{code} is found in the broken program"), found),
        true => (
            format!("{code} is not found in the repaired program"),
            !found,
        ),
    };
    let verdict = if holds { "yes" } else { "NO" };
    out.text(&format!("\nreproduces {bug}\n  {verdict:3}  {claim}\n"))?;
    out.finish()?;
    if let Some(path) = how.output {
        demo::tell_next(path);
    }
    Ok(if holds { Exit::OK } else { DOES_NOT_HOLD })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_corpus_is_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
        let mut files: Vec<String> = (std::fs::read_dir(folder).unwrap())
            .map(|file| file.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name != "lab.py" && (name.ends_with(".py") || name.ends_with(".c")))
            .collect();
        files.sort();
        let mine: Vec<&str> = ALL.iter().map(|r| r.file).collect();
        assert_eq!(files, mine);
    }

    #[test]
    fn every_code_has_one_that_can_be_read() {
        for code in Code::ALL {
            let one = find(code.name()).unwrap_or_else(|| panic!("{code} has none"));
            assert_eq!(one.code(), Some(*code));
            assert!(one.said("bug").next().is_some(), "{code}");
            let own: Vec<&str> = one.said("threshold").collect();
            assert_eq!(own.is_empty(), one.thresholds() == Thresholds::default());
        }
    }
}
