//! Changes of an interest list, told before and after. Step: **event** → ring.

use core::ffi::c_int;

use super::code;
use crate::record::event::{IN_FULL, Kind, UNREAD};
use crate::record::wire::Rec;
use crate::{site, tls};

// Answers that the kernel gives only once it has read the event; others may come from a filter that did not let it.
const ENOENT: i32 = 2;
const EEXIST: i32 = 17;

/// Makes an epoll_ctl(2) and records both ends of it. `before` is its mask and data word, if they could be read already;
/// if not, the call's beginning is told again with what `after` reads, as soon as the kernel has read it too.
#[inline(always)]
pub fn changing(
    epfd: c_int,
    op: c_int,
    fd: c_int,
    before: Option<(u32, u64)>,
    after: impl FnOnce() -> (u32, u64),
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
    let begin = |ticks: u64, (mask, data): (u32, u64), said: u64| Rec {
        ticks,
        kind: Kind::CtlBegin,
        x: mask as i32,
        arg: data,
        y: Some(u64::from(epfd as u32) | said),
        ..rec
    };
    here.ring().push(&match before {
        Some(event) => begin(here.now(), event, 0),
        None => begin(here.now(), (0, 0), UNREAD),
    });
    let answer = call();
    let result = code(answer);
    if before.is_none() && matches!(-result, 0 | ENOENT | EEXIST) {
        here.ring().push(&begin(here.now(), after(), IN_FULL));
    }
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::CtlEnd,
        x: result,
        ..rec
    });
    answer
}
