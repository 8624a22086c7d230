//! The comparison as JSON, schema 1. Keys and their order are a contract (docs/EXPORT.md). Step: model → **view**.

use super::{Change, Diff, Finding, Role};
use crate::json::{Json, Put};
use crate::report::summary::Summary;
use crate::text::wallclock;

/// The whole document, one change a line.
pub fn to_json(d: &Diff) -> String {
    let mut json = Json::new();
    json.braces(|j| {
        j.field("schema", 1u32);
        for (name, s) in ["before", "after"].into_iter().zip(&d.sides) {
            j.line().object(name, |j| side(j, s));
        }
        j.line()
            .array("changes", |j| d.changes.iter().for_each(|c| a_change(j, c)));
        for (name, roles) in ["only_before", "only_after"].into_iter().zip(&d.only) {
            j.line().array(name, |j| {
                for role in roles {
                    j.element(role);
                }
            });
        }
        j.line()
            .array("findings", |j| d.findings.iter().for_each(|f| found(j, f)));
        j.line().array("limits", |j| {
            for (before, after) in d.limits() {
                j.braces(|j| {
                    j.field("limit", &after.limit.to_string());
                    j.field("before", before.figure)
                        .field("after", after.figure)
                        .field("own", after.own);
                    j.field("verdict", after.verdict.name());
                });
            }
        });
    });
    let mut out = json.as_str().to_owned();
    out.push('\n');
    out
}

fn side(j: &mut Json, s: &Summary) {
    let r = &s.recording;
    j.array("command", |j| {
        for argument in &r.command {
            j.element(argument);
        }
    });
    j.field("title", (!r.title.is_empty()).then_some(r.title.as_str()));
    j.field("started_at", &wallclock::utc(r.started_ns))
        .field("duration_ns", r.duration_ns);
    j.field("events", r.events)
        .field("lost", r.lost)
        .field("complete", r.complete);
}

impl Put for &Role {
    fn put(&self, json: &mut Json) {
        json.braces(|j| {
            j.field("kind", self.kind).field("name", &self.text);
        });
    }
}

fn a_change(j: &mut Json, c: &Change) {
    j.line().braces(|j| {
        j.field("role", &c.role).field("figure", c.figure.name());
        j.field("quantile", c.quantile);
        j.field("before_ns", c.value[0])
            .field("after_ns", c.value[1]);
        j.field("before_count", c.count[0])
            .field("after_count", c.count[1]);
        j.field("change", c.part()).field("chance", c.chance);
        j.field("verdict", c.verdict.name());
    });
}

fn found(j: &mut Json, f: &Finding) {
    j.line().braces(|j| {
        j.field("code", f.code.name()).field("role", &f.role);
        j.field("before_count", f.count[0])
            .field("after_count", f.count[1]);
        j.field("verdict", f.verdict());
    });
}
