//! The command line: one command a file, on top of everything else.
//!
//! A command file has `Args` (what clap parses; its doc comments are the help) and `run(Args) -> Outcome`. It prints its
//! result through [`output::Output`], never through `println!` (a reader may go away, a disk may be full), and its
//! failures by returning them: [`main`] tells the chain once and chooses the exit code.

pub mod error;
pub mod output;

mod at;
mod completions;
mod demo;
mod diff;
mod doctor;
mod draft;
mod drawn;
mod exercise;
mod explain;
mod export;
mod findings;
mod flight;
mod folder;
mod index;
mod info;
mod lecture;
mod look;
mod man;
mod notes;
mod open;
mod place;
mod present;
mod progress;
mod quiz;
mod record;
mod replay;
mod report;
mod reproduction;
mod run;
mod save;
mod seen;
mod side;
mod signals;
mod snapshot;
mod stage;
mod start;
mod walk;
mod watch;

pub use error::{Exit, Failure, Outcome};

use crate::text::visible_lines;
use clap::{CommandFactory, Parser, Subcommand};
use std::borrow::Cow;
use std::io::{self, Write};
use std::panic::AssertUnwindSafe;

/// An oscilloscope for event loops: who was served, who waited, behind whom, and why.
#[derive(Parser, Debug)]
#[command(name = "loopscope", version, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Without a command: a list of the demos and of recent recordings to choose from.

  loopscope demo greedy-fd                one client starves the others, live
  loopscope lecture one                   seven demos, step by step: a lecture
  loopscope notes                         its notes, in a second terminal
  loopscope run -- redis-server           watch a program; its terminal is screen 8
  loopscope record -o a.lscope -- CMD...  the same without a screen
  loopscope report a.lscope               who waited, behind whom and why
  loopscope replay a.lscope               stand at any instant of it
  loopscope diff a.lscope b.lscope        what got better, what worse
  loopscope quiz                          what does the next epoll_wait return?";

const EXIT_CODES: &str = "Exit codes: 0, or that of the launched program (128+N if signal N ended it); \
1 a check found what it was to fail on or a quiz sheet has wrong answers, 3 nobody can tell; 125 loopscope failed, 126 program not executable, 127 program not found, 2 wrong usage.";

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::Args),
    Lecture(lecture::Args),
    Notes(notes::Args),
    Run(run::Args),
    Record(record::Args),
    Save(save::Args),
    Replay(replay::Args),
    Report(report::Args),
    Diff(diff::Args),
    Explain(explain::Args),
    Quiz(quiz::Args),
    Info(info::Args),
    Export(export::Args),
    Snapshot(snapshot::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
    /// A demo's own process
    #[command(hide = true)]
    DemoProgram(demo::ProgramArgs),
    /// Reads stdin to its end: the last holder of a terminal whose program was left running
    #[command(hide = true)]
    KeepPty,
}

impl Cli {
    fn run(self) -> Outcome {
        self.command.map_or_else(start::run, Command::run)
    }
}

impl Command {
    fn run(self) -> Outcome {
        match self {
            Command::Demo(args) => demo::run(args),
            Command::Lecture(args) => lecture::run(args),
            Command::Notes(args) => notes::run(args),
            Command::Doctor(args) => doctor::run(args),
            Command::DemoProgram(args) => demo::run_program(args),
            Command::KeepPty => keep_pty(),
            Command::Run(args) => run::run(args),
            Command::Record(args) => record::run(args),
            Command::Save(args) => save::run(args),
            Command::Replay(args) => replay::run(args),
            Command::Snapshot(args) => snapshot::run(args),
            Command::Report(args) => report::run(args),
            Command::Diff(args) => diff::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Quiz(args) => quiz::run(args),
            Command::Info(args) => info::run(args),
            Command::Export(args) => export::run(args),
            Command::Completions(args) => completions::run(args),
            Command::Man(args) => man::run(args),
        }
    }
}

/// Reads a left program's terminal until nobody writes to it any more.
fn keep_pty() -> Outcome {
    // EIO is how the terminal says that its last program has gone.
    let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    Ok(Exit::OK)
}

/// The whole clap definition, for completions and the manual page.
fn definition() -> clap::Command {
    Cli::command()
}

/// Makes a file size limit (`ulimit -f`) an error of the write that meets it, not our death. A handler and not "ignore":
/// a handler does not outlive exec, so a launched program meets its limit as it would without us.
fn survive_file_size_limit() {
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    // Without the handler the limit kills us, as it does most programs.
    let _ = signal_hook::flag::register(libc::SIGXFSZ, seen);
}

/// Parses, runs, tells a failure once, and returns the exit code.
pub fn main() -> Exit {
    survive_file_size_limit();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::USAGE
            } else {
                Exit::OK
            };
            let plain = error.render().to_string();
            // What was typed may come from a file's name. Help may be piped into a pager that has gone away.
            let _ = match visible_lines(&plain) {
                Cow::Borrowed(_) => error.print(),
                Cow::Owned(text) => io::stderr().lock().write_all(text.as_bytes()),
            };
            return exit;
        }
    };
    caught(|| cli.run()).unwrap_or_else(|error| {
        error::print(&error, &mut std::io::stderr().lock());
        error::exit_of(&error)
    })
}

/// A panic has told its message already; what is left is the exit code that scripts know as our failure.
fn caught(run: impl FnOnce() -> Outcome) -> Outcome {
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(Failure::new("loopscope panicked, the message is above")
            .hint(
                "this is a bug: tell it with the command you typed and, if you can, the recording",
            )
            .into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_our_failure() {
        let error = caught(|| panic!("on purpose")).unwrap_err();
        assert_eq!(error::exit_of(&error), Exit::FAILURE);
        assert_eq!(caught(|| Ok(Exit(7))).unwrap(), Exit(7));
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }
}
