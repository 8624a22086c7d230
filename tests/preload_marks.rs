//! Unmodified programs that mark their own handlers through docs/loopscope.h, however they are built: the report has the
//! handlers exactly as marked, beside the inferred ones of their other loops; without a recorder nothing changes.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use loopscope::record::event::{Cause, Kind, Space};
use loopscope::record::fields;
use preload::{Seen, events, record};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SAID: &str = "served 60, errno kept\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// tests/programs/marks.c by this compiler; nothing where it is not installed. Every warning is an error.
fn built(dir: &Path, compiler: &str, arguments: &[&str]) -> Option<PathBuf> {
    let program = dir.join("marks");
    let output = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"])
        .arg("-I")
        .arg(root().join("docs"))
        .args(arguments)
        .arg(root().join("tests/programs/marks.c"))
        .args(["-pthread", "-o"])
        .arg(&program)
        .output();
    let output = match output {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && compiler != "cc" => return None,
        other => other.unwrap(),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} {arguments:?}: {said}");
    Some(program)
}

fn said(output: &Output) -> (String, String, Option<i32>) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
        output.status.code(),
    )
}

fn alone(program: &Path) -> (String, String, Option<i32>) {
    said(&Command::new(program).output().unwrap())
}

fn report(file: &Path) -> Value {
    let run = common::run(&["report", "--json", "--top", "50", file.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

/// Every way to build it: C of the oldest and newest sort, C++ of both, with and without optimisation.
const WAYS: &[(&str, &[&str])] = &[
    ("cc", &["-std=c89", "-D_GNU_SOURCE", "-O0", "-fPIE", "-pie"]),
    (
        "cc",
        &[
            "-std=gnu17",
            "-O2",
            "-flto",
            "-fPIE",
            "-pie",
            "-g",
            "-Wl,-z,now",
        ],
    ),
    (
        "cc",
        &["-std=c89", "-D_GNU_SOURCE", "-O2", "-fno-pie", "-no-pie"],
    ),
    ("c++", &["-x", "c++", "-std=c++98", "-O0", "-fPIE", "-pie"]),
    (
        "c++",
        &["-x", "c++", "-std=c++20", "-O2", "-fno-pie", "-no-pie"],
    ),
    (
        "clang",
        &["-std=c89", "-D_GNU_SOURCE", "-O2", "-fPIE", "-pie"],
    ),
    ("clang", &["-std=gnu17", "-O0", "-fno-pie", "-no-pie"]),
];

#[test]
fn handlers_are_measured_however_the_program_is_built() {
    for (compiler, arguments) in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let Some(program) = built(dir.path(), compiler, arguments) else {
            continue;
        };
        let way = format!("{compiler} {arguments:?}");
        assert_eq!(
            alone(&program),
            (SAID.to_owned(), String::new(), Some(0)),
            "{way}"
        );
        let file = dir.path().join("x.lscope");
        let output = record(&file, &program, &[]);
        let (out, errors, code) = said(&output);
        assert_eq!((out.as_str(), code), (SAID, Some(0)), "{way}: {errors}");
        holds(&report(&file), &way);
        tells(&events(&file), &way);
    }
}

fn holds(report: &Value, way: &str) {
    let loops = report["loops"].as_array().unwrap();
    let [other, main] = &loops[..] else {
        panic!("{way}: {} loops", loops.len());
    };
    assert_eq!(main["name"], "main loop", "{way}");
    assert_eq!(
        main["handlers"], "measured",
        "{way}: {:#}",
        report["recording"]
    );
    assert_eq!(
        main["run_ns"]["count"], 80,
        "{way}: 3 × 20 and 20 of no descriptor"
    );
    assert_eq!(other["handlers"], "inferred", "{way}");
    assert_eq!(other["run_ns"]["count"], 20, "{way}");
    let of = |id: &Value| -> Vec<&Value> {
        let fds = report["fds"].as_array().unwrap();
        fds.iter().filter(|fd| fd["loop"] == *id).collect()
    };
    let names = ["ann", "evil\u{1b}[31m\n", &"y".repeat(256)];
    let handlers = [
        Value::from("parse"),
        Value::from("reply\u{1b}[2J"),
        Value::Null,
    ];
    for (name, handler) in names.iter().zip(handlers) {
        let fds = of(&main["id"]);
        let fd = fds.iter().find(|fd| fd["name"] == *name);
        let fd = fd.unwrap_or_else(|| panic!("{way}: {name:?} is not in {fds:#?}"));
        assert_eq!(fd["dispatched"], 20, "{way}");
        assert_eq!(fd["bytes_in"], 20, "{way}");
        assert_eq!(fd["handler"], handler, "{way}");
    }
    // The third's handler works for the first.
    let says = |name: &str, key: &str| {
        let fds = of(&main["id"]);
        let fd = fds.iter().find(|fd| fd["name"] == name).unwrap();
        fd[key]["count"].as_u64()
    };
    let long = "y".repeat(256);
    assert_eq!(says(&long, "for_others"), Some(20), "{way}");
    assert_eq!(says("ann", "on_its_behalf"), Some(20), "{way}");
    assert_eq!(says("ann", "for_others"), None, "{way}");
    assert_eq!(of(&main["id"]).len(), 3, "{way}: none is made up");
}

fn tells(all: &[Seen], way: &str) {
    let name = |space: Space, id: i32| {
        let mut names = all.iter().filter(|s| {
            s.event.kind == Kind::Name && s.event.aux == space.code() && s.event.x == id
        });
        names.next().map_or(String::new(), |s| {
            String::from_utf8_lossy(&s.text).into_owned()
        })
    };
    let marks: Vec<(String, String)> = (all.iter())
        .filter(|s| s.event.kind == Kind::Mark)
        .map(|s| {
            let fields = fields::decode(&s.text).map(|(key, value)| format!("{key}={value}"));
            (name(Space::Mark, s.event.x), fields.collect())
        })
        .collect();
    let count = |name: &str, field: &str| {
        let same = marks.iter().filter(|(n, f)| n == name && f == field);
        same.count()
    };
    assert_eq!(count("start", ""), 1, "{way}");
    assert_eq!(count("request", "n=19"), 1, "{way}");
    assert_eq!(count("who", "name=ann\u{7}"), 20, "{way}");
    assert_eq!(count("load", "part=0.5"), 20, "{way}");
    assert_eq!(count("in the child", ""), 1, "{way}");
    assert_eq!(marks.len(), 62, "{way}: none without a name");
    // Each was made somewhere.
    let begins = all.iter().filter(|s| s.event.kind == Kind::RunBegin);
    for seen in begins {
        let site = name(Space::Site, i32::from(seen.event.site));
        assert!(site.starts_with("marks"), "{way}: {site:?}");
    }
}

#[test]
fn figures_of_marked_handlers_are_recomputed_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let program = built(dir.path(), "cc", &["-O2", "-std=gnu11"]).unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    assert_eq!(
        said(&record(Path::new(&path("x.lscope")), &program, &[])).2,
        Some(0)
    );
    let events = common::run(&["export", &path("x.lscope"), "--to", "ndjson", "-o", "-"]);
    let report = common::run(&["report", &path("x.lscope"), "--json", "--top", "50"]);
    std::fs::write(path("events"), events.stdout).unwrap();
    std::fs::write(path("report"), report.stdout).unwrap();
    let output = Command::new("python3")
        .arg(root().join("tests/recompute.py"))
        .args([path("events"), path("report")])
        .output()
        .unwrap();
    let (out, errors, _) = said(&output);
    assert!(out.ends_with(" 100 runs, 0 differences\n"), "{out}{errors}");
}

#[test]
fn the_header_alone_is_clean_under_the_strictest_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("alone.c");
    std::fs::write(
        &source,
        "#include \"loopscope.h\"\nint main(void) { loopscope_mark(\"m\"); return 0; }\n",
    )
    .unwrap();
    let c = ["-x", "c", "-Wstrict-prototypes", "-Wmissing-prototypes"];
    let cpp = ["-x", "c++", "-Wold-style-cast", "-Wnon-virtual-dtor"];
    for (compiler, language, standard) in [
        ("cc", c, "-std=c89"),
        ("cc", c, "-std=c17"),
        ("c++", cpp, "-std=c++98"),
        ("c++", cpp, "-std=c++20"),
    ] {
        for more in ["-DON", "-DLOOPSCOPE_OFF"] {
            let output = Command::new(compiler)
                .args([
                    "-Wall",
                    "-Wextra",
                    "-Wpedantic",
                    "-Wshadow",
                    "-Wconversion",
                    "-Wundef",
                    "-Werror",
                ])
                .args(language)
                .args([standard, more, "-c", "-o", "/dev/null", "-I"])
                .arg(root().join("docs"))
                .arg(&source)
                .output();
            let output = match output {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && compiler != "cc" => continue,
                other => other.unwrap(),
            };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{compiler} {standard} {more}: {said}"
            );
        }
    }
}

#[test]
fn a_static_program_runs_records_nothing_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["-std=c89", "-D_GNU_SOURCE", "-O2", "-static"];
    let program = built(dir.path(), "cc", &arguments).unwrap();
    assert_eq!(alone(&program), (SAID.to_owned(), String::new(), Some(0)));
    let file = dir.path().join("x.lscope");
    let (out, errors, code) = said(&record(&file, &program, &[]));
    assert_eq!((out.as_str(), code), (SAID, Some(125)), "{errors}");
    assert!(errors.contains("is statically linked"), "{errors}");
}

#[test]
fn what_a_program_names_is_shown_without_its_control_characters() {
    let dir = tempfile::tempdir().unwrap();
    let program = built(dir.path(), "cc", &["-O2", "-std=gnu11"]).unwrap();
    let file = dir.path().join("x.lscope");
    assert_eq!(said(&record(&file, &program, &[])).2, Some(0));
    // When all has been named, however long the program took to start or to end.
    let last = events(&file)
        .iter()
        .rposition(|seen| seen.event.kind == Kind::RunEnd);
    let at = format!("event:{}", last.unwrap());
    let file = file.to_str().unwrap();
    let views = ["loop", "timeline", "fairness", "fd", "events"];
    let mut shown: Vec<String> = views
        .map(|view| {
            let args = [
                "snapshot", file, "--at", &at, "--view", view, "--size", "120x40", "-o", "-",
            ];
            common::run(&args).stdout
        })
        .into();
    shown.push(common::run(&["report", file]).stdout);
    shown.push(common::run(&["export", file, "--to", "ndjson", "-o", "-"]).stdout);
    for text in &shown {
        assert!(text.len() > 500, "{text}");
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{text}");
    }
}

/// A program of a few lines that uses the header.
fn small(dir: &Path, source: &str) -> PathBuf {
    let (text, program) = (dir.join("small.c"), dir.join("small"));
    let head = "#include \"loopscope.h\"\n#include <poll.h>\n#include <pthread.h>\n#include <stdio.h>\n\
                #include <sys/epoll.h>\n#include <unistd.h>\n";
    std::fs::write(&text, format!("{head}{source}")).unwrap();
    let made = Command::new("cc")
        .args(["-w", "-pthread", "-I"])
        .arg(root().join("docs"))
        .args([&text, Path::new("-o"), &program])
        .status();
    assert!(made.unwrap().success());
    program
}

#[test]
fn a_poll_loop_and_a_worker_mark_their_handlers_too() {
    let dir = tempfile::tempdir().unwrap();
    let program = small(
        dir.path(),
        r#"
        static int ep, a[2], b[2], done[2];
        static char c;
        static void *work(void *given) {
            for (int i = 0; i < 10; i++) {
                read(b[0], &c, 1);
                loopscope_handler_begin_on(ep, a[0], "worker");
                read(a[0], &c, 1);
                loopscope_handler_end();
                write(done[1], "d", 1);
            }
            return given;
        }
        int main(void) {
            pipe(a), pipe(b), pipe(done);
            for (int i = 0; i < 30; i++) {
                struct pollfd list[2] = {{a[0], POLLIN, 0}, {b[0], POLLIN, 0}};
                write(a[1], "x", 1), write(b[1], "x", 1);
                poll(list, 2, -1);
                for (int k = 0; k < 2; k++) {
                    loopscope_handler_begin(list[k].fd, k ? "second" : "first");
                    read(list[k].fd, &c, 1);
                    loopscope_handler_end();
                }
            }
            pthread_t thread;
            struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
            ep = epoll_create1(0);
            epoll_ctl(ep, EPOLL_CTL_ADD, a[0], &event);
            pthread_create(&thread, 0, work, 0);
            for (int i = 0; i < 10; i++) {
                write(a[1], "x", 1);
                epoll_wait(ep, &event, 1, -1);
                write(b[1], "go", 1);
                read(done[0], &c, 1);
                event.events = EPOLLIN | EPOLLONESHOT;
                epoll_ctl(ep, EPOLL_CTL_MOD, a[0], &event);
            }
            pthread_join(thread, 0);
            return 0;
        }"#,
    );
    let file = dir.path().join("x.lscope");
    assert_eq!(said(&record(&file, &program, &[])).2, Some(0));
    let report = report(&file);
    let loops = report["loops"].as_array().unwrap();
    assert_eq!(
        (&loops[0]["kind"], &loops[0]["handlers"]),
        (&"poll".into(), &"measured".into())
    );
    assert_eq!(loops[0]["run_ns"]["count"], 60);
    assert_eq!(
        (&loops[1]["kind"], &loops[1]["handlers"]),
        (&"epoll".into(), &"measured".into())
    );
    assert_eq!(
        (&loops[1]["run_ns"]["count"], &loops[1]["handed_over"]),
        (&10.into(), &10.into())
    );
    let mut handlers: Vec<(&str, u64)> = (report["fds"].as_array().unwrap().iter())
        .map(|fd| {
            (
                fd["handler"].as_str().unwrap(),
                fd["dispatched"].as_u64().unwrap(),
            )
        })
        .collect();
    handlers.sort_unstable();
    assert_eq!(handlers, [("first", 30), ("second", 30), ("worker", 10)]);
}

#[test]
fn a_hundred_thousand_names_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let program = small(
        dir.path(),
        r#"
        int main(void) {
            char name[32];
            struct epoll_event event;
            epoll_wait(epoll_create1(0), &event, 1, 0);
            for (int i = 0; i < 100000; i++) {
                sprintf(name, "name %d", i / 10);
                loopscope_mark(name);
            }
            return 0;
        }"#,
    );
    let file = dir.path().join("x.lscope");
    assert_eq!(said(&record(&file, &program, &[])).2, Some(0));
    let all = events(&file);
    let mut names = std::collections::HashMap::new();
    let (mut own, mut rest, mut lost) = (0, 0, 0);
    for Seen { event: e, text } in &all {
        match e.kind {
            Kind::Name if e.aux == Space::Mark.code() => {
                let text = String::from_utf8(text.clone()).unwrap();
                let before = names.insert(e.x, text.clone());
                assert!(
                    before.is_none_or(|before| before == text),
                    "an id has one text"
                );
            }
            Kind::Mark if names[&e.x].starts_with("(more") => rest += 1,
            Kind::Mark => own += 1,
            Kind::Lost if Cause::from_code(e.aux).is_some_and(Cause::is_the_kernels) => {}
            Kind::Lost => lost += e.arg,
            _ => {}
        }
    }
    assert!(
        own >= 20_000 && own + rest + lost >= 100_000,
        "{own} {rest} {lost}"
    );
    assert!(names.len() <= 2049);
}

#[test]
fn python_marks_through_ctypes() {
    // The interpreter itself: what is called python3 may be a script that looks for it.
    let asked = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3").args(asked).output();
    let output =
        output.unwrap_or_else(|e| panic!("python3: {e}; tests/run installs what the tests need"));
    let python = String::from_utf8(output.stdout).unwrap();
    marks_through(Path::new(python.trim()), "marks.py");
}

#[test]
fn ruby_marks_through_fiddle() {
    // Where there is one; CI installs it for the servers that are compared.
    let asked = [
        "-e",
        "require 'fiddle'; puts File.realpath('/proc/self/exe')",
    ];
    match Command::new("ruby").args(asked).output() {
        Ok(output) if output.status.success() => {
            let ruby = String::from_utf8(output.stdout).unwrap();
            marks_through(Path::new(ruby.trim()), "marks.rb");
        }
        _ => eprintln!("no ruby with fiddle here"),
    }
}

/// A script of examples/ is recorded with the handlers it marks, and does the same as alone.
#[track_caller]
fn marks_through(interpreter: &Path, script: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = root().join("examples").join(script);
    let alone = Command::new(interpreter).arg(&script).output().unwrap();
    let file = dir.path().join("x.lscope");
    let recorded = record(&file, interpreter, &[script.to_str().unwrap()]);
    assert_eq!(said(&alone).0, said(&recorded).0, "{recorded:?}");
    assert_eq!(said(&alone).2, Some(0));
    let report = report(&file);
    let loops = report["loops"].as_array().unwrap().iter();
    let main = loops.max_by_key(|l| l["ready"].as_u64()).unwrap();
    assert_eq!(main["handlers"], "measured", "{report:#}");
    let handlers = report["fds"].as_array().unwrap().iter();
    let echo = handlers.filter(|fd| fd["handler"] == "echo");
    assert_eq!(
        echo.map(|fd| fd["dispatched"].as_u64().unwrap())
            .sum::<u64>(),
        4 * 11
    );
}
