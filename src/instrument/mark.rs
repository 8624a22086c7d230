//! Marks and spans: the program's own words on the timeline, with a few typed fields. Step: **event** → ring.

use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use super::state;
use crate::record::event::{Kind, Space, flags};
use crate::record::fields::{Fields, Value};
use crate::record::wire::Rec;

/// Puts a mark on the timeline: a name and, if wanted, fields `key = value` of integers, floats, bools or text.
///
/// The fields are not even evaluated while no recorder is on. What does not fit into 256 bytes is left out and the
/// mark says that it was cut.
///
/// ```
/// let path = String::from("/index.html");
/// loopscope::mark!("start");
/// loopscope::mark!("request", id = 12_u64, path = path.as_str(), hit = true);
/// ```
#[macro_export]
macro_rules! mark {
    ($name:expr $(, $key:ident = $value:expr)* $(,)?) => {
        if $crate::is_on() {
            $crate::mark($name, &[$((stringify!($key), $crate::Value::from($value))),*]);
        }
    };
}

/// Opens a span: a named stretch of time with fields as in [`mark!`]. It ends when the guard is dropped.
///
/// ```
/// {
///     let _parsing = loopscope::span!("parse", bytes = 512_u32);
///     // spans opened in here are inside it
/// }
/// ```
#[macro_export]
macro_rules! span {
    ($name:expr $(, $key:ident = $value:expr)* $(,)?) => {
        if $crate::is_on() {
            $crate::Span::open($name, &[$((stringify!($key), $crate::Value::from($value))),*])
        } else {
            $crate::Span::none()
        }
    };
}

/// What [`mark!`](crate::mark!) expands to: a mark whose fields are already there.
///
/// ```
/// loopscope::mark("request", &[("id", 12_u64.into())]);
/// ```
#[inline]
#[track_caller]
pub fn mark(name: &'static str, fields: &[(&str, Value<'_>)]) {
    if state::is_on() {
        push(
            Kind::Mark,
            name,
            0,
            None,
            &Fields::of(fields),
            Some(Location::caller()),
        );
    }
}

/// Pushes a mark or the beginning of a span.
#[inline(never)]
pub(super) fn push(
    kind: Kind,
    name: &'static str,
    arg: u64,
    y: Option<u64>,
    fields: &Fields,
    at: Option<&'static Location<'static>>,
) {
    let Some(here) = state::here() else { return };
    let x = here.name(Space::Mark, name);
    let site = at.map_or(0, |at| here.site(at));
    let record = Rec {
        ticks: here.now(),
        kind,
        flags: if fields.is_cut() { flags::CUT } else { 0 },
        fd: -1,
        x,
        arg,
        y,
        site,
        ..Rec::default()
    };
    here.push_text(&record, fields.bytes());
}

/// Numbers the spans of this process, from 1.
static SPANS: AtomicU64 = AtomicU64::new(1);

/// A number for a span that begins.
pub(super) fn next_span() -> u64 {
    SPANS.fetch_add(1, Ordering::Relaxed)
}

/// An open span; see [`span!`](crate::span!).
#[derive(Debug)]
#[must_use = "the span ends when this is dropped"]
pub struct Span {
    /// 0: no recorder was on when it was opened.
    id: u64,
    around: u64,
    name: &'static str,
    /// A span is open on the thread that opened it.
    _here: std::marker::PhantomData<*const ()>,
}

impl Span {
    /// What [`span!`](crate::span!) expands to when a recorder is on.
    ///
    /// ```
    /// let _span = loopscope::Span::open("parse", &[("bytes", 512_u32.into())]);
    /// ```
    #[track_caller]
    pub fn open(name: &'static str, fields: &[(&str, Value<'_>)]) -> Span {
        let Some(here) = state::here() else {
            return Span::none();
        };
        let id = next_span();
        let around = here.replace_span(id);
        push(
            Kind::SpanBegin,
            name,
            id,
            Some(around),
            &Fields::of(fields),
            Some(Location::caller()),
        );
        Span {
            id,
            around,
            name,
            _here: std::marker::PhantomData,
        }
    }

    /// A span that records nothing.
    ///
    /// ```
    /// let _span = loopscope::Span::none();
    /// ```
    #[inline(always)]
    pub fn none() -> Span {
        Span {
            id: 0,
            around: 0,
            name: "",
            _here: std::marker::PhantomData,
        }
    }
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if self.id != 0 {
            state::restore_span(self.around);
            ended(self.name, self.id);
        }
    }
}

/// Pushes the end of a span.
#[inline(never)]
pub(super) fn ended(name: &'static str, id: u64) {
    if let Some(here) = state::here() {
        let x = here.name(Space::Mark, name);
        here.push(&Rec {
            ticks: here.now(),
            kind: Kind::SpanEnd,
            fd: -1,
            x,
            arg: id,
            ..Rec::default()
        });
    }
}
