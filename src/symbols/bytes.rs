//! A file that nobody trusts, read piece by piece: what a header claims is never allocated before it is compared with
//! bounds. Step: … → **view**.

use object::read::{ReadCache, ReadRef};
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The largest piece, packed or unpacked: the debug information of the largest programs has sections above it, of which
/// then only the symbols are used.
pub(super) const PIECE: u64 = 256 << 20;
/// All pieces of a file.
const WHOLE: u64 = 512 << 20;

/// An open file.
pub(super) struct Bytes {
    cache: ReadCache<File>,
    left: Cell<u64>,
}

impl Bytes {
    /// Opens a regular file; anything else would hold us up, or never end.
    pub fn open(path: &Path) -> Option<Bytes> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let file = options.open(path).ok()?;
        file.metadata().ok()?.is_file().then(|| Bytes {
            cache: ReadCache::new(file),
            left: Cell::new(WHOLE),
        })
    }

    /// So much more is about to be held; false if that is too much.
    pub fn may_hold(&self, size: u64) -> bool {
        let left = self.left.get().checked_sub(size).filter(|_| size <= PIECE);
        if let Some(left) = left {
            self.left.set(left);
        }
        left.is_some()
    }
}

impl<'a> ReadRef<'a> for &'a Bytes {
    fn len(self) -> Result<u64, ()> {
        self.cache.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        match self.may_hold(size) {
            true => (&self.cache).read_bytes_at(offset, size),
            false => Err(()),
        }
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        // At most 4,096 bytes each, in steps of 256.
        match self.may_hold(256) {
            true => (&self.cache).read_bytes_at_until(range, delimiter),
            false => Err(()),
        }
    }
}
