//! Events folded in a second of the processor's time, from memory, nobody listening: `cargo bench --bench fold`, or for
//! other numbers of connections `cargo bench --bench fold -- 1000 5000`.
//!
//! The aim is 10 million (docs/PERFORMANCE.md). Also shows what the pyramid and the search for findings cost beside it, and
//! what a checkpoint weighs at that number of connections.

#[path = "common/processor.rs"]
mod processor;
#[path = "common/synth.rs"]
#[allow(dead_code)]
mod synth;

use loopscope::findings::Findings;
use loopscope::model::{Model, Pyramid};
use loopscope::record::event::Event;
use processor::processor;
use synth::Synth;

/// Events with the place of their text in one buffer.
struct Stream {
    events: Vec<(Event, u32, u16)>,
    text: Vec<u8>,
}

fn stream(fds: usize, count: usize) -> Stream {
    let mut all = Stream {
        events: Vec::with_capacity(count + 4096),
        text: Vec::new(),
    };
    let mut synth = Synth::new(1, fds);
    let mut push = |e: &Event, text: &[u8]| {
        all.events
            .push((*e, all.text.len() as u32, text.len() as u16));
        all.text.extend_from_slice(text);
    };
    synth.start(&mut push);
    let mut synth_events = 0;
    while synth_events < count {
        synth.turn(&mut |e: &Event, text: &[u8]| {
            synth_events += 1;
            push(e, text);
        });
    }
    all
}

fn main() {
    const EVENTS: usize = 4_000_000;
    println!(
        "{:>8} {:>10} {:>14} {:>14} {:>16} {:>14}",
        "fds", "fold M/s", "with pyramid", "with rules", "checkpoint bytes", "save + load ms"
    );
    let given: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let all = if given.is_empty() {
        vec![16, 1_000, 20_000]
    } else {
        given
    };
    for fds in all {
        let stream = stream(fds, EVENTS);
        let mut best = [0f64; 3];
        let mut model = Model::default();
        for round in 0..9 {
            model = Model::default();
            let mut pyramid = Pyramid::default();
            let mut findings = Findings::default();
            let start = processor();
            for (number, (e, at, len)) in stream.events.iter().enumerate() {
                let text = &stream.text[*at as usize..][..usize::from(*len)];
                let number = number as u64;
                match round % 3 {
                    0 => model.apply(number, e, text, &mut ()),
                    1 => model.apply(number, e, text, &mut pyramid),
                    _ => findings.apply(&mut model, number, e, text, &mut ()),
                }
            }
            let rate = stream.events.len() as f64 / (processor() - start).as_secs_f64() / 1e6;
            best[round % 3] = best[round % 3].max(rate);
        }
        let start = processor();
        let mut saved = Vec::new();
        model.save(&mut saved);
        assert!(Model::load(&saved).is_some());
        let took = (processor() - start).as_secs_f64() * 1e3;
        println!(
            "{fds:>8} {:>10.1} {:>14.1} {:>14.1} {:>16} {took:>14.1}",
            best[0],
            best[1],
            best[2],
            saved.len()
        );
    }
}
