//! Waits that are no epoll's, as they are recorded: entry, return and what is ready, named by descriptor.
//! Step: **event** → ring.
//!
//! [`crate::poll`] asks about many descriptors at once, [`crate::blocking`] sleeps in a call on one.

use std::io;
use std::os::fd::RawFd;
use std::panic::Location;
use std::time::Duration;

use super::state::{self, Here};
use crate::record::event::{BY_FD, Kind, NO_INDEX, Wait};
use crate::record::ring::MAX_BATCH;
use crate::record::wire::Rec;

/// Such a wait.
#[derive(Clone, Copy)]
pub(super) struct Asking {
    pub call: Wait,
    /// How many descriptors it may tell of.
    pub room: i32,
    /// The descriptor a blocking call is made on.
    pub on: Option<RawFd>,
    /// In nanoseconds; `None`: for ever.
    pub timeout_ns: Option<u64>,
    pub at: &'static Location<'static>,
}

/// Nanoseconds of a time-out, as they are recorded.
pub(super) fn ns(timeout: Option<Duration>) -> Option<u64> {
    timeout.map(|t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX - 1))
}

impl Asking {
    /// The thread enters it; nothing when nobody records. Gives the instant.
    #[cold]
    #[inline(never)]
    pub fn enter(&self) -> Option<u64> {
        let here = state::here()?;
        // A handler run that names no loop is one of the wait before it.
        here.set_epfd(-1);
        here.serve(-1);
        let site = here.site(self.at);
        let ticks = here.now();
        here.push(&Rec {
            ticks,
            kind: Kind::WaitEnter,
            aux: self.call.code(),
            fd: -1,
            x: self.room,
            arg: self.timeout_ns.unwrap_or(u64::MAX),
            y: self.on.map(|fd| fd as u64),
            site,
            ..Rec::default()
        });
        Some(ticks)
    }

    /// It has returned these descriptors and what they are ready for, or this errno.
    #[cold]
    #[inline(never)]
    pub fn leave(&self, result: Result<&[(RawFd, u32)], i32>) {
        let Some(here) = state::here() else { return };
        let site = here.site(self.at);
        let (ticks, ready) = (here.now(), result.unwrap_or(&[]));
        let exit = Rec {
            ticks,
            kind: Kind::WaitExit,
            aux: self.call.code(),
            fd: -1,
            x: result.map_or_else(|errno| -errno, |ready| ready.len() as i32),
            site,
            ..Rec::default()
        };
        let one = |i: usize| {
            let (fd, mask) = ready.get(i).copied().unwrap_or_default();
            Rec {
                ticks,
                kind: Kind::Ready,
                aux: u16::try_from(i).unwrap_or(NO_INDEX),
                fd: -1,
                x: mask as i32,
                arg: fd as u64,
                ..Rec::default()
            }
        };
        let head = ready.len().min(MAX_BATCH - 1);
        here.push_batch(&exit, head, one);
        for start in (head..ready.len()).step_by(MAX_BATCH) {
            let more = (ready.len() - start).min(MAX_BATCH) - 1;
            here.push_batch(&one(start), more, |i| one(start + 1 + i));
        }
    }
}

/// A handler run of the thread's last wait that serves this descriptor starts; whatever ran there ends.
pub(super) fn run_of(here: &Here, fd: RawFd, at: &'static Location<'static>) {
    let site = here.site(at);
    here.push(&Rec {
        ticks: here.now(),
        kind: Kind::RunBegin,
        aux: BY_FD,
        fd: -1,
        arg: fd as u64,
        site,
        ..Rec::default()
    });
}

/// errno of what a call returned.
pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
