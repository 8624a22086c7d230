//! What the fold told lately: finished runs, turns, segments and transitions, as far back as memory allows.
//! Step: **model** → view.

use crate::model::{Fired, Mark, OnBehalf, Run, Sample, Segment, Sink, Transition, Turn};
use std::collections::VecDeque;

/// Facts in the order they ended, bounded; the oldest go first.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Everything that ended after this instant is here.
    pub from: u64,
    /// Finished handler runs.
    pub runs: VecDeque<Run>,
    /// Finished turns.
    pub turns: VecDeque<Turn>,
    /// What the loop's threads did.
    pub segments: VecDeque<Segment>,
    /// State changes.
    pub transitions: VecDeque<Transition>,
    /// Timers that fired.
    pub fired: VecDeque<Fired>,
    /// Marks and ends of spans, with their fields.
    pub marks: VecDeque<(Mark, Box<[u8]>)>,
    /// Whom runs said they work for.
    pub behalf: VecDeque<OnBehalf>,
    /// Threads that were found on their CPU.
    pub samples: VecDeque<Sample>,
}

/// Kept of each sort.
const RUNS: usize = 40_000;
const TURNS: usize = 20_000;
const SEGMENTS: usize = 80_000;
const TRANSITIONS: usize = 80_000;
const FIRED: usize = 20_000;
const MARKS: usize = 20_000;
const BEHALF: usize = 20_000;
const SAMPLES: usize = 20_000;

impl Facts {
    /// Nothing yet, complete from `from` on.
    pub fn since(from: u64) -> Self {
        Facts {
            from,
            ..Facts::default()
        }
    }

    /// Finished turns of a loop, the latest first.
    pub fn turns_of(&self, loop_id: u32) -> impl Iterator<Item = &Turn> {
        self.turns
            .iter()
            .rev()
            .filter(move |t| t.loop_id == loop_id)
    }

    /// Finished runs of a registration, the latest first.
    pub fn runs_of(&self, reg: u32) -> impl Iterator<Item = &Run> {
        self.runs.iter().rev().filter(move |r| r.reg == reg)
    }
}

fn push<T>(queue: &mut VecDeque<T>, most: usize, from: &mut u64, end: impl Fn(&T) -> u64, new: T) {
    if queue.len() >= most
        && let Some(gone) = queue.pop_front()
    {
        *from = (*from).max(end(&gone));
    }
    queue.push_back(new);
}

impl Sink for Facts {
    fn run(&mut self, run: &Run) {
        push(&mut self.runs, RUNS, &mut self.from, |r| r.end, *run);
    }
    fn turn(&mut self, turn: &Turn) {
        push(&mut self.turns, TURNS, &mut self.from, |t| t.end, *turn);
    }
    fn segment(&mut self, segment: &Segment) {
        push(
            &mut self.segments,
            SEGMENTS,
            &mut self.from,
            |s| s.end,
            *segment,
        );
    }
    fn transition(&mut self, t: &Transition) {
        push(
            &mut self.transitions,
            TRANSITIONS,
            &mut self.from,
            |t| t.t,
            *t,
        );
    }
    fn timer(&mut self, fired: &Fired) {
        push(&mut self.fired, FIRED, &mut self.from, |f| f.start, *fired);
    }
    fn mark(&mut self, mark: &Mark, fields: &[u8]) {
        let new = (*mark, fields.into());
        push(&mut self.marks, MARKS, &mut self.from, |m| m.0.t, new);
    }
    fn behalf(&mut self, said: &OnBehalf) {
        push(&mut self.behalf, BEHALF, &mut self.from, |s| s.t, *said);
    }
    fn sample(&mut self, sample: &Sample) {
        // Those are of the time before, and of nobody who computes.
        if sample.asleep {
            return;
        }
        push(&mut self.samples, SAMPLES, &mut self.from, |s| s.t, *sample);
    }
}
