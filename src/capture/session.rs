//! A session: the recorder's side of a recording in the making. Programs join at the [`Rendezvous`], their rings are
//! [drained](Drain), and what comes out is written. Step: **ring → trace**.
//!
//! | thread     | waits for                     | does                                                          |
//! |------------|-------------------------------|---------------------------------------------------------------|
//! | collector  | its next pass, or a message   | drains, writes, follows the lives of processes                |
//! | welcome    | a program at the socket       | welcome --Joined--> collector                                 |
//! | look       | the collector's request       | looks at a process in /proc, look --Look--> collector         |
//! | (caller's) | the child's end, a pty, a key | launch --Ended--> collector, pty --Output--> collector        |
//!
//! No thread of ours runs in a recorded program, and nothing there waits for us.

use super::bell::Outbox;
use super::collector::{Collector, Message, Outcome};
use super::drain::Drain;
use super::look;
use super::looks::Looks;
pub use super::looks::Warn;
use super::machine;
use super::memory::{self, Memory};
use super::modules;
use super::perf;
use super::rendezvous::{self, Rendezvous};
use super::sight::Judge;
use crate::record::clock::{Anchor, Clock};
use crate::record::event::MAX_TEXT;
use crate::record::segment::Layout;
use crate::trace::{self, Meta, Writer};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

/// Why a session could not start, or could not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No shared memory.
    #[error(transparent)]
    Memory(#[from] memory::Error),
    /// No meeting place.
    #[error(transparent)]
    Rendezvous(#[from] rendezvous::Error),
    /// The recording's file.
    #[error(transparent)]
    Trace(#[from] trace::Error),
    /// A thread, an eventfd.
    #[error("cannot start the collector")]
    Start(#[source] io::Error),
    /// Our own fault.
    #[error("the collector failed; please report this")]
    Died,
}

/// Where the recording goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// A new file of this name.
    File {
        /// Its name.
        path: PathBuf,
        /// How to write it.
        options: trace::Options,
    },
    /// A file without a name in this directory, gone when nobody has it open.
    Unnamed {
        /// The directory.
        directory: PathBuf,
        /// How to write it.
        options: trace::Options,
    },
}

impl Target {
    /// The name of the file, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Target::File { path, .. } => Some(path),
            Target::Unnamed { .. } => None,
        }
    }

    /// A file of that name may be there, and shall not stay.
    pub fn replaces(&self) -> bool {
        matches!(self, Target::File { options, .. } if options.force)
    }
}

/// What to record.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the recording goes.
    pub target: Target,
    /// The command line, for the header.
    pub command: Vec<String>,
    /// A name for people, or empty.
    pub title: String,
    /// The program's load generator stamps what it sends.
    pub stamped: bool,
    /// Preload the shim: record the calls of a program that need not know of us. Without it, only what programs that link
    /// the library say is recorded.
    pub preload: bool,
    /// With the shim: the program is ours, and only those that it starts are to be recorded. It is told where the shim is, and has none.
    pub drives: bool,
    /// When the kernel is asked which function a thread that computes is in.
    pub stacks: perf::Sampling,
    /// With the shim: what was said before the start of why the program will not be seen.
    pub blind: bool,
    /// Takes what is found not to be seen; it also stands in the recording.
    pub warn: Option<Warn>,
    /// Named bytes to keep in the recording, such as a demo's source.
    pub attachments: Vec<(String, Vec<u8>)>,
}

/// A recording in the making.
pub struct Session {
    rendezvous: Arc<Rendezvous>,
    messages: Outbox,
    collector: JoinHandle<Outcome>,
    welcome: JoinHandle<()>,
    stop: Arc<OwnedFd>,
    file: File,
}

/// Messages that may wait for the collector. Output fills it first: a child that writes faster than we record
/// waits, as for a slow terminal.
const QUEUED: usize = 256;

impl Session {
    /// Makes the memory, the meeting place and the file, and starts collecting. `grown` is called from the collector's
    /// thread whenever the file has got another page, and with the reason when it cannot be given one.
    pub fn start(
        plan: Plan,
        grown: impl Fn(Option<&trace::Error>) + Send + 'static,
    ) -> Result<Session, Error> {
        let nonce = rendezvous::nonce();
        let layout = Layout::default();
        let clock = machine::clock();
        let (memory, segment) = Memory::create(layout, clock, nonce)?;
        let rendezvous = Arc::new(Rendezvous::create(nonce)?);
        let bell = segment.bell();
        let drain = Drain::new(segment);
        let writer = open(&plan, drain.start(), layout)?;
        let file = writer.reopen()?;
        let stop = Arc::new(eventfd().map_err(Error::Start)?);
        let (messages, inbox) = sync_channel(QUEUED);
        let messages = Outbox { messages, bell };
        let welcome = {
            let (rendezvous, stop) = (Arc::clone(&rendezvous), Arc::clone(&stop));
            let messages = messages.clone();
            std::thread::Builder::new()
                .name("welcome".to_owned())
                .spawn(move || welcome(&rendezvous, &memory, &stop, &messages, clock))
                .map_err(Error::Start)?
        };
        let (requests, asked) = sync_channel(QUEUED);
        let judge = plan.preload.then(|| Judge::new(plan.blind));
        let looks = Looks::new(requests, judge, plan.warn);
        let told = messages.clone();
        std::thread::Builder::new()
            .name("look".to_owned())
            // It ends with the collector, which holds the other ends of both channels.
            .spawn(move || {
                look::watch(&asked, |look| {
                    told.send(Message::Look(Box::new(look))).is_ok()
                })
            })
            .map_err(Error::Start)?;
        let collector = std::thread::Builder::new()
            .name("collector".to_owned())
            .spawn(move || Collector::new(drain, writer, grown, looks).run(&inbox))
            .map_err(Error::Start)?;
        Ok(Session {
            rendezvous,
            messages,
            collector,
            welcome,
            stop,
            file,
        })
    }

    /// The socket's path, for [`handshake::ENV`](crate::record::handshake::ENV).
    pub fn socket(&self) -> &Path {
        self.rendezvous.path()
    }

    /// The growing recording, opened for reading: it can be read also when it has no name.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A path that opens the growing recording again.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.file.as_raw_fd()
        ))
    }

    /// The collector's ear.
    pub fn teller(&self) -> Teller {
        Teller(self.messages.clone())
    }

    /// Waits until the child and every process that joined have ended, and completes the recording.
    pub fn join(self) -> Result<Outcome, Error> {
        self.join_keeping().map(|(outcome, _)| outcome)
    }

    /// The same, and gives the recording back, open for reading.
    pub fn join_keeping(self) -> Result<(Outcome, File), Error> {
        let outcome = self.collector.join().map_err(|_| Error::Died);
        // The eventfd's counter is far from full, so the write cannot fail.
        let _ = write_one(&self.stop);
        // It ends by itself; its own panic would have been told on stderr.
        let _ = self.welcome.join();
        Ok((outcome?, self.file))
    }
}

/// Tells the collector what happens to a child.
#[derive(Clone)]
pub struct Teller(Outbox);

impl Teller {
    // The collector outlives every use but the last moments of a session, when nobody needs to know any more: that a
    // message finds nobody is no error.

    /// What the kernel tells of the child that is about to be launched, or why it does not.
    pub fn kernel(&self, kernel: Result<perf::Kernel, perf::Refused>) {
        let _ = self.0.send(Message::Kernel(kernel.map(Box::new)));
    }

    /// A child has been launched, and its end will be told.
    pub fn child_launched(&self, pid: u32) {
        let _ = self.0.send(Message::Launched(pid));
    }

    /// The launched child has ended.
    pub fn child_ended(&self, pid: u32, status: ExitStatus) {
        let _ = self.0.send(Message::Child(pid, status));
    }

    /// The child wrote this to its terminal of this size. Waits when the recorder cannot keep up.
    pub fn output(&self, bytes: &[u8], size: i32) {
        for piece in bytes.chunks(MAX_TEXT) {
            let _ = self.0.send(Message::Output(piece.to_vec(), size));
        }
    }

    /// End the recording now.
    pub fn finish(&self) {
        let _ = self.0.send(Message::Finish);
    }
}

fn open(plan: &Plan, start: Anchor, layout: Layout) -> Result<Writer, Error> {
    let mut meta = Meta {
        command: plan.command.clone(),
        title: plan.title.clone(),
        source: if plan.preload { "preload" } else { "library" }.to_owned(),
        // What a program marks is measured all the same; that is found out by reading.
        handlers: if plan.preload { "inferred" } else { "measured" }.to_owned(),
        ..machine::meta(machine::clock(), start, layout)
    };
    if plan.stamped {
        meta.kernel_ready = "measured".to_owned();
    }
    let mut writer = match &plan.target {
        Target::File { path, options } => Writer::create(path, &meta, *options)?,
        Target::Unnamed { directory, options } => Writer::unnamed(directory, &meta, *options)?,
    };
    for (name, bytes) in &plan.attachments {
        writer.attach(name, bytes)?;
    }
    Ok(writer)
}

/// The welcome thread: answers programs until told to stop.
fn welcome(
    rendezvous: &Rendezvous,
    memory: &Memory,
    stop: &OwnedFd,
    messages: &Outbox,
    clock: Clock,
) {
    while wait_for(rendezvous.listener(), stop.as_fd()) {
        // Told before the program goes on: nothing it pushes can stand before its coming, however late we are served.
        // What is mapped in it is looked at while it waits for our answer: it may be gone when its events are read.
        let told = |joined: rendezvous::Joined| {
            let maps = modules::maps(joined.pid as u32);
            let message = Message::Joined(joined, clock.now(), maps);
            messages.send(message).is_ok()
        };
        match rendezvous.meet(memory, told) {
            Ok(Ok(_)) => {}
            Ok(Err(refused)) => {
                // A session that is over needs not know.
                let _ = messages.send(Message::Refused(refused));
            }
            // It went away or said nothing: it records nothing, and runs on.
            Err(_) => continue,
        }
    }
}

/// Waits until `ready` is readable; false when `stop` is.
fn wait_for(ready: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> bool {
    let poll = |fd: BorrowedFd<'_>| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut both = [poll(ready), poll(stop)];
    loop {
        // SAFETY: two live pollfds.
        let n = unsafe { libc::poll(both.as_mut_ptr(), 2, -1) };
        if n < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return false;
        }
        if n > 0 {
            return both[1].revents == 0;
        }
    }
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: two integers; returns a new descriptor or −1.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn write_one(fd: &OwnedFd) -> io::Result<()> {
    use std::io::Write;
    File::from(fd.try_clone()?).write_all(&1u64.to_ne_bytes())
}
