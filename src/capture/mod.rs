//! Capture from outside: the session a program joins, the collector that writes its recording, the launched child.
//! Step: event → **ring → trace**.

#[cfg(feature = "cli")]
pub mod control;
#[cfg(feature = "cli")]
pub mod launch;
#[cfg(feature = "cli")]
pub mod procfs;
#[cfg(feature = "cli")]
pub mod pty;
