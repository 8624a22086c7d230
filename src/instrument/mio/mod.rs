//! mio, with an instrument in its events iterator. Step: **event** → ring.
//!
//! The paths are mio 1.2's own. A program that names mio only through this one, and handles each event inside the loop
//! over [`Events`], changes nothing else:
//!
//! ```
//! use loopscope::mio::net::TcpListener;
//! use loopscope::mio::{Events, Interest, Poll, Token};
//! use std::time::Duration;
//!
//! # fn main() -> std::io::Result<()> {
//! let mut poll = Poll::new()?;
//! let mut events = Events::with_capacity(128);
//! let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
//! poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
//!
//! poll.poll(&mut events, Some(Duration::from_millis(1)))?;
//! for event in events.iter() {
//!     // Handle it here: taking the next one ends this handler's run.
//!     let _ = event.token();
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What is recorded: each wait with its ready batch, each handler run, each registration with the mask mio really asks
//! for (edge-triggered, with `EPOLLRDHUP`), and of every socket and pipe in here its bytes, EAGAIN, end of file,
//! errors, addresses and close. `try_io` records the result of a call, but not its bytes, which it cannot see.
//!
//! What differs from mio, seen from a program:
//!
//! - [`event::Source`] is a trait of this crate's, because its methods get this crate's [`Registry`]. Every source of
//!   another crate that implements mio's and [`AsRawFd`](std::os::fd::AsRawFd) has it. It is implemented for boxed
//!   trait objects, not for every `Box<T>`.
//! - Types that close a descriptor have a destructor.
//! - A wait makes the very system call mio makes; the event, however, is a type of this crate's with mio's methods.

pub mod event;
pub mod features;
pub mod net;
pub mod unix;

mod owned;
mod poll;
mod waker;

pub use self::event::Events;
pub use self::poll::{Poll, Registry};
pub use self::waker::Waker;
pub use ::mio::{Interest, Token};
