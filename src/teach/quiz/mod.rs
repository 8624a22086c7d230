//! Small problems about epoll: a few calls, and what does the last one return?
//!
//! A problem is drawn from a seed: random calls of a topic, answered by the model of the kernel's epoll and by the same
//! model with one wrong belief at a time. It is kept where the topic's beliefs give another answer than the kernel, and then
//! stripped of calls that do not matter. So no problem is trivial, and who chooses a wrong answer is told the belief
//! that leads to it. The same seed gives the same problems on every machine.

mod draft;
mod grade;
mod pick;
mod problem;
mod sheet;
mod show;
mod stage;
mod topic;

pub use grade::{Grade, Verdict, grade_one};
pub use problem::{Choice, Problem};
pub use sheet::{MOST, Sheet, Unreadable};
pub use topic::Topic;

/// The generator's version: another one makes other problems of the same seed.
pub const VERSION: u32 = 1;
