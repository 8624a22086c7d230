//! epoll(7) as it is, instrumented: level, edge and one-shot, exclusive, nested, several waiting threads, nanosecond
//! time-outs. Step: **event** → ring.
//!
//! `loopscope::mio` registers edge-triggered and hides the rest; this hides nothing. Every call here is one system call
//! and is recorded once. An [`Events`] iterator marks handler runs: each step ends one and starts the next, leaving
//! the loop ends the last, and what was not reached is recorded as skipped.
//!
//! ```
//! use loopscope::epoll::{Epoll, Events, Interest};
//! use std::{io::Write, os::unix::net::UnixStream, time::Duration};
//!
//! # fn main() -> std::io::Result<()> {
//! let (receiver, mut sender) = UnixStream::pair()?;
//! let epoll = Epoll::new()?;
//! epoll.add(&receiver, Interest::IN | Interest::EDGE, 7)?;
//! sender.write_all(b"x")?;
//!
//! let mut events = Events::with_capacity(64);
//! epoll.wait(&mut events, Some(Duration::from_secs(1)))?;
//! for event in &events {
//!     assert_eq!(event.data(), 7);
//!     assert!(event.mask().contains(Interest::IN));
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::panic::Location;
use std::time::Duration;

use super::batch::{Batch, Waiting, Walk};
use super::op::{self, Changing};
use super::recorder;
use crate::record::event::{Ctl, FdKind, Wait};

pub use super::interest::Interest;

/// One event of a ready batch.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Event(libc::epoll_event);

impl Event {
    /// The data word of the registration.
    pub fn data(&self) -> u64 {
        self.0.u64
    }

    /// What the kernel reports.
    pub fn mask(&self) -> Interest {
        Interest::from_bits(self.0.events)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("data", &self.data())
            .field("mask", &self.mask())
            .finish()
    }
}

/// Room for a ready batch; its capacity is the wait's maxevents.
#[derive(Clone)]
pub struct Events(Batch);

impl Events {
    /// Room for `maxevents` events; epoll_wait(2) refuses 0.
    pub fn with_capacity(maxevents: usize) -> Events {
        Events(Batch::with_capacity(maxevents))
    }

    /// maxevents.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// How many the last wait returned.
    pub fn len(&self) -> usize {
        self.0.as_slice().len()
    }

    /// Whether it returned none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last batch, in the kernel's order, marking handler runs: handle each event before taking the next.
    #[inline]
    #[track_caller]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            rest: self.unmarked(),
            batch: &self.0,
            at: Some(Location::caller()),
            walk: Walk::new(),
        }
    }

    /// The last batch without marks, for a program that hands the events on or serves them in another order and says
    /// so with [`crate::dispatch`].
    #[inline]
    pub fn unmarked(&self) -> std::slice::Iter<'_, Event> {
        let events = self.0.as_slice();
        // SAFETY: `Event` is a transparent wrapper of what the slice holds.
        unsafe { std::slice::from_raw_parts(events.as_ptr().cast::<Event>(), events.len()) }.iter()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.unmarked()).finish()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a Event;
    type IntoIter = Iter<'a>;

    #[inline]
    #[track_caller]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Walks a ready batch; each step is a handler's end and the next one's start.
#[derive(Debug)]
pub struct Iter<'a> {
    rest: std::slice::Iter<'a, Event>,
    batch: &'a Batch,
    at: Option<&'static Location<'static>>,
    walk: Walk,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Event;

    #[inline]
    fn next(&mut self) -> Option<&'a Event> {
        let next = self.rest.next();
        self.walk.step(
            self.at,
            self.batch,
            next.map(|event| &event.0),
            self.rest.len(),
        );
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

/// An epoll description's descriptor, closed on drop. All methods take `&self`: several threads may wait on it.
#[derive(Debug)]
pub struct Epoll {
    fd: ManuallyDrop<OwnedFd>,
}

impl Epoll {
    /// epoll_create1(2), close-on-exec.
    ///
    /// # Errors
    ///
    /// As epoll_create1(2): EMFILE, ENFILE, ENOMEM.
    #[track_caller]
    pub fn new() -> io::Result<Epoll> {
        recorder::join_unasked();
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        op::opened(
            FdKind::Epoll,
            fd,
            -1,
            op::CLOEXEC | op::BOTH_KNOWN,
            Location::caller(),
        );
        // SAFETY: a descriptor the kernel has just made for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll {
            fd: ManuallyDrop::new(fd),
        })
    }

    /// Another descriptor of the same description: the same loop.
    ///
    /// # Errors
    ///
    /// As fcntl(2): EMFILE.
    pub fn try_clone(&self) -> io::Result<Epoll> {
        let copy = op::duplicating(
            self.as_raw_fd(),
            || self.fd.try_clone(),
            |copy| copy.as_raw_fd(),
        )?;
        Ok(Epoll {
            fd: ManuallyDrop::new(copy),
        })
    }

    /// Registers `fd` with a data word (EPOLL_CTL_ADD). It may be another [`Epoll`].
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2): EEXIST registered already, EPERM a file that cannot be watched, ELOOP nested in a circle or
    /// too deep, EINVAL bits that do not go together.
    #[inline]
    #[track_caller]
    pub fn add(&self, fd: impl AsFd, interest: Interest, data: u64) -> io::Result<()> {
        self.ctl(
            Ctl::Add,
            fd.as_fd().as_raw_fd(),
            interest,
            data,
            Location::caller(),
        )
    }

    /// Changes interest and data word of a registration (EPOLL_CTL_MOD), which also re-arms a one-shot.
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2): ENOENT not registered, EINVAL for an exclusive one.
    #[inline]
    #[track_caller]
    pub fn modify(&self, fd: impl AsFd, interest: Interest, data: u64) -> io::Result<()> {
        self.ctl(
            Ctl::Mod,
            fd.as_fd().as_raw_fd(),
            interest,
            data,
            Location::caller(),
        )
    }

    /// Ends a registration (EPOLL_CTL_DEL).
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2): ENOENT not registered.
    #[inline]
    #[track_caller]
    pub fn delete(&self, fd: impl AsFd) -> io::Result<()> {
        self.ctl(
            Ctl::Del,
            fd.as_fd().as_raw_fd(),
            Interest::NONE,
            0,
            Location::caller(),
        )
    }

    #[inline]
    fn ctl(
        &self,
        op: Ctl,
        fd: RawFd,
        interest: Interest,
        data: u64,
        at: &'static Location<'static>,
    ) -> io::Result<()> {
        let epfd = self.as_raw_fd();
        op::changing(
            move || Changing {
                op,
                epfd,
                fd,
                mask: interest.bits(),
                data,
                at,
            },
            || {
                let mut event = libc::epoll_event {
                    events: interest.bits(),
                    u64: data,
                };
                // SAFETY: the event is live; the kernel reads it.
                match unsafe { libc::epoll_ctl(epfd, op.code().into(), fd, &raw mut event) } {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            },
        )
    }

    /// epoll_wait(2). A time-out that is no whole number of milliseconds is rounded up; `None` waits for ever.
    ///
    /// # Errors
    ///
    /// As epoll_wait(2): EINTR when a signal handler ran, EINVAL when `events` has no room.
    #[inline]
    #[track_caller]
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let (at, epfd) = (Location::caller(), self.as_raw_fd());
        let ms = milliseconds(timeout);
        events.0.wait(
            move || Waiting {
                call: Wait::Epoll,
                epfd,
                timeout_ns: milliseconds_ns(ms),
                at,
            },
            // SAFETY: the batch gives room for `maxevents` events.
            move |room, maxevents| unsafe { libc::epoll_wait(epfd, room, maxevents, ms) },
        )
    }

    /// epoll_pwait(2): [`Epoll::wait`] with this signal mask in force while it waits.
    ///
    /// # Errors
    ///
    /// As [`Epoll::wait`].
    #[track_caller]
    pub fn wait_masked(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
        mask: &libc::sigset_t,
    ) -> io::Result<()> {
        let (at, epfd) = (Location::caller(), self.as_raw_fd());
        let ms = milliseconds(timeout);
        events.0.wait(
            move || Waiting {
                call: Wait::Pwait,
                epfd,
                timeout_ns: milliseconds_ns(ms),
                at,
            },
            // SAFETY: the batch gives room for `maxevents` events; the mask is live.
            move |room, maxevents| unsafe { libc::epoll_pwait(epfd, room, maxevents, ms, mask) },
        )
    }

    /// epoll_pwait2(2) without a mask: a time-out in nanoseconds.
    ///
    /// # Errors
    ///
    /// As [`Epoll::wait`]; ENOSYS on kernels before 5.11.
    #[track_caller]
    pub fn wait_precise(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let (at, epfd) = (Location::caller(), self.as_raw_fd());
        let time = timeout.map(|t| libc::timespec {
            tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        events.0.wait(
            move || Waiting {
                call: Wait::Pwait2,
                epfd,
                timeout_ns: timeout.map(|t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX - 1)),
                at,
            },
            // glibc before 2.35 lacks the function, so the call is made by number.
            // SAFETY: the batch gives room for `maxevents` events, the time is live or null, no mask is passed.
            move |room, maxevents| unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    epfd,
                    room,
                    maxevents,
                    time,
                    0_usize,
                    0_usize,
                ) as i32
            },
        )
    }
}

/// epoll_wait(2)'s time-out, rounded up as mio does.
#[inline]
pub(super) fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    timeout.map_or(-1, |t| {
        let up = t.checked_add(Duration::from_nanos(999_999)).unwrap_or(t);
        libc::c_int::try_from(up.as_millis()).unwrap_or(libc::c_int::MAX)
    })
}

/// The nanoseconds of such a time-out, as they are recorded.
pub(super) fn milliseconds_ns(ms: libc::c_int) -> Option<u64> {
    u64::try_from(ms).ok().map(|ms| ms * 1_000_000)
}

impl Drop for Epoll {
    fn drop(&mut self) {
        let fd = &mut self.fd;
        op::closing(fd.as_raw_fd(), || {
            // SAFETY: `drop` runs once and nothing touches the value after it.
            unsafe { ManuallyDrop::drop(fd) };
            0
        });
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Epoll> for OwnedFd {
    fn from(epoll: Epoll) -> OwnedFd {
        let mut epoll = ManuallyDrop::new(epoll);
        // SAFETY: `epoll` is never used or dropped after this.
        unsafe { ManuallyDrop::take(&mut epoll.fd) }
    }
}

impl IntoRawFd for Epoll {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}
