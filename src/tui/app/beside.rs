//! Another recording under the timeline, on its clock: a broken program above the repaired one. Step: model → **view**.

use super::App;
use crate::model::Id;
use crate::text::visible;
use crate::trace::{Error, Reader};
use crate::tui::Options;
use crate::tui::message::View;
use crate::tui::player::{Key, Player};
use crate::tui::theme::Look;
use crate::tui::view::lanes::{self, Named};
use crate::when::When;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// Which recording that is.
#[derive(Clone, Debug)]
pub struct Other {
    /// Its name, for a recording that does not name itself.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// It stands above, not below.
    pub above: bool,
    /// It is shown from the beginning.
    pub shown: bool,
    /// Keeps a file that has no name.
    pub keep: Option<Arc<File>>,
}

/// The other recording, shown.
pub struct Beside {
    /// It stands above, not below.
    pub above: bool,
    app: Box<App>,
    /// Where its cursor was sent.
    t: Option<u64>,
    /// How far behind the end of the first recording both stand: the other one is longer.
    beyond: u64,
}

/// What a recording is told by the one that it stands beside.
#[derive(Default)]
pub struct Led {
    /// A question is open there.
    pub asks: bool,
    /// Whom it shows, who matters most first: the same are to be compared.
    pub names: Vec<Named>,
    /// It is over: its end stays in view, though the other's clock has gone on.
    pub stays: bool,
}

/// Descriptors whose names are told, at most: as many as the highest screen has lanes.
const NAMES: usize = 64;

impl Beside {
    fn open(other: &Other, look: Look) -> Result<Self, Error> {
        let player = Player::new(Reader::open(&other.path)?, false);
        let options = Options {
            name: other.name.clone(),
            ..Options::default()
        };
        let mut app = App::new(player, None, options, look)?;
        app.view = View::Timeline;
        // Its lesson is not the one that is told.
        app.lecture = None;
        Ok(Beside {
            above: other.above,
            app: Box::new(app),
            t: None,
            beyond: 0,
        })
    }

    /// As its timeline is drawn.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The instant `t`, the columns of `key` from `left` on, and whoever has this name; true while there is more to fold.
    fn follow(&mut self, of: &Shows, size: (u16, u16)) -> Result<bool, Error> {
        let app = &mut *self.app;
        let (width, end) = (of.key.width, app.player.duration());
        let span = width.saturating_mul(of.key.cols as u64);
        app.span = Some(span);
        let stays = of.stays && app.player.ended() && of.left.saturating_add(span) > end + width;
        app.left = Some(match stays {
            true => (end + width).saturating_sub(span),
            false => of.left,
        });
        (app.by_role, app.stage) = (of.by_role, of.stage);
        app.led = Led {
            asks: of.asks,
            names: of.names.clone(),
            stays,
        };
        // Its loop of the same name; where somebody chose one, else the one of the same number.
        let loops = app.model().loops();
        let same = loops
            .iter()
            .find(|l| !l.name.is_empty() && l.name == of.loop_name);
        let chosen = || loops.get(of.loop_id as usize).filter(|_| of.loop_chosen);
        let its = same.or_else(chosen).map(|l| l.id);
        app.loop_chosen = its.is_some();
        app.loop_id = its.unwrap_or(app.loop_id);
        let t = of.t.min(end);
        if self.t != Some(t) {
            app.player.seek(t)?;
            self.t = Some(t);
        }
        let more = app.prepare(size.0, size.1)?;
        let named = of.name.as_deref().filter(|name| !name.is_empty());
        let same = named.and_then(|name| app.regs().into_iter().find(|r| *r.name == *name));
        app.chosen = same.map(|r| r.id);
        Ok(more)
    }
}

/// What the first timeline shows.
struct Shows {
    t: u64,
    key: Key,
    left: u64,
    by_role: bool,
    stage: bool,
    asks: bool,
    name: Option<String>,
    names: Vec<Named>,
    loop_id: Id,
    loop_name: Arc<str>,
    loop_chosen: bool,
    stays: bool,
}

impl App {
    /// Shows the other recording, or no longer.
    pub(super) fn toggle_beside(&mut self) {
        if self.view == View::Timeline && self.beside.take().is_some() {
            return;
        }
        if let Err(error) = self.show_beside() {
            let said = format!("the other recording cannot be shown: {error}");
            self.say(visible(&said).into_owned());
        }
    }

    /// Shows the other recording.
    pub(in crate::tui) fn show_beside(&mut self) -> Result<(), Error> {
        if let Some(other) = &self.options.beside {
            self.beside = Some(Beside::open(other, self.look)?);
            self.show(View::Timeline);
        }
        Ok(())
    }

    /// Gets the other recording's timeline ready, if it is to be seen; true while there is more to do.
    pub(super) fn prepare_beside(&mut self) -> Result<bool, Error> {
        if self.view != View::Timeline {
            return Ok(false);
        }
        if self.beside.is_none() {
            return Ok(false);
        }
        let key = self.window_key();
        let shows = Shows {
            t: self.t(),
            key,
            left: self.in_view(key).0,
            by_role: self.by_role,
            stage: self.stage,
            asks: self.asks(),
            name: self.chosen().map(|r| r.name.to_string()),
            names: lanes::named(self, NAMES),
            loop_id: self.loop_id,
            loop_name: self.the_loop().map(|l| l.name.clone()).unwrap_or_default(),
            loop_chosen: self.loop_chosen,
            // A demo that goes on and on stands beside a recording of two seconds.
            stays: self.left.is_none() && (self.is_live() || self.options.demo),
        };
        let Some(mut beside) = self.beside.take() else {
            return Ok(false);
        };
        let more = beside.follow(&shows, self.size);
        self.beside = Some(beside);
        more
    }

    /// How far behind its own end it stands, beside a longer one.
    pub(super) fn beyond(&self) -> u64 {
        let beside = self.beside.as_ref().filter(|_| self.view == View::Timeline);
        beside.map_or(0, |beside| beside.beyond)
    }

    pub(super) fn go_beyond(&mut self, ns: u64) {
        if let Some(beside) = &mut self.beside {
            beside.beyond = ns;
        }
    }

    /// The recording's length, or that of the longer one on the same clock.
    pub fn longest(&self) -> u64 {
        let other = self.beside.as_ref().filter(|_| self.view == View::Timeline);
        let other = other.map_or(0, |beside| beside.app.player.duration());
        self.player.duration().max(other)
    }

    /// How far behind its own end an instant lies that only the longer recording has.
    pub(super) fn past_the_end(&self, text: &str) -> Option<u64> {
        let When::At(t) = text.parse().ok()? else {
            return None;
        };
        let there = !self.is_live() && t <= self.longest();
        t.checked_sub(self.player.duration()).filter(|_| there)
    }
}
