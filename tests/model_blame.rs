//! Blame and caused waiting, two ways: run by run over the segments, and as the fold sums it up on the way.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

#[path = "../benches/common/synth.rs"]
#[allow(dead_code)]
mod synth;
#[path = "common/unmarked.rs"]
mod unmarked;

use std::collections::HashMap;

use loopscope::model::{self, Config, Id, Model, Part, Range, Run, Segment, Sink, Turn};
use loopscope::record::event::{Ctl, Event, Kind, NO_INDEX};
use synth::Synth;
use unmarked::Unmarked;

/// How the program's handlers are known.
#[derive(Clone, Copy, Debug)]
enum Handlers {
    Marked,
    Inferred,
    /// And it comes back to what it has served.
    InferredInPieces,
}
use Handlers::*;

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

fn fold(handlers: Handlers, seed: u64, fds: usize, events: usize) -> (Model, Heard) {
    // Nothing may be folded into roles: each registration's figure is compared.
    let mut model = Model::new(Config {
        keep_closed: usize::MAX,
    });
    let mut heard = Heard::default();
    let mut number = 0;
    let mut synth = Synth::new(seed, fds);
    let mut tell = |e: &Event, text: &[u8]| {
        model.apply(number, e, text, &mut heard);
        number += 1;
    };
    let mut unmarked = Unmarked::new(matches!(handlers, InferredInPieces), &mut tell);
    let mut marked;
    let push: &mut dyn FnMut(&Event, &[u8]) = match handlers {
        Marked => {
            drop(unmarked);
            &mut tell
        }
        _ => {
            marked = |e: &Event, text: &[u8]| unmarked.push(e, text);
            &mut marked
        }
    };
    let mut push = |e: &Event, text: &[u8]| push(e, text);
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
    let streams = [
        (Marked, 1, 4),
        (Marked, 2, 50),
        (Marked, 3, 400),
        (Inferred, 4, 4),
        (Inferred, 5, 50),
        (InferredInPieces, 6, 4),
        (InferredInPieces, 7, 50),
    ];
    for (handlers, seed, fds) in streams {
        let (model, heard) = fold(handlers, seed, fds, 60_000);
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
                if let Part::Run(id) | Part::More(id) = part
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
            assert_eq!(actual, expected, "fd {} of {handlers:?} {seed}", reg.fd);
        }
    }
}

#[test]
fn turns_and_segments_leave_nothing_out() {
    for handlers in [Marked, Inferred, InferredInPieces] {
        let (model, heard) = fold(handlers, 7, 50, 60_000);
        for pair in heard.segments.windows(2) {
            assert_eq!(pair[0].end, pair[1].start, "segments are gapless");
        }
        let l = &model.loops()[0];
        let of = |part: fn(&Part) -> bool| -> u64 {
            let all = heard.segments.iter().filter(|s| part(&s.part));
            all.map(|s| s.end - s.start).sum()
        };
        let sum = |part: fn(&Turn) -> u64| heard.turns.iter().map(part).sum::<u64>();
        let (runs, rest, tail) = (sum(|t| t.run_ns), sum(Turn::rest_ns), sum(|t| t.tail_ns));
        let length = sum(|t| t.end - t.start);
        assert_eq!(l.turns as usize, heard.turns.len());
        assert_eq!(
            (l.run_ns, l.busy_ns, l.rest_ns(), l.tail_ns),
            (runs, length, rest, tail)
        );
        // The last turn may be under way: its runs are told, it is not.
        let last = heard.turns.last().unwrap().end;
        let after: u64 = heard
            .runs
            .iter()
            .filter(|r| r.start >= last)
            .map(Run::run)
            .sum();
        assert_eq!(
            of(|p| matches!(p, Part::Run(_) | Part::More(_))),
            runs + after
        );
        assert_eq!(of(|p| matches!(p, Part::Tail(_))), tail);
        let more: u64 = heard.runs.iter().map(|r| r.more).sum();
        assert_eq!(of(|p| matches!(p, Part::More(_))), more);
        assert_eq!(more > 0, matches!(handlers, InferredInPieces));
        assert_eq!(tail > 0, !matches!(handlers, Marked));
        let tails: u64 = model.regs().map(|r| r.tail.sum()).sum();
        assert_eq!(tails, tail);
    }
}

/// A turn without an end, as of a program that serves its own queue: what is kept of it stays as small as of any other.
#[test]
fn an_endless_turn_is_held_in_bounded_memory() {
    let mut model = Model::default();
    let (mut number, mut t) = (0, 0);
    let mut tell = |model: &mut Model, event: Event| {
        t += 100;
        model.apply(number, &Event { t, ..event }, b"", &mut ());
        number += 1;
    };
    let of = |kind, fd, x, arg| Event {
        kind,
        fd,
        x,
        arg,
        ..Event::default()
    };
    let ctl = Event {
        aux: Ctl::Add.code(),
        y: 5,
        ..of(Kind::CtlBegin, 6, 1, 6)
    };
    tell(&mut model, ctl);
    let kind = Kind::CtlEnd;
    tell(&mut model, Event { kind, x: 0, ..ctl });
    tell(&mut model, of(Kind::WaitEnter, 5, 16, u64::MAX));
    tell(&mut model, of(Kind::WaitExit, 5, 1, 0));
    tell(&mut model, of(Kind::Ready, 5, 1, 6));
    let mut sizes = Vec::new();
    for runs in 1..=20_000 {
        let aux = NO_INDEX;
        let run = of(Kind::RunBegin, 5, 0, 6);
        tell(&mut model, Event { aux, ..run });
        tell(&mut model, of(Kind::RunEnd, 5, 0, 0));
        if runs == 5_000 || runs == 20_000 {
            let mut saved = Vec::new();
            model.save(&mut saved);
            sizes.push(saved.len());
        }
    }
    assert_eq!(model.loops()[0].dispatched, 20_000);
    // Between once and twice what is kept, whenever one looks.
    assert!(sizes[1] < 3 * sizes[0], "{sizes:?}");
}
