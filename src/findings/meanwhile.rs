//! What a finding's thread was doing when it was worst, in a sentence. Step: model → **view**.

use crate::model::Id;
use crate::text::visible;
use crate::when::Duration;
use std::collections::HashMap;

/// Fewer samples say nothing.
const FEWEST: u64 = 3;
/// What a sample stands for, in nanoseconds, about.
const SAMPLE: u64 = 1_000_000;
/// Functions of a stack that are told.
const TOLD: usize = 3;

/// How often a thread was found on its CPU in each stack, and for how many nanoseconds it slept in each; by the stack's process and
/// number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stacks {
    /// On its CPU.
    pub samples: HashMap<(Id, u32), u64>,
    /// Asleep.
    pub asleep: HashMap<(Id, u32), u64>,
}

/// A function in a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// What it is called.
    pub function: String,
    /// Its source file; empty: not known.
    pub file: String,
    /// It is the C library's, or Rust's.
    pub library: bool,
}

impl Name {
    /// Of a stack of which nothing is known.
    pub fn unknown() -> Name {
        Name {
            function: "[unknown]".to_owned(),
            ..Name::default()
        }
    }
}

/// The function that a stack stands for, and its callers: the innermost one; of a thread that slept, the innermost that is not the
/// C library's. Functions stand from the outside in.
pub fn own(names: &[Name], asleep: bool) -> Option<(&Name, &[Name])> {
    let last = names.len().checked_sub(1)?;
    let own = match asleep {
        true => names.iter().rposition(|name| !name.library).unwrap_or(last),
        false => last,
    };
    Some((names.get(own)?, names.get(..own)?))
}

impl Stacks {
    /// They are worth a sentence.
    pub fn is_told(&self) -> bool {
        self.samples.values().sum::<u64>() >= FEWEST || !self.asleep.is_empty()
    }

    /// Every stack.
    pub fn all(&self) -> impl Iterator<Item = (Id, u32)> {
        self.samples.keys().chain(self.asleep.keys()).copied()
    }

    /// ` Meanwhile its thread was in parse_rows, called by serve, main (23 of 25 samples).` or ` Meanwhile its thread slept in
    /// load_rows (fsync), called by serve, main (49.8 ms).`, whichever was longer. `names` gives a stack's functions from the outside in;
    /// nothing is said where it does not know one of them.
    pub fn sentence(&self, names: impl Fn(Id, u32) -> Option<Vec<Name>>) -> Option<String> {
        if !self.is_told() {
            return None;
        }
        let samples: u64 = self.samples.values().sum();
        let asleep_ns = self
            .asleep
            .values()
            .fold(0, |sum: u64, ns| sum.saturating_add(*ns));
        let asleep = asleep_ns > samples.saturating_mul(SAMPLE);
        let told = if asleep { &self.asleep } else { &self.samples };
        let mut functions: HashMap<Name, (u64, u64, Vec<Name>)> = HashMap::new();
        let mut stacks: Vec<_> = told.iter().collect();
        stacks.sort_unstable();
        for ((process, stack), n) in stacks {
            let names = names(*process, *stack)?;
            // What a library computes is computed for who called it.
            let (name, callers) = own(&names, true)?;
            let known = functions.entry(name.clone()).or_default();
            known.0 = known.0.saturating_add(*n);
            if *n > known.1 {
                // What it called stands behind it.
                let inside = names.get(callers.len() + 1..).unwrap_or_default();
                (known.1, known.2) = (*n, [callers, inside.get(..1).unwrap_or_default()].concat());
                if inside.is_empty() {
                    known.2.push(Name::default());
                }
            }
        }
        let most = functions.iter().max_by_key(|(name, (n, ..))| (*n, *name))?;
        let (name, (n, _, around)) = most;
        let (inside, callers) = around.split_last()?;
        let callers = callers.iter().rev().take(TOLD);
        let callers: Vec<_> = callers.map(|name| visible(&name.function)).collect();
        let called = match callers.is_empty() {
            true => String::new(),
            false => format!(", called by {}", callers.join(", ")),
        };
        let function = visible(&name.function);
        Some(match asleep {
            true => {
                // A module's name says nothing more.
                let inside = match inside.function.as_str() {
                    "" => String::new(),
                    module if module.starts_with('[') => String::new(),
                    call => format!(" ({})", visible(plain(call))),
                };
                let slept = Duration(*n);
                format!(" Meanwhile its thread slept in {function}{inside}{called} ({slept}).")
            }
            false => {
                format!(
                    " Meanwhile its thread was in {function}{called} ({n} of {samples} samples)."
                )
            }
        })
    }
}

/// A function of the C library as programs call it: `nanosleep`, which it calls `__GI___nanosleep`.
fn plain(function: &str) -> &str {
    let plain = function.strip_prefix("__GI_").unwrap_or(function);
    let plain = plain.trim_start_matches('_');
    if plain.is_empty() { function } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_found_most_often_is_told_with_its_callers() {
        let name = |function: &str| Name {
            function: function.to_owned(),
            library: function.ends_with("nanosleep") || function == "[libc.so.6]",
            ..Name::default()
        };
        let stack = |functions: &[&str]| functions.iter().map(|f| name(f)).collect::<Vec<_>>();
        let names = HashMap::from([
            (1, stack(&["main", "serve", "parse"])),
            (2, stack(&["main", "other", "parse"])),
            (3, stack(&["main", "write\u{1b}"])),
            (4, stack(&["main", "serve", "load", "__GI_clock_nanosleep"])),
            (5, stack(&["main", "take", "[libc.so.6]", "[libc.so.6]"])),
            (6, stack(&["[libc.so.6]"])),
            (
                7,
                stack(&["main", "serve", "parse", "__GI_clock_nanosleep"]),
            ),
        ]);
        let sentence = |samples: &[(u32, u64)], asleep: &[(u32, u64)]| {
            let of = |all: &[(u32, u64)]| all.iter().map(|(stack, n)| ((0, *stack), *n)).collect();
            let stacks = Stacks {
                samples: of(samples),
                asleep: of(asleep),
            };
            let told = stacks.sentence(|_, stack| names.get(&stack).cloned());
            told.unwrap_or_default()
        };
        let told = |samples| sentence(samples, &[]);
        assert_eq!(
            told(&[(1, 3), (2, 1), (3, 3)]),
            " Meanwhile its thread was in parse, called by serve, main (4 of 7 samples)."
        );
        assert_eq!(
            told(&[(3, 3)]),
            " Meanwhile its thread was in write\\x1b, called by main (3 of 3 samples)."
        );
        assert_eq!(
            told(&[(1, 2), (7, 2), (3, 3)]),
            " Meanwhile its thread was in parse, called by serve, main (4 of 7 samples)."
        );
        // Too few, and one that nobody knows.
        assert_eq!(told(&[]), "");
        assert_eq!(told(&[(1, 2)]), "");
        assert_eq!(told(&[(1, 3), (9, 1)]), "");
        // Asleep, the C library's functions stand for who called them.
        let ms = 1_000_000;
        assert_eq!(
            sentence(&[(1, 4)], &[(4, 50 * ms), (5, 2 * ms)]),
            " Meanwhile its thread slept in load (clock_nanosleep), called by serve, main (50.0 ms)."
        );
        assert_eq!(
            sentence(&[], &[(5, 2 * ms)]),
            " Meanwhile its thread slept in take, called by main (2.00 ms)."
        );
        assert_eq!(
            sentence(&[], &[(6, 2 * ms)]),
            " Meanwhile its thread slept in [libc.so.6] (2.00 ms)."
        );
        // What took longer is told.
        assert!(sentence(&[(1, 4)], &[(4, 3 * ms)]).contains("was in parse"));
    }
}
