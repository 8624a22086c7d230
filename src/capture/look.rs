//! A look at a process through /proc: its descriptors with what they are open on, the registrations of its epoll
//! descriptors, its sockets' addresses and unread bytes. Made by a thread of its own, so that nobody drains late for it.
//! Step: **event → ring** (for the collector's own events).
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::procfs::{self, Tfd};
use super::sight::{Sight, Surveyor};
use super::sockdiag::{self, Sockets};
use super::steal;
use crate::record::event::{FdKind, MAX_TEXT};
use crate::record::wire;

/// Descriptors looked at; of a process with more the first that /proc names.
const MOST_FDS: usize = 16_384;
/// Registrations looked at, of all epoll descriptors of a process.
const MOST_REGS: usize = 65_536;
/// So many times as long as it took is a process that does not run left alone after a look, though for no longer.
const IDLE_SHARE: u32 = 500;
const IDLE_LONGEST: Duration = Duration::from_secs(5);
/// What sock_diag said serves for all processes that are looked at so soon after.
const FRESH: Duration = Duration::from_millis(50);

/// What to look at.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// A process.
    Process {
        pid: u32,
        /// Also if it has not run since the last look.
        anyway: bool,
        /// Threads whose pending signals are asked for.
        threads: Vec<u32>,
    },
    /// Processes and all they have started: who among them is not seen.
    Tree(Vec<u32>),
    /// What the hypervisor has taken.
    Steal,
}

/// A descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SeenFd {
    pub fd: i32,
    pub kind: FdKind,
    /// Of a socket or pipe, 0 otherwise.
    pub inode: u64,
    /// `local>peer` of a socket, a name of anything else; may be empty.
    pub text: Vec<u8>,
    pub unread: Option<u64>,
}

/// What was seen.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// 0 of a tree, and of the machine.
    pub pid: u32,
    /// When it began; what happened since may or may not be in it.
    pub began: Instant,
    pub took: Duration,
    pub seen: Seen,
}

/// How it went.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// It has not run since the last look, which was not long ago.
    Idle,
    /// It has ended.
    Gone,
    /// It may not be looked at.
    Denied(String),
    Open {
        /// Every open number.
        numbers: Vec<i32>,
        /// What they are open on, unless there are too many.
        fds: Vec<SeenFd>,
        /// By epoll descriptor.
        regs: Vec<(i32, Vec<Tfd>)>,
        /// Signals that wait, by thread.
        signals: Vec<(u32, u64)>,
    },
    /// A tree of processes.
    Tree(Vec<Sight>),
    /// What the hypervisor has taken so far.
    Steal(Option<steal::Reading>),
}

/// The last look at a process.
struct Before {
    /// What it had run by then.
    used: (u64, u64),
    at: Instant,
    took: Duration,
}

impl Before {
    /// Of one that has not run since, only what arrives for it can have changed: that may wait.
    fn is_enough(&self) -> bool {
        self.at.elapsed() < self.took.saturating_mul(IDLE_SHARE).min(IDLE_LONGEST)
    }
}

/// Looks as long as it is asked to; `tell` is false once nobody wants to know any more.
pub(super) fn watch(requests: &Receiver<Request>, mut tell: impl FnMut(Look) -> bool) {
    let mut before: HashMap<u32, Before> = HashMap::new();
    let mut sockets: Option<(Instant, Arc<Sockets>)> = None;
    let mut surveyor = Surveyor::default();
    let own = procfs::net_namespace(std::process::id() as i32);
    while let Ok(request) = requests.recv() {
        let began = Instant::now();
        let (process, anyway, threads) = match request {
            Request::Process {
                pid,
                anyway,
                threads,
            } => (pid, anyway, threads),
            of_many => {
                let seen = match of_many {
                    Request::Tree(roots) => Seen::Tree(surveyor.survey(&roots)),
                    _ => Seen::Steal(steal::read()),
                };
                let look = Look {
                    pid: 0,
                    began,
                    seen,
                    took: began.elapsed(),
                };
                if !tell(look) {
                    return;
                }
                continue;
            }
        };
        let pid = process as i32;
        let used = procfs::ran(pid);
        let last = before.get(&process).filter(|last| used == Some(last.used));
        let seen = if last.is_some_and(Before::is_enough) && !anyway {
            Seen::Idle
        } else {
            let abroad = own.is_none() || procfs::net_namespace(pid) != own;
            look(pid, &threads, |inodes| {
                if abroad {
                    return Arc::new(sockdiag::of_namespace(pid));
                }
                // What was asked a moment ago serves if it knows every socket: new ones may have come since.
                if let Some((at, all)) = &sockets
                    && at.elapsed() < FRESH
                    && inodes.iter().all(|inode| all.contains_key(inode))
                {
                    return Arc::clone(all);
                }
                // Those that were told of before, however long ago, are asked for alone.
                let known = sockets.as_ref().map(|(_, all)| all);
                if let Some(all) = known.and_then(|known| sockdiag::again(known, inodes)) {
                    return Arc::new(all);
                }
                let all = sockdiag::ours(inodes).unwrap_or_else(|_| sockdiag::of_namespace(pid));
                let all = Arc::new(all);
                sockets = Some((began, Arc::clone(&all)));
                all
            })
        };
        // What it had run was read before the look: what it does during that is for the next.
        match (used, &seen) {
            (None, _) => _ = before.remove(&process),
            (_, Seen::Idle) => {}
            (Some(used), _) => {
                let (at, took) = (Instant::now(), began.elapsed());
                before.insert(process, Before { used, at, took });
            }
        }
        let look = Look {
            pid: process,
            began,
            took: began.elapsed(),
            seen,
        };
        if !tell(look) {
            return;
        }
    }
}

fn look(pid: i32, threads: &[u32], sockets: impl FnOnce(&[u64]) -> Arc<Sockets>) -> Seen {
    let numbers = match procfs::fds(pid) {
        Ok(numbers) => numbers,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Seen::Denied(error.to_string());
        }
        Err(_) => return Seen::Gone,
    };
    let signals = threads.iter();
    let signals = signals.filter_map(|tid| Some((*tid, procfs::pending(pid, *tid)?)));
    let signals = signals.collect();
    let mut fds: Vec<SeenFd> = (numbers.iter().take(MOST_FDS))
        .filter_map(|fd| Some(named(*fd, &procfs::fd_link(pid, *fd)?)))
        .collect();
    let unknown = fds.iter().filter(|f| f.kind == FdKind::Unknown);
    let inodes: Vec<u64> = unknown.map(|f| f.inode).filter(|i| *i != 0).collect();
    if !inodes.is_empty() {
        let sockets = sockets(&inodes);
        for fd in &mut fds {
            if let Some(socket) = sockets
                .get(&fd.inode)
                .filter(|_| fd.kind == FdKind::Unknown)
            {
                fd.kind = socket.kind;
                fd.text.clone_from(&socket.text);
                fd.text.truncate(wire::cut(&fd.text, MAX_TEXT));
                fd.unread = socket.unread;
            }
        }
    }
    let mut room = MOST_REGS;
    let mut regs = Vec::new();
    for epoll in fds.iter().filter(|f| f.kind == FdKind::Epoll) {
        if let Some(all) = procfs::registrations(pid, epoll.fd, room) {
            room -= all.len();
            if room == 0 {
                // Cut: what is missing from it is not gone.
                break;
            }
            regs.push((epoll.fd, all));
        }
    }
    Seen::Open {
        numbers,
        fds,
        regs,
        signals,
    }
}

/// What a link in /proc/PID/fd says. A socket's kind is asked for elsewhere.
fn named(fd: i32, link: &[u8]) -> SeenFd {
    let inode = |prefix: &[u8]| -> Option<u64> {
        let digits = link.strip_prefix(prefix)?.strip_suffix(b"]")?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let (kind, inode, text) = if let Some(inode) = inode(b"socket:[") {
        (FdKind::Unknown, inode, &b""[..])
    } else if let Some(inode) = inode(b"pipe:[") {
        (FdKind::Pipe, inode, &b""[..])
    } else if let Some(what) = link.strip_prefix(b"anon_inode:") {
        let what = what.strip_prefix(b"[").unwrap_or(what);
        let what = what.strip_suffix(b"]").unwrap_or(what);
        match what {
            b"eventpoll" => (FdKind::Epoll, 0, &b""[..]),
            b"eventfd" => (FdKind::Eventfd, 0, &b""[..]),
            b"timerfd" => (FdKind::Timerfd, 0, &b""[..]),
            b"signalfd" => (FdKind::Signalfd, 0, &b""[..]),
            b"inotify" => (FdKind::Inotify, 0, &b""[..]),
            b"pidfd" => (FdKind::Pidfd, 0, &b""[..]),
            other => (FdKind::Unknown, 0, other),
        }
    } else if link.starts_with(b"/dev/pts/") || link.starts_with(b"/dev/tty") {
        (FdKind::Tty, 0, link)
    } else {
        (FdKind::File, 0, link)
    };
    SeenFd {
        fd,
        kind,
        inode,
        text: text[..wire::cut(text, MAX_TEXT)].to_vec(),
        unread: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_say_what_a_descriptor_is() {
        let kind = |link: &[u8]| {
            let f = named(7, link);
            (f.kind, f.inode, String::from_utf8(f.text).unwrap())
        };
        assert_eq!(kind(b"socket:[12]"), (FdKind::Unknown, 12, String::new()));
        assert_eq!(kind(b"pipe:[9]"), (FdKind::Pipe, 9, String::new()));
        assert_eq!(kind(b"anon_inode:[eventpoll]").0, FdKind::Epoll);
        assert_eq!(kind(b"anon_inode:inotify").0, FdKind::Inotify);
        assert_eq!(
            kind(b"anon_inode:[io_uring]"),
            (FdKind::Unknown, 0, "io_uring".into())
        );
        assert_eq!(kind(b"/dev/pts/3"), (FdKind::Tty, 0, "/dev/pts/3".into()));
        assert_eq!(kind(b"/tmp/x (deleted)").0, FdKind::File);
        // A file may be called anything.
        assert_eq!(kind(b"/socket:[1]").0, FdKind::File);
        assert_eq!(kind(b"pipe:[x]").0, FdKind::File);
    }

    #[test]
    fn we_see_ourselves() {
        let Seen::Open { numbers, fds, .. } =
            look(std::process::id() as i32, &[], |_| Arc::default())
        else {
            panic!("our own descriptors are not to be seen");
        };
        assert!(numbers.contains(&0) && fds.iter().any(|f| f.fd == 0));
        assert!(matches!(
            look(i32::MAX, &[], |_| Arc::default()),
            Seen::Gone
        ));
    }
}
