//! Every figure of the report, computed again by a script that knows only what docs/EXPORT.md says, over whole recordings.
#![cfg(feature = "cli")]

mod common;

use common::{Place, recompute, run};
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_synthetic_server_is_recomputed_exactly() {
    let place = Place::new();
    for (seed, turns) in [(1, 300), (2, 2_000), (3, 20)] {
        let name = format!("{seed}.lscope");
        common::recording::write(&place.path(&name), seed, turns);
        let said = recompute(&place, &place.arg(&name));
        assert!(
            said.contains(" 0 differences") && !said.contains(" 0 runs"),
            "{said}"
        );
    }
}

#[test]
fn inferred_handlers_are_recomputed_exactly() {
    let place = Place::new();
    for (seed, late_writes) in [(4, false), (5, true)] {
        let name = format!("{seed}.lscope");
        common::recording::write_unmarked(&place.path(&name), seed, 1_000, late_writes);
        let said = recompute(&place, &place.arg(&name));
        assert!(
            said.contains(" 0 differences") && !said.contains(" 0 runs"),
            "{said}"
        );
        let report = run(&["report", &place.arg(&name), "--json", "--top", "1000000"])
            .exits(0)
            .stdout;
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["recording"]["handlers"], "inferred");
        assert_eq!(report["loops"][0]["handlers"], "inferred");
        assert!(report["loops"][0]["tail_ns"].as_u64().unwrap() > 0);
    }
}

#[test]
fn every_shipped_recording_is_recomputed_exactly() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "lscope"))
        .collect();
    assert!(paths.len() >= 6, "{paths:?}");
    for path in &paths {
        let said = recompute(&place, path.to_str().unwrap());
        assert!(said.contains(" 0 differences"), "{said}");
    }
}

/// The short script of examples/ with the export and the report of a recording, changed by `change`: whether they agree.
fn figures(place: &Place, recording: &str, change: impl FnOnce(&mut serde_json::Value)) -> bool {
    let export = run(&["export", recording, "--to", "ndjson"])
        .exits(0)
        .stdout;
    let report = run(&["report", recording, "--json", "--top", "1000000"])
        .exits(0)
        .stdout;
    let mut report: serde_json::Value = serde_json::from_str(&report).unwrap();
    change(&mut report);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/figures.py");
    let files = [
        place.file("events.ndjson", export),
        place.file("report.json", report.to_string()),
    ];
    let output = Command::new("python3").arg(script).args(files).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains(", 0 runs"), "{recording}: {said}");
    eprintln!("{recording}: {said}"); // shown if the test fails
    output.status.success()
}

#[test]
fn a_short_script_gets_the_figures_of_marked_handlers() {
    let place = Place::new();
    let demos = ["greedy-fd", "blocking-handler", "et-not-drained"];
    for name in demos
        .iter()
        .flat_map(|d| [(*d).to_owned(), format!("{d}-fixed")])
    {
        let path = format!("{}/recordings/{name}.lscope", env!("CARGO_MANIFEST_DIR"));
        assert!(figures(&place, &path, |_| ()), "{name}");
        for figure in ["queue_ns", "run_ns"] {
            let wrong = |report: &mut serde_json::Value| {
                let fds = report["fds"].as_array_mut().unwrap();
                let served = fds
                    .iter_mut()
                    .find(|fd| fd[figure]["sum"].as_u64() > Some(0));
                let sum = &mut served.unwrap()[figure]["sum"];
                *sum = (sum.as_u64().unwrap() + 1).into();
            };
            assert!(!figures(&place, &path, wrong), "{name}: {figure}");
        }
    }
}

/// Every recording that ships, but for the lesson on programs that mark nothing.
#[test]
fn a_short_script_gets_the_figures_of_all_that_ships() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/recordings");
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|e| e.unwrap().file_name().into_string().unwrap());
    let marked: Vec<String> = names
        .filter(|name| name.ends_with(".lscope") && !name.starts_with("foreign"))
        .collect();
    assert!(marked.len() >= 60, "{marked:?}");
    std::thread::scope(|both| {
        for half in marked.chunks(marked.len().div_ceil(2)) {
            both.spawn(move || {
                let place = Place::new();
                for name in half {
                    assert!(figures(&place, &format!("{dir}/{name}"), |_| ()), "{name}");
                }
            });
        }
    });
}

/// Threads sleep in their waits and lose their CPU there, which the shipped recordings of these demos do not tell.
#[test]
fn a_short_script_gets_the_figures_of_fresh_recordings_too() {
    let place = Place::new();
    for name in ["greedy-fd", "blocking-handler", "et-not-drained"] {
        let path = place.arg(&format!("{name}.lscope"));
        run(&["demo", name, "--fixed", "--no-ui", "-o", &path]); // its claims are judged elsewhere
        assert!(figures(&place, &path, |_| ()), "{name}");
    }
    // Where the kernel tells nobody of switches the fresh ones have none either: this one has.
    let shipped = format!(
        "{}/recordings/creeping-block-fixed.lscope",
        env!("CARGO_MANIFEST_DIR")
    );
    assert!(figures(&place, &shipped, |_| ()));
}

#[test]
fn the_short_script_is_short() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/figures.py");
    let script = std::fs::read_to_string(script).unwrap();
    assert!(script.lines().count() <= 50);
    assert!(script.lines().all(|line| line.chars().count() <= 120));
}

/// A part of an export has the very lines that the whole has: what they refer to may lie before it.
#[test]
fn a_run_names_the_event_it_serves_in_a_part_too() {
    let path = format!(
        "{}/recordings/greedy-fd-fixed.lscope",
        env!("CARGO_MANIFEST_DIR")
    );
    let lines = |from: &str| -> Vec<serde_json::Value> {
        let export = run(&["export", &path, "--to", "ndjson", "--from", from]);
        let lines = export.exits(0).stdout;
        let parsed = lines.lines().map(serde_json::from_str);
        parsed.map(Result::unwrap).collect()
    };
    let whole = lines("0s");
    let runs = whole.iter().filter(|e| e["kind"] == "run-begin");
    let mut served = 0;
    for run in runs.clone() {
        let ready = &whole[run["ready"].as_u64().unwrap() as usize];
        assert_eq!(
            (&ready["kind"], &ready["event"]),
            (&"ready".into(), &run["ready"])
        );
        for key in [
            "thread",
            "loop",
            "turn",
            "fd",
            "generation",
            "data",
            "index",
        ] {
            assert_eq!(ready[key], run[key], "{key} of {run}");
        }
        served += 1;
    }
    assert!(served > 100);
    // One that starts between a batch and the last run of it.
    let last = runs.clone().find(|run| run["index"].as_u64() > Some(0));
    let at = last.unwrap()["at_ns"].as_u64().unwrap();
    let part = lines(&format!("{at}ns"));
    assert_eq!(part[..], whole[whole.len() - part.len()..]);
    assert!(part.len() < whole.len());
}

#[test]
fn what_came_late_is_recomputed_exactly() {
    let place = Place::new();
    common::recording::write(&place.path("marked.lscope"), 6, 300);
    common::recording::write_unmarked(&place.path("unmarked.lscope"), 6, 300, true);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let shipped = |name: &str| folder.join(name);
    for (seed, whole) in (1..).zip([
        place.path("marked.lscope"),
        place.path("unmarked.lscope"),
        shipped("blocking-handler.lscope"),
        shipped("greedy-fd-fixed.lscope"),
    ]) {
        let name = format!("late-{seed}.lscope");
        let late = common::late::made_late(&whole, &place.path(&name), seed * 0x9e37_79b9);
        assert!(late > 10, "{late} events came late");
        let said = recompute(&place, &place.arg(&name));
        assert!(
            said.contains(" 0 differences") && !said.contains(" 0 runs"),
            "{said}"
        );
    }
}

#[test]
fn the_script_notices_a_wrong_figure() {
    let place = Place::new();
    common::recording::write(&place.path("a.lscope"), 7, 200);
    let export = run(&["export", &place.arg("a.lscope"), "--to", "ndjson"])
        .exits(0)
        .stdout;
    let report = run(&[
        "report",
        &place.arg("a.lscope"),
        "--json",
        "--top",
        "1000000",
    ])
    .exits(0)
    .stdout;
    let mut report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let sum = report["fds"][0]["queue_ns"]["sum"].as_u64().unwrap();
    report["fds"][0]["queue_ns"]["sum"] = (sum + 1).into();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recompute.py");
    let files = [
        place.file("events.ndjson", export),
        place.file("report.json", report.to_string()),
    ];
    let output = Command::new("python3")
        .arg(script)
        .args(files)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("queue_ns"));
}
