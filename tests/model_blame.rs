//! Blame and caused waiting, two ways: run by run over the segments, and as the fold sums it up on the way.
#![allow(clippy::unwrap_used)]

#[path = "../benches/common/synth.rs"]
#[allow(dead_code)]
mod synth;

use std::collections::HashMap;

use loopscope::model::{self, Config, Id, Model, Part, Range, Run, Segment, Sink, Turn};
use loopscope::record::event::Event;
use synth::Synth;

#[derive(Default)]
struct Heard {
    runs: Vec<Run>,
    turns: Vec<Turn>,
    segments: Vec<Segment>,
}

impl Sink for Heard {
    fn run(&mut self, run: &Run) {
        self.runs.push(*run);
    }
    fn turn(&mut self, turn: &Turn) {
        self.turns.push(*turn);
    }
    fn segment(&mut self, segment: &Segment) {
        self.segments.push(*segment);
    }
}

fn fold(seed: u64, fds: usize, events: usize) -> (Model, Heard) {
    // Nothing may be folded into roles: each registration's figure is compared.
    let mut model = Model::new(Config {
        keep_closed: usize::MAX,
    });
    let mut heard = Heard::default();
    let mut number = 0;
    let mut synth = Synth::new(seed, fds);
    let mut push = |e: &Event, text: &[u8]| {
        model.apply(number, e, text, &mut heard);
        number += 1;
    };
    synth.start(&mut push);
    while synth.emitted() < events as u64 {
        synth.turn(&mut push);
    }
    model.settle();
    (model, heard)
}

/// The segments a run's wait may touch; the run-by-run way is too slow over all of them.
fn around<'a>(segments: &'a [Segment], run: &Run) -> &'a [Segment] {
    let from = run.ready.map_or(run.wakeup, |r| r.lo);
    let first = segments.partition_point(|s| s.end <= from);
    let last = segments.partition_point(|s| s.start < run.start);
    &segments[first.min(last)..last]
}

#[test]
fn blame_adds_up_and_the_fold_agrees_with_it() {
    for (seed, fds) in [(1, 4), (2, 50), (3, 400)] {
        let (model, heard) = fold(seed, fds, 60_000);
        assert!(heard.runs.len() > 5_000, "a stream worth the name");
        let mut caused: HashMap<Id, Range> = HashMap::new();
        for run in &heard.runs {
            let parts = model::blame(around(&heard.segments, run), run);
            let total = parts.iter().fold(Range::default(), |sum, (_, r)| Range {
                lo: sum.lo + r.lo,
                hi: sum.hi + r.hi,
            });
            assert_eq!(run.wait(), Some(total), "{run:?}: {parts:?}");
            for (part, range) in parts {
                if let Part::Run(id) = part
                    && id != run.reg
                {
                    let sum = caused.entry(id).or_default();
                    sum.lo += range.lo;
                    sum.hi += range.hi;
                }
            }
        }
        for reg in model.regs() {
            let expected = caused.get(&reg.id).copied().unwrap_or_default();
            let actual = Range {
                lo: reg.caused_lo,
                hi: reg.caused_hi,
            };
            assert_eq!(actual, expected, "fd {} of seed {seed}", reg.fd);
        }
    }
}

#[test]
fn turns_and_segments_leave_nothing_out() {
    let (model, heard) = fold(7, 50, 60_000);
    for pair in heard.segments.windows(2) {
        assert_eq!(pair[0].end, pair[1].start, "segments are gapless");
    }
    let l = &model.loops()[0];
    let of = |part: fn(&Part) -> bool| -> u64 {
        let all = heard.segments.iter().filter(|s| part(&s.part));
        all.map(|s| s.end - s.start).sum()
    };
    let runs: u64 = heard.turns.iter().map(|t| t.run_ns).sum();
    let length: u64 = heard.turns.iter().map(|t| t.end - t.start).sum();
    let rest: u64 = heard.turns.iter().map(Turn::rest_ns).sum();
    assert_eq!(l.turns as usize, heard.turns.len());
    assert_eq!((l.run_ns, l.busy_ns, l.rest_ns()), (runs, length, rest));
    // The last turn may be under way: its runs are told, it is not.
    let told = of(|p| matches!(p, Part::Run(_)));
    let last = heard.turns.last().unwrap().end;
    let after: u64 = heard
        .runs
        .iter()
        .filter(|r| r.start >= last)
        .map(Run::run)
        .sum();
    assert_eq!(told, runs + after);
}
