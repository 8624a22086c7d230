//! What can go wrong with a recording file, and what damage a reader found in one. Step: **trace**.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::page::PageKind;

/// Why a recording cannot be opened, read or written. The text says what failed on what, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system refused an operation on the file.
    Io {
        /// The operation, as in "cannot {what}".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file of that name exists and overwriting was not asked for.
    Exists(PathBuf),
    /// The path names a directory, a device or a pipe.
    NotAFile(PathBuf),
    /// What is to be written over is no recording.
    Foreign(PathBuf),
    /// The file has no bytes.
    Empty(PathBuf),
    /// The file does not start as a recording does.
    NotARecording(PathBuf),
    /// The file ends inside its first header.
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// Both copies of the header are damaged.
    HeaderDamaged(PathBuf),
    /// Written by a newer loopscope in a format this one cannot read.
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's format version.
        version: u16,
    },
    /// Another process holds the file's writing lock.
    Busy(PathBuf),
    /// The size limit leaves no room to work in.
    LimitTooSmall {
        /// What was asked for, in bytes.
        limit: u64,
        /// The least that works, in bytes.
        least: u64,
    },
    /// A stored page outside the event stream is damaged or of an unknown kind.
    Damaged(PathBuf),
    /// Something handed to the writer exceeds what the format can hold.
    TooLarge {
        /// What it was.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The most that fits, in bytes.
        most: usize,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { what, path, source } => {
                let path = path.display();
                write!(f, "cannot {what} {path}: {source}")?;
                match source.kind() {
                    io::ErrorKind::NotFound => write!(f, "; check the path"),
                    io::ErrorKind::PermissionDenied if *what == "create" => {
                        write!(f, "; choose a folder you may write to, with -o")
                    }
                    io::ErrorKind::ReadOnlyFilesystem => {
                        write!(f, "; choose a folder you may write to, with -o")
                    }
                    io::ErrorKind::PermissionDenied => {
                        write!(
                            f,
                            "; recordings are private to their owner (mode 0600): ask for a copy or change the mode"
                        )
                    }
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        write!(f, "; free some space, or record elsewhere with -o")
                    }
                    io::ErrorKind::FileTooLarge => write!(
                        f,
                        "; raise the file size limit (ulimit -f) or record with --max-size"
                    ),
                    _ => Ok(()),
                }
            }
            Error::Exists(path) => {
                write!(
                    f,
                    "{} exists; choose another name with -o, or overwrite it with --force",
                    path.display()
                )
            }
            Error::NotAFile(path) => write!(
                f,
                "{} is not a regular file; name a recording (.lscope)",
                path.display()
            ),
            Error::Foreign(path) => write!(
                f,
                "{} is there and is no recording: it is not written over; name another file",
                path.display()
            ),
            Error::Empty(path) => {
                write!(
                    f,
                    "{} is empty: the recording ended before its header was written; record again",
                    path.display()
                )
            }
            Error::NotARecording(path) => {
                write!(
                    f,
                    "{} is not a loopscope recording; make one with loopscope record -- PROGRAM",
                    path.display()
                )
            }
            Error::TooShort { path, len } => write!(
                f,
                "{} ends inside its header ({len} bytes): nothing of the recording is left; copy it again or record again",
                path.display()
            ),
            Error::HeaderDamaged(path) => {
                write!(
                    f,
                    "both copies of the header of {} are damaged; restore it from a copy",
                    path.display()
                )
            }
            Error::Newer { path, version } => write!(
                f,
                "{} has recording format {version}, this loopscope reads up to {}; update loopscope",
                path.display(),
                super::header::VERSION
            ),
            Error::Busy(path) => {
                write!(
                    f,
                    "{} is being written by another process; end that recording first",
                    path.display()
                )
            }
            Error::LimitTooSmall { limit, least } => {
                write!(
                    f,
                    "a size limit of {limit} bytes is too small; give at least {least}"
                )
            }
            Error::Damaged(path) => {
                write!(
                    f,
                    "a stored page of {} is damaged; what it held must be computed again",
                    path.display()
                )
            }
            Error::TooLarge { what, len, most } => {
                write!(
                    f,
                    "{what} of {len} bytes does not fit a recording; the most is {most}"
                )
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Damage or incompleteness found in a recording that could be opened all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// One of the two copies of the header is damaged; the other one was used.
    Header {
        /// 1 or 2.
        copy: u8,
    },
    /// The page table is damaged; it was rebuilt by walking the pages.
    Index {
        /// Where it stands, in bytes.
        at: u64,
    },
    /// Bytes that should be a page are not.
    Page {
        /// What the page was, where that is known.
        kind: Option<PageKind>,
        /// The event numbers lost with it; empty for a page that held none.
        events: Range<u64>,
        /// Where the damage lies, in bytes.
        bytes: Range<u64>,
    },
    /// Pages in a coding newer than this version were skipped.
    Newer {
        /// The event numbers skipped with them; empty for pages that held none.
        events: Range<u64>,
    },
    /// The recording has no footer: its writer was killed, or the file was cut.
    Unfinished {
        /// The end of the last whole page, in bytes.
        at: u64,
        /// How many bytes after that are no whole page.
        stray: u64,
    },
    /// The writer reused the space of these events while they were being read.
    Dropped {
        /// Their numbers.
        events: Range<u64>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Header { copy } => write!(
                f,
                "copy {copy} of the header is damaged; the other one was used"
            ),
            Problem::Index { at } => {
                write!(f, "the page table at byte {at} is damaged; it was rebuilt")
            }
            Problem::Page {
                kind,
                events,
                bytes,
            } => {
                let what = kind.map_or("", PageKind::name);
                let gap = if what.is_empty() { "" } else { " " };
                write!(
                    f,
                    "damaged {what}{gap}page at bytes {} to {}",
                    bytes.start, bytes.end
                )?;
                match events.end.saturating_sub(events.start) {
                    0 => Ok(()),
                    n => write!(f, "; {n} events from number {} are lost", events.start),
                }
            }
            Problem::Newer { events } => match events.end.saturating_sub(events.start) {
                0 => write!(
                    f,
                    "a page of a newer version was skipped; update loopscope to read it"
                ),
                n => write!(
                    f,
                    "{n} events from number {} are in a newer coding; update loopscope",
                    events.start
                ),
            },
            Problem::Unfinished { at, stray: 0 } => {
                write!(f, "no footer: the recording ends at byte {at}")
            }
            Problem::Unfinished { at, stray } => {
                write!(
                    f,
                    "no footer: the recording ends at byte {at}, {stray} bytes after it are no whole page"
                )
            }
            Problem::Dropped { events } => {
                let n = events.end.saturating_sub(events.start);
                write!(
                    f,
                    "{n} events from number {} were dropped to honour the size limit",
                    events.start
                )
            }
        }
    }
}
