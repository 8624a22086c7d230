//! What a finding's thread computed when it was worst: its sentence ends with the function. Step: trace → model → **view**.

use super::code::names;
use crate::derive::meanwhile::stacks;
use crate::findings::Outcome;
use crate::findings::meanwhile::Stacks;
use crate::model::Model;
use crate::trace::{Error, Reader};

/// Findings that are looked into.
const MOST: usize = 40;

/// Adds to each finding what its thread was found in.
pub(super) fn tell(reader: &mut Reader, model: &Model, outcome: &mut Outcome) -> Result<(), Error> {
    let mut all: Vec<(usize, Stacks)> = Vec::new();
    for (at, found) in outcome.found.iter().enumerate().take(MOST) {
        let stacks = stacks(reader, model, found)?;
        if stacks.is_told() {
            all.push((at, stacks));
        }
    }
    let wanted = all.iter().flat_map(|(_, stacks)| stacks.all());
    let names = names(reader, model, wanted)?;
    for (at, stacks) in &all {
        let told = stacks.sentence(|process, stack| names.get(&(process, stack)).cloned());
        if let (Some(found), Some(told)) = (outcome.found.get_mut(*at), told) {
            found.summary.push_str(&told);
        }
    }
    Ok(())
}
