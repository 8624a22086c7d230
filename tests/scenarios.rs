//! The model's rules as small text files: events in, states and figures out.
//!
//! A line is `TIME VERB key=value … [flags]` (an event; `thread=N` picks the thread, 0 otherwise) or
//! `expect WHAT key=value …`, checked against the model at that point. Unknown verbs and keys are refused, omitted keys are not checked. Times
//! are `20us`, `1ms`; a range is `0..5us`. `#` starts a comment. See `scenarios/*.txt`.
//!
//! `repeat N every T from T0` … `done` plays the lines in between N times, their times counted from each round's start, `{10}` as 10 plus
//! the round's number.
//! A file of `scenarios/findings` has sections, `== what`, each played by itself after the lines before the first; exactly
//! what its `expect finding code=…` lines say is found at its end.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use loopscope::findings::{Findings, Found};
use loopscope::model::{
    self, Expiry, Fairness, Fidelity, Fired, Mark, Marking, Model, OnBehalf, Part, Range,
    Registration, Run, Segment, Sink, Stretches, Transition, Turn, Word,
};
use loopscope::record::event::{
    Arming, BY_FD, Cause, Ctl, Event, FdKind, Kind, NO_INDEX, Off, Op, Space, Wait, flags,
};

#[derive(Default)]
struct Heard {
    runs: Vec<Run>,
    turns: Vec<Turn>,
    segments: Vec<Segment>,
    transitions: Vec<Transition>,
    windows: Vec<Fairness>,
    fired: Vec<Fired>,
    marks: Vec<(Mark, Vec<u8>)>,
    behalf: Vec<OnBehalf>,
}

impl Sink for Heard {
    fn run(&mut self, run: &Run) {
        self.runs.push(*run);
    }
    fn turn(&mut self, turn: &Turn) {
        self.turns.push(*turn);
    }
    fn segment(&mut self, segment: &Segment) {
        self.segments.push(*segment);
    }
    fn transition(&mut self, transition: &Transition) {
        self.transitions.push(*transition);
    }
    fn fairness(&mut self, window: &Fairness) {
        self.windows.push(*window);
    }
    fn mark(&mut self, mark: &Mark, fields: &[u8]) {
        self.marks.push((*mark, fields.to_vec()));
    }
    fn behalf(&mut self, said: &OnBehalf) {
        self.behalf.push(*said);
    }
    fn timer(&mut self, fired: &Fired) {
        self.fired.push(*fired);
    }
}

/// The keys of a line; each is taken once, what is left over is an error.
struct Keys<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Keys<'a> {
    fn parse(words: impl Iterator<Item = &'a str>) -> Self {
        let mut keys = BTreeMap::new();
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            assert!(keys.insert(key, value).is_none(), "{key} twice");
        }
        Keys(keys)
    }
    fn text(&mut self, key: &str) -> Option<&'a str> {
        self.0.remove(key)
    }
    fn flag(&mut self, key: &str) -> bool {
        self.text(key).is_some()
    }
    fn number(&mut self, key: &str) -> Option<i64> {
        self.text(key).map(number)
    }
    fn need(&mut self, key: &str) -> i64 {
        self.number(key)
            .unwrap_or_else(|| panic!("{key}= is missing"))
    }
    fn done(self) {
        assert!(self.0.is_empty(), "unknown keys {:?}", self.0.keys());
    }
}

/// `5`, `-11`, `EAGAIN`, `20us`.
fn number(text: &str) -> i64 {
    let errno = |n: i64| -n;
    match text {
        "EAGAIN" => return errno(11),
        "EINTR" => return errno(4),
        "EIO" => return errno(5),
        "EBADF" => return errno(9),
        "EPERM" => return errno(1),
        "EEXIST" => return errno(17),
        "ENOENT" => return errno(2),
        "EMFILE" => return errno(24),
        "ENOSPC" => return errno(28),
        "EINPROGRESS" => return errno(115),
        _ => {}
    }
    let units = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
    ];
    for (unit, factor) in units {
        if let Some(digits) = text.strip_suffix(unit)
            && let Ok(n) = digits.parse::<i64>()
        {
            return n * factor;
        }
    }
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no number"))
}

fn range(text: &str) -> Range {
    let (lo, hi) = text.split_once("..").unwrap_or((text, text));
    Range {
        lo: number(lo) as u64,
        hi: number(hi) as u64,
    }
}

fn mask(text: &str) -> u32 {
    use model::registration as r;
    text.split('|').fold(0, |mask, name| {
        mask | match name {
            "IN" => r::IN,
            "PRI" => r::PRI,
            "OUT" => r::OUT,
            "ERR" => r::ERR,
            "HUP" => r::HUP,
            "RDHUP" => r::RDHUP,
            "ET" => r::ET,
            "ONESHOT" => r::ONESHOT,
            "EXCLUSIVE" => r::EXCLUSIVE,
            "0" => 0,
            _ => panic!("{name} is no event"),
        }
    })
}

fn coded<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> T {
    *all.iter()
        .find(|v| name(**v) == text)
        .unwrap_or_else(|| panic!("{text} is not known"))
}

#[derive(Default)]
struct Play {
    model: Model,
    findings: Findings,
    heard: Heard,
    number: u64,
    pairs: u32,
}

impl Play {
    fn push(&mut self, e: Event, text: &str) {
        let (model, heard) = (&mut self.model, &mut self.heard);
        (self.findings).apply(model, self.number, &e, text.as_bytes(), heard);
        self.number += 1;
    }

    fn event(&mut self, t: u64, verb: &str, mut k: Keys<'_>) {
        let mut e = Event {
            t,
            thread: k.number("thread").unwrap_or(0) as u32,
            site: k.number("site").unwrap_or(0) as u16,
            ..Event::default()
        };
        if k.flag("late") {
            e.flags |= flags::LATE;
        }
        let mut text = String::new();
        let mut second = None;
        match verb {
            "process" => {
                e.kind = Kind::ProcessStart;
                e.arg = k.need("id") as u64;
                e.x = k.need("pid") as i32;
                e.y = k.number("parent").unwrap_or(0) as u64;
                // Handlers of a program under the shim are inferred.
                e.aux = if k.flag("shim") { 2 } else { 0 };
                text = k.text("name").unwrap_or("prog").to_owned();
            }
            "process-end" => {
                e.kind = Kind::ProcessEnd;
                e.arg = k.need("id") as u64;
            }
            "thread" => {
                e.kind = Kind::ThreadStart;
                e.x = k.need("tid") as i32;
                e.arg = k.number("process").unwrap_or(0) as u64;
            }
            "thread-end" => e.kind = Kind::ThreadEnd,
            "fork" => {
                e.kind = Kind::Fork;
                e.x = k.need("pid") as i32;
            }
            "exec" => e.kind = Kind::Exec,
            "enter" => {
                e.kind = Kind::WaitEnter;
                e.aux = coded(
                    Wait::ALL,
                    Wait::name,
                    k.text("call").unwrap_or("epoll_wait"),
                )
                .code();
                e.fd = k.number("ep").unwrap_or(-1) as i32;
                e.x = k.number("max").unwrap_or(64) as i32;
                e.arg = k.number("timeout").unwrap_or(-1) as u64;
                e.y = k.number("lets").unwrap_or(0) as u64;
            }
            "signals" => {
                e.kind = Kind::Signals;
                e.x = k.need("tid") as i32;
                e.arg = k.need("set") as u64;
            }
            "exit" => {
                e.kind = Kind::WaitExit;
                e.aux = coded(
                    Wait::ALL,
                    Wait::name,
                    k.text("call").unwrap_or("epoll_wait"),
                )
                .code();
                e.fd = k.number("ep").unwrap_or(-1) as i32;
                e.x = k.need("n") as i32;
            }
            "ready" => {
                e.kind = Kind::Ready;
                e.fd = k.number("ep").unwrap_or(-1) as i32;
                e.aux = k.number("i").unwrap_or(0) as u16;
                e.arg = k.need("data") as u64;
                e.x = mask(k.text("mask").unwrap_or("IN")) as i32;
            }
            "run" => {
                e.kind = Kind::RunBegin;
                e.fd = k.number("ep").unwrap_or(-1) as i32;
                e.aux = k.number("i").map_or(NO_INDEX, |i| i as u16);
                e.arg = match k.number("fd") {
                    Some(fd) => {
                        e.aux = BY_FD;
                        fd as u32 as u64
                    }
                    None => k.need("data") as u64,
                };
                e.x = k.number("handler").unwrap_or(0) as i32;
            }
            "end" => {
                e.kind = Kind::RunEnd;
                e.fd = k.number("ep").unwrap_or(-1) as i32;
                if k.flag("left") {
                    e.flags |= flags::LEFT;
                }
            }
            "add" | "mod" | "del" | "add-begin" | "mod-begin" | "del-begin" | "add-end"
            | "mod-end" | "del-end" => {
                let (op, half) = verb.split_once('-').unwrap_or((verb, ""));
                e.aux = coded(Ctl::ALL, Ctl::name, op).code();
                e.fd = k.need("fd") as i32;
                e.y = k.need("ep") as u64;
                let end = Event {
                    kind: Kind::CtlEnd,
                    x: if half == "begin" {
                        0
                    } else {
                        k.number("result").unwrap_or(0) as i32
                    },
                    t: t + k.number("took").unwrap_or(0) as u64,
                    ..e
                };
                e.kind = Kind::CtlBegin;
                if half != "end" && op != "del" {
                    e.x = mask(k.text("mask").unwrap_or("IN")) as i32;
                    e.arg = k.number("data").unwrap_or(i64::from(e.fd)) as u64;
                }
                match half {
                    "" => second = Some(end),
                    "end" => e = end,
                    _ => {}
                }
            }
            "open" => {
                e.kind = Kind::FdOpen;
                e.fd = k.need("fd") as i32;
                e.aux = coded(FdKind::ALL, FdKind::name, k.text("kind").unwrap_or("fd")).code();
                e.x = k.number("from").unwrap_or(-1) as i32;
                e.arg = if k.flag("cloexec") { 6 } else { 0 };
                e.arg |= if k.flag("noexec") { 4 } else { 0 };
                e.arg |= if k.flag("blocking") { 4 } else { 0 };
                e.arg |= if k.flag("nonblock") { 5 } else { 0 };
            }
            "close" | "close-begin" | "close-end" => {
                e.fd = k.need("fd") as i32;
                let end = Event {
                    kind: Kind::FdCloseEnd,
                    x: k.number("result").unwrap_or(0) as i32,
                    ..e
                };
                e.kind = Kind::FdCloseBegin;
                match verb {
                    "close" => second = Some(end),
                    "close-end" => e = end,
                    _ => {}
                }
            }
            "dup" | "dup-begin" | "dup-end" => {
                e.fd = k.need("fd") as i32;
                let end = Event {
                    kind: Kind::DupEnd,
                    x: if verb == "dup-begin" {
                        0
                    } else {
                        k.need("to") as i32
                    },
                    ..e
                };
                e.kind = Kind::DupBegin;
                e.x = k.number("over").unwrap_or(-1) as i32;
                match verb {
                    "dup" => second = Some(end),
                    "dup-end" => e = end,
                    _ => {}
                }
            }
            "read" | "write" | "accept" | "recv" | "send" | "connect" | "shutdown" | "so_error"
            | "sendfile" | "splice" => {
                e.kind = Kind::Io;
                e.aux = coded(Op::ALL, Op::name, verb).code();
                e.fd = k.need("fd") as i32;
                e.x = k.need("n") as i32;
                e.arg = k.number("asked").unwrap_or(4096) as u64;
                e.y = k.number("took").unwrap_or(0) as u64;
            }
            "unread" => {
                e.kind = Kind::Unread;
                e.fd = k.need("fd") as i32;
                e.arg = k.need("n") as u64;
                e.y = k.number("ago").unwrap_or(0) as u64;
            }
            "seen" => {
                e.kind = Kind::FdSeen;
                e.fd = k.need("fd") as i32;
                e.aux = coded(FdKind::ALL, FdKind::name, k.text("kind").unwrap_or("fd")).code();
                e.arg = k.number("inode").unwrap_or(0) as u64;
                e.y = k.number("ago").unwrap_or(0) as u64;
                text = match (k.text("addr"), k.text("is")) {
                    (Some(addr), _) => format!("tcp {addr}"),
                    (None, name) => name.unwrap_or("").to_owned(),
                };
            }
            "unseen" => {
                e.kind = Kind::FdGone;
                e.fd = k.need("fd") as i32;
                e.y = k.number("ago").unwrap_or(0) as u64;
            }
            "seen-reg" | "unseen-reg" => {
                e.kind = Kind::RegGone;
                e.fd = k.need("fd") as i32;
                e.y = k.need("ep") as u64;
                e.aux = k.number("ago").unwrap_or(0) as u16;
                e.arg = k.number("data").unwrap_or(i64::from(e.fd)) as u64;
                if verb == "seen-reg" {
                    e.kind = Kind::RegSeen;
                    e.x = mask(k.text("mask").unwrap_or("IN")) as i32;
                }
            }
            "name" => {
                e.kind = Kind::FdName;
                e.fd = k.need("fd") as i32;
                text = k.text("is").unwrap().to_owned();
            }
            "addr" => {
                e.kind = Kind::FdAddr;
                e.fd = k.need("fd") as i32;
                e.aux = coded(FdKind::ALL, FdKind::name, k.text("kind").unwrap_or("tcp")).code();
                text = format!("tcp {}", k.text("is").unwrap());
            }
            "pair" => {
                e.kind = Kind::Name;
                e.aux = Space::Pair.code();
                self.pairs += 1;
                e.x = self.pairs as i32;
                text = format!("tcp {}", k.text("is").unwrap());
            }
            "callname" => {
                e.kind = Kind::Name;
                e.aux = Space::Call.code();
                e.x = k.need("id") as i32;
                text = k.text("is").unwrap().to_owned();
            }
            "incall" => {
                e.kind = Kind::InCall;
                e.aux = coded(Op::ALL, Op::name, k.text("op").unwrap()).code();
                e.fd = k.need("fd") as i32;
                e.y = k.need("for") as u64;
            }
            "setup" => {
                e.kind = Kind::Setup;
                text = k.text("missing").unwrap().replace('_', " ");
            }
            "handler" => {
                e.kind = Kind::Name;
                e.aux = Space::Handler.code();
                e.x = k.need("id") as i32;
                text = k.text("is").unwrap().to_owned();
            }
            "supply" => {
                e.kind = Kind::SupplyBegin;
                e.x = k.number("pair").unwrap_or(1) as i32;
            }
            "supplied" => {
                e.kind = Kind::Supplied;
                e.x = k.number("pair").unwrap_or(1) as i32;
                e.arg = k.need("n") as u64;
                e.y = k.number("took").unwrap_or(0) as u64;
            }
            "timer" | "timer-end" | "arm" | "cancel" | "queue" | "task" | "task-end" | "call"
            | "call-end" => {
                e.kind = match verb {
                    "arm" => Kind::TimerArm,
                    "cancel" => Kind::TimerCancel,
                    "queue" => Kind::TaskQueued,
                    "timer" => Kind::TimerBegin,
                    "timer-end" => Kind::TimerEnd,
                    "task" => Kind::TaskBegin,
                    "task-end" => Kind::TaskEnd,
                    "call" => Kind::CallBegin,
                    _ => Kind::CallEnd,
                };
                e.fd = k.number("ep").unwrap_or(-1) as i32;
                e.x = k.number("id").unwrap_or(1) as i32;
                // The program's own number of a timer or task; `id` is its name's.
                e.arg = k.number("key").unwrap_or(0) as u64;
                e.y = k.number("in").unwrap_or(0) as u64;
            }
            "settime" => {
                e.kind = Kind::TimerfdSet;
                e.fd = k.need("fd") as i32;
                e.x = k.number("result").unwrap_or(0) as i32;
                e.arg = k.number("every").unwrap_or(0) as u64;
                let arming = match (k.flag("off"), k.flag("unknown")) {
                    (true, _) => Arming::Off,
                    (_, true) => Arming::Unknown,
                    _ => Arming::In,
                };
                e.aux = arming.code();
                e.y = k.number("in").unwrap_or(0) as u64;
            }
            "mark" | "span" | "span-end" => {
                e.kind = match verb {
                    "mark" => Kind::Mark,
                    "span" => Kind::SpanBegin,
                    _ => Kind::SpanEnd,
                };
                e.fd = k.number("fd").unwrap_or(-1) as i32;
                e.x = k.number("id").unwrap_or(1) as i32;
                e.arg = k.number("key").unwrap_or(0) as u64;
                e.y = k.number("in").unwrap_or(0) as u64;
                text = k.text("fields").unwrap_or_default().to_owned();
            }
            "for" => {
                e.kind = Kind::OnBehalf;
                e.fd = k.need("fd") as i32;
            }
            "lost" => {
                e.kind = Kind::Lost;
                e.aux = coded(
                    Cause::ALL,
                    Cause::name,
                    k.text("cause").unwrap_or("ring-full"),
                )
                .code();
                e.arg = k.need("n") as u64;
            }
            "off" => {
                e.kind = Kind::SwitchOut;
                e.aux = coded(Off::ALL, Off::name, k.text("why").unwrap_or("blocked")).code();
                e.x = k.number("cpu").unwrap_or(0) as i32;
            }
            "on" => {
                e.kind = Kind::SwitchIn;
                e.x = k.number("cpu").unwrap_or(0) as i32;
            }
            "steal" => {
                e.kind = Kind::Steal;
                e.aux = 2;
                e.x = k.number("cpu").unwrap_or(0) as i32;
                e.arg = k.need("ns") as u64;
                e.y = k.need("since") as u64;
            }
            "fault" => {
                e.kind = Kind::Fault;
                e.x = k.number("n").unwrap_or(1) as i32;
                e.y = k.number("since").unwrap_or(0) as u64;
            }
            _ => panic!("unknown verb {verb}"),
        }
        k.done();
        self.push(e, &text);
        if let Some(second) = second {
            self.push(second, "");
        }
    }

    fn reg(&self, k: &mut Keys<'_>) -> &Registration {
        if let Some(id) = k.number("reg") {
            return self.model.reg(id as u32).expect("no such registration");
        }
        let fd = k.need("fd") as i32;
        let loop_id = k.number("loop").unwrap_or(0) as u32;
        let all = self
            .model
            .regs()
            .filter(|r| r.fd == fd && r.loop_id == loop_id);
        all.max_by_key(|r| r.id)
            .expect("no registration of that fd")
    }

    fn expect(&mut self, what: &str, mut k: Keys<'_>) {
        self.model.settle();
        match what {
            "reg" => {
                let r = self.reg(&mut k);
                let words: Vec<Word> = self
                    .heard
                    .transitions
                    .iter()
                    .filter(|t| t.reg == r.id)
                    .map(|t| t.to)
                    .collect();
                let last = self.heard.transitions.iter().rfind(|t| t.reg == r.id);
                let unread = r.unread.map_or("none".to_owned(), |n| n.to_string());
                let ready_since = r.ready_since.map_or("none".to_owned(), show);
                check(&mut k, "state", word(r.word));
                check(&mut k, "since", time(r.since));
                check(&mut k, "fidelity", fidelity(r.fidelity));
                check(
                    &mut k,
                    "was",
                    words.iter().map(|w| word(*w)).collect::<Vec<_>>().join(","),
                );
                check(
                    &mut k,
                    "why",
                    format!("{:?}", last.unwrap().why).to_lowercase(),
                );
                check(&mut k, "generation", r.generation);
                check(&mut k, "name", &r.name);
                check(&mut k, "role", &self.model.roles()[r.role as usize].text);
                check(&mut k, "ready", r.ready);
                check(&mut k, "dispatched", r.dispatched);
                check(&mut k, "skipped", r.skipped);
                check(&mut k, "stale", r.stale);
                check(&mut k, "handed", r.handed);
                check(&mut k, "tails", r.tail.count());
                check(&mut k, "tail", time(r.tail.sum()));
                check(&mut k, "fd", r.fd);
                check(&mut k, "in", r.bytes_in);
                check(&mut k, "out", r.bytes_out);
                check(&mut k, "unread", unread);
                check(&mut k, "unread_fidelity", fidelity(r.unread_fidelity));
                check(&mut k, "ready_since", ready_since);
                check(&mut k, "waited", time(r.waited));
                check(&mut k, "waited_max", show(r.waited_max));
                check(&mut k, "bypassed", r.bypassed_max);
                check(&mut k, "live", r.is_live());
                let behalf = |s: Stretches| format!("{}:{}", s.count, time(s.ns));
                check(&mut k, "for_others", behalf(r.for_others));
                check(&mut k, "on_its_behalf", behalf(r.on_its_behalf));
                check(&mut k, "data", r.data);
                check(
                    &mut k,
                    "caused",
                    show(Range {
                        lo: r.caused_lo,
                        hi: r.caused_hi,
                    }),
                );
            }
            "loop" => {
                let l = &self.model.loops()[k.number("id").unwrap_or(0) as usize];
                let fair = |x: Option<f64>| x.map_or("none".to_owned(), |x| format!("{x:.3}"));
                check(&mut k, "kind", l.kind.name());
                check(
                    &mut k,
                    "epfds",
                    l.epfds
                        .iter()
                        .map(i32::to_string)
                        .collect::<Vec<_>>()
                        .join(","),
                );
                check(&mut k, "threads", l.threads.len());
                for (key, value) in [
                    ("waits", l.waits),
                    ("wakeups", l.wakeups),
                    ("timeouts", l.timeouts),
                    ("interrupted", l.interrupted),
                    ("failed", l.failed),
                    ("unfinished", l.unfinished),
                    ("ready", l.ready),
                    ("max_batch", u64::from(l.max_batch)),
                    ("saturated", l.saturated),
                    ("added", l.ctl.add),
                    ("modified", l.ctl.modify),
                    ("deleted", l.ctl.del),
                    ("ctl_failed", l.ctl.failed),
                    ("nested_polls", l.nested_polls),
                    ("turns", l.turns),
                    ("dispatched", l.dispatched),
                    ("handed", l.handed),
                    ("skipped", l.skipped),
                ] {
                    check(&mut k, key, value);
                }
                for (key, value) in [
                    ("wait_ns", l.wait_ns),
                    ("busy_ns", l.busy_ns),
                    ("run_ns", l.run_ns),
                    ("timer_ns", l.timer_ns),
                    ("task_ns", l.task_ns),
                    ("tail_ns", l.tail_ns),
                    ("rest_ns", l.rest_ns()),
                ] {
                    check(&mut k, key, time(value));
                }
                check(&mut k, "fairness", fair(self.model.fairness(l.id)));
                check(&mut k, "caused_timers", show(l.caused.timers));
                check(&mut k, "caused_tasks", show(l.caused.tasks));
                check(&mut k, "caused_rest", show(l.caused.rest));
                check(&mut k, "caused_wait", show(l.caused.wait));
                check(&mut k, "caused_tail", show(l.caused.tail));
                check(&mut k, "handlers", fidelity(l.handlers()));
                check(&mut k, "clipped", l.caused_clipped);
            }
            "run" => {
                let run = &self.heard.runs[k.need("n") as usize];
                check(&mut k, "fd", self.model.reg(run.reg).map_or(-1, |r| r.fd));
                check(&mut k, "index", run.index);
                check(&mut k, "batch", run.batch);
                check(&mut k, "turn", run.turn);
                check(&mut k, "notice", run.notice.map_or("none".to_owned(), show));
                check(&mut k, "notice_fidelity", fidelity(run.notice_fidelity));
                check(&mut k, "queue", time(run.queue()));
                check(&mut k, "run", time(run.run()));
                check(&mut k, "more", time(run.more));
                check(&mut k, "fidelity", fidelity(run.fidelity));
                check(&mut k, "waited", show(run.waited()));
                check(&mut k, "bypassed", run.bypassed);
                check(&mut k, "drained", run.drained);
                check(&mut k, "in", run.bytes_in);
                check(&mut k, "out", run.bytes_out);
                check(&mut k, "ios", run.ios);
                check(&mut k, "in_call", time(run.in_call));
                let behalf = run.behalf.map_or("nobody".to_owned(), |b| match b.is_on() {
                    true => format!("fd{}/{}", b.fd, b.generation),
                    false => "itself".to_owned(),
                });
                check(&mut k, "for", behalf);
                check(&mut k, "before", run.behalf.map_or(0, |b| b.before));
                if let Some(expected) = k.text("blame") {
                    let parts = model::blame(&self.heard.segments, run);
                    let total = parts.iter().fold(Range::default(), |sum, (_, r)| Range {
                        lo: sum.lo + r.lo,
                        hi: sum.hi + r.hi,
                    });
                    assert_eq!(Some(total), run.wait(), "blame adds up to notice + queue");
                    let mut text = String::new();
                    for (part, range) in parts {
                        let name = match part {
                            Part::Run(id) => format!("fd{}", self.model.reg(id).unwrap().fd),
                            Part::More(id) => format!("again{}", self.model.reg(id).unwrap().fd),
                            Part::Tail(id) => format!("after{}", self.model.reg(id).unwrap().fd),
                            Part::Timer(_) => "timer".to_owned(),
                            Part::Task(_) => "task".to_owned(),
                            Part::Rest => "rest".to_owned(),
                            Part::Wait => "wait".to_owned(),
                        };
                        write!(
                            text,
                            "{}{name}:{}",
                            if text.is_empty() { "" } else { "," },
                            show(range)
                        )
                        .unwrap();
                    }
                    assert_eq!(text, expected, "blame");
                }
            }
            "mark" => {
                let (mark, fields) = &self.heard.marks[k.need("n") as usize];
                let on = mark.loop_id.map_or("none".to_owned(), |id| id.to_string());
                let (what, since) = match mark.what {
                    Marking::Mark => ("mark", None),
                    Marking::Begin { .. } => ("begin", None),
                    Marking::End { since, .. } => ("end", since),
                };
                check(&mut k, "what", what);
                check(&mut k, "loop", on);
                check(&mut k, "at", time(mark.t));
                check(&mut k, "fields", String::from_utf8_lossy(fields));
                check(&mut k, "since", since.map_or("none".to_owned(), time));
            }
            "said" => {
                let said = &self.heard.behalf[k.need("n") as usize];
                let fd = |id| {
                    self.model
                        .reg(id)
                        .map_or("none".to_owned(), |r| r.fd.to_string())
                };
                check(&mut k, "from", time(said.t));
                check(&mut k, "loop", said.loop_id);
                check(&mut k, "by", fd(said.run));
                check(&mut k, "fd", said.of.fd);
                check(&mut k, "lane", fd(said.of.reg));
            }
            "spans" => {
                let open = self.model.spans_on(k.number("loop").unwrap_or(0) as u32);
                let ids: Vec<String> = open.iter().map(|s| s.id.to_string()).collect();
                check(&mut k, "open", ids.join(","));
            }
            "timers" => {
                let l = &self.model.loops()[k.number("loop").unwrap_or(0) as usize];
                let next = l.timers.next();
                let of = |x: Option<u64>| x.map_or("none".to_owned(), |x| x.to_string());
                check(&mut k, "armed", l.timers.len());
                check(&mut k, "next", of(next.map(|t| t.id)));
                check(
                    &mut k,
                    "due",
                    next.map_or("none".to_owned(), |t| time(t.due)),
                );
                check(&mut k, "arms", l.timers.arms);
                check(&mut k, "cancelled", l.timers.cancelled);
                check(&mut k, "fired", l.timers.fired);
                check(&mut k, "late", l.timers.late.count());
                check(&mut k, "late_max", time(l.timers.late.max()));
            }
            "fired" => {
                let fired = &self.heard.fired[k.need("n") as usize];
                check(&mut k, "key", fired.id);
                check(&mut k, "loop", fired.loop_id);
                check(&mut k, "late", fired.late().map_or("none".to_owned(), time));
            }
            "timerfd" => {
                let reg = self.reg(&mut k).id;
                let expiry = self
                    .model
                    .timerfd(reg)
                    .map(|timer| timer.expiry(self.model.now()));
                let told = match expiry {
                    None => "nothing".to_owned(),
                    Some(Expiry::Never) => "never".to_owned(),
                    Some(Expiry::At(due)) => time(due),
                    Some(Expiry::Since(due)) => format!("since-{}", time(due)),
                    Some(Expiry::Unknown) => "unknown".to_owned(),
                };
                check(&mut k, "expires", told);
            }
            "tasks" => {
                let loop_id = k.number("loop").unwrap_or(0) as u32;
                let l = &self.model.loops()[loop_id as usize];
                check(&mut k, "waiting", self.model.tasks_of(loop_id).count());
                check(&mut k, "begun", l.tasks.begun);
                check(&mut k, "queued", l.tasks.queued.count());
                check(&mut k, "queued_max", time(l.tasks.queued.max()));
            }
            "turn" => {
                let turn = &self.heard.turns[k.need("n") as usize];
                check(&mut k, "number", turn.number);
                check(&mut k, "batch", turn.batch);
                check(&mut k, "runs", turn.runs);
                check(&mut k, "skipped", turn.skipped);
                check(&mut k, "length", time(turn.end - turn.start));
                check(&mut k, "run_ns", time(turn.run_ns));
                check(&mut k, "timer_ns", time(turn.timer_ns));
                check(&mut k, "task_ns", time(turn.task_ns));
                check(&mut k, "tail_ns", time(turn.tail_ns));
                check(&mut k, "rest_ns", time(turn.rest_ns()));
            }
            "batch" => {
                let l = &self.model.loops()[k.number("loop").unwrap_or(0) as usize];
                let at = k.number("at").unwrap_or(0) as usize;
                let states: Vec<String> = l.threads[at]
                    .batch
                    .iter()
                    .map(|i| format!("{:?}", i.state).to_lowercase())
                    .collect();
                check(&mut k, "states", states.join(","));
                let phase = format!("{:?}", l.threads[at].phase).to_lowercase();
                check(&mut k, "phase", phase.split([' ', '{']).next().unwrap());
            }
            "window" => {
                let window = &self.heard.windows[k.need("n") as usize];
                check(&mut k, "fairness", format!("{:.3}", window.index));
                check(&mut k, "fds", window.fds);
            }
            "model" => {
                check(&mut k, "lost", self.model.lost());
                check(&mut k, "late", self.model.late());
                check(&mut k, "ignored", self.model.ignored());
                check(&mut k, "loops", self.model.loops().len());
                check(&mut k, "processes", self.model.processes().len());
                check(&mut k, "runs", self.heard.runs.len());
                check(&mut k, "turns", self.heard.turns.len());
                check(&mut k, "regs", self.model.regs().count());
                check(&mut k, "unmatched", self.model.unmatched());
                check(&mut k, "contradicted", self.model.contradicted());
            }
            _ => panic!("nothing is known about {what}"),
        }
        k.done();
    }
}

/// Compares one key if the line has it.
fn check(k: &mut Keys<'_>, key: &str, actual: impl std::fmt::Display) {
    let Some(expected) = k.text(key) else { return };
    let actual = actual.to_string();
    // Times compare by value, so that a scenario may say 0, 5us or 5000ns.
    let times = (actual.ends_with('s') || actual == "0")
        && expected.starts_with(|c: char| c.is_ascii_digit());
    let same = expected == actual || (times && show(range(expected)) == actual);
    assert!(same, "{key} is {actual}, expected {expected}");
}

fn time(ns: u64) -> String {
    for (unit, factor) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if ns > 0 && ns.is_multiple_of(factor) {
            return format!("{}{unit}", ns / factor);
        }
    }
    if ns == 0 {
        "0".to_owned()
    } else {
        format!("{ns}ns")
    }
}

fn show(r: Range) -> String {
    if r.lo == r.hi {
        time(r.lo)
    } else {
        format!("{}..{}", time(r.lo), time(r.hi))
    }
}

fn word(word: Word) -> String {
    let text = format!("{word:?}");
    let mut out = String::new();
    for (i, c) in text.char_indices() {
        if c.is_uppercase() && i > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn fidelity(f: Fidelity) -> String {
    format!("{f:?}").to_lowercase()
}

/// `{10}` as 10 plus the round's number.
fn numbered(line: &str, round: i64) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let (n, after) = after.split_once('}').expect("a closing brace");
        out += &format!("{before}{}", number(n) + round);
        rest = after;
    }
    out + rest
}

/// The lines with `repeat` blocks written out: `(line, text)`, times made absolute.
fn unrolled(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    type Lines = Vec<(usize, String)>;
    let mut block: Option<(i64, i64, i64, Lines)> = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), block.as_mut()) {
            ([], _) => {}
            (["repeat", n, "every", gap, "from", start], None) => {
                block = Some((number(n), number(gap), number(start), Vec::new()));
            }
            (["done"], Some(_)) => {
                let (n, gap, start, lines) = block.take().unwrap();
                for round in 0..n {
                    for (at, line) in &lines {
                        let (t, rest) = line.split_once(' ').expect("a time and a verb");
                        let t = start + round * gap + number(t);
                        out.push((*at, format!("{t}ns {}", numbered(rest, round))));
                    }
                }
            }
            (_, Some((.., lines))) => lines.push((at + 1, line.to_owned())),
            (_, None) => out.push((at + 1, line.to_owned())),
        }
    }
    assert!(block.is_none(), "a repeat without done");
    out
}

/// Plays a scenario; what it expects to be found is left to the caller.
fn play(text: &str) -> (Play, Vec<String>) {
    let mut play = Play::default();
    let mut expected = Vec::new();
    let lines = unrolled(text);
    let many = lines.len() > 400;
    for (at, line) in lines {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if !many {
            eprintln!("{at}: {line}");
        }
        let verb = words.next().expect("a verb");
        match (first, verb) {
            ("expect", "finding") => expected.push(line.to_owned()),
            ("expect", _) => play.expect(verb, Keys::parse(words)),
            _ => play.event(number(first) as u64, verb, Keys::parse(words)),
        }
    }
    (play, expected)
}

/// Holds what was found against the `expect finding` lines: each has its finding, and there is no other.
fn check_found(mut found: Vec<Found>, expected: &[String]) {
    for f in &found {
        eprintln!(
            "found {} {:?} {:?} {:?}: {}",
            f.code, f.severity, f.confidence, f.effects, f.summary
        );
    }
    for line in expected {
        let mut k = Keys::parse(line.split_whitespace().skip(2));
        let code = k.text("code").expect("code=");
        let at = found.iter().position(|f| f.code.name() == code);
        let f = found.remove(at.unwrap_or_else(|| panic!("{code} was not found")));
        check(&mut k, "severity", f.severity.name());
        check(&mut k, "confidence", f.confidence.name());
        check(&mut k, "fd", f.fd);
        check(&mut k, "count", f.count);
        check(&mut k, "worst", time(f.worst_ns));
        check(&mut k, "at", time(f.at_ns));
        check(
            &mut k,
            "period",
            f.period.map_or("none".to_owned(), |p| time(p.ns)),
        );
        check(&mut k, "victims", f.victims.as_ref().map_or(0, |v| v.count));
        let effects: Vec<&str> = f.effects.iter().map(|c| c.name()).collect();
        check(&mut k, "effects", effects.join(","));
        if let Some(text) = k.text("says") {
            let wanted = text.replace('_', " ");
            assert!(
                f.summary.contains(&wanted),
                "{:?} lacks {wanted:?}",
                f.summary
            );
        }
        k.done();
        assert!(!f.evidence.is_empty() && !f.advice.is_empty() && f.summary.ends_with('.'));
    }
    let rest: Vec<&str> = found.iter().map(|f| f.code.name()).collect();
    assert!(rest.is_empty(), "found as well: {rest:?}");
}

#[test]
fn every_finding_fires_and_stays_silent() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/findings");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    let (mut fired, mut silent, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = file
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .replace('_', "-");
        let mut sections = text.split("\n== ");
        let preamble = sections.next().unwrap_or_default().to_owned();
        for section in sections {
            let (title, body) = section.split_once('\n').expect("a section has lines");
            eprintln!("== {code}: {title}");
            let passed = std::panic::catch_unwind(|| {
                let (mut play, expected) = play(&format!("{preamble}\n{body}"));
                let found = std::mem::take(&mut play.findings)
                    .finish(&mut play.model)
                    .found;
                check_found(found, &expected);
                expected
                    .iter()
                    .any(|line| line.contains(&format!("code={code}")))
            });
            match passed {
                Ok(true) => fired.push(code.clone()),
                Ok(false) => silent.push(code.clone()),
                Err(_) => failed.push(format!("{code}: {title}")),
            }
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
    for code in loopscope::findings::Code::ALL {
        let name = code.name().to_owned();
        assert!(fired.contains(&name), "{name} has no scenario that fires");
        assert!(
            silent.contains(&name),
            "{name} has no twin that stays silent"
        );
    }
}

#[test]
fn every_scenario_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 20, "scenarios are missing");
    let mut failed = Vec::new();
    for file in files
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "txt"))
    {
        let text = std::fs::read_to_string(file).unwrap();
        let expects = text.lines().filter(|l| l.starts_with("expect")).count();
        assert!(expects > 0, "{} expects nothing", file.display());
        eprintln!("== {}", file.display());
        let quiet = || {
            let (_, expected) = play(&text);
            assert!(expected.is_empty(), "findings have a folder of their own");
        };
        if std::panic::catch_unwind(quiet).is_err() {
            failed.push(file.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}

#[test]
#[should_panic(expected = "unknown keys")]
fn unknown_keys_are_refused() {
    play("0us enter ep=3 color=red");
}
