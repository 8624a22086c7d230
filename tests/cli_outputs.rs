//! Where results go: nothing half made is left where a disk is full, devices and pipes are streams, and every command
//! says the same of a damaged file.
#![cfg(feature = "cli")]

mod common;

use common::{Ended, Place, loopscope, recorded, run};
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopscope");

/// Everything that makes a file from a recording.
fn makers(file: &str) -> Vec<(&'static str, Vec<&str>)> {
    vec![
        ("out.ndjson", vec!["export", file, "--to", "ndjson"]),
        ("out.lscope", vec!["export", file, "--to", "lscope"]),
        ("out.svg", vec!["snapshot", file, "--size", "200x60"]),
        ("demo.lscope", vec!["demo", "greedy-fd", "--recorded"]),
    ]
}

fn names(folder: &Path) -> Vec<String> {
    let all = std::fs::read_dir(folder).unwrap();
    all.map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Runs `script` in a mount namespace of its own, with a small file system at `$SMALL`. For root only.
fn with_a_small_disk(size: &str, script: &str) -> Ended {
    let place = Place::new();
    let script = format!(
        "set -u; mount -t tmpfs -o size={size} tmpfs $SMALL && cd $SMALL || exit 9; {script}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-c", &script]);
    command
        .env("SMALL", place.path(""))
        .env("LOOPSCOPE", PROGRAM);
    Ended::of(command.output().unwrap())
}

#[test]
#[ignore = "root"]
fn a_full_disk_leaves_nothing_in_the_way_of_the_next_try() {
    let place = Place::new();
    let file = recorded(&place, "whole.lscope");
    for (name, args) in makers(&file) {
        let args = args.join(" ");
        let script = format!(
            "head -c 67104768 /dev/zero > ballast; TMPDIR=/tmp
             $LOOPSCOPE {args} -o {name} && echo IT FITTED; echo code $?; ls -A
             rm ballast; $LOOPSCOPE {args} -o {name} >/dev/null 2>&1; echo code $?; ls -A"
        );
        let ended = with_a_small_disk("64m", &script);
        let want = format!("code 125\nballast\ncode 0\n{name}\n");
        assert_eq!(ended.stdout, want, "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("hint: free some space"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
#[ignore = "root"]
fn what_was_recorded_before_the_disk_was_full_is_kept_and_said() {
    let script = "head -c 950000 /dev/zero > ballast
        $LOOPSCOPE record -o a.lscope -- $LOOPSCOPE demo-program greedy-fd --ms=2500 >/dev/null 2>said; echo code $?; cat said >&2
        rm ballast; $LOOPSCOPE info a.lscope --json
        rm a.lscope; head -c 2000000 /dev/zero > ballast 2>/dev/null
        $LOOPSCOPE record -o b.lscope -- $LOOPSCOPE demo-program greedy-fd --ms=100 >/dev/null 2>&1; echo code $?; ls -A";
    let ended = with_a_small_disk("1m", script);
    let (first, rest) = ended.stdout.split_once('\n').unwrap();
    assert_eq!(first, "code 125", "{}", ended.stderr);
    assert!(
        ended.stderr.contains("kept: loopscope replay a.lscope"),
        "{}",
        ended.stderr
    );
    let (info, rest) = rest.rsplit_once("code ").unwrap();
    let info: serde_json::Value = serde_json::from_str(info).unwrap();
    assert!(info["events"].as_u64() > Some(1000), "{info}");
    // Nothing was recorded: nothing to keep.
    assert!(
        rest.starts_with("125\n") && !rest.contains("lscope"),
        "{rest}"
    );
}

#[test]
fn a_file_size_limit_leaves_nothing_behind() {
    let place = Place::new();
    let file = recorded(&place, "whole.lscope");
    let folder = place.path("out");
    std::fs::create_dir(&folder).unwrap();
    for (name, args) in makers(&file) {
        let limited = format!(
            "ulimit -f 4; exec {PROGRAM} {} -o {}",
            args.join(" "),
            common::text(&folder.join(name))
        );
        let output = Command::new("bash").args(["-c", &limited]).output();
        let ended = Ended::of(output.unwrap()).fails(125, "File too large");
        assert!(ended.stderr.contains("ulimit -f"), "{}", ended.stderr);
        assert!(names(&folder).is_empty(), "{name}: {:?}", names(&folder));
    }
}

#[test]
fn devices_and_pipes_take_what_stdout_takes() {
    let place = Place::new();
    let file = recorded(&place, "whole.lscope");
    let pipe = place.arg("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for (name, args) in makers(&file) {
        run(&[&args[..], &["-o", "/dev/null"]].concat()).exits(0);
        let copy = format!("cat {pipe} > {}", place.arg("piped"));
        let mut reader = Command::new("sh").args(["-c", &copy]).spawn().unwrap();
        run(&[&args[..], &["-o", &pipe]].concat()).exits(0);
        assert!(reader.wait().unwrap().success());
        let piped = std::fs::read(place.path("piped")).unwrap();
        let output = loopscope().args(&args).args(["-o", "-"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
        let head = |bytes: &[u8]| bytes[..bytes.len().min(8)].to_vec();
        assert!(
            !piped.is_empty() && head(&piped) == head(&output.stdout),
            "{name}"
        );
    }
    let server = [PROGRAM, "demo-program", "greedy-fd", "--ms=100"];
    run(&[&["record", "-o", "/dev/null", "--"][..], &server].concat()).exits(0);
    run(&["demo", "greedy-fd", "--no-ui", "-o", "-"]).fails(2, "no file that can be read");
    run(&["export", &file, "--to", "ndjson", "-o", &place.arg("")]).fails(125, "name a file");
}

#[test]
fn a_recording_without_an_event_leaves_no_file() {
    let place = Place::new();
    let file = place.arg("a.lscope");
    for program in ["true", "no-such-program-here"] {
        run(&["record", "-o", &file, "--", program]);
        assert!(names(&place.path("")).is_empty(), "{program}");
    }
    // Not one that somebody else made.
    place.file("a.lscope", "mine");
    run(&["record", "-o", &file, "--", "true"]).fails(125, "--force");
    assert_eq!(names(&place.path("")), ["a.lscope"]);
}

#[test]
fn a_demo_under_record_is_told_how_to_be_kept() {
    let place = Place::new();
    let demo = [PROGRAM, "demo", "--list"];
    let file = place.arg("a.lscope");
    run(&[&["record", "-o", &file, "--"][..], &demo].concat()).fails(125, "demo NAME --no-ui -o F");
}

#[test]
fn info_and_report_say_the_same_of_damage() {
    let place = Place::new();
    common::recording::write(&place.path("whole.lscope"), 7, 300);
    let whole = std::fs::read(place.path("whole.lscope")).unwrap();
    let json = |args: [&str; 3]| -> serde_json::Value {
        serde_json::from_str(&run(&args).exits(0).stdout).unwrap()
    };
    let check = |name: String, bytes: &[u8]| {
        let file = place.file("x.lscope", bytes);
        let info = json(["info", "--json", &file]);
        let report = json(["report", "--json", &file]);
        let recording = &report["recording"];
        assert_eq!(info["complete"], false, "{name}");
        assert_eq!(recording["complete"], false, "{name}");
        assert_eq!(info["events"], recording["events"], "{name}");
        assert_eq!(info["problems"], report["problems"], "{name}");
        assert!(!info["problems"].as_array().unwrap().is_empty(), "{name}");
        let text = run(&["report", &file]).exits(0);
        assert!(
            text.stdout.contains("NOT COMPLETE") && text.stderr.contains("warning: "),
            "{name}"
        );
    };
    // A step that is no divisor of anything, so that headers, events, attachment, table and footer all get hit.
    for at in (0..whole.len())
        .step_by(whole.len() / 40 + 1)
        .chain([whole.len() - 1])
    {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        check(format!("bit {} of byte {at}", at % 8), &flipped);
    }
    let header = whole[8..]
        .windows(8)
        .position(|w| w == &whole[..8])
        .unwrap()
        + 8;
    for len in (header..whole.len()).step_by(whole.len() / 15) {
        check(format!("{len} bytes"), &whole[..len]);
    }
}
