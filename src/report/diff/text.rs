//! The comparison as a person reads it: the verdict, what got worse, what better, what the noise hides. 80 columns.
//! Step: model → **view**.

use super::{Change, Diff, Verdict};
use crate::report::summary::Summary;
use crate::report::words::{cell, grouped, program, short};
use crate::text::{visible, wallclock};
use crate::when::Duration;
use std::fmt::Write;

/// The whole text, line feeds included; `files` are how the two recordings are called.
pub fn to_text(d: &Diff, files: [&str; 2], top: usize) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(&verdict(d));
    line("");
    for (name, (s, file)) in ["before", "after"].iter().zip(d.sides.iter().zip(files)) {
        line(&side(name, s, file));
    }
    for (which, title) in [(Verdict::Worse, "worse"), (Verdict::Better, "better")] {
        let all: Vec<&Change> = d.with(which).collect();
        if all.is_empty() {
            continue;
        }
        line("");
        line(&format!(
            "{} {:>10} {:>10} {:>9}",
            cell(title, 46),
            "before",
            "after",
            "change"
        ));
        for change in all.iter().take(top) {
            line(&row(change));
        }
        more(&mut line, all.len(), top);
    }
    line("");
    let count = |which| grouped(d.with(which).count() as u64);
    line(&format!(
        "{} figures vary as much by themselves, of {} too little ran to tell (--json)",
        count(Verdict::Noise),
        count(Verdict::TooFew),
    ));
    for (which, roles) in ["before", "after"].iter().zip(&d.only) {
        if roles.is_empty() {
            continue;
        }
        let names: Vec<String> = (roles.iter().take(3))
            .map(|r| short(&visible(&r.to_string()), 30))
            .collect();
        let rest = match roles.len().saturating_sub(3) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        line(&format!("only {which}: {}{rest}", names.join(", ")));
    }
    if !d.findings.is_empty() {
        line("");
        line(&format!(
            "{} {:>10} {:>10}",
            cell("findings", 46),
            "before",
            "after"
        ));
        for f in d.findings.iter().take(top) {
            let who = format!("  {} ({})", f.code, visible(&f.role.to_string()));
            let times = f.count.map(|n| match n {
                0 => "none".to_owned(),
                n => format!("{}x", grouped(n)),
            });
            line(&format!(
                "{} {:>10} {:>10} {:>9}",
                cell(&who, 46),
                times[0],
                times[1],
                f.verdict()
            ));
        }
        more(&mut line, d.findings.len(), top);
    }
    if d.limits().next().is_some() {
        line("");
    }
    for (before, after) in d.limits() {
        let was = match before.figure {
            Some(figure) => format!(" (before: {})", before.limit.told(figure)),
            None => String::new(),
        };
        line(&format!("{}{was}", visible(&after.told())));
    }
    out
}

fn more(line: &mut impl FnMut(&str), all: usize, top: usize) {
    if let Some(rest) = all.checked_sub(top).filter(|rest| *rest > 0) {
        line(&format!(
            "  and {} more; --top N for more",
            grouped(rest as u64)
        ));
    }
}

/// One sentence: is it better?
fn verdict(d: &Diff) -> String {
    let [worse, better] = [Verdict::Worse, Verdict::Better].map(|v| d.with(v).next());
    let mut text = match (worse, better) {
        (None, None) if d.changes.is_empty() => {
            "Nothing to compare: the recordings have no role in common.".to_owned()
        }
        (None, None) if d.changes.iter().all(|c| c.verdict == Verdict::TooFew) => {
            "Inconclusive: too little ran in one of the recordings to tell.".to_owned()
        }
        (None, None) => "No change beyond the noise.".to_owned(),
        (None, Some(b)) => format!("Better: {}.", told(b)),
        (Some(w), None) => format!("Worse: {}.", told(w)),
        (Some(w), Some(b)) => format!("Worse: {}.\nBetter: {}.", told(w), told(b)),
    };
    for (what, of) in [("new", "new"), ("gone", "gone")] {
        let codes: Vec<String> = (d.findings.iter())
            .filter(|f| f.verdict() == of)
            .map(|f| f.code.to_string())
            .collect();
        if let Some(first) = codes.first() {
            let rest = match codes.len() - 1 {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            let _ = write!(text, "\nFinding {what}: {first}{rest}.");
        }
    }
    text
}

/// `the median wait of ann fell from 4.6 ms to 82 us`
fn told(c: &Change) -> String {
    let [before, after] = c.value.map(Duration);
    let moved = match c.verdict {
        Verdict::Worse => "rose",
        _ => "fell",
    };
    let role = short(&visible(&c.role.to_string()), 40);
    format!("the {} of {role} {moved} from {before} to {after}", what(c))
}

fn what(c: &Change) -> String {
    match c.quantile {
        q if q < 0.75 => format!("median {}", c.figure.name()),
        q => format!("p{:.0} {}", q * 100.0, c.figure.name()),
    }
}

fn row(c: &Change) -> String {
    let [before, after] = c.value.map(|v| Duration(v).to_string());
    let who = format!("  {} {}", cell(&what(c), 12), visible(&c.role.to_string()));
    let change = c.part().map_or("–".to_owned(), |part| match part {
        p if p >= 9.95 => format!("x{:.0}", p + 1.0),
        p => format!("{:+.0} %", p * 100.0),
    });
    format!("{} {before:>10} {after:>10} {change:>9}", cell(&who, 46))
}

/// The last columns of a path: its end tells files apart.
fn ending(path: &str, width: usize) -> String {
    let all = path.chars().count();
    match all > width {
        true => format!(
            "…{}",
            path.chars().skip(all + 1 - width).collect::<String>()
        ),
        false => path.to_owned(),
    }
}

fn side(name: &str, s: &Summary, file: &str) -> String {
    let r = &s.recording;
    let runs: u64 = s
        .loops
        .iter()
        .filter_map(|l| l.run.map(|run| run.count))
        .sum();
    let what = match r.title.as_str() {
        "" => program(&r.command.join(" ")),
        title => visible(title).into_owned(),
    };
    let mut text = format!(
        "{} {}: {}\n          {}, {} long, {} runs",
        cell(name, 9),
        ending(&visible(file), 34),
        short(&what, 34),
        wallclock::local(r.started_ns),
        Duration(r.duration_ns),
        grouped(runs),
    );
    if r.lost > 0 {
        let _ = write!(text, ", {} events LOST", grouped(r.lost));
    }
    if !r.complete {
        text.push_str(", NOT COMPLETE");
    }
    text
}
