//! The thread behind [`Recorder::to_file`](crate::Recorder::to_file): drains this process's own rings into a file.
//! Step: **ring → trace**.

use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::error::Error;
use super::recorder::Summary;
use super::shared::{Mapping, Shared};
use crate::capture::drain::Drain;
use crate::capture::machine;
use crate::record::segment::{Layout, Segment};
use crate::trace::{self, Writer};

/// The longest pause between passes. An event is drained by the first pass after it and written by the second, a page
/// seals 50 ms after the last: 32 + 8 + 50 ms and a tick of 8, so that a kill loses less than 100 ms.
const IDLE: Duration = Duration::from_millis(32);
/// The longest pause while the rings give events or the merge holds some.
const BUSY: Duration = Duration::from_millis(8);
/// Passes after the last event at that pace: one to release it, the others until its page seals.
const SETTLING: u32 = 10;

/// A recording being written.
#[derive(Debug)]
pub(super) struct Writing {
    shared: &'static Shared,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Summary, trace::Error>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Writing {
    /// Makes the rings, the file and the thread.
    pub(super) fn start(path: &Path, options: trace::Options) -> Result<Writing, Error> {
        let clock = machine::clock();
        let layout = Layout::default();
        let mapping = layout
            .bytes()
            .map_err(Error::Segment)
            .and_then(|bytes| Mapping::fresh(bytes).map_err(Error::Memory))?;
        let (base, words) = (mapping.base, mapping.words());
        // SAFETY: a page-aligned mapping of that many words, which stays for ever; only atomics touch it.
        let ours =
            unsafe { Segment::create(base, words, layout, clock, 0) }.map_err(Error::Segment)?;
        // SAFETY: as above.
        let theirs = unsafe { Segment::attach(base, words) }.map_err(Error::Segment)?;
        let shared: &'static Shared =
            Box::leak(Box::new(Shared::new(theirs).map_err(Error::Memory)?));

        let mut drain = Drain::new(ours);
        let pid = std::process::id();
        let meta = trace::Meta {
            command: std::env::args_os()
                .map(|arg| arg.to_string_lossy().into_owned())
                .collect(),
            pid,
            ..machine::meta(clock, drain.start(), layout)
        };
        let writer = Writer::create(path, &meta, options)?;
        drain.process_joined(pid, true);

        let stop = Arc::new(AtomicBool::new(false));
        let run = Run {
            drain,
            writer,
            stop: Arc::clone(&stop),
            mapping,
        };
        let thread = with_signals_blocked(|| {
            thread::Builder::new()
                .name("loopscope".to_owned())
                .spawn(move || run.finish_when_told())
        })
        .map_err(Error::Thread)?;
        Ok(Writing {
            shared,
            stop,
            thread,
        })
    }

    /// What the process's threads push into.
    pub(super) fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// Writes the rest and waits for the thread.
    pub(super) fn finish(self) -> Result<Summary, Error> {
        // Release: pairs with the Acquire in `Run::finish_when_told`, which then sees all that this thread pushed.
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        match self.thread.join() {
            Ok(result) => Ok(result?),
            Err(_) => Err(Error::Thread(io::Error::other("it has panicked"))),
        }
    }
}

/// The thread's own.
struct Run {
    drain: Drain,
    writer: Writer,
    stop: Arc<AtomicBool>,
    mapping: Mapping,
}

impl Run {
    fn finish_when_told(mut self) -> Result<Summary, trace::Error> {
        let mut settling = 0;
        while !self.stop.load(Ordering::Acquire) {
            let writer = &mut self.writer;
            let pass = self.drain.pass(|event, text| writer.write(event, text));
            writer.tick(pass.now);
            settling = if pass.records > 0 {
                SETTLING
            } else {
                settling.saturating_sub(1)
            };
            thread::park_timeout(pass.pause.min(if settling > 0 { BUSY } else { IDLE }));
        }
        let writer = &mut self.writer;
        let counts = self.drain.finish(|event, text| writer.write(event, text));
        let written = self.writer.finish();
        self.mapping.release();
        let written = written?;
        Ok(Summary {
            events: written.events,
            lost: counts.lost() + written.lost,
            bytes: written.bytes,
        })
    }
}

/// Runs `f` with all signals blocked: a thread it starts takes none away from the program.
fn with_signals_blocked<T>(f: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are live; the first is filled before it is read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = f();
    // SAFETY: filled by the call above, which cannot fail with these arguments.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}
