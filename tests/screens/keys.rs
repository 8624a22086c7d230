//! Every key of the action table, pressed on every screen: it changes something on the screen or says why it cannot.

use crate::greedy::Script;
use crate::session::Session;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use loopscope::tui::app::{Effect, Mode};
use loopscope::tui::keymap::{self, ACTIONS, Group};
use loopscope::tui::message::Pace;
use loopscope::tui::{Message, View};

fn press(s: &mut Session, event: KeyEvent) {
    s.key(event.code, event.modifiers);
}

/// A calm screen at a known place.
fn reset(s: &mut Session, view: char, at: Option<u64>) {
    s.app.mode = Mode::Normal;
    s.app.playing = false;
    s.app.left_with = None;
    s.app.effects.clear();
    s.app.filter = None;
    s.app.sort = (0, true);
    s.app.span = None;
    s.app.left = None;
    s.app.latency = None;
    s.app.by_role = false;
    s.app.marks.clear();
    s.app.pace = Pace::Clock;
    s.app.speed = 4;
    match at {
        Some(event) => s.app.player.seek_event(event).unwrap(),
        None => s.app.update(Message::Last).unwrap(),
    }
    let shown = View::ALL.iter().find(|v| v.1 == view).unwrap();
    s.app.update(Message::Show(shown.0)).unwrap();
    s.app.note = None;
}

/// Presses every key that means something here, each from the same place; what did nothing is returned.
fn silent(
    s: &mut Session,
    view: char,
    at: Option<u64>,
    only: impl Fn(Group) -> bool,
) -> Vec<String> {
    let mut silent = Vec::new();
    for action in ACTIONS.iter().filter(|a| only(a.group)) {
        for bind in action.binds {
            reset(s, view, at);
            if !(action.when)(&s.app) {
                continue;
            }
            let before = s.frame();
            let event = bind.press();
            let Some(message) = keymap::message(&s.app, event) else {
                panic!("{} means nothing on screen {view}", action.keys);
            };
            press(s, event);
            let told = s.app.left_with.is_some() || !s.app.effects.is_empty();
            // The first or last row stays chosen; the screen shown stays shown; an axis shown stays.
            let idle = matches!(
                message,
                Message::Row(_) | Message::Page(_) | Message::Show(_)
            );
            if !told && !idle && s.frame() == before {
                silent.push(format!(
                    "{} ({:?}) on screen {view}, {at:?}",
                    action.keys, event.code
                ));
            }
        }
    }
    silent
}

#[test]
fn every_key_does_something_on_every_screen_of_a_replay() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("94ms");
    let middle = s.app.player.next();
    for (_, view) in View::ALL {
        let quiet = silent(&mut s, view, Some(middle), |_| true);
        assert!(quiet.is_empty(), "{quiet:#?}");
    }
}

#[test]
fn at_the_ends_of_a_recording_every_key_in_time_says_so() {
    let mut s = Session::new(Script::default(), 80, 24);
    let reader = s.app.player.reader();
    for at in [reader.first(), reader.end()] {
        let quiet = silent(&mut s, '2', Some(at), |g| {
            matches!(g, Group::Time | Group::Timeline)
        });
        assert!(quiet.is_empty(), "{quiet:#?}");
    }
    s.go("100%").keys("→");
    assert!(s.text().contains("the recording ends here"));
    s.keys("g");
    s.keys("←");
    assert!(s.text().contains("first moment"));
    s.keys("[");
    assert!(s.text().contains("no turn of this loop before"));
}

#[test]
fn every_key_does_something_on_every_screen_of_a_growing_recording() {
    let mut s = Session::live(Script::default(), 80, 24);
    assert!(s.app.is_live() && s.app.following);
    for (_, view) in View::ALL {
        let quiet = silent(&mut s, view, None, |_| true);
        assert!(quiet.is_empty(), "{quiet:#?}");
    }
}

#[test]
fn keys_do_what_their_help_says() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("94ms").keys("→");
    let (t, event) = (s.app.t(), s.app.player.next());
    s.keys("→");
    assert_eq!(s.app.player.next(), event + 1);
    s.keys("←");
    assert_eq!(s.app.t(), t);
    s.keys("m").keys("G");
    assert!(s.app.player.at_end());
    s.keys("M");
    assert_eq!(s.app.t(), t, "M comes back to the mark");
    s.keys("2");
    let width = |s: &Session| s.app.window_key().width;
    let wide = width(&s);
    s.keys("w");
    assert!(width(&s) < wide, "w zooms in");
    s.keys("s");
    assert_eq!(width(&s), wide, "s is its reverse");
    let left = s.app.window_key().first;
    s.keys("a");
    assert!(s.app.window_key().first < left, "a pans left");
    s.keys("f");
    assert!(s.app.left.is_none(), "f comes back to the cursor");
    s.keys("e");
    assert!(s.app.by_role);
    s.keys("e");
    assert!(!s.app.by_role);
    s.keys("x");
    assert!(s.app.chosen().is_some(), "x chooses who waited");
    s.keys("b");
    assert!(s.text().contains("blame"));
    s.keys("\x1b3");
    let first = |s: &Session| loopscope::tui::view::rows(&s.app)[0];
    let longest = first(&s);
    s.keys("o");
    assert_ne!(first(&s), longest, "by share another fd is first");
    s.keys("O");
    assert_eq!(first(&s), longest);
    s.keys("y");
    let copied = |e: &Effect| matches!(e, Effect::Copy(c) if c.starts_with("loopscope replay"));
    assert!(s.app.effects.iter().any(copied));
    s.keys("Y");
    assert!(s.app.effects.contains(&Effect::Picture));
    s.key(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(s.app.left_with.is_some());
}

#[test]
fn zooming_while_following_goes_on_following() {
    let mut s = Session::live(Script::default(), 80, 24);
    s.keys("2");
    let wide = s.app.window_key();
    s.keys("w");
    let narrow = s.app.window_key();
    assert!(narrow.width < wide.width && narrow.follow);
    assert!(s.app.following);
    s.keys("s");
    assert_eq!(s.app.window_key().width, wide.width);
}

#[test]
fn the_moments_around_a_turn_that_is_held_are_those() {
    let mut s = Session::live(Script::default(), 200, 60);
    for visits in 0..2 {
        s.frame();
        let held = s.app.held.as_ref().expect("a loop this fast is held").t;
        let (from, to) = s.app.player.window().expect("a window").span();
        assert!(
            (from..to).contains(&held),
            "{held} is not in {from}..{to} after {visits} visits of the timeline"
        );
        assert!(!s.app.window_key().follow);
        // The timeline itself goes on following.
        s.keys("2");
        assert!(s.app.held.is_none() && s.app.window_key().follow);
        s.keys("1");
    }
}

#[test]
fn many_fds_leave_a_lane_for_the_others() {
    use loopscope::tui::view::lanes::{Lane, lanes};
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("94ms").keys("2");
    s.frame();
    let all = lanes(&s.app, 20);
    assert!(all.iter().all(|l| l.fd().is_some()));
    let few = lanes(&s.app, 3);
    assert_eq!(few.len(), 3);
    let Some(Lane::Many { name, members }) = few.last() else {
        panic!("{few:?}");
    };
    assert_eq!(members.len(), all.len() - 2);
    assert_eq!(*name, format!("{} others", members.len()));
    // Who ran most is told apart, whatever its number is.
    let flood = s
        .app
        .regs()
        .into_iter()
        .max_by_key(|r| r.run_ns)
        .unwrap()
        .id;
    assert!(few.contains(&Lane::Fd(flood)));
    // Together they are everything.
    s.keys("e");
    let members = |l: &Lane| match l {
        Lane::Fd(_) => 0,
        Lane::Many { members, .. } => members.len(),
    };
    let by_role: usize = lanes(&s.app, 20).iter().map(members).sum();
    assert_eq!(by_role, all.len());
}

#[test]
fn a_selected_stretch_fills_the_window() {
    let mut s = Session::new(Script::default(), 80, 24);
    s.go("40ms").keys("2ff");
    let (t, cell) = (s.app.t(), s.app.window_key().width);
    s.keys("v");
    assert!(s.text().contains("selects cell by cell"), "{}", s.text());
    s.keys("\n");
    assert_eq!(s.app.view, View::Timeline, "an empty stretch is no window");
    s.keys("→→→");
    let text = s.text();
    assert_eq!(s.app.selected(), Some((t, t + 3 * cell)));
    assert!(text.contains("selected ") && text.contains("==="), "{text}");
    // To the other side of where it began.
    s.keys("←←←←←");
    assert_eq!(s.app.selected(), Some((t - 2 * cell, t)));
    s.keys("\n");
    let key = s.app.window_key();
    assert!(key.width < cell && s.app.selected().is_none());
    assert!(key.from() <= t - 2 * cell && t <= key.to(), "{key:?}");
    // Esc ends it without a zoom, another screen too.
    s.keys("v→\x1b");
    assert_eq!(
        (s.app.selected(), s.app.window_key().width),
        (None, key.width)
    );
    s.keys("v→3");
    assert!(s.app.selected().is_none());
}

#[test]
fn who_comes_after_the_window_was_opened_has_a_lane_too() {
    use loopscope::record::event::{Ctl, Event, FdKind, Kind};
    let mut s = Session::live(Script::default(), 120, 40);
    s.keys("2");
    let t = s.app.player.duration() + 20_000_000_000;
    let event = |kind| Event {
        t,
        kind,
        thread: 1,
        fd: 77,
        ..Event::default()
    };
    let ctl = |kind| Event {
        aux: Ctl::Add.code(),
        y: 4,
        arg: 77,
        ..event(kind)
    };
    let open = Event {
        aux: FdKind::Eventfd.code(),
        x: -1,
        ..event(Kind::FdOpen)
    };
    let begin = Event {
        x: 1,
        ..ctl(Kind::CtlBegin)
    };
    let writer = s.writer.as_mut().unwrap();
    for event in [open, begin, ctl(Kind::CtlEnd)] {
        writer.write(&event, b"");
    }
    writer.seal();
    s.app.data().unwrap();
    for _ in 0..20 {
        s.frame();
    }
    let text = s.text();
    let lane = text.lines().find(|l| l.contains("77 eventfd"));
    assert!(lane.is_some_and(|l| l.contains('│')), "{text}");
    assert!(text.contains("19 s"), "the window has moved on: {text}");
}
