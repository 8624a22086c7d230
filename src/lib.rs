//! loopscope: an oscilloscope for event loops.
#![deny(unsafe_op_in_unsafe_fn)]
// Here and not in Cargo.toml: tests, benches and examples may unwrap.
#![warn(clippy::unwrap_used)]

#[doc(hidden)]
pub mod capture;
pub mod model;
pub mod record;
pub mod trace;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
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
pub mod when;
