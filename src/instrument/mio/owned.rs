//! The part every socket and pipe of the mirror shares: mio's own type inside, its registration checked as mio does,
//! its calls and its close recorded.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Interest, Registry, Token};
use crate::instrument::op::{self, Calling};
use crate::record::event::{FdKind, Op};

/// A value that owns a descriptor.
pub(super) struct Owned<T: AsRawFd> {
    inner: ManuallyDrop<T>,
    /// The loop it is registered with, 0 none. mio checks this in debug builds, before it asks the kernel; checked
    /// here instead, so that no epoll_ctl(2) is recorded that was never made.
    #[cfg(debug_assertions)]
    registered: AtomicUsize,
}

impl<T: AsRawFd> Owned<T> {
    fn of(inner: T) -> Self {
        Owned {
            inner: ManuallyDrop::new(inner),
            #[cfg(debug_assertions)]
            registered: AtomicUsize::new(0),
        }
    }

    /// Wraps a descriptor that mio has just made; `from` is what it was made from, −1 nothing.
    #[inline]
    pub(super) fn made(
        inner: T,
        kind: FdKind,
        from: RawFd,
        at: &'static Location<'static>,
    ) -> Self {
        op::opened(kind, inner.as_raw_fd(), from, op::MIO_FLAGS, at);
        Owned::of(inner)
    }

    /// Wraps a descriptor that the program brought.
    pub(super) fn adopted(inner: T, kind: FdKind) -> Self {
        op::adopted(kind, inner.as_raw_fd());
        Owned::of(inner)
    }

    /// Gives mio's value back; its end is no longer recorded.
    pub(super) fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never used or dropped after this.
        unsafe { ManuallyDrop::take(&mut this.inner) }
    }

    #[inline(always)]
    pub(super) fn get(&self) -> &T {
        &self.inner
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    #[inline(always)]
    pub(super) fn fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }

    /// A call that moves bytes.
    #[inline(always)]
    pub(super) fn bytes(
        &self,
        op: Op,
        asked: usize,
        at: &'static Location<'static>,
        call: impl FnOnce(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        op::bytes(
            move || Calling {
                op,
                fd: self.fd(),
                asked,
                at,
            },
            move || call(&self.inner),
        )
    }

    /// Any other call; `value` is what the event holds of a success.
    #[inline(always)]
    pub(super) fn call<R>(
        &self,
        op: Op,
        asked: usize,
        at: &'static Location<'static>,
        call: impl FnOnce(&T) -> io::Result<R>,
        value: impl FnOnce(&R) -> i64,
    ) -> io::Result<R> {
        op::result(
            move || Calling {
                op,
                fd: self.fd(),
                asked,
                at,
            },
            move || call(&self.inner),
            value,
        )
    }

    /// getsockopt(SO_ERROR), of which the answer is the interesting part.
    pub(super) fn error(
        &self,
        at: &'static Location<'static>,
        call: impl FnOnce(&T) -> io::Result<Option<io::Error>>,
    ) -> io::Result<Option<io::Error>> {
        self.call(Op::SoError, 0, at, call, |pending| {
            pending
                .as_ref()
                .and_then(io::Error::raw_os_error)
                .map_or(0, |errno| -i64::from(errno))
        })
    }

    pub(super) fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
        at: &'static Location<'static>,
    ) -> io::Result<()> {
        #[cfg(debug_assertions)]
        if self.registered.swap(registry.id(), Ordering::AcqRel) != 0 {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "I/O source already registered with a `Registry`",
            ));
        }
        registry.add(self.fd(), token, interests, at)
    }

    pub(super) fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
        at: &'static Location<'static>,
    ) -> io::Result<()> {
        #[cfg(debug_assertions)]
        match self.registered.load(Ordering::Acquire) {
            id if id == registry.id() => {}
            0 => return Err(not_registered()),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "I/O source already registered with a different `Registry`",
                ));
            }
        }
        registry.modify(self.fd(), token, interests, at)
    }

    pub(super) fn deregister(
        &mut self,
        registry: &Registry,
        at: &'static Location<'static>,
    ) -> io::Result<()> {
        #[cfg(debug_assertions)]
        if self.registered.swap(0, Ordering::AcqRel) != registry.id() {
            return Err(not_registered());
        }
        registry.delete(self.fd(), at)
    }
}

#[cfg(debug_assertions)]
fn not_registered() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        "I/O source not registered with `Registry`",
    )
}

impl<T: AsRawFd> Drop for Owned<T> {
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

/// What every wrapper has: registration, Debug, and all the conversions of its descriptor.
macro_rules! descriptor {
    ($name:ident, $kind:expr $(, $std:ty)?) => {
        impl $crate::mio::event::Source for $name {
            #[track_caller]
            fn register(
                &mut self,
                registry: &$crate::mio::Registry,
                token: $crate::mio::Token,
                interests: $crate::mio::Interest,
            ) -> ::std::io::Result<()> {
                self.inner.register(registry, token, interests, ::std::panic::Location::caller())
            }

            #[track_caller]
            fn reregister(
                &mut self,
                registry: &$crate::mio::Registry,
                token: $crate::mio::Token,
                interests: $crate::mio::Interest,
            ) -> ::std::io::Result<()> {
                self.inner.reregister(registry, token, interests, ::std::panic::Location::caller())
            }

            #[track_caller]
            fn deregister(&mut self, registry: &$crate::mio::Registry) -> ::std::io::Result<()> {
                self.inner.deregister(registry, ::std::panic::Location::caller())
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.inner.get().fmt(f)
            }
        }

        impl ::std::os::fd::IntoRawFd for $name {
            fn into_raw_fd(self) -> ::std::os::fd::RawFd {
                self.inner.into_inner().into_raw_fd()
            }
        }

        impl ::std::os::fd::AsRawFd for $name {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd {
                self.inner.fd()
            }
        }

        impl ::std::os::fd::AsFd for $name {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> {
                self.inner.get().as_fd()
            }
        }

        impl ::std::os::fd::FromRawFd for $name {
            unsafe fn from_raw_fd(fd: ::std::os::fd::RawFd) -> $name {
                // SAFETY: the caller's promise, handed on.
                let inner = unsafe { ::std::os::fd::FromRawFd::from_raw_fd(fd) };
                $name { inner: $crate::instrument::mio::owned::Owned::adopted(inner, $kind) }
            }
        }

        impl From<$name> for ::std::os::fd::OwnedFd {
            fn from(value: $name) -> ::std::os::fd::OwnedFd {
                value.inner.into_inner().into()
            }
        }

        impl From<::std::os::fd::OwnedFd> for $name {
            fn from(fd: ::std::os::fd::OwnedFd) -> $name {
                $name { inner: $crate::instrument::mio::owned::Owned::adopted(fd.into(), $kind) }
            }
        }

        $(impl From<$name> for $std {
            fn from(value: $name) -> $std {
                value.inner.into_inner().into()
            }
        })?
    };
}

/// `Read` by value and by reference, with the system calls the standard library makes for this type.
macro_rules! readable {
    ($name:ident, $one:ident) => {
        $crate::instrument::mio::owned::readable!(@ $name, $name, $one, get_mut);
        $crate::instrument::mio::owned::readable!(@ $name, &$name, $one, get);
    };
    (@ $name:ident, $type:ty, $one:ident, $get:ident) => {
        impl ::std::io::Read for $type {
            #[inline]
            #[track_caller]
            fn read(&mut self, buffer: &mut [u8]) -> ::std::io::Result<usize> {
                if !$crate::is_on() {
                    return self.inner.$get().read(buffer);
                }
                let (at, op) = (::std::panic::Location::caller(), $crate::record::event::Op::$one);
                self.inner.bytes(op, buffer.len(), at, move |mut inner| inner.read(buffer))
            }

            #[inline]
            #[track_caller]
            fn read_exact(&mut self, buffer: &mut [u8]) -> ::std::io::Result<()> {
                if !$crate::is_on() {
                    return self.inner.$get().read_exact(buffer);
                }
                let at = ::std::panic::Location::caller();
                let op = $crate::record::event::Op::$one;
                $crate::instrument::whole::read(buffer, move |rest| {
                    self.inner.bytes(op, rest.len(), at, move |mut inner| inner.read(rest))
                })
            }

            #[inline]
            #[track_caller]
            fn read_vectored(
                &mut self,
                parts: &mut [::std::io::IoSliceMut<'_>],
            ) -> ::std::io::Result<usize> {
                let (at, op) = (::std::panic::Location::caller(), $crate::record::event::Op::Read);
                let asked = parts.iter().map(|p| p.len()).sum();
                self.inner.bytes(op, asked, at, move |mut inner| inner.read_vectored(parts))
            }
        }
    };
}

/// The same for `Write`.
macro_rules! writable {
    ($name:ident, $one:ident) => {
        $crate::instrument::mio::owned::writable!(@ $name, $name, $one, get_mut);
        $crate::instrument::mio::owned::writable!(@ $name, &$name, $one, get);
    };
    (@ $name:ident, $type:ty, $one:ident, $get:ident) => {
        impl ::std::io::Write for $type {
            #[inline]
            #[track_caller]
            fn write(&mut self, bytes: &[u8]) -> ::std::io::Result<usize> {
                if !$crate::is_on() {
                    return self.inner.$get().write(bytes);
                }
                let (at, op) = (::std::panic::Location::caller(), $crate::record::event::Op::$one);
                self.inner.bytes(op, bytes.len(), at, move |mut inner| inner.write(bytes))
            }

            #[inline]
            #[track_caller]
            fn write_all(&mut self, bytes: &[u8]) -> ::std::io::Result<()> {
                if !$crate::is_on() {
                    return self.inner.$get().write_all(bytes);
                }
                let at = ::std::panic::Location::caller();
                let op = $crate::record::event::Op::$one;
                $crate::instrument::whole::write(bytes, move |rest| {
                    self.inner.bytes(op, rest.len(), at, move |mut inner| inner.write(rest))
                })
            }

            #[inline]
            #[track_caller]
            fn write_vectored(
                &mut self,
                parts: &[::std::io::IoSlice<'_>],
            ) -> ::std::io::Result<usize> {
                let (at, op) = (::std::panic::Location::caller(), $crate::record::event::Op::Write);
                let asked = parts.iter().map(|p| p.len()).sum();
                self.inner.bytes(op, asked, at, move |mut inner| inner.write_vectored(parts))
            }

            #[inline]
            fn flush(&mut self) -> ::std::io::Result<()> {
                self.inner.get().flush()
            }
        }
    };
}

/// `try_io`, of whose call only the result is known.
macro_rules! try_io {
    () => {
        /// Makes a system call of the program's own on this descriptor. Recorded is whether it succeeded, and the
        /// error if it did not; its bytes are not known.
        ///
        /// # Errors
        ///
        /// What the call returns.
        #[inline]
        #[track_caller]
        pub fn try_io<F, T>(&self, f: F) -> ::std::io::Result<T>
        where
            F: FnOnce() -> ::std::io::Result<T>,
        {
            let (at, op) = (
                ::std::panic::Location::caller(),
                $crate::record::event::Op::TryIo,
            );
            self.inner
                .call(op, 0, at, move |inner| inner.try_io(f), |_| 0)
        }
    };
}

/// The error a socket has pending.
macro_rules! take_error {
    () => {
        /// Takes the pending error, SO_ERROR.
        ///
        /// # Errors
        ///
        /// As getsockopt(2).
        #[track_caller]
        pub fn take_error(&self) -> ::std::io::Result<Option<::std::io::Error>> {
            let at = ::std::panic::Location::caller();
            self.inner.error(at, move |inner| inner.take_error())
        }
    };
}

/// The end of one direction of a connection, or of both.
macro_rules! shutdown {
    () => {
        /// Shuts one or both halves down.
        ///
        /// # Errors
        ///
        /// As shutdown(2).
        #[track_caller]
        pub fn shutdown(&self, how: ::std::net::Shutdown) -> ::std::io::Result<()> {
            let (at, op) = (
                ::std::panic::Location::caller(),
                $crate::record::event::Op::Shutdown,
            );
            self.inner
                .call(op, 0, at, move |inner| inner.shutdown(how), |()| 0)
        }
    };
}

pub(super) use {descriptor, readable, shutdown, take_error, try_io, writable};
