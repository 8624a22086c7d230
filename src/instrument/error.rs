//! What can go wrong while a recording starts or ends. Step: event → **ring**.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::record::handshake::Status;
use crate::record::segment::Bad;
use crate::trace;

/// Why a recording could not start or end.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A process has one recorder at a time.
    AlreadyOn,
    /// No memory for the rings.
    Memory(io::Error),
    /// The thread that writes the recording could not start, or has panicked.
    Thread(io::Error),
    /// The recording could not be written.
    Trace(trace::Error),
    /// No way to the recorder that started this program.
    Session {
        /// The socket named by the environment.
        path: PathBuf,
        /// What failed.
        error: io::Error,
    },
    /// The recorder does not take this program.
    Refused(Status),
    /// What the recorder sent is no segment of this version.
    Segment(Bad),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::AlreadyOn => {
                f.write_str("cannot start a recorder: this process has one; finish that one first")
            }
            Error::Memory(e) => {
                write!(
                    f,
                    "cannot get memory for the rings: {e}; give the program 16 MiB more"
                )
            }
            Error::Thread(e) => write!(f, "cannot run the thread that writes the recording: {e}"),
            Error::Trace(e) => e.fmt(f),
            Error::Session { path, error } => write!(
                f,
                "cannot join the recording at {}: {error}; start the program again under loopscope record",
                path.display()
            ),
            Error::Refused(status) => write!(f, "cannot join the recording: {}", status.refusal()),
            Error::Segment(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Memory(e) | Error::Thread(e) | Error::Session { error: e, .. } => Some(e),
            Error::Trace(e) => Some(e),
            Error::AlreadyOn | Error::Refused(_) | Error::Segment(_) => None,
        }
    }
}

impl From<trace::Error> for Error {
    fn from(e: trace::Error) -> Self {
        Error::Trace(e)
    }
}
