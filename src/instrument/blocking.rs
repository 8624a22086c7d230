//! Calls that are the wait themselves: a thread that sleeps in a read or an accept. Step: **event** → ring.
//!
//! Such a thread is an event loop with an interest list of one: it asks for one descriptor, is told of it by the call's
//! return, and what it does until its next wait is the handler run. All threads of a process that wait like this make
//! one loop, so that they stand beside each other on the screen.
//!
//! ```
//! use loopscope::{blocking, io::Traced};
//! use std::{io::Write, os::unix::net::UnixStream};
//!
//! # fn main() -> std::io::Result<()> {
//! let (receiver, mut sender) = UnixStream::pair()?;
//! let receiver = Traced::new(receiver);
//! sender.write_all(b"four")?;
//! let mut buffer = [0; 64];
//! assert_eq!(blocking::read(&receiver, &mut buffer)?, 4);
//! # Ok(())
//! # }
//! ```

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::Location;

use super::asking::{self, Asking};
use super::interest::Interest;
use super::op::{self, Calling};
use super::state;
use super::traced::Traced;
use crate::record::event::{FdKind, Op, Wait};

/// read(2), in which the thread sleeps until there is something.
///
/// # Errors
///
/// As read(2).
#[track_caller]
pub fn read(fd: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    reading(fd.as_fd().as_raw_fd(), buffer, None, Location::caller())
}

/// read(2) of a non-blocking descriptor: a look that finds something or nothing, and never sleeps.
///
/// # Errors
///
/// As read(2): EAGAIN when there is nothing.
#[track_caller]
pub fn look(fd: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    reading(fd.as_fd().as_raw_fd(), buffer, Some(0), Location::caller())
}

fn reading(
    raw: RawFd,
    buffer: &mut [u8],
    timeout_ns: Option<u64>,
    at: &'static Location<'static>,
) -> io::Result<usize> {
    let calling = Calling {
        op: Op::Read,
        fd: raw,
        asked: buffer.len(),
        at,
    };
    let asked = buffer.len();
    sleeping(
        Wait::Read,
        timeout_ns,
        &calling,
        || {
            // SAFETY: the buffer is live and `asked` bytes long.
            let n = unsafe { libc::read(raw, buffer.as_mut_ptr().cast(), asked) };
            usize::try_from(n).map_err(|_| io::Error::last_os_error())
        },
        |n| *n as i64,
    )
}

/// Accepts a connection, as [`TcpListener::accept`]; the thread sleeps in it until there is one.
///
/// # Errors
///
/// As accept(2).
#[track_caller]
pub fn accept(listener: &Traced<TcpListener>) -> io::Result<(Traced<TcpStream>, SocketAddr)> {
    let calling = Calling {
        op: Op::Accept,
        fd: listener.as_raw_fd(),
        asked: 0,
        at: Location::caller(),
    };
    let accepted = sleeping(
        Wait::Accept,
        None,
        &calling,
        || TcpListener::accept(listener),
        |(stream, _)| stream.as_raw_fd().into(),
    );
    let (stream, address) = accepted?;
    let stream = Traced::<TcpListener>::made_from(FdKind::Tcp, calling.fd, stream, calling.at);
    Ok((stream, address))
}

/// Makes the call and records it as the wait that it is, then what it returned, as the first thing of the run.
fn sleeping<T>(
    wait: Wait,
    timeout_ns: Option<u64>,
    calling: &Calling,
    call: impl FnOnce() -> io::Result<T>,
    value: impl FnOnce(&T) -> i64,
) -> io::Result<T> {
    if !state::records_calls() {
        return call();
    }
    let asking = Asking {
        call: wait,
        room: 1,
        on: Some(calling.fd),
        timeout_ns,
        at: calling.at,
    };
    let entered = asking.enter();
    let result = call();
    let told = [(calling.fd, Interest::IN.bits())];
    asking.leave(match &result {
        Ok(_) => Ok(&told),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(&[]),
        Err(e) => Err(asking::errno(e)),
    });
    if let Some(here) = state::here() {
        if result.is_ok() {
            asking::run_of(&here, calling.fd, calling.at);
            here.serve(calling.fd);
        }
        let (ticks, site) = (here.now(), here.site(calling.at));
        let code = op::code(&result, value);
        op::returned(&here, calling, ticks, entered.unwrap_or(ticks), site, code);
    }
    result
}
