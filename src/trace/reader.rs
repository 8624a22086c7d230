//! Reading a recording: open in O(page table), any page on its own, damage reported and passed over. Step: **trace** → model.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::columns;
use super::error::{Error, Problem};
use super::follow::{self, Progress};
use super::header::{self, Found, Refusal};
use super::index;
use super::meta::Meta;
use super::page::{HEADER, PageHeader, PageKind};
use super::scan::{self, Entry};
use super::table::{PageInfo, State, Table};
use crate::record::event::{Cause, Event, Kind, flags};

/// Events of one page, with the buffer their texts lie in. Reuse one for many reads: memory stays constant.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// The events, in the recording's order.
    pub events: Vec<Event>,
    /// Their texts; [`Text::of`](crate::record::event::Text::of) finds one.
    pub text: Vec<u8>,
    /// The number of the first event.
    pub first: u64,
    /// Whether the events are numbered one by one from `first`. Otherwise they restate what came before number `first`
    /// (names, threads, open descriptors of a dropped part), bear flag [`flags::AGAIN`], and all have that number.
    pub numbered: bool,
}

impl Events {
    /// The number of the event at `index`.
    pub fn number(&self, index: usize) -> u64 {
        if self.numbered {
            self.first + index as u64
        } else {
            self.first
        }
    }

    /// Each event with its number and text.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Event, &[u8])> {
        self.events
            .iter()
            .enumerate()
            .map(|(i, e)| (self.number(i), e, e.text.of(&self.text)))
    }

    fn clear(&mut self, first: u64, numbered: bool) {
        self.events.clear();
        self.text.clear();
        self.first = first;
        self.numbered = numbered;
    }
}

/// A stored page of derived bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// What it is; the model's numbering.
    pub kind: u16,
    /// The model that computed it.
    pub model_version: u32,
    /// The event numbers it was computed from.
    pub events: Range<u64>,
    /// Its size in the file, in bytes.
    pub size: u64,
    at: u64,
}

/// Reads one recording.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    found: Found,
    table: Table,
    /// Where to look for the next page.
    at: u64,
    /// Events of newer kinds, by the page that holds them.
    newer: BTreeMap<u64, u64>,
    packed: Vec<u8>,
    raw: Vec<u8>,
    decoder: columns::Decoder,
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
            packed: Vec::new(),
            raw: Vec::new(),
            decoder: columns::Decoder::default(),
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
            let rows = index::decode(&self.raw, table_at)?;
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

    fn decode(&mut self, info: &PageInfo, out: &mut Events) -> Result<State, Error> {
        let Some(header) = self.payload(info.at)? else {
            return self.why_not(info);
        };
        let same = header.kind == info.kind as u8
            && header.segment == info.segment
            && header.first_event == info.first_event;
        if !same || (out.numbered && u64::from(header.count) != info.count) {
            return self.why_not(info);
        }
        if header.version > columns::VERSION {
            return Ok(State::Newer);
        }
        match self.decoder.decode(
            &self.raw,
            header.count as usize,
            &mut out.events,
            &mut out.text,
        ) {
            Some(newer) => {
                if newer > 0 {
                    self.newer.insert(info.first_event, newer);
                }
                Ok(State::Good)
            }
            None => Ok(State::Damaged),
        }
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

    /// Reads and unpacks the page at `at` into `self.raw`; nothing if it is damaged.
    fn payload(&mut self, at: u64) -> Result<Option<PageHeader>, Error> {
        let len = self.len_bytes()?;
        let entry = scan::header_at(&self.file, at, len, self.found.layout.id)
            .map_err(Error::io("read", &self.path))?;
        let Some(header) = entry.map(|e| e.header) else {
            return Ok(None);
        };
        self.packed.resize(header.packed as usize, 0);
        let n = scan::read_at(&self.file, &mut self.packed, at + HEADER as u64)
            .map_err(Error::io("read", &self.path))?;
        let whole = n == self.packed.len() && header.unpack(&self.packed, &mut self.raw).is_some();
        Ok(whole.then_some(header))
    }

    /// Reads on from event `number`; from the first event kept (or before it), what restates the dropped ones comes first.
    pub fn events_from(&mut self, number: u64) -> Cursor<'_> {
        let page = self.page_of(number);
        Cursor {
            reader: self,
            page,
            index: 0,
            from: number,
            events: Events::default(),
            loaded: false,
        }
    }

    /// The number of the first event at or after instant `t` (events that came late aside).
    pub fn event_at_time(&mut self, t: u64) -> Result<u64, Error> {
        let mut events = Events::default();
        for index in self.table.pages.partition_point(|p| p.t_end < t)..self.table.pages.len() {
            self.read_page(index, &mut events)?;
            if let Some(step) = events
                .events
                .iter()
                .position(|e| e.t >= t && e.flags & flags::LATE == 0)
            {
                return Ok(events.number(step));
            }
        }
        Ok(self.table.end)
    }

    /// The derived pages of this kind and model version, in the order they were written.
    pub fn derived(&self, kind: u16, model_version: u32) -> Vec<Derived> {
        let all = self
            .table
            .stored
            .iter()
            .filter(|e| e.header.kind == PageKind::Derived as u8);
        all.map(|e| Derived {
            kind: e.header.loops as u16,
            model_version: (e.header.loops >> 32) as u32,
            events: e.header.first_event..e.header.fds as u64,
            size: e.header.size(),
            at: e.at,
        })
        .filter(|d| d.kind == kind && d.model_version == model_version)
        .collect()
    }

    /// The bytes of a derived page.
    pub fn read_derived(&mut self, derived: &Derived) -> Result<Vec<u8>, Error> {
        match self
            .payload(derived.at)?
            .filter(|h| h.kind == PageKind::Derived as u8)
        {
            Some(_) => Ok(self.raw.clone()),
            None => Err(Error::Damaged(self.path.clone())),
        }
    }

    /// The attachment of this name, if the recording has one that is intact; the latest, if there are several.
    pub fn attachment(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self
            .attachments()?
            .into_iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, bytes)| bytes))
    }

    /// All intact attachments: name and bytes.
    pub fn attachments(&mut self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let places: Vec<u64> = self
            .table
            .stored
            .iter()
            .filter(|e| e.header.kind == PageKind::Attachment as u8)
            .map(|e| e.at)
            .collect();
        let mut out: Vec<(String, Vec<u8>)> = Vec::new();
        for at in places {
            if self
                .payload(at)?
                .is_none_or(|h| h.kind != PageKind::Attachment as u8)
            {
                continue;
            }
            let Some((len, rest)) = self.raw.split_first_chunk::<2>() else {
                continue;
            };
            let Some((name, bytes)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
            else {
                continue;
            };
            let name = String::from_utf8_lossy(name).into_owned();
            // With a size limit, every segment repeats them.
            out.retain(|(n, _)| *n != name);
            out.push((name, bytes.to_vec()));
        }
        Ok(out)
    }

    /// Copies the file as it is to a new name (mode 0600): how a recording without a name is kept.
    pub fn save_as(&self, path: impl AsRef<Path>, force: bool) -> Result<u64, Error> {
        use std::io::Seek;
        let path = path.as_ref();
        let mut to = super::file::create(path, force)?;
        let mut from = &self.file;
        from.rewind().map_err(Error::io("read", &self.path))?;
        std::io::copy(&mut from, &mut to).map_err(Error::io("write", path))
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

    /// Reads every page and checks every checksum; what it finds is added to [`Reader::problems`].
    pub fn verify(&mut self) -> Result<&[Problem], Error> {
        let mut events = Events::default();
        for index in 0..self.table.pages.len() {
            self.read_page(index, &mut events)?;
        }
        for i in 0..self.table.stored.len() {
            let Entry { at, header } = self.table.stored[i];
            let kind = PageKind::from_code(header.kind);
            let read = self.payload(at)?.filter(|h| h.kind == header.kind);
            let good = match (read, kind) {
                (Some(h), Some(PageKind::Restated)) if h.version <= columns::VERSION => self
                    .decoder
                    .decode(
                        &self.raw,
                        h.count as usize,
                        &mut events.events,
                        &mut events.text,
                    )
                    .is_some(),
                (read, _) => read.is_some(),
            };
            let bytes = at..at + header.size();
            let problem = Problem::Page {
                kind,
                events: self.table.end..self.table.end,
                bytes: bytes.clone(),
            };
            let known = self
                .table
                .problems
                .iter()
                .any(|p| matches!(p, Problem::Page { bytes: b, .. } if *b == bytes));
            if !good && !known {
                self.table.problems.push(problem);
            }
        }
        Ok(&self.table.problems)
    }
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
        return Err(Error::Empty(path.to_owned()));
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

/// Walks events one by one from some number on; made by [`Reader::events_from`].
#[derive(Debug)]
pub struct Cursor<'a> {
    reader: &'a mut Reader,
    page: usize,
    index: usize,
    from: u64,
    events: Events,
    loaded: bool,
}

impl Cursor<'_> {
    /// The next event with its number and text.
    #[allow(clippy::should_implement_trait, clippy::type_complexity)] // the item borrows from the cursor
    pub fn next(&mut self) -> Result<Option<(u64, &Event, &[u8])>, Error> {
        while !self.loaded || self.index >= self.events.events.len() {
            if self.loaded {
                self.page += 1;
            }
            if self.page >= self.reader.table.pages.len() {
                self.loaded = false;
                return Ok(None);
            }
            self.reader.read_page(self.page, &mut self.events)?;
            self.loaded = true;
            self.index = 0;
            if self.events.numbered {
                let skip = usize::try_from(self.from.saturating_sub(self.events.first))
                    .unwrap_or(usize::MAX);
                // Inside a hole, the event that tells of it counts.
                self.index = skip.min(self.events.events.len().saturating_sub(1));
            }
        }
        let index = self.index;
        self.index += 1;
        let event = &self.events.events[index];
        Ok(Some((
            self.events.number(index),
            event,
            event.text.of(&self.events.text),
        )))
    }
}
