//! `loopscope lecture LIST`: one demo after the other, each with its lesson. Step: event → … → **view**.

use super::demo;
use super::drawn::Drawn;
use super::error::{Exit, Failure, Outcome};
use super::output::{Output, has_a_screen};
use super::stage::{Show, show};
use crate::demos::{self, Demo};
use crate::lesson::Lesson;
use crate::tui::{self, Among, Leave, LessonAt};
use std::path::Path;

/// Give a lecture: one demo after the other, step by step
///
/// PgDn goes to the next step, from the last one to the next demo; PgUp back, from the first one to the demo before it; r shows
/// the repaired program, r again comes back. Without a terminal the plan is printed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// `one` to `five` (lectures of about forty minutes), names of demos with commas between them, or a
    /// TOML file with `demos = ["NAME", ...]`
    #[arg(value_name = "LIST", default_value = "one")]
    list: String,
    /// Show recordings made earlier instead of running the programs
    #[arg(long)]
    recorded: bool,
    /// Another load: where its random numbers start
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    drawn: Drawn,
}

/// The lectures that are built in; docs/LECTURES.md has their timing.
const BUILT_IN: [(&str, &[&str]); 5] = [
    (
        "one",
        &[
            "blocking-echo",
            "busy-poll",
            "scan-cost",
            "level-vs-edge",
            "et-not-drained",
            "greedy-fd",
            "blocking-handler",
        ],
    ),
    (
        "two",
        &[
            "epollout-spin",
            "half-close",
            "accept-limit",
            "accept-cap",
            "backpressure",
            "ghost-events",
            "stale-in-batch",
        ],
    ),
    (
        "three",
        &[
            "timers-heartbeat",
            "wakeups",
            "callback-queue",
            "thundering-herd",
            "oneshot-threads",
            "loop-per-core",
        ],
    ),
    (
        "four",
        &[
            "cpu-handler",
            "page-fault",
            "http-fsm",
            "connect",
            "nested-epoll",
            "continuations",
            "async-runtime",
            "nagle-delack",
        ],
    ),
    (
        "five",
        &[
            "thread-per-conn",
            "thread-pool",
            "c10k-memory",
            "fork-around-epoll",
            "signals",
            "regular-file",
            "aio",
            "merged-events",
            "creeping-block",
            "foreign",
        ],
    ),
];

/// Bytes of a list, at most.
const MAX_LIST: u64 = 64 * 1024;

pub(super) fn run(args: Args) -> Outcome {
    let demos = demos_of(&args.list)?;
    if !has_a_screen() {
        return plan(&demos);
    }
    let mut how = Show {
        recorded: args.recorded,
        seed: args.seed,
        set: Vec::new(),
        drawn: args.drawn,
        lecture: None,
        lesson_at: None,
        stage: true,
        view: crate::tui::View::default(),
        both: false,
    };
    let (mut exit, mut at) = (Exit::OK, 0);
    while let Some(demo) = demos.get(at) {
        how.lecture = Some(Among {
            before: at > 0,
            after: at + 1 < demos.len(),
        });
        let left;
        (exit, left) = show(demo, false, None, how.clone())?;
        let tui::Outcome::Left(left) = left else {
            return Ok(exit);
        };
        match left {
            Leave::Next(shown) => {
                how.as_before(shown);
                (at, how.lesson_at) = (at + 1, None);
            }
            Leave::Previous(shown) => {
                how.as_before(shown);
                (at, how.lesson_at) = (at.saturating_sub(1), Some(LessonAt::END));
            }
            _ => return Ok(exit),
        }
    }
    Ok(exit)
}

/// The demos of a list, in its order.
fn demos_of(list: &str) -> Result<Vec<&'static Demo>, Failure> {
    let built_in = BUILT_IN.iter().find(|(name, _)| *name == list);
    let names: Vec<String> = if let Some((_, names)) = built_in {
        names.iter().map(|&name| name.to_owned()).collect()
    } else if Path::new(list).is_file() {
        let size = std::fs::metadata(list).map_or(0, |m| m.len());
        let text = match size <= MAX_LIST {
            true => std::fs::read_to_string(list),
            false => Err(std::io::Error::other("it is too large for a list")),
        };
        let text = text.map_err(|e| Failure::new(format!("cannot read {list}")).because(e))?;
        names_in(&text).map_err(|why| Failure::usage(format!("{list}: {why}")))?
    } else if Path::new(list).extension().is_some_and(|end| end == "toml") || list.contains('/') {
        // No demo is called like that.
        let failure = Failure::usage(format!("there is no file {list}"));
        return Err(failure.hint("a list of demos is a TOML file with demos = [\"NAME\", ...]"));
    } else {
        list.split(',').map(|name| name.trim().to_owned()).collect()
    };
    let found = names
        .iter()
        .map(|name| demos::find(name).ok_or_else(|| demo::unknown(name)));
    found.collect()
}

/// The names in `demos = ["a", "b"]`, the one key of a lecture's TOML file.
fn names_in(text: &str) -> Result<Vec<String>, String> {
    let lines = text.lines().map(|l| l.split('#').next().unwrap_or(""));
    let text: String = lines.collect::<Vec<_>>().join(" ");
    let wanted = "it should say demos = [\"NAME\", ...]";
    let list = (text.trim().strip_prefix("demos"))
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .and_then(|rest| rest.trim().strip_prefix('[')?.strip_suffix(']'))
        .ok_or(wanted)?;
    let mut names = Vec::new();
    for part in list
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let name = part.strip_prefix('"').and_then(|p| p.strip_suffix('"'));
        names.push(name.ok_or(wanted)?.to_owned());
    }
    match names.is_empty() {
        true => Err("the list is empty".to_owned()),
        false => Ok(names),
    }
}

/// What would be shown, step by step.
fn plan(demos: &[&'static Demo]) -> Outcome {
    let mut out = Output::stdout();
    for demo in demos {
        out.text(&format!("{}  {}\n", demo.name, demo.title))?;
        let lesson = Lesson::parse(demo.lesson).unwrap_or_default();
        for (at, step) in lesson.steps.iter().enumerate() {
            let asked = if step.question.is_some() {
                "  (question)"
            } else {
                ""
            };
            out.text(&format!("  {}  {}{asked}\n", at + 1, step.title))?;
        }
    }
    out.text("\nnext: loopscope lecture in a terminal; PgDn goes on\n")?;
    out.finish()?;
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let names =
            names_in("# a course\ndemos = [\n  \"greedy-fd\", # first\n  \"busy-poll\",\n]\n");
        assert_eq!(names.unwrap(), ["greedy-fd", "busy-poll"]);
        for wrong in ["", "demos = []", "demos = [greedy-fd]", "names = [\"a\"]"] {
            assert!(names_in(wrong).is_err(), "{wrong}");
        }
        for (name, demos) in BUILT_IN {
            assert_eq!(demos_of(name).unwrap().len(), demos.len());
        }
        assert_eq!(demos_of("greedy-fd, busy-poll").unwrap().len(), 2);
        assert!(demos_of("no-such-demo").is_err());
        let missing = demos_of("no-such-course.toml").unwrap_err();
        assert!(format!("{missing:?}").contains("no file"), "{missing:?}");
    }
}
