//! Going from screen to screen and from row to row. Step: model → **view**.

use super::{App, Mode, Popup};
use crate::trace::Error;
use crate::tui::message::View;

impl App {
    pub(super) fn show(&mut self, view: View) {
        if view != self.view {
            self.before.push(self.view);
            self.view = view;
            self.pane = 0;
            if self.before.len() > 32 {
                self.before.remove(0);
            }
        }
        if view == View::Findings {
            self.player.search_anew();
        }
        self.held = None;
        self.anchor = None;
        if !matches!(self.mode, Mode::Leaving | Mode::Knobs) {
            self.mode = Mode::Normal;
        }
    }

    pub(super) fn popup(&mut self, popup: Popup) {
        self.mode = match self.mode {
            Mode::Popup(open) if open == popup => Mode::Normal,
            _ => Mode::Popup(popup),
        };
        self.scroll = 0;
    }

    pub(super) fn back(&mut self) {
        if self.mode != Mode::Normal {
            self.mode = Mode::Normal;
            self.wrong = None;
        } else if self.anchor.take().is_some() {
            self.say("nothing is selected".to_owned());
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

    pub(super) fn row(&mut self, by: i64) -> Result<(), Error> {
        match self.mode {
            Mode::Popup(_) | Mode::Asking(_) => {
                self.scroll = self.scroll.saturating_add_signed(by as isize);
            }
            _ if self.view == View::Findings => self.finding_row(by),
            _ if self.view == View::Latency => self.latency_row(by)?,
            _ if self.view == View::Events => {
                let at = self.log_at.unwrap_or(self.player.next());
                let reader = self.player.reader();
                let at = at.saturating_add_signed(by);
                self.log_at = Some(at.clamp(reader.first(), reader.end()));
            }
            _ => {
                let rows = crate::tui::view::rows(self);
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

    pub(super) fn open_row(&mut self) -> Result<(), Error> {
        if self.view == View::Findings {
            return self.open_finding();
        }
        if self.view == View::Events {
            if let Some(at) = self.log_at {
                self.travel(|p| p.seek_event(at + 1))?;
                self.show(View::Loop);
            } else {
                self.say("choose an event first: ↑ ↓".to_owned());
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
}
