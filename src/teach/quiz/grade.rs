//! Grading a filled-in sheet: tolerant of how an answer is written, strict about what it says.

use super::problem::Problem;
use super::sheet::{Sheet, Unreadable};
use super::show::{folded, letter};
use crate::teach::epoll::{Answer, Errno, Ready, bits};
use crate::text::names;
use std::collections::BTreeMap;

/// What became of one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the kernel.
    Right,
    /// One of the choices, by its index, and not the right one.
    Chose(usize),
    /// An answer of one's own, and not the right one.
    Wrong(String),
    /// Nothing was written.
    Missing,
    /// Neither a letter nor an answer.
    Unclear(String),
    /// Two answers that differ.
    Twice,
}

/// A graded sheet.
#[derive(Debug)]
pub struct Grade {
    sheet: Sheet,
    verdicts: Vec<Verdict>,
    /// Answers to problems that the sheet does not have.
    unknown: Vec<u64>,
}

impl Grade {
    /// Grades a filled-in sheet.
    pub fn of(text: &str) -> Result<Grade, Unreadable> {
        let sheet = Sheet::of(text)?;
        let mut given: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for (number, answer) in text.lines().filter_map(filled_in) {
            given.entry(number).or_default().push(answer);
        }
        let of = |problem: &Problem| {
            let written = given.get(&u64::from(problem.number));
            let mut verdicts: Vec<Verdict> = (written.into_iter().flatten())
                .filter(|answer| !answer.is_empty())
                .map(|answer| judge(problem, answer))
                .collect();
            verdicts.dedup();
            match (verdicts.len(), verdicts.pop()) {
                (0, _) => Verdict::Missing,
                (1, Some(verdict)) => verdict,
                _ => Verdict::Twice,
            }
        };
        let verdicts = sheet.problems().iter().map(of).collect();
        let most = sheet.problems().len() as u64;
        let unknown = (given.keys().copied())
            .filter(|n| *n == 0 || *n > most)
            .take(5)
            .collect();
        Ok(Grade {
            sheet,
            verdicts,
            unknown,
        })
    }

    /// How many are right.
    pub fn right(&self) -> usize {
        (self.verdicts.iter())
            .filter(|v| **v == Verdict::Right)
            .count()
    }

    /// How many there are.
    pub fn all(&self) -> usize {
        self.verdicts.len()
    }

    /// Each problem's verdict.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// A line for each problem and the sum. What was written comes back as it is: the caller makes it harmless.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (problem, verdict) in self.sheet.problems().iter().zip(&self.verdicts) {
            out.push_str(&told(problem, verdict));
        }
        for number in &self.unknown {
            out.push_str(&format!(
                "{number:>4}  there is no such problem on the sheet\n"
            ));
        }
        out.push_str(&format!("{} of {} right\n", self.right(), self.all()));
        if self.right() < self.all() {
            let command = format!("The answers with their rules: {} -c", self.sheet.command());
            out.push_str(&folded(&command, "", ""));
        }
        out
    }
}

/// One problem's line, with the rule where it is not right.
fn told(problem: &Problem, verdict: &Verdict) -> String {
    let right = &problem.choices[problem.right];
    let truth = format!("{}) {}", letter(problem.right), right.answer);
    let (word, said) = match verdict {
        Verdict::Right => return format!("{:>4}  right\n", problem.number),
        Verdict::Chose(at) => (
            "wrong",
            format!(
                "{}) {}; it is {truth}",
                letter(*at),
                problem.choices[*at].answer
            ),
        ),
        Verdict::Wrong(text) => ("wrong", format!("{text}; it is {truth}")),
        Verdict::Missing => ("no answer", String::new()),
        Verdict::Unclear(text) => {
            let last = letter(problem.choices.len() - 1);
            (
                "not understood",
                format!(
                    "`{text}`: a letter from a to {last}, or an answer such as {}",
                    example(problem)
                ),
            )
        }
        Verdict::Twice => ("two answers", "which differ: leave one".to_owned()),
    };
    let mut out = folded(&said, &format!("{:>4}  {word}  ", problem.number), "      ");
    let wrong = match verdict {
        Verdict::Chose(at) => problem.choices[*at].belief,
        _ => None,
    };
    if let Some(belief) = wrong {
        let rule = belief.rule();
        let text = format!(
            "It would be if {}. But {}.",
            belief.sentence(),
            rule.sentence()
        );
        out.push_str(&folded(&text, "      ", "      "));
    } else if only_order(problem, verdict) {
        out.push_str(
            "      The events are right, their order is not: it is that of the ready list.\n",
        );
    } else if let (Verdict::Chose(_) | Verdict::Wrong(_), Some(rule)) =
        (verdict, problem.rules.first())
    {
        out.push_str(&folded(
            &format!("The rule: {}.", rule.sentence()),
            "      ",
            "      ",
        ));
    }
    out
}

/// The same events as the right answer, in another order.
fn only_order(problem: &Problem, verdict: &Verdict) -> bool {
    let truth = &problem.choices[problem.right].answer;
    let given = match verdict {
        Verdict::Chose(at) => Some(problem.choices[*at].answer.clone()),
        Verdict::Wrong(text) => written(text, truth),
        _ => None,
    };
    let sorted = |answer: &Answer| match answer {
        Answer::Batch(events) => {
            let mut events: Vec<(u64, u32)> = events.iter().map(|e| (e.data, e.mask)).collect();
            events.sort_unstable();
            Some(events)
        }
        _ => None,
    };
    let given = given.as_ref().and_then(sorted);
    given.is_some() && given == sorted(truth)
}

fn example(problem: &Problem) -> &'static str {
    match problem.choices[problem.right].answer {
        Answer::Batch(_) => "[A:IN B:IN|HUP]",
        _ => "0 or EEXIST",
    }
}

/// One problem's verdict on what was typed.
pub fn grade_one(problem: &Problem, text: &str) -> Verdict {
    match text.trim() {
        "" => Verdict::Missing,
        text => judge(problem, text),
    }
}

/// The number and the text of a filled-in line: `Answer 3: c`, `3) c`, `> answer 3 = [A:IN]`.
fn filled_in(line: &str) -> Option<(u64, &str)> {
    let line = line.trim_matches(|c: char| c.is_whitespace() || "*_>#\u{feff}".contains(c));
    let named = line
        .get(..6)
        .filter(|word| word.eq_ignore_ascii_case("answer"))
        .map(|_| line[6..].trim_start_matches(|c: char| c.is_whitespace() || c == '#'));
    let rest = named.unwrap_or(line);
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let number = rest[..digits].parse().ok()?;
    let behind = rest[digits..].trim_start_matches(|c: char| c.is_whitespace() || "*_".contains(c));
    let mark = behind.starts_with([':', ')', '.', '=', '-']);
    let text = behind.trim_start_matches([':', ')', '.', '=']);
    let text = text.trim_matches(|c: char| c.is_whitespace() || "*_`".contains(c));
    // The sheet's own lines begin with numbers, too: the calls. Only a letter may stand without its "Answer".
    let alone = text.trim_matches(['(', ')']).len() == 1 && mark;
    (named.is_some() || alone).then_some((number, text))
}

/// Judges one written answer.
fn judge(problem: &Problem, text: &str) -> Verdict {
    // What hostile files hold is cut: it is only shown back.
    let short: String = text.chars().take(60).collect();
    if let Some(verdict) = by_letter(problem, text) {
        return verdict.unwrap_or(Verdict::Unclear(short));
    }
    // A letter with its answer, copied from the sheet or its key: `b) [A:IN]`, `b  [A:IN]`.
    let copied = (text.trim_start_matches('(').split_once([')', ' ', '\t']))
        .and_then(|(letter, answer)| Some((by_letter(problem, letter)?, answer)));
    match copied {
        None => by_answer(problem, text, short),
        Some((letter, answer)) => match by_answer(problem, answer, short.clone()) {
            same if Some(&same) == letter.as_ref() => same,
            _ => Verdict::Unclear(short),
        },
    }
}

/// The verdict on a single letter, if it is one; nothing in it where no choice has that letter.
fn by_letter(problem: &Problem, text: &str) -> Option<Option<Verdict>> {
    let bare = text.trim_matches(|c: char| "()[].,: \t".contains(c));
    let mut letters = bare.chars();
    let (Some(only), None) = (letters.next(), letters.next()) else {
        return None;
    };
    if !only.is_ascii_alphabetic() || text.contains('[') {
        return None;
    }
    let at = (only.to_ascii_lowercase() as usize).wrapping_sub('a' as usize);
    Some(match at {
        at if at == problem.right => Some(Verdict::Right),
        at if at < problem.choices.len() => Some(Verdict::Chose(at)),
        _ => None,
    })
}

/// The verdict on an answer that was written out.
fn by_answer(problem: &Problem, text: &str, short: String) -> Verdict {
    let truth = &problem.choices[problem.right].answer;
    match written(text, truth) {
        None => Verdict::Unclear(short),
        Some(answer) if answer == *truth => Verdict::Right,
        Some(answer) => match problem.choices.iter().position(|c| c.answer == answer) {
            Some(at) => Verdict::Chose(at),
            None => Verdict::Wrong(short),
        },
    }
}

/// An answer that was written out. `like` says which kind is asked for.
fn written(text: &str, like: &Answer) -> Option<Answer> {
    let text = text.trim();
    match like {
        Answer::Batch(_) => {
            let inside = text.trim_matches(|c: char| "[]{}".contains(c) || c.is_whitespace());
            let none = ["", "0", "none", "nothing", "empty", "no event", "no events"];
            if none.iter().any(|n| inside.eq_ignore_ascii_case(n)) {
                return Some(Answer::Batch(Vec::new()));
            }
            let events = inside.split([' ', ',', ';']).filter(|w| !w.is_empty());
            events.map(event).collect::<Option<_>>().map(Answer::Batch)
        }
        _ => {
            if ["0", "ok", "success"]
                .iter()
                .any(|w| text.eq_ignore_ascii_case(w))
            {
                return Some(Answer::Done);
            }
            let name = text
                .trim_start_matches("-1")
                .trim_start_matches(['-', ' ', '(']);
            let name = name.trim_end_matches(')').trim().to_ascii_uppercase();
            let named = |number: &i32| names::errno(*number) == Some(name.as_str());
            (1..134)
                .find(named)
                .map(|number| Answer::Failed(Errno(number)))
        }
    }
}

/// One event: `A:IN|HUP`, the bits in any order, with their prefix or without.
fn event(text: &str) -> Option<Ready> {
    let (data, mask) = text.split_once([':', '='])?;
    let mut letters = data.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else {
        return None;
    };
    let known = [
        ("IN", bits::IN),
        ("OUT", bits::OUT),
        ("ERR", bits::ERR),
        ("HUP", bits::HUP),
        ("RDHUP", bits::RDHUP),
        ("PRI", bits::PRI),
    ];
    let mut bits = 0;
    for name in mask.split(['|', '+']) {
        let name = name.to_ascii_uppercase();
        let name = name.strip_prefix("EPOLL").unwrap_or(&name);
        bits |= known.iter().find(|(n, _)| *n == name)?.1;
    }
    letter.is_ascii_alphabetic().then(|| Ready {
        data: letter.to_ascii_uppercase() as u64,
        mask: bits,
    })
}

#[cfg(test)]
mod tests {
    use super::super::topic::Topic;
    use super::*;

    /// A sheet, filled in by a function of the problem.
    fn graded(topic: Option<Topic>, fill: impl Fn(&Problem) -> String) -> Grade {
        let sheet = Sheet::new(topic, 11, None, 12);
        let mut text = sheet.text(false);
        for problem in sheet.problems().iter().rev() {
            let line = format!("Answer {}:\n", problem.number);
            text = text.replace(&line, &fill(problem));
        }
        Grade::of(&text).unwrap()
    }

    fn right(problem: &Problem) -> (char, String) {
        let answer = &problem.choices[problem.right].answer;
        (letter(problem.right), answer.to_string())
    }

    #[test]
    fn an_answer_may_be_written_in_many_ways() {
        type Way = fn(u32, char, &str) -> String;
        let ways: [Way; 12] = [
            |n, l, _| format!("Answer {n}: {l}\n"),
            |n, l, _| format!("answer {n} = {}\n", l.to_ascii_uppercase()),
            |n, l, _| format!("> **Answer {n}:** ({l})\r\n"),
            |n, l, _| format!("ANSWER #{n}. {l}.\n"),
            |n, l, _| format!("{n}) {l}\n"),
            |n, l, a| format!("Answer {n}: {l}) {a}\n"),
            |n, l, a| format!("Answer {n}: {l}  {a}\n"),
            |n, _, a| format!("Answer {n}: {a}\n"),
            |n, _, a| format!("Answer {n}: {}\n", a.to_lowercase()),
            |n, _, a| format!("Answer {n}: {}\n", a.replace(['[', ']'], "")),
            |n, _, a| {
                format!(
                    "Answer {n}: {}\n",
                    a.replace(' ', ", ").replace(':', ":EPOLL")
                )
            },
            |n, l, a| format!("Answer {n}: {a}\nAnswer {n}: {l}\n"),
        ];
        for (at, way) in ways.iter().enumerate() {
            for topic in [Topic::Hangup, Topic::Maxevents, Topic::Errors] {
                if topic == Topic::Errors && (8..11).contains(&at) {
                    continue;
                }
                let grade = graded(Some(topic), |p| {
                    let (letter, answer) = right(p);
                    way(p.number, letter, &answer)
                });
                // An empty batch without its brackets is no answer.
                let missing = grade
                    .verdicts()
                    .iter()
                    .filter(|v| **v == Verdict::Missing)
                    .count();
                let empty = if at == 9 { missing } else { 0 };
                assert_eq!(
                    grade.right() + empty,
                    12,
                    "way {at} {topic:?}\n{}",
                    grade.text()
                );
            }
        }
    }

    #[test]
    fn errors_are_known_by_name() {
        let ways: [fn(&str) -> String; 3] = [
            |a| a.replace("-1 ", ""),
            |a| a.replace("-1 ", "-"),
            |a| a.to_lowercase(),
        ];
        for way in ways {
            let grade = graded(Some(Topic::Errors), |p| {
                format!("Answer {}: {}\n", p.number, way(&right(p).1))
            });
            assert_eq!(grade.right(), 12, "{}", grade.text());
        }
    }

    #[test]
    fn what_is_not_right_is_told_with_its_reason() {
        let wrong = graded(None, |p| {
            let at = (p.right + 1) % p.choices.len();
            format!("Answer {}: {}\n", p.number, letter(at))
        });
        assert_eq!((wrong.right(), wrong.all()), (0, 12));
        assert!(
            wrong
                .verdicts()
                .iter()
                .all(|v| matches!(v, Verdict::Chose(_)))
        );
        let text = wrong.text();
        assert!(
            text.contains("; it is ") && text.contains("0 of 12 right"),
            "{text}"
        );
        assert!(
            text.contains("It would be if ") && text.ends_with(" -c\n"),
            "{text}"
        );

        let cases = [
            ("", Verdict::Missing),
            ("e", Verdict::Unclear("e".to_owned())),
            ("dunno", Verdict::Unclear("dunno".to_owned())),
            ("[A:]", Verdict::Unclear("[A:]".to_owned())),
            ("[Q:IN|PRI]", Verdict::Wrong("[Q:IN|PRI]".to_owned())),
        ];
        for (written, verdict) in cases {
            let grade = graded(Some(Topic::Level), |p| {
                format!("Answer {}: {written}\n", p.number)
            });
            assert_eq!(grade.verdicts()[0], verdict);
            assert_eq!(grade.right(), 0);
        }
        let twice = graded(None, |p| {
            format!("Answer {0}: a\nAnswer {0}: b\n", p.number)
        });
        assert!(
            twice.verdicts().iter().all(|v| *v == Verdict::Twice),
            "{}",
            twice.text()
        );
    }

    #[test]
    fn events_in_another_order_are_told_as_that() {
        let batch = |p: &Problem| match &p.choices[p.right].answer {
            Answer::Batch(events) if events.len() > 1 => {
                let turned = events.iter().rev().cloned().collect();
                Some(Answer::Batch(turned).to_string())
            }
            _ => None,
        };
        let grade = graded(Some(Topic::Maxevents), |p| {
            format!("Answer {}: {}\n", p.number, batch(p).unwrap_or_default())
        });
        let problems = grade.sheet.problems();
        // Where a wrong belief leads to just that order, the belief is told.
        let turned = problems.iter().filter(|p| {
            let led = |text: &String| {
                let mut choices = p.choices.iter();
                choices.any(|c| c.belief.is_some() && c.answer.to_string() == *text)
            };
            batch(p).is_some_and(|text| !led(&text))
        });
        let turned = turned.count();
        let told = grade.text().matches("their order is not").count();
        assert!(turned > 0 && told == turned, "{}", grade.text());
        assert!(!only_order(&problems[0], &Verdict::Right));
    }

    #[test]
    fn a_stranger_s_sheet_harms_nobody() {
        let sheet = Sheet::new(None, 1, None, 1).text(false);
        let lines = [
            "Answer 99999999999999999999: a",
            "Answer 7: a",
            "Answer 0: b",
            "Answer 1: \x1b]0;evil\x07",
            "Answer 1: \u{202e}",
            "\u{e9}\u{e9}\u{e9}\u{e9}: a",
            "Answ\u{e9}r 1: a",
            "1",
            ")))",
            "Answer",
            "Answer 1: ((((((((",
            "Answer 1: a) b) c) d)",
            &format!("Answer 1: {}", "a) ".repeat(200_000)),
            &format!("Answer 1: {}", "a ".repeat(200_000)),
        ];
        for line in lines {
            let grade = Grade::of(&format!("{sheet}{line}\n")).unwrap();
            assert_eq!(grade.right(), 0, "{line}: {}", grade.text());
        }
        let long = format!("{sheet}Answer 1: {}\n", "x".repeat(100_000));
        assert!(Grade::of(&long).unwrap().text().len() < 1000);
    }
}
