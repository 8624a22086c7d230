//! The flight recorder: what surrounds a stall is saved while recording goes on, the newest part on demand.
#![cfg(feature = "cli")]

mod common;

use common::{Ended, Place, loopscope, run};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MS: u64 = 1_000_000;

fn record(place: &Place, options: &[&str], program: &[&str]) -> Ended {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/stalls.py");
    let mut command = loopscope();
    command.arg("record").arg("-o").arg(place.path("a.lscope"));
    command.args(options).args(["--", "python3", script]);
    Ended::of(command.args(program).output().unwrap())
}

fn report(file: &Path) -> Value {
    let ended = run(&["report", file.to_str().unwrap(), "--json"]).exits(0);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Runs of the recording that took at least this long, as its ndjson tells them, and the longest.
fn longest_run(report: &Value) -> u64 {
    let fds = report["fds"].as_array().unwrap().iter();
    let longest = fds.filter_map(|fd| fd["run_ns"]["max"].as_u64()).max();
    longest.unwrap_or(0)
}

fn saved(place: &Place) -> Vec<String> {
    let all = std::fs::read_dir(place.path("")).unwrap();
    let mut names: Vec<String> = all
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const TRIGGER: [&str; 6] = [
    "--trigger",
    "run > 300ms",
    "--pre",
    "50ms",
    "--post",
    "30ms",
];

#[test]
fn what_surrounds_a_stall_is_saved() {
    let place = Place::new();
    let ended = record(&place, &TRIGGER, &["0", "20,60"]).exits(0);
    assert_eq!(saved(&place), ["a-1.lscope", "a-2.lscope", "a.lscope"]);
    assert_eq!(
        ended.stderr.matches("saved ").count(),
        2,
        "{}",
        ended.stderr
    );
    let whole = report(&place.path("a.lscope"));
    for name in ["a-1.lscope", "a-2.lscope"] {
        let part = report(&place.path(name));
        assert_eq!(part["recording"]["complete"], true);
        assert!(longest_run(&part) >= 400 * MS, "{part:#}");
        let length = |r: &Value| r["recording"]["duration_ns"].as_u64().unwrap();
        // Before and after it, but not all.
        assert!(length(&part) > 400 * MS, "{part:#}");
        assert!(length(&part) < length(&whole), "{part:#}");
        let runs = part["loops"][0]["run_ns"]["count"].as_u64().unwrap();
        let all = whole["loops"][0]["run_ns"]["count"].as_u64().unwrap();
        assert!(runs > 1 && runs < all, "{runs} of {all}");
    }
}

#[test]
fn saves_are_counted_and_what_does_not_match_saves_nothing() {
    let place = Place::new();
    let options = [&TRIGGER[..], &["--saves", "1"]].concat();
    let ended = record(&place, &options, &["0", "20,60"]).exits(0);
    assert_eq!(saved(&place), ["a-1.lscope", "a.lscope"]);
    assert!(ended.stderr.contains("--saves"), "{}", ended.stderr);

    let place = Place::new();
    let options = ["--ring", "1MiB", "--trigger", "run > 60s"];
    let ended = record(&place, &options, &["0", "20"]).exits(0);
    assert_eq!(saved(&place), [""; 0]);
    assert!(ended.stderr.contains("nothing matched"), "{}", ended.stderr);
}

#[test]
fn of_a_ring_the_newest_part_is_kept_if_the_program_fails() {
    let ring = [&TRIGGER[..], &["--ring", "1MiB"]].concat();
    let place = Place::new();
    record(&place, &ring, &["0", "20"]).exits(0);
    assert_eq!(saved(&place), ["a-1.lscope"]);
    let place = Place::new();
    record(&place, &ring, &["7", "20"]).exits(7);
    assert_eq!(saved(&place), ["a-1.lscope", "a.lscope"]);
    assert_eq!(
        report(&place.path("a.lscope"))["recording"]["complete"],
        true
    );
    // Without a trigger the ring is the recording.
    let place = Place::new();
    record(&place, &["--ring", "256KiB"], &["0", "20"]).exits(0);
    assert_eq!(saved(&place), ["a.lscope"]);
}

/// A recorder whose program waits for the end of its stdin.
struct Waiting {
    recorder: std::process::Child,
    program: String,
    file: PathBuf,
}

fn waiting(place: &Place, options: &[&str]) -> Waiting {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/stalls.py");
    let file = place.path("a.lscope");
    let mut command: Command = loopscope();
    command.arg("record").arg("-o").arg(&file).args(options);
    command.args(["--", "python3", script, "stdin", "20"]);
    let mut recorder = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = String::new();
    let stdout = recorder.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut program).unwrap();
    Waiting {
        recorder,
        program: program.trim().to_owned(),
        file,
    }
}

#[test]
fn a_running_recording_is_saved_and_goes_on() {
    let place = Place::new();
    let mut waiting = waiting(&place, &["--ring", "1MiB"]);
    let recorder = waiting.recorder.id().to_string();
    let runs = |file: &Path| {
        let report = report(file);
        assert_eq!(report["recording"]["complete"], true, "{report:#}");
        report["loops"][0]["run_ns"]["count"].as_u64().unwrap()
    };
    for (pid, name) in [(&waiting.program, "b.lscope"), (&recorder, "c.lscope")] {
        let file = place.path(name);
        run(&["save", pid, "-o", file.to_str().unwrap()]).exits(0);
        assert!(longest_run(&report(&file)) >= 400 * MS);
        let again = run(&["save", pid, "-o", file.to_str().unwrap()]).exits(125);
        assert!(again.stderr.contains("--force"), "{}", again.stderr);
    }
    let before = runs(&place.path("b.lscope"));
    drop(waiting.recorder.stdin.take());
    assert!(waiting.recorder.wait().unwrap().success());
    assert!(runs(&waiting.file) > before);
    let gone = run(&["save", &waiting.program]).exits(125);
    assert!(gone.stderr.contains("no process"), "{}", gone.stderr);
}

#[test]
fn only_the_last_part_is_saved_where_that_is_asked() {
    let place = Place::new();
    let mut waiting = waiting(&place, &[]);
    let (all, last) = (place.path("all.lscope"), place.path("last.lscope"));
    run(&["save", &waiting.program, "-o", all.to_str().unwrap()]).exits(0);
    let args = [
        "save",
        &waiting.program,
        "--last",
        "1us",
        "-o",
        last.to_str().unwrap(),
    ];
    run(&args).exits(0);
    let events = |file: &Path| report(file)["recording"]["events"].as_u64().unwrap();
    assert!(events(&last) < events(&all), "{}", events(&last));
    drop(waiting.recorder.stdin.take());
    waiting.recorder.wait().unwrap();
}

#[test]
fn who_is_not_recorded_is_told_so() {
    let me = std::process::id().to_string();
    let ended = run(&["save", &me]).exits(125);
    assert!(
        ended.stderr.contains("not being recorded"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("--ring"), "{}", ended.stderr);
    run(&["save", "0"]).exits(125);
    run(&["save", "4294967295"]).exits(125);
    run(&["save", "me"]).exits(2);
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let place = Place::new();
    for options in [
        &["--trigger", "run >"][..],
        &["--trigger", "speed > 5ms"],
        &["--pre", "5ms"],
        &["--ring", "1MiB", "--max-size", "1MiB"],
        &["--ring", "1"],
        &[
            "--ring",
            "1MiB",
            "--trigger",
            "run > 1s",
            "--fail-on",
            "warning",
        ],
    ] {
        record(&place, options, &["0", "1"]).exits(2);
        assert_eq!(saved(&place), [""; 0], "{options:?}");
    }
    let stdout = ["record", "-o", "-", "--trigger", "run > 1s", "--", "true"];
    run(&stdout).exits(2);
}
