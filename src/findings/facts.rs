//! What a rule hears of: events with everything looked up that rules ask of them. Step: model → **view**.

use super::book::{Book, Cause, Detail, Entry, Seen};
use super::crowd::Crowd;
use super::pending::{Judge, Stretch};
use super::thresholds::Thresholds;
use super::track::{Track, Tracks};
use super::{Code, Confidence, Severity};
use crate::model::{
    Busy, Fidelity, Fired, Id, Model, Number, Registration, RoleKind, Run, Transition, Turn,
};
use crate::record::event::{Ctl, Op};

/// The name id of a poll or select made inside a turn: no program's own.
pub const POLLED: u32 = u32::MAX;
/// That of a sleep in no call: a lock, most often.
pub const LOCKED: u32 = u32::MAX - 1;

/// The name id that stands for a read, write or the like, which has none of the program's: its code is in the lower half.
pub fn name_of_op(op: Op) -> u32 {
    OPS | u32::from(op.code())
}

/// The read, write or the like that a name id stands for.
pub fn op_of_name(name: u32) -> Option<Op> {
    let code = name & 0xffff;
    Op::from_code(code as u16).filter(|_| name & !0xffff == OPS)
}

/// Name ids of a program are counted from 1: it never has so many.
const OPS: u32 = 0xfffe_0000;

/// What a rule wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Hook {
    /// A registration is reported.
    Report,
    /// A call on a descriptor has returned.
    Done,
    /// The same, accepts only: for rules that want to hear of nothing else.
    Accepted,
    /// The same, only calls that took long.
    Slow,
    /// A wait begins.
    Enter,
    /// A wait has returned.
    Waited,
    /// An epoll_ctl has returned.
    Ctl,
    /// A named call has returned.
    Call,
    /// A number was opened or closed, a process forked, started a program or ended.
    Life,
    /// A handler run ended.
    Run,
    /// A turn ended.
    Turn,
    /// A registration changed state.
    Transition,
    /// A timer fired.
    Fired,
    /// A quarter of a second has passed.
    Tick,
    /// Bytes were seen to wait.
    Unread,
    /// A thread or a process is about to end.
    Ending,
    /// A thread that waits was woken, found nothing and sleeps on.
    Roused,
    /// Signals were seen to wait for a thread.
    Signals,
}

impl Hook {
    /// How many there are.
    pub const COUNT: usize = Hook::Signals as usize + 1;
}

/// A registration is reported in a ready batch.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// When the wait returned.
    pub t: u64,
    /// Number of the `Ready` event.
    pub event: u64,
    /// The thread told.
    pub thread: Id,
    /// Its process.
    pub process: Id,
    /// The registration.
    pub reg: &'a Registration,
    /// Events reported.
    pub mask: u32,
    /// Its story with this report in it.
    pub track: &'a Track,
}

/// A call on a descriptor has returned.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    /// When.
    pub t: u64,
    /// Its event.
    pub event: u64,
    /// The thread.
    pub thread: Id,
    /// Its process.
    pub process: Id,
    /// The descriptor.
    pub fd: i32,
    /// What the descriptor is; nothing where it was not open.
    pub number: Option<Number>,
    /// The call.
    pub op: Op,
    /// Bytes or −errno.
    pub result: i32,
    /// Bytes asked.
    pub asked: u64,
    /// How long it lasted.
    pub took: u64,
    /// The first live registration on the description.
    pub reg: Option<&'a Registration>,
    /// Its story before this call.
    pub track: Option<&'a Track>,
    /// The turn the thread was in.
    pub busy: Option<Busy>,
    /// Where it was made, 0 not known.
    pub site: u16,
}

/// A wait, at its entry or return.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// Now.
    pub t: u64,
    /// Its event.
    pub event: u64,
    /// The thread.
    pub thread: Id,
    /// Its process.
    pub process: Id,
    /// The loop.
    pub loop_id: Id,
    /// When it was entered.
    pub entered: u64,
    /// Its time-out, negative for none.
    pub timeout: i64,
    /// Room in its batch.
    pub room: u32,
    /// What it returned; 0 at the entry.
    pub n: i32,
    /// At the entry: the signals that its mask lets through, 0 none or not known.
    pub lets: u64,
}

/// An epoll_ctl has returned.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    /// When.
    pub t: u64,
    /// Its event.
    pub event: u64,
    /// The thread.
    pub thread: Id,
    /// Its process.
    pub process: Id,
    /// The loop.
    pub loop_id: Id,
    /// The descriptor.
    pub fd: i32,
    /// What was asked.
    pub op: Ctl,
    /// 0 or −errno.
    pub result: i32,
    /// The registration as it is now; nothing after a DEL.
    pub reg: Option<&'a Registration>,
    /// It set what was set before.
    pub same: bool,
    /// The registration it took away was made by this process; `None` where it took none.
    pub took: Option<Id>,
}

/// A named call has returned, or goes on.
#[derive(Clone, Copy, Debug)]
pub struct Called {
    /// When it was entered.
    pub since: u64,
    /// When it returned, or the last moment it is known to last.
    pub t: u64,
    /// The event that began it.
    pub event: u64,
    /// The thread.
    pub thread: Id,
    /// Its process.
    pub process: Id,
    /// Name id.
    pub name: u32,
    /// Its descriptor, −1 none.
    pub fd: i32,
    /// Where it was made.
    pub site: u16,
    /// The turn the thread was in when it began.
    pub busy: Busy,
    /// It has not returned.
    pub goes_on: bool,
}

/// A number or a process comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// A number was opened.
    Opened {
        /// The number.
        fd: i32,
    },
    /// A number is closed.
    Closed {
        /// The number.
        fd: i32,
    },
    /// /proc shows this number open.
    Seen {
        /// The number.
        fd: i32,
    },
    /// Another program took the process over.
    Exec,
    /// The process has ended.
    Ended,
}

/// Bytes were seen to wait, or none.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'a> {
    /// When.
    pub t: u64,
    /// Its event.
    pub event: u64,
    /// The process.
    pub process: Id,
    /// The descriptor.
    pub fd: i32,
    /// What it is.
    pub number: Option<Number>,
    /// The bytes.
    pub bytes: u64,
    /// The first live registration on it.
    pub reg: Option<&'a Registration>,
}

/// What a rule judges by, and where it notes what it finds.
pub struct Cx<'a> {
    /// The model, after the event.
    pub model: &'a Model,
    /// What was done about reports.
    pub tracks: &'a Tracks,
    /// How long the program's threads are kept waiting for a CPU.
    pub crowd: &'a Crowd,
    /// What it takes to fire.
    pub limits: &'a Thresholds,
    /// Where findings are noted.
    pub book: &'a mut Book,
    /// The event's instant.
    pub now: u64,
    /// The event's number.
    pub event: u64,
    /// Some calls of the program are not seen: that nothing was done is not known.
    pub blind: bool,
    /// The whole recording was seen.
    pub over: bool,
}

impl Cx<'_> {
    /// How sure one can be that a process has not done something: not at all where its calls are not seen.
    pub fn absence(&self, process: Id) -> Confidence {
        let p = self.model.processes().get(process as usize);
        let seen = p.is_some_and(|p| p.is_shimmed()) || self.tracks.is_heard(process);
        match self.blind || !seen {
            true => Confidence::Maybe,
            false => Confidence::Inferred,
        }
    }

    /// The longest that a thread of this process was lately seen to wait for a CPU: so much of a sleep may be the machine's.
    pub fn late(&self, process: Id) -> u64 {
        self.crowd.late(process, self.now)
    }

    /// The process has just been started: rates say nothing yet.
    pub fn starts(&self, process: Id) -> bool {
        let p = self.model.processes().get(process as usize);
        p.is_none_or(|p| !p.earlier && self.now < p.start.saturating_add(self.limits.grace))
    }

    /// What a finding about a registration is about: all of its role where that is a listener's or a handler's.
    pub fn cause(&self, reg: &Registration) -> Cause {
        let role = self.model.roles().get(reg.role as usize);
        let listens = matches!(
            reg.kind,
            crate::record::event::FdKind::TcpListener | crate::record::event::FdKind::UnixListener
        );
        match role.map(|r| r.kind) {
            Some(RoleKind::Listener | RoleKind::Handler) if !listens => Cause::Role(reg.role),
            _ => Cause::Reg(reg.id),
        }
    }

    /// Something about a registration.
    pub fn about(&self, code: Code, reg: &Registration) -> Seen {
        Seen {
            code,
            loop_id: Some(reg.loop_id),
            process: reg.process,
            thread: None,
            cause: self.cause(reg),
            reg: Some(reg.id),
            fd: reg.fd,
            generation: reg.generation,
            at: self.now,
            event: self.event,
            worst: 0,
            times: 1,
            severity: Severity::Warning,
            confidence: Confidence::Inferred,
            detail: Detail::default(),
        }
    }

    /// Something about a loop.
    pub fn about_loop(&self, code: Code, loop_id: Id) -> Seen {
        let process = self.model.loops().get(loop_id as usize);
        Seen {
            code,
            loop_id: Some(loop_id),
            process: process.map_or(0, |l| l.process),
            thread: None,
            cause: Cause::Loop,
            reg: None,
            fd: -1,
            generation: 0,
            at: self.now,
            event: self.event,
            worst: 0,
            times: 1,
            severity: Severity::Warning,
            confidence: Confidence::Inferred,
            detail: Detail::default(),
        }
    }

    /// Something about a number of a process that is on no loop.
    pub fn about_number(&self, code: Code, process: Id, fd: i32, generation: u32) -> Seen {
        Seen {
            loop_id: None,
            process,
            cause: Cause::Number(fd, generation),
            fd,
            generation,
            ..self.about_loop(code, Id::MAX)
        }
    }

    /// Notes one occurrence.
    pub fn note(&mut self, seen: Seen) {
        self.book.note(self.model, seen);
    }

    /// Notes one occurrence once it is known what the hypervisor took of its stretch, if it is one then.
    pub fn note_later(&mut self, seen: Seen, stretch: Stretch, judge: Judge) {
        (self.book).note_later(self.model, self.limits, seen, stretch, judge);
    }

    /// A reg that a report or call is about, by its id.
    pub fn reg(&self, id: Id) -> Option<&Registration> {
        self.model.reg(id)
    }
}

/// How sure one is of what happened in a run.
pub fn of_run(run: &Run) -> Confidence {
    match run.fidelity {
        Fidelity::Measured => Confidence::Measured,
        _ => Confidence::Inferred,
    }
}

/// What a finding says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Who did what, whom it made wait.
    pub summary: String,
    /// Which change cures it.
    pub advice: String,
}

/// One rule: what it hears of, when it fires, what it says.
pub trait Rule: Send {
    /// Its code.
    fn code(&self) -> Code;
    /// What it wants to hear of.
    fn hooks(&self) -> &'static [Hook];
    /// What it says of what was found.
    fn words(&self, model: &Model, entry: &Entry) -> Words;

    /// A registration is reported.
    fn report(&mut self, _cx: &mut Cx<'_>, _report: &Report<'_>) {}
    /// A call on a descriptor has returned.
    fn done(&mut self, _cx: &mut Cx<'_>, _done: &Done<'_>) {}
    /// A wait begins.
    fn enter(&mut self, _cx: &mut Cx<'_>, _wait: &Waited) {}
    /// A wait has returned.
    fn waited(&mut self, _cx: &mut Cx<'_>, _wait: &Waited) {}
    /// An epoll_ctl has returned.
    fn ctl(&mut self, _cx: &mut Cx<'_>, _ctl: &Changed<'_>) {}
    /// A named call has returned, or goes on at the end.
    fn call(&mut self, _cx: &mut Cx<'_>, _call: &Called) {}
    /// A number or process comes or goes.
    fn life(&mut self, _cx: &mut Cx<'_>, _process: Id, _life: Life) {}
    /// A handler run ended.
    fn run(&mut self, _cx: &mut Cx<'_>, _run: &Run) {}
    /// A turn ended.
    fn turn(&mut self, _cx: &mut Cx<'_>, _turn: &Turn) {}
    /// A registration changed state.
    fn transition(&mut self, _cx: &mut Cx<'_>, _transition: &Transition) {}
    /// A timer fired.
    fn fired(&mut self, _cx: &mut Cx<'_>, _fired: &Fired) {}
    /// A quarter of a second has passed; `cx.over` the last time, when the recording is.
    fn tick(&mut self, _cx: &mut Cx<'_>) {}
    /// A thread of a process is about to end, or the process: the last moment at which the model knows what it has open.
    fn ending(&mut self, _cx: &mut Cx<'_>, _process: Id, _thread: Option<Id>) {}
    /// A thread inside a wait had the CPU for a moment and sleeps on: something woke it, and it was gone. Only the kernel's
    /// switch records show it.
    fn roused(&mut self, _cx: &mut Cx<'_>, _thread: Id, _loop_id: Id) {}
    /// These signals were seen to wait for a thread at this instant; none: no more.
    fn signals(&mut self, _cx: &mut Cx<'_>, _thread: Id, _set: u64, _at: u64) {}
    /// Bytes were seen to wait.
    fn unread(&mut self, _cx: &mut Cx<'_>, _unread: &Unread<'_>) {}
    /// Events are missing here: what the rule has been counting is not known any more.
    fn lost(&mut self) {}
}
