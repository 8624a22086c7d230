//! `loopscope run -- CMD…`: launches a program in a terminal pane of its own and watches it live.
//! Step: event → ring → trace → model → **view**, all at once.

use super::drawn::Drawn;
use super::error::Outcome;
use super::output::has_a_screen;
use super::record;
use super::watch::{Watch, first_size, print_report, watch};
use crate::capture::launch::Streams;
use crate::capture::session::{Plan, Target};
use crate::trace;
use std::ffi::OsString;
use std::path::PathBuf;

/// Launch a program and watch it live
///
/// The program needs no change: a library preloaded into it, and into every program it starts, records its calls. It gets
/// a terminal of its own (screen 8), what it writes there is recorded too. Without -o the recording has no name; on quitting it can be saved.
#[derive(clap::Args, Debug)]
#[command(override_usage = "loopscope run [OPTIONS] [--] <CMD>...")]
pub struct Args {
    /// Keep the recording
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the recording of that name, once there is something to replace it by
    #[arg(long)]
    force: bool,
    /// Do not record what the program writes to its terminal
    #[arg(long)]
    no_output: bool,
    /// When to ask, 997 times a second, which function runs
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    stacks: record::Stacks,
    #[command(flatten)]
    drawn: Drawn,
    /// The program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

pub(super) fn run(args: Args) -> Outcome {
    let program = record::program_name(&args.command);
    record::must_be_a_file(args.output.as_deref())?;
    let options = trace::Options {
        force: args.force,
        ..trace::Options::default()
    };
    let target = match &args.output {
        Some(path) => Target::File {
            path: path.clone(),
            options,
        },
        None => unnamed(),
    };
    let plan = Plan {
        stacks: args.stacks.into(),
        ..record::plan(target, &args.command)
    };
    if !has_a_screen() {
        // Nobody to show it to: the program runs as under `record`, then the text report.
        let caught = super::signals::catch()?;
        let live = record::start(plan, &args.command, Streams::StdoutToStderr, false)?;
        let handle = super::signals::handle(caught, live.control().clone(), live.teller())?;
        let ended = live.join().map_err(record::explain)?;
        handle.close();
        let exit = record::exit_of(&ended, &program, args.output.as_deref())?;
        let kept = args.output.map(|p| p.display().to_string());
        print_report(ended.file, kept.as_deref())?;
        return Ok(exit);
    }
    let streams = Streams::Pty(first_size());
    let live = record::start(plan, &args.command, streams, !args.no_output)?;
    watch(
        live,
        Watch {
            name: args
                .output
                .as_ref()
                .map_or_else(|| program.clone(), |p| p.display().to_string()),
            path: args.output,
            program,
            drawn: args.drawn,
            demo: None,
        },
    )
}

/// The most a recording without a name may grow to: the oldest part goes first.
const CAP: u64 = 1 << 30;

/// A file without a name in TMPDIR.
pub(super) fn unnamed() -> Target {
    Target::Unnamed {
        directory: std::env::temp_dir(),
        options: trace::Options {
            max_size: Some(CAP),
            ..trace::Options::default()
        },
    }
}
