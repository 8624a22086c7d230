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
