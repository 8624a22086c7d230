//! An executable model of the kernel's epoll as one thread sees it that never sleeps: every wait has the time-out 0.
//!
//! ```text
//! descriptor number ─▶ open file description ─▶ pipe end, eventfd, unix stream socket, epoll instance, regular file
//!                            │ wait queue                              │ interest list (items)
//!                            └── wake-up ─▶ item ─▶ ready list ─▶ re-check ─▶ batch
//! ```
//!
//! [`World::apply`] does one call and answers as the kernel would, the order inside a batch included, and names the rule
//! behind each step ([`Rule`]: man page and kernel function). The wake-ups are those of Linux 6.x, of which some are
//! older and none is promised: a pipe wakes its readers at each write, also one that failed; a stream socket tells its
//! writer of each message that was read whole. tests/epoll_model holds all of it against the live kernel.
//!
//! Left out: threads and waiting ones among them (so EPOLLEXCLUSIVE never chooses), fork, signals, limits (EMFILE, ENOSPC,
//! the number of wake-up paths), and files other than these.

mod belief;
mod call;
mod file;
mod instance;
mod pipe;
mod rule;
mod sizes;
mod wake;
mod world;

pub use belief::Belief;
pub use call::{Answer, Call, Ctl, Errno, Fd, How, Ready, bits, data_name};
pub use rule::Rule;
pub use sizes::Sizes;
pub use world::{Note, World};
