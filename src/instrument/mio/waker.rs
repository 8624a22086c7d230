//! Waking a loop from another thread.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::Location;

use super::{Interest, Registry, Token};
use crate::instrument::{io as recorded, op};
use crate::record::event::FdKind;

/// Wakes a loop from any thread, with the methods of [`mio::Waker`]: a non-blocking eventfd(2) that nobody reads,
/// registered edge-triggered, so that each write is one event.
///
/// ```
/// use loopscope::mio::{Events, Poll, Token, Waker};
/// # fn main() -> std::io::Result<()> {
/// let mut poll = Poll::new()?;
/// let mut events = Events::with_capacity(2);
/// let waker = Waker::new(poll.registry(), Token(9))?;
/// waker.wake()?;
/// poll.poll(&mut events, None)?;
/// assert_eq!(events.iter().next().unwrap().token(), Token(9));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Waker {
    fd: Option<OwnedFd>,
}

impl Waker {
    /// Registers a new eventfd with a loop. A loop has one waker; in debug builds a second one panics, as mio's does.
    ///
    /// # Errors
    ///
    /// As eventfd(2) and epoll_ctl(2).
    #[track_caller]
    pub fn new(registry: &Registry, token: Token) -> io::Result<Waker> {
        let at = Location::caller();
        registry.note_waker();
        // SAFETY: no memory is passed.
        let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor the kernel has just made for us.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let waker = Waker { fd: Some(fd) };
        op::opened(FdKind::Eventfd, raw, -1, op::MIO_FLAGS, at);
        registry.add(raw, token, Interest::READABLE, at)?;
        Ok(waker)
    }

    /// Makes the loop's wait return with this waker's token.
    ///
    /// # Errors
    ///
    /// As write(2) on an eventfd; a full counter is emptied first.
    #[track_caller]
    pub fn wake(&self) -> io::Result<()> {
        let Some(fd) = &self.fd else { return Ok(()) };
        loop {
            match recorded::write(fd, &1_u64.to_ne_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut count = [0; 8];
                    match recorded::read(fd, &mut count) {
                        // Another thread emptied it before us, which will do.
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                        Ok(_) => {}
                    }
                }
                Err(error) => return Err(error),
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            op::closing(fd.as_raw_fd(), || {
                drop(fd);
                0
            });
        }
    }
}
