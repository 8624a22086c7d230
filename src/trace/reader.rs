//! Reading a recording: open in O(page table), any page on its own, damage reported and passed over. Step: **trace** → model.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::error::{Error, Problem};
use super::events::{Cursor, Events};
use super::follow::{self, Progress};
use super::header::{self, Found, Refusal};
use super::index;
use super::meta::Meta;
use super::page::{HEADER, PageHeader, PageKind};
use super::recent::{Key, Recent};
use super::scan::{self, Entry};
use super::table::{PageInfo, State, Table};
use super::unpack::{Unpacked, Unpacker};
use crate::record::event::{Cause, Event, Kind, flags};

/// A page of so many events is worth a thread that reads it: to start one takes as long as to decode a thousand or two.
const WORTH: u64 = 8_192;

/// Reads one recording.
#[derive(Debug)]
pub struct Reader {
    file: File,
    pub(super) path: PathBuf,
    found: Found,
    pub(super) table: Table,
    /// Where to look for the next page.
    at: u64,
    /// Events of newer kinds, by the page that holds them.
    newer: BTreeMap<u64, u64>,
    pub(super) unpacker: Unpacker,
    /// The one of [`Reader::read_ahead`].
    ahead: Unpacker,
    recent: Recent,
}

impl Reader {
    /// Opens a recording.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader, Error> {
        let path = path.as_ref();
        // Non-blocking, so that a named pipe is refused and not waited for.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path);
        Reader::from_file(file.map_err(Error::io("open", path))?, path)
    }

    /// Reads the recording in an open file; `path` is for messages.
    pub fn from_file(file: File, path: impl AsRef<Path>) -> Result<Reader, Error> {
        let path = path.as_ref().to_owned();
        let found = find_header(&file, &path)?;
        let mut table = Table::default();
        table
            .problems
            .extend(found.damaged.map(|copy| Problem::Header { copy }));
        let mut reader = Reader {
            at: found.end,
            file,
            path,
            found,
            table,
            newer: BTreeMap::new(),
            unpacker: Unpacker::default(),
            ahead: Unpacker::default(),
            recent: Recent::default(),
        };
        // Asked before looking: what a writer adds between the two is found by the look.
        let live = follow::live(&reader.file);
        let len = reader.len_bytes()?;
        if !reader.take_index(len)? {
            reader.walk(len)?;
        }
        reader.table.set_front();
        if !live {
            let stray = len.saturating_sub(reader.at);
            if !reader.table.complete {
                reader.table.problems.push(Problem::Unfinished {
                    at: reader.at,
                    stray,
                });
            } else if stray > 0 && !reader.circle() {
                reader.table.problems.push(Problem::Page {
                    kind: None,
                    events: reader.table.end..reader.table.end,
                    bytes: reader.at..len,
                });
            }
        }
        Ok(reader)
    }

    fn circle(&self) -> bool {
        self.found.layout.places > 0
    }

    fn len_bytes(&self) -> Result<u64, Error> {
        Ok(self
            .file
            .metadata()
            .map_err(Error::io("look at", &self.path))?
            .len())
    }

    /// Takes the page table from the end of a complete file, if one is there.
    fn take_index(&mut self, len: u64) -> Result<bool, Error> {
        let Some(at) = len
            .checked_sub(HEADER as u64)
            .filter(|&at| at >= self.found.end)
        else {
            return Ok(false);
        };
        let footer = scan::header_at(&self.file, at, len, self.found.layout.id)
            .map_err(Error::io("read", &self.path))?;
        let is_footer = |e: &Entry| {
            e.header.kind == PageKind::End as u8
                && e.header.words == u128::from(at)
                && e.header.loops > 0
        };
        let Some(footer) = footer.filter(is_footer) else {
            return Ok(false);
        };
        let table_at = footer.header.loops;
        let table = self
            .payload(table_at)?
            .filter(|h| h.kind == PageKind::Index as u8);
        let pages = table.and_then(|header| {
            let rows = index::decode(self.raw(), table_at)?;
            let inside = rows.iter().all(|row| row.at >= self.found.end);
            inside.then_some((
                rows,
                Entry {
                    at: table_at,
                    header,
                },
            ))
        });
        let Some((pages, table)) = pages else {
            self.table.problems.push(Problem::Index { at: table_at });
            return Ok(false);
        };
        self.table.open_start =
            self.circle() && pages.first().is_some_and(|e| e.header.segment > 0);
        pages
            .into_iter()
            .chain([table, footer])
            .for_each(|entry| self.table.take(entry, None));
        self.at = len;
        Ok(true)
    }

    /// Finds the pages by walking from one to the next.
    fn walk(&mut self, len: u64) -> Result<(), Error> {
        let at = match self.circle() {
            true => follow::walk_circle(&self.file, &self.found, &mut self.table, len),
            false => follow::grow(
                &self.file,
                &self.found,
                &mut self.table,
                self.found.end,
                len,
            ),
        };
        self.at = at.map_err(Error::io("read", &self.path))?;
        Ok(())
    }

    /// Looks for what the writer has added since. With a size limit, pages at the front may be gone afterwards.
    pub fn refresh(&mut self) -> Result<Progress, Error> {
        let live = !self.table.complete && follow::live(&self.file);
        let len = self.len_bytes()?;
        let before = self.table.end;
        if self.circle() {
            let segment = self.table.segment;
            let grown = follow::grow_circle(&self.file, &self.found, &mut self.table, self.at, len);
            match grown.map_err(Error::io("read", &self.path))? {
                Some(at) => self.at = at,
                None => {
                    self.table = Table::new(std::mem::take(&mut self.table.problems));
                    self.walk(len)?;
                }
            }
            if self.table.segment != segment {
                self.table.set_front();
            }
        } else {
            let at = follow::grow(&self.file, &self.found, &mut self.table, self.at, len);
            self.at = at.map_err(Error::io("read", &self.path))?;
        }
        Ok(
            match (self.table.end != before, live && !self.table.complete) {
                (true, _) => Progress::Grown,
                (false, true) => Progress::Same,
                (false, false) => Progress::Ended,
            },
        )
    }

    /// What the recording says about itself.
    pub fn meta(&self) -> &Meta {
        &self.found.meta
    }

    /// How many events it holds: `end() - first()`.
    pub fn len(&self) -> u64 {
        self.table.end.saturating_sub(self.first())
    }

    /// Whether it holds no event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the first event kept; more than 0 when older ones were dropped to honour a size limit.
    pub fn first(&self) -> u64 {
        self.table
            .pages
            .first()
            .map_or(self.table.end, |p| p.first_event)
    }

    /// One more than the number of the last event.
    pub fn end(&self) -> u64 {
        self.table.end
    }

    /// The instant of the latest event, in nanoseconds since the recording's start.
    pub fn duration_ns(&self) -> u64 {
        self.table.pages.last().map_or(0, |p| p.t_end)
    }

    /// The file's size in bytes.
    pub fn bytes(&self) -> Result<u64, Error> {
        self.len_bytes()
    }

    /// Whether the footer was read and no damage has been met so far.
    pub fn complete(&self) -> bool {
        self.table.complete && self.table.problems.is_empty()
    }

    /// What is wrong with the file, as far as has been read.
    pub fn problems(&self) -> &[Problem] {
        &self.table.problems
    }

    /// How many of its events damage has taken, as far as has been read.
    pub fn damaged(&self) -> u64 {
        let damaged = self
            .table
            .pages
            .iter()
            .filter(|p| p.state == State::Damaged);
        damaged.map(|p| p.count).sum()
    }

    /// Events of kinds newer than this version, met so far: each reads as a [`Kind::Lost`] with cause [`Cause::Newer`].
    pub fn newer(&self) -> u64 {
        self.newer.values().sum()
    }

    /// The pages of events, in order. Indices stay valid until the next [`Reader::refresh`]. When older events were
    /// dropped, pages that restate what is needed of them come first.
    pub fn pages(&self) -> &[PageInfo] {
        &self.table.pages
    }

    /// The page that holds event `number`; for the first event or before, the very first page; past the end, the
    /// number of pages.
    pub fn page_of(&self, number: u64) -> usize {
        match number <= self.first() && !self.is_empty() {
            true => 0,
            false => self
                .table
                .pages
                .partition_point(|p| p.first_event + p.count <= number),
        }
    }

    /// Reads page `index` into `out`. A page that cannot be had yields one [`Kind::Lost`] event (its `aux` says why) that
    /// bears the number of the first event lost, stands at the end of the hole and reaches `y` nanoseconds back.
    pub fn read_page(&mut self, index: usize, out: &mut Events) -> Result<(), Error> {
        let Some(info) = self.table.pages.get(index).cloned() else {
            out.clear(self.table.end, true);
            return Ok(());
        };
        out.clear(info.first_event, info.kind == PageKind::Events);
        let mut state = info.state;
        if state == State::Good {
            state = self.decode(&info, out)?;
        }
        if state == State::Good {
            return Ok(());
        }
        if info.state == State::Good {
            self.table.pages[index].state = state;
            let (events, bytes) = (info.events(), info.at..info.at + info.size);
            self.table.problems.push(match state {
                State::Newer => Problem::Newer { events },
                State::Dropped => Problem::Dropped { events },
                _ => Problem::Page {
                    kind: Some(info.kind),
                    events,
                    bytes,
                },
            });
        }
        let cause = match state {
            State::Newer => Cause::Newer,
            State::Dropped => Cause::Dropped,
            _ => Cause::Damaged,
        };
        let before = index
            .checked_sub(1)
            .map_or(0, |i| self.table.pages[i].t_end);
        out.events.clear();
        out.text.clear();
        out.events.push(Event {
            t: info.t_last,
            kind: Kind::Lost,
            aux: cause.code(),
            arg: info.count,
            y: info.t_last.saturating_sub(before),
            thread: 0,
            fd: -1,
            ..Event::default()
        });
        Ok(())
    }

    /// The same, shared: the pages read last are kept.
    pub fn page(&mut self, index: usize) -> Result<Arc<Events>, Error> {
        let Some(info) = self.table.pages.get(index) else {
            let mut none = Events::default();
            self.read_page(index, &mut none)?;
            return Ok(Arc::new(none));
        };
        let key = key(info);
        if let Some(events) = self.recent.get(key) {
            return Ok(events);
        }
        let mut events = self.recent.room();
        self.read_page(index, &mut events)?;
        Ok(self.recent.keep(key, events))
    }

    /// Does `work` while page `next` is read on another thread: who goes from page to page finds it there.
    pub fn read_ahead<T>(&mut self, next: usize, work: impl FnOnce() -> T) -> T {
        let info = self.table.pages.get(next);
        let info = info.filter(|p| p.state == State::Good && p.count > WORTH);
        let Some(info) = info.filter(|p| !self.recent.has(key(p))) else {
            return work();
        };
        let mut events = self.recent.room();
        events.clear(info.first_event, info.kind == PageKind::Events);
        let (ahead, file, id) = (&mut self.ahead, &self.file, self.found.layout.id);
        let (read, done) = thread::scope(|scope| {
            let read = || ahead.page(file, id, info, &mut events);
            let read = thread::Builder::new().spawn_scoped(scope, read);
            let done = work();
            (read.map(thread::ScopedJoinHandle::join), done)
        });
        // Whatever else came of it, who reads the page will find again, and say.
        if matches!(read, Ok(Ok(Ok(Unpacked::Events(0))))) {
            self.recent.keep(key(info), events);
        }
        done
    }

    fn decode(&mut self, info: &PageInfo, out: &mut Events) -> Result<State, Error> {
        let (file, id) = (&self.file, self.found.layout.id);
        let read = self.unpacker.page(file, id, info, out);
        Ok(match read.map_err(Error::io("read", &self.path))? {
            Unpacked::Events(0) => State::Good,
            Unpacked::Events(newer) => {
                self.newer.insert(info.first_event, newer);
                State::Good
            }
            Unpacked::Other => self.why_not(info)?,
            Unpacked::Newer => State::Newer,
            Unpacked::Damaged => State::Damaged,
        })
    }

    /// Whether a page that is not what the table says has been overwritten by a writer that goes round.
    fn why_not(&self, info: &PageInfo) -> Result<State, Error> {
        let reused = self.circle()
            && follow::overwritten(&self.file, &self.found, info.segment)
                .map_err(Error::io("read", &self.path))?;
        Ok(if reused {
            State::Dropped
        } else {
            State::Damaged
        })
    }

    /// Reads and unpacks the page at `at`, for [`Reader::raw`]; nothing if it is damaged.
    pub(super) fn payload(&mut self, at: u64) -> Result<Option<PageHeader>, Error> {
        let header = self.unpacker.payload(&self.file, self.found.layout.id, at);
        header.map_err(Error::io("read", &self.path))
    }

    /// What [`Reader::payload`] unpacked last.
    pub(super) fn raw(&self) -> &[u8] {
        &self.unpacker.raw
    }

    /// Reads on from event `number`; from the first event kept (or before it), what restates the dropped ones comes first.
    pub fn events_from(&mut self, number: u64) -> Cursor<'_> {
        let page = self.page_of(number);
        Cursor::new(self, page, number)
    }

    /// The number of the first event at or after instant `t` (events that came late aside).
    pub fn event_at_time(&mut self, t: u64) -> Result<u64, Error> {
        for index in self.table.pages.partition_point(|p| p.t_end < t)..self.table.pages.len() {
            let page = self.page(index)?;
            let mut events = page.events.iter();
            if let Some(step) = events.position(|e| e.t >= t && e.flags & flags::LATE == 0) {
                return Ok(page.number(step));
            }
        }
        Ok(self.table.end)
    }

    /// Copies the file as it is to a new name (mode 0600): how a recording without a name is kept.
    pub fn save_as(&self, path: impl AsRef<Path>, force: bool) -> Result<u64, Error> {
        use std::io::Seek;
        let path = path.as_ref();
        let place = super::file::Place::new(path, force)?;
        let mut to = super::file::create(place.at())?;
        let mut from = &self.file;
        from.rewind().map_err(Error::io("read", &self.path))?;
        let copied = std::io::copy(&mut from, &mut to).map_err(Error::io("write", path));
        let copied = copied.and_then(|n| place.settle().map(|()| n));
        if copied.is_err() {
            // Half a copy helps nobody while the whole is there.
            let _ = std::fs::remove_file(place.at());
        }
        copied
    }

    /// What an appender needs: the header, whether there is a footer, the end of the last page, and all pages in the file.
    pub(crate) fn into_parts(self) -> Result<(Found, bool, u64, Vec<Entry>), Error> {
        let mut entries = self.table.stored;
        for page in self
            .table
            .pages
            .iter()
            .filter(|p| p.kind == PageKind::Events && p.size > 0)
        {
            let entry = scan::header_at(&self.file, page.at, u64::MAX, self.found.layout.id);
            entries.extend(entry.map_err(Error::io("read", &self.path))?);
        }
        entries.sort_by_key(|e| (e.header.segment, e.at));
        Ok((self.found, self.table.complete, self.at, entries))
    }
}

fn key(page: &PageInfo) -> Key {
    (page.at, page.first_event, page.count)
}

fn find_header(file: &File, path: &Path) -> Result<Found, Error> {
    let meta = file.metadata().map_err(Error::io("look at", path))?;
    if !meta.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    let len = meta.len();
    let mut start = vec![0; header::MAX_HEADERS.min(usize::try_from(len).unwrap_or(usize::MAX))];
    let n = scan::read_at(file, &mut start, 0).map_err(Error::io("read", path))?;
    start.truncate(n);
    if start.is_empty() {
        // A file of the kernel's has no length and may have text all the same.
        return Err(match scan::read_at(file, &mut [0; 1], 0) {
            Ok(1) => Error::NotARecording(path.to_owned()),
            _ => Error::Empty(path.to_owned()),
        });
    }
    header::decode(&start).map_err(|refusal| match refusal {
        Refusal::NotARecording => Error::NotARecording(path.to_owned()),
        Refusal::TooShort => Error::TooShort {
            path: path.to_owned(),
            len,
        },
        Refusal::Damaged => Error::HeaderDamaged(path.to_owned()),
        Refusal::Newer(version) => Error::Newer {
            path: path.to_owned(),
            version,
        },
    })
}
