//! The UI's whole state. It changes in [`App::update`] (a [`Message`]), [`App::tick`] (time passes while playing) and
//! [`App::data`] (the recording has grown), and nowhere else; screens are drawn from `&App`.

use super::filter::Filter;
use super::hold::Held;
use super::message::{Ask, Leave, Message, Pace, View};
use super::player::{Facts, Key, Player, Row};
use super::theme::Look;
use super::{Options, keymap, live::Live, names::Names};
use crate::model::{Id, Loop, Model, Registration};
use crate::trace::Error;
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

/// Speeds as (recorded, shown): 1 s of recording takes `shown ÷ recorded` seconds.
pub const SPEEDS: [(u64, u64); 13] = [
    (1, 10_000),
    (1, 3_000),
    (1, 1_000),
    (1, 300),
    (1, 100),
    (1, 30),
    (1, 10),
    (1, 3),
    (1, 1),
    (3, 1),
    (10, 1),
    (30, 1),
    (100, 1),
];
/// 1:100.
const SLOW: usize = 4;
/// 1:1.
const REAL: usize = 8;

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
    /// The chosen fd.
    pub chosen: Option<Id>,
    /// The chosen pane of the screen.
    pub pane: usize,
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
    /// Nanoseconds across the timeline; nothing: fit.
    pub span: Option<u64>,
    /// First instant on the timeline when panned.
    pub left: Option<u64>,
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
    /// The source a demo attached: name and lines.
    pub source: Option<(String, Vec<String>)>,
    /// The recorded terminal at the cursor, when the child is not ours.
    pub output: super::live::Output,
    /// The call site of the latest event at the cursor, for the source screen.
    pub site: Option<u16>,
    /// What the terminal can show.
    pub look: Look,
    /// How it was started.
    pub options: Options,
    /// CPU of collector and UI, in parts of one core.
    pub cost: Option<f64>,
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
            chosen: None,
            pane: 0,
            mode: Mode::Normal,
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
            span: None,
            left: None,
            sort: (0, true),
            held: None,
            log: Vec::new(),
            log_at: None,
            names: Names::default(),
            source: None,
            output: super::live::Output::default(),
            site: None,
            look,
            options,
            cost: None,
            effects: Vec::new(),
            left_with: None,
            size: (80, 24),
        };
        app.source =
            app.player
                .reader_mut()
                .attachments()?
                .into_iter()
                .find_map(|(name, bytes)| {
                    let text = String::from_utf8(bytes).ok()?;
                    name.ends_with(".rs")
                        .then(|| (name, text.lines().map(str::to_owned).collect()))
                });
        if app.following {
            app.player.seek_end()?;
        }
        Ok(app)
    }

    /// The model shown: at the cursor, or at the held turn.
    pub fn model(&self) -> &Model {
        match &self.held {
            Some(held) => &held.folder.model,
            None => self.player.model(),
        }
    }

    /// What happened up to the instant shown.
    pub fn tail(&self) -> &Facts {
        match &self.held {
            Some(held) => &held.facts,
            None => self.player.tail(),
        }
    }

    /// The instant shown.
    pub fn t(&self) -> u64 {
        match &self.held {
            Some(held) => held.t,
            None => self.player.t(),
        }
    }

    /// How many loops there are at the instant shown.
    pub fn loops(&self) -> usize {
        self.model().loops().len()
    }

    /// The loop shown.
    pub fn the_loop(&self) -> Option<&Loop> {
        self.model().loops().get(self.loop_id as usize)
    }

    /// Registrations of the loop shown, by fd number, live ones first.
    pub fn regs(&self) -> Vec<&Registration> {
        let mine = self.model().regs().filter(|r| r.loop_id == self.loop_id);
        let mut regs: Vec<&Registration> = mine.collect();
        regs.sort_by_key(|r| (!r.is_live(), r.fd, r.id));
        regs
    }

    /// The chosen registration.
    pub fn chosen(&self) -> Option<&Registration> {
        let reg = self.model().reg(self.chosen?)?;
        (reg.loop_id == self.loop_id).then_some(reg)
    }

    /// How many panes this screen has.
    pub fn panes(&self) -> usize {
        match self.view {
            View::Fd => 2,
            _ => 1,
        }
    }

    /// Esc leads somewhere.
    pub fn can_go_back(&self) -> bool {
        self.filter.is_some()
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
            Message::Step(by) => self.travel(|p| p.step(by))?,
            Message::Turn(by) => {
                let loop_id = self.loop_id;
                let mut found = false;
                self.travel(|p| p.turn(loop_id, by).map(|f| found = f))?;
                if !found {
                    let side = if by > 0 { "after" } else { "before" };
                    self.say(format!("no turn of this loop {side} this moment"));
                }
            }
            Message::Match(by) => self.next_match(by)?,
            Message::First => self.travel(|p| {
                let first = p.reader().first();
                p.seek_event(first)
            })?,
            Message::Last => {
                self.travel(|p| p.seek_end())?;
                self.following = self.is_live();
            }
            Message::Speed(by) => {
                let last = SPEEDS.len() as i64 - 1;
                self.speed = (self.speed as i64 + i64::from(by)).clamp(0, last) as usize;
            }
            Message::Pace => self.pace = self.pace.next(),
            Message::Mark => {
                let t = self.t();
                self.marks.push(t);
                self.marks.sort_unstable();
                self.marks.dedup();
                self.say("marked; M comes back here".to_owned());
            }
            Message::NextMark => {
                let t = self.t();
                let next = self.marks.iter().find(|m| **m > t).or(self.marks.first());
                match next.copied() {
                    Some(mark) => self.travel(|p| p.seek(mark))?,
                    None => self.say("no mark yet; m marks a moment".to_owned()),
                }
            }
            Message::Show(view) => self.show(view),
            Message::Pane(by) => {
                let panes = self.panes() as i64;
                self.pane = (self.pane as i64 + i64::from(by)).rem_euclid(panes) as usize;
            }
            Message::Row(by) => self.row(by)?,
            Message::Page(by) => self.row(by * i64::from(self.size.1.saturating_sub(8).max(1)))?,
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
                self.chosen = None;
            }
            Message::Zoom(by) => self.zoom(by),
            Message::Pan(by) => {
                let key = self.window_key();
                let step = (key.to() - key.from()) / 4;
                let left = key
                    .from()
                    .saturating_add_signed(step as i64 * i64::from(by));
                self.left = Some(left.min(self.player.duration()));
            }
            Message::Fit => {
                let whole = self.whole();
                let turn = self.turn_span();
                self.span = if self.span == Some(turn) {
                    Some(whole)
                } else {
                    Some(turn)
                };
                self.left = None;
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

    /// Says one line to the person.
    pub fn say(&mut self, text: String) {
        self.note = Some(text);
    }

    /// A journey in time: stops play, follow and hold first.
    fn travel(&mut self, go: impl FnOnce(&mut Player) -> Result<(), Error>) -> Result<(), Error> {
        if let Some(held) = self.held.take() {
            self.player.seek_event(held.event)?;
            self.player.finish()?;
        }
        self.playing = false;
        self.following = false;
        self.log_at = None;
        go(&mut self.player)
    }

    fn play(&mut self) -> Result<(), Error> {
        if let Some(held) = &self.held {
            // Keep what is held: the cursor moves there.
            let event = held.event;
            self.travel(|p| p.seek_event(event))?;
            self.say("kept: the recording goes on, Space follows it again".to_owned());
        } else if self.player.interrupt() || self.following || self.playing {
            self.playing = false;
            self.following = false;
        } else if self.player.at_end() && self.is_live() {
            self.following = true;
            self.player.seek_end()?;
        } else if self.player.at_end() {
            self.say("the recording ends here; g goes to its start".to_owned());
        } else {
            self.playing = true;
        }
        Ok(())
    }

    /// Time passes while playing: so many nanoseconds of ours.
    pub fn tick(&mut self, ns: u64) -> Result<(), Error> {
        if !self.playing {
            return Ok(());
        }
        let (recorded, shown) = SPEEDS[self.speed];
        let passed = (u128::from(ns) * u128::from(recorded) / u128::from(shown)) as u64;
        match self.pace {
            Pace::Event => {
                // At 1:1 a hundred events a second.
                let events = (passed / 10_000_000).max(1);
                self.player.step(events as i64)?;
            }
            Pace::Clock | Pace::Skip => {
                let mut to = self.player.t() + passed.max(1);
                if self.pace == Pace::Skip
                    && let Some(next) = self.player.next_instant()?
                {
                    to = to.max(next);
                }
                self.player.advance(to);
            }
        }
        if self.player.at_end() {
            self.playing = false;
            self.following = self.is_live();
        }
        Ok(())
    }

    /// The recording has grown.
    pub fn data(&mut self) -> Result<(), Error> {
        let grown = self.player.refresh()?;
        if self.following {
            if grown || self.player.ended() {
                self.player.seek_end()?;
            }
            if self.player.ended() {
                self.following = false;
            }
        }
        Ok(())
    }

    fn show(&mut self, view: View) {
        if view != self.view {
            self.before.push(self.view);
            self.view = view;
            self.pane = 0;
            if self.before.len() > 32 {
                self.before.remove(0);
            }
        }
        self.held = None;
        if !matches!(self.mode, Mode::Leaving) {
            self.mode = Mode::Normal;
        }
    }

    fn popup(&mut self, popup: Popup) {
        self.mode = match self.mode {
            Mode::Popup(open) if open == popup => Mode::Normal,
            _ => Mode::Popup(popup),
        };
        self.scroll = 0;
    }

    fn back(&mut self) {
        if self.mode != Mode::Normal {
            self.mode = Mode::Normal;
            self.wrong = None;
        } else if self.player.interrupt() {
            self.say("stopped on the way".to_owned());
        } else if self.left.take().is_some() || self.log_at.take().is_some() {
        } else if let Some(view) = self.before.pop() {
            self.view = view;
            self.pane = 0;
        } else {
            self.filter = None;
        }
    }

    fn row(&mut self, by: i64) -> Result<(), Error> {
        match self.mode {
            Mode::Popup(_) | Mode::Asking(_) => {
                self.scroll = self.scroll.saturating_add_signed(by as isize);
            }
            _ if self.view == View::Events => {
                let at = self.log_at.unwrap_or(self.player.next());
                let reader = self.player.reader();
                let at = at.saturating_add_signed(by);
                self.log_at = Some(at.clamp(reader.first(), reader.end()));
            }
            _ => {
                let rows = super::view::rows(self);
                let at = rows.iter().position(|id| Some(*id) == self.chosen);
                let to = match at {
                    Some(at) => (at as i64 + by).clamp(0, rows.len() as i64 - 1) as usize,
                    None => 0,
                };
                self.chosen = rows.get(to).copied();
            }
        }
        Ok(())
    }

    fn open_row(&mut self) -> Result<(), Error> {
        if self.view == View::Events {
            if let Some(at) = self.log_at {
                self.travel(|p| p.seek_event(at + 1))?;
                self.show(View::Loop);
            }
            return Ok(());
        }
        if self.chosen.is_none() {
            self.row(1)?;
        }
        if self.chosen.is_some() {
            self.show(View::Fd);
        }
        Ok(())
    }

    /// The time a screen can show across; the whole recording.
    fn whole(&self) -> u64 {
        self.player.duration().max(1_000)
    }

    /// Five turns around the cursor, in round numbers.
    fn turn_span(&self) -> u64 {
        let turns = self.tail().turns_of(self.loop_id).take(5);
        let (mut from, mut to, mut n) = (u64::MAX, 0, 0);
        for turn in turns {
            from = from.min(turn.start);
            to = to.max(turn.end);
            n += 1;
        }
        let span = if n > 0 {
            (to - from).saturating_mul(2)
        } else {
            self.whole()
        };
        span.clamp(1_000, self.whole())
    }

    fn zoom(&mut self, by: i32) {
        let key = self.window_key();
        let span = key.to() - key.from();
        let span = if by > 0 {
            span / 2
        } else {
            span.saturating_mul(2)
        };
        self.span = Some(span.clamp(200, self.whole().saturating_mul(2)));
        // Around the cursor when it is in view, else around the middle.
        let t = self.t();
        if self.left.is_some() {
            let middle = if (key.from()..key.to()).contains(&t) {
                t
            } else {
                (key.from() + key.to()) / 2
            };
            self.left = Some(middle.saturating_sub(span / 2));
        }
    }

    /// Columns of the timeline at this size.
    pub fn columns(&self) -> usize {
        super::view::timeline::columns(self.size.0 as usize)
    }

    /// The window of time that the screen shows.
    pub fn window_key(&self) -> Key {
        let cols = self.columns().max(1);
        let follow = self.following && self.is_live();
        let span = match self.span {
            Some(span) => span,
            None if follow => 2_000_000_000,
            None => self.turn_span(),
        };
        let width = super::view::timeline::round_width(span.div_ceil(cols as u64));
        let t = self.t();
        let left = match self.left {
            Some(left) => left,
            None if follow => t.saturating_sub(width * (cols as u64 - 1)),
            // The cursor stands at two thirds; the window moves by eighths, so that it is not folded anew every step.
            None => {
                let lead = width * cols as u64 * 2 / 3;
                let step = (width * cols as u64 / 8).max(1);
                t.saturating_sub(lead).div_ceil(step) * step
            }
        };
        Key {
            loop_id: self.loop_id,
            width,
            first: if follow && self.left.is_none() {
                self.follow_from(width, cols)
            } else {
                left / width
            },
            cols,
            follow: follow && self.left.is_none(),
        }
    }

    /// A window that follows keeps the place it started from: it scrolls by itself.
    fn follow_from(&self, width: u64, cols: usize) -> u64 {
        let fresh = (self.t() / width + 1).saturating_sub(cols as u64);
        match self.player.window().map(|w| w.key) {
            Some(k)
                if k.follow && k.width == width && k.cols == cols && k.loop_id == self.loop_id =>
            {
                k.first
            }
            _ => fresh,
        }
    }

    fn worst(&mut self) -> Result<(), Error> {
        let in_window = self
            .player
            .window()
            .and_then(|w| w.painted().worst().copied());
        let wait = |r: &crate::model::Run| r.wait().map_or(r.queue(), |w| w.hi);
        let mine = self
            .tail()
            .runs
            .iter()
            .filter(|r| r.loop_id == self.loop_id);
        let found = match self.view {
            View::Timeline => in_window,
            _ => mine.max_by_key(|r| wait(r)).copied(),
        };
        let Some(run) = found else {
            self.say("no finished run in view".to_owned());
            return Ok(());
        };
        self.travel(|p| p.seek_event(run.event))?;
        self.chosen = Some(run.reg);
        self.say(format!(
            "the worst wait in view: {}; b shows what ran meanwhile",
            super::widget::text::time(wait(&run))
        ));
        Ok(())
    }

    fn next_match(&mut self, by: i64) -> Result<(), Error> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        match filter.find(&mut self.player, by)? {
            Some((event, reg)) => {
                self.travel(|p| p.seek_event(event + 1))?;
                self.chosen = Some(reg);
            }
            None => self.say("no further run matches the filter".to_owned()),
        }
        Ok(())
    }

    fn ask(&mut self, ask: Ask, text: String) {
        self.mode = Mode::Asking(ask);
        self.input = Input::new(text);
        self.scroll = 0;
        self.wrong = None;
    }

    fn edited(&mut self) {
        self.scroll = 0;
        self.wrong = match self.mode {
            Mode::Asking(Ask::Filter) => Filter::check(self.input.value()),
            _ => None,
        };
    }

    fn answer(&mut self) -> Result<(), Error> {
        let Mode::Asking(ask) = self.mode else {
            return Ok(());
        };
        let text = self.input.value().trim().to_owned();
        match ask {
            Ask::Filter if text.is_empty() => self.filter = None,
            Ask::Filter => match Filter::parse(&text) {
                Ok(filter) => self.filter = Some(filter),
                Err(wrong) => {
                    self.wrong = Some(wrong);
                    return Ok(());
                }
            },
            Ask::Time => match self.instant(&text)? {
                Ok(t) => self.travel(|p| match t {
                    super::when::To::Time(t) => p.seek(t),
                    super::when::To::Event(n) => p.seek_event(n + 1),
                })?,
                Err(why) => {
                    self.wrong = Some((why, 0));
                    return Ok(());
                }
            },
            Ask::Palette => {
                let found = super::view::palette::matches(self)
                    .into_iter()
                    .nth(self.scroll);
                self.mode = Mode::Normal;
                return match found {
                    Some(action) => self.update((action.messages)(0)),
                    None => Ok(()),
                };
            }
            Ask::Save => {
                let saved = match &self.live {
                    Some(live) if !text.is_empty() => live.control.save_as(text.as_ref()),
                    _ => Ok(()),
                };
                if let Err(error) = saved {
                    self.wrong = Some((format!("cannot create {text}: {error}"), 0));
                    return Ok(());
                }
                self.left_with = Some(Leave::Now);
            }
        }
        self.mode = Mode::Normal;
        Ok(())
    }

    fn instant(&mut self, text: &str) -> Result<Result<super::when::To, String>, Error> {
        super::when::resolve(&mut self.player, text)
    }

    fn quit(&mut self) {
        if self.live.as_ref().is_some_and(Live::is_running) {
            self.mode = Mode::Leaving;
        } else {
            self.leave(Leave::Now);
        }
    }

    fn leave(&mut self, answer: Leave) {
        match (answer, &self.live) {
            (Leave::Cancel, _) => {
                self.mode = Mode::Normal;
                return;
            }
            (Leave::Leave, Some(live)) => live.control.leave(),
            (Leave::End, Some(live)) => live.control.end(),
            _ => {}
        }
        if self.live.as_ref().is_some_and(|l| l.control.unsaved()) {
            self.ask(Ask::Save, String::new());
        } else {
            self.left_with = Some(answer);
        }
    }

    /// The command that shows this very view.
    pub fn command(&self) -> String {
        let mut words = vec![
            "loopscope".to_owned(),
            "replay".to_owned(),
            shell(&self.options.name),
        ];
        // Down to the event: several may share an instant.
        words.push(format!(
            "--at event:{}",
            self.player.next().saturating_sub(1)
        ));
        words.push(format!("--view {}", self.view.name()));
        if let Some(reg) = self.chosen() {
            words.push(format!("--fd {}", reg.fd));
        }
        if let Some(filter) = &self.filter {
            words.push(format!("--filter {}", shell(&filter.text)));
        }
        words.join(" ")
    }

    /// Gets ready what the screen needs before it is drawn at this size; true while there is more to do.
    pub fn prepare(&mut self, width: u16, height: u16) -> Result<bool, Error> {
        self.size = (width, height);
        let mut more = self.player.work()?;
        if self.loop_id as usize >= self.loops().max(1) {
            self.loop_id = 0;
        }
        self.hold()?;
        let regs = self.regs().into_iter().cloned().collect::<Vec<_>>();
        self.names.update(&regs);
        if self.chosen().is_none() && self.view == View::Fd {
            self.chosen = regs.first().map(|r| r.id);
        }
        // The window waits until the cursor has arrived.
        if matches!(self.view, View::Timeline | View::Fairness | View::Fd) && !more {
            let key = self.window_key();
            more |= self.player.want(key)?;
        }
        if self.view == View::Events {
            let rows = height as usize;
            let at = self.log_at.unwrap_or(self.player.next());
            self.log = self.player.around(at, rows, rows)?;
        }
        if self.view == View::Code {
            more |= self.output.prepare(&mut self.player, self.live.as_ref())?;
            let before = self.player.around(self.player.next(), 256, 0)?;
            let site = before.iter().rev().map(|r| r.event.site).find(|s| *s != 0);
            self.site = site;
        }
        Ok(more)
    }

    fn hold(&mut self) -> Result<(), Error> {
        let wanted = self.view == View::Loop
            && self.following
            && self.is_live()
            && self.mode != Mode::Leaving;
        match wanted {
            true => Held::refresh(&mut self.held, &mut self.player, self.loop_id),
            false => {
                self.held = None;
                Ok(())
            }
        }
    }
}

/// A word for the shell, quoted if it must be.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
