//! The loop: its epoll description, its registrations, its waits.

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::event::{Events, Source};
use super::{Interest, Token};
use crate::instrument::batch::Waiting;
use crate::instrument::epoll::{milliseconds, milliseconds_ns};
use crate::instrument::op::{self, Changing};
use crate::instrument::recorder;
use crate::record::event::{Ctl, FdKind, Wait};

/// Waits for readiness events, with the methods of [`mio::Poll`].
///
/// ```
/// use loopscope::mio::{Events, Poll};
/// use std::time::Duration;
/// # fn main() -> std::io::Result<()> {
/// let mut poll = Poll::new()?;
/// let mut events = Events::with_capacity(128);
/// poll.poll(&mut events, Some(Duration::ZERO))?;
/// assert!(events.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Poll {
    registry: Registry,
}

/// What a loop watches, with the methods of [`mio::Registry`].
///
/// ```
/// use loopscope::mio::{unix::pipe, Interest, Poll, Token};
/// # fn main() -> std::io::Result<()> {
/// let poll = Poll::new()?;
/// let (_sender, mut receiver) = pipe::new()?;
/// poll.registry().register(&mut receiver, Token(1), Interest::READABLE)?;
/// poll.registry().deregister(&mut receiver)?;
/// # Ok(())
/// # }
/// ```
pub struct Registry {
    inner: ManuallyDrop<Inner>,
    epfd: RawFd,
    /// The same in every clone, as the kernel's description is.
    shared: Arc<Description>,
}

enum Inner {
    Poll(::mio::Poll),
    Clone(::mio::Registry),
}

/// What mio checks in debug builds of every description.
#[derive(Debug)]
struct Description {
    #[cfg_attr(not(debug_assertions), allow(dead_code))]
    id: usize,
    has_waker: AtomicBool,
}

/// Numbers the descriptions of this process, from 1.
static DESCRIPTIONS: AtomicUsize = AtomicUsize::new(1);

impl Poll {
    /// A new epoll description, close-on-exec.
    ///
    /// # Errors
    ///
    /// As epoll_create1(2).
    #[track_caller]
    pub fn new() -> io::Result<Poll> {
        recorder::join_unasked();
        let poll = ::mio::Poll::new()?;
        let epfd = poll.as_raw_fd();
        op::opened(
            FdKind::Epoll,
            epfd,
            -1,
            op::CLOEXEC | op::BOTH_KNOWN,
            Location::caller(),
        );
        Ok(Poll {
            registry: Registry {
                inner: ManuallyDrop::new(Inner::Poll(poll)),
                epfd,
                shared: Arc::new(Description {
                    id: DESCRIPTIONS.fetch_add(1, Ordering::Relaxed),
                    has_waker: AtomicBool::new(false),
                }),
            },
        })
    }

    /// What this loop watches.
    #[inline]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Waits for events, by epoll_wait(2). A time-out that is no whole number of milliseconds is rounded up; `None`
    /// waits for ever.
    ///
    /// # Errors
    ///
    /// As epoll_wait(2): `Interrupted` when a signal handler ran.
    #[inline]
    #[track_caller]
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let (at, epfd) = (Location::caller(), self.registry.epfd);
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
}

impl AsRawFd for Poll {
    fn as_raw_fd(&self) -> RawFd {
        self.registry.epfd
    }
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll").finish()
    }
}

/// The bits mio asks the kernel for.
fn mask(interests: Interest) -> u32 {
    let mut mask = libc::EPOLLET;
    if interests.is_readable() {
        mask |= libc::EPOLLIN | libc::EPOLLRDHUP;
    }
    if interests.is_writable() {
        mask |= libc::EPOLLOUT;
    }
    if interests.is_priority() {
        mask |= libc::EPOLLPRI;
    }
    mask as u32
}

impl Registry {
    /// Registers a source, edge-triggered.
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2): `AlreadyExists` if it is registered.
    #[inline]
    #[track_caller]
    pub fn register<S>(&self, source: &mut S, token: Token, interests: Interest) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        source.register(self, token, interests)
    }

    /// Changes the token and interest of a registration.
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2): `NotFound` if it is not registered.
    #[inline]
    #[track_caller]
    pub fn reregister<S>(&self, source: &mut S, token: Token, interests: Interest) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        source.reregister(self, token, interests)
    }

    /// Ends a registration.
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2): `NotFound` if it is not registered.
    #[inline]
    #[track_caller]
    pub fn deregister<S>(&self, source: &mut S) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        source.deregister(self)
    }

    /// Another registry of the same loop.
    ///
    /// # Errors
    ///
    /// As fcntl(2): EMFILE.
    pub fn try_clone(&self) -> io::Result<Registry> {
        let copy = op::duplicating(
            self.epfd,
            || self.mio().try_clone(),
            |copy| copy.as_raw_fd(),
        )?;
        Ok(Registry {
            epfd: copy.as_raw_fd(),
            inner: ManuallyDrop::new(Inner::Clone(copy)),
            shared: Arc::clone(&self.shared),
        })
    }

    fn mio(&self) -> &::mio::Registry {
        match &*self.inner {
            Inner::Poll(poll) => poll.registry(),
            Inner::Clone(registry) => registry,
        }
    }

    /// The number of the description, the same in every clone.
    #[cfg(debug_assertions)]
    pub(super) fn id(&self) -> usize {
        self.shared.id
    }

    pub(super) fn add(
        &self,
        fd: RawFd,
        token: Token,
        interests: Interest,
        at: &'static Location<'static>,
    ) -> io::Result<()> {
        self.ctl(Ctl::Add, fd, mask(interests), token.0 as u64, at)
    }

    pub(super) fn modify(
        &self,
        fd: RawFd,
        token: Token,
        interests: Interest,
        at: &'static Location<'static>,
    ) -> io::Result<()> {
        self.ctl(Ctl::Mod, fd, mask(interests), token.0 as u64, at)
    }

    pub(super) fn delete(&self, fd: RawFd, at: &'static Location<'static>) -> io::Result<()> {
        self.ctl(Ctl::Del, fd, 0, 0, at)
    }

    #[inline]
    fn ctl(
        &self,
        op: Ctl,
        fd: RawFd,
        mask: u32,
        data: u64,
        at: &'static Location<'static>,
    ) -> io::Result<()> {
        let epfd = self.epfd;
        op::changing(
            move || Changing {
                op,
                epfd,
                fd,
                mask,
                data,
                at,
            },
            || {
                let mut event = libc::epoll_event {
                    events: mask,
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

    /// Lets another crate's source make its own epoll_ctl(2), and records it.
    pub(super) fn foreign(
        &self,
        op: Ctl,
        fd: RawFd,
        token: Token,
        interests: Option<Interest>,
        at: &'static Location<'static>,
        call: impl FnOnce(&::mio::Registry) -> io::Result<()>,
    ) -> io::Result<()> {
        let mask = interests.map_or(0, mask);
        let changing = move || Changing {
            op,
            epfd: self.epfd,
            fd,
            mask,
            data: token.0 as u64,
            at,
        };
        op::changing(changing, || call(self.mio()))
    }

    /// In debug builds mio allows one waker a description.
    pub(super) fn note_waker(&self) {
        assert!(
            // AcqRel as in mio: the flag guards nothing but itself.
            !cfg!(debug_assertions) || !self.shared.has_waker.swap(true, Ordering::AcqRel),
            "Only a single `Waker` can be active per `Poll` instance"
        );
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let inner = &mut self.inner;
        op::closing(self.epfd, || {
            // SAFETY: `drop` runs once and nothing touches the value after it.
            unsafe { ManuallyDrop::drop(inner) };
            0
        });
    }
}

impl AsFd for Registry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mio().as_fd()
    }
}

impl AsRawFd for Registry {
    fn as_raw_fd(&self) -> RawFd {
        self.epfd
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish()
    }
}
