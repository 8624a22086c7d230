//! `loopscope demo [NAME]`: a teaching demo, live, replayed or as a report, and whether its claim holds.
//! Step: event → … → **view**, all of it on a program made to be looked at.

use super::drawn::Drawn;
use super::error::{Exit, Failure, Outcome};
use super::exercise;
use super::output::{Output, has_a_screen, is_stream};
use super::place::Place;
use super::record;
use super::reproduction::{self, How};
use super::run::unnamed;
use super::seen::{changes, see};
use super::side::{self, Side};
use super::stage::{Show, show};
use super::watch;
use crate::capture::live::{Ended, Live};
use crate::capture::pty::Size;
use crate::capture::session::Target;
use crate::demos::{self, Claim, Demo, Seen};
use crate::findings::Code;
use crate::json::Json;
use crate::report::{self, text};
use crate::trace::{self, Reader};
use crate::when::Duration as Shown;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Run a teaching demo, live
///
/// Each demo is a small server with one bug; --fixed runs it repaired, under the same load.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Which demo, or the code of a finding for a small reproduction of a real bug; without a name they are listed
    name: Option<String>,
    /// List the demos
    #[arg(long, conflicts_with_all = ["name", "fixed", "recorded", "no_ui", "output"])]
    list: bool,
    /// With --list: print JSON
    #[arg(long, requires = "list")]
    json: bool,
    /// The repaired program
    #[arg(long)]
    fixed: bool,
    /// Another load: where its random numbers start
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Start with a knob turned, as in `budget=4`; the lesson lists them, and on the screen `c` turns them while it runs. A
    /// claim is not judged then
    #[arg(long, value_name = "KNOB=VALUE")]
    set: Vec<String>,
    /// Show a recording made earlier instead of running the program
    #[arg(long, conflicts_with_all = ["seed", "set"])]
    recorded: bool,
    /// No UI: print the report and whether the demo's claim holds (exit code 1 if not, 3 if it does not but the machine took
    /// so much of the CPUs that nobody can tell)
    #[arg(long)]
    no_ui: bool,
    /// Print the same in C: raw system calls, to be compiled and traced from outside
    #[arg(long, conflicts_with_all = ["fixed", "recorded", "no_ui", "output"])]
    c: bool,
    /// Print a handout in Markdown: the lesson's questions without the answers, what to run, room to write
    #[arg(long, conflicts_with_all = ["fixed", "recorded", "no_ui", "output", "c"])]
    exercise: bool,
    /// With --exercise: the answers too
    #[arg(short = 'c', long, requires = "exercise")]
    answers: bool,
    /// Keep the recording
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    drawn: Drawn,
}

/// What the hidden command that is a demo's own process parses.
#[derive(clap::Args, Debug)]
pub struct ProgramArgs {
    name: String,
    #[arg(long)]
    fixed: bool,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 15_000)]
    ms: u64,
    #[arg(long)]
    set: Vec<String>,
    #[arg(long)]
    listen: bool,
    #[arg(long, default_value = ".")]
    place: PathBuf,
}

/// How long a demo's clients go on when somebody watches.
pub(super) const LIVE: Duration = Duration::from_secs(15);
/// And when nobody does: twice, because a claim compares the broken program with the repaired one.
const HEADLESS: Duration = Duration::from_millis(1800);

/// A claim that does not hold.
const DOES_NOT_HOLD: Exit = Exit(1);
/// One that does not, on a machine that had little time for the program: nobody can tell.
const CANNOT_TELL: Exit = Exit(3);

pub(super) fn run(args: Args) -> Outcome {
    let Some(name) = &args.name else {
        return list(args.json);
    };
    if args.c {
        return print_twin(name);
    }
    if args.exercise {
        return exercise::print(name, args.answers);
    }
    let headless_asked = args.no_ui || !has_a_screen();
    if !args.recorded {
        record::must_be_a_file(args.output.as_deref())?;
    }
    // A name that is both is the demo's.
    let demo = match (demos::find(name), reproduction::find(name)) {
        (Some(demo), _) => {
            // Before anything is started or drawn.
            side::dials(demo, args.fixed, &args.set)?;
            demo
        }
        (None, Some(_)) if !args.set.is_empty() => {
            let failure = Failure::usage(format!("{name} is a reproduction, and has no knobs"));
            return Err(failure.into());
        }
        (None, Some(_)) if args.recorded => {
            let failure = Failure::usage(format!("no recording of {name} ships with this build"));
            return Err(failure
                .hint("without --recorded it is run on this machine")
                .into());
        }
        (None, Some(one)) => {
            let how = How {
                fixed: args.fixed,
                headless: headless_asked,
                output: args.output.as_deref(),
                force: args.force,
                drawn: args.drawn,
            };
            return reproduction::run(one, &how);
        }
        (None, None) => return Err(unknown(name).into()),
    };
    if args.recorded && (headless_asked || args.output.is_some()) {
        return recorded(demo, &args);
    }
    if headless_asked {
        return headless(demo, &args);
    }
    let to = args.output.as_ref().map(|path| {
        let options = options(args.force);
        let path = path.clone();
        (path.clone(), Target::File { path, options })
    });
    let how = Show {
        recorded: args.recorded,
        seed: args.seed,
        set: args.set.clone(),
        drawn: args.drawn,
        lecture: None,
        lesson_at: None,
        stage: false,
        view: crate::tui::View::default(),
        both: false,
    };
    show(demo, args.fixed, to, how).map(|(exit, _)| exit)
}

/// The demo in C.
fn print_twin(name: &str) -> Outcome {
    let demo = demos::find(name).ok_or_else(|| unknown(name))?;
    let twin = demo.c.ok_or_else(|| {
        Failure::usage(format!("the demo {} has no C twin", demo.name))
            .hint(format!("its program is {}", demo.file))
    })?;
    let mut out = Output::stdout();
    out.text(twin)?;
    out.finish()?;
    Ok(Exit::OK)
}

/// The demo's own process.
pub(super) fn run_program(args: ProgramArgs) -> Outcome {
    let demo = demos::find(&args.name).ok_or_else(|| unknown(&args.name))?;
    // As long as the process: the thread that listens has it too.
    let knobs: &'static demos::Knobs = Box::leak(Box::new(demos::Knobs {
        fixed: args.fixed,
        seed: args.seed,
        time: Duration::from_millis(args.ms),
        dials: side::dials(demo, args.fixed, &args.set)?,
        place: args.place,
    }));
    if args.listen {
        side::listen(&knobs.dials)?;
    }
    (demo.run)(knobs)
        .map_err(|e| Failure::new(format!("the demo {} failed", demo.name)).because(e))?;
    Ok(Exit::OK)
}

pub(super) fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = demos::ALL.iter().map(|d| d.name).collect();
    Failure::usage(format!("there is no demo \"{name}\"")).hint(format!(
        "the demos are {}; every code that `loopscope explain` lists has a reproduction",
        names.join(", ")
    ))
}

/// Those that no demo shows already.
fn reproductions() -> impl Iterator<Item = (&'static str, &'static str)> {
    reproduction::all().filter(|(code, _)| demos::find(code).is_none())
}

fn list(json: bool) -> Outcome {
    let mut out = Output::stdout();
    if json {
        let mut json = Json::new();
        json.braces(|j| {
            j.field("schema", 1u32).line();
            j.array("demos", |j| {
                for demo in demos::ALL {
                    j.line().braces(|j| {
                        j.field("name", demo.name).field("title", demo.title);
                    });
                }
            });
            j.line().array("reproductions", |j| {
                for (code, bug) in reproductions() {
                    j.line().braces(|j| {
                        j.field("name", code).field("bug", bug);
                    });
                }
            });
        });
        out.text(&format!("{}\n", json.as_str()))?;
    } else {
        let width = (demos::ALL.iter().map(|d| d.name.len()))
            .chain(reproductions().map(|(code, _)| code.len()))
            .max()
            .unwrap_or(0);
        for demo in demos::ALL {
            out.text(&format!("{:width$}  {}\n", demo.name, demo.title))?;
        }
        out.text("\nreproductions of real bugs, each by the finding it makes fire:\n")?;
        for (code, _) in reproductions() {
            let title = code.parse::<Code>().map_or("", Code::title);
            out.text(&format!("{code:width$}  {title}\n"))?;
        }
        out.text("\nnext: loopscope demo NAME, then loopscope demo NAME --fixed\n")?;
    }
    out.finish()?;
    Ok(Exit::OK)
}

/// Runs both sides, one after the other, prints the report of the one asked for, and judges the claim.
fn headless(demo: &'static Demo, args: &Args) -> Outcome {
    let target = match &args.output {
        Some(path) => Target::File {
            path: path.clone(),
            options: options(args.force),
        },
        None => unnamed(),
    };
    let mut side = Side {
        demo,
        fixed: args.fixed,
        seed: args.seed,
        set: &args.set,
    };
    let place = Place::new()?;
    let asked = side.start(target, &place, HEADLESS, Size::default())?;
    let asked = finish(asked, args.output.as_deref())?;
    if !args.set.is_empty() {
        // A claim is made of the knobs where the lesson has them.
        watch::print_report(asked.file, args.output.as_deref().and_then(Path::to_str))?;
        if let Some(path) = &args.output {
            tell_next(path);
        }
        return Ok(Exit::OK);
    }
    side.fixed = !args.fixed;
    let other = finish(
        side.start(unnamed(), &place, HEADLESS, Size::default())?,
        None,
    )?;
    let mut asked = reader(asked.file, demo)?;
    let mut other = reader(other.file, demo)?;
    let exit = judge(demo, args, &mut asked, &mut other)?;
    if let Some(path) = &args.output {
        tell_next(path);
    }
    Ok(exit)
}

/// The report of `asked`, then every claim with its figures and verdict.
fn judge(demo: &Demo, args: &Args, asked: &mut Reader, other: &mut Reader) -> Outcome {
    let (mut mine, mut theirs): (Seen, Seen) = (see(asked)?, see(other)?);
    match args.fixed {
        true => theirs.changes = changes(asked, other)?,
        false => mine.changes = changes(other, asked)?,
    }
    let (broken, fixed) = match args.fixed {
        true => (&theirs, &mine),
        false => (&mine, &theirs),
    };
    let claims = (demo.claims)(broken, fixed);
    let spoiled = [("broken", broken), ("repaired", fixed)]
        .into_iter()
        .find_map(|(side, seen)| Some((side, seen.spoiled()?)));
    let mut out = Output::stdout();
    let file = args.output.as_ref().map(|p| p.display().to_string());
    let summary = report::fold(asked, &Default::default(), &mut |_| ())?;
    out.text(&report::to_text(
        &summary,
        &text::Options {
            top: 10,
            file: file.as_deref(),
        },
    ))?;
    out.text(&verdicts(
        demo,
        &claims,
        Shown(theirs.duration_ns),
        args.fixed,
        &spoiled,
    ))?;
    out.finish()?;
    Ok(match (claims.iter().all(|c| c.holds), spoiled) {
        (true, _) => Exit::OK,
        (false, None) => DOES_NOT_HOLD,
        (false, Some(_)) => CANNOT_TELL,
    })
}

/// Every claim, its figures and the verdict; `spoiled` says on which side the machine had a hand in the figures, and how.
fn verdicts(
    demo: &Demo,
    claims: &[Claim],
    other: Shown,
    fixed: bool,
    spoiled: &Option<(&str, String)>,
) -> String {
    let side = if fixed { "broken" } else { "repaired" };
    let mut out = format!(
        "\nclaims of {} (against {other} of the {side} program under the same load)\n",
        demo.name
    );
    for claim in claims {
        let verdict = match (claim.holds, spoiled) {
            (true, _) => "yes",
            (false, None) => "NO",
            (false, Some(_)) => "?",
        };
        out.push_str(&format!(
            "  {verdict:3}  {}: {}\n",
            claim.text, claim.figures
        ));
    }
    let failed = claims.iter().any(|claim| !claim.holds);
    if let Some((side, how)) = spoiled.as_ref().filter(|_| failed) {
        out.push_str(&format!(
            "  nobody can tell: while the {side} program ran {how}; run it again on a quieter machine\n"
        ));
    }
    out
}

/// A recording that ships, as a report or copied to a file.
fn recorded(demo: &'static Demo, args: &Args) -> Outcome {
    let [broken, fixed] = demo.recorded;
    let (mine, theirs) = match args.fixed {
        true => (fixed, broken),
        false => (broken, fixed),
    };
    if let Some(path) = &args.output {
        let mut out = Output::create(Some(path), args.force)?;
        out.bytes(mine)?;
        out.finish()?;
        if !is_stream(path) {
            tell_next(path);
        }
        return Ok(Exit::OK);
    }
    let mine = unnamed_file(mine)?;
    let mut mine = reader(mine, demo)?;
    let mut theirs = reader(unnamed_file(theirs)?, demo)?;
    judge(demo, args, &mut mine, &mut theirs)
}

pub(super) fn finish(live: Live, file: Option<&Path>) -> anyhow::Result<Ended> {
    let ended = live.join().map_err(record::explain)?;
    let exit = record::exit_of(&ended, "the demo", file)?;
    if exit != Exit::OK {
        let words = ended
            .control
            .pty()
            .map_or_else(String::new, |pty| pty.with_screen(|s| s.contents()));
        let failure = Failure::new(format!("the demo ended with exit code {}", exit.0));
        return Err(failure.hint(words.trim().replace('\n', ", ")).into());
    }
    Ok(ended)
}

pub(super) fn options(force: bool) -> trace::Options {
    trace::Options {
        force,
        ..trace::Options::default()
    }
}

fn reader(file: File, demo: &Demo) -> anyhow::Result<Reader> {
    Ok(Reader::from_file(file, demo.name)?)
}

/// A file without a name that holds these bytes.
pub(super) fn unnamed_file(bytes: &[u8]) -> anyhow::Result<File> {
    let dir = std::env::temp_dir();
    let name = dir.join(format!(".loopscope-{}-{:p}", std::process::id(), bytes));
    let failed = |e| Failure::new(format!("cannot write to {}", dir.display())).because(e);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&name)
        .map_err(failed)?;
    std::fs::remove_file(&name).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    Ok(file)
}

pub(super) fn tell_next(path: &Path) {
    // Nobody is left to tell when stderr fails.
    let _ = writeln!(
        std::io::stderr(),
        "next: loopscope replay {}",
        path.display()
    );
}
