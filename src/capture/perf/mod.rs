//! What the kernel tells by itself of a recorded program's threads: when each is taken off its CPU and why, when it is back,
//! which page faults it meets, and, a thousand times a second while it
//! computes for long, which function it is in; and, by a look of ours, what it sleeps in for long. Step: event → **ring** → trace.
//!
//! One perf event a CPU is opened on the thread that launches the program, to be inherited and to begin with the program's
//! first exec: so it covers every thread and process of the tree from the first instruction on, needs no more rights than
//! perf_event_paranoid 2 leaves, and costs the program nothing of ours. The rings are read in the collector's own passes
//! and wake nobody.
//!
//! | file   | holds                                                              |
//! |--------|--------------------------------------------------------------------|
//! | open   | the events and the threads they are opened on                      |
//! | ring   | one CPU's ring: its memory, and the records between tail and head  |
//! | record | one record of the kernel's, as bytes and as what it says           |
//! | fold   | many CPUs' records in one order, on the recording's clock          |
//! | stacks | addresses that called one another as a tree of places              |
//! | stall  | whether samples are worth taking just now                          |
//! | asleep | threads that sleep for long: looked at once, told when they are back |
//! | look   | one look at a thread that sleeps: its call and a copy of its stack |
//! | copied | a sample that brought a copy of its stack                          |
//! | walk   | the calls that a stopped thread is inside of                       |

mod asleep;
mod copied;
mod fold;
mod look;
mod open;
mod record;
mod ring;
mod stacks;
mod stall;
mod walk;

pub use asleep::Thread;
pub use fold::Kernel;
pub use open::{Refused, open};
pub use stacks::World;
pub use stall::Sampling;
