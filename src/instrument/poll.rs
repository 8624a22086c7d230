//! poll(2) and select(2), instrumented: loops that hand the kernel their whole list on every call. Step: **event** → ring.
//!
//! The kernel keeps nothing of them between two calls and tells by descriptor, so a handler run names one:
//! [`dispatch_fd`](crate::dispatch_fd).
//!
//! ```
//! use loopscope::epoll::Interest;
//! use loopscope::poll::{PollFd, poll};
//! use std::{io::Write, os::unix::net::UnixStream, time::Duration};
//!
//! # fn main() -> std::io::Result<()> {
//! let (receiver, mut sender) = UnixStream::pair()?;
//! let mut list = [PollFd::new(&receiver, Interest::IN)];
//! assert_eq!(poll(&mut list, Some(Duration::ZERO))?, 0);
//! sender.write_all(b"x")?;
//! assert_eq!(poll(&mut list, None)?, 1);
//! if list[0].revents().contains(Interest::IN) {
//!     let _run = loopscope::dispatch_fd(&receiver);
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
use std::time::Duration;

use super::asking::{self, Asking};
use super::epoll::{milliseconds, milliseconds_ns};
use super::interest::Interest;
use super::state;
use crate::record::event::Wait;

/// One entry of poll(2)'s list.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    /// Asks for `interest`, of which poll(2) knows IN, PRI, OUT and RDHUP.
    pub fn new(fd: &impl AsRawFd, interest: Interest) -> PollFd {
        PollFd(libc::pollfd {
            fd: fd.as_raw_fd(),
            events: interest.bits() as i16,
            revents: 0,
        })
    }

    /// What the last poll has found.
    pub fn revents(&self) -> Interest {
        Interest::from_bits(u32::from(self.0.revents as u16))
    }
}

impl AsRawFd for PollFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd
    }
}

impl fmt::Debug for PollFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollFd")
            .field("fd", &self.0.fd)
            .field("revents", &self.revents())
            .finish()
    }
}

/// poll(2); gives how many entries have something to tell. A time-out that is no whole number of milliseconds is rounded
/// up, `None` waits for ever.
///
/// # Errors
///
/// As poll(2).
#[track_caller]
pub fn poll(list: &mut [PollFd], timeout: Option<Duration>) -> io::Result<usize> {
    let ms = milliseconds(timeout);
    let asking = Asking {
        call: Wait::Poll,
        room: i32::try_from(list.len()).unwrap_or(i32::MAX),
        on: None,
        timeout_ns: milliseconds_ns(ms),
        at: Location::caller(),
    };
    let recorded = state::records_calls();
    if recorded {
        asking.enter();
    }
    // SAFETY: `list` is live, its entries are pollfds and it has as many as told.
    let n = unsafe { libc::poll(list.as_mut_ptr().cast(), list.len() as libc::nfds_t, ms) };
    let result = usize::try_from(n).map_err(|_| io::Error::last_os_error());
    if recorded {
        let ready: Vec<(RawFd, u32)> = match n {
            1.. => list
                .iter()
                .filter(|p| p.0.revents != 0)
                .map(|p| (p.0.fd, p.revents().bits()))
                .collect(),
            _ => Vec::new(),
        };
        asking.leave(match &result {
            Ok(_) => Ok(&ready),
            Err(e) => Err(asking::errno(e)),
        });
    }
    result
}

/// A set of descriptors for select(2), which holds none above 1,023.
#[derive(Clone)]
pub struct FdSet {
    set: libc::fd_set,
    /// The highest number in it plus one.
    end: RawFd,
}

impl FdSet {
    /// The empty set.
    pub fn new() -> FdSet {
        // SAFETY: a set is an array of integers, and all zeroes is the empty one.
        let set = unsafe { std::mem::zeroed() };
        FdSet { set, end: 0 }
    }

    /// Adds a descriptor.
    ///
    /// # Errors
    ///
    /// EINVAL for one the set has no place for: C's `FD_SET` would write past its end.
    pub fn insert(&mut self, fd: &impl AsRawFd) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        if !(0..libc::FD_SETSIZE as RawFd).contains(&fd) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: the number lies inside of the set.
        unsafe { libc::FD_SET(fd, &raw mut self.set) };
        self.end = self.end.max(fd + 1);
        Ok(())
    }

    /// Whether it is in there; after a select, whether it is ready.
    pub fn contains(&self, fd: &impl AsRawFd) -> bool {
        self.has(fd.as_raw_fd())
    }

    fn has(&self, fd: RawFd) -> bool {
        // SAFETY: asked only for numbers inside of the set.
        (0..self.end).contains(&fd) && unsafe { libc::FD_ISSET(fd, &raw const self.set) }
    }
}

impl Default for FdSet {
    fn default() -> FdSet {
        FdSet::new()
    }
}

impl fmt::Debug for FdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = (0..self.end).filter(|fd| self.has(*fd));
        f.debug_set().entries(members).finish()
    }
}

/// select(2) for reading: afterwards the set holds those that are ready; gives how many. Like the kernel it takes a set
/// that has to be filled anew before every call.
///
/// # Errors
///
/// As select(2).
#[track_caller]
pub fn select(read: &mut FdSet, timeout: Option<Duration>) -> io::Result<usize> {
    let asking = Asking {
        call: Wait::Select,
        room: read.end,
        on: None,
        timeout_ns: asking::ns(timeout),
        at: Location::caller(),
    };
    let mut time = timeout.map(|t| libc::timeval {
        tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_usec: t.subsec_micros().into(),
    });
    let time = time
        .as_mut()
        .map_or(std::ptr::null_mut(), std::ptr::from_mut);
    let none = std::ptr::null_mut();
    let recorded = state::records_calls();
    if recorded {
        asking.enter();
    }
    // SAFETY: the set and the time are live, `end` lies inside of the set.
    let n = unsafe { libc::select(read.end, &raw mut read.set, none, none, time) };
    let result = usize::try_from(n).map_err(|_| io::Error::last_os_error());
    if recorded {
        let ready: Vec<(RawFd, u32)> = match n {
            1.. => (0..read.end)
                .filter(|fd| read.has(*fd))
                .map(|fd| (fd, Interest::IN.bits()))
                .collect(),
            _ => Vec::new(),
        };
        asking.leave(match &result {
            Ok(_) => Ok(&ready),
            Err(e) => Err(asking::errno(e)),
        });
    }
    result
}
