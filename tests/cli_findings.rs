//! Findings from outside: the recordings that ship, broken and repaired; the exit codes of a check; what explains a code.
#![cfg(feature = "cli")]

mod common;

use common::{Ended, Place, loopscope, run};
use serde_json::Value;

fn shipped(name: &str) -> String {
    format!("{}/recordings/{name}.lscope", env!("CARGO_MANIFEST_DIR"))
}

fn report(name: &str, options: &[&str]) -> Ended {
    run(&[&["report", &shipped(name)], options].concat())
}

#[test]
fn each_lesson_is_found_broken_and_silent_repaired() {
    for (name, code, fd) in [
        ("greedy-fd", "greedy-handler", "flood"),
        ("blocking-handler", "blocking-handler", "disk"),
        ("et-not-drained", "et-not-drained", "bob"),
    ] {
        let broken = report(name, &["--json", "--fail-on", "warning"]).exits(1);
        let broken: Value = serde_json::from_str(&broken.stdout).unwrap();
        let found = broken["findings"].as_array().unwrap();
        assert!(
            !found.is_empty() && found.iter().all(|f| f["code"] == code),
            "{found:#?}"
        );
        let names: Vec<&str> = found.iter().filter_map(|f| f["summary"].as_str()).collect();
        assert!(names.iter().any(|s| s.contains(fd)), "{names:?}");
        for f in found {
            for key in [
                "severity",
                "confidence",
                "loop",
                "generation",
                "at_ns",
                "count",
                "worst_ns",
                "advice",
            ] {
                assert!(!f[key].is_null(), "{key}");
            }
            let evidence = f["evidence"].as_array().unwrap();
            let events = broken["recording"]["events"].as_u64().unwrap();
            assert!(
                !evidence.is_empty()
                    && evidence
                        .iter()
                        .all(|e| e["event"].as_u64().unwrap() < events)
            );
        }
        let checked = broken["findings_checked"].as_array().unwrap();
        assert!(checked.iter().any(|c| c == code));
        // The verdict comes first, the plain title before the code.
        let text = report(name, &[]).exits(0).stdout;
        let first: String = text.lines().take(3).collect();
        assert!(first.contains(&format!("({code})")), "{first}");
        report(name, &["--fail-on", code]).exits(1);

        let fixed = report(
            &format!("{name}-fixed"),
            &["--json", "--fail-on", "warning"],
        )
        .exits(0);
        let fixed: Value = serde_json::from_str(&fixed.stdout).unwrap();
        assert_eq!(fixed["findings"], Value::Array(Vec::new()));
    }
}

#[test]
fn a_check_says_what_it_cannot_know() {
    // A code nobody knows, and one that is not there.
    let ended = report("greedy-fd", &["--fail-on", "no-such-code"]).exits(2);
    assert!(ended.stderr.contains("no-such-code") && ended.stdout.is_empty());
    report("greedy-fd", &["--fail-on", "hangup-spin,busy-loop"]).exits(0);
    // A recording that was cut off: nothing found is not nothing there.
    let place = Place::new();
    let whole = std::fs::read(shipped("greedy-fd-fixed")).unwrap();
    let cut = place.file("cut.lscope", &whole[..whole.len() * 2 / 3]);
    run(&["report", &cut, "--fail-on", "hangup-spin"]).exits(3);
}

#[test]
fn thresholds_come_from_a_file_and_are_printed() {
    let place = Place::new();
    let printed = run(&["explain", "thresholds"]).exits(0).stdout;
    let defaults = place.file("defaults.toml", &printed);
    let same = report("blocking-handler", &["--thresholds", &defaults])
        .exits(0)
        .stdout;
    assert_eq!(same, report("blocking-handler", &[]).exits(0).stdout);
    let lax = place.file("lax.toml", "blocking_warning = \"1s\" # patient\n");
    let text = report("blocking-handler", &["--thresholds", &lax])
        .exits(0)
        .stdout;
    assert!(
        !text.contains("(blocking-handler") && text.contains("blocking_warning = \"1s\""),
        "{text}"
    );
    let wrong = place.file("wrong.toml", "blocking_warning = 5\n");
    report("blocking-handler", &["--thresholds", &wrong]).fails(2, "explain thresholds");
}

#[test]
fn a_code_is_explained() {
    let all = run(&["explain"]).exits(0).stdout;
    assert!(all.lines().count() >= 33 && all.contains("greedy-handler"));
    let one = run(&["explain", "et-not-drained"]).exits(0).stdout;
    for part in [
        "Bytes left behind (et-not-drained)",
        "Meaning.",
        "Cure.",
        "The kernel's rule.",
    ] {
        assert!(one.contains(part), "{part}");
    }
    run(&["explain", "nothing"]).exits(2);
    assert!(
        loopscope()
            .args(["explain", "--help"])
            .output()
            .unwrap()
            .status
            .success()
    );
}

#[test]
fn a_recording_is_checked_as_it_ends() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_loopscope");
    let checked = |fixed: &[&str], options: &[&str]| {
        let file = place.arg("checked.lscope");
        let record = [
            "record",
            "--force",
            "-o",
            &file,
            "--fail-on",
            "blocking-handler",
        ];
        let demo = [
            "--",
            program,
            "demo-program",
            "blocking-handler",
            "--ms=1200",
        ];
        run(&[&record[..], options, &demo, fixed].concat())
    };
    let broken = checked(&[], &[]).exits(1);
    assert!(
        broken.stderr.contains("(blocking-handler): the handler of"),
        "{}",
        broken.stderr
    );
    checked(&["--fixed"], &[]).exits(0);
    let lax = place.file("lax.toml", "blocking_warning = \"10s\"\n");
    checked(&[], &["--thresholds", &lax]).exits(0);
    run(&["record", "-o", "-", "--fail-on", "warning", "--", "true"]).fails(2, "-o");
    run(&["record", "--fail-on", "nothing", "--", "true"]).exits(2);
}

#[test]
fn a_limit_is_passed_kept_or_cannot_be_judged() {
    let limits = |name: &str, limit: &str| report(name, &["--json", "--fail-if", limit]);
    let passed = limits("greedy-fd", "p99(wait) > 1ms").exits(1);
    let json: Value = serde_json::from_str(&passed.stdout).unwrap();
    let judged = &json["limits"][0];
    assert_eq!(judged["verdict"], "passed");
    assert!(judged["figure"].as_u64().unwrap() > 1_000_000);
    limits("greedy-fd-fixed", "max(run) > 10s").exits(0);
    limits("greedy-fd", "count(run) < 1").exits(0);
    // Both: one that is passed is enough.
    report(
        "greedy-fd",
        &["--fail-on", "hangup-spin", "--fail-if", "count(run) > 1"],
    )
    .exits(1);
    let wrong = report("greedy-fd", &["--fail-if", "p98(wait) > 1ms"]).exits(2);
    assert!(wrong.stderr.contains("p99"), "{}", wrong.stderr);
    // Of a recording in which nothing was served there is no figure.
    let place = Place::new();
    let file = place.arg("quiet.lscope");
    let quiet = "import select; select.epoll().poll(0.01)";
    let args = [
        "record",
        "-o",
        &file,
        "--fail-if",
        "max(run) > 1s",
        "--",
        "python3",
        "-c",
        quiet,
    ];
    let ended = run(&args).exits(3);
    assert!(ended.stderr.contains("inconclusive"), "{}", ended.stderr);
}

#[test]
fn known_findings_do_not_fail_and_gone_ones_leave_the_list() {
    let place = Place::new();
    let list = report("greedy-fd", &["--format", "baseline"])
        .exits(0)
        .stdout;
    assert!(list.starts_with("greedy-handler "), "{list}");
    let known = place.file("known", format!("# since the first release\n{list}"));
    report("greedy-fd", &["--fail-on", "warning", "--baseline", &known]).exits(0);
    report(
        "blocking-handler",
        &["--fail-on", "warning", "--baseline", &known],
    )
    .exits(1);
    let gone = report(
        "greedy-fd-fixed",
        &["--fail-on", "warning", "--baseline", &known],
    )
    .exits(1);
    let command = gone.stderr.split("from the list: ").nth(1).unwrap();
    let shrunk = std::process::Command::new("sh")
        .args(["-c", command])
        .status()
        .unwrap();
    assert!(shrunk.success());
    assert_eq!(
        std::fs::read_to_string(&known).unwrap(),
        "# since the first release\n"
    );
    report(
        "greedy-fd-fixed",
        &["--fail-on", "warning", "--baseline", &known],
    )
    .exits(0);
    let none = report(
        "greedy-fd",
        &["--fail-on", "warning", "--baseline", "/no/such"],
    )
    .exits(2);
    assert!(none.stderr.contains("--format baseline"), "{}", none.stderr);
}

#[test]
fn thresholds_of_a_run_let_that_run_pass() {
    let place = Place::new();
    for name in [
        "greedy-fd-fixed",
        "blocking-handler",
        "blocking-handler-fixed",
    ] {
        let told = report(name, &["--suggest"]).exits(0).stdout;
        let is_doubted = told.contains("# Did it? blocking-handler:");
        assert_eq!(is_doubted, name == "blocking-handler", "{told}");
        assert!(told.contains("\nlong_run = \""), "{told}");
        let file = place.file("suggested.toml", &told);
        let json = report(name, &["--json", "--thresholds", &file])
            .exits(0)
            .stdout;
        let json: Value = serde_json::from_str(&json).unwrap();
        let found = json["findings"].as_array().unwrap().iter();
        let mut codes = found.map(|f| f["code"].as_str().unwrap());
        let long = [
            "blocking-handler",
            "computing-handler",
            "long-handler",
            "long-iteration",
        ];
        assert!(codes.all(|c| !long.contains(&c)), "{name}: {json:#}");
        assert!(!json["thresholds_changed"].as_array().unwrap().is_empty());
    }
    report("greedy-fd", &["--suggest", "--json"]).exits(2);
}

#[test]
fn other_programs_can_show_the_findings() {
    let of = |format: &str| report("greedy-fd", &["--format", format]).exits(0).stdout;
    assert_eq!(of("json"), report("greedy-fd", &["--json"]).exits(0).stdout);
    assert_eq!(of("text"), report("greedy-fd", &[]).exits(0).stdout);
    let sarif: Value = serde_json::from_str(&of("sarif")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    assert_eq!(run["results"][0]["ruleId"], "greedy-handler");
    assert_eq!(run["results"][0]["level"], "warning");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(
        rules
            .iter()
            .all(|r| !r["help"]["text"].as_str().unwrap().is_empty())
    );
    let xml = of("junit");
    assert!(
        xml.contains("failures=\"1\"") && xml.contains("<failure type=\"warning\""),
        "{xml}"
    );
    let cases = xml.matches("<testcase ").count();
    assert!(
        cases > 20 && xml.contains(&format!("tests=\"{cases}\"")),
        "{xml}"
    );
    let md = of("md");
    assert!(
        md.starts_with("**")
            && md.contains("### ")
            && md.contains("| flood |") | md.contains("flood"),
        "{md}"
    );
    assert!(md.len() < 16_000);
}

#[test]
fn a_code_has_a_reproduction_that_runs_here() {
    let demo = |name: &str, more: &[&str]| run(&[&["demo", name, "--no-ui"], more].concat());
    for (name, says) in [
        ("registration-failed", "is found in the broken"),
        ("data-names-other-fd", "is found in the broken"),
    ] {
        let broken = demo(name, &[]).exits(0);
        assert!(broken.stdout.contains(says), "{}", broken.stdout);
    }
    let fixed = demo("data-names-other-fd", &["--fixed"]).exits(0);
    assert!(
        fixed.stdout.contains("is not found in the repaired"),
        "{}",
        fixed.stdout
    );
    // A name that is both is the demo's.
    assert!(
        run(&["demo", "--list"])
            .exits(0)
            .stdout
            .contains("registration-failed")
    );
    let place = Place::new();
    for (name, needs) in [
        ("registration-failed", "python3"),
        ("timer-spin", "C compiler"),
    ] {
        let mut bare = loopscope();
        let ended = bare
            .args(["demo", name, "--no-ui"])
            .env("PATH", place.path(""))
            .output()
            .unwrap();
        let ended = Ended::of(ended).fails(125, "is not installed");
        assert!(ended.stderr.contains(needs), "{}", ended.stderr);
    }
    run(&["demo", "registration-failed", "--recorded"]).exits(2);
}
