//! Findings in the report: as text, title first, and as JSON. Step: model → **view**.

use super::words::grouped;
use crate::findings::{Found, Outcome, Severity};
use crate::json::Json;
use crate::text::visible;
use crate::when::Duration;

/// The findings and what belongs to them.
pub(super) fn put(j: &mut Json, outcome: &Outcome) {
    j.line()
        .array("findings", |j| outcome.found.iter().for_each(|f| one(j, f)));
    j.line().field("findings_omitted", outcome.omitted);
    j.array("thresholds_changed", |j| {
        for line in &outcome.changed {
            j.element(line);
        }
    });
}

fn one(j: &mut Json, f: &Found) {
    j.line().braces(|j| {
        j.field("code", f.code.name())
            .field("title", f.code.title());
        j.array("effects", |j| {
            for code in &f.effects {
                j.element(code.name());
            }
        });
        j.field("severity", f.severity.name())
            .field("confidence", f.confidence.name());
        j.field("process", f.process).field("loop", f.loop_id);
        j.field("fd", (f.fd >= 0).then_some(f.fd))
            .field("generation", (f.fd >= 0).then_some(f.generation));
        j.field("at_ns", f.at_ns)
            .field("first_ns", f.first_ns)
            .field("last_ns", f.last_ns);
        j.field("count", f.count).field("worst_ns", f.worst_ns);
        match f.period {
            Some(p) => {
                j.field("period_ns", p.ns)
                    .field("period_spread_ns", p.spread_ns);
            }
            None => {
                j.field("period_ns", None::<u64>)
                    .field("period_spread_ns", None::<u64>);
            }
        }
        match &f.victims {
            Some(v) => {
                j.object("waited", |j| {
                    j.field("count", v.count).field("worst_ns", v.worst_ns);
                    j.field("worst", &v.worst);
                });
            }
            None => {
                j.field("waited", None::<u64>);
            }
        }
        j.field("summary", &f.summary).field("advice", &f.advice);
        j.array("evidence", |j| {
            for e in &f.evidence {
                j.braces(|j| {
                    j.field("event", e.event).field("at_ns", e.at_ns);
                });
            }
        });
    });
}

/// The worst finding as the verdict's first sentence; nothing where none is a warning.
pub(in crate::report) fn verdict(outcome: &Outcome) -> Option<String> {
    let first = outcome.found.first()?;
    if first.severity < Severity::Warning {
        return None;
    }
    let more = outcome
        .found
        .iter()
        .filter(|f| f.severity >= Severity::Warning)
        .count()
        - 1;
    let more = match more {
        0 => String::new(),
        1 => " One more finding below.".to_owned(),
        n => format!(" {n} more findings below."),
    };
    Some(format!(
        "{} ({}): {}{more}",
        first.code.title(),
        first.code,
        visible(&first.summary)
    ))
}

/// The paragraphs of one finding: its heading, what it says, the cure, where to look.
pub(in crate::report) fn paragraphs(f: &Found, file: Option<&str>) -> [String; 4] {
    let also: Vec<&str> = f.effects.iter().map(|code| code.name()).collect();
    let also = match also.is_empty() {
        true => String::new(),
        false => format!("; causes {}", also.join(", ")),
    };
    let at = crate::when::When::At(f.at_ns);
    let events: Vec<String> = f
        .evidence
        .iter()
        .take(4)
        .map(|e| grouped(e.event))
        .collect();
    let look = match file {
        Some(file) => format!(
            "look: loopscope replay {} --at {at}",
            crate::text::visit::quoted(file)
        ),
        None => format!("seen at {}", Duration(f.at_ns)),
    };
    [
        format!(
            "{} {} ({}{also}; {})",
            match f.severity {
                Severity::Error => "ERROR  ",
                Severity::Warning => "WARNING",
                Severity::Info => "info   ",
            },
            f.code.title(),
            f.code,
            f.confidence.name()
        ),
        visible(&f.summary).into_owned(),
        format!("Cure: {}", f.advice),
        format!("{look}; events {}", events.join(", ")),
    ]
}
