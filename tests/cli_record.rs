//! `record` from outside: exit codes are the program's or say what kept us from recording it, nothing is written over,
//! and a disk that is full is told.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use common::{Ended, Place, loopscope, run};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopscope");

/// A program that joins the recording: a short run of a demo's server.
const SERVER: [&str; 4] = [PROGRAM, "demo-program", "greedy-fd", "--ms=300"];

fn record(options: &[&str], program: &[&str]) -> Ended {
    run(&[&["record"], options, &["--"], program].concat())
}

#[test]
fn a_recording_is_made_and_the_next_command_said() {
    let place = Place::new();
    let file = place.arg("a.lscope");
    let ended = record(&["-o", &file], &SERVER).exits(0);
    // Nobody watches: quiet.
    assert_eq!(ended.stderr, "");
    assert_eq!(
        place
            .path("a.lscope")
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let report = run(&["report", "--json", &file]).exits(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["recording"]["complete"], true);
    assert_eq!(report["recording"]["command"][1], "demo-program");
    assert!(report["loops"][0]["wakeups"].as_u64() > Some(0));
    // Never over it unasked.
    record(&["-o", &file], &SERVER).fails(125, "--force");
    record(&["-o", &file, "--force"], &SERVER).exits(0);
}

/// --force replaces a recording by another one: not by nothing, and nothing else.
#[test]
fn what_nothing_replaces_is_kept() {
    let place = Place::new();
    let file = place.arg("a.lscope");
    record(&["-o", &file], &SERVER).exits(0);
    let before = std::fs::read(&file).unwrap();
    let force = ["-o", &file, "--force"];
    record(&force, &["/no/such/program"]).exits(127);
    record(&force, &["/tmp"]).exits(126);
    record(&force, &["true"]).exits(125);
    record(&force, &["sh", "-c", "exit 7"]).exits(7);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    // A program, mistaken for the recording's name.
    let program = place.file("program", b"#!/bin/sh\n");
    record(&["--force", "-o", &program], &["true"]).fails(125, "no recording");
    assert_eq!(std::fs::read(&program).unwrap(), b"#!/bin/sh\n");
    assert_eq!(place.path(".").read_dir().unwrap().count(), 2);
    record(&force, &SERVER).exits(0);
    assert_ne!(std::fs::read(&file).unwrap(), before);
    assert_eq!(place.path(".").read_dir().unwrap().count(), 2);
}

#[test]
fn stdout_takes_a_recording_and_the_program_writes_to_stderr() {
    let place = Place::new();
    let output = loopscope()
        .args(["record", "-o", "-", "--"])
        .args(SERVER)
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"\x89LSCOPE\n"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("five clients"));
    let file = place.file("copy.lscope", output.stdout);
    assert!(run(&["info", &file]).exits(0).stdout.contains("complete"));
}

#[test]
fn exit_codes_are_the_programs_or_say_why_not() {
    let place = Place::new();
    let file = place.arg("a.lscope");
    let options = ["--force", "-o", &file];
    record(&options, &["true"]).fails(125, "nothing was recorded");
    record(&options, &["false"]).exits(1);
    record(&options, &["sh", "-c", "exit 42"]).exits(42);
    record(&options, &["sh", "-c", "kill -9 $$"]).exits(128 + 9);
    record(&options, &["no-such-program-here"]).fails(127, "no such program");
    record(&options, &["/etc/passwd"]).fails(126, "not executable");
    run(&["record"]).exits(2);
    run(&["record", "--bogus", "--", "true"]).exits(2);
    record(&options, &["sh", "-c", "exit $#", "sh", "--force", "-o"]).exits(2);
    run(&["record", "--force", "-o", &file, "sh", "-c", "exit 7"]).exits(7);
    record(&["-o", &place.arg("no/such/dir")], &SERVER).fails(125, "No such file");
}

#[test]
fn a_file_size_limit_is_told_and_is_not_our_death() {
    let place = Place::new();
    // The rings' shared memory is a file too: a limit below its size is met before anything is launched.
    let limited = format!(
        "ulimit -f 4; exec {PROGRAM} record -o {} -- true",
        place.arg("a.lscope")
    );
    let ended = Ended::of(
        Command::new("bash")
            .args(["-c", &limited])
            .output()
            .unwrap(),
    );
    ended.fails(125, "File too large");
    // And an export meets it while it writes.
    let file = common::recorded(&place, "whole.lscope");
    let limited = format!(
        "ulimit -f 4; exec {PROGRAM} export {file} --to ndjson -o {}",
        place.arg("out")
    );
    let ended = Ended::of(
        Command::new("bash")
            .args(["-c", &limited])
            .output()
            .unwrap(),
    );
    ended.fails(125, "File too large");
}

#[test]
fn the_default_name_is_new_every_time_and_the_terminal_stays_the_programs() {
    let place = Place::new();
    let command = pty_process::blocking::Command::new(PROGRAM).current_dir(place.path(""));
    let mut screen = Screen::spawn(command.args(["record", "--"]).args(SERVER), 100, 24);
    assert_eq!(screen.exit_code(), 0, "{}", screen.contents());
    screen.assert_intact();
    let names: Vec<String> = std::fs::read_dir(place.path(""))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    let [name] = &names[..] else {
        panic!("{names:?}")
    };
    assert!(
        name.starts_with("loopscope-20") && name.ends_with(".lscope"),
        "{name}"
    );
    assert!(
        screen.contents().replace('\n', "").contains(name),
        "{}",
        screen.contents()
    );
}

#[test]
#[ignore = "root"]
fn a_program_in_a_pid_namespace_of_its_own_is_recorded_to_its_end() {
    let unshare = ["unshare", "--pid", "--fork"];
    let place = Place::new();
    let file = place.arg("a.lscope");
    // Long enough for several looks at who is still there.
    let server = [PROGRAM, "demo-program", "greedy-fd", "--ms=1500"];
    record(&["-o", &file], &[&unshare[..], &server].concat()).exits(0);
    let report = run(&["report", "--json", &file]).exits(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let recording = &report["recording"];
    assert!(
        recording["complete"] == true && recording["lost"] == 0,
        "{recording}"
    );
    assert!(
        recording["duration_ns"].as_u64() > Some(1_000_000_000),
        "{recording}"
    );
    // unshare and its child, which has one loop; both known by the numbers that they have here.
    let processes = report["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 2, "{processes:?}");
    for process in processes {
        assert!(process["pid"].as_u64() > Some(1), "{processes:?}");
    }
    assert_eq!(processes[1]["parent"], 0, "{processes:?}");
    assert_eq!(
        report["loops"].as_array().unwrap().len(),
        1,
        "{}",
        report["loops"]
    );
    assert!(
        report["loops"][0]["wakeups"].as_u64() > Some(50),
        "{}",
        report["loops"]
    );
}
