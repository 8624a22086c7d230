//! The command line itself: help, usage errors, exit codes, a reader that goes away, a disk that is full.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use common::{loopscope, run};
use std::process::Stdio;

#[test]
fn help_and_version_are_no_errors() {
    let help = run(&["--help"]).exits(0);
    assert!(help.stdout.contains("Exit codes:") && help.stderr.is_empty());
    assert!(
        run(&["--version"])
            .exits(0)
            .stdout
            .starts_with("loopscope ")
    );
    assert!(
        run(&["completions", "bash"])
            .exits(0)
            .stdout
            .contains("_loopscope()")
    );
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("snapshot") && !script.contains("demo-program"));
    }
    let man = run(&["man"]).exits(0).stdout;
    assert!(man.contains(".TH loopscope") && man.contains(".SS \"loopscope completions"));
}

#[test]
fn wrong_usage_exits_2() {
    for args in [
        &["bogus"][..],
        &["completions"],
        &["completions", "tcsh9"],
        &["--bogus"],
        &["man", "extra"],
    ] {
        let ended = run(args).exits(2);
        assert!(
            ended.stderr.starts_with("error: ") && ended.stdout.is_empty(),
            "{args:?}: {}",
            ended.stderr
        );
    }
}

#[test]
fn every_command_in_the_help_has_help_of_its_own() {
    let help = run(&["--help"]).exits(0).stdout;
    let list = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let names: Vec<&str> = list
        .lines()
        .filter_map(|l| l.strip_prefix("  ")?.split(' ').next())
        .collect();
    let names: Vec<&str> = names.into_iter().filter(|n| !n.is_empty()).collect();
    assert!(names.contains(&"man"), "{help}");
    for name in names.into_iter().filter(|n| *n != "help") {
        assert!(
            run(&[name, "--help"]).exits(0).stdout.contains("Usage: "),
            "{name}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = loopscope()
        .arg("man")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Nobody will ever read: the pipe's only reader is closed before the program can have written all of it.
    drop(child.stdout.take());
    let ended = common::Ended::of(child.wait_with_output().unwrap()).exits(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_full_disk_is_a_failure_that_is_told() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = loopscope().arg("man").stdout(full).output().unwrap();
    common::Ended::of(output).fails(125, "cannot write to standard output");
}

#[test]
fn a_terminal_is_left_as_it_was() {
    let mut screen = Screen::launch(&["bogus"], 80, 24);
    assert_eq!(screen.exit_code(), 2);
    assert!(
        screen.contents().contains("unrecognized subcommand"),
        "{}",
        screen.contents()
    );
    screen.assert_intact();
}
