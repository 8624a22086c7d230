//! Starting and ending a recording. Step: event → **ring** → trace.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::connect;
use super::error::Error;
use super::shared::Shared;
use super::shim;
use super::state;
use super::writing::Writing;
use crate::record::handshake::{self, Source};
use crate::trace;

/// A process has one recorder at a time.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Joining was tried, asked or unasked: it is not tried unasked again.
static TRIED: AtomicBool = AtomicBool::new(false);

/// The session was joined by [`join_unasked`], and no [`Recorder`] stands for it yet.
static UNASKED: AtomicBool = AtomicBool::new(false);

/// Records this process's loops, from when it is made until it is finished.
///
/// There is one recorder in a process at a time and every hook of this crate finds it by itself, on any thread: keep
/// the value, but there is no need to pass it around. Without a recorder a hook does nothing, in about a nanosecond.
///
/// A forked child is recorded too, as a process of its own, as long as the recorder lives. A child does not end its
/// parent's recording, whatever it drops.
///
/// ```
/// use loopscope::epoll::{Epoll, Events};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("idle.lscope");
/// let recorder = loopscope::Recorder::to_file(&path)?;
/// let epoll = Epoll::new()?;
/// epoll.wait(&mut Events::with_capacity(8), Some(Duration::from_millis(1)))?;
/// let summary = recorder.finish()?;
/// assert!(summary.events > 0 && summary.lost == 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a recording to a file ends when this is dropped"]
pub struct Recorder {
    kind: Option<Kind>,
}

#[derive(Debug)]
enum Kind {
    /// Nobody asked for a recording, or it failed for this reason.
    Off(Option<Error>),
    /// A collector in another process writes it.
    Session,
    /// A thread of ours writes it, in the process with this id.
    File { writing: Writing, pid: u32 },
}

/// What a recording holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Events in the file.
    pub events: u64,
    /// Events that were dropped, because a ring was full or the disk was.
    pub lost: u64,
    /// The file's size in bytes.
    pub bytes: u64,
}

impl Recorder {
    /// Records into a new file, which must not exist.
    ///
    /// A thread of this process writes it; it blocks all signals. The rings take 16 MiB. The recording is complete when
    /// this value is dropped or [finished](Recorder::finish); a program that is killed, exits or execs before that
    /// leaves a file that ends within its last 100 ms.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyOn`] if the process has a recorder, [`Error::Trace`] if the file cannot be made,
    /// [`Error::Memory`] or [`Error::Thread`] if the system refuses one.
    pub fn to_file(path: impl AsRef<Path>) -> Result<Recorder, Error> {
        Recorder::to_file_with(path, trace::Options::default())
    }

    /// [`Recorder::to_file`] with a say in how the file is made.
    ///
    /// ```
    /// use loopscope::{Recorder, trace};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("again.lscope");
    /// for _ in 0..2 {
    ///     let options = trace::Options { force: true, ..trace::Options::default() };
    ///     Recorder::to_file_with(&path, options)?.finish()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Recorder::to_file`].
    pub fn to_file_with(
        path: impl AsRef<Path>,
        options: trace::Options,
    ) -> Result<Recorder, Error> {
        take()?;
        match Writing::start(path.as_ref(), options) {
            Ok(writing) => {
                state::switch_on(writing.shared(), true);
                Ok(Recorder {
                    kind: Some(Kind::File {
                        writing,
                        pid: std::process::id(),
                    }),
                })
            }
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Joins the recording this program was started under (`loopscope run` or `loopscope record`), if it was.
    ///
    /// Call it early in `main`; a program that does not is joined when it makes its first `loopscope::mio::Poll` or
    /// [`Epoll`](crate::epoll::Epoll), and what it did before is not recorded. It never fails the program: without a recorder it costs one look at the environment,
    /// and where joining fails, a line on stderr says why and the program runs unrecorded. Afterwards the process holds
    /// no descriptor and no thread of ours. The recording goes on until the process ends or calls
    /// [`finish`](Recorder::finish); dropping this value does not end it.
    ///
    /// ```
    /// let _recorder = loopscope::Recorder::from_env();
    /// // the program
    /// ```
    pub fn from_env() -> Recorder {
        TRIED.store(true, Ordering::Relaxed);
        // Relaxed, as above: whoever joined is this thread or has made the poll we were called about.
        if UNASKED.swap(false, Ordering::Relaxed) {
            return Recorder {
                kind: Some(Kind::Session),
            };
        }
        let Some(path) = env::var_os(handshake::ENV).filter(|path| !path.is_empty()) else {
            return Recorder {
                kind: Some(Kind::Off(None)),
            };
        };
        let kind = match join(PathBuf::from(path)) {
            Ok(()) => Kind::Session,
            Err(error) => {
                eprintln!("loopscope: not recorded: {error}");
                Kind::Off(Some(error))
            }
        };
        Recorder { kind: Some(kind) }
    }

    /// Whether this process is being recorded.
    ///
    /// ```
    /// assert!(!loopscope::Recorder::from_env().is_on());
    /// ```
    pub fn is_on(&self) -> bool {
        !matches!(self.kind, Some(Kind::Off(_)) | None)
    }

    /// Why joining failed, where it did.
    ///
    /// ```
    /// assert!(loopscope::Recorder::from_env().problem().is_none());
    /// ```
    pub fn problem(&self) -> Option<&Error> {
        match &self.kind {
            Some(Kind::Off(problem)) => problem.as_ref(),
            _ => None,
        }
    }

    /// Ends the recording: turns the hooks off and, of a recording to a file, writes what the rings still hold. What
    /// other threads push at this very moment may be left out.
    ///
    /// The summary is of the file; a recording that another process writes is that process's to sum up, and all zeroes.
    ///
    /// # Errors
    ///
    /// [`Error::Trace`] if the file could not be written to its end, [`Error::Thread`] if the thread that wrote it has
    /// panicked.
    pub fn finish(mut self) -> Result<Summary, Error> {
        match self.kind.take() {
            Some(Kind::Session) => {
                state::switch_off();
                give_back();
                Ok(Summary::default())
            }
            Some(Kind::File { writing, pid }) => end(writing, pid),
            Some(Kind::Off(_)) | None => Ok(Summary::default()),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(Kind::File { writing, pid }) = self.kind.take() {
            // Nobody is left to tell; `finish` is for those who want to know.
            let _ = end(writing, pid);
        }
    }
}

/// Joins at the first poll of a program that changed mio's path and nothing else.
pub(crate) fn join_unasked() {
    // Relaxed: hints; `join` takes the session for good.
    if TRIED.swap(true, Ordering::Relaxed) || TAKEN.load(Ordering::Relaxed) {
        return;
    }
    if Recorder::from_env().is_on() {
        UNASKED.store(true, Ordering::Relaxed);
    }
}

fn end(writing: Writing, pid: u32) -> Result<Summary, Error> {
    if std::process::id() != pid {
        // A forked child has no such thread, and the recording is its parent's.
        std::mem::forget(writing);
        return Ok(Summary::default());
    }
    state::switch_off();
    let result = writing.finish();
    give_back();
    result
}

fn take() -> Result<(), Error> {
    // Acquire: pairs with the Release in `give_back`: the recorder before has ended.
    if TAKEN.swap(true, Ordering::Acquire) {
        Err(Error::AlreadyOn)
    } else {
        Ok(())
    }
}

fn give_back() {
    TAKEN.store(false, Ordering::Release);
}

fn join(path: PathBuf) -> Result<(), Error> {
    take()?;
    // A session records a call once, whoever sees it.
    shim::look();
    let calls = !shim::is_on();
    let source = if calls {
        Source::Library
    } else {
        Source::Beside
    };
    let joined = connect::join(&path, source)
        .and_then(|segment| Shared::new(segment).map_err(Error::Memory));
    match joined {
        Ok(shared) => {
            state::switch_on(Box::leak(Box::new(shared)), calls);
            Ok(())
        }
        Err(error) => {
            give_back();
            Err(error)
        }
    }
}
