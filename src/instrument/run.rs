//! Runs the program marks itself, whom they work for, names for handlers, loops and descriptors. Step: **event** → ring.

use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;

use super::asking;
use super::batch::{run_begin, run_end};
use super::state;
use crate::record::event::{Kind, NO_INDEX, Space};
use crate::record::wire::Rec;

/// What a registration carries as its data word: `data` of an epoll event, a mio token.
pub trait DataWord {
    /// The 64 bits the kernel keeps.
    fn word(&self) -> u64;
}

macro_rules! words {
    ($($type:ty),*) => {
        $(impl DataWord for $type {
            fn word(&self) -> u64 {
                *self as u64
            }
        })*
    };
}
words!(u64, usize, u32, i32);

#[cfg(feature = "mio")]
impl DataWord for mio::Token {
    fn word(&self) -> u64 {
        self.0 as u64
    }
}

/// A handler run that the program marks itself; it ends when this is dropped.
#[derive(Debug)]
#[must_use = "the run ends when this is dropped"]
pub struct Dispatch {
    epfd: RawFd,
    running: bool,
}

/// Starts a handler run for the event with this data word, on the loop this thread waited on last.
///
/// A program that handles events inside `for event in events.iter()` needs none of this: the iterator marks the runs.
/// It is for one that collects the events first ([`Events::unmarked`](crate::epoll::Events::unmarked) then keeps the
/// iterator from marking) or serves them in another order. A run that is still open on the loop ends here.
///
/// ```
/// # use loopscope::epoll::{Epoll, Events};
/// # fn serve(_: u64) {}
/// # fn main() -> std::io::Result<()> {
/// # let epoll = Epoll::new()?;
/// # let mut events = Events::with_capacity(16);
/// # epoll.wait(&mut events, Some(std::time::Duration::ZERO))?;
/// let ready: Vec<u64> = events.unmarked().map(|event| event.data()).collect();
/// for data in ready.into_iter().rev() {
///     let _run = loopscope::dispatch(data);
///     serve(data);
/// }
/// # Ok(())
/// # }
/// ```
#[inline]
#[track_caller]
pub fn dispatch(data: impl DataWord) -> Dispatch {
    if !state::is_on() {
        return Dispatch {
            epfd: -1,
            running: false,
        };
    }
    let epfd = state::here().map_or(-1, |here| here.epfd());
    begin(epfd, data.word(), "", Location::caller())
}

/// [`dispatch`] on a loop this thread did not wait on: a worker that was handed an event. `handler` names what serves
/// it, `""` does not.
///
/// ```
/// # use loopscope::epoll::Epoll;
/// # fn main() -> std::io::Result<()> {
/// let epoll = Epoll::new()?;
/// std::thread::scope(|threads| {
///     threads.spawn(|| {
///         let _run = loopscope::dispatch_on(&epoll, 7_u64, "parse");
///     });
/// });
/// # Ok(())
/// # }
/// ```
#[inline]
#[track_caller]
pub fn dispatch_on(epoll: &impl AsRawFd, data: impl DataWord, handler: &'static str) -> Dispatch {
    if !state::is_on() {
        return Dispatch {
            epfd: -1,
            running: false,
        };
    }
    begin(epoll.as_raw_fd(), data.word(), handler, Location::caller())
}

/// Starts a handler run for this descriptor, of the wait this thread made last: [`poll`](crate::poll) and select tell
/// by descriptor. A run that is still open there ends here.
///
/// ```
/// # use loopscope::{epoll::Interest, poll::{PollFd, poll}};
/// # fn main() -> std::io::Result<()> {
/// let (receiver, _sender) = std::os::unix::net::UnixStream::pair()?;
/// let mut list = [PollFd::new(&receiver, Interest::OUT)];
/// poll(&mut list, None)?;
/// let _run = loopscope::dispatch_fd(&receiver);
/// # Ok(())
/// # }
/// ```
#[inline]
#[track_caller]
pub fn dispatch_fd(fd: &impl AsRawFd) -> Dispatch {
    let at = Location::caller();
    let here = if state::is_on() { state::here() } else { None };
    if let Some(here) = &here {
        asking::run_of(here, fd.as_raw_fd(), at);
    }
    Dispatch {
        epfd: -1,
        running: here.is_some(),
    }
}

#[inline(never)]
fn begin(
    epfd: RawFd,
    data: u64,
    handler: &'static str,
    at: &'static Location<'static>,
) -> Dispatch {
    let Some(here) = state::here() else {
        return Dispatch {
            epfd,
            running: false,
        };
    };
    let handler = if handler.is_empty() {
        0
    } else {
        here.name(Space::Handler, handler)
    };
    run_begin(&here, epfd, NO_INDEX, data, handler, at);
    Dispatch {
        epfd,
        running: true,
    }
}

impl Drop for Dispatch {
    #[inline]
    fn drop(&mut self) {
        if self.running {
            run_end(self.epfd, 0);
        }
    }
}

/// Names what serves the events with this data word on this loop, from now on.
///
/// ```
/// # use loopscope::epoll::Epoll;
/// # fn main() -> std::io::Result<()> {
/// let epoll = Epoll::new()?;
/// loopscope::name_handler(&epoll, 7_u64, "flood");
/// # Ok(())
/// # }
/// ```
#[inline]
pub fn name_handler(epoll: &impl AsRawFd, data: impl DataWord, name: &'static str) {
    if let Some(here) = state::here() {
        let x = here.name(Space::Handler, name);
        here.push(&Rec {
            ticks: here.now(),
            kind: Kind::Handler,
            fd: epoll.as_raw_fd(),
            x,
            arg: data.word(),
            ..Rec::default()
        });
    }
}

/// Names a loop; `epoll` is any descriptor of it. At most 256 bytes are kept.
///
/// ```
/// # use loopscope::epoll::Epoll;
/// # fn main() -> std::io::Result<()> {
/// let epoll = Epoll::new()?;
/// loopscope::name_loop(&epoll, "acceptor");
/// # Ok(())
/// # }
/// ```
#[inline]
pub fn name_loop(epoll: &impl AsRawFd, name: &str) {
    if state::is_on() {
        text(Kind::Name, Space::Loop.code(), 0, epoll.as_raw_fd(), name);
    }
}

/// Names a descriptor until it is closed. At most 256 bytes are kept.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let (ann, _bob) = std::os::unix::net::UnixStream::pair()?;
/// loopscope::name_fd(&ann, "ann");
/// # Ok(())
/// # }
/// ```
#[inline]
pub fn name_fd(fd: &impl AsRawFd, name: &str) {
    if state::is_on() {
        text(Kind::FdName, 0, fd.as_raw_fd(), 0, name);
    }
}

/// Says on whose behalf the handler run under way on this thread works from here on: a relay's upstream connection for a
/// client, a bell for the connection whose work has come back from another thread, a DNS socket for a request. The timeline
/// draws an arrow from that descriptor's lane to the run, and the run's time counts for both.
///
/// The first call in a run holds from the run's start, later ones from where they stand, each up to the next or to the end
/// of the run; naming the descriptor that the run itself serves ends it earlier. Outside of a handler run (in the callback of
/// a timer, between two handlers) it says nothing. It cannot fail: of a descriptor that nobody has seen open the number is
/// shown. While no recorder is on it costs a load, a test and a branch.
///
/// ```
/// # use loopscope::epoll::{Epoll, Events, Interest};
/// # use std::os::unix::net::UnixStream;
/// # fn main() -> std::io::Result<()> {
/// # let epoll = Epoll::new()?;
/// # let (bell, client) = UnixStream::pair()?;
/// # let finished = vec![client];
/// const BELL: u64 = 1;
/// # let mut events = Events::with_capacity(16);
/// # epoll.wait(&mut events, Some(std::time::Duration::ZERO))?;
/// for event in &events {
///     if event.data() == BELL {
///         for client in &finished {
///             loopscope::on_behalf_of(client);
///             // send the client its answer
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[inline]
#[track_caller]
pub fn on_behalf_of(fd: &impl AsRawFd) {
    if state::is_on() {
        behalf(fd.as_raw_fd(), Location::caller());
    }
}

#[inline(never)]
fn behalf(fd: RawFd, at: &'static Location<'static>) {
    if let Some(here) = state::here() {
        here.push(&Rec {
            ticks: here.now(),
            kind: Kind::OnBehalf,
            fd,
            site: here.site(at),
            ..Rec::default()
        });
    }
}

#[inline(never)]
fn text(kind: Kind, aux: u16, fd: RawFd, x: i32, name: &str) {
    if let Some(here) = state::here() {
        let record = Rec {
            ticks: here.now(),
            kind,
            aux,
            fd,
            x,
            ..Rec::default()
        };
        here.push_text(&record, name.as_bytes());
    }
}
