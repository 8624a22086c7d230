//! Which stretch of time the timeline shows, and how zooming and panning move it. Step: model → **view**.

use super::App;
use crate::model::Turn;
use crate::tui::message::View;
use crate::tui::player::Key;

/// Nanoseconds across the timeline while it follows a program.
const FOLLOWED: u64 = 2_000_000_000;

impl App {
    /// The time a screen can show across; the whole recording.
    pub(super) fn whole(&self) -> u64 {
        self.longest().max(1_000)
    }

    /// The five turns before the cursor in which somebody was served, and as much after it, in round numbers.
    pub(super) fn turn_span(&self) -> u64 {
        let busy = |t: &&Turn| t.longest.is_some();
        let mut turns = self.tail().turns_of(self.loop_id).filter(busy).take(5);
        let span = match turns.next() {
            Some(last) => {
                let from = turns.last().map_or(last.start, |t| t.start);
                let asleep = self.t().saturating_sub(from);
                // The cursor stands at two thirds, however long nothing has happened.
                (last.end.saturating_sub(from))
                    .saturating_mul(2)
                    .max(asleep / 2 * 3)
            }
            None => self.whole(),
        };
        span.clamp(1_000, self.whole())
    }

    /// To the next round column width; false when there is none.
    pub(super) fn zoom(&mut self, by: i32) -> bool {
        use crate::tui::view::timeline::{narrower, round_width};
        let key = self.window_key();
        let cols = key.cols.max(1) as u64;
        // A column shows at least a nanosecond, all of them at most twice the recording.
        let width = match by > 0 {
            true => narrower(key.width),
            false => round_width(key.width.saturating_add(1)),
        };
        let followed = if self.is_live() { FOLLOWED } else { 0 };
        let most = round_width(self.whole().saturating_mul(2).max(followed).div_ceil(cols));
        if width == key.width || (by < 0 && width > most.max(key.width)) {
            return false;
        }
        let span = width.saturating_mul(cols);
        self.span = Some(span);
        // Around the cursor when it is in view, else around the middle.
        let t = self.t();
        if self.left.is_some() {
            let (from, to) = self.in_view(key);
            let middle = match (from..to).contains(&t) {
                true => t,
                false => (from + to) / 2,
            };
            self.left = Some(middle.saturating_sub(span / 2));
        }
        true
    }

    /// A quarter of the window on or back; false at the recording's ends.
    pub(super) fn pan(&mut self, by: i32) -> bool {
        let (from, to) = self.in_view(self.window_key());
        let step = ((to - from) / 4).max(1) as i64;
        if (by < 0 && from == 0) || (by > 0 && to > self.longest()) {
            return false;
        }
        self.left = Some(from.saturating_add_signed(step * i64::from(by)));
        true
    }

    /// The stretch of time a window shows: one that follows has moved on since it was asked for.
    pub(super) fn in_view(&self, key: Key) -> (u64, u64) {
        match self.player.window() {
            Some(window) if window.key == key => window.span(),
            _ => (key.from(), key.to()),
        }
    }

    /// Columns of the timeline at this size.
    pub fn columns(&self) -> usize {
        let width = self.size.0 as usize;
        match self.view {
            View::Latency => crate::tui::view::latency::rows(self.size.1 as usize),
            View::Fairness => crate::tui::view::fairness::columns(width),
            _ => crate::tui::view::timeline::columns(width),
        }
    }

    /// The window of time that the screen shows.
    pub fn window_key(&self) -> Key {
        let cols = self.columns().max(1);
        if self.view == View::Latency {
            return self.latency_key(cols);
        }
        if let Some(key) = self.finding_key(cols) {
            return key;
        }
        // A turn that is held stands still, and so do the moments around it.
        let follow = self.following && self.is_live() && self.held.is_none();
        let span = match self.span {
            Some(span) => span,
            None if follow => FOLLOWED,
            None => self.turn_span(),
        };
        let width = crate::tui::view::timeline::round_width(span.div_ceil(cols as u64));
        let t = self.t();
        let left = match self.left {
            Some(left) => left,
            None if follow => t.saturating_sub(width * (cols as u64 - 1)),
            // The cursor stands at two thirds; the window moves by eighths, so that it is not folded anew every step.
            // Near the recording's ends it stays inside.
            None => {
                let lead = width * cols as u64 * 2 / 3;
                let step = (width * cols as u64 / 8).max(1);
                let last = (self.longest() + width).saturating_sub(width * cols as u64);
                let left = t.saturating_sub(lead).div_ceil(step) * step;
                match self.held {
                    // The end is on its way on: a window that kept to it would be another one every frame.
                    Some(_) => left,
                    None => left.min(last),
                }
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
    pub(super) fn follow_from(&self, width: u64, cols: usize) -> u64 {
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
}
