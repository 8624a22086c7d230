//! Calls that move bytes, take a connection or ask a socket. Step: **event** → ring.

use core::ffi::c_int;

use super::{Answer, code};
use crate::record::event::{Kind, Op};
use crate::record::ring::Call;
use crate::record::wire::Rec;
use crate::{site, tls};

/// Makes a call on a descriptor and records it once it has returned; until then the thread is told to be inside of it.
#[inline(always)]
pub fn moving<R: Answer>(
    op: Op,
    fd: c_int,
    asked: usize,
    caller: usize,
    call: impl FnOnce() -> R,
) -> R {
    asking(op, fd, caller, call, move |_| asked)
}

/// The same where what was asked for is known only once the kernel has read it: `asked` gets the answer.
#[inline(always)]
pub fn asking<R: Answer>(
    op: Op,
    fd: c_int,
    caller: usize,
    call: impl FnOnce() -> R,
    asked: impl FnOnce(R) -> usize,
) -> R {
    let Some(here) = tls::here() else {
        return call();
    };
    let site = site::id(&here, caller);
    let began = here.now();
    let around = here.enters(Call::new(op, u32::from(site), fd, began));
    let answer = call();
    let ticks = here.now();
    here.leaves(around);
    here.ring().push(&Rec {
        ticks,
        kind: Kind::Io,
        aux: op.code(),
        fd,
        x: code(answer),
        arg: asked(answer) as u64,
        y: Some(ticks.saturating_sub(began)),
        site,
        ..Rec::default()
    });
    answer
}
