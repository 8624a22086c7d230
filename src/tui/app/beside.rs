//! Another recording under the timeline, on its clock: a broken program above the repaired one. Step: model → **view**.

use super::App;
use crate::text::visible;
use crate::trace::{Error, Reader};
use crate::tui::Options;
use crate::tui::message::View;
use crate::tui::player::{Key, Player};
use crate::tui::theme::Look;
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
}

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
        })
    }

    /// As its timeline is drawn.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The instant `t`, the columns of `key` from `left` on, and whoever has this name; true while there is more to fold.
    fn follow(&mut self, of: &Shows, size: (u16, u16)) -> Result<bool, Error> {
        let app = &mut *self.app;
        app.span = Some(of.key.width.saturating_mul(of.key.cols as u64));
        app.left = Some(of.left);
        (app.by_role, app.stage, app.asked) = (of.by_role, of.stage, of.asks);
        let t = of.t.min(app.player.duration());
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
        let Some(mut beside) = self.beside.take() else {
            return Ok(false);
        };
        let key = self.window_key();
        let shows = Shows {
            t: self.t(),
            key,
            left: self.in_view(key).0,
            by_role: self.by_role,
            stage: self.stage,
            asks: self.asks(),
            name: self.chosen().map(|r| r.name.to_string()),
        };
        let more = beside.follow(&shows, self.size);
        self.beside = Some(beside);
        more
    }
}
