//! The samples of a finding's thread while it was worst. Step: **trace** → view.

use crate::findings::Found;
use crate::findings::meanwhile::Stacks;
use crate::model::Model;
use crate::record::event::{Kind, Mode};
use crate::trace::{Error, Reader};

/// Events looked at for a finding.
pub const MOST_EVENTS: usize = 200_000;

/// The instant up to which [`stacks`] looks.
pub fn end(found: &Found) -> u64 {
    (found.at_ns.saturating_add(found.worst_ns)).saturating_add(found.worst_ns)
}

/// Which stacks a finding's thread was found in, or slept in, from its worst instant on, for as long as that lasted. The model knows the
/// thread: it has seen the recording up to there or further.
///
/// # Errors
/// When the file cannot be read.
pub fn stacks(reader: &mut Reader, model: &Model, found: &Found) -> Result<Stacks, Error> {
    let mut stacks = Stacks::default();
    let thread = found.thread.and_then(|id| model.threads().get(id as usize));
    let Some(thread) = thread.filter(|_| found.worst_ns > 0) else {
        return Ok(stacks);
    };
    let (from, to) = (found.at_ns, found.at_ns.saturating_add(found.worst_ns));
    let first = reader.event_at_time(from)?;
    let mut cursor = reader.events_from(first);
    for _ in 0..MOST_EVENTS {
        let Some((_, event, _)) = cursor.next()? else {
            break;
        };
        // A finding's length may be that of its sleeps alone: the last of them ends later.
        if event.t >= end(found) {
            break;
        }
        if event.kind == Kind::Sample && event.thread == thread.number && event.t >= from {
            let stack = u32::try_from(event.x).unwrap_or(0);
            let of = (thread.process, stack);
            if event.aux == Mode::Asleep.code() {
                let began = event.t.saturating_sub(event.arg).max(from);
                let inside = event.t.min(to).saturating_sub(began);
                if inside >= event.arg / 2 {
                    let slept = stacks.asleep.entry(of).or_default();
                    *slept = slept.saturating_add(event.t - began);
                }
            } else if event.t < to {
                *stacks.samples.entry(of).or_default() += 1;
            }
        }
    }
    Ok(stacks)
}
