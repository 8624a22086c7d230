//! The shared memory behind a session's rings: a memfd, fully allocated, sealed, mapped populated.
//! Step: event → **ring**.
//!
//! Allocating before sealing makes a full memory an error here instead of a SIGBUS in the recorded program, and the
//! seals keep that program, or anyone who gets the descriptor, from taking the pages away again.

use crate::record::clock::Clock;
use crate::record::segment::{Layout, Segment};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::AtomicU64;

/// Why there is no shared memory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No memfd.
    #[error("cannot make shared memory; a kernel with memfd_create is needed")]
    Memfd(#[source] io::Error),
    /// Not enough memory.
    #[error(
        "cannot allocate {0} bytes of shared memory; free some memory, or raise the limits on memory and on file sizes (ulimit -v, -f)"
    )]
    Allocate(usize, #[source] io::Error),
    /// The control group will not have it.
    #[error(
        "cannot allocate {0} bytes of shared memory where a control group allows no more than {1} in all; raise its memory limit"
    )]
    Limited(usize, u64),
    /// Sealing failed.
    #[error("cannot seal shared memory; a kernel with memfd seals is needed")]
    Seal(#[source] io::Error),
    /// Mapping failed.
    #[error("cannot map shared memory; raise the limit on address space (ulimit -v)")]
    Map(#[source] io::Error),
    /// The layout makes no sense.
    #[error(transparent)]
    Layout(#[from] crate::record::segment::Bad),
}

/// What the recorder itself needs besides.
const OURS: u64 = 8 << 20;

/// The memory of a segment: what programs get.
#[derive(Debug)]
pub struct Memory {
    memfd: OwnedFd,
    bytes: usize,
}

impl Memory {
    /// Fresh rings of this layout. The mapping lives as long as this process: programs that run on may still push.
    pub fn create(layout: Layout, clock: Clock, nonce: u64) -> Result<(Memory, Segment), Error> {
        let bytes = layout.bytes()?;
        // Beyond the limit the kernel kills somebody: perhaps us, perhaps the program.
        if let Some(limit) = super::cgroup::memory_limit()
            && limit < bytes as u64 + OURS
        {
            return Err(Error::Limited(bytes, limit));
        }
        let memfd = create_memfd().map_err(Error::Memfd)?;
        allocate(memfd.as_fd(), bytes).map_err(|e| Error::Allocate(bytes, e))?;
        seal(memfd.as_fd()).map_err(Error::Seal)?;
        let base = map(memfd.as_fd(), bytes).map_err(Error::Map)?;
        // SAFETY: `map` gave `bytes` readable and writable bytes, page-aligned, and nothing ever unmaps them; the
        // seals keep their pages.
        let segment = unsafe { Segment::create(base, bytes as u64 / 8, layout, clock, nonce) }?;
        Ok((Memory { memfd, bytes }, segment))
    }

    /// What a program maps.
    pub fn memfd(&self) -> BorrowedFd<'_> {
        self.memfd.as_fd()
    }

    /// Its length.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn create_memfd() -> io::Result<OwnedFd> {
    let sealable = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // MFD_NOEXEC_SEAL is wanted by hardened systems (vm.memfd_noexec) and unknown before Linux 6.3.
    for flags in [sealable | libc::MFD_NOEXEC_SEAL, sealable] {
        // SAFETY: the name is a valid C string; the call returns a new descriptor or −1.
        let fd = unsafe { libc::memfd_create(c"loopscope".as_ptr(), flags) };
        if fd >= 0 {
            // SAFETY: a fresh descriptor that nobody else owns.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
    }
    Err(io::Error::from_raw_os_error(libc::EINVAL))
}

fn allocate(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: a live descriptor and two numbers.
    match unsafe { libc::posix_fallocate(fd.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn seal(fd: BorrowedFd<'_>) -> io::Result<()> {
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: a live descriptor; F_ADD_SEALS takes an integer.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn map(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<*const AtomicU64> {
    // SAFETY: a fresh shared mapping of a descriptor whose size `allocate` has set.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_POPULATE,
            fd.as_raw_fd(),
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(base.cast_const().cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_take_the_pages_away() {
        let (memory, segment) = Memory::create(Layout::default(), Clock::Monotonic, 7).unwrap();
        assert_eq!(segment.nonce(), 7);
        assert!(memory.bytes() <= 16 << 20);
        let fd = memory.memfd().as_raw_fd();
        // SAFETY: a live descriptor.
        assert_eq!(unsafe { libc::ftruncate(fd, 4096) }, -1);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::ftruncate(fd, 1 << 30) }, -1);
        // SAFETY: as above.
        let unsealed = unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_WRITE) };
        assert_eq!(unsealed, -1);
    }
}
