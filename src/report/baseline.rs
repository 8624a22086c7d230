//! Findings that are known and do not fail a check. One a line, `CODE PROGRAM ROLE`; the list can only shrink: one that is not
//! found any more has to leave it. Step: model → **view**.

use super::summary::Summary;
use crate::findings::{Code, Found, Outcome};
use crate::text::visible;

/// A list of known findings, as a file holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    known: Vec<String>,
}

/// Ports from here on are given out by the kernel, another one each time.
const GIVEN_OUT: u32 = 32_768;

/// A line of the list that names no finding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: there is no finding {word:?}")]
pub struct NoFinding {
    /// Which one, from 1.
    pub line: usize,
    /// How it begins.
    pub word: String,
}

impl Baseline {
    /// Reads the lines of a file; what follows a `#` is a comment.
    ///
    /// # Errors
    /// When a line does not begin with a finding's name: it could never be found, nor be told from one that is cured.
    pub fn new(text: &str) -> Result<Self, NoFinding> {
        let mut known = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            let Some(word) = text.split_whitespace().next() else {
                continue;
            };
            let Ok(_) = word.parse::<Code>() else {
                let word = visible(word).into_owned();
                return Err(NoFinding { line, word });
            };
            known.push(text.to_owned());
        }
        Ok(Baseline { known })
    }

    /// It is on the list.
    pub fn knows(&self, summary: &Summary, found: &Found) -> bool {
        self.known.contains(&line(summary, found))
    }

    /// Those of the list that were not found.
    pub fn gone(&self, summary: &Summary, outcome: &Outcome) -> Vec<&str> {
        let found: Vec<String> = outcome.found.iter().map(|f| line(summary, f)).collect();
        let known = self.known.iter().filter(|l| !found.contains(l));
        known.map(String::as_str).collect()
    }
}

/// What stays the same from one recording to the next.
pub(super) fn line(summary: &Summary, found: &Found) -> String {
    let process = summary.processes.iter().find(|p| p.id == found.process);
    let command = process.map_or("", |p| p.name.as_str());
    let program = command.split(' ').next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    let words = [found.code.name(), program, &found.role];
    let words: Vec<String> = (words.iter().filter(|w| !w.is_empty()))
        .map(|w| visible(&without_ports(w)).replace('#', "?"))
        .collect();
    words.join(" ")
}

/// `127.0.0.1:54321` as `127.0.0.1:*`.
fn without_ports(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split(':');
    out.extend(parts.next());
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        let (digits, rest) = part.split_at(end);
        out.push(':');
        match digits.parse::<u32>() {
            Ok(GIVEN_OUT..=65_535) => out.push('*'),
            _ => out.push_str(digits),
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_the_kernel_gives_out_do_not_count() {
        for (text, same) in [
            ("127.0.0.1:54321", "127.0.0.1:*"),
            ("127.0.0.1:6379", "127.0.0.1:6379"),
            ("[::1]:40000 x", "[::1]:* x"),
            ("echo", "echo"),
            ("a:99999:1", "a:99999:1"),
        ] {
            assert_eq!(without_ports(text), same);
        }
    }

    #[test]
    fn comments_and_empty_lines_are_no_findings() {
        let list = Baseline::new("# known\n\nbusy-loop redis # since 3.1\n  idle-wakeups x\n");
        let list = list.unwrap();
        assert_eq!(list.known, ["busy-loop redis", "idle-wakeups x"]);
        let wrong = Baseline::new("busy-loop redis\n\nbusy-lop\x1b redis").unwrap_err();
        assert_eq!(wrong.line, 3);
        assert!(!wrong.to_string().contains('\x1b'), "{wrong}");
    }
}
