//! Findings that are known and do not fail a check. One a line, `CODE PROGRAM ROLE`; the list can only shrink: one that is not
//! found any more has to leave it. Step: model → **view**.

use super::summary::Summary;
use crate::findings::{Found, Outcome};
use crate::text::visible;

/// A list of known findings, as a file holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    known: Vec<String>,
}

/// Ports from here on are given out by the kernel, another one each time.
const GIVEN_OUT: u32 = 32_768;

impl Baseline {
    /// Reads the lines of a file; what follows a `#` is a comment.
    pub fn new(text: &str) -> Self {
        let lines = text
            .lines()
            .map(|l| l.split('#').next().unwrap_or_default());
        Baseline {
            known: lines
                .map(|l| l.trim().to_owned())
                .filter(|l| !l.is_empty())
                .collect(),
        }
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
        assert_eq!(list.known, ["busy-loop redis", "idle-wakeups x"]);
    }
}
