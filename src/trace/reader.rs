//! Reading a recording: open in O(page table), any page on its own, damage reported and passed over. Step: **trace** → model.

use std::fs::{File, OpenOptions, TryLockError};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::columns;
use super::error::{Error, Problem};
use super::header::{self, Found, Refusal};
use super::meta::Meta;
use super::page::{self, HEADER, MAX_EVENTS, PageHeader, PageKind};
use super::scan::{self, Entry};
use crate::record::event::{Cause, Event, Kind};

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
    /// (names, threads, open descriptors of a dropped part) and all bear that number.
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

    fn clear(&mut self, first: u64) {
        self.events.clear();
        self.text.clear();
        self.first = first;
        self.numbered = true;
    }
}

/// Whether a page's events can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As far as is known.
    Good,
    /// The page is damaged or missing; reading it yields one [`Kind::Lost`] event.
    Damaged,
}

/// One page of events in the page table. Together the pages cover every number from `first()` to `end()` without a gap.
#[derive(Clone, Debug)]
pub struct PageInfo {
    /// Where the page stands in the file, in bytes.
    pub at: u64,
    /// Its size in the file, header included.
    pub size: u64,
    /// The number of its first event.
    pub first_event: u64,
    /// How many events it holds.
    pub count: u64,
    /// The earliest instant in it.
    pub t_first: u64,
    /// The latest instant in it.
    pub t_last: u64,
    /// The latest instant in it or in any page before: never decreases.
    pub t_end: u64,
    /// Which segment it belongs to.
    pub segment: u32,
    /// Whether its events can be had.
    pub state: State,
    /// Whether it holds numbered events, or restates what was dropped before the first one.
    pub kind: PageKind,
    pub(crate) loops: u64,
    pub(crate) fds: u128,
    pub(crate) words: u128,
}

impl PageInfo {
    /// Whether an event of this page may touch the descriptor; `false` is certain.
    pub fn may_touch_fd(&self, fd: i32) -> bool {
        self.state != State::Good || self.fds & page::fd_bit(fd) != 0
    }

    /// Whether an event of this page may touch the loop of this epfd (−1: a poll or select loop); `false` is certain.
    pub fn may_touch_loop(&self, epfd: i32) -> bool {
        self.state != State::Good || self.loops & page::loop_bit(epfd) != 0
    }

    /// Whether an event of this page may bear the data word; `false` is certain.
    pub fn may_touch_word(&self, word: u64) -> bool {
        self.state != State::Good || self.words & page::word_bit(word) != 0
    }

    /// Its event numbers.
    pub fn events(&self) -> Range<u64> {
        self.first_event..self.first_event + self.count
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
    at: u64,
}

/// What a [`Reader::refresh`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More events can be read.
    Grown,
    /// Nothing new; the writer is still at work.
    Same,
    /// Nothing new, and nothing will come: finished, or the writer is gone.
    Ended,
}

/// Reads one recording.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    found: Found,
    pages: Vec<PageInfo>,
    stored: Vec<Entry>,
    problems: Vec<Problem>,
    /// Where the walk goes on.
    at: u64,
    complete: bool,
    end: u64,
    newer: u64,
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
        let meta = file.metadata().map_err(Error::io("look at", &path))?;
        if !meta.is_file() {
            return Err(Error::NotAFile(path));
        }
        let len = meta.len();
        let mut start =
            vec![0; header::MAX_HEADERS.min(usize::try_from(len).unwrap_or(usize::MAX))];
        let n = scan::read_at(&file, &mut start, 0).map_err(Error::io("read", &path))?;
        start.truncate(n);
        if start.is_empty() {
            return Err(Error::Empty(path));
        }
        let found = header::decode(&start).map_err(|refusal| match refusal {
            Refusal::NotARecording => Error::NotARecording(path.clone()),
            Refusal::TooShort => Error::TooShort {
                path: path.clone(),
                len,
            },
            Refusal::Damaged => Error::HeaderDamaged(path.clone()),
            Refusal::Newer(version) => Error::Newer {
                path: path.clone(),
                version,
            },
        })?;
        let at = found.end;
        let problems = found
            .damaged
            .map(|copy| Problem::Header { copy })
            .into_iter()
            .collect();
        let mut reader = Reader {
            file,
            path,
            found,
            pages: Vec::new(),
            stored: Vec::new(),
            problems,
            at,
            complete: false,
            end: 0,
            newer: 0,
            packed: Vec::new(),
            raw: Vec::new(),
            decoder: columns::Decoder::default(),
        };
        reader.grow()?;
        if !reader.complete && !reader.live() {
            let stray = len.saturating_sub(reader.at);
            reader.problems.push(Problem::Unfinished {
                at: reader.at,
                stray,
            });
        }
        Ok(reader)
    }

    fn len_bytes(&self) -> Result<u64, Error> {
        Ok(self
            .file
            .metadata()
            .map_err(Error::io("look at", &self.path))?
            .len())
    }

    /// Whether a writer holds the file.
    fn live(&self) -> bool {
        match self.file.try_lock_shared() {
            Ok(()) => {
                let _ = self.file.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    /// Takes in the pages after the last known one.
    fn grow(&mut self) -> Result<bool, Error> {
        let len = self.len_bytes()?;
        if len <= self.at {
            return Ok(false);
        }
        let before = self.end;
        let walk = scan::walk(&self.file, self.at..len, self.found.layout.id)
            .map_err(Error::io("read", &self.path))?;
        let mut damaged = walk.damaged.into_iter().peekable();
        for entry in walk.pages {
            let bytes = damaged.next_if(|d| d.start < entry.at);
            self.take(entry, bytes);
        }
        self.at = walk.end;
        Ok(self.end > before)
    }

    fn take(&mut self, entry: Entry, damaged: Option<Range<u64>>) {
        let header = &entry.header;
        let kind = PageKind::from_code(header.kind);
        let numbered = matches!(kind, Some(PageKind::Events | PageKind::End));
        let lost = if numbered {
            self.end..header.first_event.max(self.end)
        } else {
            self.end..self.end
        };
        if let Some(bytes) = damaged {
            self.problems.push(Problem::Page {
                kind: None,
                events: lost.clone(),
                bytes: bytes.clone(),
            });
        }
        if !lost.is_empty() {
            let t = header.t_first;
            let t_end = self.pages.last().map_or(0, |p| p.t_end);
            self.pages.push(PageInfo {
                at: entry.at,
                size: 0,
                first_event: lost.start,
                count: lost.end - lost.start,
                t_first: t_end.min(t),
                t_last: t,
                t_end: t_end.max(t),
                segment: header.segment,
                state: State::Damaged,
                kind: PageKind::Events,
                loops: u64::MAX,
                fds: u128::MAX,
                words: u128::MAX,
            });
            self.end = lost.end;
        }
        match kind {
            Some(PageKind::Events)
                if header.first_event == self.end && header.count as usize <= MAX_EVENTS =>
            {
                let t_end = self.pages.last().map_or(0, |p| p.t_end).max(header.t_last);
                self.pages.push(PageInfo {
                    at: entry.at,
                    size: header.size(),
                    first_event: header.first_event,
                    count: u64::from(header.count),
                    t_first: header.t_first,
                    t_last: header.t_last,
                    t_end,
                    segment: header.segment,
                    state: State::Good,
                    kind: PageKind::Events,
                    loops: header.loops,
                    fds: header.fds,
                    words: header.words,
                });
                self.end += u64::from(header.count);
            }
            Some(PageKind::Events) => {
                self.problems.push(Problem::Page {
                    kind,
                    events: self.end..self.end,
                    bytes: entry.at..entry.end(),
                });
            }
            Some(PageKind::End) => self.complete = true,
            Some(_) => self.stored.push(entry),
            None => self.problems.push(Problem::Newer {
                events: self.end..self.end,
            }),
        }
    }

    /// What the recording says about itself.
    pub fn meta(&self) -> &Meta {
        &self.found.meta
    }

    /// How many events it holds: `end() - first()`.
    pub fn len(&self) -> u64 {
        self.end - self.first()
    }

    /// Whether it holds no event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the first event kept; more than 0 when older ones were dropped to honour a size limit.
    pub fn first(&self) -> u64 {
        self.pages.first().map_or(0, |p| p.first_event)
    }

    /// One more than the number of the last event.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The instant of the latest event, in nanoseconds since the recording's start.
    pub fn duration_ns(&self) -> u64 {
        self.pages.last().map_or(0, |p| p.t_end)
    }

    /// Whether the footer was read and no damage has been met so far.
    pub fn complete(&self) -> bool {
        self.complete && self.problems.is_empty()
    }

    /// What is wrong with the file, as far as has been read.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Events of kinds newer than this version, met so far: each reads as a [`Kind::Lost`] with cause [`Cause::Newer`].
    pub fn newer(&self) -> u64 {
        self.newer
    }

    /// The pages of events, in order. Indices stay valid until the next [`Reader::refresh`].
    pub fn pages(&self) -> &[PageInfo] {
        &self.pages
    }

    /// The page that holds event `number`; past the end: the number of pages.
    pub fn page_of(&self, number: u64) -> usize {
        self.pages
            .partition_point(|p| p.first_event + p.count <= number)
    }

    /// Reads page `index` into `out`. A damaged page yields one [`Kind::Lost`] event with cause [`Cause::Damaged`] that
    /// bears the number of the first event lost, stands at the end of the hole and reaches `y` nanoseconds back.
    pub fn read_page(&mut self, index: usize, out: &mut Events) -> Result<(), Error> {
        let Some(info) = self.pages.get(index) else {
            out.clear(self.end);
            return Ok(());
        };
        out.clear(info.first_event);
        let (at, count) = (info.at, info.count);
        if info.state == State::Good {
            let read = self
                .payload(at)?
                .filter(|h| h.first_event == out.first && u64::from(h.count) == count);
            let decoded = match read {
                Some(h) if h.version > columns::VERSION => {
                    let events = out.first..out.first + count;
                    self.lost(index, Problem::Newer { events });
                    None
                }
                Some(h) => {
                    self.decoder
                        .decode(&self.raw, h.count as usize, &mut out.events, &mut out.text)
                }
                None => None,
            };
            if let Some(newer) = decoded {
                self.newer += newer;
                return Ok(());
            }
            let info = &self.pages[index];
            if info.state == State::Good {
                let problem = Problem::Page {
                    kind: Some(PageKind::Events),
                    events: info.events(),
                    bytes: at..at + info.size,
                };
                self.lost(index, problem);
            }
        }
        let info = &self.pages[index];
        let before = index.checked_sub(1).map_or(0, |i| self.pages[i].t_end);
        let newer = self.problems.contains(&Problem::Newer {
            events: info.events(),
        });
        let cause = if newer { Cause::Newer } else { Cause::Damaged };
        out.events.clear();
        out.text.clear();
        out.events.push(Event {
            t: info.t_last,
            kind: Kind::Lost,
            aux: cause.code(),
            arg: info.count,
            y: info.t_last.saturating_sub(before),
            thread: u32::MAX,
            fd: -1,
            ..Event::default()
        });
        Ok(())
    }

    fn lost(&mut self, index: usize, problem: Problem) {
        self.pages[index].state = State::Damaged;
        self.problems.push(problem);
    }

    /// Reads and unpacks the page at `at` into `self.raw`; nothing if it is damaged.
    fn payload(&mut self, at: u64) -> Result<Option<PageHeader>, Error> {
        let len = self.len_bytes()?;
        let Some(entry) = scan::header_at(&self.file, at, len, self.found.layout.id)
            .map_err(Error::io("read", &self.path))?
        else {
            return Ok(None);
        };
        let header = entry.header;
        self.packed.resize(header.packed as usize, 0);
        let n = scan::read_at(&self.file, &mut self.packed, at + HEADER as u64)
            .map_err(Error::io("read", &self.path))?;
        Ok((n == self.packed.len())
            .then_some(())
            .and_then(|()| header.unpack(&self.packed, &mut self.raw))
            .map(|()| header))
    }

    /// Reads on from event `number`.
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
        let index = self.pages.partition_point(|p| p.t_end < t);
        if index >= self.pages.len() {
            return Ok(self.end);
        }
        let mut events = Events::default();
        self.read_page(index, &mut events)?;
        let late = crate::record::event::flags::LATE;
        let step = events
            .events
            .iter()
            .position(|e| e.t >= t && e.flags & late == 0)
            .unwrap_or(events.events.len());
        Ok(events.number(step))
    }

    /// The derived pages of this kind and model version, in the order they were written.
    pub fn derived(&self, kind: u16, model_version: u32) -> Vec<Derived> {
        let all = self
            .stored
            .iter()
            .filter(|e| PageKind::from_code(e.header.kind) == Some(PageKind::Derived));
        all.map(|e| Derived {
            kind: e.header.loops as u16,
            model_version: (e.header.loops >> 32) as u32,
            events: e.header.first_event..e.header.fds as u64,
            at: e.at,
        })
        .filter(|d| d.kind == kind && d.model_version == model_version)
        .collect()
    }

    /// The bytes of a derived page.
    pub fn read_derived(&mut self, derived: &Derived) -> Result<Vec<u8>, Error> {
        match self.payload(derived.at)? {
            Some(_) => Ok(self.raw.clone()),
            None => Err(Error::Damaged(self.path.clone())),
        }
    }

    /// The attachment of this name, if the recording has one that is intact.
    pub fn attachment(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self
            .attachments()?
            .into_iter()
            .find(|(n, _)| n == name)
            .map(|(_, bytes)| bytes))
    }

    /// All intact attachments: name and bytes.
    pub fn attachments(&mut self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let places: Vec<u64> = self
            .stored
            .iter()
            .filter(|e| e.header.kind == PageKind::Attachment as u8)
            .map(|e| e.at)
            .collect();
        let mut out = Vec::new();
        for at in places {
            if self.payload(at)?.is_none() {
                continue;
            }
            let Some((len, rest)) = self.raw.split_first_chunk::<2>() else {
                continue;
            };
            let Some((name, bytes)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
            else {
                continue;
            };
            out.push((String::from_utf8_lossy(name).into_owned(), bytes.to_vec()));
        }
        Ok(out)
    }

    /// Looks for what the writer has added since.
    pub fn refresh(&mut self) -> Result<Progress, Error> {
        // Asked before looking: what a writer adds between the two is found by the look.
        let live = !self.complete && self.live();
        Ok(match (self.grow()?, live) {
            (true, _) => Progress::Grown,
            (false, true) if !self.complete => Progress::Same,
            (false, _) => Progress::Ended,
        })
    }
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
    #[allow(clippy::should_implement_trait)] // the item borrows from the cursor
    pub fn next(&mut self) -> Result<Option<(u64, &Event, &[u8])>, Error> {
        while !self.loaded || self.index >= self.events.events.len() {
            if self.loaded {
                self.page += 1;
            }
            if self.page >= self.reader.pages.len() {
                self.loaded = false;
                return Ok(None);
            }
            self.reader.read_page(self.page, &mut self.events)?;
            self.loaded = true;
            self.index = 0;
            if self.events.numbered {
                let skip = self.from.saturating_sub(self.events.first);
                let within = usize::try_from(skip).unwrap_or(usize::MAX);
                // Inside a hole the event that tells of it counts.
                self.index = within.min(self.events.events.len().saturating_sub(1));
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

/// The time range and filters of a run of events.
pub(crate) fn ranges(events: &[Event]) -> PageHeader {
    let mut header = PageHeader {
        t_first: u64::MAX,
        ..PageHeader::default()
    };
    for e in events {
        header.t_first = header.t_first.min(e.t);
        header.t_last = header.t_last.max(e.t);
        match e.kind {
            Kind::WaitEnter | Kind::WaitExit | Kind::RunEnd => header.loops |= page::loop_bit(e.fd),
            Kind::Ready | Kind::RunBegin | Kind::Handler => {
                header.loops |= page::loop_bit(e.fd);
                header.words |= page::word_bit(e.arg);
            }
            Kind::CtlBegin | Kind::CtlEnd => {
                header.loops |= page::loop_bit(e.y as i32);
                header.fds |= page::fd_bit(e.fd);
                header.words |= page::word_bit(e.arg);
            }
            Kind::DupBegin | Kind::DupEnd | Kind::FdOpen => {
                header.fds |= page::fd_bit(e.fd) | page::fd_bit(e.x)
            }
            _ => header.fds |= page::fd_bit(e.fd),
        }
    }
    header
}
