//! The counts are the kernel's: what a recording says a program called is what perf counted at the same time, exactly.
//! Needs perf and the right to use tracepoints, so `.ci/run` runs it as root.
#![cfg(feature = "cli")]

mod common;

use common::{Ended, loopscope};
use loopscope::demos;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::{iter, thread};

/// So many demos run beside each other.
const AT_ONCE: usize = 4;

/// perf's `-x,` lines: the event's name and its count.
fn counted(stderr: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let name = fields.get(2)?.strip_prefix("syscalls:")?.to_owned();
        Some((name, fields.first()?.parse().ok()?))
    };
    stderr.lines().filter_map(line).collect()
}

/// Records a demo beside perf; whether it waits by epoll.
fn counts_agree(demo: &str, fixed: &[&str], dir: &Path) -> bool {
    let file = dir.join(format!("{demo}{}.lscope", fixed.len()));
    let name = file.to_str().unwrap();
    let mut record = loopscope();
    // What a demo writes, it writes where it stands.
    record.current_dir(dir);
    record.args(["record", "-o", name, "--", "perf", "stat", "-x,", "-e"]);
    record.arg("syscalls:sys_exit_epoll_*,syscalls:sys_enter_epoll_ctl");
    record.arg(env!("CARGO_BIN_EXE_loopscope"));
    record
        .args(["demo-program", demo, "--ms", "1000"])
        .args(fixed);
    let ended = Ended::of(record.output().unwrap()).exits(0);
    let kernel = counted(&ended.stderr);
    assert!(
        kernel.contains_key("sys_exit_epoll_wait"),
        "{}",
        ended.stderr
    );

    let report = common::run(&["report", "--json", "--top", "1000000", name]).exits(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["recording"]["lost"], 0, "{demo} {fixed:?}");
    let loops = report["loops"].as_array().unwrap();
    let epolls = || loops.iter().filter(|l| l["kind"] == "epoll");
    let sum = |of: &dyn Fn(&Value) -> u64| epolls().map(of).sum::<u64>();
    let waits = sum(&|l| l["waits"].as_u64().unwrap() + l["unfinished"].as_u64().unwrap());
    let ctl = sum(&|l| {
        ["add", "mod", "del", "failed"]
            .iter()
            .map(|op| l["ctl"][op].as_u64().unwrap())
            .sum()
    });
    let exits: u64 = ["wait", "pwait", "pwait2"]
        .iter()
        .filter_map(|call| kernel.get(&format!("sys_exit_epoll_{call}")))
        .sum();
    assert_eq!(waits, exits, "{demo} {fixed:?}");
    assert_eq!(ctl, kernel["sys_enter_epoll_ctl"], "{demo} {fixed:?}");
    // A demo of blocking calls waits for nothing by epoll.
    assert_eq!(waits > 0, ctl > 0, "{demo} {fixed:?}");
    waits > 0
}

#[test]
#[ignore = "root"]
fn a_recording_counts_what_the_kernel_counts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // perf counts its own children: most demos sleep most of the time, so some run beside each other.
    let both = [&[][..], &["--fixed"]];
    let all = demos::ALL
        .iter()
        .flat_map(|demo| both.map(|which| (demo.name, which)));
    let left = Mutex::new(all);
    let next = || left.lock().unwrap().next();
    let work = || {
        iter::from_fn(next)
            .filter(|(demo, fixed)| counts_agree(demo, fixed, dir))
            .count()
    };
    let epoll = thread::scope(|scope| {
        let workers = [(); AT_ONCE].map(|()| scope.spawn(work));
        workers.map(|one| one.join().unwrap()).iter().sum::<usize>()
    });
    assert!(epoll >= 2 * 3, "{epoll} recordings with epoll in them");
}
