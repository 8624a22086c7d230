//! The UI's whole state. It changes in [`App::update`] (a [`Message`]), [`App::tick`] (time passes while playing) and
//! [`App::data`] (the recording has grown), and nowhere else; screens are drawn from `&App`.

pub mod beside;
mod choose;
pub mod code;
pub mod computed;
mod findings;
pub mod knobs;
pub mod known;
mod latency;
mod later;
pub mod lesson;
mod line;
mod places;
mod prepare;
mod rows;
mod select;
mod shown;
mod span;
mod time;
mod worst;

use super::cost::Cost;
use super::filter::Filter;
use super::hold::Held;
use super::message::{Ask, Leave, Message, Pace, Shown, View};
use super::player::{Player, Row};
use super::theme::Look;
use super::{Options, keymap, live::Live, names::Names};
use crate::model::{Id, Registration};
use crate::trace::Error;
use code::{Files, Source};
use places::Places;
pub use time::SPEEDS;
use time::{REAL, SLOW};
use tui_input::Input;

/// What takes the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The screen.
    Normal,
    /// A box over the screen.
    Popup(Popup),
    /// A line that is being typed.
    Asking(Ask),
    /// The child's terminal.
    Typing,
    /// The knobs of a demo, and the screen for every key that they do not take.
    Knobs,
    /// The question on leaving.
    Leaving,
}

/// Boxes over the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popup {
    /// All keys.
    Help,
    /// What is this?
    Explain,
    /// What ran before this.
    Blame,
}

/// What the main loop has to do for the UI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put this on the clipboard.
    Copy(String),
    /// Save the frame as a picture.
    Picture,
    /// Draw everything again.
    Redraw,
    /// Stop the process.
    Suspend,
}

/// See the [module](self).
pub struct App {
    /// The recording and the cursor in it.
    pub player: Player,
    /// The recorded program, if it was launched by us.
    pub live: Option<Live>,
    /// The screen shown.
    pub view: View,
    /// The screens before it, for Esc.
    pub before: Vec<View>,
    /// The loop shown.
    pub loop_id: Id,
    /// Somebody chose it.
    pub loop_chosen: bool,
    /// The chosen fd.
    pub chosen: Option<Id>,
    /// The chosen finding.
    pub finding: usize,
    /// The chosen pane of the screen.
    pub pane: usize,
    /// For a projector: painted, few regions.
    pub stage: bool,
    /// What takes the keys.
    pub mode: Mode,
    /// First line shown of a popup, chosen line of the palette.
    pub scroll: usize,
    /// The line being typed.
    pub input: Input,
    /// Why the line is not right, and from which column on.
    pub wrong: Option<(String, usize)>,
    /// The filter.
    pub filter: Option<Filter>,
    /// One line to the person, until the next key.
    pub note: Option<String>,
    /// Time passes.
    pub playing: bool,
    /// The cursor stays at the end of a growing recording.
    pub following: bool,
    /// Index into [`SPEEDS`].
    pub speed: usize,
    /// What play follows.
    pub pace: Pace,
    /// Moments the person marked.
    pub marks: Vec<u64>,
    /// The timeline has a lane a role, not an fd.
    pub by_role: bool,
    /// Nanoseconds across the timeline; nothing: fit.
    pub span: Option<u64>,
    /// First instant on the timeline when panned.
    pub left: Option<u64>,
    /// Where the selected stretch of the timeline begins; it ends at the cursor.
    pub anchor: Option<u64>,
    /// The stretch of time that the Latency screen shows; nothing: all of it.
    pub latency: Option<(u64, u64)>,
    /// The sorted column of a table, and whether from large to small.
    pub sort: (usize, bool),
    /// Live: the worst turn of the last second, held.
    pub held: Option<Held>,
    /// Where recorded events of the log are shown from.
    pub log: Vec<Row>,
    /// Number of the event the log stands at when it was scrolled away from the cursor.
    pub log_at: Option<u64>,
    /// Labels of the loop's fds.
    pub names: Names,
    /// The lesson a demo attached.
    pub lecture: Option<lesson::Lecture>,
    /// The other recording on the timeline's clock, while it is shown.
    pub beside: Option<beside::Beside>,
    /// What this is told by the recording that it stands beside.
    pub led: beside::Led,
    /// What can be turned while a demo runs.
    pub knobs: knobs::Knobs,
    /// The source a demo attached: name and lines.
    pub source: Option<Source>,
    /// The recorded terminal at the cursor, when the child is not ours.
    pub output: super::live::Output,
    /// File and line that the latest event at the cursor was called from, for the source screen.
    pub line: Option<(String, u32)>,
    /// Source files of this machine.
    pub files: Files,
    /// What code the call sites are.
    pub places: Places,
    /// Live: nanoseconds since the recording last grew; a sleep lasts though nothing is recorded.
    pub idle: u64,
    /// What the terminal can show.
    pub look: Look,
    /// How it was started.
    pub options: Options,
    /// What we cost, once it is known.
    pub cost: Option<Cost>,
    /// For the main loop.
    pub effects: Vec<Effect>,
    /// The person has left.
    pub left_with: Option<Leave>,
    /// The size of the frame last drawn.
    pub size: (u16, u16),
}

impl App {
    /// At the first moment of a recording; live: at its end.
    pub fn new(
        player: Player,
        live: Option<Live>,
        options: Options,
        look: Look,
    ) -> Result<Self, Error> {
        let following = !player.ended();
        let mut app = App {
            player,
            live,
            view: View::default(),
            before: Vec::new(),
            loop_id: 0,
            loop_chosen: false,
            chosen: None,
            finding: 0,
            pane: 0,
            mode: Mode::Normal,
            stage: options.stage,
            scroll: 0,
            input: Input::default(),
            wrong: None,
            filter: None,
            note: None,
            playing: false,
            following,
            speed: if following { REAL } else { SLOW },
            pace: Pace::default(),
            marks: Vec::new(),
            by_role: false,
            span: None,
            left: None,
            anchor: None,
            latency: None,
            sort: (0, true),
            held: None,
            log: Vec::new(),
            log_at: None,
            names: Names::default(),
            lecture: None,
            beside: None,
            led: beside::Led::default(),
            knobs: knobs::Knobs::default(),
            source: None,
            output: super::live::Output::default(),
            line: None,
            files: Files::default(),
            places: Places::default(),
            idle: 0,
            look: Look {
                theme: options.theme.unwrap_or(look.theme),
                ..look
            },
            options,
            cost: None,
            effects: Vec::new(),
            left_with: None,
            size: (80, 24),
        };
        for (name, bytes) in app.player.reader_mut().attachments()? {
            if name == crate::symbols::ATTACHMENT {
                app.places.read(&bytes);
            } else if name == "lesson.md" {
                // One that cannot be read is a text, and no lesson to step through.
                let text = String::from_utf8(bytes).unwrap_or_default();
                app.lecture = app.lesson_of(&text);
            } else if name.ends_with(".rs")
                && let Ok(text) = String::from_utf8(bytes)
            {
                let lines = text.lines().map(str::to_owned).collect();
                app.source.get_or_insert(Source {
                    name,
                    lines,
                    changed: false,
                });
            }
        }
        if let Some(text) = app.options.lesson {
            app.lecture = app.lesson_of(text);
        }
        if let Some(lecture) = &app.lecture {
            app.knobs = knobs::Knobs::new(lecture.lesson.knobs.clone(), &app.options);
        }
        if app.following {
            app.player.follow()?;
        }
        Ok(app)
    }

    /// How many panes this screen has.
    pub fn panes(&self) -> usize {
        match self.view {
            View::Fd => 2,
            _ => 1,
        }
    }

    /// Whether an fd passes the filter, if there is one.
    pub fn passes(&self, reg: &Registration) -> Option<bool> {
        Some(self.filter.as_ref()?.matches_reg(self, reg))
    }

    /// Esc leads somewhere.
    pub fn can_go_back(&self) -> bool {
        self.filter.is_some()
            || self.anchor.is_some()
            || !self.before.is_empty()
            || self.left.is_some()
            || self.held.is_some()
    }

    /// The child's terminal can take keys.
    pub fn takes_keys(&self) -> bool {
        self.live.as_ref().is_some_and(Live::takes_keys)
    }

    /// The recording still grows.
    pub fn is_live(&self) -> bool {
        !self.player.ended()
    }

    /// One change.
    pub fn update(&mut self, message: Message) -> Result<(), Error> {
        self.note = None;
        match message {
            Message::Play => self.play()?,
            Message::Step(by) if self.anchor.is_some() => self.widen(by)?,
            Message::Step(by) => self.step(by)?,
            Message::Select => self.select(),
            Message::Turn(by) => {
                let loop_id = self.loop_id;
                let mut found = false;
                self.travel(|p| p.turn(loop_id, by).map(|f| found = f))?;
                if !found {
                    let side = if by > 0 { "after" } else { "before" };
                    self.say(format!("no turn of this loop {side} this moment"));
                }
            }
            Message::Match(by) if self.filter.is_none() => self.next_finding(by)?,
            Message::Match(by) => self.next_match(by)?,
            Message::First => self.first()?,
            Message::Last => self.last()?,
            Message::Speed(by) => {
                let last = SPEEDS.len() as i64 - 1;
                let to = (self.speed as i64 + i64::from(by)).clamp(0, last) as usize;
                self.say(match to == self.speed {
                    true if by > 0 => "it plays no faster".to_owned(),
                    true => "it plays no slower".to_owned(),
                    false => format!("plays at {}", super::view::speed(to)),
                });
                self.speed = to;
            }
            Message::Pace => {
                self.pace = self.pace.next();
                self.say(format!("pace: {}", self.pace.name()));
            }
            Message::Mark => {
                let t = self.t();
                self.marks.push(t);
                self.marks.sort_unstable();
                self.marks.dedup();
                self.say("marked; M comes back here".to_owned());
            }
            Message::NextMark(by) => self.next_mark(by)?,
            Message::Show(view) => self.show(view),
            Message::Pane(by) => {
                let panes = self.panes() as i64;
                self.pane = (self.pane as i64 + i64::from(by)).rem_euclid(panes) as usize;
            }
            Message::Row(by) => self.row(by)?,
            Message::Lesson(by) => self.lesson_step(by)?,
            Message::Knobs => self.open_knobs(),
            Message::ChooseKnob(by) => self.choose_knob(by),
            Message::TurnKnob(by) => self.turn_knob(by)?,
            Message::Choose(choice) => self.lesson_answer(choice),
            Message::Other => self.left_with = Some(Leave::Other(self.as_shown())),
            Message::Beside => self.toggle_beside(),
            Message::Stage => self.stage = !self.stage,
            Message::Theme => {
                self.look.theme = self.look.theme.next();
                self.say(match self.look.colour {
                    true => format!("theme: {}", self.look.theme.name()),
                    false => "this terminal shows no colours, or NO_COLOR asks for none".to_owned(),
                });
            }
            Message::Page(by) => self.row(by * i64::from(self.size.1.saturating_sub(8).max(1)))?,
            Message::Open if self.anchor.is_some() && self.view == View::Latency => {
                self.latency_to_selected();
            }
            Message::Open if self.anchor.is_some() => self.zoom_to_selected(),
            Message::Open => self.open_row()?,
            Message::Back => self.back(),
            Message::Sort(by) => {
                let columns = super::view::fairness::COLUMNS.len() as i64;
                self.sort.0 = (self.sort.0 as i64 + i64::from(by)).rem_euclid(columns) as usize;
                self.sort.1 = super::view::fairness::COLUMNS[self.sort.0].falling;
            }
            Message::Loop(by) => {
                let loops = self.loops().max(1) as i64;
                self.loop_id = (i64::from(self.loop_id) + i64::from(by)).rem_euclid(loops) as Id;
                self.loop_chosen = true;
                self.chosen = None;
                let which = super::view::which::words(self, self.loop_id)
                    .into_iter()
                    .next();
                self.say(match which {
                    Some(which) => format!("loop {} of {loops}: {which}", self.loop_id + 1),
                    None => "there is no loop yet".to_owned(),
                });
            }
            Message::Zoom(by) => {
                let done = match self.view {
                    View::Latency => self.latency_zoom(by),
                    _ => self.zoom(by),
                };
                if !done {
                    let end = if by > 0 { "closer" } else { "further out" };
                    self.say(format!("it goes no {end}"));
                }
            }
            Message::Pan(by) => {
                let done = match self.view {
                    View::Latency => self.latency_pan(by),
                    _ => self.pan(by),
                };
                if !done {
                    let end = if by > 0 { "end" } else { "start" };
                    self.say(format!("this is the recording's {end}"));
                }
            }
            Message::Group => {
                self.by_role = !self.by_role;
                self.say(match self.by_role {
                    true => "one lane a role: same listener, handler or peer".to_owned(),
                    false => "one lane an fd".to_owned(),
                });
            }
            Message::Fit if self.view == View::Latency => self.latency_fit(),
            Message::Fit => {
                let whole = self.whole();
                let turn = self.turn_span();
                let again = self.span == Some(turn);
                self.span = Some(if again { whole } else { turn });
                self.left = None;
                self.say(match again {
                    true => "the whole recording".to_owned(),
                    false => "the turns at the cursor; f again: everything".to_owned(),
                });
            }
            Message::Blame => self.popup(Popup::Blame),
            Message::Worst => self.worst()?,
            Message::Explain => self.popup(Popup::Explain),
            Message::Help => self.popup(Popup::Help),
            Message::Ask(ask) => {
                let text = match (ask, &self.filter) {
                    (Ask::Filter, Some(filter)) => filter.text.clone(),
                    _ => String::new(),
                };
                self.ask(ask, text);
            }
            Message::Edit(key) => {
                if let Some(request) = keymap::edit(key) {
                    self.input.handle(request);
                    self.edited();
                }
            }
            Message::Paste(text) => {
                for c in text.chars().filter(|c| !crate::text::is_hidden(*c)) {
                    self.input.handle(tui_input::InputRequest::InsertChar(c));
                }
                self.edited();
            }
            Message::Answer => self.answer()?,
            Message::CopyCommand => {
                let command = self.command();
                self.say(format!("copied: {command}"));
                self.effects.push(Effect::Copy(command));
            }
            Message::SavePicture => self.effects.push(Effect::Picture),
            Message::Focus(on) => {
                self.mode = if on && self.takes_keys() {
                    Mode::Typing
                } else {
                    Mode::Normal
                };
            }
            Message::Type(key) => {
                let sent = self.live.as_ref().is_some_and(|l| l.type_key(key));
                if !sent {
                    self.say("the program takes no keys now; F12 takes them back".to_owned());
                }
            }
            Message::Redraw => self.effects.push(Effect::Redraw),
            Message::Suspend => self.effects.push(Effect::Suspend),
            Message::Quit => self.quit(),
            Message::Leave(answer) => self.leave(answer),
        }
        Ok(())
    }

    /// How what comes after this shall be shown: as this is.
    fn as_shown(&self) -> Shown {
        Shown {
            stage: self.stage,
            theme: self.look.theme,
            lesson: self.lesson_at(),
            view: self.view,
            beside: self.beside.is_some(),
        }
    }

    /// Says one line to the person.
    pub fn say(&mut self, text: String) {
        self.note = Some(text);
    }
}
