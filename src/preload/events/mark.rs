//! What the program says itself (docs/loopscope.h): its handlers, marks and names. Step: **event** → ring.

use core::ffi::c_int;

use crate::record::event::{BY_FD, Kind, Space, flags};
use crate::record::fields::{Fields, Value};
use crate::record::wire::Rec;
use crate::{said, site, tls};

/// A handler starts that serves `fd`, on the loop that `epfd` leads to or, −1, the one the thread waited on last.
pub fn handler_begins(epfd: c_int, fd: c_int, name: &[u8], caller: usize) {
    let Some(here) = tls::here() else { return };
    let x = said::id(&here, Space::Handler, name);
    let site = site::id(&here, caller);
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::RunBegin,
        aux: BY_FD,
        fd: epfd.max(-1),
        x,
        arg: fd as u32 as u64,
        site,
        ..Rec::default()
    });
}

/// The handler under way ends.
pub fn handler_ends() {
    let Some(here) = tls::here() else { return };
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::RunEnd,
        fd: -1,
        ..Rec::default()
    });
}

/// The handler under way works on behalf of `fd` from here on.
pub fn on_behalf_of(fd: c_int, caller: usize) {
    let Some(here) = tls::here() else { return };
    let site = site::id(&here, caller);
    here.ring().push(&Rec {
        ticks: here.now(),
        kind: Kind::OnBehalf,
        fd,
        site,
        ..Rec::default()
    });
}

/// A mark, with one field or none.
pub fn mark(name: &[u8], field: Option<(&[u8], Value<'_>)>, caller: usize) {
    if name.is_empty() {
        return;
    }
    let Some(here) = tls::here() else { return };
    let x = said::id(&here, Space::Mark, name);
    let rec = Rec {
        kind: Kind::Mark,
        fd: -1,
        x,
        site: site::id(&here, caller),
        ..Rec::default()
    };
    let Some((key, value)) = field else {
        here.ring().push(&Rec {
            ticks: here.now(),
            ..rec
        });
        return;
    };
    let fields = Fields::of(&[(utf8(key), value)]);
    let rec = Rec {
        ticks: here.now(),
        flags: if fields.is_cut() { flags::CUT } else { 0 },
        ..rec
    };
    here.ring().push_text(&rec, fields.bytes());
}

/// A descriptor has a name until it is closed.
pub fn names_fd(fd: c_int, name: &[u8]) {
    let Some(here) = tls::here() else { return };
    let rec = Rec {
        ticks: here.now(),
        kind: Kind::FdName,
        fd,
        ..Rec::default()
    };
    here.ring().push_text(&rec, name);
}

/// A loop has a name; `epfd` is any descriptor of it.
pub fn names_loop(epfd: c_int, name: &[u8]) {
    let Some(here) = tls::here() else { return };
    let rec = Rec {
        ticks: here.now(),
        kind: Kind::Name,
        aux: Space::Loop.code(),
        x: epfd,
        ..Rec::default()
    };
    here.ring().push_text(&rec, name);
}

/// As much of it as is UTF-8, which fields are.
pub fn utf8(text: &[u8]) -> &str {
    match core::str::from_utf8(text) {
        Ok(text) => text,
        Err(broken) => text
            .get(..broken.valid_up_to())
            .and_then(|whole| core::str::from_utf8(whole).ok())
            .unwrap_or(""),
    }
}
