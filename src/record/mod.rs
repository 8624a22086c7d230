//! The event and its way out of a program: the first two steps of event → ring → trace → model → view.
//!
//! Core only: no `std`, no dependencies, no allocation, so that the preload shim compiles these very files.

pub mod address;
mod cause;
pub mod clock;
mod coded;
pub mod event;
pub mod fields;
pub mod handshake;
pub mod ring;
pub mod segment;
pub mod stack_text;
pub mod sync;
mod text;
pub mod wire;

pub use event::{Event, Kind, flags};
