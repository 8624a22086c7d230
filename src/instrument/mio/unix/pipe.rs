//! Pipes: mio's, reporting bytes, EAGAIN, end of file and close.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::panic::Location;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::instrument::mio::owned::{Owned, descriptor, readable, try_io, writable};
use crate::record::event::FdKind;

/// A new non-blocking pipe: what is written to the sender comes out of the receiver.
///
/// ```
/// use loopscope::mio::unix::pipe;
/// use std::io::{Read, Write};
/// # fn main() -> std::io::Result<()> {
/// let (mut sender, mut receiver) = pipe::new()?;
/// sender.write_all(b"hello")?;
/// let mut buffer = [0; 16];
/// assert_eq!(receiver.read(&mut buffer)?, 5);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As pipe2(2).
#[track_caller]
pub fn new() -> io::Result<(Sender, Receiver)> {
    let at = Location::caller();
    let (sender, receiver) = ::mio::unix::pipe::new()?;
    let from = receiver.as_raw_fd();
    let receiver = Receiver {
        inner: Owned::made(receiver, FdKind::Pipe, -1, at),
    };
    Ok((
        Sender {
            inner: Owned::made(sender, FdKind::Pipe, from, at),
        },
        receiver,
    ))
}

/// The writing end of a pipe, with the methods of [`mio::unix::pipe::Sender`]; see [`new`].
pub struct Sender {
    inner: Owned<::mio::unix::pipe::Sender>,
}

impl Sender {
    /// Makes it non-blocking, or blocking.
    ///
    /// # Errors
    ///
    /// As ioctl(2) FIONBIO.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.get().set_nonblocking(nonblocking)
    }

    try_io!();
}

writable!(Sender, Write);
descriptor!(Sender, FdKind::Pipe);

impl From<ChildStdin> for Sender {
    fn from(stdin: ChildStdin) -> Sender {
        // SAFETY: the child's handle gives its descriptor up.
        unsafe { Sender::from_raw_fd(stdin.into_raw_fd()) }
    }
}

/// The reading end of a pipe, with the methods of [`mio::unix::pipe::Receiver`]; see [`new`].
pub struct Receiver {
    inner: Owned<::mio::unix::pipe::Receiver>,
}

impl Receiver {
    /// Makes it non-blocking, or blocking.
    ///
    /// # Errors
    ///
    /// As ioctl(2) FIONBIO.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.inner.get().set_nonblocking(nonblocking)
    }

    try_io!();
}

readable!(Receiver, Read);
descriptor!(Receiver, FdKind::Pipe);

impl From<ChildStdout> for Receiver {
    fn from(stdout: ChildStdout) -> Receiver {
        // SAFETY: the child's handle gives its descriptor up.
        unsafe { Receiver::from_raw_fd(stdout.into_raw_fd()) }
    }
}

impl From<ChildStderr> for Receiver {
    fn from(stderr: ChildStderr) -> Receiver {
        // SAFETY: the child's handle gives its descriptor up.
        unsafe { Receiver::from_raw_fd(stderr.into_raw_fd()) }
    }
}
