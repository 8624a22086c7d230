//! A mapped file whose pages are not in memory, made deterministic: the first touch of each page takes so long, on every machine.
//! userfaultfd(2) lets a thread of the program be the disk: the kernel tells it which page is missing, puts whoever touched
//! it to sleep, and wakes that thread when the page has been brought. Step: **event** → ring.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr;
use std::thread;
use std::time::Duration;

/// Bytes of a page, at least on the machines this runs on; a larger one makes fewer of them.
pub const PAGE: usize = 4096;

/// From linux/userfaultfd.h: its version, its calls, and the flag that an ordinary user has to give: only faults of user code.
const API: u64 = 0xaa;
const USER_MODE_ONLY: i32 = 1;
const UFFDIO_API: libc::Ioctl = 0xc018_aa3f_u32 as libc::Ioctl;
const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00_u32 as libc::Ioctl;
const UFFDIO_COPY: libc::Ioctl = 0xc028_aa03_u32 as libc::Ioctl;
const MODE_MISSING: u64 = 1;
const PAGEFAULT: u8 = 0x12;

/// The mapping.
#[derive(Debug)]
pub struct ColdFile {
    base: *const u8,
    pages: usize,
}

// SAFETY: the memory is only read, and stays mapped as long as the process lives.
unsafe impl Send for ColdFile {}
// SAFETY: as above.
unsafe impl Sync for ColdFile {}

impl ColdFile {
    /// So many pages, each of which comes so long after it was first touched. An error where userfaultfd is refused.
    pub fn new(pages: usize, latency: Duration) -> io::Result<ColdFile> {
        let flags = libc::O_CLOEXEC | USER_MODE_ONLY;
        // SAFETY: no memory is passed.
        let fd = check(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) })?;
        // SAFETY: a descriptor the kernel has just made for us.
        let disk = unsafe { File::from_raw_fd(fd as i32) };
        ask(&disk, UFFDIO_API, &mut [API, 0, 0])?;
        let (len, protection) = (pages * PAGE, libc::PROT_READ | libc::PROT_WRITE);
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, kind, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let registration = &mut [base as u64, len as u64, MODE_MISSING, 0];
        ask(&disk, UFFDIO_REGISTER, registration)?;
        let serve = move || bring(disk, latency);
        thread::Builder::new()
            .name("disk".to_owned())
            .spawn(serve)?;
        let base = base.cast_const().cast();
        Ok(ColdFile { base, pages })
    }

    /// A byte of each of these pages. No call is made; a page that is not there is brought first.
    pub fn look(&self, pages: std::ops::Range<usize>) -> u64 {
        let look = |page: usize| {
            let at = page % self.pages * PAGE;
            // SAFETY: inside the mapping, which is never unmapped.
            u64::from(unsafe { self.base.add(at).read_volatile() })
        };
        pages.map(look).sum()
    }
}

/// The disk: a page for each fault, after a while.
fn bring(mut disk: File, latency: Duration) -> io::Result<()> {
    let page = vec![b'.'; PAGE];
    let mut message = [0; 32];
    loop {
        disk.read_exact(&mut message)?;
        if message[0] != PAGEFAULT {
            continue;
        }
        // The address is the third word.
        let address = message.iter().skip(16).take(8).rev();
        let address = address.fold(0, |sum: u64, &byte| sum << 8 | u64::from(byte));
        thread::sleep(latency);
        let start = address & !(PAGE as u64 - 1);
        let copy = &mut [start, page.as_ptr() as u64, PAGE as u64, 0, 0];
        ask(&disk, UFFDIO_COPY, copy)?;
    }
}

/// An ioctl whose argument is so many words.
fn ask(disk: &File, request: libc::Ioctl, words: &mut [u64]) -> io::Result<()> {
    // SAFETY: the request's number says how long its argument is, and the words are that long.
    check(unsafe { libc::ioctl(disk.as_raw_fd(), request, words.as_mut_ptr()) }.into()).map(|_| ())
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
