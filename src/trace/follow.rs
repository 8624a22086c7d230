//! Taking in pages as they appear: after the last known one, or, with a size limit, around the circle of places. Step: **trace**.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;

use super::header::Found;
use super::scan::{self, Entry};
use super::table::Table;

/// What a [`Reader::refresh`](super::Reader::refresh) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More events can be read.
    Grown,
    /// Nothing new; the writer is still at work.
    Same,
    /// Nothing new, and nothing will come: finished, or the writer is gone.
    Ended,
}

/// Whether a writer holds the file.
pub(crate) fn live(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => {
            let _ = file.unlock();
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => false,
    }
}

/// Takes in what comes after byte `at` of a file that just grows. Returns where to go on.
pub(crate) fn grow(
    file: &File,
    found: &Found,
    table: &mut Table,
    at: u64,
    len: u64,
) -> io::Result<u64> {
    if len <= at {
        return Ok(at);
    }
    let walk = scan::walk(file, at..len, found.layout.id)?;
    let mut damaged = walk.damaged.into_iter().peekable();
    for entry in walk.pages {
        let bytes = damaged.next_if(|d| d.start < entry.at);
        table.take(entry, bytes);
    }
    Ok(walk.end)
}

fn place(found: &Found, segment: u32) -> u64 {
    let layout = &found.layout;
    found
        .end
        .saturating_add(u64::from(segment % layout.places).saturating_mul(layout.place_size))
}

fn tail(found: &Found) -> u64 {
    found
        .end
        .saturating_add(u64::from(found.layout.places).saturating_mul(found.layout.place_size))
}

/// Takes in what comes after byte `at` of a file with a size limit. Nothing: the writer has lapped us, look afresh.
pub(crate) fn grow_circle(
    file: &File,
    found: &Found,
    table: &mut Table,
    mut at: u64,
    len: u64,
) -> io::Result<Option<u64>> {
    let id = found.layout.id;
    let at_least = |entry: &Entry, segment| entry.header.segment >= segment;
    loop {
        // A page of an older segment is what the writer has not got round to overwriting.
        if let Some(entry) =
            scan::header_at(file, at, len, id)?.filter(|e| at_least(e, table.segment))
        {
            if entry.header.segment > table.segment {
                return Ok(None);
            }
            at = entry.end();
            table.take(entry, None);
            continue;
        }
        // There is none after the last number; a hostile page that bears it must not be taken again and again.
        let Some(next) = table.segment.checked_add(1) else {
            return Ok(Some(at));
        };
        let start = place(found, next);
        if let Some(entry) = scan::header_at(file, start, len, id)?.filter(|e| at_least(e, next)) {
            // A gap: what lay between has been overwritten before we came.
            if entry.header.segment > next || entry.header.first_event != table.end {
                return Ok(None);
            }
            table.drop_before(next.saturating_add(1).saturating_sub(found.layout.places));
            at = entry.end();
            table.take(entry, None);
            continue;
        }
        // The footer of a file that has gone round stands behind the places.
        let behind = scan::header_at(file, tail(found), len, id)?
            .filter(|e| e.header.segment == table.segment);
        match behind {
            Some(entry) if at < tail(found) && len > tail(found) => {
                at = entry.end();
                table.take(entry, None);
            }
            _ => return Ok(Some(at)),
        }
    }
}

/// Finds all pages of a file with a size limit. Returns where to go on.
pub(crate) fn walk_circle(
    file: &File,
    found: &Found,
    table: &mut Table,
    len: u64,
) -> io::Result<u64> {
    let layout = found.layout;
    let mut all: Vec<(Entry, Option<Range<u64>>)> = Vec::new();
    let mut cursor = found.end;
    // A hostile header may promise billions of places: only those that the file reaches are looked at.
    let reached = len
        .saturating_sub(found.end)
        .checked_div(layout.place_size)
        .map_or(0, |whole| whole + 1)
        .min(u64::from(layout.places)) as u32;
    for index in (0..reached).chain([layout.places]) {
        let start = cursor.max(
            found
                .end
                .saturating_add(u64::from(index).saturating_mul(layout.place_size)),
        );
        let stop = if index == layout.places {
            len
        } else {
            found
                .end
                .saturating_add(u64::from(index + 1).saturating_mul(layout.place_size))
                .min(len)
        };
        if start >= stop {
            continue;
        }
        let (pages, damaged) = region(file, start..stop, len, layout.id)?;
        cursor = pages.last().map_or(start, Entry::end);
        // What is left of an older segment is stale: half overwritten, without its start.
        let newest = pages.iter().map(|e| e.header.segment).max().unwrap_or(0);
        let mut damaged = damaged.into_iter().peekable();
        for entry in pages {
            let mut bytes = None;
            while let Some(range) = damaged.next_if(|d| d.start < entry.at) {
                bytes = Some(range);
            }
            if entry.header.segment == newest {
                all.push((entry, bytes));
            }
        }
    }
    all.sort_by_key(|(e, _)| (e.header.segment, e.at));
    // A place whose first page is gone was just being reused; only the oldest segment's can be.
    let restated = |e: &Entry| e.header.kind == super::PageKind::Restated as u8;
    if let Some(oldest) = all
        .first()
        .map(|(e, _)| e.header.segment)
        .filter(|&s| s > 0)
    {
        let headless = !all
            .iter()
            .any(|(e, _)| e.header.segment == oldest && restated(e));
        let more = all.iter().any(|(e, _)| e.header.segment > oldest);
        if headless && more {
            all.retain(|(e, _)| e.header.segment > oldest);
        }
    }
    table.open_start = all.first().is_some_and(|(e, _)| e.header.segment > 0);
    let last = all.last().map_or(found.end, |(e, _)| e.end());
    all.into_iter()
        .for_each(|(entry, damaged)| table.take(entry, damaged));
    Ok(last)
}

/// The pages that start in `range` and end before `len`, and the damage between them.
fn region(
    file: &File,
    range: Range<u64>,
    len: u64,
    id: u64,
) -> io::Result<(Vec<Entry>, Vec<Range<u64>>)> {
    let (mut pages, mut damaged) = (Vec::new(), Vec::new());
    let mut at = range.start;
    while at < range.end {
        match scan::header_at(file, at, len, id)? {
            Some(entry) => {
                at = entry.end();
                pages.push(entry);
            }
            None => match scan::next_header(file, at + 1..range.end, id)? {
                Some(next) => {
                    damaged.push(at..next);
                    at = next;
                }
                None => break,
            },
        }
    }
    Ok((pages, damaged))
}

/// Whether the place of a segment now belongs to a later one.
pub(crate) fn overwritten(file: &File, found: &Found, segment: u32) -> io::Result<bool> {
    let mut start = [0; 4];
    let at = place(found, segment);
    let now = scan::header_at(file, at, u64::MAX, found.layout.id)?;
    // The writer zeroes a place's first bytes before it starts on it.
    let zeroed = scan::read_at(file, &mut start, at)? == 4 && start == [0; 4];
    Ok(zeroed || now.is_some_and(|e| e.header.segment > segment))
}

#[cfg(test)]
mod tests {
    use super::super::header::{self, Layout};
    use super::super::{Meta, Reader};
    use std::os::unix::fs::FileExt;

    /// Billions of places in a file that reaches none of them: opening looks at what is there.
    #[test]
    fn promised_places_cost_nothing() {
        for (places, place_size) in [
            (u32::MAX, 1 << 40),
            (u32::MAX, u64::MAX),
            (u32::MAX, 1),
            (1, 0),
        ] {
            let layout = Layout {
                places,
                place_size,
                id: 7,
            };
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&header::encode(&Meta::default(), layout), 0)
                .unwrap();
            let mut reader = Reader::from_file(file, "promised").unwrap();
            assert!(reader.is_empty() && !reader.complete());
            reader.refresh().unwrap();
        }
    }
}
