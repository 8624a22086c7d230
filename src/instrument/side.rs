//! What a loop's own timers and tasks have in common: a name and a number, both the program's. Step: **event** → ring.

use std::panic::Location;

use super::state;
use crate::record::event::{Kind, Space};
use crate::record::wire::Rec;

/// Records what happened to one: an end has no name and no place.
#[inline(never)]
pub(super) fn push(
    kind: Kind,
    name: Option<(Space, &'static str)>,
    id: u64,
    y: Option<u64>,
    at: &'static Location<'static>,
) {
    let Some(here) = state::here() else { return };
    let x = match name {
        Some((space, name)) if !name.is_empty() => here.name(space, name),
        _ => 0,
    };
    let site = match kind {
        Kind::TimerEnd | Kind::TaskEnd => 0,
        _ => here.site(at),
    };
    here.push(&Rec {
        ticks: here.now(),
        kind,
        fd: here.epfd(),
        x,
        arg: id,
        y,
        site,
        ..Rec::default()
    });
}
