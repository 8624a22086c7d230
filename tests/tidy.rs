//! The house's own rules as tests: which folder may use which, how long a file may be, what no file may hold.
//!
//! docs/ARCHITECTURE.md explains the arrows; a new one is a design change and edits both.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may use whom, by the first folder or file name under src/. What is not listed here does not exist.
const ARROWS: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("preload", &["record"]),
    ("trace", &["record"]),
    ("model", &["record"]),
    ("derive", &["record", "trace", "model", "findings"]),
    ("query", &["record", "model"]),
    ("findings", &["record", "model", "text", "when"]),
    ("text", &["record"]),
    ("json", &["text"]),
    ("when", &[]),
    ("lesson", &["when"]),
    ("symbols", &[]),
    ("instrument", &["record", "trace", "capture"]),
    ("mio", &["record", "instrument"]),
    (
        "capture",
        &[
            "record", "trace", "model", "query", "findings", "symbols", "text",
        ],
    ),
    (
        "export",
        &[
            "record", "trace", "model", "query", "findings", "symbols", "text", "json", "when",
            "lesson",
        ],
    ),
    (
        "report",
        &[
            "record", "trace", "derive", "model", "query", "findings", "symbols", "text", "json",
            "when",
        ],
    ),
    (
        "tui",
        &[
            "record", "trace", "derive", "model", "query", "findings", "capture", "symbols",
            "teach", "text", "json", "when", "lesson",
        ],
    ),
    ("demos", &["instrument", "mio"]),
    ("teach", &["demos", "record", "text"]),
    (
        "cli",
        &[
            "record",
            "trace",
            "derive",
            "model",
            "query",
            "findings",
            "symbols",
            "instrument",
            "mio",
            "capture",
            "export",
            "report",
            "tui",
            "demos",
            "teach",
            "text",
            "json",
            "when",
            "lesson",
        ],
    ),
];

const MAX_LINES: usize = 500;

/// Nothing of the machine a file was written on may be in it.
const MACHINE_PATHS: &[&str] = &["/root/", "/home/"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true if name == "target"
                || name == ".git"
                || name == "corpus"
                || name == "artifacts" => {}
            true => walk(&path, into),
            false => into.push(path),
        }
    }
}

/// Every file with one of these endings, by its path from the root.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    walk(&root(), &mut paths);
    let wanted = paths.into_iter().filter(|p| {
        let name = p.to_string_lossy();
        endings.iter().any(|e| name.ends_with(e))
    });
    wanted
        .map(|p| {
            let text = fs::read_to_string(&p).unwrap_or_else(|e| panic!("{}: {e}", p.display()));
            (
                p.strip_prefix(root())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned(),
                text,
            )
        })
        .collect()
}

fn sources() -> Vec<(String, String)> {
    let all = files(&[".rs"]);
    assert!(all.len() > 20, "the walk found {} files", all.len());
    all
}

/// The folder (or file name) under src/ a file belongs to; demos/ counts as one.
fn house(path: &str) -> Option<&str> {
    if path.starts_with("demos/") {
        return Some("demos");
    }
    let rest = path.strip_prefix("src/")?;
    Some(rest.split('/').next()?.trim_end_matches(".rs"))
}

/// The first names behind `crate::`, also those inside `crate::{…}`; comments do not count.
fn uses(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "loopscope::"] {
        for (at, _) in code.match_indices(prefix) {
            let whole_word =
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
            let rest = &code[at + prefix.len()..];
            if !whole_word {
                continue;
            }
            match rest.strip_prefix('{') {
                Some(list) => found.extend(first_names(list)),
                None => found.extend(name(rest)),
            }
        }
    }
    found
}

fn name(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first name of every element of a use list, up to its closing brace.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.extend(name(list[start..at].trim()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.extend(name(list[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn arrows_point_one_way() {
    let mut wrong = Vec::new();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(from, _)| *from).collect();
    for (path, text) in sources() {
        let Some(from) = house(&path) else { continue };
        if matches!(from, "lib" | "main") {
            continue;
        }
        let Some((_, may)) = ARROWS.iter().find(|(name, _)| *name == from) else {
            wrong.push(format!("{path}: `{from}` has no place in the pipeline; add it to docs/ARCHITECTURE.md and ARROWS"));
            continue;
        };
        for to in uses(&text) {
            if to != from && known.contains(to.as_str()) && !may.contains(&to.as_str()) {
                wrong.push(format!("{path}: {from} must not use {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_scan_sees_every_form_of_use() {
    let text = "use crate::tui::app;\nuse crate::{model::{Loop, Reg}, trace, query::x};\nlet x = crate::report::y();\n\
                // crate::cli\nuse my_crate::demos;\nuse loopscope::export::svg;";
    let want = ["export", "model", "query", "report", "trace", "tui"].map(str::to_owned);
    assert_eq!(uses(text), want.into());
}

#[test]
fn a_pure_folder_reads_no_clock_file_or_terminal() {
    let outside = [
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::env",
        "Instant::now",
        "SystemTime",
        "crossterm",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !matches!(house(&path), Some("model" | "query" | "findings" | "teach")) {
            continue;
        }
        // A file's own tests may do what they like.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|l| !l.trim_start().starts_with("//")) {
            wrong.extend(
                outside
                    .iter()
                    .filter(|o| line.contains(**o))
                    .map(|o| format!("{path}: {o}")),
            );
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_source_file_opens_with_what_it_is() {
    let bare: Vec<String> = (sources().into_iter())
        .filter(|(_, text)| {
            let first = text
                .lines()
                .find(|l| !l.starts_with("#![") && !l.starts_with("#!/") && !l.is_empty());
            // A file that is included into another one cannot have inner documentation.
            let included = first.is_some_and(|l| l.starts_with("// "));
            !first.is_some_and(|l| l.starts_with("//! ")) && !included
        })
        .map(|(path, _)| path)
        .collect();
    assert!(bare.is_empty(), "no `//!` at the top: {bare:#?}");
}

#[test]
fn one_concept_a_file() {
    let long: Vec<String> = (sources().into_iter())
        .filter(|(path, _)| path.starts_with("src/") || path.starts_with("demos/"))
        .map(|(path, text)| {
            // What a file is about ends where its own tests begin.
            let lines = text
                .split("\n#[cfg(test)]\nmod ")
                .next()
                .unwrap_or_default()
                .lines()
                .count();
            (path, lines)
        })
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(
        long.is_empty(),
        "longer than {MAX_LINES} lines; split by concept: {long:#?}"
    );
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    let mut bare = Vec::new();
    for (path, text) in sources() {
        if path == "tests/tidy.rs" {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let opens = code.contains("unsafe {") || code.contains("unsafe impl");
            // The reason stands above, or above the statement the block is part of.
            let reason = lines[at.saturating_sub(8)..=at]
                .iter()
                .any(|l| l.contains("SAFETY:"));
            if opens && !reason {
                bare.push(format!("{path}:{}", at + 1));
            }
        }
    }
    assert!(bare.is_empty(), "no SAFETY comment: {bare:#?}");
}

#[test]
fn no_unfinished_work_is_called_done() {
    let marks = ["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX"];
    let mut found = Vec::new();
    for (path, text) in sources() {
        if path == "tests/tidy.rs" {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            found.extend(
                marks
                    .iter()
                    .filter(|m| line.contains(**m))
                    .map(|m| format!("{path}:{}: {m}", at + 1)),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn texts_hold_no_machine_path_and_no_control_character() {
    let mut wrong = Vec::new();
    for (path, text) in files(&[
        ".rs",
        ".md",
        ".toml",
        ".txt",
        ".c",
        ".h",
        ".py",
        ".svg",
        ".ci/run",
        ".ci/full",
        "LICENSE-MIT",
    ]) {
        let hidden = |c: char| {
            c.is_control() && !matches!(c, '\n' | '\t')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        for (at, line) in text.lines().enumerate() {
            if line.chars().any(hidden) {
                wrong.push(format!("{path}:{}: control or bidi character", at + 1));
            }
            let machine = |p: &&&str| path != "tests/tidy.rs" && line.contains(**p);
            wrong.extend(
                MACHINE_PATHS
                    .iter()
                    .filter(machine)
                    .map(|p| format!("{path}:{}: {p}", at + 1)),
            );
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn links_between_documents_hold() {
    let mut dead = Vec::new();
    for (path, text) in files(&[".md"]) {
        let here = root().join(&path);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..]
                .split([')', '#', ' '])
                .next()
                .unwrap_or_default();
            let local = !target.is_empty() && !target.contains("://");
            if local && !here.parent().unwrap().join(target).exists() {
                dead.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn the_shipped_recordings_fit() {
    let mut paths = Vec::new();
    walk(&root().join("recordings"), &mut paths);
    let mut total = 0;
    for path in paths
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "lscope"))
    {
        let size = fs::metadata(path).unwrap().len();
        assert!(size <= 100 * 1024, "{}: {size} bytes", path.display());
        total += size;
    }
    assert!(total <= 4 << 20, "{total} bytes of recordings");
}
