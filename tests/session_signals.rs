//! Signals to a recorder: TERM, HUP and QUIT are the program's, which may end what it has in hand; a second one ends the
//! recording at once and leaves the program alone. The exit code is the program's.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use common::{Place, loopscope, screen::Screen};
use loopscope::record::event::Kind;
use preload::{Seen, compiled, events};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SIGNALS: [i32; 3] = [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// One program that stays, under one recorder.
struct Run {
    place: Place,
    program: PathBuf,
}

impl Run {
    fn new() -> Run {
        let place = Place::new();
        let program = compiled(&place.path(""), "stays", &[]);
        Run { place, program }
    }

    /// `loopscope COMMAND -o x.lscope -- stays go done ready [HOW]`
    fn arguments(&self, command: &str, how: Option<&str>) -> Vec<String> {
        let mut all = vec![command.to_owned(), "-o".to_owned()];
        all.push(self.place.arg("x.lscope"));
        all.extend(["--".to_owned(), self.program.display().to_string()]);
        all.extend(["go", "done", "ready"].map(|name| self.place.arg(name)));
        all.extend(how.map(str::to_owned));
        all
    }

    /// It runs, and the program waits.
    fn started(&self, command: &str, how: Option<&str>) -> Child {
        let mut recorder = loopscope();
        recorder
            .args(self.arguments(command, how))
            // Where one that dies of QUIT may leave its core.
            .current_dir(self.place.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        by_default(&mut recorder);
        let child = recorder.spawn().unwrap();
        self.waits();
        child
    }

    fn waits(&self) {
        wait_for("the program", || self.place.path("ready").exists());
    }

    fn recorded(&self) -> Vec<Seen> {
        events(&self.place.path("x.lscope"))
    }
}

/// Whoever runs the tests may ignore some, as nohup(1) does.
fn by_default(command: &mut Command) {
    let reset = || {
        for signal in SIGNALS {
            // SAFETY: nothing but a call of the kernel's between fork and exec.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(reset) };
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < patience, "{what} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(signal: i32, to: &Child) {
    // SAFETY: a signal to a child of ours that has not been waited for.
    unsafe { libc::kill(to.id() as i32, signal) };
}

fn is_end(seen: &Seen) -> bool {
    seen.event.kind == Kind::ProcessEnd
}

#[test]
fn the_program_gets_it_and_the_recording_is_whole() {
    for signal in SIGNALS {
        for (command, how, code) in [
            ("record", None, 128 + signal),
            ("record", Some("works"), 40 + signal),
            ("run", None, 128 + signal),
            ("run", Some("works"), 40 + signal),
        ] {
            let run = Run::new();
            let mut recorder = run.started(command, how);
            send(signal, &recorder);
            let status = recorder.wait().unwrap();
            assert_eq!(status.code(), Some(code), "{signal} to {command} {how:?}");
            let all = run.recorded();
            assert!(all.iter().any(is_end), "{signal} to {command} {how:?}");
            // It was waited for: what it did after the signal is there.
            let waits = all.iter().filter(|s| s.event.kind == Kind::WaitExit);
            assert!(how.is_none() || waits.count() > 20);
        }
    }
}

#[test]
fn a_second_one_ends_the_recording_at_once() {
    for signal in SIGNALS {
        let run = Run::new();
        let mut recorder = run.started("record", Some("deaf"));
        send(signal, &recorder);
        let mut sent = Instant::now();
        let mut status = None;
        wait_for("the recorder's end", || {
            status = recorder.try_wait().unwrap();
            // What comes soon after the first is taken for the same wish.
            if status.is_none() && sent.elapsed() > Duration::from_secs(1) {
                send(signal, &recorder);
                sent = Instant::now();
            }
            status.is_some()
        });
        assert_eq!(status.and_then(|s| s.code()), Some(0));
        // The program lives on: only who does can answer.
        assert!(!run.recorded().iter().any(is_end));
        std::fs::write(run.place.path("go"), "").unwrap();
        wait_for("its answer", || run.place.path("done").exists());
    }
}

#[test]
fn two_at_once_are_one_wish() {
    // timeout(1) signals its child and then its whole group.
    let run = Run::new();
    let mut recorder = run.started("record", Some("works"));
    send(libc::SIGTERM, &recorder);
    send(libc::SIGHUP, &recorder);
    let code = recorder.wait().unwrap().code();
    let ours = [libc::SIGTERM, libc::SIGHUP].map(|signal| Some(40 + signal));
    assert!(ours.contains(&code), "{code:?}");
    assert!(run.recorded().iter().any(is_end));
}

#[test]
fn one_that_is_ignored_stays_ignored() {
    let run = Run::new();
    let mut recorder = Command::new("sh");
    recorder
        .args(["-c", r#"trap '' HUP; exec "$@""#, "sh"])
        .arg(loopscope().get_program())
        .args(run.arguments("record", None))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut recorder = recorder.spawn().unwrap();
    run.waits();
    send(libc::SIGHUP, &recorder);
    std::fs::write(run.place.path("go"), "").unwrap();
    assert_eq!(recorder.wait().unwrap().code(), Some(0));
    assert!(run.place.path("done").exists() && run.recorded().iter().any(is_end));
}

#[test]
fn under_a_screen_it_ends_both() {
    for signal in SIGNALS {
        let run = Run::new();
        let command = pty_process::blocking::Command::new(loopscope().get_program());
        let command = command
            .current_dir(run.place.path(""))
            .args(run.arguments("run", None));
        let mut screen = Screen::spawn(command, 80, 24);
        screen.wait_for("LIVE");
        run.waits();
        screen.signal(signal);
        assert_eq!(screen.exit_code(), 128 + signal, "{}", screen.contents());
        screen.assert_intact();
        assert!(run.recorded().iter().any(is_end), "{signal}");
    }
}
