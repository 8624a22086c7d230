//! The epoll model against the live kernel: random sequences of calls, each answered alike by both, the order inside every
//! batch included.
//!
//! `LOOPSCOPE_FULL=1` runs 100,000 sequences. A failure prints the seed and the shortest sequence that still fails;
//! `LOOPSCOPE_SEED=N` starts there.
#![cfg(all(feature = "cli", target_arch = "x86_64"))]

mod live;
mod random;
mod vectors;

use live::Live;
use loopscope::demos::Random;
use loopscope::teach::epoll::{Answer, Belief, Call, Sizes, World};
use loopscope::teach::quiz::{Sheet, Topic};
use std::hash::{BuildHasher, Hasher};

/// The first call to which the two answer differently, with both answers.
fn difference(calls: &[Call], sizes: &Sizes) -> Option<(usize, Answer, Answer)> {
    let (mut live, mut world) = (Live::new(sizes), World::new(sizes.clone()));
    calls.iter().enumerate().find_map(|(at, call)| {
        let (kernel, model) = (live.apply(call), world.apply(call));
        (kernel != model).then_some((at, kernel, model))
    })
}

/// The same failure with as few calls as removing them finds.
fn shortest(mut calls: Vec<Call>, sizes: &Sizes) -> Vec<Call> {
    if let Some((at, ..)) = difference(&calls, sizes) {
        calls.truncate(at + 1);
    }
    let mut piece = calls.len() / 2;
    while piece > 0 {
        let (mut at, mut less) = (0, false);
        while at < calls.len() {
            let mut tried = calls.clone();
            tried.drain(at..calls.len().min(at + piece));
            match difference(&tried, sizes) {
                Some((last, ..)) => {
                    tried.truncate(last + 1);
                    calls = tried;
                    less = true;
                }
                None => at += piece,
            }
        }
        if !less || piece > 1 {
            piece /= 2;
        }
    }
    calls
}

/// The sequence with what the kernel answers and, at the end, what the model does.
fn told(calls: &[Call], sizes: &Sizes) -> String {
    let (mut live, mut world) = (Live::new(sizes), World::new(sizes.clone()));
    let line = |call: &Call| {
        let (kernel, model) = (live.apply(call), world.apply(call));
        match kernel == model {
            true => format!("  {call} = {kernel}\n"),
            false => format!(
                "  {call} = {kernel}, the model says {model} by {:?}\n",
                world.notes()
            ),
        }
    };
    calls.iter().map(line).collect()
}

fn hold(seed: u64, sequences: u64) {
    let sizes = Live::sizes();
    let mut events = 0;
    for number in 0..sequences {
        let calls = random::sequence(&mut Random::new(seed, number));
        if difference(&calls, &sizes).is_some() {
            let calls = shortest(calls, &sizes);
            panic!(
                "seed {seed}, sequence {number}:\n{}{calls:?}",
                told(&calls, &sizes)
            );
        }
        events += calls
            .iter()
            .filter(|c| matches!(c, Call::Wait { .. }))
            .count();
    }
    assert!(events as u64 > sequences, "hardly any wait: {events}");
}

/// Whether the kernel refutes a belief with some sequence of this seed.
fn refuted(belief: Belief, sizes: &Sizes) -> bool {
    (0..20_000).any(|number| {
        let calls = random::sequence(&mut Random::new(2, number));
        let mut right = World::new(sizes.clone());
        let mut wrong = World::believing(sizes.clone(), belief);
        // Where the right and the wrong model differ the kernel decides; it is asked only then.
        let differ = (calls.iter()).any(|call| right.apply(call) != wrong.apply(call));
        differ && {
            let mut live = Live::new(sizes);
            let mut wrong = World::believing(sizes.clone(), belief);
            (calls.iter()).any(|call| live.apply(call) != wrong.apply(call))
        }
    })
}

#[test]
fn the_kernel_refutes_every_wrong_belief() {
    let sizes = Live::sizes();
    for belief in Belief::ALL {
        assert!(refuted(belief, &sizes), "{belief:?}");
    }
}

/// Some thousand always, all that the promise names with LOOPSCOPE_FULL=1.
fn sequences(full: u64) -> u64 {
    match std::env::var_os("LOOPSCOPE_FULL") {
        Some(_) => full,
        None => 4_000,
    }
}

#[test]
fn the_model_answers_as_the_kernel_does() {
    hold(1, sequences(100_000));
}

#[test]
fn and_with_a_seed_nobody_chose() {
    let chosen = std::env::var("LOOPSCOPE_SEED").map(|seed| seed.parse().unwrap());
    let seed = chosen.unwrap_or_else(|_| {
        std::collections::hash_map::RandomState::new()
            .build_hasher()
            .finish()
    });
    println!("LOOPSCOPE_SEED={seed}");
    hold(seed, sequences(20_000));
}

/// Problems of a seed: some always, many with LOOPSCOPE_FULL=1.
fn problems() -> u32 {
    match std::env::var_os("LOOPSCOPE_FULL") {
        Some(_) => 1000,
        None => 60,
    }
}

#[test]
fn the_kernel_answers_every_problem_of_the_quiz_as_its_sheet_does() {
    let sizes = Sizes::default();
    let topics = Topic::ALL.into_iter().map(Some).chain([None]);
    for (seed, topic) in (1..).zip(topics) {
        let sheet = Sheet::new(topic, seed, None, problems());
        for problem in sheet.problems() {
            let mut live = Live::new(&sizes);
            let kernel: Vec<Answer> = problem.calls.iter().map(|c| live.apply(c)).collect();
            assert_eq!(
                kernel,
                problem.answers,
                "seed {seed}\n{}",
                problem.question()
            );
            let right = &problem.choices[problem.right].answer;
            assert_eq!(
                kernel.last(),
                Some(right),
                "seed {seed}\n{}",
                problem.question()
            );
        }
    }
}
