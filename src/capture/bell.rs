//! The collector's sleep: long while nothing happens, ended by whoever has something for it. Step: **ring** → trace.
//!
//! A program whose ring fills up rings from its side, the recorder's own threads from ours, when they have sent a message.

use super::collector::Message;
use crate::record::segment::Bell;
use std::sync::mpsc::{SendError, SyncSender};
use std::time::Duration;

/// Sleeps until somebody rings, at most this long. The caller has said that it sleeps, and has looked once more.
pub(super) fn sleep(bell: Bell, at_most: Duration) {
    let time = libc::timespec {
        tv_sec: at_most.as_secs() as libc::time_t,
        tv_nsec: at_most.subsec_nanos().into(),
    };
    // SAFETY: the word lies in a segment that this process keeps mapped, the time is live. Every way in which it can
    // return means: get up and look.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            bell.word(),
            libc::FUTEX_WAIT,
            1,
            &raw const time,
        )
    };
}

/// The way to the collector's inbox: what is put there wakes it.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) messages: SyncSender<Message>,
    pub(super) bell: Bell,
}

impl Outbox {
    pub(super) fn send(&self, message: Message) -> Result<(), SendError<Message>> {
        self.messages.send(message)?;
        if let Some(word) = self.bell.must_wake() {
            // SAFETY: as in `sleep`; waking touches no memory.
            unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, 1) };
        }
        Ok(())
    }
}
