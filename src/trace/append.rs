//! Adding derived pages to a recording that exists already. Step: **trace**.
//!
//! New pages go after the footer, then a new page table and a new footer. Until that footer is written, the old one is
//! found by walking the pages: a crash at any point leaves what was there before, and the next append tidies up.

use std::fs::OpenOptions;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;
use super::file::Pages;
use super::page::{MAX_RAW, PageHeader};
use super::reader::Reader;
use super::stored::derived_header;

/// Adds derived pages to a recording.
#[derive(Debug)]
pub struct Appender {
    pages: Pages,
    path: PathBuf,
    end: PageHeader,
    complete: bool,
    /// Where the file ended before.
    start: u64,
    finished: bool,
}

impl Appender {
    /// Opens a recording that nobody writes to.
    pub fn open(path: impl AsRef<Path>) -> Result<Appender, Error> {
        let path = path.as_ref();
        let mut open = OpenOptions::new();
        open.read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
        let file = open
            .open(path)
            .map_err(Error::io("open for writing", path))?;
        // A reader that asks whether a writer is there holds the lock for an instant.
        let free = (0..10).any(|attempt| {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            file.try_lock().is_ok()
        });
        if !free {
            return Err(Error::Busy(path.to_owned()));
        }
        let handle = file.try_clone().map_err(Error::io("open", path))?;
        let reader = Reader::from_file(handle, path)?;
        let (found, complete, at, table) = reader.into_parts()?;
        let segment = table.iter().map(|e| e.header.segment).max().unwrap_or(0);
        let end = table
            .iter()
            .rev()
            .find(|e| e.header.kind == super::PageKind::End as u8)
            .map(|e| e.header);
        let end = end.unwrap_or(PageHeader {
            segment,
            ..PageHeader::default()
        });
        let mut pages = Pages::new(file, found.layout, found.end);
        // What follows the last whole page is left over from a crash.
        pages.at = at;
        if found.layout.places == 0 || complete {
            pages.file.set_len(at).map_err(Error::io("shorten", path))?;
        }
        pages.table = table;
        Ok(Appender {
            pages,
            path: path.to_owned(),
            end,
            complete,
            start: at,
            finished: false,
        })
    }

    /// How large the file is so far, in bytes.
    pub fn bytes(&self) -> u64 {
        self.pages.at
    }

    /// Adds bytes that a version of the model computed from `events`.
    pub fn derived(
        &mut self,
        kind: u16,
        model_version: u32,
        events: Range<u64>,
        bytes: &[u8],
    ) -> Result<(), Error> {
        if bytes.len() > MAX_RAW {
            return Err(Error::TooLarge {
                what: "a derived page",
                len: bytes.len(),
                most: MAX_RAW,
            });
        }
        let mut header = derived_header(kind, model_version, events, self.end.first_event);
        header.segment = self.end.segment;
        self.pages
            .put(&mut header, bytes)
            .map_err(Error::io("write", &self.path))
    }

    /// Writes the new page table and footer. A recording that had no footer gets none: it stays marked as cut short.
    pub fn finish(mut self) -> Result<(), Error> {
        if !self.complete {
            return Ok(());
        }
        let added = self
            .pages
            .file
            .sync_data()
            .and_then(|()| self.pages.footer(&self.end, u64::MAX));
        self.finished = added.is_ok();
        added.map_err(Error::io("finish", &self.path))
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        if self.complete && !self.finished {
            // The disk is full, or nothing came of it: the old footer is the file's end again, and takes no more room.
            let _ = self.pages.file.set_len(self.start);
        }
    }
}
