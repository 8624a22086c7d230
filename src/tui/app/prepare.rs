//! What a screen needs before it is drawn: the cursor on its way, names, the window of time, the log's rows.
//! Step: trace → model → **view**.

use super::{App, Mode, Popup};
use crate::trace::Error;
use crate::tui::filter::Filter;
use crate::tui::hold::Held;
use crate::tui::message::View;

impl App {
    /// Gets ready what the screen needs before it is drawn at this size; true while there is more to do.
    pub fn prepare(&mut self, width: u16, height: u16) -> Result<bool, Error> {
        self.size = (width, height);
        let mut more = self.player.work()?;
        if let Some(live) = &self.live {
            live.fit(crate::tui::live::pane(width, height));
        }
        if self.mode == Mode::Typing && self.live.as_ref().is_none_or(|live| !live.takes_keys()) {
            // Nobody is there to type to.
            self.mode = Mode::Normal;
        }
        let arrived = !more;
        if self.loop_id as usize >= self.loops().max(1) {
            self.loop_id = 0;
        }
        self.leave_idle_loop();
        self.hold()?;
        if self.chosen().is_none() && self.view == View::Fd {
            // The one to look at first: it waited longest.
            let regs = self.regs();
            let live = regs.iter().filter(|r| r.is_live());
            let worst = live.max_by_key(|r| (r.waited_max.hi, std::cmp::Reverse(r.fd)));
            self.chosen = worst.or(regs.first()).map(|r| r.id);
        }
        // The window waits until the cursor has arrived.
        if self.span.is_none() && !self.following && self.player.tail().turns.len() > 4 {
            // Chosen once: a window that changed with every step would be folded anew with every step.
            self.span = Some(self.turn_span());
        }
        if self.needs_window() && !more {
            let key = self.window_key();
            more |= self.player.want(key)?;
        }
        if !more {
            more |= self.prepare_beside()?;
        }
        // What has come while it was under way, or while the window took its turn. A held turn's is only looked at: it
        // keeps nobody from what comes in.
        if (!more || self.held.is_some())
            && self.following
            && self.is_live()
            && !self.player.at_end()
        {
            self.player.follow()?;
            more = true;
        }
        let asked = (self.filter.as_ref()).is_some_and(Filter::asks_for_findings);
        if (self.view == View::Findings || asked) && !more {
            more |= self.search_on()?;
        }
        if self.view == View::Findings && !more {
            more |= self.prepare_finding()?;
        }
        // On a long way the names of places it passes are not worth the time.
        if arrived || self.names.is_empty() {
            self.label()?;
        }
        if self.view == View::Timeline || self.view == View::Findings {
            let rows = crate::tui::view::timeline::rows(self, usize::from(height));
            let lanes = crate::tui::view::lanes::lanes(self, rows);
            let fds: Vec<_> = lanes.iter().filter_map(|l| l.fd()).collect();
            self.names.prefer(&fds);
        }
        if self.view == View::Events {
            let rows = height as usize;
            let at = self.log_at.unwrap_or(self.player.next());
            self.log = self.player.around(at, rows, rows)?;
        }
        if self.view == View::Code {
            more |= self.output.prepare(&mut self.player, self.live.as_ref())?;
            let before = self.player.around(self.player.next(), 256, 0)?;
            self.find_line(&before);
        }
        Ok(more)
    }

    /// The screen shows a window of time.
    fn needs_window(&self) -> bool {
        match self.view {
            _ if self.mode == Mode::Popup(Popup::Blame) => true,
            View::Timeline | View::Fairness | View::Latency | View::Fd => true,
            View::Loop => self.size.1 >= 36,
            _ => false,
        }
    }

    fn hold(&mut self) -> Result<(), Error> {
        let wanted = self.view == View::Loop
            && self.following
            && self.is_live()
            // Its last moment is worth more than its worst one.
            && !self.is_over()
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
