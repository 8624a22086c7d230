//! A demo's lesson as steps: until this moment, on this screen, this caption, this question, these notes. It travels with the
//! recording, as `lesson.md`. Step: model → **view**, for every view.
//!
//! ```text
//! # Title
//! ## Steps
//! ### Name of a step
//! - until: `name == "bob" && wait > 100ms` + 20ms      a dispatch, and so much later
//! - until: mark "poll" idle=1000 + 20ms                or a mark with these fields, and so much later
//! - until: 400ms                                       or an instant; also start and end
//! - screen: timeline
//! - fd: bob
//! > The caption.
//! **A question?**
//! 1. a choice
//! 2. another
//! Answer: 2. Why it is that one.
//! Notes: for whoever speaks.
//! ```
//!
//! Each step's moment is looked for behind the one of the step before it.
//!
//! The steps are the broken program's. The repaired one has a single step of what `## The repair` says first.
//!
//! What can be turned while the demo runs, its values, and where it stands in the broken and in the repaired program:
//!
//! ```text
//! ## Knobs
//! - budget: 1 | 4 | all (all, 1). Chunks that a handler reads in one run.
//! - order: kernel | smallest first (kernel). In which order a batch is served.
//! ```
#![forbid(unsafe_code)]

use crate::when;

/// Steps of a lesson, at most.
const MAX_STEPS: usize = 64;
/// Characters of a lesson, at most: it may come from a recording nobody vouches for.
const MAX_TEXT: usize = 64 * 1024;
/// Knobs of a demo, at most: one line each on the smallest screen.
const MAX_KNOBS: usize = 4;
/// Characters of what is said of the repair, at most, if its first sentence has no more: a caption has to fit on a small screen.
const MAX_REPAIR: usize = 200;
/// Choices of a question: one for each key.
const MAX_CHOICES: usize = 4;

/// The moment a step stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// The first moment.
    Start,
    /// The last one.
    End,
    /// So many nanoseconds from the start.
    Time(u64),
    /// A mark of this name whose fields hold this text, and so many nanoseconds later.
    Mark(String, String, u64),
    /// The begin of the first dispatch that passes this filter, and so many nanoseconds later.
    Run(String, u64),
}

/// What is asked before it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub text: String,
    /// What may be answered.
    pub choices: Vec<String>,
    /// The right one, from 0.
    pub right: usize,
    /// Why.
    pub why: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub title: String,
    /// Its moment.
    pub until: Until,
    /// The screen's name; the one that is shown stays when absent.
    pub screen: Option<String>,
    /// The descriptor to choose, by name.
    pub fd: Option<String>,
    /// What to see.
    pub caption: String,
    /// What to guess first.
    pub question: Option<Question>,
    /// For whoever speaks.
    pub notes: String,
}

/// What can be turned while the demo runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// Its name.
    pub name: String,
    /// What it can be turned to, at least two.
    pub values: Vec<String>,
    /// Where it stands at first: in the broken and in the repaired program.
    pub start: [usize; 2],
    /// What it is.
    pub about: String,
}

/// A lesson.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// Its title.
    pub title: String,
    /// Its steps, at least one.
    pub steps: Vec<Step>,
    /// What can be turned.
    pub knobs: Vec<Knob>,
}

/// Which part of a step a paragraph belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    Caption,
    Choice,
    Why,
    Notes,
}

impl Lesson {
    /// Reads a lesson; an error says what is wrong with which step.
    pub fn parse(text: &str) -> Result<Lesson, String> {
        if text.len() > MAX_TEXT {
            return Err("the lesson is too long".to_owned());
        }
        let title = text.lines().find_map(|l| l.strip_prefix("# "));
        let steps = text.split_once("\n## Steps\n").map_or("", |(_, rest)| rest);
        let steps = steps.split("\n## ").next().unwrap_or_default();
        let mut lesson = Lesson {
            title: title.unwrap_or_default().to_owned(),
            steps: Vec::new(),
            knobs: knobs(text)?,
        };
        for part in steps.split("\n### ").skip(1).take(MAX_STEPS) {
            let (title, body) = part.split_once('\n').unwrap_or((part, ""));
            let step =
                Step::parse(title, body).map_err(|why| format!("step \"{title}\": {why}"))?;
            lesson.steps.push(step);
        }
        match lesson.steps.is_empty() {
            true => Err("the lesson has no steps".to_owned()),
            false => Ok(lesson),
        }
    }

    /// The lesson of the repaired program: its captions are not true of it, and its moments do not come there. What was changed,
    /// on the screen of the last step, to be compared.
    pub fn repaired(text: &str) -> Result<Lesson, String> {
        let mut lesson = Lesson::parse(text)?;
        let last = lesson.steps.pop().ok_or("the lesson has no steps")?;
        let changed = repair(text).ok_or("it does not say what the repair is")?;
        lesson.steps = vec![Step {
            title: "Repaired".to_owned(),
            until: Until::End,
            caption: format!("{changed} Compare with the same screen of the other side."),
            question: None,
            ..last
        }];
        Ok(lesson)
    }
}

/// The first sentences of what the repair is, without the command that shows it and without Markdown's signs.
fn repair(text: &str) -> Option<String> {
    let (_, part) = text.split_once("\n## The repair\n")?;
    let part = part.split("\n## ").next()?.trim_start();
    let paragraph = part.split("\n\n").next()?;
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let said = words.join(" ");
    let said = match said.split_once("`: ") {
        Some((command, rest)) if command.starts_with("`demo ") => rest,
        _ => &said,
    };
    let said = said.replace(['`', '*'], "");
    let mut out = String::new();
    for sentence in said.split_inclusive(". ") {
        let room = out.chars().count() + sentence.trim_end().chars().count() <= MAX_REPAIR;
        if !out.is_empty() && !room {
            break;
        }
        out.push_str(sentence);
    }
    let out = out.trim_end();
    // What is called poll(2) or sell_async stays as it is called.
    let word = out
        .split(' ')
        .next()?
        .trim_end_matches(['.', ',', ';', ':']);
    let is_word = word.chars().all(|c| c.is_alphabetic() || c == '-');
    let first = out.chars().next()?;
    Some(match is_word {
        true => first.to_uppercase().chain(out.chars().skip(1)).collect(),
        false => out.to_owned(),
    })
}

impl Step {
    fn parse(title: &str, body: &str) -> Result<Step, String> {
        let mut until = None;
        let mut step = Step {
            title: title.to_owned(),
            until: Until::Start,
            screen: None,
            fd: None,
            caption: String::new(),
            question: None,
            notes: String::new(),
        };
        let mut part = Part::None;
        for line in body.lines() {
            let line = line.trim();
            let question = step.question.as_mut();
            if line.is_empty() {
                part = Part::None;
            } else if let Some(text) = line.strip_prefix("- until: ") {
                until = Some(moment(text)?);
            } else if let Some(text) = line.strip_prefix("- screen: ") {
                step.screen = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("- fd: ") {
                step.fd = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("> ") {
                part = Part::Caption;
                push(&mut step.caption, text);
            } else if let Some(text) = line.strip_prefix("**").and_then(|t| t.strip_suffix("**")) {
                step.question = Some(Question {
                    text: text.to_owned(),
                    ..Question::default()
                });
            } else if let Some(text) = line.strip_prefix("Notes: ") {
                part = Part::Notes;
                push(&mut step.notes, text);
            } else if let (Some(text), Some(question)) = (line.strip_prefix("Answer: "), question) {
                let (right, why) = text.split_once(". ").ok_or("the answer has no number")?;
                let right = right.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                question.right = right.ok_or("the answer has no number")?;
                question.why = why.to_owned();
                part = Part::Why;
            } else if let (Some((_, text)), Some(question)) = (
                line.split_once(". ")
                    .filter(|(n, _)| n.parse::<u8>().is_ok()),
                step.question
                    .as_mut()
                    .filter(|_| matches!(part, Part::None | Part::Choice)),
            ) {
                part = Part::Choice;
                question.choices.push(text.to_owned());
            } else {
                match (part, step.question.as_mut()) {
                    (Part::Caption, _) => push(&mut step.caption, line),
                    (Part::Notes, _) => push(&mut step.notes, line),
                    (Part::Why, Some(question)) => push(&mut question.why, line),
                    (Part::Choice, Some(question)) => {
                        if let Some(choice) = question.choices.last_mut() {
                            push(choice, line);
                        }
                    }
                    _ => return Err(format!("what is \"{line}\"?")),
                }
            }
        }
        step.until = until.ok_or("it says no moment (- until: …)")?;
        if step.caption.is_empty() {
            return Err("it has no caption (> …)".to_owned());
        }
        if let Some(question) = &step.question
            && (question.right >= question.choices.len()
                || !(2..=MAX_CHOICES).contains(&question.choices.len())
                || question.why.is_empty())
        {
            return Err("its question needs two to four choices and an answer".to_owned());
        }
        Ok(step)
    }
}

/// The knobs of a lesson's text; none is none.
pub fn knobs(text: &str) -> Result<Vec<Knob>, String> {
    let part = text.split_once("\n## Knobs\n").map_or("", |(_, rest)| rest);
    let part = part.split("\n## ").next().unwrap_or_default();
    let lines = part.lines().filter_map(|line| line.strip_prefix("- "));
    let knob = |line| Knob::parse(line).ok_or_else(|| format!("\"{line}\" is no knob"));
    lines.take(MAX_KNOBS).map(knob).collect()
}

impl Knob {
    fn parse(line: &str) -> Option<Knob> {
        let (name, rest) = line.split_once(": ")?;
        let (values, rest) = rest.split_once(" (")?;
        let (start, about) = rest.split_once("). ")?;
        let values: Vec<String> = values.split(" | ").map(str::to_owned).collect();
        let place = |value: &str| values.iter().position(|v| v == value);
        let (broken, fixed) = start.split_once(", ").unwrap_or((start, start));
        let start = [place(broken)?, place(fixed)?];
        (values.len() >= 2).then(|| Knob {
            name: name.to_owned(),
            start,
            about: about.to_owned(),
            values,
        })
    }

    /// Which value this is.
    pub fn place(&self, value: &str) -> Option<usize> {
        self.values.iter().position(|v| v == value)
    }
}

fn push(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

/// `start`, `400ms`, or one that may have `+ 20ms` behind it: `mark "name" key=value`, a filter in backticks.
fn moment(text: &str) -> Result<Until, String> {
    let time = |text: &str| when::duration(text.trim()).ok_or(format!("\"{text}\" is no duration"));
    if let Some(rest) = text.strip_prefix('`') {
        let (filter, after) = rest.split_once('`').ok_or("the filter has no end")?;
        let after = match (after.trim(), after.trim().strip_prefix('+')) {
            (_, Some(after)) => time(after)?,
            ("", None) => 0,
            (what, None) => return Err(format!("\"{what}\" is no time after a filter (+ 20ms)")),
        };
        return Ok(Until::Run(filter.to_owned(), after));
    }
    if let Some(rest) = text.strip_prefix("mark \"") {
        let (name, fields) = rest.split_once('"').ok_or("the mark's name has no end")?;
        let (fields, after) = match fields.split_once('+') {
            Some((fields, after)) => (fields.trim(), time(after)?),
            None => (fields.trim(), 0),
        };
        if !fields
            .split(' ')
            .next()
            .is_none_or(|first| first.is_empty() || first.contains('='))
        {
            return Err(format!("\"{fields}\" is no field of a mark (key=value)"));
        }
        return Ok(Until::Mark(name.to_owned(), fields.to_owned(), after));
    }
    match text {
        "start" => Ok(Until::Start),
        "end" => Ok(Until::End),
        other => Ok(Until::Time(time(other)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\nText.\n\n## Steps\n\n### One\n\n- until: `fd == 3` + 20ms\n- screen: loop\n\n> A caption\n\
        > of two lines.\n\n**What?**\n\n1. this\n2. that,\n   or so\n\nAnswer: 2. Because\nof it.\n\nNotes: Speak up.\n\n\
        ### Two\n\n- until: mark \"poll\" idle=10\n- fd: bob\n\n> Another.\n\n## Questions\n\n1. Not a step?\n";

    /// One step, of the first sentences of what the repair is.
    #[test]
    fn the_repaired_program_has_one_step() {
        let caption = |repair: &str| {
            let text = format!("{TEXT}\n## The repair\n\n{repair}\n\nMore.\n");
            let lesson = Lesson::repaired(&text).unwrap();
            let [step] = &lesson.steps[..] else { panic!() };
            assert_eq!(step.until, Until::End);
            assert_eq!((step.fd.as_deref(), &step.question), (Some("bob"), &None));
            let end = step.caption.find(" Compare with").unwrap();
            step.caption[..end].to_owned()
        };
        let said = caption("`demo x --fixed`: read *until*\n`EAGAIN`. Then wait.");
        assert_eq!(said, "Read until EAGAIN. Then wait.");
        assert_eq!(
            caption("`demo x --fixed`: poll(2) tells."),
            "poll(2) tells."
        );
        let long = "word ".repeat(50);
        assert_eq!(caption(&format!("One. Two {long}.")), "One.");
        assert!(Lesson::repaired(TEXT).is_err());
    }

    #[test]
    fn a_lesson_is_read() {
        let lesson = Lesson::parse(TEXT).unwrap();
        assert_eq!((lesson.title.as_str(), lesson.steps.len()), ("Title", 2));
        let [one, two] = &lesson.steps[..] else {
            panic!()
        };
        assert_eq!(one.until, Until::Run("fd == 3".into(), 20_000_000));
        assert_eq!(one.caption, "A caption of two lines.");
        let question = one.question.as_ref().unwrap();
        assert_eq!(question.choices, ["this", "that, or so"]);
        assert_eq!(
            (question.right, question.why.as_str()),
            (1, "Because of it.")
        );
        assert_eq!(one.notes, "Speak up.");
        assert_eq!(two.until, Until::Mark("poll".into(), "idle=10".into(), 0));
        assert_eq!(
            (two.fd.as_deref(), two.screen.as_deref()),
            (Some("bob"), None)
        );
    }

    #[test]
    fn a_step_may_stand_some_time_after_a_mark() {
        let until = |text: &str| {
            Lesson::parse(&TEXT.replace("idle=10", text)).unwrap().steps[1]
                .until
                .clone()
        };
        let mark = |fields: &str, after| Until::Mark("poll".into(), fields.into(), after);
        assert_eq!(until("+ 20ms"), mark("", 20_000_000));
        assert_eq!(
            until("order=smallest first + 1us"),
            mark("order=smallest first", 1_000)
        );
    }

    #[test]
    fn knobs_are_read() {
        let text = "# T\n\n## Knobs\n\n- budget: 1 | all (all, 1). Chunks: so many.\n- slow: 5 ms | 50 ms (5 ms). How slow.\n\n## X\n- y\n";
        let [budget, slow] = &knobs(text).unwrap()[..] else {
            panic!()
        };
        assert_eq!((budget.name.as_str(), budget.start), ("budget", [1, 0]));
        assert_eq!((slow.start, slow.place("50 ms")), ([0, 0], Some(1)));
        assert_eq!(budget.about, "Chunks: so many.");
        assert!(knobs("# T\n").unwrap().is_empty());
        for wrong in ["- a: 1 (1). No choice.", "- a: 1 | 2 (3). Where?", "- a"] {
            let told = knobs(&format!("# T\n\n## Knobs\n{wrong}\n")).unwrap_err();
            assert!(told.contains("is no knob"), "{told}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |from: &str, to: &str| Lesson::parse(&TEXT.replace(from, to)).unwrap_err();
        assert!(wrong("+ 20ms", "+ soon").contains("no duration"));
        assert!(wrong("+ 20ms", "20ms later").contains("no time after a filter"));
        assert!(wrong("idle=10", "idle=10 + soon").contains("no duration"));
        assert!(wrong("idle=10", "20ms later").contains("no field of a mark"));
        assert!(wrong("Answer: 2.", "Answer: 3.").contains("choices"));
        assert!(wrong("> Another.", "Another.").contains("what is"));
        assert!(wrong("- until: mark", "- screen: mark").contains("no moment"));
        assert!(Lesson::parse("# Nothing\n").is_err());
    }
}
