//! Finding pages by walking from header to header, and getting back in step after damage. Step: **trace**.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::page::{HEADER, PageHeader, SYNC};

/// A page's header and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub at: u64,
    pub header: PageHeader,
}

impl Entry {
    /// The byte after the page.
    pub fn end(&self) -> u64 {
        self.at + self.header.size()
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub pages: Vec<Entry>,
    /// Byte ranges between pages that are no page.
    pub damaged: Vec<Range<u64>>,
    /// The end of the last whole page: what follows is not (yet) a page.
    pub end: u64,
}

/// Reads as much of `buffer` as the file has at `at`; how many bytes that was.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    // The kernel refuses offsets that no file can have; a damaged recording may name one.
    if at > i64::MAX as u64 - buffer.len() as u64 {
        return Ok(0);
    }
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], at + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// The page header at `at`, if one is there and its page ends before `end`.
pub(crate) fn header_at(file: &File, at: u64, end: u64, id: u64) -> io::Result<Option<Entry>> {
    let mut bytes = [0; HEADER];
    if end.saturating_sub(at) < HEADER as u64 || read_at(file, &mut bytes, at)? < HEADER {
        return Ok(None);
    }
    let entry = PageHeader::decode(&bytes, id).map(|header| Entry { at, header });
    Ok(entry.filter(|e| e.end() <= end))
}

/// Walks the pages in `range`, resynchronising on the next sync marker after damage.
pub(crate) fn walk(file: &File, range: Range<u64>, id: u64) -> io::Result<Walk> {
    let mut walk = Walk {
        end: range.start,
        ..Walk::default()
    };
    let mut at = range.start;
    while at < range.end {
        match header_at(file, at, range.end, id)? {
            Some(entry) => {
                at = entry.end();
                walk.pages.push(entry);
                walk.end = at;
            }
            None => match next_header(file, at + 1..range.end, id)? {
                Some(next) => {
                    walk.damaged.push(at..next);
                    at = next;
                }
                None => break,
            },
        }
    }
    Ok(walk)
}

/// The first position in `range` where a whole page starts.
pub(crate) fn next_header(file: &File, range: Range<u64>, id: u64) -> io::Result<Option<u64>> {
    let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    let mut window = vec![0; len.min(256 * 1024)];
    let mut at = range.start;
    while at < range.end {
        let want = window
            .len()
            .min(usize::try_from(range.end - at).unwrap_or(usize::MAX));
        let n = read_at(file, &mut window[..want], at)?;
        let bytes = &window[..n];
        let mut from = 0;
        while let Some(step) = bytes[from..].iter().position(|&b| b == SYNC[0]) {
            from += step;
            let here = at + from as u64;
            if bytes.len() - from >= 4
                && bytes[from..from + 4] == SYNC
                && header_at(file, here, range.end, id)?.is_some()
            {
                return Ok(Some(here));
            }
            from += 1;
        }
        if n < want || n < 4 {
            break;
        }
        // A marker may lie across the window's edge.
        at += (n - 3) as u64;
        if at + 4 > range.end {
            break;
        }
    }
    Ok(None)
}
