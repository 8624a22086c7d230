//! The one system call that the standard library does not offer. Step: **trace**.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Reserves room for these bytes without changing the file's length, so that writing them later cannot meet a full disk.
///
/// `Unsupported` when the file system does not know how.
pub(crate) fn reserve(file: &File, bytes: Range<u64>) -> io::Result<()> {
    let too_far = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let at = libc::off_t::try_from(bytes.start).map_err(too_far)?;
    let len = libc::off_t::try_from(bytes.end.saturating_sub(bytes.start)).map_err(too_far)?;
    loop {
        // SAFETY: fallocate(2) takes a descriptor, which `file` keeps open, and three integers; it touches no memory of ours.
        let done = unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, at, len) };
        if done == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ENODEV) => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            _ => return Err(error),
        }
    }
}
