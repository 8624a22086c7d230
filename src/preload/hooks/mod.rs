//! The exported functions, by family. Step: **event** → ring.

pub mod epoll;
pub mod fd;
pub mod io;
pub mod poll;
pub mod process;

/// Every hook with its next function.
pub const TABLES: &[crate::next::Table] = &[
    epoll::TABLE,
    poll::TABLE,
    io::TABLE,
    fd::TABLE,
    process::TABLE,
];
