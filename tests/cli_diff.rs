//! `diff` tells what changed from what only varies, by role and not by descriptor number.
#![cfg(feature = "cli")]

mod common;

use common::{Place, run};
use serde_json::Value;

/// A recording that ships.
fn shipped(name: &str) -> String {
    format!("{}/recordings/{name}.lscope", env!("CARGO_MANIFEST_DIR"))
}

fn json(before: &str, after: &str) -> Value {
    let ended = run(&["diff", before, after, "--json"]).exits(0);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stdout))
}

/// What became of a figure.
fn verdict<'a>(diff: &'a Value, role: &str, figure: &str, quantile: f64) -> &'a str {
    let of = |c: &&Value| {
        c["role"]["name"] == role && c["figure"] == figure && c["quantile"] == quantile
    };
    let all = diff["changes"].as_array().unwrap();
    let found = all.iter().find(of);
    found.map_or("absent", |c| c["verdict"].as_str().unwrap())
}

#[test]
fn a_repair_is_told_as_one() {
    let (broken, fixed) = (shipped("greedy-fd"), shipped("greedy-fd-fixed"));
    let diff = json(&broken, &fixed);
    for victim in ["ann", "bob", "cid", "dee"] {
        assert_eq!(
            verdict(&diff, victim, "wait", 0.5),
            "better",
            "{victim}: {diff:#}"
        );
    }
    assert_eq!(verdict(&diff, "flood", "run", 0.5), "better");
    let gone = diff["findings"].as_array().unwrap().iter();
    let gone = gone.filter(|f| f["verdict"] == "gone");
    let codes: Vec<&str> = gone.map(|f| f["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["greedy-handler"]);
    let text = run(&["diff", &broken, &fixed]).exits(0).stdout;
    assert!(text.contains("Finding gone: greedy-handler."), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
}

#[test]
fn the_other_way_round_it_is_worse_and_fails_a_check() {
    let (broken, fixed) = (shipped("greedy-fd"), shipped("greedy-fd-fixed"));
    assert_eq!(verdict(&json(&fixed, &broken), "ann", "wait", 0.5), "worse");
    for what in ["worse", "greedy-handler", "warning"] {
        run(&["diff", &fixed, &broken, "--fail-on", what]).exits(1);
    }
    // What both have is not new, and what only the first has has gone.
    run(&[
        "diff",
        &broken,
        &broken,
        "--fail-on",
        "worse,greedy-handler",
    ])
    .exits(0);
    run(&["diff", &broken, &fixed, "--fail-on", "greedy-handler"]).exits(0);
    let ended = run(&["diff", &fixed, &broken, "--fail-on", "slower"]).exits(2);
    assert!(ended.stderr.contains("slower"), "{}", ended.stderr);
}

/// What the demo creeping-block is about: worse, by role and beyond the noise, and no finding says so.
#[test]
fn a_routine_that_waits_now_is_told_though_nothing_alarms() {
    let (before, after) = (shipped("creeping-block-fixed"), shipped("creeping-block"));
    let diff = json(&before, &after);
    for client in ["ann", "bob", "cid", "dee"] {
        let told = verdict(&diff, client, "run", 0.5);
        assert_eq!(told, "worse", "{client}: {diff:#}");
    }
    let gone = diff["only_before"].as_array().unwrap();
    assert!(
        gone.iter().any(|role| role["name"] == "resolver"),
        "{diff:#}"
    );
    run(&["diff", &before, &after, "--fail-on", "worse"]).exits(1);
    run(&["diff", &before, &after, "--fail-on", "warning"]).exits(0);
}

#[test]
fn a_limit_is_judged_of_the_second_and_told_of_both() {
    let (broken, fixed) = (shipped("greedy-fd"), shipped("greedy-fd-fixed"));
    let limit = ["--fail-if", "max(run) > 3ms"];
    let diff = |a: &str, b: &str, more: &[&str]| run(&[&["diff", a, b], &limit[..], more].concat());
    assert!(
        diff(&broken, &fixed, &[])
            .exits(0)
            .stdout
            .contains("before: ")
    );
    let told = diff(&fixed, &broken, &["--json"]).exits(1).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    let judged = &told["limits"][0];
    assert_eq!(
        (&judged["limit"], &judged["verdict"]),
        (&"max(run) > 3ms".into(), &"passed".into())
    );
    assert!(
        judged["before"].as_u64() < judged["after"].as_u64(),
        "{judged}"
    );
    run(&["diff", &fixed, &broken, "--fail-if", "max(run) > 1h"]).exits(2);
    let none = ["diff", &fixed, &broken, "--fail-if", "count(run) == 0"];
    run(&none).exits(0);
}

#[test]
fn a_recording_is_no_different_from_itself() {
    for name in ["greedy-fd", "blocking-handler", "et-not-drained-fixed"] {
        let file = shipped(name);
        let diff = json(&file, &file);
        let changes = diff["changes"].as_array().unwrap();
        assert!(!changes.is_empty(), "{name}");
        for change in changes {
            let same = ["noise", "too-few"].contains(&change["verdict"].as_str().unwrap());
            assert!(same, "{name}: {change}");
            assert_eq!(change["before_ns"], change["after_ns"]);
        }
        let text = run(&["diff", &file, &file]).exits(0).stdout;
        assert!(text.starts_with("No change beyond the noise."), "{text}");
    }
}

#[test]
fn what_has_nothing_in_common_or_too_little_is_not_judged() {
    let place = Place::new();
    let cut = place.path("cut.lscope");
    let cut = cut.to_str().unwrap();
    let whole = shipped("greedy-fd");
    let args = [
        "export", &whole, "--to", "lscope", "--until", "60ms", "-o", cut,
    ];
    run(&args).exits(0);
    let ended = run(&["diff", &whole, cut, "--fail-on", "worse"]).exits(3);
    assert!(
        ended.stdout.starts_with("Inconclusive: "),
        "{}",
        ended.stdout
    );
    let missing = run(&["diff", &whole, "nowhere.lscope"]).exits(125);
    assert!(
        missing.stderr.contains("nowhere.lscope"),
        "{}",
        missing.stderr
    );
}
