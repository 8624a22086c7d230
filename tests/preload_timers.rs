//! Unmodified programs that sleep on timerfds: what each is armed for is recorded and shown, on whatever clock it was asked for.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use loopscope::record::event::{Arming, Kind};
use preload::{compiled, events, record};

const SECOND: u64 = 1_000_000_000;

#[test]
fn timerfds_are_armed_for_an_instant_of_the_recording() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "timers", &[]);
    let file = dir.path().join("x.lscope");
    let output = record(&file, &program, &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(output.stdout, b"three ticks\n");
    let all = events(&file);
    let sets: Vec<_> = (all.iter())
        .map(|seen| seen.event)
        .filter(|e| e.kind == Kind::TimerfdSet)
        .collect();
    let [tick, far, boot, copy, past, wrong, nowhere, off] = &sets[..] else {
        panic!("{sets:#?}");
    };
    let armed = |e: &loopscope::record::event::Event| (e.x, e.aux, e.arg);
    let known = Arming::In.code();
    assert_eq!(armed(tick), (0, known, SECOND));
    assert_eq!(tick.y, SECOND);
    for (e, seconds) in [(far, 500), (boot, 600), (copy, 700)] {
        assert_eq!(armed(e), (0, known, 0));
        // The instant was worked out after the program asked the clock; another timer's is further off.
        let late = (seconds * SECOND).checked_sub(e.y);
        assert!(late.is_some_and(|late| late < 90 * SECOND), "{e:?}");
    }
    assert_eq!((armed(past), past.y), ((0, known, 0), 0));
    assert_eq!((wrong.x, nowhere.x), (-22, -14));
    assert_eq!(armed(off), (0, Arming::Off.code(), 0));
    for e in &sets {
        assert_ne!(e.site, 0, "each was armed somewhere");
    }

    // What a person sees while the loop sleeps: the next tick, and of each timer when it expires.
    let file = file.to_str().unwrap();
    let view = |at: &str, name: &str, more: &[&str]| {
        let mut args = vec![
            "snapshot", file, "--at", at, "--view", name, "--size", "120x40", "-o", "-",
        ];
        args.extend(more);
        let ended = common::run(&args);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.stdout
    };
    let first = all
        .iter()
        .position(|s| s.event.kind == Kind::WaitEnter)
        .unwrap();
    let sleeping = format!("event:{}", first + 1);
    let shown = view(&sleeping, "loop", &[]);
    let tick_name = format!("timerfd {}", tick.fd);
    assert!(shown.contains(&format!("no, {tick_name} in ")), "{shown}");
    assert!(
        shown.contains(&format!("The timer {tick_name} (armed ")),
        "{shown}"
    );
    // It is the next of three that could wake the loop.
    assert_eq!(shown.matches(" IN level in ").count(), 3, "{shown}");
    let last = all
        .iter()
        .rposition(|s| s.event.kind == Kind::WaitEnter)
        .unwrap();
    let asleep = format!("event:{last}");
    let shown = view(&asleep, "loop", &[]);
    assert!(shown.contains("NOT: its timer is not armed"), "{shown}");
    let fd = off.fd.to_string();
    let shown = view(&asleep, "fd", &["--fd", &fd]);
    assert!(shown.contains("not armed"), "{shown}");
    let fd = tick.fd.to_string();
    let shown = view(&asleep, "fd", &["--fd", &fd]);
    assert!(
        shown.contains("armed for") && shown.contains("every 1.00 s"),
        "{shown}"
    );
    // A recording cut out of the middle still knows what the timers were armed for before it begins.
    let is_wait = |s: &preload::Seen| s.event.kind == Kind::WaitEnter;
    let second = first + 1 + all[first + 1..].iter().position(is_wait).unwrap();
    let from = format!("event:{second}");
    let path = dir.path().join("cut.lscope");
    let cut = path.to_str().unwrap();
    let ended = common::run(&["export", file, "--to", "lscope", "--from", &from, "-o", cut]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // In its last wait for a tick, which only the wait of 20 ms comes after.
    let waits = events(&path).into_iter().filter(is_wait);
    let third = waits.map(|s| s.event.t).rev().nth(1).unwrap();
    let at = format!("{}ns", third + 1);
    let args = [
        "snapshot", cut, "--at", &at, "--view", "loop", "--size", "120x40", "-o", "-",
    ];
    let shown = common::run(&args).stdout;
    assert!(
        shown.contains(&format!("timerfd {} in ", tick.fd)),
        "{shown}"
    );
    let ndjson = common::run(&["export", file, "--to", "ndjson", "-o", "-"]).stdout;
    let line = ndjson.lines().find(|l| l.contains("timerfd-set")).unwrap();
    assert!(
        line.contains(r#""armed":true,"in_ns":1000000000,"interval_ns":1000000000"#),
        "{line}"
    );
}
