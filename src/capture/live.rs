//! A launched program under a session: started, watched, its terminal recorded, ended or left.
//! Step: event → **ring → trace**.

use super::aside::Aside;
use super::collector::Outcome;
use super::control::{ChildState, Control, GRACE};
use super::launch::{self, Launched, Streams};
use super::perf;
use super::preload;
use super::pty::Pty;
use super::session::{self, Plan, Session, Target, Teller};
use crate::trace;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Why a program is not being recorded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The recorder could not start, or not end well.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// The program could not.
    #[error(transparent)]
    Launch(#[from] launch::Error),
    /// The shim.
    #[error(transparent)]
    Preload(#[from] preload::Error),
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A child has ended, but a process it left behind may hold its terminal: how long to wait for its last output.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A program being recorded.
pub struct Live {
    session: Session,
    control: Control,
    teller: Teller,
    /// The recording's name, and what it replaces.
    path: Option<PathBuf>,
    aside: Option<Aside>,
}

impl Live {
    /// Starts the recorder, then the program. A program that cannot be started leaves no file behind.
    pub fn start(
        plan: Plan,
        argv: &[OsString],
        streams: Streams,
        record_output: bool,
    ) -> Result<Live, Error> {
        let shim = match plan.preload.then(preload::install) {
            Some(Ok(shim)) => Some(shim),
            // The library in the program can still join.
            None | Some(Err(preload::Error::None)) => None,
            Some(Err(error)) => return Err(error.into()),
        };
        let control: Arc<OnceLock<Control>> = Arc::default();
        let told = Arc::clone(&control);
        let path = plan.target.path().map(Path::to_owned);
        let aside = path.as_deref().filter(|_| plan.target.replaces());
        let aside = aside.and_then(Aside::of);
        let unsaved = matches!(plan.target, Target::Unnamed { .. });
        let (stacks, drives) = (plan.stacks, plan.drives);
        let session = Session::start(plan, move |failing| {
            if let Some(control) = told.get() {
                control.set_failing(failing.map(one_line));
                control.changed();
            }
        })?;
        let teller = session.teller();
        let launched = watched(&teller, stacks, || {
            let shim = shim.as_deref().map(|shim| match drives {
                true => (launch::SHIM, shim),
                false => (launch::LD_PRELOAD, shim),
            });
            launch::launch(argv, session.socket(), shim, streams)
        })?;
        let Launched { child, pidfd, pty } = match launched {
            Ok(launched) => launched,
            Err(error) => {
                teller.finish();
                // The program's error is the one to tell.
                let _ = session.join();
                if let Some(path) = &path {
                    let _ = std::fs::remove_file(path);
                }
                return Err(error.into());
            }
        };
        teller.child_launched(child.id());
        let handle = pty.as_ref().map(Pty::handle);
        let made = Control::new(child.id() as i32, pidfd, handle, session.path(), unsaved);
        let control = control.get_or_init(|| made).clone();
        let output = match pty {
            Some(pty) => Some(pump(pty, record_output.then(|| teller.clone()))?),
            None => None,
        };
        let (waiting, told) = (control.clone(), teller.clone());
        std::thread::Builder::new()
            .name("wait".to_owned())
            .spawn(move || wait(child, output.as_ref(), &waiting, &told))
            .map_err(Error::Thread)?;
        Ok(Live {
            session,
            control,
            teller,
            path,
            aside,
        })
    }

    /// The handle for views and signals.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Ends the recording from elsewhere.
    pub fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// Waits until the program and everyone who joined has ended (or [`Teller::finish`] was called) and completes the
    /// recording. A program that shall be left alive keeps its terminal. A file that tells nothing goes away again, and what it
    /// was to replace is back.
    pub fn join(self) -> Result<Ended, Error> {
        let outcome = self.session.join_keeping();
        let (outcome, file) = outcome?;
        match (&self.path, outcome.counts.tells_anything()) {
            // It would only stand in the way of the next try.
            (Some(path), false) => _ = std::fs::remove_file(path),
            (_, true) => self.aside.into_iter().for_each(Aside::forget),
            (None, false) => {}
        }
        let status = match self.control.child() {
            ChildState::Ended(status) => Some(status),
            ChildState::Running { .. } => None,
        };
        if let (None, true, Some(pty)) = (status, self.control.left(), self.control.pty()) {
            launch::keep_pty(pty).map_err(Error::Thread)?;
        }
        Ok(Ended {
            status,
            outcome,
            file,
            control: self.control,
        })
    }
}

/// Launches with the kernel telling of what is launched. That is opened on a thread of its own, which launches nothing else and
/// ends: whatever we start later is not told of.
fn watched<T: Send>(
    teller: &Teller,
    stacks: perf::Sampling,
    launch: impl FnOnce() -> T + Send,
) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("launch".to_owned());
        let launched = thread.spawn_scoped(scope, || {
            teller.kernel(perf::open(stacks));
            launch()
        });
        let launched = launched.map_err(Error::Thread)?;
        launched
            .join()
            .map_err(|_| Error::Session(session::Error::Died))
    })
}

/// An error and its cause.
fn one_line(error: &trace::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// How it went.
pub struct Ended {
    /// The child's end; nothing if it lives on.
    pub status: Option<ExitStatus>,
    /// The recording's.
    pub outcome: Outcome,
    /// The recording, open for reading.
    pub file: std::fs::File,
    /// What the view asked for.
    pub control: Control,
}

/// Reads the child's terminal on a thread of its own; what comes back says when it has ended.
fn pump(pty: Pty, teller: Option<Teller>) -> Result<Receiver<()>, Error> {
    let (done, ended) = channel();
    std::thread::Builder::new()
        .name("terminal".to_owned())
        .spawn(move || {
            pty.pump(|bytes, size| {
                if let Some(teller) = &teller {
                    teller.output(bytes, size.packed());
                }
            });
            // The other end may have waited long enough.
            let _ = done.send(());
        })
        .map_err(Error::Thread)?;
    Ok(ended)
}

fn wait(mut child: Child, output: Option<&Receiver<()>>, control: &Control, teller: &Teller) {
    let pid = child.id();
    // Nobody else waits for it, so its status is there to be had.
    let Ok(status) = child.wait() else {
        teller.finish();
        return;
    };
    if let Some(ended) = output {
        match ended.recv_timeout(LAST_WORDS) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
    control.set_ended(status);
    teller.child_ended(pid, status);
}

/// Ends the recording after `time`; the program lives on.
pub fn finish_after(time: Duration, control: Control, teller: Teller) -> io::Result<()> {
    std::thread::Builder::new()
        .name("timer".to_owned())
        .spawn(move || {
            std::thread::sleep(time);
            control.leave();
            teller.finish();
        })?;
    Ok(())
}

/// Ends the program after `time`: TERM, KILL [`GRACE`] later, and the recording with it, whoever else still lives.
pub fn end_after(time: Duration, control: Control, teller: Teller) -> io::Result<()> {
    std::thread::Builder::new()
        .name("timer".to_owned())
        .spawn(move || {
            std::thread::sleep(time);
            control.end();
            std::thread::sleep(GRACE * 2);
            teller.finish();
        })?;
    Ok(())
}
