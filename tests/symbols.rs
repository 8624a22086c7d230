//! Call sites as functions, files and lines: from debug information in the program, beside it, packed, or none; only of the
//! very program that ran; and whatever is wrong with the file.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use loopscope::record::event::{Kind, Op, Space};
use loopscope::symbols::{Frame, Image, Module, Place, locate, parse_site};
use preload::{events, record};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The line in tests/programs/lines.c that ends with these words.
fn line(words: &str) -> u32 {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/lines.c");
    let source = std::fs::read_to_string(source).unwrap();
    let at = source
        .lines()
        .position(|line| line.contains(words))
        .unwrap();
    at as u32 + 1
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

/// A program with a folder of its own; further arguments are the compiler's.
fn built(arguments: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let program = preload::compiled(dir.path(), "lines", arguments);
    (dir, program)
}

/// The sites of a recording: what was called there, and what its module and offset are.
fn sites(file: &Path) -> HashMap<&'static str, (Module, u64)> {
    let (mut modules, mut names, mut found) = (HashMap::new(), HashMap::new(), HashMap::new());
    for seen in events(file) {
        let e = seen.event;
        let text = String::from_utf8_lossy(&seen.text).into_owned();
        match e.kind {
            Kind::Name if e.aux == Space::Module.code() => {
                let module = Module::parse(&text).unwrap_or_else(|| panic!("{text:?}"));
                let name = module.path.rsplit('/').next().unwrap().to_owned();
                modules.insert(name, module);
            }
            Kind::Name if e.aux == Space::Site.code() => {
                let (module, offset) = parse_site(&text).unwrap();
                // Its module is always told before.
                names.insert(e.x, (modules[module].clone(), offset));
            }
            _ => {}
        }
        let what = match e.kind {
            Kind::CtlBegin => "add",
            Kind::WaitEnter => "wait",
            Kind::Io if e.aux == Op::Read.code() => "read",
            Kind::Io if e.aux == Op::Write.code() => "write",
            _ => continue,
        };
        found.insert(what, names[&i32::from(e.site)].clone());
    }
    found
}

fn recorded(dir: &Path, program: &Path) -> PathBuf {
    let file = dir.join("x.lscope");
    let output = record(&file, program, &[]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    file
}

fn places(sites: &HashMap<&'static str, (Module, u64)>) -> HashMap<&'static str, Option<Place>> {
    let place = |(what, (module, offset)): (&&'static str, &(Module, u64))| {
        (*what, locate(module, &[*offset]).remove(0))
    };
    sites.iter().map(place).collect()
}

/// Every call is at its line, and the inlined one in the function that inlines it.
fn all_lines(places: &HashMap<&'static str, Option<Place>>, way: &str) {
    for (what, words, function) in [
        ("add", "/* the add", "main"),
        ("wait", "/* the wait", "main"),
        ("read", "/* the read", "serve"),
        ("write", "/* the write", "wake"),
    ] {
        let place = places[what]
            .as_ref()
            .unwrap_or_else(|| panic!("{way}: {what}"));
        let short = format!("lines.c:{} {function}", line(words));
        assert_eq!(place.short(), short, "{way}");
        let (file, _) = place.line().unwrap();
        assert!(file.ends_with("/tests/programs/lines.c"), "{way}: {file}");
    }
    let inlined = &places["write"].as_ref().unwrap().frames;
    let around = Frame {
        function: "serve".to_owned(),
        file: inlined[0].file.clone(),
        line: line("/* where it is inlined"),
    };
    assert_eq!(inlined.get(1), Some(&around), "{way}");
}

#[test]
fn calls_are_found_with_their_lines_however_the_debug_information_is_packed() {
    for arguments in [
        &["-g"][..],
        &["-g", "-gdwarf-4"],
        &["-g", "-gz=zlib"],
        &["-g", "-no-pie", "-Wl,--build-id=none"],
        &["-g", "-static-libgcc", "-fuse-ld=bfd"],
    ] {
        let (dir, program) = built(arguments);
        let sites = sites(&recorded(dir.path(), &program));
        let by_time = arguments.iter().any(|a| a.contains("none"));
        assert_eq!(
            sites["read"].0.identity.starts_with('m'),
            by_time,
            "{arguments:?}"
        );
        all_lines(&places(&sites), &format!("{arguments:?}"));
    }
}

#[test]
fn debug_information_beside_the_program_is_found_by_its_link() {
    for id in ["-Wl,--build-id", "-Wl,--build-id=none"] {
        let (dir, program) = built(&["-g", id]);
        let (path, debug) = (
            program.to_str().unwrap(),
            dir.path().join(".debug/lines.debug"),
        );
        std::fs::create_dir(dir.path().join(".debug")).unwrap();
        let debug = debug.to_str().unwrap();
        run("objcopy", &["--only-keep-debug", path, debug]);
        run("strip", &["--strip-all", path]);
        run("objcopy", &[&format!("--add-gnu-debuglink={debug}"), path]);
        let sites = sites(&recorded(dir.path(), &program));
        all_lines(&places(&sites), id);
        // Another file under that name is nobody's debug information.
        std::fs::copy(&program, debug).unwrap();
        let (module, offset) = &sites["read"];
        if let Some(place) = &locate(module, &[*offset])[0] {
            assert_eq!(place.line(), None, "{id}");
        }
    }
}

#[test]
fn without_debug_information_the_function_is_told_and_without_symbols_nothing_is_made_up() {
    let (dir, program) = built(&["-rdynamic"]);
    let path = program.to_str().unwrap();
    let with_symbols = sites(&recorded(dir.path(), &program));
    let function = |place: &Option<Place>| place.as_ref().map(Place::short);
    let read = function(&places(&with_symbols)["read"]).unwrap();
    assert!(read.starts_with("serve+0x"), "{read}");
    run("strip", &["--strip-all", path]);
    // Exported symbols are left.
    let read = function(&places(&with_symbols)["read"]).unwrap();
    assert!(read.starts_with("serve+0x"), "{read}");
    let (bare, program) = built(&["-s"]);
    let none = places(&sites(&recorded(bare.path(), &program)));
    assert_eq!(function(&none["read"]), None);
}

#[test]
fn a_program_built_anew_is_not_taken_for_the_one_that_ran() {
    for id in ["-Wl,--build-id", "-Wl,--build-id=none"] {
        let (dir, program) = built(&["-g", id]);
        let sites = sites(&recorded(dir.path(), &program));
        std::fs::remove_file(&program).unwrap();
        preload::compiled(dir.path(), "lines", &["-g", "-O1", id]);
        assert_eq!(places(&sites)["read"], None, "{id}");
    }
}

/// A screen of a recording.
fn view(file: &Path, name: &str, debuginfod: &Path) -> String {
    let output = common::loopscope()
        .args([
            "snapshot",
            file.to_str().unwrap(),
            "--at",
            "event:100",
            "--view",
            name,
        ])
        .args(["--size", "160x40", "-o", "-"])
        .env("DEBUGINFOD_CACHE_PATH", debuginfod)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_recording_carries_its_places_to_where_the_program_is_not() {
    let (dir, program) = built(&["-g"]);
    let file = recorded(dir.path(), &program);
    std::fs::remove_file(&program).unwrap();
    let (read, wait) = (line("/* the read"), line("/* the wait"));
    let log = view(&file, "events", dir.path());
    for words in [
        format!("at lines.c:{read} serve"),
        format!("at lines.c:{wait} main"),
    ] {
        assert!(log.contains(&words), "{words}: {log}");
    }
    let history = view(&file, "fd", dir.path());
    assert!(
        history.contains(&format!(" at lines.c:{read} serve")),
        "{history}"
    );
    // The source is where it was; the line that runs is marked.
    let code = view(&file, "code", dir.path());
    assert!(
        code.contains("tests/programs/lines.c") && code.contains('►'),
        "{code}"
    );
    let report = common::run(&["report", "--json", file.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let at = &report["fds"][0]["longest_run_at"];
    assert_eq!(*at, format!("lines.c:{read} serve"), "{report:#}");
}

#[test]
fn a_recording_without_places_finds_them_where_it_is_read() {
    let (dir, program) = built(&["-g"]);
    let path = program.to_str().unwrap();
    let debug = dir.path().join("debug");
    run(
        "objcopy",
        &["--only-keep-debug", path, debug.to_str().unwrap()],
    );
    run("strip", &["--strip-all", path]);
    let file = recorded(dir.path(), &program);
    let log = view(&file, "events", dir.path());
    assert!(log.contains("at lines+0x"), "{log}");
    // debuginfod's cache has it from now on, and the program is gone.
    let id = Image::of(&program).unwrap().identity;
    std::fs::remove_file(&program).unwrap();
    std::fs::create_dir(dir.path().join(&id)).unwrap();
    std::fs::rename(&debug, dir.path().join(&id).join("debuginfo")).unwrap();
    let log = view(&file, "events", dir.path());
    let words = format!("at lines.c:{} serve", line("/* the read"));
    assert!(log.contains(&words), "{words}: {log}");
}

#[test]
fn damaged_and_hostile_files_are_survived() {
    // Damage inside packed sections mostly ends there.
    for arguments in [&["-g"][..], &["-g", "-gz=zlib"]] {
        damaged(arguments, 300);
    }
    // What is no file at all.
    for path in ["/dev/zero", "/proc/self/mem", "/", "/no/such/file"] {
        let module = Module {
            path: path.to_owned(),
            identity: String::new(),
        };
        assert_eq!(locate(&module, &[1]), [None]);
    }
}

/// Looks into so many versions of the program with a few bytes changed, and into its beginnings.
fn damaged(arguments: &[&str], rounds: usize) {
    let (dir, program) = built(arguments);
    let sites = sites(&recorded(dir.path(), &program));
    let offsets: Vec<u64> = sites.values().map(|(_, offset)| *offset).collect();
    let whole = std::fs::read(&program).unwrap();
    let bad = dir.path().join("bad");
    let look = |bytes: &[u8]| {
        std::fs::write(&bad, bytes).unwrap();
        let module = Module {
            path: bad.to_str().unwrap().to_owned(),
            // Whatever it says it is.
            identity: Image::of(&bad).unwrap_or_default().identity,
        };
        assert_eq!(locate(&module, &offsets).len(), offsets.len());
    };
    for cut in (0..whole.len()).step_by(whole.len() / 150) {
        look(&whole[..cut]);
    }
    // Every byte of the headers, and then anywhere.
    let mut seed = 7_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize
    };
    let sections = u64::from_le_bytes(whole[40..48].try_into().unwrap()) as usize;
    for round in 0..rounds {
        let mut bytes = whole.clone();
        let at = match round % 3 {
            0 => next() % 1024,
            1 => sections + next() % (whole.len() - sections),
            _ => next() % whole.len(),
        };
        for byte in bytes.iter_mut().skip(at).take(1 + next() % 8) {
            *byte = [0, 0xff, 0x7f, next() as u8][next() % 4];
        }
        look(&bytes);
    }
}
