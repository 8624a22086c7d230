//! Going from finding to finding. Step: findings → **view**.

use super::App;
use crate::findings::Found;
use crate::findings::meanwhile::Name;
use crate::trace::Error;
use crate::tui::message::View;

impl App {
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
