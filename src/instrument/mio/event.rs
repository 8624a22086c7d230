//! Readiness events, the batch they come in, and what can be registered for them.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::panic::Location;

use super::{Interest, Registry, Token};
use crate::instrument::batch::{Batch, Walk};
use crate::record::event::Ctl;

/// A readiness event, with the methods of [`mio::event::Event`].
#[derive(Clone)]
#[repr(transparent)]
pub struct Event(libc::epoll_event);

impl Event {
    /// The token of the registration.
    pub fn token(&self) -> Token {
        Token(self.0.u64 as usize)
    }

    /// Something can be read: EPOLLIN or EPOLLPRI.
    pub fn is_readable(&self) -> bool {
        self.any(libc::EPOLLIN | libc::EPOLLPRI)
    }

    /// Something can be written: EPOLLOUT.
    pub fn is_writable(&self) -> bool {
        self.any(libc::EPOLLOUT)
    }

    /// EPOLLERR.
    pub fn is_error(&self) -> bool {
        self.any(libc::EPOLLERR)
    }

    /// Nothing more will come to read: EPOLLHUP, or EPOLLIN with EPOLLRDHUP.
    pub fn is_read_closed(&self) -> bool {
        self.any(libc::EPOLLHUP) || self.all(libc::EPOLLIN | libc::EPOLLRDHUP)
    }

    /// Nothing more can be written: EPOLLHUP, EPOLLOUT with EPOLLERR, or EPOLLERR alone.
    pub fn is_write_closed(&self) -> bool {
        self.any(libc::EPOLLHUP)
            || self.all(libc::EPOLLOUT | libc::EPOLLERR)
            || self.0.events == libc::EPOLLERR as u32
    }

    /// EPOLLPRI.
    #[inline]
    pub fn is_priority(&self) -> bool {
        self.any(libc::EPOLLPRI)
    }

    /// Never true on Linux.
    pub fn is_aio(&self) -> bool {
        false
    }

    /// Never true on Linux.
    pub fn is_lio(&self) -> bool {
        false
    }

    fn any(&self, bits: libc::c_int) -> bool {
        self.0.events & bits as u32 != 0
    }

    fn all(&self, bits: libc::c_int) -> bool {
        self.0.events & bits as u32 == bits as u32
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternate = f.alternate();
        let mut fields = f.debug_struct("Event");
        fields
            .field("token", &self.token())
            .field("readable", &self.is_readable())
            .field("writable", &self.is_writable())
            .field("error", &self.is_error())
            .field("read_closed", &self.is_read_closed())
            .field("write_closed", &self.is_write_closed())
            .field("priority", &self.is_priority())
            .field("aio", &self.is_aio())
            .field("lio", &self.is_lio());
        if alternate {
            fields.field("details", &crate::epoll::Interest::from_bits(self.0.events));
        }
        fields.finish()
    }
}

/// Room for a ready batch; the capacity is the wait's maxevents.
///
/// ```
/// let events = loopscope::mio::Events::with_capacity(128);
/// assert!(events.is_empty());
/// ```
pub struct Events(pub(super) Batch);

impl Events {
    /// Room for this many events; a wait with room for none fails with EINVAL.
    pub fn with_capacity(capacity: usize) -> Events {
        Events(Batch::with_capacity(capacity))
    }

    /// maxevents.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Whether the last wait returned no event.
    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
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

    /// The last batch without marks; not mio's. For a program that hands the events on, or serves them in another
    /// order and says so with [`crate::dispatch`].
    #[inline]
    pub fn unmarked(&self) -> std::slice::Iter<'_, Event> {
        let events = self.0.as_slice();
        // SAFETY: `Event` is a transparent wrapper of what the slice holds.
        unsafe { std::slice::from_raw_parts(events.as_ptr().cast::<Event>(), events.len()) }.iter()
    }

    /// Forgets the last batch.
    pub fn clear(&mut self) {
        self.0.clear();
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

/// Walks a ready batch; each step is a handler's end and the next one's start. A clone only looks: it marks nothing.
#[derive(Debug)]
pub struct Iter<'a> {
    rest: std::slice::Iter<'a, Event>,
    batch: &'a Batch,
    at: Option<&'static Location<'static>>,
    walk: Walk,
}

impl Clone for Iter<'_> {
    fn clone(&self) -> Self {
        Iter {
            rest: self.rest.clone(),
            batch: self.batch,
            at: None,
            walk: Walk::new(),
        }
    }
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

    fn count(self) -> usize {
        self.rest.len()
    }
}

/// What can be registered with a [`Registry`]; [`mio::event::Source`] with this crate's registry.
///
/// A program's own type hands the calls on to what it holds:
///
/// ```
/// use loopscope::mio::net::TcpStream;
/// use loopscope::mio::{event::Source, Interest, Registry, Token};
/// use std::io;
///
/// struct Connection {
///     stream: TcpStream,
/// }
///
/// impl Source for Connection {
///     fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
///         self.stream.register(registry, token, interests)
///     }
///     fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
///         self.stream.reregister(registry, token, interests)
///     }
///     fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
///         self.stream.deregister(registry)
///     }
/// }
/// ```
pub trait Source {
    /// Registers this with a registry; call [`Registry::register`] instead.
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2).
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()>;

    /// Changes its token and interest; call [`Registry::reregister`] instead.
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2).
    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()>;

    /// Ends its registration; call [`Registry::deregister`] instead.
    ///
    /// # Errors
    ///
    /// As epoll_ctl(2).
    fn deregister(&mut self, registry: &Registry) -> io::Result<()>;
}

/// Another crate's source. It is taken to make one epoll_ctl(2) on its own descriptor, as all of mio's do.
impl<T: ::mio::event::Source + AsRawFd + ?Sized> Source for T {
    #[track_caller]
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        let fd = self.as_raw_fd();
        registry.foreign(
            Ctl::Add,
            fd,
            token,
            Some(interests),
            Location::caller(),
            |mio| ::mio::event::Source::register(self, mio, token, interests),
        )
    }

    #[track_caller]
    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        let fd = self.as_raw_fd();
        registry.foreign(
            Ctl::Mod,
            fd,
            token,
            Some(interests),
            Location::caller(),
            |mio| ::mio::event::Source::reregister(self, mio, token, interests),
        )
    }

    #[track_caller]
    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        let fd = self.as_raw_fd();
        registry.foreign(Ctl::Del, fd, Token(0), None, Location::caller(), |mio| {
            ::mio::event::Source::deregister(self, mio)
        })
    }
}

macro_rules! boxed {
    ($($object:ty),*) => {
        $(impl Source for Box<$object> {
            #[track_caller]
            fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
                (**self).register(registry, token, interests)
            }

            #[track_caller]
            fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
                (**self).reregister(registry, token, interests)
            }

            #[track_caller]
            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                (**self).deregister(registry)
            }
        })*
    };
}
boxed!(
    dyn Source + '_,
    dyn Source + Send + '_,
    dyn Source + Send + Sync + '_
);
