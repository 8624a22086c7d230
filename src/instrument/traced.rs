//! A standard library descriptor whose reads, writes, accepts and end are recorded. Step: **event** → ring.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::Location;

use super::address;
use super::op::{self, Calling};
use super::whole;
use crate::record::event::{FdKind, Op};

/// Wraps a [`TcpStream`], [`UnixStream`], [`File`](std::fs::File), pipe end or any other type that owns a descriptor:
/// `Read`, `Write` and `accept` through it are recorded with their results, and dropping it records the close.
///
/// Everything else is reached through `Deref` and is not recorded.
///
/// ```
/// use loopscope::io::Traced;
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// # fn main() -> std::io::Result<()> {
/// let (a, b) = UnixStream::pair()?;
/// let (mut a, mut b) = (Traced::new(a), Traced::new(b));
/// a.write_all(b"four")?;
/// let mut buffer = [0; 64];
/// assert_eq!(b.read(&mut buffer)?, 4);
/// b.set_nonblocking(true)?; // the UnixStream's own
/// # Ok(())
/// # }
/// ```
pub struct Traced<T: AsRawFd> {
    inner: ManuallyDrop<T>,
}

impl<T: AsRawFd> Traced<T> {
    /// Wraps a descriptor that exists already; its kind and addresses are recorded.
    pub fn new(inner: T) -> Self {
        if crate::instrument::is_on() {
            let fd = inner.as_raw_fd();
            op::adopted(address::kind_of(fd), fd);
        }
        Traced {
            inner: ManuallyDrop::new(inner),
        }
    }

    /// Gives the wrapped value back; its end is no longer recorded.
    pub fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never used or dropped after this.
        unsafe { ManuallyDrop::take(&mut this.inner) }
    }

    #[inline(always)]
    fn moved(
        &self,
        op: Op,
        asked: usize,
        at: &'static Location<'static>,
        call: impl FnOnce(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        op::bytes(
            move || Calling {
                op,
                fd: self.inner.as_raw_fd(),
                asked,
                at,
            },
            move || call(&self.inner),
        )
    }

    fn accepted<S: AsRawFd, A>(
        &self,
        kind: FdKind,
        at: &'static Location<'static>,
        accept: impl FnOnce(&T) -> io::Result<(S, A)>,
    ) -> io::Result<(Traced<S>, A)> {
        let listener = self.inner.as_raw_fd();
        let (stream, address) = op::result(
            move || Calling {
                op: Op::Accept,
                fd: listener,
                asked: 0,
                at,
            },
            || accept(&self.inner),
            |(stream, _)| stream.as_raw_fd().into(),
        )?;
        Ok((Self::made_from(kind, listener, stream, at), address))
    }

    /// What accept4(2) has made, as the standard library calls it: close-on-exec, blocking.
    pub(super) fn made_from<S: AsRawFd>(
        kind: FdKind,
        listener: RawFd,
        stream: S,
        at: &'static Location<'static>,
    ) -> Traced<S> {
        let known = op::CLOEXEC | op::BOTH_KNOWN;
        op::opened(kind, stream.as_raw_fd(), listener, known, at);
        Traced {
            inner: ManuallyDrop::new(stream),
        }
    }
}

impl Traced<TcpListener> {
    /// Accepts a connection, as [`TcpListener::accept`].
    ///
    /// # Errors
    ///
    /// As accept(2).
    #[track_caller]
    pub fn accept(&self) -> io::Result<(Traced<TcpStream>, SocketAddr)> {
        self.accepted(FdKind::Tcp, Location::caller(), TcpListener::accept)
    }
}

impl Traced<UnixListener> {
    /// Accepts a connection, as [`UnixListener::accept`].
    ///
    /// # Errors
    ///
    /// As accept(2).
    #[track_caller]
    pub fn accept(&self) -> io::Result<(Traced<UnixStream>, std::os::unix::net::SocketAddr)> {
        self.accepted(FdKind::Unix, Location::caller(), UnixListener::accept)
    }
}

impl<T: AsRawFd> Read for Traced<T>
where
    for<'a> &'a T: Read,
{
    #[inline]
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    #[inline]
    #[track_caller]
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buffer)
    }

    #[inline]
    #[track_caller]
    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(parts)
    }
}

impl<T: AsRawFd> Read for &Traced<T>
where
    for<'a> &'a T: Read,
{
    #[inline]
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.moved(Op::Read, buffer.len(), Location::caller(), |mut inner| {
            inner.read(buffer)
        })
    }

    #[inline]
    #[track_caller]
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let at = Location::caller();
        whole::read(buffer, move |rest| {
            self.moved(Op::Read, rest.len(), at, move |mut inner| inner.read(rest))
        })
    }

    #[inline]
    #[track_caller]
    fn read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let asked = parts.iter().map(|part| part.len()).sum();
        self.moved(Op::Read, asked, Location::caller(), |mut inner| {
            inner.read_vectored(parts)
        })
    }
}

impl<T: AsRawFd> Write for Traced<T>
where
    for<'a> &'a T: Write,
{
    #[inline]
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    #[inline]
    #[track_caller]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self).write_all(bytes)
    }

    #[inline]
    #[track_caller]
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.inner).flush()
    }
}

impl<T: AsRawFd> Write for &Traced<T>
where
    for<'a> &'a T: Write,
{
    #[inline]
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.moved(Op::Write, bytes.len(), Location::caller(), |mut inner| {
            inner.write(bytes)
        })
    }

    #[inline]
    #[track_caller]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let at = Location::caller();
        whole::write(bytes, move |rest| {
            self.moved(Op::Write, rest.len(), at, move |mut inner| {
                inner.write(rest)
            })
        })
    }

    #[inline]
    #[track_caller]
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let asked = parts.iter().map(|part| part.len()).sum();
        self.moved(Op::Write, asked, Location::caller(), |mut inner| {
            inner.write_vectored(parts)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.inner).flush()
    }
}

impl<T: AsRawFd> Deref for Traced<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: AsRawFd> DerefMut for Traced<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: AsRawFd> Drop for Traced<T> {
    #[inline]
    fn drop(&mut self) {
        let inner = &mut self.inner;
        op::closing(inner.as_raw_fd(), || {
            // SAFETY: `drop` runs once and nothing touches the value after it.
            unsafe { ManuallyDrop::drop(inner) };
            // The owner does not tell what close(2) returned; on Linux the number is free whatever it was.
            0
        });
    }
}

impl<T: AsRawFd> AsRawFd for Traced<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl<T: AsRawFd + AsFd> AsFd for Traced<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T: AsRawFd + IntoRawFd> IntoRawFd for Traced<T> {
    fn into_raw_fd(self) -> RawFd {
        self.into_inner().into_raw_fd()
    }
}

impl<T: AsRawFd + Into<OwnedFd>> From<Traced<T>> for OwnedFd {
    fn from(traced: Traced<T>) -> OwnedFd {
        traced.into_inner().into()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for Traced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
