//! The smallest io_uring that reads: one place in each of its two queues. The program writes what is to be done into memory that the kernel
//! sees, io_uring_enter(2) says that there is something, and what is done is found in memory as well; an eventfd is told of it. Containers and
//! careful administrators refuse it: then there is none, and the error says why. Step: **event** → ring.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// From linux/io_uring.h: where its three areas are mapped, the operation, and how an eventfd is registered.
const SUBMISSIONS: libc::off_t = 0;
const COMPLETIONS: libc::off_t = 0x800_0000;
const ENTRIES: libc::off_t = 0x1000_0000;
const READ: u8 = 22;
const REGISTER_EVENTFD: u32 = 4;

/// struct io_uring_params, without what is not asked for.
#[repr(C)]
#[derive(Default)]
struct Params {
    submissions: u32,
    completions: u32,
    more: [u32; 8],
    submission: Offsets,
    completion: Offsets,
}

/// struct io_sqring_offsets and io_cqring_offsets: `last` is the array of the one, `fifth` the entries of the other.
#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    fourth: u32,
    fifth: u32,
    sixth: u32,
    reserved: [u32; 3],
}

/// struct io_uring_sqe of a read.
#[repr(C)]
#[derive(Default)]
struct Asked {
    opcode: u8,
    flags: u8,
    priority: u16,
    fd: i32,
    offset: u64,
    buffer: u64,
    bytes: u32,
    more: u32,
    data: [u64; 4],
}

/// struct io_uring_cqe.
#[repr(C)]
struct Done {
    data: u64,
    result: i32,
    flags: u32,
}

/// A ring. Its areas stay mapped for ever: the kernel may write there as long as a read is under way.
#[derive(Debug)]
pub struct Uring {
    fd: OwnedFd,
    tail: &'static AtomicU32,
    entry: *mut Asked,
    done: *const Done,
    done_head: &'static AtomicU32,
    done_tail: &'static AtomicU32,
    done_mask: u32,
}

impl Uring {
    /// A ring whose completions ring this bell.
    pub fn new(bell: &impl AsRawFd) -> io::Result<Uring> {
        let mut params = Params::default();
        // SAFETY: the kernel reads and writes one struct of its own layout; the descriptor is new and ours.
        let fd = unsafe {
            let fd = check(libc::syscall(libc::SYS_io_uring_setup, 1, &raw mut params))?;
            OwnedFd::from_raw_fd(fd as RawFd)
        };
        let (sub, com) = (&params.submission, &params.completion);
        let places = params.submissions as usize;
        let first = area(&fd, SUBMISSIONS, sub.sixth as usize + 4 * places)?;
        let found = com.fifth as usize + size_of::<Done>() * params.completions as usize;
        let second = area(&fd, COMPLETIONS, found)?;
        let entry = area(&fd, ENTRIES, size_of::<Asked>() * places)?;
        let number = bell.as_raw_fd();
        let (call, one) = (libc::SYS_io_uring_register, &raw const number);
        // SAFETY: one integer, which the kernel has read when this returns.
        check(unsafe { libc::syscall(call, fd.as_raw_fd(), REGISTER_EVENTFD, one, 1) })?;
        // SAFETY: the offsets are the kernel's, inside of areas that stay mapped; both sides use these words atomically.
        unsafe {
            // The only place of the queue is the only entry.
            first.add(sub.sixth as usize).cast::<u32>().write(0);
            let word = |at: *mut u8| &*at.cast::<AtomicU32>();
            Ok(Uring {
                tail: word(first.add(sub.tail as usize)),
                entry: entry.cast(),
                done: second.add(com.fifth as usize).cast(),
                done_head: word(second.add(com.head as usize)),
                done_tail: word(second.add(com.tail as usize)),
                done_mask: second.add(com.mask as usize).cast::<u32>().read(),
                fd,
            })
        }
    }

    /// Begins to read, and returns.
    ///
    /// # Safety
    ///
    /// Nothing else is under way, and the buffer is that long and nobody's until this is done.
    pub unsafe fn read(
        &mut self,
        file: &impl AsRawFd,
        buffer: *mut u8,
        bytes: usize,
        offset: u64,
    ) -> io::Result<()> {
        let asked = Asked {
            opcode: READ,
            fd: file.as_raw_fd(),
            offset,
            buffer: buffer as u64,
            bytes: bytes as u32,
            ..Asked::default()
        };
        // SAFETY: the entry is mapped, and the kernel has copied the one before it.
        unsafe { self.entry.write(asked) };
        let tail = self.tail.load(Ordering::Relaxed);
        // What has been written is there when the kernel sees this.
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        let (call, none) = (libc::SYS_io_uring_enter, ptr::null::<libc::sigset_t>());
        // SAFETY: one entry, nothing is waited for, no signal mask.
        check(unsafe { libc::syscall(call, self.fd.as_raw_fd(), 1, 0, 0, none, 0) })?;
        Ok(())
    }

    /// How many bytes have been read, if it is done. Does not wait, and makes no call.
    pub fn finished(&mut self) -> Option<io::Result<i64>> {
        let head = self.done_head.load(Ordering::Relaxed);
        if head == self.done_tail.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: inside of the mapped entries; the kernel wrote it before the tail, and writes it again only after the head has moved.
        let result = unsafe { (*self.done.add((head & self.done_mask) as usize)).result };
        self.done_head
            .store(head.wrapping_add(1), Ordering::Release);
        Some(match result {
            0.. => Ok(result.into()),
            error => Err(io::Error::from_raw_os_error(-error)),
        })
    }
}

/// One of the ring's areas.
fn area(fd: &OwnedFd, offset: libc::off_t, bytes: usize) -> io::Result<*mut u8> {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let (kind, fd) = (libc::MAP_SHARED | libc::MAP_POPULATE, fd.as_raw_fd());
    // SAFETY: a mapping at an address of the kernel's choice touches nothing that is there.
    let at = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, kind, fd, offset) };
    match at == libc::MAP_FAILED {
        true => Err(io::Error::last_os_error()),
        false => Ok(at.cast()),
    }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
