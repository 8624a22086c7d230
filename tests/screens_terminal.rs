//! ^Z gives the terminal back and stops us; SIGCONT takes it again and draws everything anew.
#![cfg(feature = "cli")]

mod common;

use common::screen::Screen;
use common::{Place, recorded};
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
