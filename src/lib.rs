//! loopscope: an oscilloscope for event loops.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod model;
pub mod record;
