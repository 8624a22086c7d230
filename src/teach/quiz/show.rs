//! A problem as text, at most 80 columns: calls as strace(1) writes them, the choices, the answer with its rule.

use super::problem::Problem;
use crate::teach::epoll::{Answer, Call, Ctl, Fd, Sizes, World, data_name};
use crate::text::names;
use std::collections::BTreeSet;

/// Columns of a sheet.
pub(super) const COLUMNS: usize = 80;

/// Where the answers begin.
const CALL: usize = 52;

/// A call and what it returned; `None` is the question.
fn line(number: usize, call: &Call, answer: Option<&Answer>, eventfds: &BTreeSet<Fd>) -> String {
    let text = match *call {
        Call::Epoll { .. } => "epoll_create1(0)".to_owned(),
        Call::Pipe { .. } => "pipe2(O_NONBLOCK)".to_owned(),
        Call::Eventfd {
            count, semaphore, ..
        } => {
            let flag = if semaphore { "|EFD_SEMAPHORE" } else { "" };
            format!("eventfd({count}, EFD_NONBLOCK{flag})")
        }
        Call::Pair { .. } => "socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK)".to_owned(),
        Call::Regular { .. } => "open(\"notes.txt\", O_RDWR)".to_owned(),
        Call::Ctl {
            epfd,
            ctl: Ctl::Del,
            fd,
            ..
        } => format!("epoll_ctl({epfd}, DEL, {fd})"),
        Call::Ctl {
            epfd,
            ctl,
            fd,
            mask,
            data,
        } => format!(
            "epoll_ctl({epfd}, {}, {fd}, {}, {})",
            ctl.name(),
            names::mask(mask),
            data_name(data)
        ),
        Call::Wait { epfd, max } => format!("epoll_wait({epfd}, maxevents {max})"),
        Call::Write { fd, count } if eventfds.contains(&fd) => {
            format!("write({fd}, the number {count})")
        }
        Call::Read { fd, .. } if eventfds.contains(&fd) => format!("read({fd}, 8 bytes)"),
        Call::Write { fd, count } => format!("write({fd}, {})", bytes(count)),
        Call::Read { fd, count } => format!("read({fd}, up to {})", bytes(count)),
        Call::Shutdown { fd, how } => format!("shutdown({fd}, {})", how.name()),
        Call::Dup { from, .. } => format!("dup({from})"),
        Call::Close { fd } => format!("close({fd})"),
    };
    let returned = match (answer, call) {
        (None, _) => "?".to_owned(),
        (_, Call::Epoll { fd } | Call::Eventfd { fd, .. } | Call::Regular { fd }) => fd.to_string(),
        (_, Call::Pipe { read, write }) => format!("read end {read}, write end {write}"),
        (_, Call::Pair { a, b }) => format!("{a} and {b}"),
        (Some(Answer::Count(count)), Call::Read { fd, .. }) if eventfds.contains(fd) => {
            format!("8, the number {count}")
        }
        (Some(answer), _) => answer.to_string(),
    };
    format!("{number:>3}  {text:<width$} = {returned}", width = CALL - 5)
}

fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        more => format!("{more} bytes"),
    }
}

/// The calls with what they return, the last one as the question.
fn lines(calls: &[Call], answers: &[Answer]) -> Vec<String> {
    told(calls, answers, calls.len().saturating_sub(1))
}

/// The calls with what they return, the last one too; one blank between words.
pub(super) fn calls(calls: &[Call], answers: &[Answer]) -> Vec<String> {
    let lines = told(calls, answers, calls.len());
    let squeezed = |l: &String| l.split_whitespace().collect::<Vec<_>>().join(" ");
    lines.iter().map(squeezed).collect()
}

/// The calls; what returned stands behind so many of them.
fn told(calls: &[Call], answers: &[Answer], returned: usize) -> Vec<String> {
    let mut eventfds = BTreeSet::new();
    let mut lines = Vec::new();
    for (at, (call, answer)) in calls.iter().zip(answers).enumerate() {
        match call {
            Call::Eventfd { fd, .. } => {
                eventfds.insert(*fd);
            }
            Call::Dup { from, to } if eventfds.contains(from) => {
                eventfds.insert(*to);
            }
            Call::Close { fd } => {
                eventfds.remove(fd);
            }
            _ => {}
        }
        let answer = (at < returned).then_some(answer);
        lines.push(line(at + 1, call, answer, &eventfds));
    }
    lines
}

/// Whether a problem fits into the columns.
pub(super) fn fits(calls: &[Call], answers: &[Answer]) -> bool {
    calls.len() <= 24
        && lines(calls, answers)
            .iter()
            .all(|l| l.chars().count() <= COLUMNS)
}

/// An answer to choose, as it stands behind its letter.
pub(super) fn choice(answer: &Answer) -> String {
    answer.to_string()
}

/// The letter of a choice.
pub(super) fn letter(at: usize) -> char {
    char::from(b'a' + at as u8)
}

impl Problem {
    /// The question with its choices.
    pub fn question(&self) -> String {
        let mut out = format!(
            "Problem {}  {}  level {} of {}\n\n",
            self.number,
            self.topic.name(),
            self.level,
            super::problem::LEVELS
        );
        for line in lines(&self.calls, &self.answers) {
            out.push_str(&line);
            out.push('\n');
        }
        out.push('\n');
        for (at, choice) in self.choices.iter().enumerate() {
            out.push_str(&format!(
                "     {}) {}\n",
                letter(at),
                self::choice(&choice.answer)
            ));
        }
        out
    }

    /// The right answer, the rules behind it, and what leads to the others.
    pub fn answer(&self) -> String {
        let right = &self.choices[self.right];
        let mut out = format!(
            "Answer {}: {}  {}\n",
            self.number,
            letter(self.right),
            self::choice(&right.answer)
        );
        for rule in &self.rules {
            out.push_str(&folded(&format!("{}.", rule.sentence()), "   - ", "     "));
            let source = format!("{}; {}", rule.page(), rule.function());
            out.push_str(&folded(&source, "     ", "     "));
        }
        out.push_str(&self.ready_lists());
        for (at, choice) in self.choices.iter().enumerate() {
            if let Some(belief) = choice.belief {
                let text = format!("is what comes out if {}.", belief.sentence());
                out.push_str(&folded(&text, &format!("  {}) ", letter(at)), "     "));
            }
        }
        out
    }

    /// How the ready list changes from call to call.
    fn ready_lists(&self) -> String {
        let Some(Call::Wait { epfd, .. }) = self.calls.last() else {
            return String::new();
        };
        let mut world = World::new(Sizes::default());
        let mut last = Vec::new();
        let mut parts = Vec::new();
        for (at, call) in self.calls.iter().enumerate() {
            world.apply(call);
            let now = world.ready_list(*epfd);
            if now != last {
                let names: Vec<String> = now.iter().map(|d| data_name(*d)).collect();
                let names = if names.is_empty() {
                    "empty".to_owned()
                } else {
                    names.join(" ")
                };
                parts.push(format!("{} {names}", at + 1));
                last = now;
            }
        }
        match parts.is_empty() {
            true => folded("The ready list stays empty.", "     ", "     "),
            false => folded(
                &format!("The ready list after call {}.", parts.join(", ")),
                "     ",
                "     ",
            ),
        }
    }
}

/// Words in lines of at most [`COLUMNS`].
pub(super) fn folded(text: &str, first: &str, rest: &str) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    for word in text.split_whitespace() {
        let blank = line.trim().is_empty() || line.ends_with(' ');
        if line.chars().count() + usize::from(!blank) + word.chars().count() > COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            line = rest.to_owned();
        } else if !blank {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}
