//! A file in memory for each run of a fuzz target.

use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;

/// An anonymous file in memory with this content.
pub fn memory_file(content: &[u8]) -> File {
    // SAFETY: the name is a C string; the descriptor is new and owned by nobody else.
    let file = unsafe {
        let fd = libc::memfd_create(c"fuzz".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create failed");
        File::from_raw_fd(fd)
    };
    file.write_all_at(content, 0).expect("room in memory");
    file
}
