//! Every demo's claim holds: on fresh recordings of the broken and the repaired program, and on those that ship.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;
mod session_support;

use common::{Ended, judged, loopscope, run};
use loopscope::demos;
use preload::compiled;
use session_support::rounds;

fn demo(args: &[&str]) -> Ended {
    Ended::of(loopscope().arg("demo").args(args).output().unwrap())
}

/// Three demos run at once, each the others' load: a claim has to hold with both cores busy. At full length those three
/// that came first a hundred times.
#[test]
fn fresh_recordings() {
    let dir = tempfile::tempdir().unwrap();
    let first = ["greedy-fd", "blocking-handler", "et-not-drained"];
    let (first, others): (Vec<_>, Vec<_>) = demos::ALL
        .iter()
        .partition(|demo| first.contains(&demo.name));
    let mut all = first.clone();
    all.extend(others);
    for round in 0..rounds(1, 100) {
        let these = match round {
            0..3 => &all,
            _ => &first,
        };
        for three in these.chunks(3) {
            std::thread::scope(|scope| {
                for demo in three {
                    let file = dir.path().join(format!("{}-{round}.lscope", demo.name));
                    scope.spawn(move || fresh_recording(demo, &file));
                }
            });
        }
    }
}

fn fresh_recording(demo: &demos::Demo, file: &std::path::Path) {
    let name = file.to_str().unwrap();
    let ended = judged(&[demo.name, "--no-ui", "--force", "-o", name]).exits(0);
    assert!(!ended.stdout.contains("  NO  "), "{}", ended.stdout);
    assert!(ended.stdout.contains("  yes  "), "{}", ended.stdout);
    let advice = ended.stderr.contains("loopscope replay");
    assert!(advice, "{}", ended.stderr);
    // What the demo printed is what a report of its recording says.
    let report = run(&["report", name]).exits(0);
    let same = ended.stdout.starts_with(&report.stdout);
    assert!(same, "{}\n{}", ended.stdout, report.stdout);
    names_its_file(demo, &report.stdout);
    let info = run(&["info", name]).exits(0);
    assert!(info.stdout.contains(demo.file), "{}", info.stdout);
}

/// A call site is told as a person would type it: a file of the demo or one that it shares with others.
fn names_its_file(demo: &demos::Demo, report: &str) {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for told in report.split("demos/").skip(1) {
        let name = told.split(':').next().unwrap_or_default();
        assert!(here.join("demos").join(name).is_file(), "{name}: {report}");
    }
    assert!(!report.contains("/../"), "{report}");
    // One that is told of at all: its handler is what the report is about.
    assert!(
        report.contains(demo.file) || demo.name != "greedy-fd",
        "{report}"
    );
}

#[test]
fn shipped_recordings() {
    for demo in demos::ALL {
        for fixed in [&[][..], &["--fixed"]] {
            let args = [&[demo.name, "--recorded", "--no-ui"], fixed].concat();
            let ended = self::demo(&args).exits(0);
            assert!(!ended.stdout.contains("  NO  "), "{}", ended.stdout);
            names_its_file(demo, &ended.stdout);
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("copy.lscope");
        self::demo(&[demo.name, "--recorded", "-o", file.to_str().unwrap()]).exits(0);
        let bytes = std::fs::metadata(&file).unwrap().len();
        assert!(bytes <= 100_000, "{} has {bytes} bytes", demo.name);
        // Never over another file.
        self::demo(&[demo.name, "--recorded", "-o", file.to_str().unwrap()]).exits(125);
    }
}

#[test]
fn the_repaired_program_shows_the_cure() {
    // On the recordings that ship: on a busy machine a fresh run's worst wait is the scheduler's.
    for (name, at_most) in [("greedy-fd", 0.2), ("blocking-handler", 0.1)] {
        let broken = summary(name, false);
        let fixed = summary(name, true);
        let worst = |s: &loopscope::report::Summary| -> f64 {
            let victims = s
                .fds
                .iter()
                .filter(|fd| ["ann", "bob", "cid", "dee"].contains(&&*fd.name));
            // At least: a stamp that came late leaves the upper bound wide.
            victims
                .map(|fd| fd.notice.map_or(0, |n| n.lo.max) + fd.queue.map_or(0, |q| q.max))
                .fold(0.0, |worst, waited| worst.max(waited as f64))
        };
        assert!(
            worst(&fixed) < at_most * worst(&broken),
            "{name}: {} {}",
            worst(&broken),
            worst(&fixed)
        );
        let fairness = |s: &loopscope::report::Summary| s.loops[0].fairness.unwrap();
        assert!(
            fairness(&fixed) > fairness(&broken),
            "{name}: {} {}",
            fairness(&broken),
            fairness(&fixed)
        );
    }
}

fn summary(name: &str, fixed: bool) -> loopscope::report::Summary {
    let end = if fixed { "-fixed" } else { "" };
    let path = format!(
        "{}/recordings/{name}{end}.lscope",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut reader = loopscope::trace::Reader::open(path).unwrap();
    loopscope::report::fold(&mut reader, &Default::default(), &mut |_| ()).unwrap()
}

/// Fresh recordings have those that are installed; the one that ships has all.
#[test]
#[ignore = "programs"]
fn all_four_programs_are_foreign() {
    let ended = judged(&["foreign", "--no-ui"]).exits(0);
    let claims = ended.stdout.split("\nclaims of ").nth(1).unwrap();
    for program in &demos::programs::ALL {
        let name = program.name;
        assert_eq!(claims.matches(name).count(), 3, "{name}: {claims}");
    }
}

#[test]
fn a_program_that_is_not_installed_is_asked_for() {
    let mut command = loopscope();
    command.args(["demo", "foreign", "--no-ui", "--set", "program=redis"]);
    let ended = Ended::of(command.env("PATH", "/nowhere").output().unwrap()).exits(125);
    let advice = "install redis (apt install redis-server, dnf install redis)";
    for said in ["nothing to look at is installed", advice] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    // What nobody wants need not be there.
    assert!(!ended.stderr.contains("python"), "{}", ended.stderr);
}

/// Where io_uring is refused, the demo's claims and its recording say so, and bob gets his pieces all the same.
#[test]
fn io_uring_is_tried_and_a_refusal_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let refused = compiled(dir.path(), "refused", &["-DREFUSED=SYS_io_uring_setup"]);
    let file = dir.path().join("aio.lscope");
    let told = |command: &mut std::process::Command, set: &[&str]| -> (String, String) {
        command.args(["demo", "aio", "--fixed", "--no-ui", "--force", "-o"]);
        let said = Ended::of(command.arg(&file).args(set).output().unwrap()).exits(0);
        let events = run(&["export", file.to_str().unwrap(), "--to", "ndjson"]).exits(0);
        let marks = events
            .stdout
            .lines()
            .filter(|l| l.contains(r#""kind":"mark""#));
        (said.stdout, marks.collect::<Vec<_>>().join("\n"))
    };
    let around = || {
        let mut command = std::process::Command::new(&refused);
        command.arg(env!("CARGO_BIN_EXE_loopscope"));
        command
    };
    let by_ring: &[&str] = &["--set", "told=io_uring"];
    if told(&mut around(), &[])
        .0
        .contains("asynchronous reads are refused")
    {
        // The demo says so, and has nothing to show on this file system.
        return;
    }
    let (said, marks) = told(&mut around(), &[]);
    assert!(
        said.contains("io_uring is refused why=Operation not permitted"),
        "{said}"
    );
    let (_, turned) = told(&mut around(), by_ring);
    for marks in [&marks, &turned] {
        assert!(marks.contains("io_uring is refused"), "{marks}");
        assert!(
            marks.contains(r#""right":1"#) && !marks.contains(r#""right":0"#),
            "{marks}"
        );
    }
    assert!(
        turned.matches("io_uring is refused").count() > 1,
        "{turned}"
    );
    // Without the wrapper it is this machine's affair; either way it is told, and the pieces are right.
    let (_, marks) = told(&mut loopscope(), by_ring);
    assert!(marks.contains("io_uring"), "{marks}");
    assert!(
        marks.contains(r#""right":1"#) && !marks.contains(r#""right":0"#),
        "{marks}"
    );
}

#[test]
fn an_unknown_demo_is_wrong_usage_and_the_list_helps() {
    let ended = demo(&["gredy-fd"]).exits(2);
    assert!(
        ended.stderr.contains("hint: the demos are blocking-echo"),
        "{}",
        ended.stderr
    );
    for args in [&[][..], &["--list"]] {
        let ended = demo(args).exits(0);
        assert!(demos::ALL.iter().all(|d| ended.stdout.contains(d.name)));
    }
    let json: serde_json::Value =
        serde_json::from_str(&demo(&["--list", "--json"]).exits(0).stdout).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["demos"].as_array().unwrap().len(), demos::ALL.len());
}
