//! The calls the epoll model understands and the answers it gives, as strace(1) would write them.

use crate::text::names;
use std::fmt;

/// A descriptor number.
pub type Fd = i32;

/// The event bits of epoll_ctl(2).
pub mod bits {
    /// Something can be read.
    pub const IN: u32 = libc::EPOLLIN as u32;
    /// Something can be written.
    pub const OUT: u32 = libc::EPOLLOUT as u32;
    /// Urgent data.
    pub const PRI: u32 = libc::EPOLLPRI as u32;
    /// An error; comes unasked.
    pub const ERR: u32 = libc::EPOLLERR as u32;
    /// Hang-up; comes unasked.
    pub const HUP: u32 = libc::EPOLLHUP as u32;
    /// The peer has shut down its writing half; only if asked.
    pub const RDHUP: u32 = libc::EPOLLRDHUP as u32;
    /// As `IN`.
    pub const RDNORM: u32 = libc::EPOLLRDNORM as u32;
    /// Never set by the files here.
    pub const RDBAND: u32 = libc::EPOLLRDBAND as u32;
    /// As `OUT`.
    pub const WRNORM: u32 = libc::EPOLLWRNORM as u32;
    /// As `OUT`, of sockets.
    pub const WRBAND: u32 = libc::EPOLLWRBAND as u32;
    /// Edge-triggered.
    pub const ET: u32 = libc::EPOLLET as u32;
    /// Disarmed by its own report.
    pub const ONESHOT: u32 = libc::EPOLLONESHOT as u32;
    /// One waiter of several is woken.
    pub const EXCLUSIVE: u32 = libc::EPOLLEXCLUSIVE as u32;
    /// How an item behaves, not what it waits for (EP_PRIVATE_BITS).
    pub const MODES: u32 = ET | ONESHOT | EXCLUSIVE | libc::EPOLLWAKEUP as u32;
}

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Errno(pub i32);

/// The third argument of epoll_ctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ctl {
    /// EPOLL_CTL_ADD
    Add,
    /// EPOLL_CTL_MOD
    Mod,
    /// EPOLL_CTL_DEL
    Del,
    /// A number that stands for none of them.
    Other(i32),
}

/// The second argument of shutdown(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// SHUT_RD
    Read,
    /// SHUT_WR
    Write,
    /// SHUT_RDWR
    Both,
}

/// One call. Where it makes a descriptor it says which number that gets; what had the number is closed, as by dup2(2).
/// All descriptors are non-blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// epoll_create1
    Epoll {
        /// Its number.
        fd: Fd,
    },
    /// pipe2
    Pipe {
        /// The read end's number.
        read: Fd,
        /// The write end's number.
        write: Fd,
    },
    /// eventfd
    Eventfd {
        /// Its number.
        fd: Fd,
        /// What it starts with.
        count: u64,
        /// EFD_SEMAPHORE
        semaphore: bool,
    },
    /// socketpair(AF_UNIX, SOCK_STREAM)
    Pair {
        /// One end's number.
        a: Fd,
        /// The other's.
        b: Fd,
    },
    /// A regular file, for what cannot be polled.
    Regular {
        /// Its number.
        fd: Fd,
    },
    /// epoll_ctl
    Ctl {
        /// The epoll descriptor.
        epfd: Fd,
        /// What to do.
        ctl: Ctl,
        /// The target.
        fd: Fd,
        /// Interest and mode bits.
        mask: u32,
        /// The data word.
        data: u64,
    },
    /// epoll_wait with the time-out 0
    Wait {
        /// The epoll descriptor.
        epfd: Fd,
        /// maxevents
        max: i32,
    },
    /// write; of an eventfd the number to add
    Write {
        /// Where.
        fd: Fd,
        /// How many bytes, or the number.
        count: u64,
    },
    /// read; of an eventfd always its 8 bytes
    Read {
        /// Where.
        fd: Fd,
        /// How many bytes at most.
        count: u64,
    },
    /// shutdown
    Shutdown {
        /// The socket.
        fd: Fd,
        /// Which half.
        how: How,
    },
    /// dup2
    Dup {
        /// An open number.
        from: Fd,
        /// The second number for the same open file description.
        to: Fd,
    },
    /// close
    Close {
        /// The number.
        fd: Fd,
    },
}

/// One event of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready {
    /// The data word of the last epoll_ctl.
    pub data: u64,
    /// What is ready.
    pub mask: u32,
}

/// What a call returns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// 0
    Done,
    /// Bytes, or what was read from an eventfd.
    Count(u64),
    /// The ready batch, in order.
    Batch(Vec<Ready>),
    /// -1 and errno.
    Failed(Errno),
}

/// A data word: a letter where it is one, otherwise a number.
pub fn data_name(data: u64) -> String {
    match u8::try_from(data) {
        Ok(letter) if letter.is_ascii_alphabetic() => char::from(letter).to_string(),
        _ => data.to_string(),
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match names::errno(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", data_name(self.data), names::mask(self.mask))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Done => f.write_str("0"),
            Answer::Count(count) => write!(f, "{count}"),
            Answer::Failed(errno) => write!(f, "-1 {errno}"),
            Answer::Batch(events) => {
                let events: Vec<String> = events.iter().map(Ready::to_string).collect();
                write!(f, "[{}]", events.join(" "))
            }
        }
    }
}

impl Ctl {
    /// What epoll_ctl(2) calls it, without its prefix.
    pub fn name(self) -> String {
        match self {
            Ctl::Add => "ADD".to_owned(),
            Ctl::Mod => "MOD".to_owned(),
            Ctl::Del => "DEL".to_owned(),
            Ctl::Other(number) => number.to_string(),
        }
    }
}

impl How {
    /// What shutdown(2) calls it.
    pub fn name(self) -> &'static str {
        match self {
            How::Read => "SHUT_RD",
            How::Write => "SHUT_WR",
            How::Both => "SHUT_RDWR",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Call::Epoll { fd } => write!(f, "epoll_create1(0) → {fd}"),
            Call::Pipe { read, write } => write!(f, "pipe() → read {read}, write {write}"),
            Call::Eventfd {
                fd,
                count,
                semaphore,
            } => {
                let flag = if semaphore { ", EFD_SEMAPHORE" } else { "" };
                write!(f, "eventfd({count}{flag}) → {fd}")
            }
            Call::Pair { a, b } => write!(f, "socketpair(AF_UNIX, SOCK_STREAM) → {a}, {b}"),
            Call::Regular { fd } => write!(f, "open(\"a-regular-file\") → {fd}"),
            Call::Ctl {
                epfd,
                ctl: Ctl::Del,
                fd,
                ..
            } => write!(f, "epoll_ctl({epfd}, DEL, {fd})"),
            Call::Ctl {
                epfd,
                ctl,
                fd,
                mask,
                data,
            } => write!(
                f,
                "epoll_ctl({epfd}, {}, {fd}, {}, data {})",
                ctl.name(),
                names::mask(mask),
                data_name(data)
            ),
            Call::Wait { epfd, max } => write!(f, "epoll_wait({epfd}, maxevents {max})"),
            Call::Write { fd, count } => write!(f, "write({fd}, {count})"),
            Call::Read { fd, count } => write!(f, "read({fd}, {count})"),
            Call::Shutdown { fd, how } => write!(f, "shutdown({fd}, {})", how.name()),
            Call::Dup { from, to } => write!(f, "dup2({from}, {to})"),
            Call::Close { fd } => write!(f, "close({fd})"),
        }
    }
}
