//! Calls that may block, by name, told before and after. Step: **event** → ring.

use core::ffi::c_int;

use crate::name::{self, Name};
use crate::record::event::{Kind, Op};
use crate::record::ring::Call;
use crate::record::wire::Rec;
use crate::{site, tls};

/// Makes a call that may block, on `fd` unless that is −1.
#[inline(always)]
pub fn named<R>(name: Name, fd: c_int, caller: usize, call: impl FnOnce() -> R) -> R {
    let Some(here) = tls::here() else {
        return call();
    };
    let rec = Rec {
        fd,
        x: name::id(&here, name),
        site: site::id(&here, caller),
        ..Rec::default()
    };
    let began = here.now();
    here.ring().push(&Rec {
        ticks: began,
        kind: Kind::CallBegin,
        ..rec
    });
    let inside = Call::new(Op::Named, rec.x as u32, fd, began);
    let around = here.enters(inside);
    let answer = call();
    here.leaves(around);
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::CallEnd,
        ..rec
    });
    answer
}
