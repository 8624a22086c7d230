//! The ready batch and the walk over it: the instrument itself. Step: **event** → ring.
//!
//! [`Batch::wait`] records a wait's entry and its return with the batch, [`Walk`] the handler runs: each step of the
//! iterator ends one run and starts the next, dropping it ends the last. Both serve [`crate::epoll`] and
//! [`crate::mio`].

use std::io;
use std::os::fd::RawFd;
use std::panic::Location;

use super::state::{self, Here};
use crate::record::event::{Kind, NO_INDEX, Wait, flags};
use crate::record::ring::MAX_BATCH;
use crate::record::wire::Rec;

/// Room for the events of one wait, and what the last wait put into it.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    events: Vec<libc::epoll_event>,
    /// The descriptor of the last wait that was recorded, −1 before.
    epfd: RawFd,
}

/// A wait about to happen, as it is recorded.
#[derive(Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) call: Wait,
    pub(crate) epfd: RawFd,
    /// What the kernel is told, in nanoseconds; `None`: for ever.
    pub(crate) timeout_ns: Option<u64>,
    pub(crate) at: &'static Location<'static>,
}

impl Batch {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Batch {
            events: Vec::with_capacity(capacity),
            epfd: -1,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.events.capacity()
    }

    pub(crate) fn as_slice(&self) -> &[libc::epoll_event] {
        &self.events
    }

    #[cfg(feature = "mio")]
    pub(crate) fn clear(&mut self) {
        self.events.clear();
    }

    /// Makes the wait: `call` gets the memory and maxevents, and returns what the kernel returned.
    #[inline(always)]
    pub(crate) fn wait(
        &mut self,
        waiting: impl FnOnce() -> Waiting,
        call: impl FnOnce(*mut libc::epoll_event, libc::c_int) -> libc::c_int,
    ) -> io::Result<()> {
        if state::is_on() {
            return self.recorded(waiting(), call);
        }
        self.plain(call)
    }

    #[inline(always)]
    fn plain(
        &mut self,
        call: impl FnOnce(*mut libc::epoll_event, libc::c_int) -> libc::c_int,
    ) -> io::Result<()> {
        self.events.clear();
        let n = call(
            self.events.as_mut_ptr(),
            self.events.capacity() as libc::c_int,
        );
        if n < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has written the first `n` events of the room, `n` ≤ maxevents = the capacity.
        unsafe { self.events.set_len(n as usize) };
        Ok(())
    }

    // Apart and cold, here and in the other wrappers: what a hook does when on must not cost registers when off.
    #[cold]
    #[inline(never)]
    fn recorded(
        &mut self,
        waiting: Waiting,
        call: impl FnOnce(*mut libc::epoll_event, libc::c_int) -> libc::c_int,
    ) -> io::Result<()> {
        self.epfd = waiting.epfd;
        if !state::records_calls() {
            if let Some(here) = state::here() {
                here.set_epfd(waiting.epfd);
            }
            return self.plain(call);
        }
        entry(&waiting, self.events.capacity() as libc::c_int);
        let result = self.plain(call);
        let code = match &result {
            Ok(()) => self.events.len() as i32,
            Err(e) => -e.raw_os_error().unwrap_or(libc::EIO),
        };
        exit(&waiting, code, &self.events);
        result
    }
}

#[inline(never)]
fn entry(waiting: &Waiting, maxevents: i32) {
    let Some(here) = state::here() else { return };
    here.set_epfd(waiting.epfd);
    let site = here.site(waiting.at);
    here.push(&Rec {
        ticks: here.now(),
        kind: Kind::WaitEnter,
        aux: waiting.call.code(),
        fd: waiting.epfd,
        x: maxevents,
        arg: waiting.timeout_ns.unwrap_or(u64::MAX),
        site,
        ..Rec::default()
    });
}

#[inline(never)]
fn exit(waiting: &Waiting, code: i32, events: &[libc::epoll_event]) {
    let Some(here) = state::here() else { return };
    let ticks = here.now();
    let site = here.site(waiting.at);
    let exit = Rec {
        ticks,
        kind: Kind::WaitExit,
        aux: waiting.call.code(),
        fd: waiting.epfd,
        x: code,
        site,
        ..Rec::default()
    };
    let ready = |i: usize| {
        let event = events
            .get(i)
            .copied()
            .unwrap_or(libc::epoll_event { events: 0, u64: 0 });
        Rec {
            ticks,
            kind: Kind::Ready,
            aux: index(i),
            fd: waiting.epfd,
            x: event.events as i32,
            arg: event.u64,
            ..Rec::default()
        }
    };
    let n = events.len();
    if n == 0 {
        here.push(&exit);
        return;
    }
    let head = n.min(MAX_BATCH - 1);
    here.push_batch(&exit, head, ready);
    let mut done = head;
    while done < n {
        let chunk = (n - done).min(MAX_BATCH);
        here.push_batch(&ready(done), chunk - 1, |i| ready(done + 1 + i));
        done += chunk;
    }
}

fn index(i: usize) -> u16 {
    u16::try_from(i).unwrap_or(NO_INDEX)
}

/// Records the handler runs of one walk over a batch. It borrows nothing, so that an iterator that owns one may be
/// dropped after the batch was used again.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The loop whose run is open, −1 none.
    running: RawFd,
    /// Events behind the one that runs.
    left: u32,
}

impl Walk {
    /// A walk that has not begun.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Walk {
            running: -1,
            left: 0,
        }
    }

    /// The program takes the next event: whatever ran has ended, this one's handler starts. `left` events follow it.
    /// `at` is where the walk began; nothing for one that only looks.
    #[inline(always)]
    pub(crate) fn step(
        &mut self,
        at: Option<&'static Location<'static>>,
        batch: &Batch,
        next: Option<&libc::epoll_event>,
        left: usize,
    ) {
        match next {
            Some(event) if state::is_on() => self.begin(at, batch, event, left),
            None if self.running >= 0 => self.end(0),
            _ => {}
        }
    }

    #[cold]
    #[inline(never)]
    fn begin(
        &mut self,
        at: Option<&'static Location<'static>>,
        batch: &Batch,
        event: &libc::epoll_event,
        left: usize,
    ) {
        let (Some(at), Some(here)) = (at, state::here()) else {
            return;
        };
        self.left = left as u32;
        self.running = batch.epfd;
        let index = index(batch.events.len().saturating_sub(left + 1));
        run_begin(&here, batch.epfd, index, event.u64, 0, at);
    }

    #[cold]
    #[inline(never)]
    fn end(&mut self, flags: u8) {
        let epfd = std::mem::replace(&mut self.running, -1);
        if epfd >= 0 {
            run_end(epfd, flags);
        }
    }

    #[cold]
    #[inline(never)]
    fn dropped(&mut self) {
        self.end(if self.left > 0 { flags::LEFT } else { 0 });
    }
}

impl Drop for Walk {
    #[inline(always)]
    fn drop(&mut self) {
        if self.running >= 0 {
            self.dropped();
        }
    }
}

/// A run starts; the run before it on this loop and thread ends.
#[inline]
pub(crate) fn run_begin(
    here: &Here,
    epfd: RawFd,
    index: u16,
    data: u64,
    handler: i32,
    at: &'static Location<'static>,
) {
    here.set_epfd(epfd);
    let site = here.site(at);
    here.push(&Rec {
        ticks: here.now(),
        kind: Kind::RunBegin,
        aux: index,
        fd: epfd,
        x: handler,
        arg: data,
        site,
        ..Rec::default()
    });
}

/// The last run ends.
pub(crate) fn run_end(epfd: RawFd, flags: u8) {
    if let Some(here) = state::here() {
        here.push(&Rec {
            ticks: here.now(),
            kind: Kind::RunEnd,
            flags,
            fd: epfd,
            ..Rec::default()
        });
    }
}
