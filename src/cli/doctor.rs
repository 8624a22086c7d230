//! `loopscope doctor`: what this machine offers a recorder, and what to do where something is missing.

use super::output::Output;
use super::{Exit, Outcome};
use crate::capture::doctor::{self, Check, Grade};
use crate::json::Json;
use crate::text::visible;

/// Check what this machine offers: clock, shared memory, limits, terminal
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Outcome {
    let checks = doctor::examine();
    let mut out = Output::stdout();
    out.text(&if args.json {
        to_json(&checks)
    } else {
        to_text(&checks)
    })?;
    out.finish()?;
    Ok(match checks.iter().any(|c| c.grade == Grade::Bad) {
        true => Exit::FAILURE,
        false => Exit::OK,
    })
}

fn to_text(checks: &[Check]) -> String {
    let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for check in checks {
        let sign = match check.grade {
            Grade::Good => "ok",
            Grade::Limited => "--",
            Grade::Bad => "!!",
        };
        out.push_str(&format!(
            "{sign}  {:width$}  {}\n",
            check.name,
            visible(&check.found)
        ));
        if let Some(advice) = &check.advice {
            out.push_str(&format!("    {:width$}  {}\n", "", visible(advice)));
        }
    }
    out
}

fn to_json(checks: &[Check]) -> String {
    let mut json = Json::new();
    json.braces(|j| {
        j.field("schema", 1u32).line();
        j.array("checks", |j| {
            for check in checks {
                j.line().braces(|j| {
                    j.field("name", check.name)
                        .field("grade", check.grade.name())
                        .field("found", &check.found)
                        .field("do", check.advice.as_ref());
                });
            }
        });
    });
    format!("{}\n", json.as_str())
}
