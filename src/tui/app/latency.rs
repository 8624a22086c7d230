//! Which stretch of time the Latency screen shows, a row of it each: the whole recording unless somebody zoomed in; live,
//! the last seconds. Step: model → **view**.

use super::App;
use crate::trace::Error;
use crate::tui::player::Key;
use crate::tui::view::instant;
use crate::tui::widget::text::time;

/// Nanoseconds a row of a running program.
const LIVE_ROW: u64 = 1_000_000_000;
/// The least a row shows.
const LEAST_ROW: u64 = 100;

impl App {
    /// The rows of the screen as columns of a window.
    pub(super) fn latency_key(&self, rows: usize) -> Key {
        let (loop_id, cols) = (self.loop_id, rows.max(1));
        let key = |first, width, follow| Key {
            loop_id,
            width,
            first,
            cols,
            follow,
        };
        if self.is_live() && self.latency.is_none() {
            let follow = self.following;
            let first = match follow {
                true => self.follow_from(LIVE_ROW, cols),
                false => (self.t() / LIVE_ROW + 1).saturating_sub(cols as u64),
            };
            return key(first, LIVE_ROW, follow);
        }
        let (from, until) = self.latency_span();
        let width = ((until - from) / cols as u64 + 1).max(LEAST_ROW);
        key(from / width, width, false)
    }

    /// The stretch of time wanted: from, until.
    fn latency_span(&self) -> (u64, u64) {
        self.latency.unwrap_or((0, self.whole()))
    }

    /// Halves or doubles it around the cursor; false when it goes no further.
    pub(super) fn latency_zoom(&mut self, by: i32) -> bool {
        let whole = self.whole();
        let (from, until) = self.in_view(self.window_key());
        let until = until.min(whole).max(from + 1);
        let span = match by > 0 {
            true => (until - from) / 2,
            false => (until - from).saturating_mul(2).min(whole),
        };
        let least = LEAST_ROW * self.columns() as u64;
        if span < least || span == until - from {
            return false;
        }
        let middle = match (from..until).contains(&self.t()) {
            true => self.t(),
            false => from + (until - from) / 2,
        };
        let left = middle.saturating_sub(span / 2).min(whole - span);
        self.latency = (span < whole).then_some((left, left + span));
        true
    }

    /// A quarter of it on or back; false at the recording's ends.
    pub(super) fn latency_pan(&mut self, by: i32) -> bool {
        let whole = self.whole();
        let Some((from, until)) = self.latency else {
            return false;
        };
        let step = (((until - from) / 4).max(1) as i64).saturating_mul(i64::from(by));
        let left = from
            .saturating_add_signed(step)
            .min(whole.saturating_sub(until - from));
        self.latency = Some((left, left + (until - from)));
        left != from
    }

    /// Shows everything again.
    pub(super) fn latency_fit(&mut self) {
        self.latency = None;
        self.say("the whole recording".to_owned());
    }

    /// So many rows on, or back.
    pub(super) fn latency_row(&mut self, by: i64) -> Result<(), Error> {
        let key = self.window_key();
        let (from, until) = self.in_view(key);
        let last = until.min(self.player.duration() + 1).saturating_sub(1);
        let row = (self.t().clamp(from, last.max(from)) / key.width).saturating_add_signed(by);
        // Its end: what ran in it has ended there.
        let to = ((row + 1) * key.width - 1).clamp(from.min(last), last);
        self.travel(|p| p.seek(to))
    }

    /// The selected rows become the stretch that is shown.
    pub(super) fn latency_to_selected(&mut self) {
        let width = self.window_key().width;
        let Some((from, to)) = self.selected() else {
            return;
        };
        let (from, until) = (from / width * width, (to / width + 1) * width);
        self.anchor = None;
        self.latency = Some((from, until));
        self.say(format!(
            "{} from {} on; f: the whole recording",
            time(until - from),
            instant(from)
        ));
    }
}
