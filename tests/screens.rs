//! The screens as scripted sessions: keys in, frames out, at the four sizes. Step: recording → **view**.
//!
//! A frame that changed on purpose: `INSTA_UPDATE=always cargo test --test screens`, then look at the diff.
#![cfg(feature = "cli")]

#[path = "screens/greedy.rs"]
mod greedy;
#[path = "screens/guesses.rs"]
mod guesses;
#[path = "screens/keys.rs"]
mod keys;
#[path = "screens/sentences.rs"]
mod sentences;
#[path = "screens/session.rs"]
mod session;
#[path = "screens/worker.rs"]
mod worker;

use crossterm::event::{KeyCode, KeyModifiers};
use greedy::Script;
use loopscope::tui::app::Effect;
use loopscope::tui::{Look, Theme, View};
use ratatui::style::Color;
use session::Session;

const SIZES: [(u16, u16); 4] = [(60, 16), (80, 24), (120, 40), (200, 60)];

/// Every screen in the middle of a greedy run, at one size.
fn tour(width: u16, height: u16) {
    let mut s = Session::new(Script::default(), width, height);
    s.go("94ms");
    let shot = |s: &mut Session, name: &str| {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), s.text());
    };
    shot(&mut s, "loop");
    s.keys("2").keys("x");
    shot(&mut s, "timeline");
    s.keys("3");
    shot(&mut s, "fairness");
    s.keys("4");
    shot(&mut s, "latency");
    s.keys("5");
    shot(&mut s, "fd");
    s.keys("6");
    shot(&mut s, "findings");
    s.keys("7");
    shot(&mut s, "events");
    s.keys("8");
    shot(&mut s, "code");
    s.keys("1?");
    shot(&mut s, "help");
}

#[test]
fn a_tour_at_60x16() {
    tour(60, 16);
}

#[test]
fn a_tour_at_80x24() {
    tour(80, 24);
}

#[test]
fn a_tour_at_120x40() {
    tour(120, 40);
}

#[test]
fn a_tour_at_200x60() {
    tour(200, 60);
}

fn worker(width: u16, height: u16) -> Session {
    Session::of(worker::write, "worker", (width, height), Look::default())
}

#[test]
fn timers_tasks_and_marks_are_shown() {
    let mut s = worker(120, 40);
    // Asleep, with a timer armed.
    s.go("60ms");
    insta::assert_snapshot!("worker_asleep", s.text());
    // In a call, within a request, a task queued.
    s.go("20ms");
    insta::assert_snapshot!("worker_in_call", s.text());
    s.go("106ms").keys("2ff");
    insta::assert_snapshot!("worker_timeline", s.text());
    s.keys("7");
    insta::assert_snapshot!("worker_events", s.text());
}

#[test]
fn the_spectrogram_is_zoomed_panned_and_selected() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("94ms").keys("4");
    let whole = s.text();
    let instants = |text: &str| -> Vec<f64> {
        let rows = text.lines().filter(|l| l.starts_with('│'));
        let numbers = rows.map(|l| l.chars().skip(2).take(8).collect::<String>());
        numbers.filter_map(|n| n.trim().parse().ok()).collect()
    };
    let all = instants(&whole);
    assert!(all.len() >= 10 && all[0] == 0.0, "{whole}");
    // Closer in: rows are shorter, and the cursor stays in view.
    s.keys("ww");
    let near = instants(&s.text());
    assert!(near[1] - near[0] < (all[1] - all[0]) / 2.0, "{}", s.text());
    assert!(near[0] <= 0.094 && s.text().contains('►'), "{}", s.text());
    s.keys("a");
    assert!(instants(&s.text())[0] < near[0], "{}", s.text());
    s.keys("f");
    assert_eq!(instants(&s.text()), all);
    // Some rows up, three selected, and these are what is shown.
    s.keys("kkkkvjj");
    assert!(s.text().contains("selected"), "{}", s.text());
    s.key(KeyCode::Enter, KeyModifiers::NONE);
    let chosen = instants(&s.text());
    let row = chosen[1] - chosen[0];
    let starts = |from: &f64| (0.0..row * 1.01).contains(&(from - chosen[0]));
    assert!(all.iter().any(starts), "{}", s.text());
    let length = row * chosen.len() as f64;
    let rows = length / (all[1] - all[0]);
    assert!((2.5..3.5).contains(&rows), "{rows} rows: {}", s.text());
}

#[test]
fn what_nobody_touches_is_said_and_drawn() {
    let mut s = Session::of(worker::spins, "spins", (80, 24), Look::default());
    s.go("35ms").keys("1");
    let text = s.text();
    for said in ["told of unix 7 350", "was never seen"] {
        assert!(text.contains(said), "{text}");
    }
    // Told and queued for nearly half of the time, though no run ends it.
    s.keys("2");
    let text = s.text();
    let lane = text.lines().find(|l| l.contains(" 7 unix")).unwrap();
    assert!(lane.matches('▒').count() > 20, "{text}");
    assert!(text.contains("busy 40%"), "{text}");
}

#[test]
fn a_program_killed_in_its_sleep_opens_in_it() {
    let mut s = Session::of(worker::dies_asleep, "dies", (80, 24), Look::default());
    assert!(s.app.go_to_worst(None).unwrap().is_some());
    let text = s.text();
    assert!(text.contains("left unread for"), "{text}");
    assert!(text.contains("asleep for 1."), "{text}");
    assert!(text.contains("left over"), "{text}");
}

#[test]
fn marks_are_stepped_both_ways_and_told() {
    let mut s = worker(80, 24);
    s.go("0s").keys("u");
    let first = s.text();
    assert!(
        first.contains("span begins: request id=12 path=\"/index.html\""),
        "{first}"
    );
    s.keys("u");
    let second = s.text();
    assert!(
        second.contains("mark: parsed bytes=120 ok=true"),
        "{second}"
    );
    s.keys("uU");
    assert!(s.text().contains("mark: parsed"), "{}", s.text());
    s.keys("UUU");
    assert!(
        s.text().contains("no mark before this moment"),
        "{}",
        s.text()
    );
    // The person's own stand among them.
    s.go("50ms").keys("m").go("0s").keys("uuu");
    assert!(s.text().contains("0.050000"), "{}", s.text());
}

#[test]
fn poll_loops_and_several_threads_are_shown() {
    let mut s = worker(80, 24);
    s.go("20ms").keys("l");
    insta::assert_snapshot!("worker_poll", s.text());
}

#[test]
fn a_loop_that_passes_on_anothers_events_is_named_so_and_not_shown_first() {
    let mut s = Session::of(worker::nested, "nested", (120, 40), Look::default());
    s.go("100%");
    let text = s.text();
    assert!(text.contains("epoll fd 4 of worker 4200"), "{text}");
    s.keys("l");
    let text = s.text();
    assert!(
        text.contains("poll of worker 4200: only waits for loop 1's epoll fd"),
        "{text}"
    );
}

#[test]
fn a_thread_asleep_in_another_loops_wait_is_not_said_to_run() {
    let mut s = Session::of(worker::nested, "nested", (120, 40), Look::default());
    // After the epoll loop's first turn, inside the next poll.
    s.go("15ms");
    let text = s.text();
    assert!(text.contains("epoll fd 4 of worker 4200"), "{text}");
    assert!(text.contains("in poll of loop 2 for "), "{text}");
    assert!(
        text.contains("The thread sleeps in the poll of loop 2"),
        "{text}"
    );
    assert!(!text.contains("the loop itself runs"), "{text}");
}

#[test]
fn this_second_ends_while_the_program_is_idle() {
    let mut s = Session::live(Script::default(), 80, 24);
    s.keys("3");
    let busy = s.text();
    assert!(busy.contains("this second 0."), "{busy}");
    s.app.idle = 2_000_000_000;
    let idle = s.text();
    assert!(idle.contains("this second –"), "{idle}");
    assert!(idle.contains("so far 0."), "{idle}");
}

#[test]
fn a_batch_says_how_many_of_its_events_are_still_to_come() {
    let mut s = Session::new(Script::default(), 120, 40);
    s.go("90ms");
    let inside = |s: &Session| {
        let thread = &s.app.the_loop().unwrap().threads[0];
        (thread.batch.len() as u32, thread.batch_len)
    };
    for _ in 0..20_000 {
        if matches!(inside(&s), (1.., 3..)) && inside(&s).0 < inside(&s).1 {
            break;
        }
        s.keys("→");
    }
    let (listed, all) = inside(&s);
    assert!(listed < all, "no batch of three");
    let words = format!("returned {all} events, {} still to come:", all - listed);
    assert!(s.text().contains(&words), "{words}\n{}", s.text());
}

#[test]
fn boxes_over_the_screen() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("94ms").keys("↓↓");
    for (keys, name) in [
        ("i", "explain"),
        ("\x1b", "closed"),
        ("b", "blame"),
        ("\x1b:fit", "palette"),
        ("\x1b/queue >", "filter_wrong"),
        (" 5us && name ~ \"ann\"", "filter_right"),
        ("\n3", "filter_set"),
        ("t", "to_a_time"),
        ("\x1b1x", "worst"),
    ] {
        s.keys(keys);
        insta::assert_snapshot!(name, s.text());
    }
}

#[test]
fn an_edge_that_left_bytes_behind_is_told_of() {
    let script = Script {
        leaves_bytes_at: Some(10_000_000),
        stamps: false,
        duration: 60_000_000,
        ..Script::default()
    };
    let mut s = Session::new(script, 80, 24);
    s.go("100%").keys("[");
    let mut seen = String::new();
    // On to the moment when everybody sleeps again.
    for _ in 0..400 {
        seen = s.text();
        if seen.contains("asleep for") {
            break;
        }
        s.keys("→");
    }
    assert!(seen.contains("4,000 bytes left over"), "{seen}");
    insta::assert_snapshot!("asleep_with_bytes_left", seen);
}

/// Every screen in every theme: the same text, nothing in the terminal's own colours, nothing in the colour of what is behind it.
#[test]
fn every_screen_is_legible_in_every_theme() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("94ms");
    for key in ["1", "2", "3", "4", "5", "6", "7", "8", "?"] {
        s.keys(key);
        let plain = s.frame();
        for theme in &Theme::ALL[1..] {
            s.app.look.theme = *theme;
            let painted = s.frame();
            for (a, b) in plain.content.iter().zip(&painted.content) {
                let indexed = |c: Color| matches!(c, Color::Indexed(_));
                assert_eq!(a.symbol(), b.symbol());
                assert!(
                    indexed(b.fg) && indexed(b.bg) && b.fg != b.bg,
                    "{key}: {b:?}"
                );
            }
        }
        s.app.look.theme = Theme::Terminal;
    }
}

/// An arrow leads from the lane of whom a handler works for to its run; the Loop and the Fd screen say it.
#[test]
fn whom_a_handler_works_for_is_told() {
    for (width, height) in SIZES {
        let mut s = Session::of(worker::proxy, "proxy", (width, height), Look::default());
        s.go("16ms");
        let text = s.text();
        assert!(text.contains("on behalf of ann"), "{text}");
        s.keys("2f");
        let text = s.text();
        assert!(text.contains('↓') && text.contains('↑'), "{text}");
        insta::assert_snapshot!(format!("behalf_{width}x{height}"), text);
        s.keys("5");
        let text = s.text();
        // The smallest has room for one line of the history.
        assert!(
            height == 16 || text.contains("runs on behalf of ann"),
            "{text}"
        );
    }
    // Zoomed out, both runs share a column, and the arrow stands beside it.
    let mut s = Session::of(worker::proxy, "proxy", (80, 24), Look::default());
    s.go("16ms").keys("2ff").frame();
    for _ in 0..6 {
        s.keys("s").frame();
        let text = s.text();
        assert!(
            text.contains('↓') && text.contains("on behalf of"),
            "{text}"
        );
    }
    let look = Look {
        ascii: true,
        colour: false,
        ..Look::default()
    };
    let mut s = Session::of(worker::proxy, "proxy", (80, 24), look);
    s.go("16ms").keys("2f");
    insta::assert_snapshot!("behalf_ascii", s.text());
}

#[test]
fn without_colour_and_with_ascii_only_the_same_is_told() {
    let look = Look {
        ascii: true,
        colour: false,
        ..Look::default()
    };
    let mut s = Session::with(Script::default(), 80, 24, look);
    s.go("94ms");
    for (keys, name) in [("1", "ascii_loop"), ("2", "ascii_timeline")] {
        s.keys(keys);
        let frame = s.frame();
        let plain = frame.content.iter().all(|c| {
            c.symbol().is_ascii()
                && c.fg == ratatui::style::Color::Reset
                && c.bg == ratatui::style::Color::Reset
        });
        assert!(plain, "{name} holds a colour or a character beyond ASCII");
        insta::assert_snapshot!(name, s.text());
    }
}

#[test]
fn any_size_is_drawn_and_too_small_ones_say_so() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("94ms");
    for (width, height) in [(1, 1), (3, 2), (20, 5), (59, 16), (60, 15)] {
        s.size = (width, height);
        let text = s.text();
        assert!(
            width < 18 || text.contains("too small"),
            "{width}x{height}: {text}"
        );
    }
    for (view, key) in View::ALL {
        s.keys(&key.to_string());
        for (width, height) in [
            (60, 16),
            (61, 17),
            (75, 20),
            (76, 21),
            (111, 30),
            (300, 100),
            (60, 100),
            (300, 16),
        ] {
            s.size = (width, height);
            assert!(
                !s.text().contains("too small"),
                "{view:?} at {width}x{height}"
            );
        }
    }
}

#[test]
fn going_back_shows_what_was_shown_before() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("event:20000");
    let mut frames = Vec::new();
    for _ in 0..6 {
        frames.push(s.text());
        s.keys("→");
    }
    for want in frames.iter().rev() {
        s.keys("←");
        assert_eq!(&s.text(), want);
    }
    // A jump from elsewhere shows the same as the steps.
    s.go("event:30000").go("event:20000");
    assert_eq!(&s.text(), &frames[0]);
}

#[test]
fn a_recording_opens_in_the_midst_of_its_worst_wait_and_says_so() {
    let mut s = Session::new(Script::default(), 80, 24);
    assert!(s.app.go_to_worst(None).unwrap().is_some());
    let text = s.text();
    assert!(text.contains("worst wait: "), "{text}");
    assert!(
        text.contains("behind flood") && text.contains("RUNS"),
        "{text}"
    );
    let waits = s.app.chosen().unwrap();
    assert_eq!(loopscope::tui::theme::word(waits.word), "ready", "{text}");
    // x goes to the very start of the same event's handler.
    let (place, fd) = (s.app.t(), waits.fd);
    s.keys("x");
    assert_eq!(s.app.chosen().unwrap().fd, fd);
    assert!(s.app.t() >= place);
    // Asked for one fd, it is that fd's worst.
    assert!(s.app.go_to_worst(Some(5)).unwrap().is_some());
    assert_eq!(s.app.chosen().unwrap().fd, 5);
    assert!(s.app.go_to_worst(Some(4711)).unwrap().is_none());
}

#[test]
fn bytes_nobody_comes_back_for_are_the_worst_wait() {
    let script = Script {
        leaves_bytes_at: Some(10_000_000),
        stamps: false,
        duration: 60_000_000,
        ..Script::default()
    };
    let mut s = Session::new(script, 80, 24);
    assert!(s.app.go_to_worst(None).unwrap().is_some());
    let text = s.text();
    assert!(
        text.contains("left unread for") && text.contains("left over"),
        "{text}"
    );
}

#[test]
fn turns_are_stepped_both_ways() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("50ms");
    let turn = |s: &Session| s.app.the_loop().unwrap().threads[0].turn;
    let here = turn(&s);
    s.keys("]");
    assert_eq!(turn(&s), here + 1);
    s.keys("]]");
    assert_eq!(turn(&s), here + 3);
    s.keys("[[");
    assert_eq!(turn(&s), here + 1);
}

#[test]
fn two_recordings_stand_on_one_clock() {
    use loopscope::tui::Other;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("other.lscope");
    let short = Script {
        duration: 60_000_000,
        ..Script::default()
    };
    greedy::grow(&path, short).finish().unwrap();
    let mut s = Session::new(Script::default(), 80, 24);
    s.app.options.beside = Some(Other {
        name: path.display().to_string(),
        path,
        above: false,
        shown: false,
        keep: None,
    });
    s.go("40ms").keys("B");
    insta::assert_snapshot!("both_80x24", s.text());
    let spans = |s: &Session| {
        let other = s.app.beside.as_ref().unwrap().app();
        let span = |app: &loopscope::tui::App| app.player.window().unwrap().span();
        assert_eq!(
            other.player.t(),
            s.app.player.t().min(other.player.duration())
        );
        (span(&s.app), span(other))
    };
    // Whatever moves one moves the other.
    for keys in ["", "s", "s", "d", "ww", "→→→→", "]", "f", "f"] {
        s.keys(keys).frame();
        let (mine, other) = spans(&s);
        assert_eq!(mine, other, "after {keys:?}");
    }
    s.go("90ms");
    assert!(s.text().contains("over since 0.0"));
    // Of what is over before the view begins, silence is not told as good news.
    s.go("98ms").keys("wwwwwwwwww");
    assert!(s.text().contains("it was over before that"));
    s.keys("ssssssssss").go("90ms");
    s.keys("y");
    let copied = |e: &Effect| matches!(e, Effect::Copy(c) if c.contains(" --beside "));
    assert!(s.app.effects.iter().any(copied));
    for (width, height) in SIZES {
        s.size = (width, height);
        assert_eq!(s.text().matches("longest wait in view").count(), 2);
    }
    s.keys("B");
    assert!(s.app.beside.is_none() && s.app.view == View::Timeline);
}

/// Another recording of the same kind, to stand below.
fn other(place: &tempfile::TempDir, write: impl FnOnce(&std::path::Path)) -> loopscope::tui::Other {
    let path = place.path().join("other.lscope");
    write(&path);
    loopscope::tui::Other {
        name: path.display().to_string(),
        path,
        above: false,
        shown: false,
        keep: None,
    }
}

/// The names of the fds in both charts, from top to bottom; lanes of several are left out.
fn names_of_both(s: &mut Session) -> [Vec<String>; 2] {
    let mut both = [const { Vec::new() }; 2];
    let mut half = 0;
    for row in s.text().lines() {
        half += usize::from(row.contains("longest wait in view"));
        let label: Vec<&str> = row
            .split(['│', '|'])
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect();
        if let ([.., fd, name], 1..=2) = (&label[..], half)
            && fd.parse::<u8>().is_ok()
            && *name != "others"
        {
            both[half - 1].push((*name).to_owned());
        }
    }
    both
}

#[test]
fn both_timelines_show_the_same_names_in_the_same_order() {
    let place = tempfile::tempdir().unwrap();
    let theirs = Script {
        names: ["dee", "cid", "listen", "ann", "flood", "bob"],
        ..Script::default()
    };
    let mut s = Session::new(Script::default(), 60, 16);
    s.app.options.beside = Some(other(&place, |path| {
        greedy::grow(path, theirs).finish().unwrap();
    }));
    s.go("40ms").keys("B");
    for (size, least) in [((60, 16), 1), ((80, 24), 4), ((120, 40), 6)] {
        s.size = size;
        let [mine, other] = names_of_both(&mut s);
        let few = mine.len().min(other.len());
        assert!(few >= least, "{size:?} {mine:?} {other:?}");
        let shorter = if mine.len() < other.len() {
            &mine
        } else {
            &other
        };
        let longer = if mine.len() < other.len() {
            &other
        } else {
            &mine
        };
        let kept: Vec<&String> = longer.iter().filter(|n| shorter.contains(n)).collect();
        assert_eq!(kept, shorter.iter().collect::<Vec<_>>(), "{size:?}");
    }
    // What the glyphs mean has a line where there is room for it.
    s.size = (80, 24);
    assert!(s.text().contains("told, queued"), "{}", s.text());
}

#[test]
fn the_other_timeline_follows_to_another_loop() {
    let place = tempfile::tempdir().unwrap();
    let mut s = worker(120, 40);
    s.app.options.beside = Some(other(&place, worker::write));
    s.keys("GB").frame();
    let loops = s.app.loops();
    assert!(loops > 1);
    for _ in 0..=loops {
        s.keys("L").frame();
        let other = s.app.beside.as_ref().unwrap().app();
        assert_eq!(other.loop_id, s.app.loop_id);
        let told = format!("worker  loop {}/{loops}", s.app.loop_id + 1);
        assert_eq!(s.text().matches(&told).count(), 2, "{}", s.text());
    }
}

/// A program that goes on stands beside a recording of two seconds: its end stays, and says so.
#[test]
fn what_is_over_stays_in_view_beside_what_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let short = Script {
        duration: 40_000_000,
        ..Script::default()
    };
    let mut s = Session::live(Script::default(), 80, 24);
    s.app.options.beside = Some(other(&place, |path| {
        greedy::grow(path, short).finish().unwrap();
    }));
    s.keys("B").frame();
    let span = |s: &Session| {
        let app = s.app.beside.as_ref().unwrap().app();
        (app.player.window().unwrap().span(), app.player.duration())
    };
    let width = |s: &Session| {
        let (from, to) = s.app.player.window().unwrap().span();
        to - from
    };
    for _ in 0..40 {
        if width(&s) < 30_000_000 {
            break;
        }
        s.keys("w").frame();
    }
    assert!(s.app.following && width(&s) < 30_000_000);
    let text = s.text();
    let ((from, to), end) = span(&s);
    assert!(
        from < end && end <= to && to - end < 2_000_000,
        "{from} {to} {end}"
    );
    assert!(
        text.contains("over since 0.0") && text.contains(": its end"),
        "{text}"
    );
    assert!(!text.contains("it was over before that"), "{text}");
    // Who goes back in time has one clock again.
    s.go("20ms").frame();
    let mine = s.app.player.window().unwrap().span();
    assert_eq!(span(&s).0, mine);
    assert!(!s.text().contains("its end"));
}

#[test]
fn the_clock_goes_as_far_as_the_longer_recording() {
    let place = tempfile::tempdir().unwrap();
    let short = Script {
        duration: 60_000_000,
        ..Script::default()
    };
    let mut s = Session::new(short, 80, 24);
    s.app.options.beside = Some(other(&place, |path| {
        greedy::grow(path, Script::default()).finish().unwrap();
    }));
    s.go("40ms").keys("B").frame();
    let end = s.app.player.duration();
    assert!(end < 80_000_000);
    s.go("90ms").frame();
    assert_eq!(s.app.t(), 90_000_000);
    let theirs = s.app.beside.as_ref().unwrap().app();
    assert_eq!(theirs.t(), 90_000_000);
    assert_eq!(
        s.text().matches("over since 0.0").count(),
        1,
        "{}",
        s.text()
    );
    // On any other screen there is but the one recording, and a step leads back into it.
    s.keys("1").frame();
    assert_eq!(s.app.t(), end);
    s.keys("2").frame();
    assert_eq!(s.app.t(), 90_000_000);
    s.keys("←").frame();
    assert!(s.app.t() <= end);
    s.go("900ms").frame();
    assert!(s.app.wrong.is_some(), "{}", s.text());
}

/// What of a finding has no room leaves a sign.
#[test]
fn a_finding_that_is_cut_says_so() {
    let mut s = Session::new(Script::default(), 60, 16);
    s.keys("6");
    let ends = |s: &mut Session| {
        let text = s.text();
        let last = text.lines().rev().find(|row| row.starts_with('│'));
        last.unwrap().trim_end_matches(['│', ' ']).ends_with('…')
    };
    assert!(ends(&mut s), "{}", s.text());
    s.size = (200, 60);
    assert!(!ends(&mut s), "{}", s.text());
}

#[test]
fn a_filter_leads_from_match_to_match() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.keys("/fd == 5 && wait > 1ms\n");
    let mut places = Vec::new();
    for _ in 0..3 {
        s.keys("n");
        places.push(s.app.player.next());
        assert_eq!(s.app.chosen().unwrap().fd, 5);
    }
    assert!(places.windows(2).all(|w| w[0] < w[1]), "{places:?}");
    s.keys("N");
    assert_eq!(s.app.player.next(), places[1]);
    // Without colours too: its fd is marked, and no other.
    for (view, row) in [("2", "a*"), ("3", "│*"), ("5", "│*"), ("7", "*0.")] {
        let text = s.keys(view).text();
        let marked: Vec<&str> = text.lines().filter(|l| l.contains(row)).collect();
        assert!(!marked.is_empty(), "{view}:\n{text}");
        assert!(marked.iter().all(|l| l.contains("ann")), "{view}:\n{text}");
    }
}

#[test]
fn escape_goes_back_and_never_quits() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.keys("235?");
    for _ in 0..10 {
        s.keys("\x1b");
    }
    assert_eq!(s.app.view, View::Loop);
    assert!(s.app.left_with.is_none());
    s.keys("q");
    assert!(s.app.left_with.is_some());
}

#[test]
fn play_moves_the_cursor_and_stops_at_the_end() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.keys(" ");
    assert!(s.app.playing);
    let before = s.app.t();
    s.app.tick(1_000_000_000).unwrap();
    s.frame();
    // 1:100.
    assert_eq!(s.app.t() - before, 10_000_000);
    for _ in 0..20 {
        s.app.tick(1_000_000_000).unwrap();
        s.frame();
        s.app.data().unwrap();
    }
    assert!(!s.app.playing);
    assert!(s.app.player.at_end());
}

#[test]
fn the_copied_command_shows_this_very_view() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("94ms").keys("3↓↓");
    let fd = s.app.chosen().unwrap().fd;
    let command = s.app.command();
    let at = s.app.player.next() - 1;
    let want =
        format!("loopscope replay 'greedy-fd broken' --at event:{at} --view fairness --fd {fd}");
    assert_eq!(command, want);
}

/// The pictures of docs/pictures: `PICTURES=docs/pictures cargo test --test screens pictures`.
#[test]
fn pictures() {
    let into = std::env::var("PICTURES").ok();
    for (width, height) in SIZES {
        let mut s = Session::new(Script::default(), width, height);
        s.go("94ms");
        for (view, key) in View::ALL {
            s.keys(&key.to_string());
            if view == View::Timeline {
                s.keys("x");
            }
            let svg = s.svg();
            // A picture is as large as its screen and holds no script.
            assert!(svg.starts_with("<svg") && !svg.contains("<script"));
            if let Some(dir) = &into {
                std::fs::write(format!("{dir}/{}-{width}x{height}.svg", view.name()), svg).unwrap();
            }
        }
    }
}

#[test]
fn a_finding_ends_with_the_functions_that_its_thread_was_in() {
    let sampled = Script {
        sampled: true,
        ..Script::default()
    };
    for size in [(80, 24), (200, 60)] {
        // Wherever the cursor stands.
        for at in ["1ms", "94ms"] {
            let mut s = Session::new(sampled, size.0, size.1);
            s.go(at).keys("6");
            let text = s.text().replace('│', " ");
            let words: Vec<&str> = text.split_whitespace().collect();
            let said = "Meanwhile its thread was in parse_rows, called by serve, main (";
            assert!(words.join(" ").contains(said), "{text}");
        }
    }
}

#[test]
fn n_goes_from_finding_to_finding() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("1ms").keys("6");
    assert_eq!(s.app.findings().len(), 1);
    s.keys("n");
    let first = s.app.player.next();
    assert_eq!(s.app.view, View::Timeline);
    assert!(s.text().contains("(greedy-handler)"));
    assert_eq!(s.app.chosen().map(|r| r.fd), Some(6));
    s.keys("n");
    assert!(s.app.player.next() > first);
    s.keys("N");
    assert_eq!(s.app.player.next(), first);
    // Enter goes to the worst time.
    s.keys("6").key(
        crossterm::event::KeyCode::Enter,
        crossterm::event::KeyModifiers::NONE,
    );
    let at = s.app.findings()[0].at_ns;
    assert_eq!((s.app.view, s.app.t()), (View::Timeline, at));
}

#[test]
fn the_worst_time_of_a_finding_is_drawn_below_it() {
    let mut s = Session::new(Script::default(), 120, 40);
    // Wherever the cursor stands.
    s.go("1ms").keys("6");
    let found = s.app.findings()[0].clone();
    let window = s.app.player.window().unwrap();
    let (from, to) = window.span();
    assert!(from <= found.at_ns && found.at_ns + found.worst_ns <= to);
    let text = s.text();
    let picture = text.split_once("▼ its worst time, at ").unwrap().1;
    let lanes: Vec<&str> = picture.lines().filter(|l| l.contains('█')).collect();
    // Who did it, and who waited.
    assert!(lanes.len() >= 2 && picture.contains('░'), "{text}");
    // Low screens keep to words.
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("1ms").keys("6");
    assert!(!s.text().contains("worst time, at"));
}

#[test]
fn findings_go_on_while_a_recording_grows() {
    let mut s = Session::live(Script::default(), 120, 40);
    s.keys("6");
    let before = s.app.findings()[0].clone();
    // Another look costs a fold of everything: not for what is hardly longer.
    s.again(1_000_000).app.data().unwrap();
    s.frame();
    assert_eq!(s.app.findings()[0], before);
    s.again(3_000_000_000).app.data().unwrap();
    s.frame();
    let after = &s.app.findings()[0];
    assert_eq!((after.code, after.at_ns), (before.code, before.at_ns));
    let end = s.app.player.duration();
    let grown = after.count > before.count && after.last_ns > 3_000_000_000;
    assert!(grown, "{end} {before:#?}\n{after:#?}");
}
