//! What the recording says: the report's counts of the program's loops, and the screen a person looks at.

use super::common;
use super::kernel::{Counts, Kind, Waits};
use serde_json::Value;
use std::path::Path;

/// perf runs under the shim, too, and what it calls is not the program's.
const NOT_THE_PROGRAM: &str = "perf";

fn report(recording: &Path) -> Value {
    let name = recording.to_str().unwrap();
    let report = common::run(&["report", "--json", name]).exits(0);
    serde_json::from_str(&report.stdout).unwrap()
}

/// The counts of the report, added up over the loops of each kind.
pub fn counts(recording: &Path) -> Counts {
    let report = report(recording);
    let whole = &report["recording"];
    assert_eq!(whole["lost"], 0, "{whole:#}");
    assert_eq!(whole["complete"], true, "{whole:#}");
    let processes = report["processes"].as_array().unwrap();
    let perf: Vec<&Value> = processes
        .iter()
        .filter(|process| process["name"] == NOT_THE_PROGRAM)
        .map(|process| &process["id"])
        .collect();
    let mut counts = Counts::default();
    for kind in Kind::ALL {
        counts.waits.insert(kind, Waits::default());
    }
    for one in report["loops"].as_array().unwrap() {
        if perf.contains(&&one["process"]) {
            continue;
        }
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| one["kind"] == kind.name());
        let kind = kind.unwrap_or_else(|| panic!("a loop of no kind: {one:#}"));
        let of = |name: &str| one[name].as_u64().unwrap();
        let sum = counts.waits.get_mut(&kind).unwrap();
        sum.calls += of("waits") + of("unfinished");
        sum.wakeups += of("wakeups");
        sum.ready += of("ready");
        let ctl = ["add", "mod", "del", "failed"];
        counts.ctl += ctl
            .map(|op| one["ctl"][op].as_u64().unwrap())
            .iter()
            .sum::<u64>();
    }
    counts
}

/// The Loop screen can be drawn from the middle of the recording, and it shows a loop that waits this way.
pub fn shows_the_loop(recording: &Path, kind: Kind) {
    let name = recording.to_str().unwrap();
    let picture = recording.with_extension("txt");
    let args = [
        "snapshot", name, "--at", "50%", "--view", "loop", "--size", "120x40",
    ];
    common::run(&[&args[..], &["-o", picture.to_str().unwrap()]].concat()).exits(0);
    let screen = std::fs::read_to_string(picture).unwrap();
    let call = match kind {
        Kind::Epoll => "epoll_",
        Kind::Poll => "poll",
        Kind::Select => "select",
    };
    assert!(screen.contains(call), "no {call} on the screen:\n{screen}");
}
