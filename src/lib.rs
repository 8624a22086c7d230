//! An oscilloscope for event loops: record an epoll loop, then see who was served, who waited, behind whom, and why.
//!
//! This is the library face. A program links it to say what its own loop does; the `loopscope` command shows it, live or
//! replayed. Both go the same way:
//!
//! ```text
//! instrumented loop ─▶ ring ─▶ merge ─▶ recording ═file═▶ reader ─▶ model ─▶ screens · report · export
//!     (this crate)                          (trace)
//! ```
//!
//! # A loop on mio
//!
//! Name mio through [`loopscope::mio`](crate::mio) and handle each event inside the loop over its events: nothing else
//! changes. [`Recorder::from_env`] at the start of `main` joins the recording that `loopscope run` or `loopscope record`
//! makes; [`Recorder::to_file`] makes one by itself. Without either, a hook is a load, a test and a branch.
//!
#![cfg_attr(feature = "mio", doc = "```")]
#![cfg_attr(not(feature = "mio"), doc = "```ignore")]
//! use loopscope::mio::net::UdpSocket;
//! use loopscope::mio::{Events, Interest, Poll, Token};
//! use loopscope::record::event::Kind;
//! use loopscope::{Recorder, trace::Reader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("first.lscope");
//! let recorder = Recorder::to_file(&path)?;
//!
//! let mut poll = Poll::new()?;
//! let mut events = Events::with_capacity(64);
//! let mut socket = UdpSocket::bind("127.0.0.1:0".parse()?)?;
//! poll.registry().register(&mut socket, Token(7), Interest::READABLE)?;
//! loopscope::name_handler(&poll, Token(7), "greeting");
//! std::net::UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", socket.local_addr()?)?;
//!
//! poll.poll(&mut events, None)?;
//! for event in &events {
//!     // A handler run starts here; it ends when the loop takes the next event, or leaves.
//!     assert_eq!(event.token(), Token(7));
//!     let mut buffer = [0; 64];
//!     assert_eq!(socket.recv(&mut buffer)?, 5);
//! }
//! recorder.finish()?;
//!
//! let mut reader = Reader::open(&path)?;
//! let mut cursor = reader.events_from(0);
//! let mut runs = 0;
//! while let Some((_number, event, _text)) = cursor.next()? {
//!     runs += u32::from(event.kind == Kind::RunBegin);
//! }
//! assert_eq!(runs, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What there is
//!
//! | for … | use |
//! |---|---|
//! | a loop on mio | [`mio`](crate::mio): mio's own paths |
//! | a loop on epoll itself: level, edge, one-shot, exclusive, several threads, nanoseconds | [`epoll`] |
//! | a loop on poll or select | [`poll`] |
//! | threads that sleep in a read or an accept | [`blocking`] |
//! | descriptors outside of mio | [`io`]: `read`, `write`, `accept`, [`io::Traced`] |
//! | a loop that collects events and serves them later, or in other threads | [`dispatch`], [`dispatch_on`], [`dispatch_fd`] |
//! | whom a handler run works for: an arrow on the timeline | [`on_behalf_of`] |
//! | names on the screen | [`name_handler`], [`name_fd`], [`name_loop`] |
//! | the program's own words on the timeline | [`mark!`], [`span!`], `TracingLayer` |
//! | what else a turn does | [`timer`], [`task`], [`call`] |
//! | a load generator that makes notice times measured | [`Supplier`] |
//! | reading a recording | [`trace::Reader`], [`record::Event`] |
//!
//! Instants and durations are nanoseconds, instants counted from the recording's start. A time-out is a
//! [`Duration`](std::time::Duration) rounded as the call below it rounds. Errors of system calls are returned as the
//! kernel gave them, and no hook touches errno.
//!
//! Recording never stops the program: a push neither blocks nor allocates nor calls the kernel, works in signal handlers,
//! in destructors of thread-locals and in forked children. What does not fit into the rings is counted, and the
//! recording says where it is missing.
//!
//! # Features
//!
//! | feature | gives | default |
//! |---|---|---|
//! | `mio` | [`mio`](crate::mio), the mirror | yes |
//! | `tracing` | `TracingLayer` | yes |
//! | `cli` | the `loopscope` command with everything it needs | yes |
//!
//! A program wants few dependencies:
//!
//! ```toml
//! loopscope = { version = "0.1", default-features = false, features = ["mio"] }
//! ```
#![deny(unsafe_op_in_unsafe_fn)]
// This page speaks of the mirror also where it is left out.
#![cfg_attr(not(feature = "mio"), allow(rustdoc::broken_intra_doc_links))]
// Here and not in Cargo.toml: tests, benches and examples may unwrap.
#![warn(clippy::unwrap_used)]

// The demos say `use loopscope::…`, as any program would.
#[cfg(feature = "cli")]
extern crate self as loopscope;

#[doc(hidden)]
pub mod capture;
mod instrument;
pub mod record;
pub mod trace;

#[cfg(feature = "tracing")]
pub use instrument::TracingLayer;
#[cfg(feature = "mio")]
pub use instrument::mio;
pub use instrument::{
    DataWord, Dispatch, Error, Recorder, Span, Summary, Supplier, Value, blocking, call, call_on,
    dispatch, dispatch_fd, dispatch_on, epoll, io, is_on, mark, name_fd, name_handler, name_loop,
    on_behalf_of, poll, task, timer,
};

// What looks at a recording: no program that links the library compiles it.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "cli")]
#[doc(hidden)]
#[path = "../demos/mod.rs"]
pub mod demos;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod derive;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod export;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod findings;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod json;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod lesson;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod model;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod query;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod report;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod symbols;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod teach;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod text;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod tui;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod when;
