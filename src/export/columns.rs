//! An event's columns under readable names: what a line of ndjson says. docs/EXPORT.md holds the table.
//! Step: trace, model → **outside**.
//!
//! Everything here comes from the event itself and from the name tables; nothing is computed.

use crate::json::Json;
use crate::model::{Model, reversed};
use crate::record::event::{
    Arming, BY_FD, Cause, Ctl, Event, FdKind, Kind, Mode, Off, Op, Space, UNREAD, Wait, flags,
};
use crate::record::fields;
use crate::record::handshake::Source;
use crate::text::names;
use std::collections::HashMap;

/// Looks up names in the tables of the event's process.
pub(super) struct Names<'a> {
    pub model: &'a Model,
    pub process: u32,
    /// Address pairs of load generators by process and id: the model keeps what it makes of them, not their text.
    pub pairs: &'a HashMap<(u32, u32), String>,
    /// When the send began that the event ends.
    pub sent: Option<u64>,
}

impl Names<'_> {
    /// The text of a name id; nothing for none or an unknown one.
    fn of(&self, space: Space, id: i32) -> Option<&str> {
        let text = self.model.name(self.process, space, id as u32);
        (!text.is_empty()).then_some(text)
    }

    /// The pair of a load generator's socket, and the same as the side that receives sees it.
    fn pair(&self, j: &mut Json, id: i32) {
        let pair = self.pairs.get(&(self.process, id as u32));
        j.field("pair", pair)
            .field("to", pair.and_then(|p| reversed(p)).as_deref());
    }
}

/// The columns of one event, after those that every event has.
pub(super) fn columns(j: &mut Json, e: &Event, text: &[u8], names: &Names<'_>) {
    match e.kind {
        Kind::WaitEnter => {
            j.field("call", code(Wait::from_code(e.aux).map(Wait::name), e.aux))
                .field("epfd", e.fd);
            j.field("maxevents", e.x);
            j.field("timeout_ns", Some(e.arg as i64).filter(|t| *t >= 0));
            if e.lets_through() != 0 {
                j.field("lets_through", &names::signals(e.lets_through()));
            }
        }
        Kind::WaitExit => {
            j.field("call", code(Wait::from_code(e.aux).map(Wait::name), e.aux))
                .field("epfd", e.fd);
            result(j, "n", e.x);
        }
        Kind::Ready => {
            j.field("epfd", e.fd)
                .field("index", e.aux)
                .field("mask", &names::mask(e.x as u32))
                .field("data", e.arg);
        }
        Kind::CtlBegin | Kind::CtlEnd => {
            j.field("op", code(Ctl::from_code(e.aux).map(Ctl::name), e.aux));
            j.field("epfd", e.y as i32).field("fd", e.fd);
            if e.kind == Kind::CtlBegin {
                let read = e.said() != UNREAD;
                let interest = names::mask(e.x as u32);
                j.field("interest", read.then_some(interest.as_str()))
                    .field("data", read.then_some(e.arg));
            } else {
                result(j, "result", e.x);
            }
        }
        Kind::RunBegin => {
            j.field("epfd", e.fd)
                .field("index", Some(e.aux).filter(|i| *i < BY_FD));
            j.field("handler", names.of(Space::Handler, e.x))
                .field("data", (e.aux != BY_FD).then_some(e.arg));
            j.field("named_fd", (e.aux == BY_FD).then_some(e.arg as i32));
        }
        Kind::RunEnd => {
            let left = e.flags & crate::record::flags::LEFT != 0;
            j.field("epfd", e.fd).field("left", left);
        }
        Kind::Handler => {
            j.field("epfd", e.fd)
                .field("handler", names.of(Space::Handler, e.x))
                .field("data", e.arg);
        }
        Kind::Io => {
            j.field("op", code(Op::from_code(e.aux).map(Op::name), e.aux))
                .field("fd", e.fd);
            result(j, "result", e.x);
            j.field("asked", e.arg).field("duration_ns", e.y);
        }
        Kind::FdOpen => {
            j.field("fd", e.fd).field(
                "what",
                code(FdKind::from_code(e.aux).map(FdKind::name), e.aux),
            );
            j.field("from", Some(e.x).filter(|fd| *fd >= 0));
            let known = e.arg & 4 != 0;
            j.field("nonblocking", known.then_some(e.arg & 1 != 0))
                .field("cloexec", known.then_some(e.arg & 2 != 0));
        }
        Kind::FdCloseBegin => {
            j.field("fd", e.fd);
        }
        Kind::FdCloseEnd => {
            j.field("fd", e.fd);
            result(j, "result", e.x);
        }
        Kind::DupBegin => {
            j.field("fd", e.fd)
                .field("target", Some(e.x).filter(|fd| *fd >= 0));
        }
        Kind::DupEnd => {
            j.field("fd", e.fd);
            result(j, "result", e.x);
        }
        Kind::FdName => {
            j.field("fd", e.fd).field("name", text);
        }
        Kind::FdAddr => {
            j.field("fd", e.fd).field(
                "what",
                code(FdKind::from_code(e.aux).map(FdKind::name), e.aux),
            );
            j.field("addresses", text);
            if e.x == 1 {
                j.field("called", true);
            }
        }
        Kind::Unread => {
            j.field("fd", e.fd)
                .field("bytes", e.arg)
                .field("ago_ns", e.y);
        }
        Kind::Name => {
            j.field(
                "space",
                code(Space::from_code(e.aux).map(Space::name), e.aux),
            )
            .field("id", e.x as u32);
            j.field("name", text);
        }
        Kind::Mark | Kind::SpanBegin | Kind::SpanEnd => {
            j.field("name", names.of(Space::Mark, e.x));
            if e.kind == Kind::Mark {
                j.field("fd", Some(e.fd).filter(|fd| *fd >= 0));
            } else {
                j.field("span", e.arg);
            }
            if e.kind == Kind::SpanBegin {
                j.field("parent", Some(e.y).filter(|span| *span != 0));
            }
            if e.kind != Kind::SpanEnd {
                mark_fields(j, text);
            }
        }
        Kind::OnBehalf => {
            j.field("fd", e.fd)
                .field("whose_loop", names.model.works_for(e));
        }
        Kind::TimerArm => {
            timer(j, e, names, Space::Timer);
            j.field("in_ns", e.y as i64);
        }
        Kind::TimerfdSet => {
            j.field("fd", e.fd);
            result(j, "result", e.x);
            let arming = Arming::from_code(e.aux);
            j.field("armed", arming != Some(Arming::Off))
                .field("in_ns", (arming == Some(Arming::In)).then_some(e.y));
            j.field("interval_ns", Some(e.arg).filter(|every| *every != 0));
        }
        Kind::TimerCancel | Kind::TimerBegin | Kind::TimerEnd => timer(j, e, names, Space::Timer),
        Kind::TaskQueued | Kind::TaskBegin | Kind::TaskEnd => timer(j, e, names, Space::Task),
        Kind::CallBegin | Kind::CallEnd => {
            j.field("name", names.of(Space::Call, e.x))
                .field("fd", Some(e.fd).filter(|fd| *fd >= 0));
        }
        Kind::SupplyBegin => {
            names.pair(j, e.x);
        }
        Kind::Supplied => {
            names.pair(j, e.x);
            j.field("bytes", e.arg);
            // One that came late has the instant at which it could be written.
            let told = e.flags & flags::LATE == 0;
            let from = names.sent.unwrap_or(e.t.saturating_sub(e.y));
            j.field("from_ns", told.then_some(from))
                .field("to_ns", told.then_some(e.t));
        }
        Kind::Fork => {
            j.field("child", e.x);
        }
        Kind::Exec => {
            j.field("program", text).field("source", source(e.aux));
        }
        Kind::ThreadStart => {
            j.field("new_tid", e.x).field("name", text);
        }
        Kind::ThreadEnd => {}
        Kind::ProcessStart => {
            j.field("new_pid", e.x)
                .field("number", e.arg)
                .field("parent_pid", e.y)
                .field("name", text)
                .field("source", source(e.aux));
        }
        Kind::ProcessEnd => {
            j.field("number", e.arg).field("status", e.x);
            ending(j, e.x);
        }
        Kind::Reaped => {
            j.field("child", e.arg).field("status", e.x);
            ending(j, e.x);
        }
        Kind::InCall => {
            j.field("op", code(Op::from_code(e.aux).map(Op::name), e.aux))
                .field("fd", Some(e.fd).filter(|fd| *fd >= 0));
            j.field("name", names.of(Space::Call, e.x))
                .field("since_ns", e.t.saturating_sub(e.y));
        }
        Kind::Lost => {
            j.field(
                "cause",
                code(Cause::from_code(e.aux).map(Cause::name), e.aux),
            )
            .field("lost", e.arg);
            j.field("since_ns", e.t.saturating_sub(e.y));
        }
        Kind::Anchor => {
            let wide = |at: usize| {
                text.get(at..at + 8)
                    .and_then(|b| Some(u64::from_le_bytes(b.try_into().ok()?)))
            };
            j.field("monotonic_ns", e.arg).field("boottime_ns", e.y);
            j.field("ticks", wide(0)).field("realtime_ns", wide(8));
        }
        Kind::FdSeen => {
            j.field("fd", e.fd).field(
                "what",
                code(FdKind::from_code(e.aux).map(FdKind::name), e.aux),
            );
            j.field("name", text)
                .field("inode", Some(e.arg).filter(|inode| *inode != 0))
                .field("ago_ns", e.y);
        }
        Kind::FdGone => {
            j.field("fd", e.fd).field("ago_ns", e.y);
        }
        Kind::RegSeen | Kind::RegGone => {
            j.field("epfd", e.y as i32).field("fd", e.fd);
            if e.kind == Kind::RegSeen {
                j.field("interest", &names::mask(e.x as u32));
            }
            j.field("data", e.arg)
                .field("ago_ns", u64::from(e.aux) * 1_000_000);
        }
        Kind::Setup => {
            let mut parts = text.split(|b| *b == 0);
            for key in ["missing", "because", "do"] {
                j.field(key, parts.next().unwrap_or(b""));
            }
        }
        Kind::SwitchOut => {
            j.field("why", code(Off::from_code(e.aux).map(Off::name), e.aux))
                .field("cpu", e.x);
        }
        Kind::SwitchIn => {
            if e.aux != 0 {
                j.field("why", code(Off::from_code(e.aux).map(Off::name), e.aux));
            }
            j.field("cpu", e.x);
        }
        Kind::Fault => {
            j.field("faults", e.x).field("address", e.arg);
            j.field("since_ns", e.t.saturating_sub(e.y));
        }
        Kind::Sample => {
            let process = names.process;
            j.field("mode", code(Mode::from_code(e.aux).map(Mode::name), e.aux))
                .field("stands_for_ns", e.arg)
                .array("stack", |j| {
                    let places = names.model.stack(process, e.x as u32);
                    for place in places {
                        j.element(place);
                    }
                });
        }
        Kind::Signals => {
            j.field("pending_tid", e.x)
                .field("pending", &names::signals(e.arg))
                .field("ago_ns", e.y);
        }
        Kind::Sched => {
            j.field("of_tid", e.x)
                .field("runnable", e.aux != 0)
                .field("on_cpu_ns", e.arg)
                .field("cpu_wait_ns", e.y);
        }
        Kind::Steal => {
            j.field("cpu", Some(e.x).filter(|cpu| *cpu >= 0))
                .field("cpus", e.aux)
                .field("stolen_ns", e.arg);
            j.field("since_ns", e.t.saturating_sub(e.y));
        }
        Kind::Output => {
            j.field("stream", e.aux).field("bytes", text);
        }
    }
}

/// A number that is an error when negative: `"n":3`, or `"n":null,"error":"EINTR"`.
fn result(j: &mut Json, name: &str, x: i32) {
    match x {
        0.. => {
            j.field(name, x);
        }
        _ => {
            let error = names::errno(x).map_or_else(|| (-i64::from(x)).to_string(), str::to_owned);
            j.field(name, None::<i32>).field("error", &error);
        }
    }
}

/// What a wait status says.
fn ending(j: &mut Json, status: i32) {
    let how = names::Ending::of(status);
    j.field("exit_code", how.code())
        .field("signal", how.signal().as_deref());
}

/// Who pushes for a process; nothing where it was not said.
fn source(code: u16) -> Option<&'static str> {
    Source::from_code(code).map(|source| match source {
        Source::Library => "library",
        Source::Preload => "preload",
        Source::Beside => "beside",
    })
}

/// The name of a code, or the code in words for one newer than this version.
fn code(name: Option<&'static str>, code: u16) -> Code {
    Code(name, code)
}

struct Code(Option<&'static str>, u16);

impl crate::json::Put for Code {
    fn put(&self, json: &mut Json) {
        match self.0 {
            Some(name) => name.put(json),
            None => format!("code {}", self.1).as_str().put(json),
        }
    }
}

fn timer(j: &mut Json, e: &Event, names: &Names<'_>, space: Space) {
    j.field("epfd", Some(e.fd).filter(|fd| *fd >= 0))
        .field("name", names.of(space, e.x))
        .field("id", e.arg);
}

fn mark_fields(j: &mut Json, text: &[u8]) {
    j.object("fields", |j| {
        for (key, value) in fields::decode(text) {
            match value {
                fields::Value::U64(v) => j.field(key, v),
                fields::Value::I64(v) => j.field(key, v),
                fields::Value::F64(v) => j.field(key, v),
                fields::Value::Bool(v) => j.field(key, v),
                fields::Value::Str(v) => j.field(key, v),
            };
        }
    });
}
