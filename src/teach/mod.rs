//! What a lecture needs beside the demos: an executable model of the kernel's epoll, and the problems made from it.
//!
//! Pure, as the model of recordings is: no clock, no file, no kernel. Step: beside the pipeline; tests hold the model
//! against the live kernel call by call.

pub mod epoll;
pub mod quiz;
