//! Capture from outside: the session a program joins, the collector that writes its recording, the launched child.
//! Step: event → **ring → trace**.

pub mod drain;
mod liveness;

#[cfg(feature = "cli")]
pub mod control;
#[cfg(feature = "cli")]
pub mod launch;
pub mod procfs;
#[cfg(feature = "cli")]
pub mod pty;
