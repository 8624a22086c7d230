//! Reads, writes and accepts on plain descriptors, recorded; [`Traced`] does it for the standard library's types.
//! Step: **event** → ring.
//!
//! Results are the call's own: an error has the errno the kernel gave. Where the calls of a program are not among
//! these, [`op`] records any other.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::Location;

use super::op::{self, Calling};

pub use super::traced::Traced;
pub use crate::record::event::{FdKind, Op};

/// A result of libc's: −1 is errno.
fn check(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// read(2).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let (receiver, _sender) = std::os::unix::net::UnixStream::pair()?;
/// receiver.set_nonblocking(true)?;
/// let mut buffer = [0; 64];
/// let nothing = loopscope::io::read(&receiver, &mut buffer);
/// assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As read(2).
#[inline]
#[track_caller]
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (at, raw, asked) = (Location::caller(), fd.as_fd().as_raw_fd(), buffer.len());
    op::bytes(
        move || Calling {
            op: Op::Read,
            fd: raw,
            asked,
            at,
        },
        || {
            // SAFETY: the buffer is live and `asked` bytes long.
            check(unsafe { libc::read(raw, buffer.as_mut_ptr().cast(), asked) })
        },
    )
}

/// write(2).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let (_receiver, sender) = std::os::unix::net::UnixStream::pair()?;
/// assert_eq!(loopscope::io::write(&sender, b"four")?, 4);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As write(2).
#[inline]
#[track_caller]
pub fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let (at, raw, asked) = (Location::caller(), fd.as_fd().as_raw_fd(), bytes.len());
    op::bytes(
        move || Calling {
            op: Op::Write,
            fd: raw,
            asked,
            at,
        },
        || {
            // SAFETY: the bytes are live and `asked` long.
            check(unsafe { libc::write(raw, bytes.as_ptr().cast(), asked) })
        },
    )
}

/// recv(2); `flags` are its own, such as `libc::MSG_DONTWAIT`.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let (receiver, sender) = std::os::unix::net::UnixStream::pair()?;
/// loopscope::io::send(&sender, b"four", 0)?;
/// let mut buffer = [0; 64];
/// assert_eq!(loopscope::io::recv(&receiver, &mut buffer, 0)?, 4);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As recv(2).
#[inline]
#[track_caller]
pub fn recv(fd: impl AsFd, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
    let (at, raw, asked) = (Location::caller(), fd.as_fd().as_raw_fd(), buffer.len());
    let op = if flags & libc::MSG_PEEK == 0 {
        Op::Recv
    } else {
        Op::Peek
    };
    op::bytes(
        move || Calling {
            op,
            fd: raw,
            asked,
            at,
        },
        || {
            // SAFETY: the buffer is live and `asked` bytes long.
            check(unsafe { libc::recv(raw, buffer.as_mut_ptr().cast(), asked, flags) })
        },
    )
}

/// send(2) with `MSG_NOSIGNAL` added to `flags`: a peer that is gone is an error, not a signal.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let (_receiver, sender) = std::os::unix::net::UnixStream::pair()?;
/// assert_eq!(loopscope::io::send(&sender, b"four", 0)?, 4);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As send(2).
#[inline]
#[track_caller]
pub fn send(fd: impl AsFd, bytes: &[u8], flags: i32) -> io::Result<usize> {
    let (at, raw, asked) = (Location::caller(), fd.as_fd().as_raw_fd(), bytes.len());
    op::bytes(
        move || Calling {
            op: Op::Send,
            fd: raw,
            asked,
            at,
        },
        || {
            // SAFETY: the bytes are live and `asked` long.
            check(unsafe {
                libc::send(
                    raw,
                    bytes.as_ptr().cast(),
                    asked,
                    flags | libc::MSG_NOSIGNAL,
                )
            })
        },
    )
}

/// accept4(2): the connection is close-on-exec, and non-blocking if `nonblocking`.
///
/// ```
/// use loopscope::io;
/// # fn main() -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
/// let connection = io::accept(&listener, true)?;
/// io::close(connection)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As accept(2).
#[inline]
#[track_caller]
pub fn accept(listener: impl AsFd, nonblocking: bool) -> io::Result<OwnedFd> {
    let (at, raw) = (Location::caller(), listener.as_fd().as_raw_fd());
    let (mut flags, mut known) = (libc::SOCK_CLOEXEC, op::CLOEXEC | op::BOTH_KNOWN);
    if nonblocking {
        flags |= libc::SOCK_NONBLOCK;
        known |= op::NONBLOCKING;
    }
    let accepted = op::result(
        move || Calling {
            op: Op::Accept,
            fd: raw,
            asked: 0,
            at,
        },
        || {
            // SAFETY: no address is asked for.
            let fd =
                unsafe { libc::accept4(raw, std::ptr::null_mut(), std::ptr::null_mut(), flags) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: a descriptor the kernel has just made for us.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        },
        |fd| fd.as_raw_fd().into(),
    )?;
    if crate::instrument::is_on() {
        let fd = accepted.as_raw_fd();
        op::opened(super::address::kind_of(fd), fd, raw, known, at);
    }
    Ok(accepted)
}

/// close(2). A descriptor that is merely dropped is closed unseen.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let (a, _b) = std::os::unix::net::UnixStream::pair()?;
/// loopscope::io::close(a)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As close(2); the descriptor is gone in any case.
pub fn close(fd: impl Into<OwnedFd>) -> io::Result<()> {
    let raw = fd.into().into_raw_fd();
    let mut result = Ok(());
    op::closing(raw, || {
        // SAFETY: the caller gave us the descriptor; nobody else owns it.
        if unsafe { libc::close(raw) } == 0 {
            return 0;
        }
        let error = io::Error::last_os_error();
        let code = -error.raw_os_error().unwrap_or(libc::EIO);
        result = Err(error);
        code
    });
    result
}

/// A duplicate, close-on-exec (`F_DUPFD_CLOEXEC` of fcntl(2)).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let (a, _b) = std::os::unix::net::UnixStream::pair()?;
/// let also_a = loopscope::io::dup(&a)?;
/// loopscope::io::close(also_a)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As fcntl(2).
pub fn dup(fd: impl AsFd) -> io::Result<OwnedFd> {
    let fd = fd.as_fd();
    op::duplicating(
        fd.as_raw_fd(),
        || fd.try_clone_to_owned(),
        |copy| copy.as_raw_fd(),
    )
}

/// Any other call on a descriptor that returns a number of bytes: `call` makes it, `op` is the nearest name for it,
/// `asked` the bytes asked for.
///
/// ```
/// use loopscope::io::{self, Op};
/// use std::os::unix::net::UnixDatagram;
/// # fn main() -> std::io::Result<()> {
/// let (a, _b) = UnixDatagram::pair()?;
/// io::op(&a, Op::Send, 4, || a.send(b"four"))?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// What `call` returns.
#[inline]
#[track_caller]
pub fn op(
    fd: impl AsFd,
    op: Op,
    asked: usize,
    call: impl FnOnce() -> io::Result<usize>,
) -> io::Result<usize> {
    let (at, raw) = (Location::caller(), fd.as_fd().as_raw_fd());
    op::bytes(
        move || Calling {
            op,
            fd: raw,
            asked,
            at,
        },
        call,
    )
}

/// Says that a descriptor made by other means came into being: its kind and addresses, asked of the kernel.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// loopscope::io::opened(&listener);
/// # Ok(())
/// # }
/// ```
#[inline]
#[track_caller]
pub fn opened(fd: impl AsFd) {
    if crate::instrument::is_on() {
        let raw = fd.as_fd().as_raw_fd();
        op::opened(
            super::address::kind_of(raw),
            raw,
            -1,
            op::flags_of(raw),
            Location::caller(),
        );
    }
}
