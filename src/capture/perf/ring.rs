//! One CPU's ring of records: mapped from its perf event, read up to where the kernel has written. Step: event → **ring** →
//! trace.
//!
//! The head is the kernel's (acquired before what lies below it is read), the tail ours (released when that has been copied
//! out). Only the kernel and we write here, but nothing of what is read is believed without a look.

use super::record::{self, HEADER, Record, Samples};
use perf_event_open_sys::bindings::perf_event_mmap_page;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

/// A mapped ring, and the event that fills it.
#[derive(Debug)]
pub struct Ring {
    /// The control page, then the records.
    base: NonNull<perf_event_mmap_page>,
    page: usize,
    /// Bytes of the records, a power of two.
    size: usize,
    samples: Samples,
    /// A record as it is read.
    scratch: Vec<u8>,
    event: OwnedFd,
}

// SAFETY: the mapping is this value's own, and only `&mut self` reads or advances it.
unsafe impl Send for Ring {}

/// What a look at a ring found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Bytes that were in it.
    pub bytes: u64,
    /// It held something that is no record: what was in it is lost.
    pub damaged: bool,
}

impl Ring {
    /// Maps `pages` pages (a power of two) of the ring of an event that gives these samples.
    pub fn map(event: OwnedFd, pages: usize, samples: Samples) -> io::Result<Ring> {
        // SAFETY: takes an integer, returns one.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let size = page * pages;
        // SAFETY: a new shared mapping of a live event, at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                page + size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                event.as_raw_fd(),
                0,
            )
        };
        let base = NonNull::new(base.cast()).filter(|_| base != libc::MAP_FAILED);
        Ok(Ring {
            base: base.ok_or_else(io::Error::last_os_error)?,
            page,
            size,
            samples,
            scratch: vec![0; samples.longest()],
            event,
        })
    }

    /// Its samples are what a clock found.
    pub fn is_clock(&self) -> bool {
        matches!(self.samples, Samples::Stacks | Samples::Copies)
    }

    /// They bring copies of stacks.
    pub fn copies(&self) -> bool {
        self.samples == Samples::Copies
    }

    /// Has its event count, or not, in all threads that have inherited it and in those they make.
    pub fn enable(&self, on: bool) {
        let fd = self.event.as_raw_fd();
        // SAFETY: a live event of ours and no argument. It cannot fail but for one that is none; then nothing is sampled.
        unsafe {
            match on {
                true => perf_event_open_sys::ioctls::ENABLE(fd, 0),
                false => perf_event_open_sys::ioctls::DISABLE(fd, 0),
            }
        };
    }

    /// Has its event count until it has told something once; false where that cannot be.
    pub fn fire_once(&self) -> bool {
        // SAFETY: a live event of ours that no thread inherits; the argument is a number.
        unsafe { perf_event_open_sys::ioctls::REFRESH(self.event.as_raw_fd(), 1) == 0 }
    }

    /// Bytes it holds.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Hands every record that is in it to `each`, oldest first, and makes room.
    pub fn read(&mut self, mut each: impl FnMut(Record)) -> Found {
        // SAFETY: both words lie in the control page, which is mapped as long as we live, are aligned, and are shared with
        // the kernel as atomics.
        let (head, tail) = unsafe {
            let control = self.base.as_ptr();
            (
                AtomicU64::from_ptr(&raw mut (*control).data_head),
                AtomicU64::from_ptr(&raw mut (*control).data_tail),
            )
        };
        // Acquire: pairs with the kernel's barrier before it moves the head, so that what lies below is whole.
        let end = head.load(Ordering::Acquire);
        let mut at = tail.load(Ordering::Relaxed);
        let mut found = Found {
            bytes: end.wrapping_sub(at),
            damaged: false,
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        while at != end {
            let left = end.wrapping_sub(at);
            let mut header = [0; HEADER];
            self.copy(at, &mut header);
            let size = record::size(&header).filter(|size| *size as u64 <= left);
            let Some(size) = size.filter(|_| left <= self.size as u64) else {
                found.damaged = true;
                at = end;
                break;
            };
            // What is longer says nothing to us.
            if let Some(bytes) = scratch.get_mut(..size) {
                self.copy(at, bytes);
                if let Some(record) = record::read(bytes, self.samples) {
                    each(record);
                }
            }
            at = at.wrapping_add(size as u64);
        }
        self.scratch = scratch;
        // Release: pairs with the kernel's read of the tail, after which it may write where we have read.
        tail.store(at, Ordering::Release);
        found
    }

    /// Copies what stands at this position of the endless sequence, which may go round the end of the memory.
    fn copy(&self, at: u64, into: &mut [u8]) {
        let from = at as usize & (self.size - 1);
        let first = into.len().min(self.size - from);
        // SAFETY: `from` lies in the records and `first` bytes from there on do too; the rest, if any, stands at their
        // beginning and is shorter than they are. The kernel does not write below the tail's ring length.
        unsafe {
            let records = self.base.as_ptr().cast::<u8>().add(self.page);
            ptr::copy_nonoverlapping(records.add(from), into.as_mut_ptr(), first);
            let rest = into.len() - first;
            ptr::copy_nonoverlapping(records, into.as_mut_ptr().add(first), rest);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: our own mapping, with the length it was made with.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.page + self.size) };
    }
}
