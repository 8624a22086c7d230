//! What the fold tells, painted into columns: runs, stretches of turns, timers, and the states that fds leave.
//! Step: **model** → view.

use super::cells::Cells;
use crate::model::{Fidelity, Fired, Id, Run, Segment, Sink, Transition, Word};

/// The state an fd is in where the painting has come to.
#[derive(Clone, Copy, Debug)]
pub struct State {
    word: Word,
    since: u64,
    /// It is proven, not inferred.
    certain: bool,
    /// Told: since when it had been ready, and whether that is certain.
    ready: Option<(u64, bool)>,
}

impl Cells {
    /// The state an fd is in when the columns begin.
    pub fn begin_state(&mut self, reg: Id, word: Word, since: u64) {
        let state = State {
            word,
            since,
            certain: true,
            ready: None,
        };
        self.states.insert(reg, state);
    }
}

impl Sink for Cells {
    fn run(&mut self, run: &Run) {
        if run.loop_id != self.loop_id || run.end < self.from() {
            return;
        }
        self.running(run.reg, run.start, run.end);
        if let Some(col) = self.col(run.end) {
            self.spectra[col].add(run);
        }
        if run.wakeup < run.start {
            self.state(run.reg, Word::Fetched, run.wakeup, run.start);
        }
        if let Some(ready) = run.ready {
            if ready.hi < run.wakeup {
                self.span(run.reg, ready.hi, run.wakeup, |c, _| c.ready = true);
            }
            if ready.lo < ready.hi {
                self.span(run.reg, ready.lo, ready.hi, |c, _| c.maybe = true);
            }
        }
        let wait = |r: &Run| r.waited().hi;
        if self.worst.as_ref().is_none_or(|w| wait(run) > wait(w)) {
            self.worst = Some(*run);
        }
    }

    fn segment(&mut self, s: &Segment) {
        if s.loop_id == self.loop_id {
            self.side_running(s.part, s.start, s.end);
            self.turn(s.part, s.start, s.end);
        }
    }

    fn timer(&mut self, fired: &Fired) {
        if fired.loop_id == self.loop_id {
            self.side_due(fired.due.unwrap_or(fired.start), fired.start);
        }
    }

    fn transition(&mut self, t: &Transition) {
        let mut next = State {
            word: t.to,
            since: t.t,
            certain: t.fidelity == Fidelity::Measured,
            ready: None,
        };
        let before = self.states.get(&t.reg).copied();
        if let Some(was) = before {
            match (was.word, t.to) {
                (Word::Residual | Word::Disarmed | Word::Muted | Word::Unknown, _) => {
                    self.state(t.reg, was.word, was.since, t.t);
                }
                // A run tells both itself, as well as they are known.
                (Word::Ready, Word::Fetched) => next.ready = Some((was.since, was.certain)),
                (Word::Fetched, Word::Running) | (Word::Ready, _) => {}
                // Nobody was seen to serve it: no run will.
                (Word::Fetched, _) => {
                    self.state(t.reg, Word::Fetched, was.since, t.t);
                    match was.ready {
                        Some((since, true)) => self.state(t.reg, Word::Ready, since, was.since),
                        Some((since, false)) => {
                            self.span(t.reg, since, was.since, |c, _| c.maybe = true);
                        }
                        None => {}
                    }
                }
                _ => {}
            }
        }
        self.states.insert(t.reg, next);
    }
}
