//! Each core demo's C twin: raw epoll, at most a hundred lines, compiled and traced from outside, broken and repaired.
//! Every twin says by its exit code whether it has seen what it is about.
#![cfg(feature = "cli")]

mod common;

use common::run;
use loopscope::demos;
use std::process::Command;

/// Demos with a twin.
const CORE: usize = 9;

#[test]
fn twins_are_compiled_and_traced() {
    let twins: Vec<_> = demos::ALL.iter().filter(|d| d.c.is_some()).collect();
    assert_eq!(twins.len(), CORE);
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("skipped: no C compiler (cc) here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for demo in twins {
        let printed = run(&["demo", demo.name, "--c"]).exits(0).stdout;
        assert_eq!(Some(&*printed), demo.c, "{}", demo.name);
        let lines = printed.lines().count();
        assert!(lines <= 100, "{} has {lines} lines", demo.name);
        // As its first comment says it is compiled.
        assert!(
            printed.contains(&format!(" -o {} ", demo.name)),
            "{}",
            demo.name
        );
        let (source, program) = (at(&format!("{}.c", demo.name)), at(demo.name));
        std::fs::write(&source, printed).unwrap();
        let cc = ["-pthread", "-Wall", "-Wextra", "-Werror", "-O1"];
        let mut compile = Command::new("cc");
        compile.args(cc).args([&source, "-o", &program]);
        assert!(compile.status().unwrap().success(), "{}", demo.name);
        for side in ["broken", "fixed"] {
            let file = at(&format!("{}-{side}.lscope", demo.name));
            run(&["record", "-o", &file, "--", &program, side]).exits(0);
            let report = run(&["report", "--json", &file]).exits(0).stdout;
            let report: serde_json::Value = serde_json::from_str(&report).unwrap();
            assert_eq!(report["recording"]["lost"], 0, "{} {side}", demo.name);
            assert!(
                report["loops"][0]["waits"].as_u64() > Some(0),
                "{} {side}",
                demo.name
            );
        }
    }
}

#[test]
fn a_demo_without_a_twin_says_so() {
    if let Some(demo) = demos::ALL.iter().find(|d| d.c.is_none()) {
        run(&["demo", demo.name, "--c"]).fails(2, "no C twin");
    }
}
