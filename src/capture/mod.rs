//! Capture from outside: the session a program joins, the collector that writes its recording, the launched child.
//! Step: event → **ring → trace**.

#[cfg(feature = "cli")]
mod aside;
pub mod drain;
mod foreign;
#[cfg(any(test, fuzzing))]
pub mod hostile;
mod liveness;
pub mod machine;
mod modules;
#[cfg(feature = "cli")]
mod netlink;
mod pass;
pub mod procfs;
mod ring;

#[cfg(feature = "cli")]
mod bell;
#[cfg(feature = "cli")]
pub mod blind;
#[cfg(feature = "cli")]
pub mod calibrate;
#[cfg(feature = "cli")]
mod cgroup;
#[cfg(feature = "cli")]
pub mod collector;
#[cfg(feature = "cli")]
pub mod control;
#[cfg(feature = "cli")]
pub mod doctor;
#[cfg(feature = "cli")]
pub mod elf;
#[cfg(feature = "cli")]
mod inherited;
#[cfg(feature = "cli")]
mod known;
#[cfg(feature = "cli")]
pub mod launch;
#[cfg(feature = "cli")]
pub mod live;
#[cfg(feature = "cli")]
mod look;
#[cfg(feature = "cli")]
mod looks;
#[cfg(feature = "cli")]
pub mod memory;
#[cfg(feature = "cli")]
pub mod perf;
#[cfg(feature = "cli")]
pub mod preload;
#[cfg(feature = "cli")]
pub mod pty;
#[cfg(feature = "cli")]
mod reconcile;
#[cfg(feature = "cli")]
pub mod rendezvous;
#[cfg(feature = "cli")]
pub mod running;
#[cfg(feature = "cli")]
pub mod session;
#[cfg(feature = "cli")]
mod sight;
#[cfg(feature = "cli")]
mod sockdiag;
#[cfg(feature = "cli")]
mod stale;
#[cfg(feature = "cli")]
mod steal;
#[cfg(feature = "cli")]
mod stragglers;
#[cfg(feature = "cli")]
mod tables;
#[cfg(feature = "cli")]
pub mod trigger;
