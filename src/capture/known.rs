//! What a reader of the recording knows of each process's descriptors so far, followed in the collector as the events are
//! written: what a look at /proc is compared with. Step: **ring → trace**.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};

use crate::record::address;
use crate::record::event::{Ctl, Event, FdKind, Kind};
use crate::record::handshake::Source;

/// Descriptors followed per process; of one with more nothing is said.
const MOST: usize = 1 << 17;
/// −EBADF: a call on a number that is closed.
const BAD: i32 = -9;
/// A thread that has not come back to a wait for so long is stalled.
const STALL_NS: u64 = 100_000_000;

/// A descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fd {
    /// When it last came to mean something else, in nanoseconds since the recording's start.
    pub since: u64,
    pub kind: Option<FdKind>,
    pub inode: u64,
    /// It has a name, or the addresses of both sides: they do not change any more.
    pub named: bool,
    /// What an incomplete name that was told hashes to.
    pub told: u64,
    pub unread: Option<u64>,
    /// Made from another: a connection that was accepted.
    pub taken: bool,
    /// It was open when the process became this program.
    pub inherited: bool,
}

/// A registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reg {
    pub since: u64,
    pub mask: u32,
    pub data: u64,
}

/// A process.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub pid: u32,
    /// The shim pushes for it: it says nothing of addresses and paths.
    pub shim: bool,
    pub fds: HashMap<i32, Fd>,
    /// When it said hello, as this program or as the one before.
    pub hello: u64,
    /// When it said its first word since: it has closed by then what it said hello with.
    pub word: u64,
    /// When closed numbers were closed: a look that began before says nothing of them.
    pub closed: HashMap<i32, u64>,
    /// (fd, epfd)
    pub regs: BTreeMap<(i32, i32), Reg>,
    /// Something happened that does not fit: look again soon.
    pub surprised: bool,
    /// Something was opened that has no name yet.
    pub unnamed: bool,
    /// It told that it is there; a forked child only pushes.
    pub joined: bool,
    /// An epoll_ctl of its was seen.
    pub ctl: bool,
}

/// Whether the waits of a process are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// A thread is in one.
    pub now: bool,
    /// When one last began or ended.
    pub last: Option<u64>,
    pub joined: bool,
    pub ctl: bool,
    /// On an epoll that it did not inherit.
    pub registrations: bool,
    /// When it last said hello.
    pub hello: u64,
    /// A thread is in a named call.
    pub calls: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    process: u32,
    /// It came out of a wait then and has not gone back; 0 if it waits.
    busy: u64,
    /// When it last went into one or came out; 0 never.
    waited: u64,
    /// A stall of its has been told already.
    told: bool,
    ended: bool,
    tid: u32,
    /// It is in a call with a name of its own.
    calls: bool,
    /// The signals that its waits let through, as the last one said.
    lets: u64,
    /// Some of them were told to wait.
    held: bool,
}

/// A process is looked at so many nanoseconds after its hello, whatever it says.
const GRACE: u64 = 500_000_000;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Known {
    threads: Vec<Thread>,
    processes: HashMap<u32, Process>,
    numbers: HashMap<u32, u32>,
    /// The first address somebody listens on, as [`address`] writes it.
    listens: Option<Vec<u8>>,
    /// A connection was accepted.
    talked: bool,
    /// An epoll_ctl has succeeded, and somebody has waited.
    registers: bool,
    waits: bool,
    /// epoll_ctl calls under way: the thread, then fd, epfd, mask and data word.
    ctls: HashMap<u32, (i32, i32, u32, u64)>,
}

impl Known {
    /// Takes in what has just been written.
    #[inline]
    pub fn see(&mut self, e: &Event, text: &[u8]) {
        match e.kind {
            Kind::Ready | Kind::RunBegin | Kind::RunEnd => {}
            Kind::Io if e.x != BAD => {}
            Kind::WaitEnter | Kind::WaitExit => {
                self.waits = true;
                if let Some(thread) = self.threads.get_mut(e.thread as usize) {
                    if e.kind == Kind::WaitEnter {
                        thread.lets = e.lets_through();
                    }
                    thread.busy = if e.kind == Kind::WaitExit { e.t } else { 0 };
                    thread.waited = e.t.max(1);
                    thread.told = false;
                }
            }
            _ => self.change(e, text),
        }
    }

    fn change(&mut self, e: &Event, text: &[u8]) {
        match e.kind {
            Kind::ProcessStart => return self.start(e),
            Kind::ProcessEnd => {
                if let Some(gone) = self.processes.remove(&(e.arg as u32)) {
                    self.numbers.remove(&gone.pid);
                }
                return;
            }
            Kind::ThreadStart => {
                let at = e.thread as usize;
                if at >= self.threads.len() && at < MOST {
                    self.threads.resize(at + 1, Thread::default());
                }
                if let Some(thread) = self.threads.get_mut(at) {
                    *thread = Thread {
                        process: e.arg as u32,
                        tid: e.x as u32,
                        ..Thread::default()
                    };
                }
                return;
            }
            Kind::ThreadEnd => {
                if let Some(thread) = self.threads.get_mut(e.thread as usize) {
                    (thread.busy, thread.ended) = (0, true);
                }
                self.ctls.remove(&e.thread);
                return;
            }
            Kind::Lost => {
                self.processes.values_mut().for_each(|p| p.surprised = true);
                return;
            }
            Kind::CallBegin | Kind::CallEnd => {
                if let Some(thread) = self.threads.get_mut(e.thread as usize) {
                    thread.calls = e.kind == Kind::CallBegin;
                }
                return;
            }
            Kind::CtlBegin => {
                let call = (e.fd, e.y as i32, e.x as u32, e.arg);
                self.ctls.insert(e.thread, call);
                return;
            }
            _ => {}
        }
        self.company(e, text);
        let number = self.threads.get(e.thread as usize).map(|t| t.process);
        let Some(process) = number.and_then(|n| self.processes.get_mut(&n)) else {
            return;
        };
        match e.kind {
            Kind::CtlEnd => {
                self.registers |= e.x == 0;
                let call = self.ctls.remove(&e.thread);
                process.ctl(e, call.filter(|c| (c.0, c.1) == (e.fd, e.y as i32)));
            }
            Kind::Exec => {
                (process.joined, process.ctl) = (true, false);
                (process.fds.values_mut()).for_each(|fd| fd.inherited = true);
                process.shim = e.aux == Source::Preload as u16 || process.shim && e.aux == 0;
                process.surprised = true;
                process.hello = e.t;
            }
            Kind::Fork if e.x == 0 => process.word = e.t,
            Kind::Io => process.surprised = true,
            _ => process.change(e, text),
        }
    }

    fn start(&mut self, e: &Event) {
        let parent = (self.numbers.get(&(e.y as u32))).and_then(|n| self.processes.get(n));
        // The first comes by joining, all others as copies of their parents, until they become another program.
        let joined = parent.is_none();
        let copy = parent.map(|p| (p.fds.clone(), p.regs.clone()));
        let (fds, regs) = copy.unwrap_or_default();
        let process = Process {
            pid: e.x as u32,
            shim: e.aux == Source::Preload as u16,
            fds,
            hello: e.t,
            word: 0,
            closed: HashMap::new(),
            regs,
            surprised: true,
            unnamed: false,
            joined,
            ctl: false,
        };
        self.numbers.insert(e.x as u32, e.arg as u32);
        self.processes.insert(e.arg as u32, process);
    }

    pub fn process(&mut self, pid: u32) -> Option<&mut Process> {
        self.processes.get_mut(self.numbers.get(&pid)?)
    }

    /// Who listens, and whether anybody came.
    fn company(&mut self, e: &Event, text: &[u8]) {
        let kind = FdKind::from_code(e.aux);
        match e.kind {
            Kind::FdOpen => {
                self.talked |= e.x >= 0 && matches!(kind, Some(FdKind::Tcp | FdKind::Unix))
            }
            Kind::FdAddr | Kind::FdSeen if self.listens.is_none() => {
                let listener = matches!(kind, Some(FdKind::TcpListener | FdKind::UnixListener));
                let sides = address::sides(text).filter(|_| listener);
                self.listens = sides
                    .map(|[_, local, _]| local.to_vec())
                    .filter(|l| !l.is_empty());
            }
            _ => {}
        }
    }

    /// The address somebody listens on to which nobody has come.
    pub fn lonely(&self) -> Option<String> {
        let listens = self.listens.as_ref().filter(|_| !self.talked)?;
        Some(String::from_utf8_lossy(listens).into_owned())
    }

    /// There are registrations that no wait was seen for.
    pub fn idle(&self) -> bool {
        self.registers && !self.waits
    }

    /// Whether its waits are seen; nothing of a process that has not shown itself.
    pub fn waits(&self, pid: u32) -> Option<Waits> {
        let number = self.numbers.get(&pid)?;
        let process = self.processes.get(number)?;
        let mut waits = Waits {
            joined: process.joined,
            ctl: process.ctl,
            registrations: process.regs.keys().any(|(_, ep)| process.made(*ep)),
            hello: process.hello,
            ..Waits::default()
        };
        for thread in self.threads.iter().filter(|t| t.process == *number) {
            waits.calls |= thread.calls && !thread.ended;
            waits.now |= thread.waited != 0 && thread.busy == 0 && !thread.ended;
            waits.last = waits.last.max(Some(thread.waited).filter(|t| *t != 0));
        }
        Some(waits)
    }

    /// The threads of a process whose waits let signals through, at most so many.
    pub fn letting(&self, pid: u32, most: usize) -> Vec<u32> {
        let number = self.numbers.get(&pid).copied();
        let here = (self.threads.iter())
            .filter(|t| !t.ended && (t.lets != 0 || t.held) && Some(t.process) == number);
        here.take(most).map(|t| t.tid).collect()
    }

    /// A thread of a process was seen with these signals waiting: whether that is to be told.
    pub fn pending(&mut self, pid: u32, tid: u32, set: u64) -> bool {
        let number = self.numbers.get(&pid).copied();
        let mut threads = self.threads.iter_mut().rev();
        let found = threads.find(|t| t.tid == tid && Some(t.process) == number && !t.ended);
        found.is_some_and(|thread| {
            let held = set & thread.lets != 0;
            held | std::mem::replace(&mut thread.held, held)
        })
    }

    /// Threads (process id and thread id) that came out of a wait `least` nanoseconds ago or earlier and have not gone back, at
    /// most so many.
    pub fn busy(&self, now: u64, least: u64, most: usize) -> Vec<(u32, u32)> {
        let busy = |t: &&Thread| t.busy != 0 && now.saturating_sub(t.busy) >= least;
        let here = self.threads.iter().filter(busy).filter_map(|t| {
            let process = self.processes.get(&t.process)?;
            Some((process.pid, t.tid))
        });
        here.take(most).collect()
    }

    /// Processes of which a thread has stalled since this was last asked.
    pub fn stalled(&mut self, now: u64) -> Vec<u32> {
        let mut all = Vec::new();
        for thread in &mut self.threads {
            let stalls = thread.busy != 0 && now.saturating_sub(thread.busy) > STALL_NS;
            if stalls && !std::mem::replace(&mut thread.told, true) {
                all.extend(self.processes.get(&thread.process).map(|p| p.pid));
            }
        }
        all
    }
}

/// Tells texts apart.
pub(super) fn hash(text: &[u8]) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::default().hash_one(text)
}

impl Process {
    /// A look that began then may have met the shim's own descriptors, which it holds while it says hello.
    pub fn is_joining(&self, began: u64) -> bool {
        let settled = match self.word >= self.hello {
            true => self.word,
            // It was lost, or is long in coming.
            false => self.hello.saturating_add(GRACE),
        };
        self.shim && began <= settled
    }

    /// The program has this descriptor from nobody else, as far as known: what is registered there it registered.
    fn made(&self, fd: i32) -> bool {
        !self.fds.get(&fd).is_some_and(|fd| fd.inherited)
    }

    /// When a number last came to mean something else, or nothing.
    pub fn since(&self, fd: i32) -> Option<u64> {
        let open = self.fds.get(&fd).map(|fd| fd.since);
        open.or_else(|| self.closed.get(&fd).copied())
    }

    fn change(&mut self, e: &Event, text: &[u8]) {
        match e.kind {
            Kind::FdOpen | Kind::FdSeen => {
                let was = self.fds.get(&e.fd).copied();
                if e.kind == Kind::FdOpen {
                    self.close(e.fd, e.t);
                    self.unnamed = true;
                }
                let known = was.filter(|_| e.kind == Kind::FdSeen).unwrap_or_default();
                let kind = FdKind::from_code(e.aux).filter(|k| *k != FdKind::Unknown);
                let seen = e.kind == Kind::FdSeen;
                let whole =
                    text.last().is_some_and(|b| *b != b'>') || kind == Some(FdKind::TcpListener);
                if self.fds.len() < MOST {
                    let fd = Fd {
                        since: e.t,
                        kind: kind.or(known.kind),
                        inode: if seen { e.arg } else { 0 },
                        named: known.named || seen && whole,
                        told: if seen { hash(text) } else { 0 },
                        unread: known.unread,
                        taken: known.taken || !seen && e.x >= 0,
                        inherited: known.inherited && kind.is_none_or(|k| known.kind == Some(k)),
                    };
                    self.fds.insert(e.fd, fd);
                }
            }
            Kind::FdCloseBegin | Kind::FdGone => self.close(e.fd, e.t),
            Kind::FdCloseEnd | Kind::DupEnd if e.x < 0 => self.surprised = true,
            Kind::DupEnd if e.x != e.fd => {
                self.close(e.x, e.t);
                let from = self.fds.get(&e.fd).copied().unwrap_or_default();
                self.fds.insert(e.x, Fd { since: e.t, ..from });
            }
            Kind::FdName => self.fds.entry(e.fd).or_default().named = true,
            Kind::FdAddr => {
                let fd = self.fds.entry(e.fd).or_default();
                let kind = FdKind::from_code(e.aux).filter(|k| *k != FdKind::Unknown);
                let [_, local, peer] = address::sides(text).unwrap_or_default();
                let listens = kind == Some(FdKind::TcpListener);
                fd.named |= !local.is_empty() && (listens || !peer.is_empty());
                fd.kind = kind.or(fd.kind);
            }
            Kind::Unread => {
                if let Some(fd) = self.fds.get_mut(&e.fd) {
                    fd.unread = Some(e.arg);
                }
            }
            Kind::RegSeen => {
                let reg = Reg {
                    since: e.t,
                    mask: e.x as u32,
                    data: e.arg,
                };
                self.regs.insert((e.fd, e.y as i32), reg);
            }
            Kind::RegGone => {
                self.regs.remove(&(e.fd, e.y as i32));
            }
            _ => {}
        }
    }

    fn ctl(&mut self, e: &Event, call: Option<(i32, i32, u32, u64)>) {
        let key = (e.fd, e.y as i32);
        self.ctl = true;
        match (Ctl::from_code(e.aux), e.x < 0) {
            (_, true) => self.surprised = true,
            (Some(Ctl::Del), false) => {
                self.regs.remove(&key);
            }
            (_, false) => {
                for fd in [e.fd, e.y as i32] {
                    let since = e.t;
                    self.fds.entry(fd).or_insert_with(|| Fd {
                        since,
                        ..Fd::default()
                    });
                }
                if let Some((.., mask, data)) = call {
                    let since = e.t;
                    self.regs.insert(key, Reg { since, mask, data });
                }
            }
        }
    }

    fn close(&mut self, fd: i32, t: u64) {
        self.fds.remove(&fd);
        if self.closed.len() < MOST {
            self.closed.insert(fd, t);
        }
        let keys = self.regs.range((fd, i32::MIN)..=(fd, i32::MAX));
        let keys: Vec<(i32, i32)> = keys.map(|(key, _)| *key).collect();
        for key in keys {
            self.regs.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_that_says_hello_is_not_looked_at() {
        let mut known = Known::default();
        let event = |t, kind, x, aux| Event {
            t,
            kind,
            x,
            aux,
            ..Event::default()
        };
        let preload = Source::Preload as u16;
        let start = Event {
            arg: 1,
            ..event(1_000, Kind::ProcessStart, 77, preload)
        };
        known.see(&start, b"");
        known.see(
            &Event {
                arg: 1,
                thread: 1,
                ..event(1_100, Kind::ThreadStart, 77, 0)
            },
            b"",
        );
        let by = |known: &mut Known, began| known.process(77).unwrap().is_joining(began);
        assert!(by(&mut known, 900) && by(&mut known, 1_500));
        assert!(
            !by(&mut known, 1_001 + GRACE),
            "its first word may have been lost"
        );
        known.see(
            &Event {
                thread: 1,
                ..event(1_200, Kind::Fork, 0, 0)
            },
            b"",
        );
        assert!(by(&mut known, 1_200) && !by(&mut known, 1_201));
        // A child of its is none of this; another program in its place is.
        known.see(
            &Event {
                thread: 1,
                ..event(1_300, Kind::Fork, 78, 0)
            },
            b"",
        );
        assert!(!by(&mut known, 1_250));
        known.see(
            &Event {
                thread: 1,
                ..event(1_400, Kind::Exec, 0, preload)
            },
            b"",
        );
        assert!(by(&mut known, 1_401));
    }
    #[test]
    fn what_a_started_program_inherits_it_has_not_registered() {
        let mut known = Known::default();
        let event = |t, kind, fd, x| Event {
            t,
            kind,
            fd,
            x,
            thread: 1,
            ..Event::default()
        };
        let start = Event {
            thread: 0,
            arg: 1,
            ..event(1_000, Kind::ProcessStart, 0, 77)
        };
        known.see(&start, b"");
        let thread = Event {
            arg: 1,
            ..event(1_000, Kind::ThreadStart, 0, 77)
        };
        known.see(&thread, b"");
        let seen = |fd, t| Event {
            aux: FdKind::Epoll.code(),
            ..event(t, Kind::FdSeen, fd, 0)
        };
        let registered = |ep, t| Event {
            y: ep,
            ..event(t, Kind::RegSeen, 9, 1)
        };
        let mut told = |e: Event| {
            known.see(&e, b"");
            known.waits(77).is_some_and(|waits| waits.registrations)
        };
        assert!(!told(seen(5, 1_100)));
        assert!(told(registered(5, 1_200)));
        // Another program: a look finds the epoll that it inherited, and what its parent has added there since.
        assert!(!told(event(2_000, Kind::Exec, 0, 0)));
        assert!(!told(seen(5, 2_100)));
        assert!(!told(registered(5, 2_200)));
        // Its own, made where nobody looked.
        assert!(!told(seen(6, 2_300)));
        assert!(told(registered(6, 2_400)));
    }
}
