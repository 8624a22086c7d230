//! What a finding's thread computed when it was worst: its sentence ends with the function. Step: trace → model → **view**.

use super::code::{Name, names};
use crate::findings::{Found, Outcome};
use crate::model::{Id, Model};
use crate::record::event::Kind;
use crate::text::visible;
use crate::trace::{Error, Reader};
use std::collections::HashMap;

/// Findings that are looked into, and events looked at for each.
const MOST: usize = 40;
const MOST_EVENTS: usize = 200_000;
/// Fewer samples say nothing.
const FEWEST: u64 = 3;
/// Functions of a stack that are told.
const TOLD: usize = 3;

/// How often each stack was found.
type Counts = HashMap<(Id, u32), u64>;

/// Adds to each finding what its thread was found in.
pub(super) fn tell(reader: &mut Reader, model: &Model, outcome: &mut Outcome) -> Result<(), Error> {
    let mut all: Vec<(usize, Counts)> = Vec::new();
    for (at, found) in outcome.found.iter().enumerate().take(MOST) {
        let counts = counts(reader, model, found)?;
        if counts.values().sum::<u64>() >= FEWEST {
            all.push((at, counts));
        }
    }
    let wanted = all.iter().flat_map(|(_, counts)| counts.keys().copied());
    let names = names(reader, model, wanted)?;
    for (at, counts) in &all {
        if let (Some(found), Some(told)) = (outcome.found.get_mut(*at), sentence(counts, &names)) {
            found.summary.push_str(&told);
        }
    }
    Ok(())
}

fn counts(reader: &mut Reader, model: &Model, found: &Found) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    let thread = found.thread.and_then(|id| model.threads().get(id as usize));
    let Some(thread) = thread.filter(|_| found.worst_ns > 0) else {
        return Ok(counts);
    };
    let (from, to) = (found.at_ns, found.at_ns.saturating_add(found.worst_ns));
    let first = reader.event_at_time(from)?;
    let mut cursor = reader.events_from(first);
    for _ in 0..MOST_EVENTS {
        let Some((_, event, _)) = cursor.next()? else {
            break;
        };
        if event.t >= to {
            break;
        }
        if event.kind == Kind::Sample && event.thread == thread.number && event.t >= from {
            let stack = u32::try_from(event.x).unwrap_or(0);
            *counts.entry((thread.process, stack)).or_default() += 1;
        }
    }
    Ok(counts)
}

/// ` Meanwhile its thread was in parse_rows, called by serve, main (23 of 25 samples).`
fn sentence(counts: &Counts, names: &HashMap<(Id, u32), Vec<Name>>) -> Option<String> {
    let all: u64 = counts.values().sum();
    let mut functions: HashMap<&Name, (u64, u64, &[Name])> = HashMap::new();
    let mut stacks: Vec<_> = counts.iter().collect();
    stacks.sort_unstable();
    for (of, n) in stacks {
        let (own, callers) = names.get(of)?.split_last()?;
        let known = functions.entry(own).or_default();
        known.0 += n;
        if *n > known.1 {
            (known.1, known.2) = (*n, callers);
        }
    }
    let most = functions.iter().max_by_key(|(name, (n, ..))| (*n, *name))?;
    let (name, (n, _, callers)) = most;
    let callers = callers.iter().rev().take(TOLD);
    let callers: Vec<_> = callers.map(|name| visible(&name.function)).collect();
    let called = match callers.is_empty() {
        true => String::new(),
        false => format!(", called by {}", callers.join(", ")),
    };
    let function = visible(&name.function);
    Some(format!(
        " Meanwhile its thread was in {function}{called} ({n} of {all} samples)."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_found_most_often_is_told_with_its_callers() {
        let name = |function: &str| Name {
            function: function.to_owned(),
            file: String::new(),
        };
        let stack = |functions: &[&str]| functions.iter().map(|f| name(f)).collect::<Vec<_>>();
        let names = HashMap::from([
            ((0, 1), stack(&["main", "serve", "parse"])),
            ((0, 2), stack(&["main", "other", "parse"])),
            ((0, 3), stack(&["main", "write\u{1b}"])),
        ]);
        let told = |counts: &[(u32, u64)]| {
            let counts = counts.iter().map(|(stack, n)| ((0, *stack), *n)).collect();
            sentence(&counts, &names).unwrap_or_default()
        };
        assert_eq!(
            told(&[(1, 3), (2, 1), (3, 3)]),
            " Meanwhile its thread was in parse, called by serve, main (4 of 7 samples)."
        );
        assert_eq!(
            told(&[(3, 3)]),
            " Meanwhile its thread was in write\\x1b, called by main (3 of 3 samples)."
        );
        assert_eq!(told(&[]), "");
    }
}
