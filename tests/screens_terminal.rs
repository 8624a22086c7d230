//! ^Z gives the terminal back and stops us; SIGCONT takes it again and draws everything anew. A panic of any thread gives it
//! back before its message is printed.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use common::{Place, recorded};
use loopscope::tui;
use std::time::{Duration, Instant};

/// The state letter of a process, as proc(5) gives it.
fn state(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.trim_start().chars().next().unwrap()
}

#[test]
fn suspending_gives_the_terminal_back_and_continuing_takes_it_again() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    let mut screen = Screen::launch(&["replay", &file], 80, 24);
    screen.wait_for("1 LOOP");
    screen.send("\x1a");
    let deadline = Instant::now() + Duration::from_secs(30);
    while state(screen.pid()) != 'T' {
        assert!(
            Instant::now() < deadline,
            "not stopped: {}",
            screen.contents()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    screen.wait_until("the main screen", |s| !s.alternate_screen());
    screen.assert_intact();
    screen.signal(libc::SIGCONT);
    screen.wait_until("the whole frame again", |s| {
        s.alternate_screen()
            && s.contents().contains("KERNEL")
            && s.contents().contains("what you see")
    });
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
}

/// Where the program below finds its recording, and the file whose coming makes it panic.
const RECORDING: &str = "SCREENS_TERMINAL_RECORDING";
const GO: &str = "SCREENS_TERMINAL_GO";

/// The UI with a thread beside it that panics once it is told to.
#[test]
#[ignore = "a program for another test"]
fn program() {
    let (Some(path), Some(go)) = (std::env::var_os(RECORDING), std::env::var_os(GO)) else {
        return;
    };
    std::thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || {
            while !std::path::Path::new(&go).exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            panic!("a bug of ours");
        })
        .unwrap();
    let source = tui::Source::Replay {
        path: path.into(),
        follow: false,
    };
    let told = tui::run(&source, tui::Options::default()).map(|ended| ended.outcome);
    println!("the UI said: {}", told.unwrap_err());
}

#[test]
fn a_panic_on_another_thread_gives_the_terminal_back_first() {
    let place = Place::new();
    let (file, go) = (recorded(&place, "a.lscope"), place.path("go"));
    let program = std::env::current_exe().unwrap();
    let command = pty_process::blocking::Command::new(program)
        .args(["--exact", "program", "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "0")
        .env(RECORDING, &file)
        .env(GO, &go);
    let mut screen = Screen::spawn(command, 100, 30);
    screen.wait_for("1 LOOP");
    // Playing, so that a frame is drawn at any moment.
    screen.send(" ").wait_for("REPLAY \u{25ba}");
    std::fs::write(&go, "").unwrap();
    assert_eq!(screen.exit_code(), 0, "{}", screen.contents());
    screen.assert_intact();
    let said = screen.contents();
    let (bug, end) = (said.find("a bug of ours"), said.find("the UI said: "));
    assert!(bug.is_some() && bug < end, "{said}");
    assert!(
        said.replace('\n', "")
            .contains("a thread of loopscope panicked"),
        "{said}"
    );
    assert!(
        !said.contains("KERNEL"),
        "a frame on the main screen:\n{said}"
    );
}
