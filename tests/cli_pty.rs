//! The UI's commands in a real terminal: what is wrong is said before the terminal is taken, and it is given back as it
//! was on every way out.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use common::{Place, loopscope, recorded, run};

/// Entering the alternate screen.
const ENTERS: &[u8] = b"\x1b[?1049h";

fn entered(screen: &Screen) -> bool {
    screen.bytes().windows(ENTERS.len()).any(|w| w == ENTERS)
}

/// A replay that shows the Loop screen.
fn replay(place: &Place, width: u16, height: u16) -> Screen {
    let file = recorded(place, "a.lscope");
    let screen = Screen::launch(&["replay", &file], width, height);
    screen.wait_for("REPLAY");
    screen
}

#[test]
fn quitting_gives_the_terminal_back() {
    let place = Place::new();
    let mut screen = replay(&place, 80, 24);
    assert!(screen.contents().contains("1 LOOP"));
    screen.send("2").wait_for("2 TIMELINE");
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
    assert!(entered(&screen));
    screen.assert_intact();
}

#[test]
fn every_deadly_signal_gives_the_terminal_back() {
    let place = Place::new();
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        let mut screen = replay(&place, 80, 24);
        screen.signal(signal);
        assert_eq!(screen.exit_code(), 128 + signal, "signal {signal}");
        screen.assert_intact();
        std::fs::remove_file(place.path("a.lscope")).unwrap();
    }
}

#[test]
fn a_terminal_that_cannot_place_its_cursor_gets_the_text() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    let mut command = pty_process::blocking::Command::new("env");
    command = command.args([
        "TERM=dumb",
        env!("CARGO_BIN_EXE_loopscope"),
        "replay",
        &file,
    ]);
    let mut screen = Screen::spawn(command, 80, 24);
    assert_eq!(screen.exit_code(), 0);
    assert!(!entered(&screen));
    assert!(
        screen.contents().contains("to know"),
        "{}",
        screen.contents()
    );
}

#[test]
fn a_terminal_too_small_says_so_until_it_is_not() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    let mut screen = Screen::launch(&["replay", &file], 40, 10);
    screen.wait_for("too small");
    screen.resize(80, 24).wait_for("1 LOOP");
    screen.resize(30, 5).wait_for("too small");
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
}

#[test]
fn what_is_wrong_is_said_before_the_terminal_is_taken() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    let text = place.file("text.lscope", "no recording\n".repeat(50));
    let directory = common::text(&place.path(""));
    let cases: [(&[&str], i32, &str); 9] = [
        (&["replay", &file, "--view", "cinema"], 2, "timeline"),
        (&["replay", &file, "--at", "soon"], 2, "mark:NAME"),
        (&["replay", &file, "--at", "9h"], 2, "no instant"),
        (&["replay", &file, "--fd", "4711"], 2, "4711"),
        (&["replay", &file, "--speed", "fast"], 2, "1:100"),
        (&["replay", &text], 125, "not a loopscope recording"),
        (&["replay", &directory], 125, "not a regular file"),
        (&["replay", &place.arg("missing")], 125, "No such file"),
        (&["demo", "no-such-demo"], 2, "greedy-fd"),
    ];
    for (args, code, piece) in cases {
        let mut screen = Screen::launch(args, 100, 30);
        assert_eq!(screen.exit_code(), code, "{args:?}: {}", screen.contents());
        let said = screen.contents().replace('\n', "");
        assert!(
            said.contains("error: ") && said.contains(piece),
            "{args:?}: {said}"
        );
        assert!(!entered(&screen), "{args:?}");
        screen.assert_intact();
    }
}

#[test]
fn without_a_terminal_the_report_is_printed() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    let report = run(&["report", &file]).exits(0).stdout;
    assert_eq!(run(&["replay", &file]).exits(0).stdout, report);
    assert!(!report.contains('\u{1b}'));
}

#[test]
fn without_arguments_there_is_something_to_choose() {
    let place = Place::new();
    recorded(&place, "mine.lscope");
    let command = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_loopscope"));
    let mut screen = Screen::spawn(command.current_dir(place.path("")), 80, 24);
    screen.wait_for("greedy-fd");
    // Each demo has a repaired form.
    screen.wait_for("f start it repaired");
    // The last entry is the recording; Enter replays it.
    screen.send("G").wait_for("loopscope replay mine.lscope");
    screen.send("\r").wait_for("REPLAY");
    screen.send("q");
    assert_eq!(screen.exit_code(), 0);
    screen.assert_intact();
    // Nobody can choose without a terminal.
    let output = loopscope().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: loopscope"));
}

#[test]
fn a_frame_is_drawn_without_a_terminal() {
    let place = Place::new();
    let file = recorded(&place, "a.lscope");
    for view in ["loop", "timeline", "fairness", "fd", "events", "code"] {
        let frame = [
            "snapshot", &file, "--at", "50%", "--view", view, "--size", "100x30", "-o",
        ];
        let text = run(&[&frame[..], &["-"]].concat()).exits(0).stdout;
        let capital = view.to_uppercase();
        assert!(
            text.contains(&capital) && text.lines().count() == 30,
            "{view}:\n{text}"
        );
        assert!(
            !text
                .chars()
                .any(|c| c != '\n' && loopscope::text::is_hidden(c))
        );
        let picture = place.arg(&format!("{view}.svg"));
        run(&[&frame[..], &[&picture]].concat()).exits(0);
        let svg = std::fs::read_to_string(&picture).unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("width=\"920\"")
        );
        run(&[&frame[..], &[&picture]].concat()).fails(125, "--force");
    }
    run(&["snapshot", &file, "-o", &place.arg("a.png")]).fails(2, ".svg or .txt");
    run(&["snapshot", &file, "--size", "80", "-o", "-"]).exits(2);
    run(&["snapshot", &file, "--at", "9h", "-o", "-"]).fails(2, "no instant");
    // Without a terminal too, where the text report takes the screen's place.
    run(&["replay", &file, "--filter", "queu > 1ms"]).fails(2, "did you mean `queue`");
    let nosuch = "fd == 1 || finding == nosuch";
    run(&["replay", &file, "--filter", nosuch]).fails(2, "\"nosuch\" is no finding");
    run(&["replay", &file, "--at", "mark:none"]).fails(2, "no mark none");
    run(&["snapshot", &file]).exits(2);
}

#[test]
fn a_terminal_that_goes_away_ends_the_program() {
    let place = Place::new();
    let mut screen = replay(&place, 80, 24);
    screen.hang_up();
    assert_eq!(screen.exit_code(), 128 + libc::SIGHUP);
}

#[test]
fn a_demo_is_watched_live_and_kept() {
    let place = Place::new();
    let command = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_loopscope"));
    let command = command
        .args(["demo", "greedy-fd"])
        .current_dir(place.path(""));
    let mut screen = Screen::spawn(command, 80, 24);
    screen.wait_for("LIVE");
    screen.wait_for("flood");
    screen.send("2").wait_for("2 TIMELINE");
    screen.send(" ").wait_for("frozen");
    screen.send("q").wait_for("the program still runs");
    screen.send("e").wait_for("keep the recording?");
    screen.send("kept.lscope").wait_for("kept.lscope");
    screen.send("\r");
    assert_eq!(screen.exit_code(), 0, "{}", screen.contents());
    screen.assert_intact();
    let report = run(&["report", &place.arg("kept.lscope")]).exits(0).stdout;
    assert!(report.starts_with("greedy-fd broken: "), "{report}");
}

#[test]
fn a_program_is_watched_live_and_ended() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_loopscope");
    let command = pty_process::blocking::Command::new(program).current_dir(place.path(""));
    let args = [
        "run",
        "-o",
        "a.lscope",
        "--",
        program,
        "demo-program",
        "greedy-fd",
        "--ms=60000",
    ];
    let mut screen = Screen::spawn(command.args(args), 80, 24);
    screen.wait_for("LIVE");
    screen.wait_for("flood");
    // What the program prints stands in its pane.
    screen.send("8").wait_for("five clients");
    screen.send("q").wait_for("the program still runs");
    screen.send("e");
    let code = screen.exit_code();
    assert!(
        [0, 128 + libc::SIGTERM, 128 + libc::SIGHUP].contains(&code),
        "{code}: {}",
        screen.contents()
    );
    screen.assert_intact();
    assert!(
        run(&["info", &place.arg("a.lscope")])
            .exits(0)
            .stdout
            .contains("complete")
    );
}
