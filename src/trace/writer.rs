//! Writing a recording: events are buffered, sealed into pages, and made complete by the footer. Step: ring → **trace**.

mod segment;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::encode::Encoder;
use super::error::Error;
use super::file::{self, Pages};
use super::header::{self, Layout};
use super::meta::Meta;
use super::page::{MAX_EVENTS, PageHeader, PageKind};
use super::restate::Restater;
use super::stored::{Options, Summary, attachment, derived_header};
use crate::record::event::{Cause, Event, Kind, MAX_TEXT, Text, flags};

/// A page seals when it is this old.
const SEAL_NS: u64 = 50_000_000;
/// A page seals when its texts reach this size.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// Into how many places a file with a size limit is divided: one in eight is lost when the oldest is dropped.
const PLACES: u32 = 8;

/// Writes one recording.
///
/// A writer keeps going when the disk does not: what could not be written is counted, a [`Kind::Lost`] event with cause
/// [`Cause::Write`] stands in its place as soon as writing works again, and [`Writer::finish`] reports the error.
#[derive(Debug)]
pub struct Writer {
    pages: Pages,
    path: PathBuf,
    max_size: Option<u64>,
    segment: u32,
    /// Where the segment starts.
    segment_at: u64,
    /// What a new segment has to say again; current up to the last sealed page.
    restater: Restater,
    attachments: Vec<(String, Vec<u8>)>,
    /// Number of the first event of the open page.
    first: u64,
    events: Vec<Event>,
    text: Vec<u8>,
    most_events: usize,
    most_text: usize,
    sealed_ns: u64,
    t_last: u64,
    /// Events lost since the last intact page, and when the last of them was.
    missed: u64,
    missed_ns: u64,
    lost: u64,
    dropped: u64,
    error: Option<Error>,
    /// The last page did not reach the file.
    failing: bool,
    finished: bool,
    encoder: Encoder,
    raw: Vec<u8>,
}

impl Writer {
    /// Creates the file (mode 0600, never through a symbolic link), locks it and writes the header.
    pub fn create(path: impl AsRef<Path>, meta: &Meta, options: Options) -> Result<Writer, Error> {
        let path = path.as_ref();
        let layout = Writer::layout(meta, options)?;
        let place = file::Place::new(path, options.force)?;
        let file = file::create(place.at())?;
        let started = Writer::start(file, path, meta, layout, options)
            .and_then(|writer| place.settle().map(|()| writer));
        if started.is_err() {
            // Nothing is in it, and it would stand in the way of the next try.
            let _ = std::fs::remove_file(place.at());
        }
        started
    }

    /// Starts a recording in an empty file that is open for reading and writing; `path` is for messages.
    pub fn into(file: File, path: impl AsRef<Path>, meta: &Meta) -> Result<Writer, Error> {
        let options = Options::default();
        let layout = Writer::layout(meta, options)?;
        Writer::start(file, path.as_ref(), meta, layout, options)
    }

    /// Starts a recording in a file without a name in `directory`, gone when the last user closes it.
    pub fn unnamed(
        directory: impl AsRef<Path>,
        meta: &Meta,
        options: Options,
    ) -> Result<Writer, Error> {
        let directory = directory.as_ref();
        let layout = Writer::layout(meta, options)?;
        Writer::start(file::unnamed(directory)?, directory, meta, layout, options)
    }

    fn layout(meta: &Meta, options: Options) -> Result<Layout, Error> {
        let id = file::random();
        let Some(limit) = options.max_size else {
            return Ok(Layout {
                id,
                ..Layout::default()
            });
        };
        let headers = header::encode(meta, Layout::default()).len() as u64;
        // Page table and footer get a share of their own, a sixteenth.
        let room = (limit - limit / 16).saturating_sub(headers);
        if limit < Options::LEAST_SIZE || headers > limit / 4 {
            return Err(Error::LimitTooSmall {
                limit,
                least: Options::LEAST_SIZE.max(headers * 4),
            });
        }
        Ok(Layout {
            places: PLACES,
            place_size: room / u64::from(PLACES),
            id,
        })
    }

    fn start(
        file: File,
        path: &Path,
        meta: &Meta,
        layout: Layout,
        options: Options,
    ) -> Result<Writer, Error> {
        use std::os::unix::fs::FileExt;
        file.lock().map_err(Error::io("lock", path))?;
        let header = header::encode(meta, layout);
        file.write_all_at(&header, 0)
            .map_err(Error::io("write", path))?;
        let start = header.len() as u64;
        let (mut most_events, mut most_text) = (MAX_EVENTS, MAX_TEXT_BYTES);
        if layout.places > 0 {
            // However badly a page packs, four go into a place.
            let place = usize::try_from(layout.place_size).unwrap_or(usize::MAX);
            most_events = (place / 4 / 64).clamp(64, MAX_EVENTS);
            most_text = (place / 16).min(MAX_TEXT_BYTES);
        }
        Ok(Writer {
            pages: Pages::new(file, layout, start),
            path: path.to_owned(),
            max_size: options.max_size,
            segment: 0,
            segment_at: start,
            restater: Restater::default(),
            attachments: Vec::new(),
            first: 0,
            events: Vec::new(),
            text: Vec::new(),
            most_events,
            most_text,
            sealed_ns: 0,
            t_last: 0,
            missed: 0,
            missed_ns: 0,
            lost: 0,
            dropped: 0,
            error: None,
            failing: false,
            finished: false,
            encoder: Encoder::default(),
            raw: Vec::new(),
        })
    }

    /// A second handle on the same file, with a position and a lock of its own: for a [`Reader`](super::Reader) that
    /// follows, also when the file has no name.
    pub fn reopen(&self) -> Result<File, Error> {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fd/{}", self.pages.file.as_raw_fd());
        File::open(path).map_err(Error::io("reopen", &self.path))
    }

    /// The number that the next event gets: events taken so far, without those that could not be written.
    pub fn events(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Events that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Why the last page could not be written, nothing once one could again; the writer goes on all the same.
    pub fn failing(&self) -> Option<&Error> {
        self.error.as_ref().filter(|_| self.failing)
    }

    /// Bytes written so far; with a size limit, of the part in use.
    pub fn bytes(&self) -> u64 {
        self.pages.at
    }

    /// Adds an event; the reference in its `text` field is ignored, `text` counts, cut at [`MAX_TEXT`].
    pub fn write(&mut self, event: &Event, text: &[u8]) {
        if self.missed > 0 && self.events.is_empty() {
            let lost = self.missing(event.t);
            self.events.push(lost);
        }
        let kept = &text[..text.len().min(MAX_TEXT)];
        let cut = if kept.len() < text.len() {
            flags::CUT
        } else {
            0
        };
        let place = Text {
            at: self.text.len() as u32,
            len: kept.len() as u16,
        };
        if !kept.is_empty() {
            self.text.extend_from_slice(kept);
        }
        self.events.push(Event {
            text: place,
            flags: event.flags | cut,
            ..*event
        });
        if self.events.len() >= self.most_events || self.text.len() >= self.most_text {
            self.seal();
        }
    }

    /// The event that stands for what could not be written.
    fn missing(&mut self, t: u64) -> Event {
        let (kind, aux, arg) = (
            Kind::Lost,
            Cause::Write.code(),
            std::mem::take(&mut self.missed),
        );
        Event {
            t,
            kind,
            aux,
            arg,
            fd: -1,
            thread: 0,
            y: t.saturating_sub(self.t_last),
            ..Event::default()
        }
    }

    /// Tells the time (nanoseconds since the recording's start): a page older than 50 ms is sealed.
    pub fn tick(&mut self, now_ns: u64) {
        if !self.events.is_empty() && now_ns.saturating_sub(self.sealed_ns) >= SEAL_NS {
            self.seal();
            self.sealed_ns = now_ns;
        }
    }

    /// Writes the open page out, so that a reader sees its events.
    pub fn seal(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.events);
        let text = std::mem::take(&mut self.text);
        match self.put_events(PageKind::Events, &events, &text) {
            Ok(t_last) => {
                self.first += events.len() as u64;
                self.t_last = self.t_last.max(t_last);
                self.failing = false;
            }
            Err(source) => {
                self.failing = true;
                self.miss(&events);
                self.error
                    .get_or_insert_with(|| Error::io("write", &self.path)(source));
            }
        }
        // What could not be written is still known: names given there are said again in the next segment.
        let told = events.iter().filter(|e| Restater::heeds(e.kind));
        told.for_each(|e| self.restater.apply(e, e.text.of(&text)));
        self.events = events;
        self.text = text;
        self.events.clear();
        self.text.clear();
    }

    /// Counts events as lost. The first may be the one that tells of earlier losses: its count is passed on.
    fn miss(&mut self, events: &[Event]) {
        let teller = events
            .first()
            .filter(|e| e.kind == Kind::Lost && e.aux == Cause::Write.code());
        let (told, new) = teller.map_or((0, events.len() as u64), |e| {
            (e.arg, events.len() as u64 - 1)
        });
        self.missed += told + new;
        let last = events.iter().map(|e| e.t).max();
        self.missed_ns = self.missed_ns.max(last.unwrap_or(0));
        self.lost += new;
    }

    /// Stores bytes that a version of the model computed from `events`; readers of another version pass over them.
    pub fn derived(
        &mut self,
        kind: u16,
        model_version: u32,
        events: Range<u64>,
        bytes: &[u8],
    ) -> Result<(), Error> {
        if bytes.len() > self.most_stored() {
            return Err(Error::TooLarge {
                what: "a derived page",
                len: bytes.len(),
                most: self.most_stored(),
            });
        }
        self.seal();
        let mut header = derived_header(kind, model_version, events, self.first);
        self.put(&mut header, bytes)
            .map_err(Error::io("write", &self.path))
    }

    /// Stores named bytes, such as a demo's source.
    pub fn attach(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let held: usize = self
            .attachments
            .iter()
            .map(|(n, b)| n.len() + b.len())
            .sum();
        let (len, most) = (held + name.len() + bytes.len(), self.most_stored());
        if len > most || name.len() > usize::from(u16::MAX) {
            return Err(Error::TooLarge {
                what: "an attachment",
                len,
                most,
            });
        }
        self.seal();
        let (mut header, raw) = attachment(name, bytes, self.first);
        self.put(&mut header, &raw)
            .map_err(Error::io("write", &self.path))?;
        if self.pages.layout.places > 0 {
            self.attachments.push((name.to_owned(), bytes.to_vec()));
        }
        Ok(())
    }

    /// Writes the last page, the page table and the footer. The file stays readable whatever this returns; an error
    /// means that events are missing from it or that it has no footer.
    pub fn finish(mut self) -> Result<Summary, Error> {
        self.seal();
        if self.missed > 0 {
            // What was kept free for the end has room for one small page more.
            self.pages.spend_reserve();
            let lost = self.missing(self.missed_ns.max(self.t_last));
            self.events.push(lost);
            self.seal();
        }
        self.finished = true;
        let Layout {
            places, place_size, ..
        } = self.pages.layout;
        if places > 0 && self.segment >= places {
            self.pages.at = self.pages.start + u64::from(places) * place_size;
        }
        let (segment, first_event, t) = (self.segment, self.first, self.t_last);
        let end = PageHeader {
            segment,
            first_event,
            t_first: t,
            t_last: t,
            ..PageHeader::default()
        };
        let room = self
            .max_size
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.pages.at));
        let ended = self.pages.finish(&end, room);
        if let Ok(given_up) = &ended {
            let gone: u64 = given_up
                .iter()
                .filter(|e| e.header.kind == PageKind::Events as u8)
                .map(|e| u64::from(e.header.count))
                .sum();
            self.first -= gone;
            self.lost += gone;
        }
        let summary = Summary {
            events: self.first,
            lost: self.lost,
            dropped: self.dropped,
            bytes: self.pages.at,
        };
        match (self.error.take(), ended) {
            (Some(error), _) => Err(error),
            (None, Err(source)) => Err(Error::io("finish", &self.path)(source)),
            (None, Ok(_)) => Ok(summary),
        }
    }
}

impl Drop for Writer {
    /// Writes what is buffered, but no footer: a recording that was not finished says so.
    fn drop(&mut self) {
        if !self.finished {
            self.seal();
        }
    }
}
