//! The handle a view holds on a live session: the child's state and terminal, ending or leaving it, keeping the
//! recording. Step: none of the pipeline; the events themselves reach the view through the recording.

use super::launch;
use super::pty::{Pty, Size};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a child may take to end after TERM before it gets KILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// Whether the launched program lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It runs.
    Running {
        /// Its process id.
        pid: i32,
    },
    /// It has ended.
    Ended(ExitStatus),
}

/// Cheap to clone; every call returns at once.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    pid: i32,
    pidfd: OwnedFd,
    pty: Option<Pty>,
    recording: PathBuf,
    unsaved: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ended: Option<ExitStatus>,
    leave: bool,
    end_asked: bool,
    save: Option<(PathBuf, std::fs::File)>,
    failing: Option<String>,
    listener: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Control {
    /// For a child just launched. `recording` is the path that opens the growing file, also when it has no name any
    /// more (then `unsaved`).
    pub fn new(
        pid: i32,
        pidfd: OwnedFd,
        pty: Option<Pty>,
        recording: PathBuf,
        unsaved: bool,
    ) -> Self {
        Control(Arc::new(Inner {
            pid,
            pidfd,
            pty,
            recording,
            unsaved,
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can leave it half changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the child lives.
    pub fn child(&self) -> ChildState {
        match self.state().ended {
            Some(status) => ChildState::Ended(status),
            None => ChildState::Running { pid: self.0.pid },
        }
    }

    /// What a reader opens to follow the recording.
    pub fn recording(&self) -> &Path {
        &self.0.recording
    }

    /// The recording has no name yet and is gone with us: offer to save it.
    pub fn unsaved(&self) -> bool {
        self.0.unsaved && self.state().save.is_none()
    }

    /// Keeps the recording under this name. The file is made now, never over another one, so that a bad name is
    /// heard of while it can be changed; it is filled when the recording ends.
    pub fn save_as(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        self.state().save = Some((path.to_owned(), file));
        Ok(())
    }

    /// Asks the child to end (TERM), and makes it end (KILL) when it has not after [`GRACE`].
    pub fn end(&self) {
        {
            let mut state = self.state();
            state.end_asked = true;
            state.leave = false;
        }
        self.signal(libc::SIGTERM);
        let late = self.clone();
        // A failed spawn leaves the TERM standing; the next quit asks again.
        let _ = std::thread::Builder::new()
            .name("grace".to_owned())
            .spawn(move || {
                std::thread::sleep(GRACE);
                late.signal(libc::SIGKILL);
            });
    }

    /// Whether [`Control::end`] was called: TERM and KILL are then no failure of the child's.
    pub fn end_asked(&self) -> bool {
        self.state().end_asked
    }

    /// Sends the child a signal, if it still lives.
    pub fn signal(&self, signal: i32) {
        // The pidfd never reaches another process, so a child that is gone is all that can go wrong.
        let _ = launch::signal(&self.0.pidfd, signal);
    }

    /// The child shall live on when we go.
    pub fn leave(&self) {
        self.state().leave = true;
    }

    /// The child's terminal, if it has one of its own.
    pub fn pty(&self) -> Option<&Pty> {
        self.0.pty.as_ref()
    }

    /// Types to the child; false if it takes no keys now.
    pub fn send(&self, bytes: &[u8]) -> bool {
        self.0.pty.as_ref().is_some_and(|pty| pty.send(bytes))
    }

    /// Gives the child's terminal another size.
    pub fn resize(&self, size: Size) {
        if let Some(pty) = &self.0.pty {
            // A terminal that is gone has no size to change.
            let _ = pty.resize(size);
        }
    }

    /// Calls `wake` from another thread whenever the recording has grown or the child has ended: an idle program
    /// wakes no view.
    pub fn on_change(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.state().listener = Some(Arc::new(wake));
    }

    /// Wakes the view.
    pub fn changed(&self) {
        let listener = self.state().listener.clone();
        if let Some(wake) = listener {
            wake();
        }
    }

    /// The child has been waited for.
    pub fn set_ended(&self, status: ExitStatus) {
        self.state().ended = Some(status);
        self.changed();
    }

    /// Why nothing can be recorded at present: a full disk.
    pub fn failing(&self) -> Option<String> {
        self.state().failing.clone()
    }

    /// Tells views that nothing can be recorded, or that it can again.
    pub fn set_failing(&self, why: Option<String>) {
        self.state().failing = why;
    }

    /// Whether [`Control::leave`] was asked.
    pub fn left(&self) -> bool {
        self.state().leave
    }

    /// Where to keep the recording, if asked; the open file is still empty.
    pub fn take_save(&self) -> Option<(PathBuf, std::fs::File)> {
        self.state().save.take()
    }
}
