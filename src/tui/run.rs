//! The main loop: one channel wakes it, it draws on change and at most 30 times a second. Paused, it sleeps until
//! something happens.

use super::app::{App, Effect};
use super::cost::Meter;
use super::event::{self, Event};
use super::message::{Leave, Message, View};
use super::terminal::Terminal;
use super::{Look, Options, Source, keymap, view};
use crate::capture::control::ChildState;
use crate::trace::Problem;
use anyhow::{Context, anyhow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Between two frames at least.
const FRAME: Duration = Duration::from_millis(33);
/// How often the idle time is shown.
const IDLE: Duration = Duration::from_secs(1);
/// How often a file that another process writes is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How the UI was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By the person.
    Left(Leave),
    /// By a signal; the terminal is restored.
    Signalled(i32),
    /// The terminal went away.
    HungUp,
}

/// How it ended, and what of the recording was damaged or missing, as far as it was looked at.
#[derive(Debug)]
pub struct Ended {
    /// How the UI was left.
    pub outcome: Outcome,
    /// What is wrong with the recording.
    pub problems: Vec<Problem>,
}

/// Shows a source until the person leaves. The terminal is restored on every way out.
pub fn run(source: &Source, options: Options) -> anyhow::Result<Ended> {
    let look = Look::detect(options.ascii, |name| std::env::var(name).ok());
    let app = App::open(source, options, look)?.map_err(|why| anyhow!(why))?;
    let (to, events) = channel();
    let mut pending = Arc::new(AtomicBool::new(false));
    let mut polls = false;
    match source {
        Source::Live(control) => {
            let (wake, flag) = event::data_waker();
            pending = flag;
            control.on_change(wake);
        }
        Source::Replay { follow, .. } => polls = *follow,
    }
    // First: a signal that comes while the terminal is being set up must not end us with it half set up.
    event::listen(to);
    let terminal = Terminal::take().context("cannot set up the terminal")?;
    let mut main = Main {
        app,
        terminal,
        events,
        pending,
        polls,
        dirty: true,
        drawn: None,
        took: Duration::ZERO,
        ticked: Instant::now(),
        looked: Instant::now(),
        grown: Instant::now(),
        idled: Instant::now(),
        cost: Meter::start(),
    };
    // Data that came before the listener was there.
    app_data(&mut main)?;
    let outcome = main.run();
    event::deafen();
    Ok(Ended {
        outcome: outcome?,
        problems: main.app.player.reader().problems().to_vec(),
    })
}

fn app_data(main: &mut Main) -> anyhow::Result<()> {
    // Release: pairs with the waker's AcqRel swap; what it announces after this is announced again.
    main.pending.store(false, Ordering::Release);
    main.app.data()?;
    main.grown = Instant::now();
    main.app.idle = 0;
    main.dirty = true;
    Ok(())
}

struct Main {
    app: App,
    terminal: Terminal,
    events: Receiver<Event>,
    pending: Arc<AtomicBool>,
    /// Nobody tells us that the file has grown.
    polls: bool,
    dirty: bool,
    drawn: Option<Instant>,
    /// What drawing a frame took.
    took: Duration,
    ticked: Instant,
    looked: Instant,
    /// When the recording last grew, and when its idle time was last shown.
    grown: Instant,
    idled: Instant,
    cost: Meter,
}

impl Main {
    fn run(&mut self) -> anyhow::Result<Outcome> {
        loop {
            if let Some(outcome) = self.handle_pending()? {
                return Ok(outcome);
            }
            if let Some(leave) = self.app.left_with {
                return Ok(Outcome::Left(leave));
            }
            let now = Instant::now();
            if self.app.playing {
                let passed = now.duration_since(self.ticked);
                if passed >= FRAME {
                    self.app.tick(passed.as_nanos() as u64)?;
                    self.ticked = now;
                    self.dirty = true;
                }
            }
            if self.polls && !self.app.player.ended() && now.duration_since(self.looked) >= LOOK {
                self.looked = now;
                let before = self.app.player.duration();
                self.app.data()?;
                self.dirty |= self.app.player.duration() != before || self.app.player.ended();
            }
            if self.idles() && now.duration_since(self.idled) >= IDLE {
                self.idled = now;
                self.app.idle = now.duration_since(self.grown).as_nanos() as u64;
                self.app.player.pass(self.app.idle);
                self.dirty = true;
            }
            let due = self.drawn.map_or(now, |d| d + FRAME);
            if self.dirty && now >= due && !self.draw()? {
                return Ok(Outcome::HungUp);
            }
        }
    }

    /// A live program's sleep grows on the Loop screen though nothing is recorded.
    fn idles(&self) -> bool {
        let live = !self.polls && self.app.following && self.app.is_live();
        live && self.app.view == View::Loop && !self.app.is_over()
    }

    /// Waits for something to do and does it.
    fn handle_pending(&mut self) -> anyhow::Result<Option<Outcome>> {
        let now = Instant::now();
        let mut wake: Option<Instant> = None;
        let mut at = |t: Instant| wake = Some(wake.map_or(t, |w| w.min(t)));
        if self.dirty {
            at(self.drawn.map_or(now, |d| d + FRAME));
        }
        if self.app.playing {
            at(self.ticked + FRAME);
        }
        if self.polls && !self.app.player.ended() {
            at(self.looked + LOOK);
        }
        if self.idles() {
            at(self.idled + IDLE);
        }
        let first = match wake {
            None => self
                .events
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(t) => self.events.recv_timeout(t.saturating_duration_since(now)),
        };
        let mut next = match first {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(Some(Outcome::HungUp)),
        };
        while let Some(event) = next {
            if let Some(outcome) = self.handle(event)? {
                return Ok(Some(outcome));
            }
            next = self.events.try_recv().ok();
        }
        Ok(None)
    }

    fn handle(&mut self, event: Event) -> anyhow::Result<Option<Outcome>> {
        let was_playing = self.app.playing;
        match event {
            Event::Key(key) => {
                if let Some(message) = keymap::message(&self.app, key) {
                    self.app.update(message)?;
                    self.dirty = true;
                } else if self.app.note.take().is_some() {
                    self.dirty = true;
                }
            }
            Event::Paste(text) => {
                self.app.update(Message::Paste(text))?;
                self.dirty = true;
            }
            Event::Resize => self.dirty = true,
            Event::Data => app_data(self)?,
            Event::Places => self.dirty |= self.app.places.take(),
            Event::Resumed => {
                // A terminal that hangs up sends this too, and often first: SIGHUP and SIGCONT come together.
                if self.terminal.resume().is_err() {
                    return Ok(Some(Outcome::HungUp));
                }
                self.dirty = true;
            }
            Event::Suspend => self.app.effects.push(Effect::Suspend),
            Event::Ended(signal) => return Ok(Some(Outcome::Signalled(signal))),
            Event::HungUp => return Ok(Some(Outcome::HungUp)),
            Event::Panicked => {
                return Err(anyhow!(
                    "a thread of loopscope panicked, its message is above; this is a bug: tell it with the command you typed"
                ));
            }
        }
        if !self.effects() {
            return Ok(Some(Outcome::HungUp));
        }
        if self.app.playing && !was_playing {
            self.ticked = Instant::now();
        }
        Ok(None)
    }

    /// False when the terminal is gone.
    fn effects(&mut self) -> bool {
        for effect in std::mem::take(&mut self.app.effects) {
            self.dirty = true;
            match effect {
                Effect::Copy(text) if self.terminal.copy(&text).is_err() => return false,
                Effect::Copy(_) => {}
                Effect::Redraw => self.terminal.forget(),
                Effect::Suspend => {
                    if self.terminal.suspend().is_err() {
                        return false;
                    }
                    self.ticked = Instant::now();
                }
                Effect::Picture => {
                    let said = match self.app.options.picture {
                        Some(picture) => save_picture(&picture(self.terminal.shown())),
                        None => continue,
                    };
                    self.app.say(said);
                }
            }
        }
        true
    }

    /// Draws; false when the terminal is gone.
    fn draw(&mut self) -> anyhow::Result<bool> {
        let Ok((width, height)) = self.terminal.size() else {
            return Ok(false);
        };
        let pushed = (self.app.is_live()).then(|| self.app.player.reader().end());
        if let Some(cost) = self.cost.sample(pushed) {
            self.app.cost = Some(cost);
        }
        let began = Instant::now();
        let mut more = self.app.prepare(width, height)?;
        // A frame costs time that a long way needs: as much goes into the way, and a key still comes through soon.
        while more && began.elapsed() < FRAME.max(self.took) {
            more = self.app.prepare(width, height)?;
        }
        let began = Instant::now();
        let app = &self.app;
        let shown = (self.terminal).show((width, height), |buffer| view::draw(app, buffer));
        self.app.places.ask(|| event::send(Event::Places));
        self.took = began.elapsed().min(FRAME * 6);
        self.drawn = Some(Instant::now());
        // Long work goes on with the next round: a key can interrupt it.
        self.dirty = more;
        if more {
            self.drawn = None;
        }
        Ok(shown.is_ok())
    }
}

/// A new file beside us; what to tell the person.
fn save_picture(svg: &str) -> String {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    for n in 1..1000 {
        let name = format!("loopscope-{n}.svg");
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&name);
        match file {
            Ok(mut file) => {
                return match file.write_all(svg.as_bytes()) {
                    Ok(()) => format!("saved as {name}"),
                    Err(error) => format!("cannot write {name}: {error}"),
                };
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return format!("cannot create {name}: {error}"),
        }
    }
    "cannot find a free name for the picture here; move some away".to_owned()
}

/// Whether a launched child has ended, in words.
pub(super) fn child_state(control: &crate::capture::control::Control) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    match control.child() {
        ChildState::Running { .. } => None,
        ChildState::Ended(status) => Some(match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended, exit code {code}"),
            (_, Some(signal)) => match crate::text::names::signal(signal) {
                Some(name) => format!("been killed by {name}"),
                None => format!("been killed by signal {signal}"),
            },
            _ => "ended".to_owned(),
        }),
    }
}
