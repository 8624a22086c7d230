//! Processes and threads as the model knows them. Step: **model**.

use std::sync::Arc;

use super::Model;
use super::facts::{Id, Sink};
use super::fds::FdTable;
use super::states::At;
use crate::record::event::{Event, Op};

/// The wait status of a process of which nobody has said how it ended.
pub const UNKNOWN: i32 = -1;

/// A process of the recording.
#[derive(Clone, Debug)]
pub struct Process {
    /// The model's number.
    pub id: Id,
    /// The process number the events carry; `None` while only its parent's fork was seen.
    pub number: Option<u64>,
    /// Its pid, 0 if not known.
    pub pid: i32,
    /// The process that forked it.
    pub parent: Option<Id>,
    /// Its command.
    pub name: Arc<str>,
    /// When it joined the recording.
    pub start: u64,
    /// It was there before: this is a part of a recording, and says again what it relies on.
    pub earlier: bool,
    /// When it ended.
    pub end: Option<u64>,
    /// Wait status as waitpid(2) gives it, once it ended; [`UNKNOWN`] until somebody has said how.
    pub status: Option<i32>,
    /// How often it has called execve.
    pub execs: u32,
    pub(super) silent: bool,
    /// Its parent's fork has been told.
    pub(super) forked: bool,
    /// It has accepted a connection.
    pub(super) visited: bool,
    /// The preload shim pushes for it: what no thread of its marks is inferred.
    pub(super) infers: bool,
    pub(super) fds: FdTable,
    /// Loops this process can wait on.
    pub(super) loops: Vec<Id>,
    /// Those of them with registrations whose state is known.
    pub(super) dirty: Vec<Id>,
    /// Tasks that have not begun.
    pub(super) queue: super::tasks::Queue,
}

impl Process {
    /// The preload shim pushes for it, so that all its calls through libc are seen.
    pub fn is_shimmed(&self) -> bool {
        self.infers
    }

    /// Only its parent's fork was seen: it runs, but tells nothing.
    pub fn is_silent(&self) -> bool {
        self.silent
    }
}

impl Model {
    /// A child was waited for. One that only its parent's fork told of is gone with that.
    pub(super) fn reaped<S: Sink + ?Sized>(&mut self, parent: Id, e: &Event, at: At, sink: &mut S) {
        let Ok(pid @ 1..) = i32::try_from(e.arg) else {
            return;
        };
        // Who has the number now, or had it last. A debugger is told of the ends of others' children as well.
        let all = self.processes.iter_mut().rev();
        let mut same = all.filter(|p| p.pid == pid && p.id != parent);
        let Some(child) = same.next() else {
            return;
        };
        if child.status.is_none_or(|status| status == UNKNOWN) {
            child.status = Some(e.x);
        }
        if child.silent && child.end.is_none() {
            child.end = Some(at.t);
            let id = child.id;
            self.silent.retain(|silent| *silent != id);
            self.drop_table(id, at, sink);
        }
    }
}

/// A thread of a process.
#[derive(Clone, Debug)]
pub struct Thread {
    /// The model's number.
    pub id: Id,
    /// The thread number the events carry.
    pub number: u32,
    /// Its kernel thread id, 0 if not known.
    pub tid: i32,
    /// Its process.
    pub process: Id,
    /// Its name.
    pub name: Arc<str>,
    /// When it was first heard of.
    pub started: u64,
    /// When it ended.
    pub ended: Option<u64>,
    /// The call it is inside of: of one that takes long, at its end, or at the recording's.
    pub in_call: Option<InCall>,
    pub(super) work: Work,
}

/// An unfinished call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InCall {
    /// The call; `None` for one newer than this version.
    pub op: Option<Op>,
    /// Its descriptor, −1 none.
    pub fd: i32,
    /// Name id of a call the program named.
    pub name: u32,
    /// When it was entered.
    pub since: u64,
    /// Where it was made: an id of [`Space::Site`](crate::record::event::Space::Site), 0 unknown.
    pub site: u16,
}

/// Where a thread's state on a loop lives: `loops[loop_id].threads[at]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Seat {
    pub loop_id: Id,
    pub at: u32,
}

/// What a thread is in the middle of.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// Loops on which it has an open handler run, outermost first.
    pub open: Vec<Seat>,
    /// The loop it waited on last.
    pub last: Option<Seat>,
    /// Every place it has on a loop.
    pub seats: Vec<Seat>,
    /// A `CtlBegin` without its end.
    pub ctl: Option<super::ctl::Pending>,
    /// A `FdCloseBegin` without its end.
    pub close: Option<super::fds::Undo>,
    /// A `DupBegin` without its end.
    pub dup: Option<super::fds::PendingDup>,
    /// A poll or select entered inside a handler run: when.
    pub nested_poll: Option<u64>,
    /// The call the program named, entered when.
    pub call: Option<(i32, u32, u64)>,
    /// Timers armed before it first waited.
    pub timers: super::Timers,
    /// It and its CPU.
    pub cpu: super::cpu::Cpu,
    /// The same within its last wait.
    pub looked: super::looked::Looked,
    /// The latest instant it told of.
    pub clock: u64,
    /// The last (epfd, seat), valid while the model's `epoch` is this one.
    pub cached: Option<(i32, u64, Seat)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::Kind;

    /// A parent with pid 10 as process 0, thread 1; its children say hello with what `say` is given.
    struct Told(Model, u64);

    impl Told {
        fn new() -> Told {
            let mut told = Told(Model::new(Default::default()), 0);
            told.starts(0, 10, 1);
            told
        }

        fn say(&mut self, e: Event) {
            self.1 += 1;
            let e = Event { t: self.1, ..e };
            self.0.apply(self.1, &e, b"", &mut ());
        }

        fn starts(&mut self, number: u64, pid: i32, parent: u64) {
            let thread = number as u32 + 1;
            self.say(Event {
                kind: Kind::ProcessStart,
                x: pid,
                arg: number,
                y: parent,
                ..Event::default()
            });
            self.say(Event {
                kind: Kind::ThreadStart,
                thread,
                x: pid,
                arg: number,
                ..Event::default()
            });
        }

        fn ends(&mut self, number: u64, status: i32) {
            self.say(Event {
                kind: Kind::ProcessEnd,
                x: status,
                arg: number,
                ..Event::default()
            });
        }

        fn forks(&mut self, pid: i32) {
            self.say(Event {
                kind: Kind::Fork,
                thread: 1,
                x: pid,
                ..Event::default()
            });
        }

        fn reaps(&mut self, pid: u64, status: i32) {
            self.say(Event {
                kind: Kind::Reaped,
                thread: 1,
                x: status,
                arg: pid,
                ..Event::default()
            });
        }

        fn all(&self) -> Vec<(i32, bool, Option<i32>)> {
            let all = self.0.processes().iter();
            all.map(|p| (p.pid, p.end.is_some(), p.status)).collect()
        }
    }

    #[test]
    fn a_fork_told_after_the_childs_end_makes_no_second_child() {
        let mut told = Told::new();
        told.starts(1, 11, 10);
        told.ends(1, 0x100);
        told.forks(11);
        assert_eq!(told.all(), [(10, false, None), (11, true, Some(0x100))]);
        // The number again: another child, which tells nothing.
        told.forks(11);
        assert_eq!(told.all()[2..], [(11, false, None)]);
        // One that was its grandparent's when it was first seen.
        told.starts(2, 12, 1);
        told.ends(2, 9);
        told.forks(12);
        assert_eq!(told.all()[3..], [(12, true, Some(9))]);
    }

    #[test]
    fn a_parent_tells_how_its_child_ended_before_and_after_that_is_seen() {
        let mut told = Told::new();
        for (number, pid) in [(1, 11), (2, 12), (3, 13)] {
            told.forks(pid);
            told.starts(number, pid, 10);
        }
        told.reaps(11, 0x700);
        told.ends(1, UNKNOWN);
        told.ends(2, UNKNOWN);
        told.reaps(12, 9);
        // Who knows first is right: the number may have been somebody else's since.
        told.ends(3, 0);
        told.reaps(13, 0x100);
        // Nobody's; nor does a process wait for itself.
        told.reaps(14, 0);
        told.reaps(10, 0);
        let ends = [
            (11, true, Some(0x700)),
            (12, true, Some(9)),
            (13, true, Some(0)),
        ];
        assert_eq!(told.all()[1..], ends);
        assert_eq!(told.all()[0], (10, false, None));
    }

    #[test]
    fn a_child_that_tells_nothing_is_gone_once_it_is_reaped() {
        let mut told = Told::new();
        told.forks(11);
        told.reaps(11, 0);
        assert_eq!(told.all()[1..], [(11, true, Some(0))]);
        assert!(told.0.silent.is_empty());
    }
}
