//! A stretch of the timeline that a person selects, from where they began to the cursor, to zoom to it.
//! Step: model → **view**.

use super::App;
use crate::trace::Error;
use crate::tui::message::View;
use crate::tui::view::{instant, timeline::round_width};
use crate::tui::widget::text::time;

impl App {
    /// The selected stretch: its two ends, the earlier one first.
    pub fn selected(&self) -> Option<(u64, u64)> {
        let (anchor, t) = (self.anchor?, self.t());
        Some((anchor.min(t), anchor.max(t)))
    }

    /// Begins at the cursor; again: ends without a zoom.
    pub(super) fn select(&mut self) {
        if self.anchor.take().is_some() {
            return self.say("nothing is selected".to_owned());
        }
        // The window stays where it is as long as its edge moves.
        let (from, until) = self.in_view(self.window_key());
        match self.view {
            View::Latency if self.is_live() => self.latency = Some((from, until)),
            View::Latency => {}
            _ => self.left = Some(from),
        }
        self.playing = false;
        self.following = false;
        self.anchor = Some(self.t());
    }

    /// Moves the end by so many columns, inside the window.
    pub(super) fn widen(&mut self, by: i64) -> Result<(), Error> {
        let key = self.window_key();
        let last = key.to().saturating_sub(1).min(self.player.duration());
        let to = (self.t()).saturating_add_signed((key.width as i64).saturating_mul(by));
        let to = to.clamp(key.from().min(last), last);
        self.travel(|p| p.seek(to))
    }

    /// The window becomes the selected stretch, in round numbers.
    pub(super) fn zoom_to_selected(&mut self) {
        let Some((from, to)) = self.selected() else {
            return;
        };
        let cols = self.columns().max(1) as u64;
        let width = round_width((to - from).div_ceil(cols).max(1));
        if from == to {
            return self.say("nothing is selected yet: arrows widen it".to_owned());
        }
        let span = width.saturating_mul(cols);
        self.anchor = None;
        self.span = Some(span);
        self.left = Some(from.saturating_sub((span - (to - from)) / 2));
        self.say(format!(
            "zoomed to {} from {} on; Esc goes back to the cursor",
            time(to - from),
            instant(from)
        ));
    }
}
