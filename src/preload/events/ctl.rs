//! Changes of an interest list, told before and after. Step: **event** → ring.

use core::ffi::c_int;

use super::code;
use crate::record::event::Kind;
use crate::record::wire::Rec;
use crate::{site, tls};

/// Makes an epoll_ctl(2) and records both ends of it.
#[inline(always)]
pub fn changing(
    epfd: c_int,
    op: c_int,
    fd: c_int,
    (mask, data): (u32, u64),
    caller: usize,
    call: impl FnOnce() -> c_int,
) -> c_int {
    let Some(here) = tls::here() else {
        return call();
    };
    let rec = Rec {
        aux: u16::try_from(op).unwrap_or(0),
        fd,
        y: Some(epfd as u64),
        site: site::id(&here, caller),
        ..Rec::default()
    };
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::CtlBegin,
        x: mask as i32,
        arg: data,
        ..rec
    });
    let answer = call();
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::CtlEnd,
        x: code(answer),
        ..rec
    });
    answer
}
