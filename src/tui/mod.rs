//! The terminal UI: live and replay through the same code, the last step of event → ring → trace → model → **view**.
//!
//! ```text
//! keyboard, signals, collector ─Event─▶ run ─keymap─▶ Message ─▶ App::update ─▶ view::draw(&App)
//! ```
//!
//! [`run()`] needs a terminal; [`frame`] draws one picture without any.

pub mod app;
pub mod cost;
pub mod event;
pub mod filter;
pub mod hold;
pub mod keymap;
pub mod live;
pub mod message;
pub mod names;
pub mod palette;
pub mod player;
mod run;
pub mod start;
pub mod terminal;
pub mod theme;
pub mod view;
pub mod when;
pub mod widget;

pub use app::App;
pub use app::beside::Other;
pub use message::{Among, Leave, LessonAt, Message, Shown, View};
pub use palette::Theme;
pub use player::Player;
pub use run::{Ended, Outcome, run};
pub use theme::Look;

use crate::capture::control::Control;
use crate::trace::{Error, Reader};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::path::PathBuf;
use std::sync::Arc;

/// What to look at.
pub enum Source {
    /// A finished recording, or one that another process still writes (`follow`).
    Replay {
        /// The file.
        path: PathBuf,
        /// Stay at its end while it grows.
        follow: bool,
    },
    /// A program that was just launched; its recording grows.
    Live(Control),
}

/// Hears of a lesson's steps: the one shown, from 1, 0 before the first; and whether its answer is shown.
pub type OnStep = Arc<dyn Fn(usize, bool) + Send + Sync>;

/// How to look at it.
#[derive(Clone, Default)]
pub struct Options {
    /// The recording's name, for the header and for commands to copy.
    pub name: String,
    /// The first instant shown; the worst wait (replay) or the end (live) when absent.
    pub at: Option<crate::when::When>,
    /// Playing speed as a factor: 0.01 is 1:100.
    pub speed: Option<f64>,
    /// The first screen.
    pub view: View,
    /// The chosen fd.
    pub fd: Option<i32>,
    /// The filter.
    pub filter: Option<String>,
    /// Only ASCII.
    pub ascii: bool,
    /// Whose colours; those that the environment names when absent.
    pub theme: Option<Theme>,
    /// A demo: `r` leads to its other side.
    pub demo: bool,
    /// Another recording, to be seen on the timeline's clock.
    pub beside: Option<app::beside::Other>,
    /// The repaired one.
    pub fixed: bool,
    /// Its knobs that were turned before it started, `name=value`.
    pub set: Vec<String>,
    /// Its lesson, Markdown; that of the recording when absent.
    pub lesson: Option<&'static str>,
    /// One of several of a lecture: after the last step comes the next demo.
    pub lecture: Option<Among>,
    /// Where its lesson goes on.
    pub lesson_at: Option<LessonAt>,
    /// Hears of each step of the lesson.
    pub on_step: Option<OnStep>,
    /// Lecture mode from the beginning: painted, few regions.
    pub stage: bool,
    /// Makes a picture of a frame, for `Y`.
    pub picture: Option<fn(&Buffer) -> String>,
}

impl App {
    /// A recording with these options; the error text is for the person.
    pub fn open(
        source: &Source,
        options: Options,
        look: Look,
    ) -> Result<Result<App, String>, Error> {
        let (reader, follow, live) = match source {
            Source::Replay { path, follow } => (Reader::open(path)?, *follow, None),
            Source::Live(control) => {
                let live = live::Live {
                    control: control.clone(),
                };
                (Reader::open(control.recording())?, true, Some(live))
            }
        };
        let (view, fd, at) = (options.view, options.fd, options.at.clone());
        let (speed, filter) = (options.speed, options.filter.clone());
        let mut app = App::new(Player::new(reader, follow), live, options, look)?;
        app.view = view;
        if let Some(speed) = speed {
            app.set_speed(speed);
        }
        if let Some(text) = filter {
            match filter::Filter::parse(&text) {
                Ok(filter) => app.filter = Some(filter),
                Err((why, column)) => return Ok(Err(format!("{why} (column {})", column + 1))),
            }
        }
        let at_given = at.is_some();
        if let Some(at) = &at {
            app.following = false;
            match when::to(&mut app.player, at)? {
                Ok(when::To::Time(t)) => app.player.seek(t)?,
                Ok(when::To::Event(n)) => app.player.seek_event(n + 1)?,
                Err(why) => return Ok(Err(why)),
            }
        } else if !app.following && app.go_to_worst(fd)?.is_none() {
            match fd {
                // Nobody waited on it: it is there at the end, if ever.
                Some(_) => app.player.seek_end()?,
                // Nobody was served: what could wake the loop is what there is to see.
                None => app.go_to_sleep()?,
            }
        }
        app.player.finish()?;
        if let Some(at) = &at {
            app.choose_loop_at(at)?;
        }
        if let Some(fd) = fd
            && app.chosen().is_none_or(|r| r.fd != fd)
        {
            let found = app
                .regs()
                .into_iter()
                .find(|r| r.fd == fd)
                .map(|r| (r.id, r.loop_id));
            let all = || {
                app.model()
                    .regs()
                    .find(|r| r.fd == fd)
                    .map(|r| (r.id, r.loop_id))
            };
            match found.or_else(all) {
                Some((id, loop_id)) => (app.chosen, app.loop_id) = (Some(id), loop_id),
                None => {
                    return Ok(Err(match at_given {
                        true => format!("no fd {fd} is registered at that moment"),
                        false => format!(
                            "no fd {fd} is registered in this recording; the report lists its descriptors"
                        ),
                    }));
                }
            }
        }
        // The repaired program's one step is its end: while it runs it is looked at.
        if app.player.ended() || !app.options.fixed {
            app.resume_lesson()?;
        }
        if app.options.beside.as_ref().is_some_and(|other| other.shown) {
            app.show_beside()?;
        }
        // Who follows sees a file that is not complete yet.
        if app.player.ended() && !app.player.reader().complete() {
            let note = app.note.take().unwrap_or_default();
            app.say(format!("NOT COMPLETE   {note}"));
        }
        Ok(Ok(app))
    }

    fn set_speed(&mut self, factor: f64) {
        let distance =
            |(recorded, shown): (u64, u64)| (factor * shown as f64 / recorded as f64).ln().abs();
        let near = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
        let all = app::SPEEDS.iter().map(|s| distance(*s)).enumerate();
        self.speed = all.min_by(near).map_or(self.speed, |s| s.0);
    }
}

/// One picture of an app at this size, everything folded that it shows.
pub fn frame(app: &mut App, width: u16, height: u16) -> Result<Buffer, Error> {
    app.player.finish()?;
    while app.prepare(width, height)? {}
    loop {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        view::draw(app, &mut buffer);
        // Nobody waits for a picture: what it would show is found first.
        if !app.places.find() {
            return Ok(buffer);
        }
        while app.prepare(width, height)? {}
    }
}
