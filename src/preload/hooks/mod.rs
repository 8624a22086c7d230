//! The exported functions, by family. Step: **event** → ring.

pub mod block;
pub mod children;
pub mod environment;
pub mod epoll;
pub mod fd;
pub mod guard;
pub mod io;
pub mod mark;
pub mod poll;
pub mod process;
pub mod range;
pub mod stream;
pub mod syscall;
pub mod target;
pub mod variadic;

/// Every hook with its next function.
pub const TABLES: &[crate::next::Table] = &[
    epoll::TABLE,
    guard::TABLE,
    poll::TABLE,
    io::TABLE,
    fd::TABLE,
    process::TABLES[0],
    process::TABLES[1],
    block::TABLES[0],
    block::TABLES[1],
    children::TABLE,
    range::TABLES[0],
    range::TABLES[1],
    syscall::TABLE,
    stream::TABLE,
    stream::HELPERS,
];
