//! The table of actions. Step: none of the pipeline; input → [`Message`].

use super::{Action, Group, ch, ctrl, key, shift};
use crate::tui::app::App;
use crate::tui::message::{Ask, Message, View};
use crossterm::event::KeyCode;

fn always(_: &App) -> bool {
    true
}
fn never(_: &App) -> u8 {
    0
}
fn on_timeline(app: &App) -> bool {
    app.view == View::Timeline
}
fn zooms(app: &App) -> bool {
    matches!(app.view, View::Timeline | View::Latency)
}
fn has_rows(app: &App) -> bool {
    app.view != View::Code
}
fn has_filter(app: &App) -> bool {
    app.filter.is_some()
}
fn leads_on(app: &App) -> bool {
    has_filter(app) || !app.findings().is_empty()
}
fn has_marks(app: &App) -> bool {
    use crate::tui::view::marks::{Lane, any};
    !app.marks.is_empty() || any(app, Lane::Spans) || any(app, Lane::Marks)
}
fn has_table(app: &App) -> bool {
    matches!(app.view, View::Fairness | View::Fd)
}
fn has_child(app: &App) -> bool {
    app.view == View::Code && app.takes_keys()
}

/// Signs of the pairs: the first key of an action goes on, the second back, and so on alternately.
fn sign(i: usize) -> i64 {
    if i.is_multiple_of(2) { 1 } else { -1 }
}

/// The table.
pub const ACTIONS: &[Action] = &[
    // Before the screens, whose digits it takes while a question is open.
    Action {
        keys: "1 ... 4",
        binds: &[ch('1'), ch('2'), ch('3'), ch('4')],
        messages: Message::Choose,
        short: "answer",
        help: "answer the open question",
        group: Group::Demo,
        when: |app| app.lecture.as_ref().is_some_and(|l| l.open() > 0),
        weight: |_| 98,
    },
    Action {
        keys: "Space",
        binds: &[ch(' ')],
        messages: |_| Message::Play,
        short: "play",
        help: "freeze / play (live: freeze / follow)",
        group: Group::Time,
        when: always,
        weight: |_| 100,
    },
    Action {
        keys: "← →",
        binds: &[key(KeyCode::Right), key(KeyCode::Left), ch('.'), ch(',')],
        messages: |i| Message::Step(sign(i)),
        short: "event",
        help: "one event back / on (also , .)",
        group: Group::Time,
        when: always,
        weight: |_| 90,
    },
    Action {
        keys: "Shift ← →",
        binds: &[
            shift(KeyCode::Right),
            shift(KeyCode::Left),
            ch(']'),
            ch('['),
        ],
        messages: |i| Message::Turn(sign(i)),
        short: "turn",
        help: "one turn back / on (also [ ])",
        group: Group::Time,
        when: always,
        weight: |_| 89,
    },
    Action {
        keys: "n N",
        binds: &[ch('n'), ch('N')],
        messages: |i| Message::Match(sign(i)),
        short: "next",
        help: "next / previous run that matches the filter; without one, next / previous finding",
        group: Group::Time,
        when: leads_on,
        weight: |_| 85,
    },
    Action {
        keys: "g G",
        binds: &[ch('g'), ch('G'), key(KeyCode::Home), key(KeyCode::End)],
        messages: |i| {
            if i % 2 == 0 {
                Message::First
            } else {
                Message::Last
            }
        },
        short: "first/last",
        help: "first / last moment (live: now, follow)",
        group: Group::Time,
        when: always,
        weight: |_| 30,
    },
    Action {
        keys: "t",
        binds: &[ch('t')],
        messages: |_| Message::Ask(Ask::Time),
        short: "to a time",
        help: "to 1.25s, 50%, -10s, event:9, iteration:0:7",
        group: Group::Time,
        when: always,
        weight: |_| 20,
    },
    Action {
        keys: "- +",
        binds: &[ch('+'), ch('-'), ch('='), ch('_')],
        messages: |i| Message::Speed(sign(i) as i32),
        short: "speed",
        help: "slower / faster",
        group: Group::Time,
        when: always,
        weight: |_| 35,
    },
    Action {
        keys: "p",
        binds: &[ch('p')],
        messages: |_| Message::Pace,
        short: "pace",
        help: "pace: the clock, event by event, skip idle time",
        group: Group::Time,
        when: always,
        weight: never,
    },
    Action {
        keys: "m M",
        binds: &[ch('m'), ch('M')],
        messages: |i| {
            if i == 0 {
                Message::Mark
            } else {
                Message::NextMark(1)
            }
        },
        short: "mark",
        help: "mark this moment / to the next mark",
        group: Group::Time,
        when: always,
        weight: never,
    },
    Action {
        keys: "u U",
        binds: &[ch('u'), ch('U')],
        messages: |i| Message::NextMark(sign(i)),
        short: "mark",
        help: "next / previous mark, yours or the program's",
        group: Group::Time,
        when: always,
        weight: |app| {
            if has_marks(app) { 83 } else { 0 }
        },
    },
    Action {
        keys: "1 ... 8",
        binds: &[
            ch('1'),
            ch('2'),
            ch('3'),
            ch('4'),
            ch('5'),
            ch('6'),
            ch('7'),
            ch('8'),
        ],
        messages: |i| Message::Show(View::ALL[i].0),
        short: "screens",
        help: "the screens",
        group: Group::Look,
        when: always,
        weight: |_| 25,
    },
    Action {
        keys: "Tab",
        binds: &[key(KeyCode::Tab), shift(KeyCode::Tab)],
        messages: |i| Message::Pane(sign(i) as i32),
        short: "pane",
        help: "next pane (Shift: previous)",
        group: Group::Look,
        when: |app| app.panes() > 1,
        weight: |_| 40,
    },
    Action {
        keys: "↑ ↓",
        binds: &[key(KeyCode::Down), key(KeyCode::Up), ch('j'), ch('k')],
        messages: |i| Message::Row(sign(i)),
        short: "row",
        help: "choose a row (also j k)",
        group: Group::Look,
        when: has_rows,
        weight: |app| if app.view == View::Loop { 45 } else { 88 },
    },
    Action {
        keys: "PgUp PgDn",
        binds: &[key(KeyCode::PageDown), key(KeyCode::PageUp)],
        messages: |i| Message::Lesson(sign(i)),
        short: "lesson",
        help: "next / previous step of the lesson",
        group: Group::Demo,
        when: |app| app.lecture.is_some(),
        weight: |_| 99,
    },
    Action {
        keys: "F5",
        binds: &[key(KeyCode::F(5))],
        messages: |_| Message::Stage,
        short: "lecture",
        help: "for a projector: painted, few regions",
        group: Group::Demo,
        when: always,
        weight: |_| 5,
    },
    Action {
        keys: "r",
        binds: &[ch('r')],
        messages: |_| Message::Other,
        short: "repaired",
        help: "the demo's other side: repaired, or broken",
        group: Group::Demo,
        when: |app| app.options.demo,
        weight: |_| 97,
    },
    Action {
        keys: "PgUp PgDn",
        binds: &[key(KeyCode::PageDown), key(KeyCode::PageUp)],
        messages: |i| Message::Page(sign(i)),
        short: "page",
        help: "a page of rows up / down",
        group: Group::Look,
        when: has_rows,
        weight: never,
    },
    Action {
        keys: "Enter",
        binds: &[key(KeyCode::Enter)],
        messages: |_| Message::Open,
        short: "open",
        help: "open the chosen row",
        group: Group::Look,
        when: |app| {
            matches!(
                app.view,
                View::Loop | View::Timeline | View::Fairness | View::Findings | View::Events
            ) || app.anchor.is_some()
        },
        weight: |app| if app.view == View::Loop { 40 } else { 80 },
    },
    Action {
        keys: "Esc",
        binds: &[key(KeyCode::Esc), key(KeyCode::Backspace)],
        messages: |_| Message::Back,
        short: "back",
        help: "one step back; never quits",
        group: Group::Look,
        when: always,
        weight: |app| if app.can_go_back() { 60 } else { 0 },
    },
    Action {
        keys: "/",
        binds: &[ch('/')],
        messages: |_| Message::Ask(Ask::Filter),
        short: "filter",
        help: "filter: queue > 5ms && fd == 7",
        group: Group::Look,
        when: always,
        weight: |_| 50,
    },
    Action {
        keys: "o O",
        binds: &[ch('o'), ch('O')],
        messages: |i| Message::Sort(sign(i) as i32),
        short: "sort",
        help: "sort by the next / previous column",
        group: Group::Look,
        when: has_table,
        weight: |_| 78,
    },
    Action {
        keys: "l L",
        binds: &[ch('l'), ch('L')],
        messages: |i| Message::Loop(sign(i) as i32),
        short: "loop",
        help: "next / previous loop",
        group: Group::Look,
        when: |app| app.loops() > 1,
        weight: |_| 70,
    },
    Action {
        keys: "i",
        binds: &[ch('i')],
        messages: |_| Message::Explain,
        short: "what is this",
        help: "what is this? the word or state, in one sentence",
        group: Group::Look,
        when: always,
        weight: |_| 75,
    },
    Action {
        keys: "?",
        binds: &[ch('?'), key(KeyCode::F(1))],
        messages: |_| Message::Help,
        short: "keys",
        help: "all keys",
        group: Group::Look,
        when: always,
        weight: |_| 255,
    },
    Action {
        keys: ":",
        binds: &[ch(':')],
        messages: |_| Message::Ask(Ask::Palette),
        short: "palette",
        help: "find an action by its name",
        group: Group::Look,
        when: always,
        weight: |_| 15,
    },
    Action {
        keys: "q",
        binds: &[ch('q')],
        messages: |_| Message::Quit,
        short: "quit",
        help: "quit; asks if a program runs",
        group: Group::Look,
        when: always,
        weight: |_| 65,
    },
    Action {
        keys: "w s",
        binds: &[ch('w'), ch('s')],
        messages: |i| Message::Zoom(sign(i) as i32),
        short: "zoom",
        help: "zoom in / out",
        group: Group::Timeline,
        when: zooms,
        weight: |_| 87,
    },
    Action {
        keys: "a d",
        binds: &[ch('d'), ch('a')],
        messages: |i| Message::Pan(sign(i) as i32),
        short: "pan",
        help: "pan left / right",
        group: Group::Timeline,
        when: zooms,
        weight: |_| 86,
    },
    Action {
        keys: "f",
        binds: &[ch('f')],
        messages: |_| Message::Fit,
        short: "fit",
        help: "fit the turn at the cursor; again: everything",
        group: Group::Timeline,
        when: zooms,
        weight: |_| 84,
    },
    Action {
        keys: "v",
        binds: &[ch('v')],
        messages: |_| Message::Select,
        short: "select",
        help: "select a stretch: arrows widen it, Enter zooms to it",
        group: Group::Timeline,
        when: zooms,
        weight: |_| 45,
    },
    Action {
        keys: "e",
        binds: &[ch('e')],
        messages: |_| Message::Group,
        short: "by role",
        help: "one lane an fd / one a role (listener, handler, peer)",
        group: Group::Timeline,
        when: on_timeline,
        weight: |app| {
            if app.regs_unsorted().nth(8).is_some() {
                85
            } else {
                40
            }
        },
    },
    Action {
        keys: "b",
        binds: &[ch('b')],
        messages: |_| Message::Blame,
        short: "blame",
        help: "blame: what ran before this",
        group: Group::Why,
        when: always,
        weight: |_| 82,
    },
    Action {
        keys: "x",
        binds: &[ch('x')],
        messages: |_| Message::Worst,
        short: "worst wait",
        help: "to the worst wait in view",
        group: Group::Why,
        when: always,
        weight: |_| 81,
    },
    Action {
        keys: "y",
        binds: &[ch('y')],
        messages: |_| Message::CopyCommand,
        short: "copy",
        help: "copy the command that shows this view",
        group: Group::Keep,
        when: always,
        weight: |_| 10,
    },
    Action {
        keys: "Y",
        binds: &[ch('Y')],
        messages: |_| Message::SavePicture,
        short: "picture",
        help: "save this view as a picture",
        group: Group::Keep,
        when: |app| app.options.picture.is_some(),
        weight: never,
    },
    Action {
        keys: "Enter",
        binds: &[key(KeyCode::Enter)],
        messages: |_| Message::Focus(true),
        short: "type to the program",
        help: "type to the program",
        group: Group::Program,
        when: has_child,
        weight: |_| 95,
    },
    Action {
        keys: "F12",
        binds: &[key(KeyCode::F(12))],
        messages: |_| Message::Focus(false),
        short: "take the keys back",
        help: "take the keys back",
        group: Group::Program,
        when: has_child,
        weight: never,
    },
    Action {
        keys: "Ctrl-L",
        binds: &[ctrl('l')],
        messages: |_| Message::Redraw,
        short: "redraw",
        help: "draw the screen again",
        group: Group::Program,
        when: always,
        weight: never,
    },
    Action {
        keys: "Ctrl-C",
        binds: &[ctrl('c')],
        messages: |_| Message::Quit,
        short: "quit",
        help: "to the program while it has the keys; else quit",
        group: Group::Program,
        when: always,
        weight: never,
    },
    Action {
        keys: "Ctrl-Z",
        binds: &[ctrl('z')],
        messages: |_| Message::Suspend,
        short: "suspend",
        help: "suspend loopscope",
        group: Group::Program,
        when: always,
        weight: never,
    },
];
