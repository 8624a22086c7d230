//! Which function computes and who waits meanwhile: of a program that nobody prepared, with frame pointers and without.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use common::run;
use loopscope::record::event::{Kind, Space};
use preload::{events, record};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A recording of tests/programs/hot.c, built with these further arguments.
fn recorded(dir: &Path, arguments: &[&str]) -> PathBuf {
    let program = preload::compiled(dir, "hot", arguments);
    let file = dir.join("hot.lscope");
    let output = record(&file, &program, &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    file
}

fn report(file: &Path) -> Value {
    let json = run(&["report", "--json", file.to_str().unwrap()]).exits(0);
    serde_json::from_str(&json.stdout).unwrap()
}

#[test]
fn the_function_that_others_wait_for_is_named_with_its_callers() {
    let dir = tempfile::tempdir().unwrap();
    let file = recorded(dir.path(), &["-g", "-O1", "-fno-omit-frame-pointer"]);
    let report = report(&file);
    let code = &report["code"];
    let first = &code["functions"][0];
    assert_eq!(first["name"], "parse_rows", "{code:#}");
    assert!(
        first["file"]
            .as_str()
            .unwrap()
            .ends_with("tests/programs/hot.c")
    );
    let callers: Vec<&str> = (first["callers"].as_array().unwrap().iter())
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(callers[..2], ["serve", "main"]);
    let ns = |heat: &Value, key: &str| heat[key].as_u64().unwrap();
    // It is what the program does, and three events wait whenever it does it.
    let (own, total) = (&first["own"], &code["total"]);
    assert!(ns(own, "cpu_ns") * 10 > ns(total, "cpu_ns") * 7, "{code:#}");
    assert!(ns(own, "waiting_hi_ns") > 2 * ns(own, "cpu_ns"), "{code:#}");
    assert!(ns(own, "waiting_lo_ns") <= ns(own, "waiting_hi_ns"));
    // What calls it has its time, too; itself it has next to none.
    let functions = code["functions"].as_array().unwrap();
    let serve = functions.iter().find(|f| f["name"] == "serve").unwrap();
    assert!(ns(&serve["all"], "cpu_ns") >= ns(own, "cpu_ns"));
    assert!(ns(&serve["own"], "cpu_ns") * 2 < ns(own, "cpu_ns"));

    let path = file.to_str().unwrap();
    let text = run(&["report", path]).exits(0).stdout;
    assert!(
        text.contains("parse_rows (hot.c)") && text.contains("called by serve, main"),
        "{text}"
    );
    for by in ["waiting", "cpu"] {
        let folded = run(&["export", "--to", "folded", "--by", by, path])
            .exits(0)
            .stdout;
        let all: u64 = (folded.lines())
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum();
        let hot: u64 = (folded.lines())
            .filter(|line| line.contains(";main;serve;parse_rows "))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum();
        assert!(hot * 10 > all * 6, "{by}:\n{folded}");
    }
}

#[test]
fn without_frame_pointers_the_function_itself_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let file = recorded(dir.path(), &["-g", "-O2", "-fomit-frame-pointer"]);
    let report = report(&file);
    assert_eq!(
        report["code"]["functions"][0]["name"], "parse_rows",
        "{:#}",
        report["code"]
    );
}

/// Of a handler that computes the whole chain of calls is known: from copied stacks, whether the program has frame pointers or not,
/// in a library, on a stack that was aligned, and in a signal's handler.
#[test]
#[cfg(target_arch = "x86_64")]
fn each_caller_of_what_computes_is_named() {
    let with = "-fno-omit-frame-pointer";
    let without = "-fomit-frame-pointer";
    for (pointers, how, away) in [
        (without, "c", false),
        (with, "c", false),
        (without, "c", true),
        (with, "c", true),
        (without, "a", false),
        (without, "s", false),
    ] {
        let case = format!("{pointers} {how} {away}");
        let dir = tempfile::tempdir().unwrap();
        let mut arguments = vec!["-g", "-O2", pointers];
        let library = dir.path().join("nested_handler");
        if away {
            preload::compiled(
                dir.path(),
                "nested_handler",
                &["-g", "-O2", pointers, "-shared", "-fPIC"],
            );
            arguments.extend(["-DAWAY", library.to_str().unwrap()]);
        }
        let program = preload::compiled(dir.path(), "nested", &arguments);
        let file = dir.path().join("nested.lscope");
        let output = record(&file, &program, &[how]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");

        let chain: &[&str] = match how {
            "a" => &["main", "loop", "handler", "aligned", "compute", "inner"],
            "s" => &["main", "loop", "handler", "on_signal", "compute", "inner"],
            _ => &["main", "loop", "handler", "compute", "inner"],
        };
        let path = file.to_str().unwrap();
        let folded = run(&["export", "--to", "folded", "--by", "cpu", path])
            .exits(0)
            .stdout;
        let (mut hot, mut whole) = (0, 0);
        for line in folded.lines() {
            let (stack, time) = line.rsplit_once(' ').unwrap();
            let time: u64 = time.parse().unwrap();
            let names: Vec<&str> = stack.split(';').collect();
            if names.last() != Some(&"inner") {
                continue;
            }
            hot += time;
            let from = names.iter().position(|name| *name == "main").unwrap_or(0);
            // Between a handler and a signal's stands what raised it.
            let called: Vec<&str> = (names[from..].iter().copied())
                .filter(|name| how != "s" || chain.contains(name))
                .collect();
            whole += time * u64::from(called == chain);
        }
        assert!(hot > 0 && whole * 100 >= hot * 98, "{case}:\n{folded}");

        let report = report(&file);
        let first = &report["code"]["functions"][0];
        assert_eq!(first["name"], "inner", "{case}: {:#}", report["code"]);
        let callers: Vec<&str> = (first["callers"].as_array().unwrap().iter())
            .map(|name| name.as_str().unwrap())
            .collect();
        let expected: Vec<&str> = chain.iter().rev().skip(1).take(2).copied().collect();
        assert_eq!(callers[..2], expected, "{case}");
    }
}

#[test]
fn who_wants_none_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let program = preload::compiled(dir.path(), "hot", &["-g"]);
    let file = dir.path().join("hot.lscope");
    let (path, program) = (file.to_str().unwrap(), program.to_str().unwrap());
    run(&["record", "--stacks", "off", "-o", path, "--", program]).exits(0);
    let is_of_stacks = |kind: Kind, aux: u16| {
        kind == Kind::Sample || kind == Kind::Name && aux == Space::Stack.code()
    };
    assert!(
        !events(&file)
            .iter()
            .any(|seen| is_of_stacks(seen.event.kind, seen.event.aux))
    );
    assert_eq!(report(&file)["code"], Value::Null);
    let folded = run(&["export", "--to", "folded", "--by", "cpu", path]).exits(0);
    assert!(
        folded.stdout.is_empty() && folded.stderr.contains("no samples"),
        "{}",
        folded.stderr
    );
}

/// The function that a thread slept in, and whether its callers are known: of one that keeps frame pointers and of one that
/// does not.
#[test]
fn what_a_handler_sleeps_in_is_named_with_its_callers() {
    let frames = ["-O1", "-fno-omit-frame-pointer"];
    let none = ["-O2", "-fomit-frame-pointer"];
    for (how, function, arguments) in [
        ("sleep", "load_rows", frames),
        ("lock", "take_lock", frames),
        ("sleep", "load_rows", none),
        ("lock", "take_lock", none),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let program = preload::compiled(dir.path(), "sleeps", &[&["-g"], &arguments[..]].concat());
        let file = dir.path().join("sleeps.lscope");
        let output = record(&file, &program, &[how, "100"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let report = report(&file);
        let mut setup = report["setup"].as_array().unwrap().iter();
        if let Some(refused) = setup.find(|s| {
            let missing = s["missing"].as_str().unwrap_or_default();
            missing.starts_with("switch records")
        }) {
            eprintln!("not told on this machine: {refused}");
            return;
        }
        let code = &report["code"];
        let functions = code["functions"].as_array().unwrap();
        let found = functions.iter().find(|f| f["name"] == function);
        let found = found.unwrap_or_else(|| panic!("{how} {arguments:?}: {code:#}"));
        let callers: Vec<&str> = (found["callers"].as_array().unwrap().iter())
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(callers[..2], ["serve", "main"], "{how} {arguments:?}");
        // Ten times a tenth of a second, and three others wait meanwhile. On a busy machine a sleep may go unseen.
        let ns = |key: &str| found["own"][key].as_u64().unwrap();
        assert!(ns("asleep_ns") >= 700_000_000, "{how}: {code:#}");
        assert_eq!(ns("cpu_ns"), 0);
        assert!(ns("waiting_hi_ns") > 2 * ns("asleep_ns"), "{how}: {code:#}");
        assert!(ns("waiting_lo_ns") <= ns("waiting_hi_ns"));
        let path = file.to_str().unwrap();
        let by = |by| run(&["export", "--to", "folded", "--by", by, path]).exits(0);
        let marked = |line: &str| {
            let (stack, _) = line.rsplit_once(' ').unwrap();
            stack.contains(&format!(";main;serve;{function};")) && stack.ends_with(";[asleep]")
        };
        let folded = by("waiting").stdout;
        assert!(folded.lines().any(marked), "{folded}");
        assert!(!by("cpu").stdout.contains("[asleep]"));
    }
}
