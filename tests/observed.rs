//! Descriptors against reality: what a program does behind the shim's back is seen in /proc and told, so that no ghosts
//! stay and everything has its name.
#![cfg(all(feature = "cli", target_arch = "x86_64"))]

mod common;
#[path = "common/preload.rs"]
mod preload;

use common::{loopscope, run};
use preload::compiled;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Nobody waits so long: it bounds a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn fd(report: &Value, number: i64) -> Option<Value> {
    let all = report["fds"].as_array().unwrap().iter();
    let of = all.filter(|f| f["fd"] == number && f["process"] == 0 && f["loop"] == 0);
    of.max_by_key(|f| f["generation"].as_u64()).cloned()
}

fn is(report: &Value, number: i64, state: &str) -> bool {
    fd(report, number).is_some_and(|f| f["state"] == state)
}

/// What the first process has open by this number has been seen in another one, too.
fn is_in_both(file: &str, number: i64) -> bool {
    let events = run(&["export", file, "--to", "ndjson"]).exits(0).stdout;
    let seen: Vec<Value> = (events.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["kind"] == "fd-seen" && event["inode"].is_u64())
        .collect();
    let here = (seen.iter()).find(|e| e["process"] == 0 && e["fd"] == number);
    here.is_some_and(|here| (seen.iter()).any(|e| e["process"] != 0 && e["inode"] == here["inode"]))
}

#[test]
fn what_a_program_does_behind_the_shims_back_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "unseen", &[]);
    let file = dir.path().join("x.lscope");
    let mut child = loopscope()
        .args(["record", "-o"])
        .arg(&file)
        .arg("--")
        .arg(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // The recording grows; its report is asked until it says what there is to see.
    let until = |what: &str, seen: &dyn Fn(&Value) -> bool| {
        let begun = Instant::now();
        loop {
            let report = run(&[
                "report",
                file.to_str().unwrap(),
                "--json",
                "--top",
                "1000000",
            ])
            .exits(0)
            .stdout;
            let report: Value = serde_json::from_str(&report).unwrap();
            if seen(&report) {
                return report;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: {report:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let report = until("seen", &|r| {
        // Closed, registered and taken out by raw calls; named by the kernel.
        is(r, 20, "gone")
            && is(r, 23, "gone")
            && is(r, 22, "armed")
            && fd(r, 21).is_some_and(|f| f["name"].as_str().unwrap().starts_with("tcp 127.0.0.1:"))
    });
    let unseen = fd(&report, 22).unwrap();
    assert_eq!(
        (&unseen["interest"], &unseen["fidelity"]),
        (&"IN|ET".into(), &"inferred".into())
    );
    assert_eq!(fd(&report, 20).unwrap()["fidelity"], "inferred");
    // What the child was passed becomes known there by its inode; then the close here leaves a ghost. The child may be
    // looked at later than its parent.
    let begun = Instant::now();
    while !is_in_both(file.to_str().unwrap(), 24) {
        assert!(begun.elapsed() < PATIENCE, "not seen in the child");
        std::thread::sleep(Duration::from_millis(50));
    }
    writeln!(input, "go").unwrap();
    until("a ghost", &|r| is(r, 24, "ghost"));
    drop(input);
    assert!(child.wait().unwrap().success());
}
