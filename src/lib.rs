//! loopscope: an oscilloscope for event loops.
#![deny(unsafe_op_in_unsafe_fn)]
// Here and not in Cargo.toml: tests, benches and examples may unwrap.
#![warn(clippy::unwrap_used)]

// The demos say `use loopscope::…`, as any program would.
#[cfg(feature = "cli")]
extern crate self as loopscope;

#[doc(hidden)]
pub mod capture;
mod instrument;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod query;
pub mod record;
pub mod trace;

#[cfg(feature = "tracing")]
pub use instrument::TracingLayer;
#[cfg(feature = "mio")]
pub use instrument::mio;
pub use instrument::{
    DataWord, Dispatch, Error, Recorder, Span, Summary, Supplier, Value, call, call_on, dispatch,
    dispatch_on, epoll, io, is_on, mark, name_fd, name_handler, name_loop, task, timer,
};

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "cli")]
#[doc(hidden)]
#[path = "../demos/mod.rs"]
pub mod demos;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod json;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod report;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod text;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod export;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod tui;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod when;
