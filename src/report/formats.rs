//! The findings for other programs to show: Markdown for an issue, JUnit for a CI's list of tests, SARIF for code scanners, and
//! the list that a later check takes for known. Step: model → **view**.

use super::findings::{paragraphs, verdict};
use super::limit::Verdict;
use super::summary::{Summary, Times};
use super::words::grouped;
use super::{baseline, text};
use crate::findings::{Code, Found, Outcome, Severity};
use crate::json::Json;
use crate::text::visible;
use crate::when::Duration;
use std::fmt::Write;

/// The findings, the worst first; none where nobody looked.
fn found(s: &Summary) -> &[Found] {
    s.findings.as_ref().map_or(&[], |o| &o.found)
}

/// What a colleague pastes into an issue: verdict, findings with evidence and cure, who waited.
pub fn to_markdown(s: &Summary, file: Option<&str>) -> String {
    let mut out = String::new();
    let first = s.findings.as_ref().and_then(verdict);
    let first = first.unwrap_or_else(|| text::verdict_of(s));
    let _ = writeln!(out, "**{}**\n", marked(&first));
    let r = &s.recording;
    let command = r.command.join(" ");
    let _ = writeln!(
        out,
        "`{}`, {} long, {} events, {} lost{}\n",
        code(&command),
        Duration(r.duration_ns),
        grouped(r.events),
        grouped(r.lost),
        if r.complete { "" } else { ", not complete" }
    );
    for f in found(s) {
        let [heading, says, cure, look] = paragraphs(f, file);
        let _ = writeln!(
            out,
            "### {}\n\n{}\n\n{}\n",
            marked(heading.trim()),
            marked(&says),
            marked(&cure)
        );
        let _ = writeln!(out, "`{}`\n", code(&look));
    }
    let more = s.findings.as_ref().map_or(0, |o| o.omitted);
    if more > 0 {
        let _ = writeln!(out, "and {more} more findings\n");
    }
    if found(s).is_empty()
        && let Some(o) = &s.findings
    {
        let _ = writeln!(
            out,
            "None of the {} findings that were looked for.\n",
            o.checked.len()
        );
    }
    for judged in &s.limits {
        let _ = writeln!(out, "- {}", marked(&judged.told()));
    }
    let _ = writeln!(
        out,
        "| fd | ready | runs | share | queue p99 | run p99 | run max |\n|---|--:|--:|--:|--:|--:|--:|"
    );
    let time = |t: Option<Times>, of: fn(Times) -> u64| {
        t.map_or("–".to_owned(), |t| Duration(of(t)).to_string())
    };
    for f in &s.fds {
        let _ = writeln!(
            out,
            "| {} {} | {} | {} | {:.1} % | {} | {} | {} |",
            f.fd,
            marked(&f.name),
            grouped(f.ready),
            grouped(f.dispatched),
            f.share.unwrap_or(0.0) * 100.0,
            time(f.queue, |t| t.p99),
            time(f.run, |t| t.p99),
            time(f.run, |t| t.max)
        );
    }
    let more = s.fds_total.saturating_sub(s.fds.len() as u64);
    if more > 0 {
        let _ = writeln!(out, "\nand {} more descriptors", grouped(more));
    }
    out
}

/// Text that Markdown does not read anything into.
fn marked(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '\n' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '@' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// The same inside of backticks.
fn code(text: &str) -> String {
    visible(text).replace('`', "'").replace('\n', " ")
}

/// One test a code that was looked for, and one a limit.
pub fn to_junit(s: &Summary) -> String {
    let nobody = Outcome::default();
    let outcome = s.findings.as_ref().unwrap_or(&nobody);
    let fails = |c: &&Code| {
        let mut all = outcome.found.iter();
        all.any(|f| f.code == **c && f.severity >= Severity::Warning)
    };
    let failures = outcome.checked.iter().filter(fails).count()
        + (s.limits.iter().filter(|j| j.verdict == Verdict::Passed)).count();
    let skipped = (s
        .limits
        .iter()
        .filter(|j| j.verdict == Verdict::Inconclusive))
    .count();
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ = writeln!(
        out,
        "<testsuite name=\"loopscope\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\" errors=\"0\" time=\"{}\">",
        outcome.checked.len() + s.limits.len(),
        s.recording.duration_ns as f64 / 1e9
    );
    for check in &outcome.checked {
        let _ = write!(
            out,
            "  <testcase classname=\"loopscope.findings\" name=\"{check}\""
        );
        let mine: Vec<&Found> = outcome.found.iter().filter(|f| f.code == *check).collect();
        if mine.is_empty() {
            out.push_str("/>\n");
            continue;
        }
        out.push_str(">\n");
        for f in mine {
            let words = format!("{} Cure: {}", f.summary, f.advice);
            let _ = match f.severity {
                Severity::Info => writeln!(out, "    <system-out>{}</system-out>", escaped(&words)),
                severity => writeln!(
                    out,
                    "    <failure type=\"{}\" message=\"{}\">{}</failure>",
                    severity.name(),
                    escaped(f.code.title()),
                    escaped(&words)
                ),
            };
        }
        out.push_str("  </testcase>\n");
    }
    for judged in &s.limits {
        let name = escaped(&judged.limit.to_string());
        let told = escaped(&judged.told());
        let _ = write!(
            out,
            "  <testcase classname=\"loopscope.limits\" name=\"{name}\""
        );
        let _ = match judged.verdict {
            Verdict::Kept => writeln!(out, "/>"),
            Verdict::Passed => writeln!(
                out,
                "><failure type=\"limit\" message=\"{told}\"/></testcase>"
            ),
            Verdict::Inconclusive => writeln!(out, "><skipped message=\"{told}\"/></testcase>"),
        };
    }
    out.push_str("</testsuite>\n");
    out
}

/// Text for an XML attribute or element.
fn escaped(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // No character of XML 1.0.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// SARIF 2.1.0: one rule a code, one result a finding.
pub fn to_sarif(s: &Summary, file: &str) -> String {
    let mut json = Json::new();
    json.braces(|j| {
        j.field("$schema", "https://json.schemastore.org/sarif-2.1.0.json");
        j.field("version", "2.1.0").line();
        j.array("runs", |j| {
            j.braces(|j| {
                j.object("tool", |j| {
                    j.object("driver", |j| {
                        j.field("name", "loopscope");
                        j.field("version", env!("CARGO_PKG_VERSION"));
                        j.array("rules", |j| Code::ALL.iter().for_each(|c| rule(j, *c)));
                    });
                });
                j.line();
                j.array("results", |j| {
                    found(s).iter().for_each(|f| result(j, f, file))
                });
            });
        });
    });
    let mut out = json.as_str().to_owned();
    out.push('\n');
    out
}

fn rule(j: &mut Json, code: Code) {
    j.line().braces(|j| {
        j.field("id", code.name());
        j.object("shortDescription", |j| {
            j.field("text", code.title());
        });
        j.object("help", |j| {
            j.field("text", crate::findings::explained(code));
        });
    });
}

fn result(j: &mut Json, f: &Found, file: &str) {
    j.line().braces(|j| {
        j.field("ruleId", f.code.name());
        j.field(
            "level",
            match f.severity {
                Severity::Info => "note",
                severity => severity.name(),
            },
        );
        j.object("message", |j| {
            j.field("text", &format!("{} Cure: {}", f.summary, f.advice));
        });
        j.array("locations", |j| {
            j.braces(|j| {
                j.object("physicalLocation", |j| {
                    j.object("artifactLocation", |j| {
                        j.field("uri", &uri(file));
                    });
                });
            });
        });
        j.object("properties", |j| {
            j.field("confidence", f.confidence.name());
            j.field("at_ns", f.at_ns).field("count", f.count);
            j.field("worst_ns", f.worst_ns);
            j.array("events", |j| {
                for e in &f.evidence {
                    j.element(e.event);
                }
            });
        });
    });
}

/// A file's name as a relative or absolute URI reference.
fn uri(file: &str) -> String {
    let mut out = String::with_capacity(file.len());
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            byte => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

/// What was found as the lines of a [`Baseline`](super::Baseline).
pub fn to_baseline(s: &Summary) -> String {
    let worth = found(s).iter().filter(|f| f.severity >= Severity::Warning);
    let mut lines: Vec<String> = worth.map(|f| baseline::line(s, f) + "\n").collect();
    lines.sort();
    lines.dedup();
    lines.concat()
}
