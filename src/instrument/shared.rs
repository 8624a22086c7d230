//! What all threads of a recorded process push into: the mapped segment and the page a fork wipes.
//! Step: event → **ring**.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{shim, state};
use crate::record::handshake::Source;
use crate::record::ring::Producer;
use crate::record::segment::{Limit, Segment};

/// Numbers the recordings of this process and, after a fork, of its child; never 0.
static GENERATIONS: AtomicU32 = AtomicU32::new(0);

/// The segment as this process sees it. Never unmapped: a thread may be inside a push at any moment.
pub(super) struct Shared {
    segment: Segment,
    /// In the wiped page, before the limits: 0 in a forked child until its first push.
    generation: &'static AtomicU32,
    limits: &'static [Limit],
}

impl Shared {
    /// Wraps a mapped segment.
    pub(super) fn new(segment: Segment) -> io::Result<Shared> {
        let count = segment.layout().limits();
        let lines = (count + 1) * size_of::<Limit>();
        // SAFETY: a fresh anonymous mapping; nothing else is touched.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                lines,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping made above, whole.
        if unsafe { libc::madvise(page, lines, libc::MADV_WIPEONFORK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let first = page.cast::<Limit>();
        // SAFETY: the mapping holds `count` + 1 lines of zeroed memory, which is a valid `Limit` and a valid
        // AtomicU32, page-aligned, never unmapped and never accessed but through these two references.
        let (generation, limits) = unsafe {
            (
                &*first.cast::<AtomicU32>(),
                std::slice::from_raw_parts(first.add(1), count),
            )
        };
        let shared = Shared {
            segment,
            generation,
            limits,
        };
        shared.adopt();
        Ok(shared)
    }

    /// The word that tells a thread whether its ring is of this recording and of this process.
    pub(super) fn generation(&self) -> &'static AtomicU32 {
        self.generation
    }

    /// The generation, a new one if this is a child that has not pushed yet.
    pub(super) fn adopt(&self) -> u32 {
        match self.generation.load(Ordering::Relaxed) {
            0 => {
                let fresh = GENERATIONS
                    .fetch_add(1, Ordering::Relaxed)
                    .wrapping_add(1)
                    .max(1);
                // Another thread of the child, or a signal handler, may have been first; then its number counts.
                self.generation
                    .compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed)
                    .map_or_else(|first| first, |_| fresh)
            }
            generation => generation,
        }
    }

    /// A ring for the calling thread: the one the shim has there, its own, or the shared overflow ring.
    pub(super) fn claim(&self) -> Producer {
        // SAFETY: three calls without arguments that cannot fail and keep errno.
        let (tid, pid, parent) = unsafe {
            (
                libc::gettid() as u32,
                libc::getpid() as u32,
                libc::getppid() as u32,
            )
        };
        if shim::is_on()
            && let Some(joined) = self.segment.join(Source::Preload, tid, pid, self.limits)
        {
            return joined.with_quarter(state::quarter);
        }
        match self.segment.claim(tid, pid, self.limits) {
            Some(own) => {
                own.tell_parent(parent);
                own.with_quarter(state::quarter)
            }
            None => self.segment.overflow(tid, pid),
        }
    }

    /// The segment.
    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }
}

/// A segment's memory, mapped shared and populated; stays mapped for ever.
pub(super) struct Mapping {
    /// First word.
    pub(super) base: *const AtomicU64,
    bytes: usize,
}

// SAFETY: the memory stays for ever and is accessed through atomics.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Fresh memory that this process and its children share, without a descriptor.
    pub(super) fn fresh(bytes: usize) -> io::Result<Mapping> {
        Mapping::map(bytes, libc::MAP_ANONYMOUS, -1)
    }

    /// The first `bytes` of a memfd.
    pub(super) fn of(memfd: &impl AsRawFd, bytes: usize) -> io::Result<Mapping> {
        Mapping::map(bytes, 0, memfd.as_raw_fd())
    }

    fn map(bytes: usize, flags: libc::c_int, fd: RawFd) -> io::Result<Mapping> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE | flags;
        // SAFETY: a mapping where the kernel likes it touches nothing that is there.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping {
            base: base.cast(),
            bytes,
        })
    }

    /// How many words it has.
    pub(super) fn words(&self) -> u64 {
        self.bytes as u64 / 8
    }

    /// Gives the memory back and keeps the address: a thread late with a push gets a fresh page and harms nobody.
    pub(super) fn release(&self) {
        // SAFETY: the whole of a shared mapping of ours. Whoever reads it afterwards finds zeroes, which hold no
        // record; should the kernel refuse, the memory just stays.
        unsafe { libc::madvise(self.base.cast_mut().cast(), self.bytes, libc::MADV_REMOVE) };
    }
}
