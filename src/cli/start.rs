//! `loopscope` alone: demos and recent recordings to choose from. Step: none of the pipeline.

use super::output::has_a_screen;
use super::{Cli, Exit, Failure, Outcome};
use crate::demos;
use crate::tui::start::{Entry, choose};
use clap::{CommandFactory, Parser};
use std::path::Path;
use std::time::SystemTime;

/// Recordings listed at most.
const RECENT: usize = 10;

pub(super) fn run() -> Outcome {
    if !has_a_screen() {
        let help = Cli::command().render_help();
        // The help is the error message: there is nobody to choose.
        eprint!("{help}");
        return Ok(Exit::USAGE);
    }
    let choices = choices();
    let entries: Vec<Entry> = choices.iter().map(|(entry, _)| entry.clone()).collect();
    let chosen =
        choose(&entries, false).map_err(|e| Failure::new("cannot use the terminal").because(e))?;
    let Some(chosen) = chosen else {
        return Ok(Exit::OK);
    };
    match choices.into_iter().nth(chosen.entry) {
        None => Ok(Exit::OK),
        Some((_, mut arguments)) => {
            arguments.extend(chosen.repaired.then(|| FIXED.to_owned()));
            Cli::try_parse_from(arguments)?.run()
        }
    }
}

/// Says that a demo is to be shown repaired.
const FIXED: &str = "--fixed";

/// What can be started, each with the arguments that do it.
fn choices() -> Vec<(Entry, Vec<String>)> {
    let mut all = Vec::new();
    for demo in demos::ALL {
        let arguments = ["loopscope", "demo", demo.name].map(str::to_owned);
        let (mut entry, arguments) = entry(
            "demos: live, each about 15 seconds",
            demo.name.to_owned(),
            demo.title.to_owned(),
            arguments.to_vec(),
        );
        entry.repaired = Some(format!("{} {FIXED}", entry.command));
        all.push((entry, arguments));
    }
    for (name, bytes) in recent(Path::new(".")) {
        let arguments = ["loopscope".to_owned(), "replay".to_owned(), name.clone()];
        let about = format!("{} KB", bytes.div_ceil(1024));
        all.push(entry(
            "recordings in this folder, the latest first",
            name,
            about,
            arguments.to_vec(),
        ));
    }
    all
}

fn entry(
    group: &'static str,
    name: String,
    about: String,
    arguments: Vec<String>,
) -> (Entry, Vec<String>) {
    let quoted: Vec<String> = arguments
        .iter()
        .map(|a| crate::text::visit::quoted(a))
        .collect();
    let command = quoted.join(" ");
    (
        Entry {
            group,
            name,
            about,
            command,
            repaired: None,
        },
        arguments,
    )
}

/// The recordings of a folder, the latest first: name and size.
fn recent(folder: &Path) -> Vec<(String, u64)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<(SystemTime, String, u64)> = (entries.flatten())
        .filter_map(|entry| {
            let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            let name = entry.file_name().into_string().ok()?;
            // A name is an argument later; one that starts like an option must not become one.
            let name = if name.starts_with('-') {
                format!("./{name}")
            } else {
                name
            };
            name.ends_with(".lscope")
                .then_some((meta.modified().ok()?, name, meta.len()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
        .into_iter()
        .take(RECENT)
        .map(|(_, name, bytes)| (name, bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_a_command_that_parses() {
        for (entry, arguments) in choices() {
            assert!(Cli::try_parse_from(&arguments).is_ok(), "{}", entry.command);
            let repaired = arguments.iter().map(String::as_str).chain([FIXED]);
            assert_eq!(
                entry.repaired.is_some(),
                Cli::try_parse_from(repaired).is_ok(),
                "{}",
                entry.command
            );
        }
    }

    #[test]
    fn recordings_are_found_latest_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.lscope", "notes.txt", "-b.lscope"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let old = std::fs::File::open(dir.path().join("a.lscope")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let names: Vec<String> = recent(dir.path())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["./-b.lscope", "a.lscope"]);
    }
}
