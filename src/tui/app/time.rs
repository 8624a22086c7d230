//! Moving in time: journeys, play, following a growing recording. Step: model → **view**.

use super::App;
use crate::trace::Error;
use crate::tui::message::{Pace, View};
use crate::tui::player::Player;
use crate::tui::widget::text;

/// Speeds as (recorded, shown): 1 s of recording takes `shown ÷ recorded` seconds.
pub const SPEEDS: [(u64, u64); 13] = [
    (1, 10_000),
    (1, 3_000),
    (1, 1_000),
    (1, 300),
    (1, 100),
    (1, 30),
    (1, 10),
    (1, 3),
    (1, 1),
    (3, 1),
    (10, 1),
    (30, 1),
    (100, 1),
];
/// 1:100.
pub(super) const SLOW: usize = 4;
/// 1:1.
pub(super) const REAL: usize = 8;

impl App {
    /// A journey in time: stops play, follow and hold first.
    pub(super) fn travel(
        &mut self,
        go: impl FnOnce(&mut Player) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(held) = self.held.take() {
            self.player.seek_event(held.event)?;
            self.player.finish()?;
        }
        self.playing = false;
        self.following = false;
        self.log_at = None;
        self.go_beyond(0);
        go(&mut self.player)
    }

    pub(super) fn step(&mut self, by: i64) -> Result<(), Error> {
        let (first, here) = (self.player.reader().first(), self.player.next());
        let (at_start, at_end) = (here <= first, self.player.at_end());
        self.travel(|p| p.step(by))?;
        if by < 0 && at_start {
            self.say("this is the first moment of the recording".to_owned());
        } else if by > 0 && at_end {
            self.say_end();
        }
        Ok(())
    }

    pub(super) fn first(&mut self) -> Result<(), Error> {
        let first = self.player.reader().first();
        if self.player.next() <= first && self.held.is_none() {
            self.say("this is the first moment of the recording".to_owned());
        }
        self.travel(|p| p.seek_event(first))
    }

    pub(super) fn last(&mut self) -> Result<(), Error> {
        if self.following {
            self.say("this is now, and it follows".to_owned());
        } else if self.player.at_end() && !self.is_live() {
            self.say_end();
        }
        self.travel(Player::seek_end)?;
        self.following = self.is_live();
        if self.following {
            self.player.follow()?;
        }
        Ok(())
    }

    fn say_end(&mut self) {
        self.say(match self.is_live() {
            true => "nothing has happened after this yet; Space follows".to_owned(),
            false => "the recording ends here; g goes to its start".to_owned(),
        });
    }

    pub(super) fn play(&mut self) -> Result<(), Error> {
        if let Some(held) = &self.held {
            // Keep what is held: the cursor moves there.
            let event = held.event;
            self.travel(|p| p.seek_event(event))?;
            self.say("kept: the recording goes on, Space follows it again".to_owned());
        } else if self.player.interrupt() || self.following || self.playing {
            self.playing = false;
            self.following = false;
        } else if self.player.at_end() && self.is_live() {
            self.following = true;
            self.player.follow()?;
        } else if self.player.at_end() {
            self.say_end();
        } else {
            self.playing = true;
        }
        Ok(())
    }

    /// Time passes while playing: so many nanoseconds of ours.
    pub fn tick(&mut self, ns: u64) -> Result<(), Error> {
        if !self.playing {
            return Ok(());
        }
        let (recorded, shown) = SPEEDS[self.speed];
        let passed = (u128::from(ns) * u128::from(recorded) / u128::from(shown)) as u64;
        match self.pace {
            Pace::Event => {
                // At 1:1 a hundred events a second.
                let events = (passed / 10_000_000).max(1);
                self.player.step(events as i64)?;
            }
            Pace::Clock | Pace::Skip => {
                let mut to = self.player.t() + passed.max(1);
                if self.pace == Pace::Skip
                    && let Some(next) = self.player.next_instant()?
                {
                    to = to.max(next);
                }
                self.player.advance(to);
            }
        }
        if self.player.at_end() {
            self.playing = false;
            self.following = self.is_live();
        }
        Ok(())
    }

    /// The recording has grown.
    pub fn data(&mut self) -> Result<(), Error> {
        let grown = self.player.refresh()?;
        if self.following {
            match self.player.ended() {
                true => self.player.seek_end()?,
                false if grown => self.player.follow()?,
                false => {}
            }
            if self.player.ended() {
                self.following = false;
                if self.options.demo {
                    self.say(
                        "Done.  r repaired / broken   B both   g again   PgDn next step".to_owned(),
                    );
                }
            }
        }
        if self.lecture.as_ref().is_some_and(|l| l.waits) && (grown || self.player.ended()) {
            self.go_to_step()?;
        }
        Ok(())
    }

    /// To the worst wait: of the window on the timeline, else of the whole recording.
    pub(super) fn worst(&mut self) -> Result<(), Error> {
        let found = match self.view {
            View::Timeline => match self.player.window() {
                Some(w) if w.is_summary() => {
                    let (from, to) = w.span();
                    self.player.worst(self.loop_id, from, to)?
                }
                window => window.and_then(|w| w.painted().worst().copied()),
            },
            _ => self.player.worst(self.loop_id, 0, u64::MAX)?,
        };
        let Some(run) = found else {
            self.say("no run has ended here".to_owned());
            return Ok(());
        };
        let wait = run.waited().hi;
        self.travel(|p| p.seek_event(run.event))?;
        self.chosen = Some(run.reg);
        let place = match self.view {
            View::Timeline => "in view",
            _ => "of all",
        };
        let most = if run.waited().lo < wait {
            "at most "
        } else {
            ""
        };
        self.say(format!(
            "the worst wait {place}: {most}{}; b shows what ran meanwhile",
            text::time(wait)
        ));
        Ok(())
    }

    pub(super) fn next_match(&mut self, by: i64) -> Result<(), Error> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        let asks = filter.asks_for_findings();
        match filter.find(&mut self.player, by)? {
            Some((event, reg)) => {
                self.travel(|p| p.seek_event(event + 1))?;
                self.chosen = Some(reg);
            }
            None if asks && self.player.found().is_none() => {
                self.say("the recording is being looked through for findings".to_owned());
            }
            None => self.say("no further run matches the filter".to_owned()),
        }
        Ok(())
    }
}

impl App {
    /// To the nearest mark after (or before) the cursor: the person's own, or one the program made.
    pub(super) fn next_mark(&mut self, by: i64) -> Result<(), Error> {
        let t = self.t();
        let own = match by > 0 {
            true => self.marks.iter().find(|m| **m > t).copied(),
            false => self.marks.iter().rev().find(|m| **m < t).copied(),
        };
        let found = self.player.mark(by)?;
        let made = match found {
            Ok(number) => self
                .player
                .around(number, 0, 1)?
                .pop()
                .map(|r| (r.event.t, number)),
            Err(_) => None,
        };
        // Behind the last mark the person's first comes again.
        let again = || (by > 0).then(|| self.marks.first().copied()).flatten();
        let own = own.or_else(|| made.is_none().then(again).flatten());
        let nearer = |own: u64, made: u64| if by > 0 { own < made } else { own > made };
        match (own, made) {
            (Some(own), made) if made.is_none_or(|(t, _)| nearer(own, t)) => {
                self.travel(|p| p.seek(own))?;
            }
            (_, Some((_, number))) => {
                // The mark has been made: its words are the ones of this moment.
                self.travel(|p| p.seek_event(number + 1))?;
                self.player.finish()?;
                if let Some((mark, fields)) = self.tail().marks.back().cloned() {
                    if let Some(loop_id) = mark.loop_id {
                        self.loop_id = loop_id;
                    }
                    self.say(crate::tui::view::marks::sentence(self, &mark, &fields));
                }
            }
            (_, None) => self.say(match found {
                Err(at) if at > self.player.reader().first() && at < self.player.reader().end() => {
                    format!(
                        "no mark up to event {}; go there and look again",
                        text::count(at)
                    )
                }
                _ if by > 0 => "no further mark; m marks a moment".to_owned(),
                _ => "no mark before this moment".to_owned(),
            }),
        }
        Ok(())
    }
}
