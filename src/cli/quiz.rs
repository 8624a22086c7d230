//! `loopscope quiz [TOPIC]`: problems about epoll to be solved on paper, at the terminal or on a sheet that is graded.
//! Step: beside the pipeline; the model of the kernel's epoll asks and answers.

use super::error::Failure;
use super::open::note;
use super::output::{Output, has_a_screen};
use super::{Exit, Outcome};
use crate::teach::quiz::{Grade, MOST, Problem, Sheet, Topic, Verdict, grade_one};
use crate::text::visit::quoted;
use crate::text::{visible, visible_lines};
use crate::trace::{self, Meta, Writer};
use clap::builder::PossibleValue;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Ask what the next epoll_wait returns: problems made from a model of the kernel's epoll
///
/// Each problem is a few calls; the question is what the last one returns. The
/// same seed gives the same problems. At a terminal, and without -n, they are
/// asked one by one; otherwise a sheet is printed:
///
///   loopscope quiz edge --seed 7 -n 10 > sheet   problems to be filled in
///   loopscope quiz --check sheet                 grades it; 1 unless all is right
///   loopscope quiz edge --seed 7 -n 10 -c        the same with answers and rules
///   loopscope quiz edge --seed 7 --replay 3 -o 3.lscope
///                                                the third, for loopscope replay
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What the problems are about; without it, all topics in turn
    topic: Option<Topic>,
    /// Make these problems again [default: a new seed each time, which is told]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many problems [default: 5]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    count: Option<u32>,
    /// All of this level, 1 to 5, instead of growing harder
    #[arg(long, value_name = "L", value_parser = clap::value_parser!(u8).range(1..=5))]
    level: Option<u8>,
    /// With the answers: the rule behind each, the ready list, and what leads to the wrong ones
    #[arg(short = 'c', long)]
    answers: bool,
    /// Grade a filled-in sheet (- is standard input)
    #[arg(long, value_name = "SHEET", conflicts_with_all = ["topic", "seed", "count", "level", "answers", "replay"])]
    check: Option<PathBuf>,
    /// Write problem N with its answer as a recording, to be stepped through: a call a millisecond, with the rules at work
    #[arg(long, value_name = "N", requires_all = ["seed", "output"], conflicts_with_all = ["count", "answers"],
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    replay: Option<u32>,
    /// Where to; what is there stays unless --force
    #[arg(short = 'o', long, value_name = "FILE", requires = "replay")]
    output: Option<PathBuf>,
    /// Replace the file
    #[arg(long, requires = "output")]
    force: bool,
}

/// Problems on a sheet when nobody says.
const PROBLEMS: u32 = 5;

/// Bytes of a filled-in sheet at most: many times the largest that is made.
const LARGEST: u64 = 8 << 20;

impl clap::ValueEnum for Topic {
    fn value_variants<'a>() -> &'a [Topic] {
        &Topic::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.about()))
    }
}

pub(super) fn run(args: Args) -> Outcome {
    if let Some(file) = &args.check {
        return check(file);
    }
    let seed = args.seed.unwrap_or_else(new_seed);
    if let (Some(number), Some(path)) = (args.replay, &args.output) {
        let sheet = Sheet::new(args.topic, seed, args.level, number);
        return write(&sheet, path, args.force);
    }
    let sheet_asked = args.count.is_some() || args.answers;
    if !sheet_asked && has_a_screen() {
        return ask(args.topic, seed, args.level);
    }
    let count = args.count.unwrap_or(PROBLEMS);
    let sheet = Sheet::new(args.topic, seed, args.level, count);
    let mut out = Output::stdout();
    out.text(&sheet.text(args.answers))?;
    out.finish()?;
    Ok(Exit::OK)
}

/// Writes a sheet's last problem as a recording.
fn write(sheet: &Sheet, path: &Path, force: bool) -> Outcome {
    let Some(problem) = sheet.problems().last() else {
        return Ok(Exit::OK);
    };
    let title = format!("quiz {}, problem {}", problem.topic.name(), problem.number);
    let meta = Meta {
        tool: format!("loopscope {}", env!("CARGO_PKG_VERSION")),
        source: "model".to_owned(),
        command: sheet.command().split(' ').map(str::to_owned).collect(),
        kernel: "the model of epoll".to_owned(),
        kernel_ready: "bounded".to_owned(),
        handlers: "inferred".to_owned(),
        title,
        ..Meta::default()
    };
    let options = trace::Options {
        force,
        ..trace::Options::default()
    };
    let mut writer = Writer::create(path, &meta, options)?;
    for (event, text) in problem.events() {
        writer.write(&event, &text);
    }
    let summary = writer.finish()?;
    let name = path.display().to_string();
    note(&format!("recorded {} events in {name}", summary.events));
    note(&format!("next: loopscope replay {}", quoted(&name)));
    Ok(Exit::OK)
}

/// Small enough to be typed again.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |since| since.as_nanos() as u64 / 1000 % 1_000_000)
}

/// Grades a sheet.
fn check(file: &Path) -> Outcome {
    let text = read(file)?;
    let grade = Grade::of(&text).map_err(|why| {
        let name = visible(&file.display().to_string()).into_owned();
        Failure::new(format!("cannot grade {name}")).because(why)
    })?;
    let mut out = Output::stdout();
    out.text(&visible_lines(&grade.text()))?;
    out.finish()?;
    Ok(match grade.right() == grade.all() {
        true => Exit::OK,
        false => Exit(1),
    })
}

/// A sheet as text, whatever else is in it.
fn read(path: &Path) -> anyhow::Result<String> {
    let name = visible(&path.display().to_string()).into_owned();
    let refused = |e: io::Error| {
        Failure::new(format!("cannot read {name}"))
            .because(e)
            .hint("make a sheet with: loopscope quiz -n 10 > sheet")
    };
    let from: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(refused)?),
    };
    let mut bytes = Vec::new();
    from.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    if bytes.len() as u64 > LARGEST {
        return Err(
            Failure::new(format!("{name} is too large for a quiz sheet"))
                .hint("make a sheet with: loopscope quiz -n 10 > sheet")
                .into(),
        );
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Asks one problem after the other until the answers end.
fn ask(topic: Option<Topic>, seed: u64, level: Option<u8>) -> Outcome {
    let (mut asked, mut right) = (0, 0);
    let mut input = io::stdin().lines();
    say(&format!(
        "{}Enter shows the answer, q ends.\n",
        Sheet::new(topic, seed, level, 1).help()
    ))?;
    for number in 1..=MOST {
        let sheet = Sheet::new(topic, seed, level, number);
        let Some(problem) = sheet.problems().last() else {
            break;
        };
        say(&format!("\n{}\nAnswer {number}: ", problem.question()))?;
        let Some(Ok(line)) = input.next() else {
            say("\n")?;
            break;
        };
        let line = line.trim();
        if ["q", "quit", "exit"]
            .iter()
            .any(|w| line.eq_ignore_ascii_case(w))
        {
            break;
        }
        asked += 1;
        let verdict = grade_one(problem, line);
        right += u32::from(verdict == Verdict::Right);
        say(&reply(problem, &verdict))?;
    }
    let topic = topic.map_or(String::new(), |t| format!(" {}", t.name()));
    let level = level.map_or(String::new(), |l| format!(" --level {l}"));
    say(&format!(
        "{right} of {asked} right. Again: loopscope quiz{topic} --seed {seed}{level}\n"
    ))?;
    Ok(Exit::OK)
}

fn reply(problem: &Problem, verdict: &Verdict) -> String {
    let word = match verdict {
        Verdict::Right => "Right.\n",
        Verdict::Missing => "",
        _ => "Not so.\n",
    };
    format!("{word}{}", problem.answer())
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = Output::stdout();
    out.text(&visible_lines(text))?;
    out.finish()
}
