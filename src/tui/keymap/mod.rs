//! Which key means what: one table, from which the footer, the help, the palette and the manual page come too.
//! Step: none of the pipeline; input → [`Message`].

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

mod table;
mod when;

pub use table::ACTIONS;

use super::app::{App, Mode, Popup};
use super::message::{Ask, Leave, Message};

/// The groups of the help, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Moving in time.
    Time,
    /// What to look at.
    Look,
    /// The timeline.
    Timeline,
    /// Reasons.
    Why,
    /// Keeping something.
    Keep,
    /// A demo and its lesson.
    Demo,
    /// The recorded program.
    Program,
}

impl Group {
    /// All groups.
    pub const ALL: [Group; 7] = [
        Group::Time,
        Group::Look,
        Group::Timeline,
        Group::Why,
        Group::Keep,
        Group::Demo,
        Group::Program,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Group::Time => "TIME",
            Group::Look => "LOOK",
            Group::Timeline => "TIMELINE",
            Group::Why => "WHY",
            Group::Keep => "KEEP",
            Group::Demo => "DEMO, LECTURE",
            Group::Program => "PROGRAM (screen 8)",
        }
    }
}

/// When an action can be done.
type When = fn(&App) -> bool;

/// One action: its keys, its message, its words.
pub struct Action {
    /// The keys as shown.
    pub keys: &'static str,
    /// The keys as pressed, the first one shown first.
    pub binds: &'static [Key],
    /// What the keys mean, one message a key.
    pub messages: fn(usize) -> Message,
    /// Two or three words for the footer.
    pub short: &'static str,
    /// One line for the help.
    pub help: &'static str,
    /// Its place in the help.
    pub group: Group,
    /// Whether it can be done now.
    pub when: When,
    /// The more, the earlier in the footer; 0 never.
    pub weight: fn(&App) -> u8,
}

/// A key with its modifiers; Shift is part of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(KeyCode, KeyModifiers);

const fn ch(c: char) -> Key {
    Key(KeyCode::Char(c), KeyModifiers::NONE)
}
const fn ctrl(c: char) -> Key {
    Key(KeyCode::Char(c), KeyModifiers::CONTROL)
}
const fn key(code: KeyCode) -> Key {
    Key(code, KeyModifiers::NONE)
}
const fn shift(code: KeyCode) -> Key {
    Key(code, KeyModifiers::SHIFT)
}

impl Key {
    /// As a press of it would be reported.
    pub fn press(self) -> KeyEvent {
        KeyEvent::new(self.0, self.1)
    }

    /// As the terminal reports it.
    pub fn of(event: KeyEvent) -> Key {
        let known = KeyModifiers::CONTROL | KeyModifiers::SHIFT | KeyModifiers::ALT;
        let mut modifiers = event.modifiers & known;
        let mut code = event.code;
        if matches!(code, KeyCode::Char(_)) {
            modifiers -= KeyModifiers::SHIFT;
        }
        // Shift-Tab has a code of its own.
        if code == KeyCode::BackTab {
            (code, modifiers) = (KeyCode::Tab, KeyModifiers::SHIFT);
        }
        Key(code, modifiers)
    }
}

/// What a key means now; nothing if it means nothing.
pub fn message(app: &App, event: KeyEvent) -> Option<Message> {
    let pressed = Key::of(event);
    let is = |k: Key| pressed == k;
    match app.mode {
        Mode::Typing if is(key(KeyCode::F(12))) => Some(Message::Focus(false)),
        Mode::Typing => Some(Message::Type(event)),
        Mode::Asking(_) if is(key(KeyCode::Enter)) => Some(Message::Answer),
        Mode::Asking(_) if is(key(KeyCode::Esc)) || is(ctrl('c')) => Some(Message::Back),
        Mode::Asking(Ask::Palette) if is(key(KeyCode::Down)) => Some(Message::Row(1)),
        Mode::Asking(Ask::Palette) if is(key(KeyCode::Up)) => Some(Message::Row(-1)),
        Mode::Asking(_) => Some(Message::Edit(event)),
        Mode::Leaving => leaving(pressed),
        // It covers the screen: nothing is to move under it unseen.
        Mode::Popup(Popup::Help) => popup(pressed).or_else(|| {
            table(app, pressed)
                .filter(|m| matches!(m, Message::Help | Message::Quit | Message::Theme))
        }),
        Mode::Popup(_) => popup(pressed).or_else(|| table(app, pressed)),
        Mode::Knobs => knobs(pressed).or_else(|| table(app, pressed)),
        Mode::Normal => table(app, pressed),
    }
}

/// The arrows turn; every other key means what it always means.
fn knobs(pressed: Key) -> Option<Message> {
    Some(match pressed.0 {
        _ if pressed.1 != KeyModifiers::NONE => return None,
        KeyCode::Down | KeyCode::Char('j') => Message::ChooseKnob(1),
        KeyCode::Up | KeyCode::Char('k') => Message::ChooseKnob(-1),
        KeyCode::Right => Message::TurnKnob(1),
        KeyCode::Left => Message::TurnKnob(-1),
        KeyCode::Enter => Message::Knobs,
        _ => return None,
    })
}

/// What a key does to a line being typed: the keys of readline.
pub fn edit(event: KeyEvent) -> Option<tui_input::InputRequest> {
    use tui_input::InputRequest as R;
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match (event.code, control) {
        (KeyCode::Char('a'), true) | (KeyCode::Home, _) => R::GoToStart,
        (KeyCode::Char('e'), true) | (KeyCode::End, _) => R::GoToEnd,
        (KeyCode::Char('b'), true) => R::GoToPrevChar,
        (KeyCode::Char('f'), true) => R::GoToNextChar,
        (KeyCode::Char('w'), true) => R::DeletePrevWord,
        (KeyCode::Char('u'), true) => R::DeleteLine,
        (KeyCode::Char('k'), true) => R::DeleteTillEnd,
        (KeyCode::Char('h'), true) | (KeyCode::Backspace, _) => R::DeletePrevChar,
        (KeyCode::Delete, _) => R::DeleteNextChar,
        (KeyCode::Left, true) => R::GoToPrevWord,
        (KeyCode::Right, true) => R::GoToNextWord,
        (KeyCode::Left, false) => R::GoToPrevChar,
        (KeyCode::Right, false) => R::GoToNextChar,
        (KeyCode::Char(c), false) => R::InsertChar(c),
        _ => return None,
    })
}

fn leaving(pressed: Key) -> Option<Message> {
    let answer = match pressed.0 {
        KeyCode::Char('l') => Leave::Leave,
        KeyCode::Char('e' | 'y') => Leave::End,
        KeyCode::Char('c' | 'n' | 'q') | KeyCode::Esc => Leave::Cancel,
        _ => return None,
    };
    Some(Message::Leave(answer))
}

fn popup(pressed: Key) -> Option<Message> {
    Some(match pressed.0 {
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') => Message::Back,
        KeyCode::Down | KeyCode::Char('j') => Message::Row(1),
        KeyCode::Up | KeyCode::Char('k') => Message::Row(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Message::Page(1),
        KeyCode::PageUp => Message::Page(-1),
        _ => return None,
    })
}

fn table(app: &App, pressed: Key) -> Option<Message> {
    ACTIONS
        .iter()
        .filter(|a| (a.when)(app))
        .find_map(|a| Some((a.messages)(a.binds.iter().position(|b| *b == pressed)?)))
}

/// The actions for the footer, the most useful first.
pub fn footer(app: &App) -> Vec<&'static Action> {
    let mut now: Vec<&Action> = ACTIONS
        .iter()
        .filter(|a| (a.when)(app) && (a.weight)(app) > 0)
        .collect();
    now.sort_by_key(|a| std::cmp::Reverse((a.weight)(app)));
    now
}

/// The table as text, for the manual page.
pub fn manual() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let of = |group| ACTIONS.iter().filter(move |a| a.group == group);
    Group::ALL
        .iter()
        .map(|g| (g.title(), of(*g).map(|a| (a.keys, a.help)).collect()))
        .collect()
}
