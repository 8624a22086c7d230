//! Writing a recording: events are buffered, sealed into pages, and made complete by the footer. Step: ring → **trace**.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::columns;
use super::error::Error;
use super::header::{self, Layout};
use super::meta::Meta;
use super::page::{self, MAX_EVENTS, MAX_RAW, PageHeader, PageKind};
use super::scan::Entry;
use crate::record::event::{Cause, Event, Kind, MAX_TEXT, Text, flags};

/// How to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Replace a file of that name.
    pub force: bool,
}

/// What a finished recording holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events written.
    pub events: u64,
    /// Events that could not be written (disk full, I/O error); the file says so too.
    pub lost: u64,
    /// The file's size in bytes.
    pub bytes: u64,
}

/// A page seals when it is this old.
const SEAL_NS: u64 = 50_000_000;
/// A page seals when its texts reach this size.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// Writes one recording.
///
/// A writer keeps going when the disk does not: what could not be written is counted, a [`Kind::Lost`] event with cause
/// [`Cause::Write`] stands in its place as soon as writing works again, and [`Writer::finish`] reports the error.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
    layout: Layout,
    /// Where the next page goes.
    at: u64,
    segment: u32,
    /// Number of the first event of the open page.
    first: u64,
    events: Vec<Event>,
    text: Vec<u8>,
    sealed_ns: u64,
    t_last: u64,
    pages: Vec<Entry>,
    /// Events lost since the last intact page.
    missed: u64,
    lost: u64,
    error: Option<Error>,
    finished: bool,
    encoder: columns::Encoder,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Writer {
    /// Creates the file (mode 0600, never through a symbolic link), locks it and writes the header.
    pub fn create(path: impl AsRef<Path>, meta: &Meta, options: Options) -> Result<Writer, Error> {
        let path = path.as_ref();
        let mut open = OpenOptions::new();
        open.read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
        let file = match open.open(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && options.force => {
                let old = std::fs::symlink_metadata(path).map_err(Error::io("look at", path))?;
                if !old.is_file() {
                    return Err(Error::NotAFile(path.to_owned()));
                }
                // A new file, not a truncated one: whoever reads the old one keeps it.
                std::fs::remove_file(path).map_err(Error::io("replace", path))?;
                open.open(path)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists(path.to_owned()));
            }
            opened => opened,
        };
        let file = file.map_err(Error::io("create", path))?;
        Writer::start(file, path, meta)
    }

    /// Starts a recording in a file without a name in `directory`, gone when the last user closes it.
    pub fn unnamed(
        directory: impl AsRef<Path>,
        meta: &Meta,
        _options: Options,
    ) -> Result<Writer, Error> {
        let directory = directory.as_ref();
        let mut open = OpenOptions::new();
        open.read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC);
        let file = match open.open(directory) {
            Ok(file) => file,
            // Not every file system has O_TMPFILE.
            Err(_) => {
                let path =
                    directory.join(format!(".loopscope-{}-{:x}", std::process::id(), random()));
                let mut open = OpenOptions::new();
                open.read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
                let file = open.open(&path).map_err(Error::io("create", &path))?;
                std::fs::remove_file(&path).map_err(Error::io("unlink", &path))?;
                file
            }
        };
        Writer::start(file, directory, meta)
    }

    fn start(file: File, path: &Path, meta: &Meta) -> Result<Writer, Error> {
        file.lock().map_err(Error::io("lock", path))?;
        let layout = Layout {
            id: random(),
            ..Layout::default()
        };
        let header = header::encode(meta, layout);
        file.write_all_at(&header, 0)
            .map_err(Error::io("write", path))?;
        Ok(Writer {
            file,
            path: path.to_owned(),
            layout,
            at: header.len() as u64,
            segment: 0,
            first: 0,
            events: Vec::new(),
            text: Vec::new(),
            sealed_ns: 0,
            t_last: 0,
            pages: Vec::new(),
            missed: 0,
            lost: 0,
            error: None,
            finished: false,
            encoder: columns::Encoder::default(),
            raw: Vec::new(),
            packed: Vec::new(),
        })
    }

    /// A second handle on the same file, with a position and a lock of its own: for a [`Reader`](super::Reader) that
    /// follows, also when the file has no name.
    pub fn reopen(&self) -> Result<File, Error> {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        File::open(path).map_err(Error::io("reopen", &self.path))
    }

    /// Events taken so far, the lost ones not counted: the number the next one gets.
    pub fn events(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Events that could not be written.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The first error met while writing; the writer goes on all the same.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.at
    }

    /// Adds an event; the reference in its `text` field is ignored, `text` counts, cut at [`MAX_TEXT`].
    pub fn write(&mut self, event: &Event, text: &[u8]) {
        if self.missed > 0 && self.events.is_empty() {
            let lost = std::mem::take(&mut self.missed);
            self.events.push(Event {
                t: event.t,
                kind: Kind::Lost,
                aux: Cause::Write.code(),
                arg: lost,
                fd: -1,
                thread: u32::MAX,
                y: event.t.saturating_sub(self.t_last),
                ..Event::default()
            });
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
        self.text.extend_from_slice(kept);
        self.events.push(Event {
            text: place,
            flags: event.flags | cut,
            ..*event
        });
        if self.events.len() >= MAX_EVENTS || self.text.len() >= MAX_TEXT_BYTES {
            self.seal();
        }
    }

    /// Tells the time (nanoseconds since the recording's start): a page older than 50 ms is sealed.
    pub fn tick(&mut self, now_ns: u64) {
        if self.events.is_empty() {
            return;
        }
        if now_ns.saturating_sub(self.sealed_ns) >= SEAL_NS {
            self.seal();
            self.sealed_ns = now_ns;
        }
    }

    /// Writes the open page out, so that a reader sees its events.
    pub fn seal(&mut self) {
        if self.events.is_empty() {
            return;
        }
        let mut header = PageHeader {
            kind: PageKind::Events as u8,
            version: columns::VERSION,
            segment: self.segment,
            count: self.events.len() as u32,
            first_event: self.first,
            ..super::reader::ranges(&self.events)
        };
        self.encoder.encode(&self.events, &self.text, &mut self.raw);
        let raw = std::mem::take(&mut self.raw);
        match self.put(&mut header, &raw) {
            Ok(()) => {
                self.first += self.events.len() as u64;
                self.t_last = self.t_last.max(header.t_last);
            }
            Err(source) => {
                // What an earlier failure left to be said counts too; the event that says it does not.
                let said: u64 = self
                    .events
                    .iter()
                    .take(1)
                    .filter(|e| e.kind == Kind::Lost && e.aux == Cause::Write.code())
                    .map(|e| e.arg)
                    .sum();
                let new = self.events.len() as u64 - u64::from(said > 0);
                self.missed += said + new;
                self.lost += new;
                self.error
                    .get_or_insert_with(|| Error::io("write", &self.path)(source));
            }
        }
        self.raw = raw;
        self.events.clear();
        self.text.clear();
    }

    /// Stores bytes that a version of the model computed from `events`; readers of another version pass over them.
    pub fn derived(
        &mut self,
        kind: u16,
        model_version: u32,
        events: Range<u64>,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let mut header = derived_header(kind, model_version, events);
        self.store(&mut header, bytes)
    }

    /// Stores named bytes, such as a demo's source.
    pub fn attach(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let mut raw = (name.len() as u16).to_le_bytes().to_vec();
        raw.extend_from_slice(name.as_bytes());
        raw.extend_from_slice(bytes);
        if name.len() > usize::from(u16::MAX) {
            return Err(Error::TooLarge {
                what: "an attachment's name",
                len: name.len(),
                most: usize::from(u16::MAX),
            });
        }
        let mut header = PageHeader {
            kind: PageKind::Attachment as u8,
            version: 1,
            ..PageHeader::default()
        };
        self.store(&mut header, &raw)
    }

    fn store(&mut self, header: &mut PageHeader, raw: &[u8]) -> Result<(), Error> {
        if raw.len() > MAX_RAW {
            return Err(Error::TooLarge {
                what: "a stored page",
                len: raw.len(),
                most: MAX_RAW,
            });
        }
        self.seal();
        header.segment = self.segment;
        if PageKind::from_code(header.kind) != Some(PageKind::Derived) {
            header.first_event = self.first;
        }
        self.put(header, raw)
            .map_err(Error::io("write", &self.path))
    }

    /// Writes a page: payload first, header last, so that a reader never meets a header without its payload.
    fn put(&mut self, header: &mut PageHeader, raw: &[u8]) -> io::Result<()> {
        let packed = header.pack(raw, &mut self.packed);
        let at = self.at;
        let written = self
            .file
            .write_all_at(packed, at + page::HEADER as u64)
            .and_then(|()| self.file.write_all_at(&header.encode(self.layout.id), at));
        if let Err(e) = written {
            // Half a page helps nobody; the room may.
            let _ = self.file.set_len(at);
            return Err(e);
        }
        self.pages.push(Entry {
            at,
            header: *header,
        });
        self.at += header.size();
        Ok(())
    }

    /// Writes the last page, the page table and the footer. The file stays readable whatever this returns.
    pub fn finish(mut self) -> Result<Summary, Error> {
        self.seal();
        self.finished = true;
        let mut header = PageHeader {
            kind: PageKind::End as u8,
            version: 1,
            segment: self.segment,
            first_event: self.first,
            t_last: self.t_last,
            ..PageHeader::default()
        };
        let ended = self.put(&mut header, &[]);
        let summary = Summary {
            events: self.first,
            lost: self.lost,
            bytes: self.at,
        };
        match (self.error.take(), ended) {
            (Some(error), _) => Err(error),
            (None, Err(source)) => Err(Error::io("finish", &self.path)(source)),
            (None, Ok(())) => Ok(summary),
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

/// The header of a derived page: the filters carry what the page is instead.
pub(crate) fn derived_header(kind: u16, model_version: u32, events: Range<u64>) -> PageHeader {
    PageHeader {
        kind: PageKind::Derived as u8,
        version: 1,
        first_event: events.start,
        loops: u64::from(kind) | u64::from(model_version) << 32,
        fds: u128::from(events.end),
        ..PageHeader::default()
    }
}

/// A number no other recording has; not a secret.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
