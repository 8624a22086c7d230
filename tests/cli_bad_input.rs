//! Everything that can be wrong from the start or go wrong on the way, typed into a real terminal: each ends with the
//! documented exit code, an error that says what to do, and the terminal as it was.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use common::{Place, newer, recorded, run};
use pty_process::blocking::Command;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopscope");

/// Entering the alternate screen.
const ENTERS: &[u8] = b"\x1b[?1049h";

fn entered(screen: &Screen) -> bool {
    screen.bytes().windows(ENTERS.len()).any(|w| w == ENTERS)
}

/// Waits for the end, and checks that it was told before the terminal was taken.
#[track_caller]
fn refused(mut screen: Screen, code: i32, pieces: &[&str]) {
    let ended = screen.exit_code();
    let contents = screen.contents();
    assert_eq!(ended, code, "{contents}");
    // Lines are folded where the terminal ends.
    let said = contents.replace('\n', "");
    for piece in pieces.iter().chain(&["error: "]) {
        assert!(said.contains(piece), "`{piece}` is not in:\n{contents}");
    }
    assert!(code == 2 || said.contains("hint: "), "{contents}");
    assert!(!entered(&screen), "the terminal was taken first");
    screen.assert_intact();
}

/// A program under bash in a mount namespace of its own, with a small file system at `$SMALL`. For root only.
fn with_a_small_disk(place: &Place, size: &str, script: &str) -> Screen {
    let script = format!(
        "set -u; mount -t tmpfs -o size={size} tmpfs $SMALL && cd $SMALL || exit 9; {script}"
    );
    let command = Command::new("unshare")
        .args(["--mount", "bash", "-c", &script])
        .env("SMALL", place.path(""))
        .env("LOOPSCOPE", PROGRAM);
    Screen::spawn(command, 100, 30)
}

/// Run as nobody, who may read and write nothing of ours.
fn as_nobody(place: &Place, args: &[&str]) -> Screen {
    let binary = place.public_binary();
    // SAFETY: geteuid has no preconditions.
    let command = match unsafe { libc::geteuid() } {
        0 => Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(binary),
        _ => Command::new(binary),
    };
    Screen::spawn(command.args(args).current_dir("/"), 100, 30)
}

#[test]
fn what_cannot_be_read_is_refused() {
    let place = Place::new();
    let cases = [
        (
            place.file("text.lscope", "no recording\n".repeat(50)),
            "not a loopscope recording",
        ),
        (place.file("empty.lscope", ""), "is empty"),
        (
            "/proc/self/status".to_owned(),
            "is not a loopscope recording",
        ),
        (newer(&place, "newer.lscope"), "update loopscope"),
        (common::text(&place.path("")), "not a regular file"),
        (place.arg("missing.lscope"), "No such file"),
        ("/dev/null".to_owned(), "not a regular file"),
    ];
    for (file, piece) in &cases {
        for args in [&["replay", file][..], &["replay", "--follow", file]] {
            refused(Screen::launch(args, 100, 30), 125, &[piece]);
        }
    }
}

#[test]
fn what_we_may_not_read_or_write_is_refused() {
    let place = Place::new();
    let file = recorded(&place, "private.lscope");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    let replay = as_nobody(&place, &["replay", &file]);
    refused(replay, 125, &["private.lscope", "Permission denied"]);
    // The folder is readable by all and writable by its owner: nobody can put a recording there.
    if place.path("").metadata().unwrap().permissions().mode() & 0o002 == 0 {
        let out = place.arg("mine.lscope");
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } == 0 {
            for args in [
                &["run", "-o", &out, "--", "true"][..],
                &["record", "-o", &out, "--", "true"],
                &["demo", "greedy-fd", "-o", &out],
            ] {
                let screen = as_nobody(&place, args);
                refused(
                    screen,
                    125,
                    &["mine.lscope", "Permission denied", "may write to"],
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_the_program_starts() {
    let place = Place::new();
    let (out, witness) = (place.arg("no/dir/a.lscope"), place.arg("started"));
    let kept = place.file("kept.lscope", "mine");
    for (out, piece) in [(&out, "No such file"), (&kept, "--force")] {
        for args in [
            &["run", "-o", out, "--", "touch", &witness][..],
            &["record", "-o", out, "--", "touch", &witness],
            &["demo", "greedy-fd", "-o", out],
        ] {
            refused(Screen::launch(args, 100, 30), 125, &[piece]);
        }
    }
    assert!(!place.path("started").exists());
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "mine");
}

#[test]
fn what_nobody_knows_is_refused() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    let cases: [(&[&str], &[&str]); 9] = [
        (&["demo", "no-such-demo"], &["no-such-demo", "greedy-fd"]),
        (&["replay", &file, "--view", "cinema"], &["timeline"]),
        (
            &["snapshot", &file, "--view", "cinema", "-o", "-"],
            &["timeline"],
        ),
        (&["replay", &file, "--at", "soon"], &["soon", "mark:NAME"]),
        (&["replay", &file, "--at", "9h"], &["no instant"]),
        (&["replay", &file, "--at", "mark:none"], &["none"]),
        (&["replay", &file, "--fd", "4711"], &["4711"]),
        (
            &["replay", &file, "--filter", "bogus > 1"],
            &["bogus", "column 1"],
        ),
        (&["replay", &file, "--speed", "fast"], &["1:100"]),
    ];
    for (args, pieces) in cases {
        refused(Screen::launch(args, 100, 30), 2, pieces);
    }
}

#[test]
fn what_cannot_be_started_is_refused() {
    let place = Place::new();
    let plain = place.file("plain", "no program");
    for (program, code) in [("no-such-program-here", 127), (plain.as_str(), 126)] {
        for command in ["run", "record"] {
            let args = [command, "-o", &place.arg("a.lscope"), "--", program];
            refused(Screen::launch(&args, 100, 30), code, &[program]);
            assert!(!place.path("a.lscope").exists(), "{args:?}");
        }
    }
}

/// Cut short and damaged: shown all the same, with what is wrong said on the first screen and again at the end.
#[test]
fn what_is_damaged_is_shown_and_told() {
    let place = Place::new();
    let whole = std::fs::read(recorded(&place, "whole.lscope")).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x10;
    for (file, piece) in [
        (
            place.file("cut.lscope", &whole[..whole.len() * 2 / 3]),
            "no footer",
        ),
        (place.file("damaged.lscope", damaged), "damaged"),
    ] {
        let mut screen = Screen::launch(&["replay", &file], 100, 30);
        screen.wait_for("NOT COMPLETE");
        screen.send("q");
        assert_eq!(screen.exit_code(), 0);
        let said = screen.contents().replace('\n', "");
        assert!(said.contains("warning: ") && said.contains(piece), "{said}");
        screen.assert_intact();
    }
}

#[test]
#[ignore = "root"]
fn a_disk_that_fills_up_under_the_ui_is_told() {
    let place = Place::new();
    let script = "$LOOPSCOPE run -o a.lscope -- $LOOPSCOPE demo-program greedy-fd --ms=60000; \
                  code=$?; $LOOPSCOPE report a.lscope | grep events; echo code $code";
    let mut screen = with_a_small_disk(&place, "300k", script);
    screen.wait_for("LIVE");
    screen.wait_for("NOT RECORDED: ");
    screen.wait_for("No space left");
    screen.send("q").wait_for("still runs");
    screen.send("e");
    screen.exit_code();
    let said = screen.contents().replace('\n', "");
    for piece in [
        "code 125",
        "No space left",
        "kept: loopscope replay a.lscope",
        " lost, ",
        ", complete",
    ] {
        assert!(
            said.contains(piece),
            "`{piece}` is not in:\n{}",
            screen.contents()
        );
    }
    screen.assert_intact();
}

#[test]
fn without_a_terminal_the_commands_with_a_ui_print_the_report() {
    let place = Place::new();
    let server = [PROGRAM, "demo-program", "greedy-fd", "--ms=100"];
    let out = place.arg("a.lscope");
    let ended = run(&[&["run", "-o", &out, "--"][..], &server].concat()).exits(0);
    assert!(
        ended.stdout.contains("the longest wait"),
        "{}",
        ended.stdout
    );
    let demo = run(&["demo", "greedy-fd", "--recorded"]).exits(0);
    assert!(
        demo.stdout.contains("claims of greedy-fd"),
        "{}",
        demo.stdout
    );
    for text in [ended.stdout, ended.stderr, demo.stdout, demo.stderr] {
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    assert!(Path::new(&out).exists());
}

#[test]
fn a_terminal_that_goes_away_ends_the_program_under_the_ui_too() {
    let place = Place::new();
    let witness = place.arg("pid");
    let script = format!("echo $$ > {witness}; exec {PROGRAM} demo-program greedy-fd --ms=600000");
    let command = Command::new(PROGRAM)
        .args(["run", "--", "sh", "-c", &script])
        .current_dir(place.path(""));
    let mut screen = Screen::spawn(command, 80, 24);
    screen.wait_for("LIVE");
    screen.wait_for("flood");
    let pid = std::fs::read_to_string(&witness).unwrap();
    screen.hang_up();
    assert_eq!(screen.exit_code(), 128 + libc::SIGHUP);
    // Its parent has waited for it.
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}
