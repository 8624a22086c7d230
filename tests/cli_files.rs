//! Recordings that are no recordings, damaged ones, and outputs that cannot be written: each does what the manual says.
#![cfg(feature = "cli")]

mod common;

use common::{Ended, Place, loopscope, newer, recorded, run};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

/// Every command that takes a recording first.
const READERS: &[&[&str]] = &[
    &["info"],
    &["info", "--json"],
    &["report"],
    &["report", "--json"],
];

fn each(file: &str, check: impl Fn(&[&str], Ended)) {
    for command in READERS {
        check(command, run(&[command, &[file][..]].concat()));
    }
}

#[test]
fn what_is_no_recording_is_refused_with_advice() {
    let place = Place::new();
    let newer = newer(&place, "newer.lscope");
    let cases = [
        (
            place.file(
                "text.lscope",
                "hello, this is not a recording\n".repeat(100),
            ),
            "is not a loopscope recording",
        ),
        (place.file("empty.lscope", ""), "is empty"),
        (
            place.file("zeroes.lscope", vec![0u8; 10_000]),
            "is not a loopscope recording",
        ),
        (common::text(&place.path("")), "is not a regular file"),
        (place.arg("missing.lscope"), "No such file"),
        ("/dev/null".to_owned(), "is not a regular file"),
        (newer, "update loopscope"),
    ];
    for (file, piece) in cases {
        each(&file, |command, ended| {
            let ended = ended.fails(125, piece);
            assert_eq!(ended.stdout, "", "{command:?}");
            assert_eq!(
                ended.stderr.matches("error: ").count(),
                1,
                "{}",
                ended.stderr
            );
        });
    }
}

#[test]
fn a_file_of_somebody_else_is_refused_with_advice() {
    let place = Place::new();
    let file = recorded(&place, "private.lscope");
    let binary = place.public_binary();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = std::process::Command::new(binary);
    // Root may read everything, so it becomes nobody for this.
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65_534).gid(65_534);
    }
    let ended = Ended::of(command.args(["report", &file]).output().unwrap());
    ended.fails(125, "Permission denied");
}

#[test]
fn a_cut_recording_is_reported_as_not_complete() {
    let place = Place::new();
    let whole = std::fs::read(recorded(&place, "whole.lscope")).unwrap();
    let cut = place.file("cut.lscope", &whole[..whole.len() * 2 / 3]);
    let ended = run(&["report", "--json", &cut]).exits(0);
    assert!(ended.stderr.contains("warning: "), "{}", ended.stderr);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["recording"]["complete"], false);
    let text = run(&["report", &cut]).exits(0);
    assert!(text.stdout.contains("NOT COMPLETE") && text.stderr.contains("warning: "));
    assert!(
        run(&["info", &cut])
            .exits(0)
            .stdout
            .contains("NOT COMPLETE")
    );
    // A header and nothing else still opens; less than that is a clear error.
    let first_page = whole
        .windows(4)
        .position(|w| w == b"LPAG")
        .unwrap_or(whole.len() / 50);
    let short = place.file("short.lscope", &whole[..first_page.min(40)]);
    run(&["report", &short]).fails(125, "short.lscope");
}

#[test]
fn a_damaged_recording_is_reported_as_not_complete() {
    let place = Place::new();
    let mut bytes = std::fs::read(recorded(&place, "whole.lscope")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let damaged = place.file("damaged.lscope", bytes);
    let ended = run(&["report", "--json", &damaged]).exits(0);
    assert!(
        ended.stderr.contains("warning: ") && ended.stderr.contains("damaged"),
        "{}",
        ended.stderr
    );
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["recording"]["complete"], false);
    assert!(
        json["recording"]["lost_by_cause"]["damaged"].as_u64() > Some(0),
        "{}",
        json["recording"]
    );
    assert!(!json["problems"].as_array().unwrap().is_empty());
}

#[test]
fn an_output_that_cannot_be_written_is_told() {
    let place = Place::new();
    let file = recorded(&place, "whole.lscope");
    for command in READERS {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = loopscope()
            .args(*command)
            .arg(&file)
            .stdout(full)
            .output()
            .unwrap();
        Ended::of(output).fails(125, "cannot write to standard output");
    }
}

#[test]
fn hostile_names_do_not_reach_the_output() {
    let place = Place::new();
    let file = recorded(&place, "whole.lscope");
    each(&file, |command, ended| {
        let ended = ended.exits(0);
        for c in ended.stdout.chars().chain(ended.stderr.chars()) {
            assert!(
                c == '\n' || !loopscope::text::is_hidden(c),
                "{command:?} printed {c:?}"
            );
        }
        assert!(ended.stdout.contains("--evil="), "{command:?}");
    });
}

#[test]
fn an_export_is_one_json_object_an_event() {
    let place = Place::new();
    let events = common::recording::write(&place.path("a.lscope"), 7, 50);
    let file = place.arg("a.lscope");
    let all = run(&["export", &file, "--to", "ndjson"]).exits(0).stdout;
    let lines: Vec<serde_json::Value> = all
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len() as u64, events);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["event"], number);
        assert!(line["kind"].is_string() && line["at_ns"].is_u64(), "{line}");
    }
    let part = run(&[
        "export",
        &file,
        "--to",
        "ndjson",
        "--from",
        "event:100",
        "--until",
        "event:200",
    ])
    .exits(0)
    .stdout;
    let part: Vec<&str> = part.lines().collect();
    assert!(
        part.len() >= 90 && all.contains(part[0]) && part.contains(&all.lines().nth(150).unwrap())
    );
}

#[test]
fn an_export_never_writes_over_a_file_unasked() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    let out = place.file("kept.ndjson", "mine");
    let export = ["export", &file, "--to", "ndjson", "-o", &out];
    run(&export).fails(125, "--force");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
    run(&[&export[..], &["--force"]].concat()).exits(0);
    assert!(
        std::fs::read_to_string(&out)
            .unwrap()
            .starts_with("{\"event\":0,")
    );
    run(&[
        "export",
        &file,
        "--to",
        "ndjson",
        "-o",
        &place.arg("no/such/dir"),
    ])
    .fails(125, "create the directory");
    run(&[
        "export",
        &file,
        "--to",
        "ndjson",
        "-o",
        "/dev/full",
        "--force",
    ])
    .fails(125, "free some space");
}

#[test]
fn an_instant_the_recording_does_not_have_is_wrong_usage() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    for when in [
        "5h",
        "-9999s",
        "event:99999999",
        "mark:nobody made it",
        "iteration:7:1",
        "101%",
        "soon",
    ] {
        let ended = run(&["export", &file, "--to", "ndjson", "--from", when]).exits(2);
        assert!(
            ended.stderr.starts_with("error: ") && ended.stdout.is_empty(),
            "{when}: {}",
            ended.stderr
        );
    }
    run(&[
        "export", &file, "--to", "ndjson", "--from", "60%", "--until", "40%",
    ])
    .fails(2, "does not lie behind");
    run(&["export", &file, "--to", "pdf"]).exits(2);
}

#[test]
fn a_cut_is_a_recording_of_its_own() {
    let place = Place::new();
    let file = recorded(&place, "whole.lscope");
    let cut = place.arg("part.lscope");
    let args = [
        "export", &file, "--to", "lscope", "--from", "25%", "--until", "75%",
    ];
    let ended = run(&[&args[..], &["-o", &cut]].concat()).exits(0);
    assert!(
        ended.stdout.is_empty() && ended.stderr.contains("loopscope replay "),
        "{}",
        ended.stderr
    );
    let report = |file: &str| -> serde_json::Value {
        serde_json::from_str(&run(&["report", "--json", file]).exits(0).stdout).unwrap()
    };
    let (whole, part) = (report(&file), report(&cut));
    assert_eq!(part["recording"]["complete"], true);
    let waits = |report: &serde_json::Value| report["loops"][0]["waits"].as_u64().unwrap();
    assert!(
        (waits(&whole) / 3..waits(&whole) * 2 / 3).contains(&waits(&part)),
        "{} of {}",
        waits(&part),
        waits(&whole)
    );
    // Never over a file unasked; the same bytes of events on stdout.
    run(&[&args[..], &["-o", &cut]].concat()).fails(125, "exists");
    let output = loopscope().args(args).args(["-o", "-"]).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"\x89LSCOPE\n"));
    let copy = place.file("copy.lscope", output.stdout);
    assert_eq!(report(&copy)["loops"], part["loops"]);
}
