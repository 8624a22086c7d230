//! The corpus: small reproductions of real bugs, each broken and repaired in one file (`PROGRAM fixed`). Broken, each makes its
//! own finding fire and no other; repaired, none.
//!
//! `cargo test --test corpus -- --ignored --nocapture` records them all and prints precision and recall as a table; with
//! `CORPUS=name,name` only these. The first lines of a file say its `code`, the real `bug`, and a `threshold` of its own
//! where an hour would pass otherwise.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, loopscope};
use loopscope::findings::Code;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

struct Case {
    name: String,
    file: PathBuf,
    code: Code,
    thresholds: Vec<String>,
    /// What it is: info, or nothing for a warning or worse.
    info: bool,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn cases() -> Vec<Case> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|f| {
            let name = f.file_name().unwrap().to_string_lossy().into_owned();
            name != "lab.py" && (name.ends_with(".py") || name.ends_with(".c"))
        })
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let head = text
                .lines()
                .map_while(|line| line.strip_prefix("# ").or_else(|| line.strip_prefix("// ")));
            let pairs: Vec<(String, String)> = head
                .filter_map(|line| line.split_once(": "))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            let of = |wanted: &str| -> Vec<String> {
                let mine = pairs.iter().filter(|(key, _)| key == wanted);
                mine.map(|(_, value)| value.clone()).collect()
            };
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let code = of("code").concat();
            assert!(!of("bug").is_empty(), "{name} names no bug");
            Case {
                code: code.parse().unwrap_or_else(|e| panic!("{name}: {e}")),
                thresholds: of("threshold"),
                info: of("severity") == ["info"],
                name,
                file,
            }
        })
        .collect()
}

/// What is run: a script with its interpreter, or a C program that is compiled first.
fn program(case: &Case, place: &Path) -> Vec<String> {
    let file = case.file.to_str().unwrap().to_owned();
    if file.ends_with(".py") {
        return vec!["python3".into(), file];
    }
    let out = place.join(&case.name);
    let made = Command::new("cc")
        .args(["-O1", "-Wall", "-D_GNU_SOURCE", "-pthread", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"))
        .args(["-o", out.to_str().unwrap(), &file])
        .status()
        .unwrap();
    assert!(made.success(), "cc does not like {file}");
    vec![out.to_str().unwrap().to_owned()]
}

/// Records one run and tells what was found: what is a warning or worse, and the case's own code also as info where it is no more.
fn found(case: &Case, fixed: bool, place: &Path) -> BTreeSet<String> {
    let twin = if fixed { "fixed" } else { "broken" };
    let recording = place.join(format!("{}-{twin}.lscope", case.name));
    let thresholds = place.join(format!("{}.toml", case.name));
    std::fs::write(&thresholds, case.thresholds.join("\n")).unwrap();
    // Whatever a case does, it ends.
    let ended = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_loopscope"), "record", "-o"])
        .arg(&recording)
        .arg("--")
        .args(program(case, place))
        .args(fixed.then_some("fixed"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("LOOPSCOPE_SESSION")
        .output()
        .unwrap();
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return BTreeSet::from([format!("{twin} did not run: {said}")]);
    }
    let report = loopscope()
        .args([
            "report",
            "--json",
            "--thresholds",
            thresholds.to_str().unwrap(),
        ])
        .arg(&recording)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let all = report["findings"].as_array().unwrap();
    let mut codes = BTreeSet::new();
    for f in all {
        let code = f["code"].as_str().unwrap();
        let matters = matches!(f["severity"].as_str(), Some("warning" | "error"));
        let own = case.info && code == case.code.name() && f["confidence"] != "maybe";
        if matters || own {
            codes.insert(code.to_owned());
        }
        // What is told as the effect of its cause is found as well.
        let effects = f["effects"].as_array().unwrap().iter();
        if matters
            && effects
                .filter_map(|e| e.as_str())
                .any(|e| e == case.code.name())
        {
            codes.insert(case.code.name().to_owned());
        }
    }
    codes
}

#[test]
fn every_case_says_what_it_is_about() {
    let cases = cases();
    let codes: BTreeSet<Code> = cases.iter().map(|c| c.code).collect();
    assert_eq!(codes.len(), cases.len(), "one case a code");
    assert!(Code::ALL.iter().all(|code| codes.contains(code)));
}

#[test]
#[ignore = "takes minutes: it records programs that run for seconds each"]
fn each_case_is_found_and_its_twin_is_not() {
    let wanted = std::env::var("CORPUS").unwrap_or_default();
    let cases = cases();
    let queue: Mutex<Vec<&Case>> = Mutex::new(
        cases
            .iter()
            .rev()
            .filter(|c| wanted.is_empty() || wanted.split(',').any(|w| w == c.name))
            .collect(),
    );
    let place = Place::new();
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop() else {
                        return;
                    };
                    let broken = found(case, false, &place.path(""));
                    let fixed = found(case, true, &place.path(""));
                    rows.lock().unwrap().push((case.code, broken, fixed));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort();
    let (mut hits, mut misses, mut wrong) = (0, 0, 0);
    println!(
        "{:<26} {:<9} others when broken, any when repaired",
        "code", "found"
    );
    for (code, broken, fixed) in &rows {
        let hit = broken.contains(code.name());
        let others: Vec<&str> = broken
            .iter()
            .map(String::as_str)
            .filter(|c| *c != code.name())
            .collect();
        let twin: Vec<&str> = fixed.iter().map(String::as_str).collect();
        hits += usize::from(hit);
        misses += usize::from(!hit);
        wrong += others.len() + twin.len();
        println!(
            "{:<26} {:<9} {}{}{}",
            code.name(),
            if hit { "yes" } else { "NO" },
            others.join(", "),
            if twin.is_empty() { "" } else { " | repaired: " },
            twin.join(", ")
        );
    }
    println!(
        "{} cases: recall {:.1} %, precision {:.1} %",
        rows.len(),
        100.0 * f64::from(hits as u32) / rows.len().max(1) as f64,
        100.0 * f64::from(hits as u32) / (hits + wrong).max(1) as f64
    );
    assert_eq!((misses, wrong), (0, 0), "see the table");
}
