//! Following a program that does more than this machine can fold: what happens most often is left out up to a little before
//! the end, so that the screen shows now. What may have changed meanwhile is not known until an event says so, nothing of it
//! is counted, and the screen says how much it is; the recording has all of it. Step: trace → **model** → view.

use super::{Folder, PIECE, Player, RUN_UP};
use crate::model::{Id, Model, Word};
use crate::record::event::{Cause, Event, Kind, flags};
use crate::trace::{Error, Reader};
use std::collections::HashMap;
use std::time::Instant;

/// Seconds of folding that are worth a gap; fewer are, when they do not become fewer by folding. Who comes back to follow
/// waits longer for whole figures.
const FAR: f64 = 1.5;
const FARTHER: f64 = 0.5;
const PATIENCE: f64 = 4.0;
/// Events that never are worth one.
const FEW: u64 = 2 * PIECE;
/// A piece of fewer events says little about how fast it goes.
const MEASURED: u64 = 2_000;
/// Seconds until the UI looks at the keyboard again.
const GO: f64 = 0.02;
/// Events folded in one go at least, and before it is known how fast it goes.
const LEAST: u64 = 4_096;
const FIRST: u64 = 32_768;
/// Looking through an event takes so much less than folding it.
const LOOKS: u64 = 8;
/// Pieces folded before the end after a gap.
const LEAD: u64 = 8;

/// What happens at every turn. The rest is rare, and everything later rests on it.
fn is_frequent(kind: Kind) -> bool {
    use Kind::*;
    matches!(
        kind,
        WaitEnter
            | WaitExit
            | Ready
            | RunBegin
            | RunEnd
            | Io
            | OnBehalf
            | CallBegin
            | CallEnd
            | Mark
            | SpanBegin
            | SpanEnd
            | SupplyBegin
            | Supplied
            | TimerArm
            | TimerCancel
            | TimerBegin
            | TimerEnd
            | TaskQueued
            | TaskBegin
            | TaskEnd
    )
}

impl Folder {
    /// Goes on to event `to` and leaves out what is frequent, looking at up to `most` events; true once it is there.
    pub fn leave_out(&mut self, reader: &mut Reader, to: u64, most: u64) -> Result<bool, Error> {
        // Each thread that did something, and the wait it is in; that of the last one stands beside them.
        let mut threads: HashMap<u32, Option<Event>> = HashMap::new();
        let mut last: Option<(u32, Option<Event>)> = None;
        let (mut left, mut now) = (most, self.model.now());
        let mut there = true;
        'pages: while self.load(reader)? {
            for event in &self.buffer.events[self.index..] {
                let number = self.buffer.number(self.index);
                if number >= to || left == 0 {
                    there = number >= to;
                    break 'pages;
                }
                left -= 1;
                now = now.max(event.t);
                if event.kind == Kind::Output {
                    self.left_out += 1;
                } else if is_frequent(event.kind) {
                    if last.as_ref().is_none_or(|l| l.0 != event.thread) {
                        if let Some((thread, waits)) = last.take() {
                            threads.insert(thread, waits);
                        }
                        if !threads.contains_key(&event.thread) {
                            doubt(
                                &mut self.model,
                                Cause::RingFull,
                                (event.thread, now, number),
                            );
                        }
                    }
                    let waits = (event.kind == Kind::WaitEnter).then_some(*event);
                    last = Some((event.thread, waits));
                    self.left_out += u64::from(self.buffer.numbered);
                } else {
                    let text = event.text.of(&self.buffer.text);
                    self.model.apply(number, event, text, &mut ());
                }
                self.index += 1;
                self.next = number + u64::from(self.buffer.numbered);
            }
            // A page that is damaged reads as one event that stands for all of them.
            if let Some(page) = reader.pages().get(self.page()) {
                self.next = self.next.max(page.events().end);
            }
        }
        threads.extend(last);
        for (thread, waits) in threads {
            doubt(&mut self.model, Cause::RingFull, (thread, now, self.next));
            if let Some(wait) = waits {
                let again = Event {
                    t: now,
                    flags: wait.flags | flags::AGAIN,
                    ..wait
                };
                self.model.apply(self.next, &again, &[], &mut ());
            }
        }
        Ok(there)
    }

    /// Goes on before event `to` without a look at what comes before it: all of it may have become anything.
    pub fn jump(&mut self, reader: &Reader, to: u64, t: u64) {
        self.left_out += to.saturating_sub(self.next);
        self.next = to;
        self.rebase(reader);
        doubt(&mut self.model, Cause::Dropped, (0, t, to));
    }
}

/// What a thread does is not known, nor what its process's registrations have come to; where all was dropped nothing is:
/// as where events were lost, but none was.
fn doubt(model: &mut Model, cause: Cause, (thread, t, number): (u32, u64, u64)) {
    let event = Event {
        t,
        thread,
        kind: Kind::Lost,
        aux: cause.code(),
        ..Event::default()
    };
    model.apply(number, &event, &[], &mut ());
}

impl Player {
    /// Moves the cursor behind the last event of a growing recording. On a way there that has been begun it arrives first.
    pub fn follow(&mut self) -> Result<(), Error> {
        if self.follows && self.goal.is_some() {
            return Ok(());
        }
        let stays = self.follows;
        self.seek_end()?;
        let (here, end) = (self.folder.next, self.reader.end());
        let behind = end.saturating_sub(here);
        let before = std::mem::replace(&mut self.behind, behind);
        let far = match stays {
            true if behind > before / 10 * 7 => self.is_far(behind, FARTHER),
            true => self.is_far(behind, FAR),
            false => self.is_far(behind, PATIENCE),
        };
        let lead = LEAD * self.piece();
        if let Some(goal) = self.goal.as_mut().filter(|_| far && self.was_at_end) {
            goal.thin = end.saturating_sub(lead);
        }
        self.follows = true;
        Ok(())
    }

    /// So many events were folded since `began`.
    pub(super) fn folded(&mut self, events: u64, began: Instant) {
        if events >= MEASURED {
            let rate = events as f64 / began.elapsed().as_secs_f64().max(1e-6);
            self.rate = match self.rate {
                0.0 => rate,
                before => before * 0.7 + rate * 0.3,
            };
        }
    }

    /// The state just before event `number` can be had in a moment.
    pub fn glimpses(&self, number: u64) -> bool {
        let from = self.saved.nearest(number.saturating_sub(RUN_UP));
        number.saturating_sub(from) <= LEAD * self.piece().max(FIRST)
    }

    /// Events to fold in one go.
    pub(super) fn piece(&self) -> u64 {
        match self.rate {
            0.0 => FIRST,
            rate => ((rate * GO) as u64).clamp(LEAST, PIECE),
        }
    }

    /// This machine, as busy as it is, needs longer for so many events.
    fn is_far(&self, events: u64, seconds: f64) -> bool {
        events > FEW && self.rate > 0.0 && events as f64 / self.rate > seconds
    }

    /// One piece of a way on which events are left out.
    pub(super) fn leave_out(&mut self, to: u64) -> Result<(), Error> {
        self.remember();
        let (here, began) = (self.folder.next, Instant::now());
        let missing = to.saturating_sub(here);
        let there = if self.look_rate > 0.0 && missing as f64 / self.look_rate > FAR {
            // Not even looking through them keeps up.
            let page = self.reader.page_of(to);
            let t = self.reader.pages().get(page).map_or(0, |p| p.t_first);
            let t = t.max(self.folder.model.now());
            self.folder.jump(&self.reader, to, t);
            true
        } else {
            let most = LOOKS * self.piece();
            let there = self.folder.leave_out(&mut self.reader, to, most)?;
            let looked = self.folder.next - here;
            if looked >= MEASURED {
                self.look_rate = looked as f64 / began.elapsed().as_secs_f64().max(1e-6);
            }
            there
        };
        self.t = self.folder.model.now();
        // What was seen before the gap stays the last that is known.
        self.tail.from = self.t;
        if there {
            self.saved.keep(&self.folder);
        }
        Ok(())
    }

    /// Keeps what the registrations are before a gap makes it unknown.
    fn remember(&mut self) {
        let model = &self.folder.model;
        let live = model.regs().filter(|r| r.is_live());
        let now = model.now();
        let before = std::mem::take(&mut self.words);
        self.words = live
            .filter_map(|r| match r.word {
                Word::Unknown => Some((r.id, *before.get(&r.id)?)),
                word => Some((r.id, (word, now))),
            })
            .collect();
    }

    /// What a registration was, and when, before events that may have changed it were left out.
    pub fn last_known(&self, reg: Id) -> Option<(Word, u64)> {
        self.words.get(&reg).copied()
    }

    /// The part of the events before the cursor that were left out of all figures, if any were.
    pub fn left_out(&self) -> Option<f64> {
        let all = self.folder.next.saturating_sub(self.reader.first()).max(1);
        let out = self.folder.left_out;
        (out > 0).then(|| (out as f64 / all as f64).min(1.0))
    }

    /// A window that follows and is far behind the cursor goes on from there.
    pub(super) fn pull_window(&mut self) {
        let follows = self
            .window
            .as_ref()
            .filter(|w| w.key.follow && self.was_at_end);
        let behind = follows.map_or(0, |w| self.folder.next.saturating_sub(w.folder().next));
        if self.is_far(behind, FARTHER)
            && let Some(window) = &mut self.window
        {
            window.go_on_from(&self.folder, &self.reader);
        }
    }
}
