//! Who pushes: processes and threads, their names and the numbers a recording gives them.
//! Step: ring → **trace**.
//!
//! A thread is known from its first record on and gets its number when its first event is written, so that numbers
//! count in the order of the file and each `ThreadStart` stands right before its thread's first event. Entries are
//! reused once their end has been written: the memory is that of the threads alive.
#![forbid(unsafe_code)]

use crate::record::event::{Event, Kind};
use crate::record::handshake::Source;
use crate::record::wire::Rec;
use std::collections::HashMap;

/// What the roster asks about processes and threads, while they are there to be asked about.
pub trait Names {
    /// The parent's pid (0 unknown) and the command of a process.
    fn process(&mut self, pid: u32) -> (u32, Vec<u8>);
    /// The name of a thread.
    fn thread(&mut self, pid: u32, tid: u32) -> Vec<u8>;
    /// What lies at a code address of a process.
    fn code(&mut self, _pid: u32, _address: u64) -> Vec<u8> {
        Vec::new()
    }
    /// Number and name of the module that the last address lies in, if it was not asked for before.
    fn module(&mut self) -> Option<(i32, Vec<u8>)> {
        None
    }
}

/// Knows nobody.
impl Names for () {
    fn process(&mut self, _pid: u32) -> (u32, Vec<u8>) {
        (0, Vec::new())
    }
    fn thread(&mut self, _pid: u32, _tid: u32) -> Vec<u8> {
        Vec::new()
    }
}

/// The place of a thread or process in the roster.
pub(super) type Place = u32;

struct Thread {
    who: u64,
    /// 0 until its `ThreadStart` is written.
    number: u32,
    process: Place,
    name: Vec<u8>,
}

struct Process {
    pid: u32,
    parent: u32,
    /// Set once its `ProcessStart` is written.
    number: Option<u32>,
    command: Vec<u8>,
    /// Who pushes for it, a [`Source`]'s code; 0 not said.
    source: u16,
}

/// The threads and processes of a recording that have not ended.
#[derive(Default)]
pub(super) struct Roster {
    threads: Slab<Thread>,
    by_who: HashMap<u64, Place>,
    processes: Slab<Process>,
    by_pid: HashMap<u32, Place>,
    numbered_threads: u32,
    numbered_processes: u32,
}

impl Roster {
    /// The place of the thread `tid | pid << 32`.
    pub(super) fn thread(&mut self, who: u64, names: &mut dyn Names) -> Place {
        if let Some(place) = self.by_who.get(&who) {
            return *place;
        }
        let (tid, pid) = (who as u32, (who >> 32) as u32);
        let process = self.process(pid, names);
        let place = self.threads.put(Thread {
            who,
            number: 0,
            process,
            name: names.thread(pid, tid),
        });
        self.by_who.insert(who, place);
        place
    }

    /// The place of a thread that is known.
    pub(super) fn known(&self, who: u64) -> Option<Place> {
        self.by_who.get(&who).copied()
    }

    /// The place of a process.
    pub(super) fn process(&mut self, pid: u32, names: &mut dyn Names) -> Place {
        if let Some(place) = self.by_pid.get(&pid) {
            return *place;
        }
        let (parent, mut command) = names.process(pid);
        let mut source = 0;
        if let Some(forked) = self.by_pid.get(&parent)
            && let Some(forked) = self.processes.get(*forked)
        {
            // Whoever pushed for the parent was copied with it.
            source = forked.source;
            if command.is_empty() {
                // Gone before it could be asked: a fork is called as its parent is until it becomes another program.
                command.clone_from(&forked.command);
            }
        }
        let place = self.processes.put(Process {
            pid,
            parent,
            number: None,
            command,
            source,
        });
        self.by_pid.insert(pid, place);
        place
    }

    /// Who pushes for a process, from now on.
    pub(super) fn pushed_by(&mut self, place: Place, source: Source) {
        if let Some(process) = self.processes.get_mut(place) {
            process.source = source as u16;
        }
    }

    /// The same, where nobody has said: its parent was not known, or not for what it is, when it was first seen.
    pub(super) fn pushes(&mut self, pid: u32, source: Source) {
        // The library pushes beside the shim only.
        let source = match source {
            Source::Beside => Source::Preload,
            alone => alone,
        };
        if let Some(place) = self.by_pid.get(&pid)
            && let Some(process) = self.processes.get_mut(*place)
            && process.source == 0
        {
            process.source = source as u16;
        }
    }

    /// The processes that have been seen and have not ended.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.by_pid.keys().copied().collect()
    }

    /// The threads of a process, as `tid | pid << 32`.
    pub(super) fn threads_of(&self, pid: u32) -> Vec<u64> {
        let mut all: Vec<u64> = self
            .by_who
            .keys()
            .copied()
            .filter(|who| (who >> 32) as u32 == pid)
            .collect();
        all.sort_unstable();
        all
    }

    /// Every thread, as `tid | pid << 32`.
    pub(super) fn all(&self) -> impl Iterator<Item = u64> + '_ {
        self.by_who.keys().copied()
    }

    /// From now on the same tid is another thread; the place stays until [`Roster::remove_thread`].
    pub(super) fn forget_thread(&mut self, who: u64) -> Option<Place> {
        self.by_who.remove(&who)
    }

    /// The same for a process.
    pub(super) fn forget_process(&mut self, pid: u32) -> Option<Place> {
        self.by_pid.remove(&pid)
    }

    /// The thread's number; writes its `ThreadStart`, and its process's start, if that has not been done.
    #[inline]
    pub(super) fn number(
        &mut self,
        place: Place,
        t: u64,
        sink: &mut impl FnMut(&Event, &[u8]),
    ) -> u32 {
        match self.threads.get(place) {
            Some(thread) if thread.number != 0 => thread.number,
            Some(_) => self.introduce(place, t, sink),
            None => 0,
        }
    }

    /// Whether the thread's start has been written.
    pub(super) fn is_numbered(&self, place: Place) -> bool {
        self.threads.get(place).is_some_and(|t| t.number != 0)
    }

    #[cold]
    fn introduce(&mut self, place: Place, t: u64, sink: &mut impl FnMut(&Event, &[u8])) -> u32 {
        let Some(process) = self.threads.get(place).map(|t| t.process) else {
            return 0;
        };
        let process = self.process_number(process, t, sink);
        let Some(thread) = self.threads.get_mut(place) else {
            return 0;
        };
        self.numbered_threads += 1;
        thread.number = self.numbered_threads;
        let start = Event {
            t,
            kind: Kind::ThreadStart,
            thread: thread.number,
            x: thread.who as u32 as i32,
            arg: process as u64,
            ..Event::default()
        };
        sink(&start, &thread.name);
        thread.number
    }

    /// The process's number; writes its `ProcessStart` if that has not been done.
    pub(super) fn process_number(
        &mut self,
        place: Place,
        t: u64,
        sink: &mut impl FnMut(&Event, &[u8]),
    ) -> u32 {
        let Some(process) = self.processes.get_mut(place) else {
            return 0;
        };
        if let Some(number) = process.number {
            return number;
        }
        let number = self.numbered_processes;
        self.numbered_processes += 1;
        process.number = Some(number);
        let start = Event {
            t,
            kind: Kind::ProcessStart,
            aux: process.source,
            x: process.pid as i32,
            arg: number as u64,
            y: process.parent as u64,
            ..Event::default()
        };
        sink(&start, &process.command);
        number
    }

    /// The thread's tid.
    pub(super) fn tid(&self, place: Place) -> u32 {
        self.threads.get(place).map_or(0, |t| t.who as u32)
    }

    /// The thread's end has been written.
    pub(super) fn remove_thread(&mut self, place: Place) {
        self.threads.take(place);
    }

    /// The process's end has been written.
    pub(super) fn remove_process(&mut self, place: Place) {
        self.processes.take(place);
    }
}

/// A vector whose freed places are used again.
struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<Place>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    fn put(&mut self, value: T) -> Place {
        if let Some(place) = self.free.pop() {
            if let Some(entry) = self.entries.get_mut(place as usize) {
                *entry = Some(value);
            }
            return place;
        }
        self.entries.push(Some(value));
        (self.entries.len() - 1) as Place
    }
    fn get(&self, place: Place) -> Option<&T> {
        self.entries.get(place as usize)?.as_ref()
    }
    fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        self.entries.get_mut(place as usize)?.as_mut()
    }
    fn take(&mut self, place: Place) {
        if self
            .entries
            .get_mut(place as usize)
            .and_then(Option::take)
            .is_some()
        {
            self.free.push(place);
        }
    }
}

/// The record is not one that the shim makes of any program. A poll or select that does not wait is one: many a program
/// asks whether its standard streams are open.
pub(super) fn tells(rec: &Rec) -> bool {
    if rec.kind == Kind::WaitEnter {
        return rec.fd >= 0 || rec.arg != 0;
    }
    !matches!(
        rec.kind,
        Kind::WaitExit
            | Kind::Ready
            | Kind::Fork
            | Kind::Reaped
            | Kind::Exec
            | Kind::Name
            | Kind::Io
            | Kind::FdOpen
            | Kind::FdAddr
            | Kind::FdCloseBegin
            | Kind::FdCloseEnd
            | Kind::DupBegin
            | Kind::DupEnd
            | Kind::CallBegin
            | Kind::CallEnd
    )
}
