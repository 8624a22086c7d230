//! The main job: each demo runs, broken and repaired, and everything that tells of its recording tells the same: the
//! report as text and as JSON, the replay, a frame of the UI, and a script that computes the figures again.
#![cfg(feature = "cli")]

mod common;

use common::{Place, judged, recompute, run};
use loopscope::when::Duration;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

/// One demo at a time: some burn a CPU, and would be the others' load.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs one side of a demo with nothing beside it.
fn demo(place: &Place, name: &str, fixed: bool) -> Value {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    agrees(place, name, fixed)
}

/// Runs one side of a demo and checks that all views of its recording agree; returns its report.
fn agrees(place: &Place, name: &str, fixed: bool) -> Value {
    let side = if fixed { "fixed" } else { "broken" };
    let file = place.arg(&format!("{name}-{side}.lscope"));
    let mut args = vec![name, "--no-ui", "--force", "-o", &file];
    args.extend(fixed.then_some("--fixed"));
    let said = judged(&args).exits(0);
    assert!(
        said.stdout.contains("claims of ") && !said.stdout.contains("\n  NO "),
        "{}",
        said.stdout
    );
    assert!(
        said.stderr.contains(&format!("loopscope replay {file}")),
        "{}",
        said.stderr
    );

    // One text wherever it is asked for, and it is what the demo printed before its claims.
    let text = run(&["report", &file]).exits(0).stdout;
    assert_eq!(run(&["replay", &file]).exits(0).stdout, text);
    assert!(
        said.stdout.starts_with(&text),
        "{}\n-- report:\n{text}",
        said.stdout
    );

    let json = run(&["report", "--json", &file]).exits(0);
    assert_eq!(json.stderr, "");
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    let recording = &report["recording"];
    assert_eq!(
        (&recording["lost"], &recording["complete"]),
        (&0.into(), &true.into())
    );
    assert_eq!(recording["title"], format!("{name} {side}"));
    assert!(recompute(place, &file).contains(" 0 differences"));

    // The Fairness screen at the end shows the report's figures; this high it has room for the largest demo's descriptors.
    let frame = [
        "snapshot", &file, "--at", "100%", "--view", "fairness", "--size", "120x200", "-o", "-",
    ];
    let screen = run(&frame).exits(0).stdout;
    // Of several loops it shows one, and says which.
    let shown = screen.split_once(" loop ").and_then(|(_, rest)| {
        let number = rest.split('/').next()?.parse::<u64>().ok()?;
        Some(number - 1)
    });
    let shown = |fd: &&Value| shown.is_none_or(|l| fd["loop"].as_u64() == Some(l));
    for fd in report["fds"]
        .as_array()
        .unwrap()
        .iter()
        .filter(shown)
        .filter(|f| f["ready"].as_u64() > Some(0))
    {
        let (number, name) = (fd["fd"].to_string(), fd["name"].as_str().unwrap());
        // A connection that nobody has named is shown by its port.
        let first = name.split(' ').next().unwrap();
        let port = name.rfind(':').map(|at| &name[at..]);
        let is_row = |l: &&str| {
            let words: Vec<&str> = l.split_whitespace().collect();
            let is_it = |w: &[&str]| {
                w[0] == number && (w[1] == first || port.is_some_and(|port| l.contains(port)))
            };
            words.windows(2).any(is_it)
        };
        // A number that was opened again has a row for each time.
        let rows: Vec<&str> = screen.lines().filter(is_row).collect();
        // Who was told ready and never served until the end has waited for nothing that is over.
        let longest = match fd["behind_ns"]["max"].as_u64().unwrap() {
            0 => "–".to_owned(),
            ns => Duration(ns).to_string(),
        };
        let [ready, runs] = ["ready", "dispatched"].map(|column| format!(" {} ", fd[column]));
        let tells = |row: &&&str| {
            let row = row.replace(',', "");
            [&longest, &ready, &runs]
                .iter()
                .all(|told| row.contains(&told.replace(',', "")))
        };
        // The screen has room for so many.
        if rows.len() < 20 {
            let found = rows.iter().find(tells);
            // The last line is what of a long output is kept.
            let rows = rows.join("\n");
            found.unwrap_or_else(|| {
                panic!("{screen}\n{rows}\n{file}: fd {number} {name}: {longest}{ready}{runs}")
            });
        }
    }
    assert!(
        (text.replace(',', "")).contains(&format!("{} ready events", report["loops"][0]["ready"])),
        "{text}"
    );
    report
}

/// What the descriptors of these names waited behind others, in all.
fn waited(report: &Value, names: &[&str]) -> u64 {
    let fds = report["fds"].as_array().unwrap();
    let named = fds
        .iter()
        .filter(|f| names.contains(&f["name"].as_str().unwrap()));
    named.map(|f| f["behind_ns"]["sum"].as_u64().unwrap()).sum()
}

#[test]
fn greedy_fd() {
    let place = Place::new();
    let (broken, fixed) = (
        demo(&place, "greedy-fd", false),
        demo(&place, "greedy-fd", true),
    );
    let victims = ["ann", "bob", "cid", "dee"];
    let (before, after) = (waited(&broken, &victims), waited(&fixed, &victims));
    // By how much is the claim's business; on a busy machine the scheduler adds to both.
    assert!(
        before > after,
        "{before} ns of waiting broken, {after} ns fixed"
    );
}

#[test]
fn blocking_handler() {
    let place = Place::new();
    let (broken, fixed) = (
        demo(&place, "blocking-handler", false),
        demo(&place, "blocking-handler", true),
    );
    let run = |report: &Value, of: &str| report["loops"][0]["run_ns"][of].as_u64().unwrap();
    let longest = run(&broken, "max");
    assert!(
        longest >= 50_000_000,
        "a handler that sleeps 50 ms ran {longest} ns"
    );
    // Of all runs: the longest of the repaired one may be the hypervisor's.
    assert!(run(&fixed, "sum") < run(&broken, "sum"));
}

#[test]
fn et_not_drained() {
    let place = Place::new();
    let (broken, fixed) = (
        demo(&place, "et-not-drained", false),
        demo(&place, "et-not-drained", true),
    );
    let states = |report: &Value| -> Vec<String> {
        let fds = report["fds"].as_array().unwrap();
        fds.iter()
            .map(|f| f["state"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(!states(&fixed).contains(&"residual".to_owned()));
    let read = |report: &Value| -> u64 {
        report["fds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["bytes_in"].as_u64().unwrap())
            .sum()
    };
    assert!(
        read(&broken) < read(&fixed),
        "{} bytes read broken, {} fixed",
        read(&broken),
        read(&fixed)
    );
}

/// The others, each on both sides beside each other: every view of its recordings tells the same, and what a demo claims
/// holds on a busy machine.
#[test]
fn all_others() {
    let own = ["greedy-fd", "blocking-handler", "et-not-drained"];
    for one in loopscope::demos::ALL
        .iter()
        .filter(|d| !own.contains(&d.name))
    {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::scope(|both| {
            both.spawn(|| agrees(&Place::new(), one.name, false));
            both.spawn(|| agrees(&Place::new(), one.name, true));
        });
    }
}

#[test]
fn a_knob_may_be_turned_from_the_start() {
    let place = Place::new();
    let file = place.arg("one.lscope");
    let one = [
        "demo",
        "greedy-fd",
        "--no-ui",
        "-o",
        &file,
        "--set",
        "maxevents=1",
    ];
    let said = run(&one).exits(0).stdout;
    assert!(
        said.contains("greedy-fd broken") && !said.contains("claims of"),
        "{said}"
    );
    let json = run(&["report", "--json", &file]).exits(0).stdout;
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["loops"][0]["max_batch"], 1, "{json}");
    // How it was made is in it, and nothing of a knob that was turned later.
    assert_eq!(report["recording"]["command"][6], "maxevents=1");
    let events = run(&["export", &file, "--to", "ndjson"]).exits(0).stdout;
    assert!(!events.contains("turned"));
    for (set, told) in [
        ("maxevents=3", "maxevents=1|2|64"),
        ("size=1", "budget=1|4|16|all"),
        ("budget", "has no knob for budget"),
    ] {
        run(&["demo", "greedy-fd", "--no-ui", "--set", set]).fails(2, told);
    }
    run(&["demo", "connect", "--no-ui", "--set", "a=b"]).fails(2, "it has none");
    run(&["demo", "ghost-event", "--set", "a=b"]).fails(2, "has no knobs");
}

#[test]
fn the_list_is_what_there_is() {
    let list = run(&["demo", "--list", "--json"]).exits(0).stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    let names: Vec<&str> = list["demos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["name"].as_str().unwrap())
        .collect();
    let all: Vec<&str> = loopscope::demos::ALL.iter().map(|d| d.name).collect();
    assert_eq!(names, all);
    run(&["demo", "no-such-demo"]).fails(2, "greedy-fd");
}
