//! `loopscope record -- CMD…`: launches a program and records it, without a UI. Step: event → ring → **trace**.

use super::error::{Exit, Failure, Outcome};
use super::findings::{self, Checks};
use super::flight::Flight;
use super::output::{Output, is_stream, stdout_is_tty};
use super::signals;
use crate::capture::blind;
use crate::capture::collector::Outcome as Recorded;
use crate::capture::control::Control;
use crate::capture::launch::{self, Streams};
use crate::capture::live::{self, Live};
use crate::capture::perf::Sampling;
use crate::capture::rendezvous::Refused;
use crate::capture::session::{self, Plan, Target};
use crate::record::handshake::Status;
use crate::report::words::grouped;
use crate::text::visit::{self, quoted};
use crate::text::{visible, wallclock};
use crate::trace;
use crate::when;
use std::ffi::OsString;
use std::io::{IsTerminal, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Launch a program and record it
///
/// The program needs no change: a library preloaded into it, and into every program it starts, records its calls. What it
/// says itself through the loopscope crate is recorded with them. It keeps the terminal and ^C; the recording ends when it
/// and every process that joined have ended.
#[derive(clap::Args, Debug)]
#[command(override_usage = "loopscope record [OPTIONS] [--] <CMD>...")]
pub struct Args {
    /// The recording [default: NAME-YYYYMMDD-HHMMSS-PID.lscope]; - is stdout, the program's stdout then goes to stderr
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the recording of that name, once there is something to replace it by
    #[arg(long)]
    force: bool,
    /// Keep the file below this size by dropping the oldest part: 64MiB, 1GB (at least 256KiB)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_size: Option<u64>,
    /// End the recording after this time and leave the program running: 1.5s, 10m
    #[arg(long = "for", value_name = "D", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// When to ask, 997 times a second, which function runs
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub(super) stacks: Stacks,
    #[command(flatten)]
    flight: Flight,
    #[command(flatten)]
    checks: Checks,
    /// What it takes to be a finding, as `loopscope explain thresholds` prints it
    #[arg(long, value_name = "FILE", requires = "fail_on")]
    thresholds: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// When stacks are sampled.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default)]
pub(super) enum Stacks {
    /// While a thread computes for more than 4 ms, and a second after: a healthy loop pays nothing
    #[default]
    Stalls,
    /// All the time: a loop that sleeps often pays some percent
    Always,
    /// Never
    Off,
}

impl From<Stacks> for Sampling {
    fn from(stacks: Stacks) -> Sampling {
        match stacks {
            Stacks::Stalls => Sampling::Stalls,
            Stacks::Always => Sampling::Always,
            Stacks::Off => Sampling::Off,
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    when::duration(text)
        .filter(|ns| *ns > 0)
        .map(Duration::from_nanos)
        .ok_or_else(|| "a time is a number and a unit, like 1.5s, 300ms, 2min".to_owned())
}

pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || "a size is a number and a unit, like 512KiB, 64MiB, 1GB".to_owned();
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "k" | "kib" => 1 << 10,
        "mb" => 1_000_000,
        "m" | "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "g" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(scale))
        .ok_or_else(wrong)?;
    match bytes {
        ..trace::Options::LEAST_SIZE => Err("the smallest size that works is 256KiB".to_owned()),
        _ => Ok(bytes),
    }
}

pub(super) fn run(args: Args) -> Outcome {
    let stream = args.output.as_deref().filter(|path| is_stream(path));
    let to_stdout = stream == Some(Path::new("-"));
    if to_stdout && stdout_is_tty() {
        return Err(Failure::usage("cannot write a recording to a terminal")
            .hint("redirect stdout, or give a file name to -o")
            .into());
    }
    let checks = !args.checks.is_empty();
    let needs = [
        (checks, "a check needs a recording that it can read"),
        (
            args.flight.trigger.is_some(),
            "--trigger needs a name for what it saves",
        ),
    ];
    if let Some((_, why)) = needs.iter().find(|(asked, _)| *asked && stream.is_some()) {
        return Err(Failure::usage(*why).hint("give a file name to -o").into());
    }
    if args.flight.only_saves() && checks {
        return Err(Failure::usage(
            "a check needs the recording, of which --ring with --trigger keeps parts only",
        )
        .hint("check the parts: loopscope report FILE-1.lscope --fail-on CODE")
        .into());
    }
    let limits = findings::limits(args.thresholds.as_deref())?;
    let check = args.checks.read()?;
    let options = trace::Options {
        force: args.force,
        max_size: args.flight.ring.or(args.max_size),
    };
    let path = args.output.clone();
    let path = path.unwrap_or_else(|| PathBuf::from(default_name(&program_name(&args.command))));
    let target = match stream.is_some() || args.flight.only_saves() {
        true => Target::Unnamed {
            directory: std::env::temp_dir(),
            options,
        },
        false => Target::File {
            path: path.clone(),
            options,
        },
    };
    let streams = if to_stdout {
        Streams::StdoutToStderr
    } else {
        Streams::Inherit
    };
    let plan = Plan {
        warn: Some(warn),
        stacks: args.stacks.into(),
        ..plan(target, &args.command)
    };
    let caught = signals::catch()?;
    let live = start(plan, &args.command, streams, false)?;
    let handle = signals::handle(caught, live.control().clone(), live.teller())?;
    let watcher = args.flight.watch(live.control(), &path, args.force)?;
    if let Some(time) = args.duration {
        live::finish_after(time, live.control().clone(), live.teller())?;
    }
    let ended = live.join().map_err(explain)?;
    handle.close();
    let kept = match watcher {
        Some(watcher) => watcher.join(&args.flight, &ended, &path, args.force)?,
        None => stream.is_none(),
    };
    if stream.is_some() {
        // Whoever reads a pipe may come late, or never.
        signals::let_go();
        let mut file = &ended.file;
        file.rewind()
            .map_err(|e| Failure::new("cannot read back the recording").because(e))?;
        let mut out = Output::create(stream, false)?;
        out.copy(&mut file)?;
        out.finish()?;
    }
    let named = kept.then_some(path.as_path());
    let exit = exit_of(&ended, &program_name(&args.command), named)?;
    if kept {
        super::index::index(&path);
    }
    if kept && std::io::stderr().is_terminal() && ended.outcome.counts.records > 0 {
        tell(&ended.outcome, &path, "replay");
    }
    // A program that failed is what there is to tell first.
    if exit != Exit::OK || !checks {
        return Ok(exit);
    }
    let summary = super::report::summarise(&path, &limits, check.limits())?;
    let verdict = check.judge(&summary)?;
    check.tell(&summary, &mut std::io::stderr());
    check.tell_gone(&summary, &mut std::io::stderr());
    Ok(verdict)
}

/// Where stdout shows something else, a recording goes to a file.
pub(super) fn must_be_a_file(output: Option<&Path>) -> Result<(), Failure> {
    match output.filter(|path| is_stream(path)) {
        Some(path) => Err(Failure::usage(format!(
            "{} is no file that can be read while it grows",
            path.display()
        ))
        .hint("name a file, or use `loopscope record -o`")),
        None => Ok(()),
    }
}

/// A plan without a title or attachments.
pub(super) fn plan(target: Target, command: &[OsString]) -> Plan {
    Plan {
        target,
        command: command
            .iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect(),
        title: String::new(),
        stamped: false,
        preload: true,
        drives: false,
        stacks: Sampling::Stalls,
        blind: false,
        warn: None,
        attachments: Vec::new(),
    }
}

/// The command as a person would type it.
fn shell_words(argv: &[OsString]) -> String {
    let words = argv
        .iter()
        .map(|word| quoted(&word.to_string_lossy()).to_string());
    words.collect::<Vec<_>>().join(" ")
}

/// Starts recorder and program; the exit codes 126 and 127 are the program's.
pub(super) fn start(
    mut plan: Plan,
    argv: &[OsString],
    streams: Streams,
    output: bool,
) -> anyhow::Result<Live> {
    if plan.preload
        && let Some(name) = argv.first()
        && let Some(blind) = blind::before(name)
    {
        // A screen has its own way to say it.
        plan.blind = plan.warn.is_some();
        // Said before the program's own words. Nobody is left to tell when stderr fails.
        let _ = writeln!(
            std::io::stderr(),
            "warning: {} {blind}: nothing of it is recorded but what it tells through the loopscope crate\n\
             hint: to see its calls all the same: strace -f -e trace=desc,network,process {}",
            visible(&program_name(argv)),
            visible(&shell_words(argv)),
        );
    }
    Live::start(plan, argv, streams, output).map_err(explain)
}

/// What is found not to be seen while the program runs.
fn warn(missing: &str, because: &str, advice: &str) {
    // Nobody is left to tell when stderr fails.
    let _ = writeln!(
        std::io::stderr(),
        "warning: {} cannot be seen: {}\nhint: {}",
        visible(missing),
        visible(because),
        visible(advice)
    );
}

/// The exit code and advice that belong to a failure.
pub(super) fn explain(error: live::Error) -> anyhow::Error {
    let exit = match &error {
        live::Error::Launch(launch::Error::NotFound(_) | launch::Error::NoInterpreter(_)) => {
            Exit::NOT_FOUND
        }
        live::Error::Launch(launch::Error::NotExecutable(_) | launch::Error::Directory(_)) => {
            Exit::NOT_EXECUTABLE
        }
        live::Error::Session(session::Error::Trace(error)) => return trace_failure(error),
        _ => Exit::FAILURE,
    };
    let text = error.to_string();
    let (what, advice) = text.split_once("; ").unwrap_or((&text, ""));
    let mut failure = Failure::new(what).exit(exit);
    if !advice.is_empty() {
        failure = failure.hint(advice);
    }
    match std::error::Error::source(&error) {
        Some(source) => failure.because(source.to_string()).into(),
        None => failure.into(),
    }
}

fn trace_failure(error: &trace::Error) -> anyhow::Error {
    let text = error.to_string();
    match std::error::Error::source(error) {
        Some(source) => Failure::new(text).because(source.to_string()).into(),
        None => Failure::new(text).into(),
    }
}

/// The child's code if it is not 0; a recording without events, or one that could not be written, is our failure.
/// A file that holds what came before a failure stays, and that is said.
pub(super) fn exit_of(ended: &live::Ended, program: &str, file: Option<&Path>) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let by_us = ended.control.end_asked()
        && ended
            .status
            .is_some_and(|s| matches!(s.signal(), Some(libc::SIGTERM | libc::SIGKILL)));
    let exit = match ended.status {
        Some(status) if !by_us => Exit::of_child(status),
        _ => Exit::OK,
    };
    let ours = if exit == Exit::OK {
        Exit::FAILURE
    } else {
        exit
    };
    let file = file.filter(|_| ended.outcome.counts.tells_anything());
    if let Some(error) = &ended.outcome.failure {
        let (what, cause) = (error.to_string(), std::error::Error::source(error));
        let failure = Failure::new(what).exit(ours);
        // What to do about it is the error's own advice.
        let failure = match file {
            Some(path) => failure.hint(format!(
                "what came before is kept: loopscope replay {}",
                quoted(&path.display().to_string())
            )),
            None => failure,
        };
        return Err(match cause {
            Some(cause) => failure.because(cause.to_string()).into(),
            None => failure.into(),
        });
    }
    if ended.outcome.counts.told > 0 {
        if ended.outcome.idle && ended.outcome.unseen.is_none() {
            // Nobody is left to tell when stderr fails.
            let _ = writeln!(
                std::io::stderr(),
                "warning: {} registered with an epoll, and no wait on it was recorded\nhint: {WAITS_UNSEEN}",
                visible(program),
            );
        }
        return Ok(exit);
    }
    let (why, advice) = nothing_because(&ended.outcome, program);
    Err(Failure::new(why).hint(advice).exit(ours).into())
}

/// What to do where somebody has joined and no wait came.
const WAITS_UNSEEN: &str = "a program that makes these calls without libc (Go, rustix) must link the loopscope crate; a \
     server may just have ended too early: what did it print?";

/// Why a recording holds no event, and what to do about it.
fn nothing_because(outcome: &Recorded, program: &str) -> (String, String) {
    let program = visible(program);
    match outcome.refused {
        _ if program == env!("CARGO_PKG_NAME") => (
            format!("{program} records what it shows by itself, so nothing was left to record"),
            "`loopscope demo NAME --no-ui -o F` keeps a demo's recording".to_owned(),
        ),
        _ if let Some(unseen) = &outcome.unseen => (
            format!("nothing was recorded of a loop: {} cannot be seen: {}", unseen.missing, unseen.because),
            unseen.advice.clone(),
        ),
        _ if let Some(address) = &outcome.lonely => (
            format!("{program} listened on {address} and nobody came, so nothing was recorded of a loop"),
            format!("from another terminal, while it runs: {}", visit::command(address)),
        ),
        _ if outcome.joined > 0 => (
            format!("{program} waited in no epoll, poll or select call, so nothing was recorded of a loop"),
            format!("{WAITS_UNSEEN}; a child that is started with another LD_PRELOAD must keep the shim in it"),
        ),
        Some(Refused { status, .. }) if status != Status::Welcome => {
            let (why, advice) = status.refusal().split_once("; ").unwrap_or(("", ""));
            (why.to_owned(), advice.to_owned())
        }
        _ => (
            format!("{program} did not join the recording, so nothing was recorded"),
            "a program that is dynamically linked with glibc and not setuid is recorded as it is; any other must link \
             the loopscope crate and call loopscope::Recorder::from_env()"
                .to_owned(),
        ),
    }
}

/// What was recorded, and the next command to type.
pub(super) fn tell(outcome: &Recorded, path: &Path, next: &str) {
    let lost = match outcome.counts.lost() {
        0 => String::new(),
        n => format!(", {} lost", grouped(n)),
    };
    let switches = match outcome.counts.switches_lost() {
        0 => String::new(),
        n => format!(" ({} of the kernel's switch records are lost)", grouped(n)),
    };
    let name = path.display().to_string();
    // Nobody is left to tell when stderr fails.
    let _ = writeln!(
        std::io::stderr(),
        "recorded {} events{lost}{switches} in {}\nnext: loopscope {next} {}",
        grouped(outcome.counts.events),
        visible(&name),
        quoted(&name),
    );
}

/// The last part of the program's path.
pub(super) fn program_name(command: &[OsString]) -> String {
    let program = command.first().map(Path::new).and_then(Path::file_name);
    program.map_or_else(
        || "recording".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// `NAME-YYYYMMDD-HHMMSS-PID.lscope`, in local time.
pub(super) fn default_name(name: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || "._+-".contains(c);
    let name: String = name
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .take(64)
        .collect();
    let name = name.trim_start_matches(['.', '-']);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let local = wallclock::local(now.as_nanos() as u64);
    let digits: String = local
        .chars()
        .take(19)
        .filter(char::is_ascii_digit)
        .collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    format!("{name}-{date}-{time}-{}.lscope", std::process::id())
}

/// Copies the whole recording.
pub(super) fn copy(file: &std::fs::File, to: &mut impl Write) -> std::io::Result<()> {
    let mut from = file;
    from.seek(std::io::SeekFrom::Start(0))?;
    std::io::copy(&mut from, to)?;
    to.flush()
}

/// Where a recording without a name goes, and keeping it under the name the view asked for.
pub(super) fn save(file: &std::fs::File, control: &Control) -> anyhow::Result<Option<PathBuf>> {
    let Some((path, mut to)) = control.take_save() else {
        return Ok(None);
    };
    copy(file, &mut to).map_err(|e| {
        // What a failed copy leaves is the recording's beginning, and opens.
        Failure::new(format!(
            "cannot save all of the recording as {}",
            path.display()
        ))
        .hint("its beginning is there and can be replayed; free some space before the next try")
        .because(e)
    })?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_name_is_a_plain_file_name() {
        let name = default_name("../../evil name\u{202e}");
        let (stem, rest) = name.rsplit_once('-').unwrap();
        assert_eq!(rest, format!("{}.lscope", std::process::id()));
        assert!(stem.starts_with("_.._evil_name_-2"), "{stem}");
        assert!(!name.contains('/'));
        let time = stem.rsplit_once('-').unwrap().1;
        assert_eq!(time.len(), 6, "{name}");
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1gb"), Ok(1_000_000_000));
        assert_eq!(parse_size("300k"), Ok(300 << 10));
        for wrong in [
            "",
            "x",
            "1TB",
            "-5MB",
            "100",
            "1.5MiB",
            "99999999999999999999GB",
        ] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
