//! The file under a writer: creating it safely, placing pages, and leaving it readable when the disk is full. Step: **trace**.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::header::{Layout, MAGIC};
use super::index;
use super::page::{self, PageHeader, PageKind};
use super::scan::Entry;
use super::sys;

/// Room kept free after the last page, so that the footer of a full disk's recording still finds some.
const RESERVE: u64 = 64 << 10;
/// Room is reserved in steps, so that most pages cost no extra call.
const STEP: u64 = 1 << 20;

fn private() -> OpenOptions {
    let mut open = OpenOptions::new();
    open.read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    open
}

/// Creates a file of that name, readable by its owner alone, never through a symbolic link and never over another one.
pub(crate) fn create(path: &Path) -> Result<File, Error> {
    private()
        .create_new(true)
        .open(path)
        .map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
            _ => Error::io("create", path)(e),
        })
}

/// Where a new file begins: under its own name, or beside the one that it will replace when it can be written to.
pub(crate) struct Place<'a> {
    path: &'a Path,
    beside: Option<PathBuf>,
}

impl Place<'_> {
    pub fn new(path: &Path, force: bool) -> Result<Place<'_>, Error> {
        let beside = match std::fs::symlink_metadata(path) {
            Ok(old) if force && !old.is_file() => return Err(Error::NotAFile(path.to_owned())),
            Ok(_) if force && is_something_else(path) => {
                return Err(Error::Foreign(path.to_owned()));
            }
            Ok(_) if force => {
                let mut name = path.as_os_str().to_owned();
                name.push(format!(".{}.part", std::process::id()));
                Some(PathBuf::from(name))
            }
            _ => None,
        };
        Ok(Place { path, beside })
    }

    pub fn at(&self) -> &Path {
        self.beside.as_deref().unwrap_or(self.path)
    }

    /// Takes the old file's name. A new file, not a truncated one: whoever reads the old one keeps it.
    pub fn settle(&self) -> Result<(), Error> {
        match &self.beside {
            Some(beside) => {
                std::fs::rename(beside, self.path).map_err(Error::io("replace", self.path))
            }
            None => Ok(()),
        }
    }
}

/// The file there is no recording, and not empty either. One that may not be read is taken for what it is called.
fn is_something_else(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|f| f.take(MAGIC.len() as u64).read_to_end(&mut start));
    read.is_ok() && !start.is_empty() && start != MAGIC
}

/// Creates a file without a name in `directory`.
pub(crate) fn unnamed(directory: &Path) -> Result<File, Error> {
    let mut open = OpenOptions::new();
    open.read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC);
    if let Ok(file) = open.open(directory) {
        return Ok(file);
    }
    // Not every file system has O_TMPFILE.
    let path = directory.join(format!(".loopscope-{}-{:x}", std::process::id(), random()));
    let file = create(&path)?;
    std::fs::remove_file(&path).map_err(Error::io("unlink", &path))?;
    Ok(file)
}

/// A number no other recording has; not a secret.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// Appends pages to a file and remembers where they stand.
#[derive(Debug)]
pub(crate) struct Pages {
    pub file: File,
    pub layout: Layout,
    /// Where the next page goes.
    pub at: u64,
    /// Where the pages start.
    pub start: u64,
    /// The pages in the file, oldest first.
    pub table: Vec<Entry>,
    /// Room is reserved up to here; nothing: the file system cannot.
    reserved: Option<u64>,
    /// Nothing more is to be kept free.
    spent: bool,
    packed: Vec<u8>,
}

impl Pages {
    pub fn new(file: File, layout: Layout, start: u64) -> Pages {
        Pages {
            file,
            layout,
            at: start,
            start,
            table: Vec::new(),
            reserved: Some(0),
            spent: false,
            packed: Vec::new(),
        }
    }

    /// Packs a payload, fills in the header and appends the page.
    pub fn put(&mut self, header: &mut PageHeader, raw: &[u8]) -> io::Result<()> {
        let mut scratch = std::mem::take(&mut self.packed);
        let packed = header.pack(raw, &mut scratch);
        let done = self.append(header, packed);
        self.packed = scratch;
        done
    }

    /// The room that was kept free after the last page is for the pages to come.
    pub fn spend_reserve(&mut self) {
        self.spent = true;
    }

    /// The size that a packed payload takes as a page in the file.
    pub fn size_of(&mut self, header: &mut PageHeader, raw: &[u8]) -> u64 {
        let mut scratch = std::mem::take(&mut self.packed);
        header.pack(raw, &mut scratch);
        self.packed = scratch;
        header.size()
    }

    /// Payload first, header last, so that a reader never meets a header without its payload.
    fn append(&mut self, header: &PageHeader, packed: &[u8]) -> io::Result<()> {
        let (at, end) = (self.at, self.at + header.size());
        let is_footer = matches!(
            PageKind::from_code(header.kind),
            Some(PageKind::Index | PageKind::End)
        );
        if !is_footer && !self.spent {
            self.reserve(end + RESERVE)?;
        }
        let written = self
            .file
            .write_all_at(packed, at + page::HEADER as u64)
            .and_then(|()| self.file.write_all_at(&header.encode(self.layout.id), at));
        if let Err(e) = written {
            // Half a page helps nobody; the room it took may.
            if self.layout.places == 0 {
                let _ = self.file.set_len(at);
                self.reserved = self.reserved.map(|r| r.min(at));
            }
            return Err(e);
        }
        self.table.push(Entry {
            at,
            header: *header,
        });
        self.at = end;
        Ok(())
    }

    fn reserve(&mut self, until: u64) -> io::Result<()> {
        let Some(reserved) = self.reserved.filter(|&r| r < until) else {
            return Ok(());
        };
        let from = reserved.max(self.start);
        // A generous step first; when the disk is too full for it, just what is needed.
        let done = sys::reserve(&self.file, from..until + STEP).map(|()| until + STEP);
        let done = match done {
            Err(e) if e.kind() != io::ErrorKind::Unsupported => {
                sys::reserve(&self.file, from..until).map(|()| until)
            }
            done => done,
        };
        match done {
            Ok(end) => self.reserved = Some(end),
            Err(e) if e.kind() == io::ErrorKind::Unsupported => self.reserved = None,
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Makes the start of a place that is used again unreadable, before it is overwritten.
    pub fn reuse(&mut self, at: u64) -> io::Result<()> {
        self.at = at;
        self.file.write_all_at(&[0; 4], at)
    }

    /// Writes page table and footer. A page table that does not fit into `room` is left out: walking the pages replaces it.
    pub fn footer(&mut self, end: &PageHeader, room: u64) -> io::Result<()> {
        let before = (self.at, self.table.len());
        let mut raw = Vec::new();
        index::encode(&self.table, &mut raw);
        let mut table = PageHeader {
            kind: PageKind::Index as u8,
            version: 1,
            ..*end
        };
        (table.loops, table.fds, table.words) = (0, 0, 0);
        let most = page::HEADER as u64 + (page::HEADER + raw.len()) as u64;
        let fits = most <= room || self.size_of(&mut table, &raw) + page::HEADER as u64 <= room;
        let indexed = fits && raw.len() <= page::MAX_RAW && self.put(&mut table, &raw).is_ok();
        let mut footer = PageHeader {
            kind: PageKind::End as u8,
            version: 1,
            ..*end
        };
        footer.loops = if indexed { before.0 } else { 0 };
        footer.words = u128::from(self.at);
        let done = self.put(&mut footer, &[]);
        if done.is_err() {
            self.at = before.0;
            self.table.truncate(before.1);
        }
        done
    }

    /// Writes page table and footer, and gives back the room that was kept for them.
    ///
    /// When the footer does not fit on the disk, the last pages make room: it says more than the page it replaces.
    /// Returns the pages given up.
    pub fn finish(&mut self, end: &PageHeader, room: u64) -> io::Result<Vec<Entry>> {
        let mut given_up: Vec<Entry> = Vec::new();
        let mut end = *end;
        while let Err(e) = self.footer(&end, room) {
            // In a circle the last page does not stand at the file's end.
            let may = self.layout.places == 0 && given_up.len() < 8;
            let Some(last) = may.then(|| self.table.pop()).flatten() else {
                return Err(e);
            };
            if last.header.kind == PageKind::Events as u8 {
                end.first_event -= u64::from(last.header.count);
            }
            self.at = last.at;
            let _ = self.file.set_len(self.at);
            given_up.push(last);
        }
        // In a circle the file may go on behind the last page; setting a length gives back reserved room.
        let len = if self.layout.places == 0 {
            self.at
        } else {
            self.file.metadata()?.len()
        };
        self.file.set_len(len)?;
        Ok(given_up)
    }
}
