//! A sheet of problems: its head says how it was made, so that it can be graded without anything else.

use super::VERSION;
use super::problem::{LEVELS, Problem, problems};
use super::show::folded;
use super::topic::Topic;
use std::fmt;

/// Problems of a sheet at most.
pub const MOST: u32 = 1000;

/// Why a filled-in sheet cannot be graded; in the form `what; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// Problems of one seed.
#[derive(Clone, Debug)]
pub struct Sheet {
    topic: Option<Topic>,
    seed: u64,
    level: Option<u8>,
    problems: Vec<Problem>,
}

const HELP: &str = "What does the last call return? One thread, all descriptors non-blocking, every epoll_wait with the \
time-out 0; no other program touches these files. The last argument of epoll_ctl is the item's data: [A:IN B:IN|HUP] is a \
batch of two events in this order, named by their data; [] is no event.";

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Sheet {
    /// The first `count` problems of a seed; of all topics in turn if none is named, growing harder if no level is.
    pub fn new(topic: Option<Topic>, seed: u64, level: Option<u8>, count: u32) -> Sheet {
        Sheet {
            topic,
            seed,
            level,
            problems: problems(topic, seed, level, count.clamp(1, MOST)),
        }
    }

    /// Its problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is asked, and how to read it.
    pub fn help(&self) -> String {
        folded(HELP, "", "")
    }

    /// The command that makes it again.
    pub fn command(&self) -> String {
        let topic = self
            .topic
            .map_or(String::new(), |t| format!(" {}", t.name()));
        let level = self
            .level
            .map_or(String::new(), |l| format!(" --level {l}"));
        format!(
            "loopscope quiz{topic} --seed {} -n {}{level}",
            self.seed,
            self.problems.len()
        )
    }

    /// What tells this sheet from one that another version makes of the same command.
    fn mark(&self) -> String {
        let texts: String = self.problems.iter().map(Problem::question).collect();
        // FNV-1a
        let hash = texts.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        format!("{VERSION}-{hash:08x}")
    }

    /// The sheet: to be filled in, or with the answers.
    pub fn text(&self, answers: bool) -> String {
        let mut out = format!("{}\nsheet {}\n\n", self.command(), self.mark());
        out.push_str(&self.help());
        if !answers {
            let advice = "Write a letter or the batch behind each \"Answer\", then: loopscope quiz --check FILE";
            out.push_str(&folded(advice, "", ""));
        }
        for problem in &self.problems {
            out.push_str(&format!("\n{}\n{}\n", "-".repeat(78), problem.question()));
            match answers {
                true => out.push_str(&problem.answer()),
                false => out.push_str(&format!("Answer {}:\n", problem.number)),
            }
        }
        out
    }

    /// The sheet that a filled-in text was made as.
    pub fn of(text: &str) -> Result<Sheet, Unreadable> {
        let mut lines = text
            .lines()
            .map(|l| l.trim_matches(|c: char| !c.is_alphanumeric()));
        let head = lines.find_map(|l| l.find("loopscope quiz ").map(|at| &l[at..]));
        let Some(head) = head else {
            return Err(Unreadable(
                "not a quiz sheet: no line `loopscope quiz … --seed …`; keep the sheet's first lines when filling it in"
                    .to_owned(),
            ));
        };
        let sheet = from_command(head)?;
        let mark = (text.lines()).find_map(|l| {
            let mut words = l.split_whitespace().skip_while(|w| *w != "sheet");
            words.next()?;
            words.next().filter(|w| w.contains('-') && w.len() <= 40)
        });
        match mark {
            Some(mark) if mark != sheet.mark() => Err(Unreadable(format!(
                "the sheet is {mark}, its command makes {} here: its head was changed, or another version of loopscope \
                 made it; make the sheet anew and copy the answers",
                sheet.mark()
            ))),
            Some(_) => Ok(sheet),
            None => Err(Unreadable(
                "the sheet's second line, `sheet …`, is missing; keep the sheet's first lines when filling it in".to_owned(),
            )),
        }
    }
}

/// Reads `loopscope quiz [TOPIC] --seed N -n N [--level L]`.
fn from_command(head: &str) -> Result<Sheet, Unreadable> {
    let damaged = |what: &str| {
        Unreadable(format!(
            "the sheet's first line is damaged ({what}): `{}`; copy it from the sheet as it was made",
            head.chars().take(100).collect::<String>()
        ))
    };
    let mut words = head.split_whitespace().skip(2);
    let (mut topic, mut seed, mut level, mut count) = (None, None, None, None);
    while let Some(word) = words.next() {
        let mut number = |name: &str| -> Result<u64, Unreadable> {
            let value = words.next().and_then(|v| v.parse().ok());
            value.ok_or_else(|| damaged(&format!("{name} without a number")))
        };
        match word {
            "--seed" => seed = Some(number("--seed")?),
            "-n" => count = Some(number("-n")?),
            "--level" => level = Some(number("--level")?),
            name => match Topic::find(name) {
                Some(found) if topic.is_none() => topic = Some(found),
                _ => return Err(damaged(&format!("no topic `{name}`"))),
            },
        }
    }
    let (Some(seed), Some(count)) = (seed, count) else {
        return Err(damaged("no --seed or no -n"));
    };
    if !(1..=u64::from(MOST)).contains(&count) {
        return Err(damaged(&format!("-n is from 1 to {MOST}")));
    }
    if level.is_some_and(|l| !(1..=u64::from(LEVELS)).contains(&l)) {
        return Err(damaged(&format!("--level is from 1 to {LEVELS}")));
    }
    Ok(Sheet::new(
        topic,
        seed,
        level.map(|l| l as u8),
        count as u32,
    ))
}

#[cfg(test)]
mod tests {
    use super::super::show::COLUMNS;
    use super::*;

    #[test]
    fn a_sheet_is_found_again_by_its_head() {
        for (topic, level) in [(None, None), (Some(Topic::Hangup), Some(5))] {
            let sheet = Sheet::new(topic, u64::MAX, level, 3);
            for text in [sheet.text(false), sheet.text(true).replace('\n', "\r\n")] {
                assert_eq!(Sheet::of(&text).unwrap().problems(), sheet.problems());
            }
        }
    }

    #[test]
    fn no_line_is_too_long_for_a_terminal() {
        for seed in 0..2 {
            for answers in [false, true] {
                let text = Sheet::new(None, seed, None, 22).text(answers);
                for line in text.lines() {
                    assert!(line.chars().count() <= COLUMNS, "{line}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_sheet_is_refused_with_advice() {
        let sheet = Sheet::new(None, 1, None, 2).text(false);
        let cases = [
            (String::new(), "not a quiz sheet"),
            ("Answer 1: a\n".repeat(9), "not a quiz sheet"),
            (
                sheet.replace("--seed 1", "--seed x"),
                "--seed without a number",
            ),
            (sheet.replace("--seed 1", ""), "no --seed"),
            (sheet.replace("-n 2", "-n 4294967297"), "-n is from 1"),
            (sheet.replace("-n 2", "-n 2 --level 0"), "--level is from 1"),
            (
                sheet.replace("quiz --seed", "quiz poetry --seed"),
                "no topic `poetry`",
            ),
            (sheet.replace("--seed 1", "--seed 2"), "another version"),
            (sheet.replace("sheet ", ""), "second line"),
        ];
        for (text, piece) in cases {
            let why = Sheet::of(&text).unwrap_err().to_string();
            assert!(why.contains(piece) && why.contains("; "), "{why}");
        }
    }
}
