//! Which functions the shown loop's threads were found in, as samples tell. Step: trace → model → **view**.

use super::App;
use crate::model::{Id, Sample};
use std::collections::HashMap;

/// Nanoseconds before the instant shown that are told of.
const LATELY: u64 = 1_000_000_000;

/// A function and how often it was found running itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed {
    /// From the inside out: its name, then those of its callers.
    pub calls: Vec<String>,
    /// In so many samples.
    pub samples: u64,
}

impl App {
    /// What a thread, or all of the shown loop's, did between two instants as far as that is in memory: the functions found
    /// most often first.
    pub fn computed(&self, thread: Option<Id>, from: u64, to: u64) -> Vec<Computed> {
        let facts = match self.player.window() {
            Some(window) if window.facts.samples.iter().any(|s| s.t >= from) => &window.facts,
            _ => self.tail(),
        };
        let own = self.the_loop().into_iter().flat_map(|l| &l.threads);
        let own: Vec<Id> = own.map(|t| t.thread).collect();
        let mine = |s: &&Sample| match thread {
            Some(thread) => s.thread == thread,
            None => own.contains(&s.thread),
        };
        let first = facts.samples.partition_point(|s| s.t < from);
        let inside = (facts.samples.range(first..)).take_while(|s| s.t < to);
        let mut stacks: HashMap<(Id, u32), u64> = HashMap::new();
        for sample in inside.filter(mine) {
            *stacks.entry((sample.process, sample.stack)).or_default() += 1;
        }
        let mut stacks: Vec<_> = stacks.into_iter().collect();
        stacks.sort_unstable_by_key(|(of, n)| (std::cmp::Reverse(*n), *of));
        let mut all: Vec<Computed> = Vec::new();
        for ((process, stack), samples) in stacks {
            let mut calls = self.stack(process, stack);
            if calls.is_empty() {
                calls.push("not known".to_owned());
            }
            match all.iter_mut().find(|known| known.calls[0] == calls[0]) {
                Some(known) => known.samples += samples,
                None => all.push(Computed { calls, samples }),
            }
        }
        all.sort_by_key(|c| std::cmp::Reverse(c.samples));
        all
    }

    /// The same for the second before the instant shown.
    pub fn computed_lately(&self) -> Vec<Computed> {
        let to = self.t().saturating_add(1);
        self.computed(None, to.saturating_sub(LATELY), to)
    }
}
