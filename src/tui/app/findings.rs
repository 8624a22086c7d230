//! Going from finding to finding. Step: findings → **view**.

use super::App;
use crate::findings::Found;
use crate::findings::meanwhile::Name;
use crate::trace::Error;
use crate::tui::message::View;
use crate::tui::player::Key;
use crate::tui::view::timeline::round_width;

/// Screens this high have room for a picture of the chosen finding.
const PICTURED: u16 = 30;
/// Nanoseconds across the picture of what does not last.
const SHORT: u64 = 20_000_000;

impl App {
    /// The finding that the screen tells of.
    pub fn finding(&self) -> Option<&Found> {
        let all = self.findings();
        all.get(self.finding.min(all.len().saturating_sub(1)))
    }

    /// The chosen finding is drawn, too: it is a loop's, and there is room. What is asked for is not drawn.
    pub fn pictures_finding(&self) -> bool {
        let of_a_loop = || self.finding().is_some_and(|f| f.loop_id.is_some());
        self.size.1 >= PICTURED && !self.stage && !self.asks() && of_a_loop()
    }

    /// Looks for findings; the chosen one stays chosen when there are others. True while there is more to do.
    pub(super) fn search_on(&mut self) -> Result<bool, Error> {
        let key = |f: &Found| (f.code, f.first_ns, f.process);
        let chosen = self.finding().map(key);
        let more = self.player.search_on()?;
        if self.finding().map(key) != chosen {
            let same = (self.findings().iter()).position(|f| Some(key(f)) == chosen);
            self.finding = same.unwrap_or(self.finding);
        }
        Ok(more)
    }

    /// Gets the chosen finding ready: its functions, its loop, its picture; true while there is more to do.
    pub(super) fn prepare_finding(&mut self) -> Result<bool, Error> {
        let mut more = self.player.look_into(self.finding)?;
        // Nobody looks at one loop's finding and means another loop.
        if let Some(loop_id) = self.finding().and_then(|f| f.loop_id) {
            self.loop_id = loop_id;
        }
        if self.pictures_finding() && !more {
            let key = self.window_key();
            more |= self.player.want(key)?;
        }
        Ok(more)
    }

    /// The stretch of time around the worst time of the chosen finding, where that is drawn: what led to it, how long it
    /// lasted, and who still waited.
    pub(super) fn finding_key(&self, cols: usize) -> Option<Key> {
        if self.view != View::Findings || !self.pictures_finding() {
            return None;
        }
        let found = self.finding()?;
        let victims = found.victims.as_ref().map_or(0, |v| v.worst_ns);
        let lasted = match found.worst_ns.max(victims) {
            0 => SHORT / 4,
            ns => ns,
        };
        let width = round_width(lasted.saturating_mul(4).div_ceil(cols as u64));
        // It is told where it begins or where it ends: both are in view.
        let half = width.saturating_mul(cols as u64 / 2);
        Some(Key {
            loop_id: found.loop_id?,
            width,
            first: found.at_ns.saturating_sub(half) / width,
            cols,
            follow: false,
        })
    }

    /// What was found in this recording, as far as it has been looked for.
    pub fn findings(&self) -> &[Found] {
        self.player.found().map_or(&[], |o| o.found.as_slice())
    }

    /// The functions that the thread of this finding was found in when it was worst, as far as that is known by now: the end
    /// of its sentence.
    pub fn meanwhile(&self, at: usize) -> Option<String> {
        let (stacks, model) = self.player.looked_into(at)?;
        stacks.sentence(|process, stack| {
            let mut names = self.functions(model, process, stack);
            names.reverse();
            match names.is_empty() {
                true => Some(vec![Name::unknown()]),
                false => Some(names),
            }
        })
    }

    /// Chooses another finding.
    pub(super) fn finding_row(&mut self, by: i64) {
        let last = self.findings().len().saturating_sub(1);
        let before = self.finding;
        self.finding = before.saturating_add_signed(by as isize).min(last);
        if self.finding == before {
            self.say("no further finding".to_owned());
        }
    }

    /// Goes to the worst time of the chosen finding, and chooses the fd it is about.
    pub(super) fn open_finding(&mut self) -> Result<(), Error> {
        let Some(found) = self.findings().get(self.finding) else {
            self.say(match self.player.found() {
                Some(_) => "nothing was found in this recording".to_owned(),
                None => "the recording is being looked through".to_owned(),
            });
            return Ok(());
        };
        let at = found.evidence.iter().find(|e| e.at_ns == found.at_ns);
        let event = at.or(found.evidence.first()).map_or(0, |e| e.event);
        self.go_to_finding(self.finding, event)
    }

    /// To the next (or the previous) moment that shows a finding.
    pub(super) fn next_finding(&mut self, by: i64) -> Result<(), Error> {
        let here = self.player.next();
        let all = self.findings().iter().enumerate();
        let moments = all.flat_map(|(at, f)| f.evidence.iter().map(move |e| (e.event, at)));
        let found = match by > 0 {
            true => moments.filter(|(event, _)| *event >= here).min(),
            // The one the cursor stands right behind is the one it has come from.
            false => moments.filter(|(event, _)| event + 1 < here).max(),
        };
        match found {
            Some((event, at)) => self.go_to_finding(at, event),
            None => {
                self.say("no further finding".to_owned());
                Ok(())
            }
        }
    }

    fn go_to_finding(&mut self, at: usize, event: u64) -> Result<(), Error> {
        let Some(found) = self.findings().get(at) else {
            return Ok(());
        };
        let (loop_id, reg) = (found.loop_id, found.reg);
        let said = format!("{} ({})", found.code.title(), found.code);
        self.travel(|p| p.seek_event(event + 1))?;
        self.finding = at;
        if let Some(loop_id) = loop_id {
            self.loop_id = loop_id;
            self.loop_chosen = true;
        }
        if reg.is_some() {
            self.chosen = reg;
        }
        if self.view == View::Findings {
            self.show(View::Timeline);
        }
        self.say(said);
        Ok(())
    }
}
