//! Unix only extensions: registering a plain descriptor, pipes.

use std::io;
use std::os::fd::RawFd;
use std::panic::Location;

use super::event::Source;
use super::{Interest, Registry, Token};

pub mod pipe;

/// Registers a descriptor that has no type of its own here, as [`mio::unix::SourceFd`] does.
///
/// ```
/// use loopscope::mio::unix::SourceFd;
/// use loopscope::mio::{Interest, Poll, Token};
/// use std::os::fd::AsRawFd;
/// # fn main() -> std::io::Result<()> {
/// let (receiver, _sender) = std::os::unix::net::UnixStream::pair()?;
/// let poll = Poll::new()?;
/// poll.registry().register(&mut SourceFd(&receiver.as_raw_fd()), Token(0), Interest::READABLE)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SourceFd<'a>(
    /// The descriptor.
    pub &'a RawFd,
);

impl Source for SourceFd<'_> {
    #[track_caller]
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        registry.add(*self.0, token, interests, Location::caller())
    }

    #[track_caller]
    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        registry.modify(*self.0, token, interests, Location::caller())
    }

    #[track_caller]
    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.delete(*self.0, Location::caller())
    }
}
