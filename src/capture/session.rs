//! A session: the recorder's side of a recording in the making. Programs join at the [`Rendezvous`], their rings are
//! [drained](Drain), and what comes out is written. Step: **ring → trace**.
//!
//! | thread     | waits for                     | does                                                          |
//! |------------|-------------------------------|---------------------------------------------------------------|
//! | collector  | its next pass, or a message   | drains, writes, follows the lives of processes                |
//! | welcome    | a program at the socket       | welcome --Joined--> collector                                 |
//! | (caller's) | the child's end, a pty, a key | launch --Ended--> collector, pty --Output--> collector        |
//!
//! No thread of ours runs in a recorded program, and nothing there waits for us.

use super::drain::Drain;
use super::memory::{self, Memory};
use super::rendezvous::{self, Joined, Refused, Rendezvous};
use super::{launch, machine, procfs};
use crate::record::clock::Anchor;
use crate::record::event::{Kind, MAX_TEXT};
use crate::record::handshake::Status;
use crate::record::segment::Layout;
use crate::record::wire::Rec;
use crate::trace::merge::Counts;
use crate::trace::{self, Meta, Writer};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    /// Named bytes to keep in the recording, such as a demo's source.
    pub attachments: Vec<(String, Vec<u8>)>,
}

/// What the collector is told.
enum Message {
    Joined(Joined),
    Refused(Refused),
    /// The launched child has ended.
    Child(u32, ExitStatus),
    /// A piece of what a program wrote to its terminal, with the terminal's size as `Output` carries it.
    Output(Vec<u8>, i32),
    /// End now, whoever still lives.
    Finish,
}

/// How a recording went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Processes that joined by themselves; forked children that pushed are not counted.
    pub joined: u32,
    /// The last refusal.
    pub refused: Option<Refused>,
    /// What the merge wrote and lost.
    pub counts: Counts,
    /// Bytes of the recording.
    pub bytes: u64,
}

/// A recording in the making.
pub struct Session {
    rendezvous: Arc<Rendezvous>,
    messages: SyncSender<Message>,
    collector: JoinHandle<Result<Outcome, Error>>,
    welcome: JoinHandle<()>,
    stop: Arc<OwnedFd>,
    file: File,
}

/// Messages that may wait for the collector. Output fills it first: a child that writes faster than we record
/// waits, as for a slow terminal.
const QUEUED: usize = 256;

/// How often a pass looks for processes that have ended.
const LOOK: Duration = Duration::from_millis(16);

impl Session {
    /// Makes the memory, the meeting place and the file, and starts collecting. `grown` is called from the collector's
    /// thread whenever the file has got another page.
    pub fn start(plan: Plan, grown: impl Fn() + Send + 'static) -> Result<Session, Error> {
        let nonce = rendezvous::nonce();
        let layout = Layout::default();
        let clock = machine::clock();
        let (memory, segment) = Memory::create(layout, clock, nonce)?;
        let rendezvous = Arc::new(Rendezvous::create(nonce)?);
        let drain = Drain::new(segment);
        let writer = open(&plan, drain.start(), layout)?;
        let file = writer.reopen()?;
        let stop = Arc::new(eventfd().map_err(Error::Start)?);
        let (messages, inbox) = sync_channel(QUEUED);
        let welcome = {
            let (rendezvous, stop) = (Arc::clone(&rendezvous), Arc::clone(&stop));
            let messages = messages.clone();
            std::thread::Builder::new()
                .name("welcome".to_owned())
                .spawn(move || welcome(&rendezvous, &memory, &stop, &messages))
                .map_err(Error::Start)?
        };
        let collector = std::thread::Builder::new()
            .name("collector".to_owned())
            .spawn(move || Collector::new(drain, writer, grown).run(&inbox))
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
        Ok((outcome??, self.file))
    }
}

/// Tells the collector what happens to a child.
#[derive(Clone)]
pub struct Teller(SyncSender<Message>);

impl Teller {
    // The collector outlives every use but the last moments of a session, when nobody needs to know any more: that a
    // message finds nobody is no error.

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
    messages: &SyncSender<Message>,
) {
    while wait_for(rendezvous.listener(), stop.as_fd()) {
        let message = match rendezvous.meet(memory) {
            Ok(Ok(joined)) => Message::Joined(joined),
            Ok(Err(refused)) => Message::Refused(refused),
            // It went away or said nothing: it records nothing, and runs on.
            Err(_) => continue,
        };
        if messages.send(message).is_err() {
            return;
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

/// The collector's thread.
struct Collector<G> {
    drain: Drain,
    writer: Writer,
    grown: G,
    /// Bytes of the recording when `grown` was last called.
    told: u64,
    /// Processes whose end is awaited, with a descriptor that says so; none where the kernel refused one.
    alive: HashMap<u32, Option<OwnedFd>>,
    child_ended: bool,
    finish: bool,
    looked: Instant,
    outcome: Outcome,
}

impl<G: Fn()> Collector<G> {
    fn new(drain: Drain, writer: Writer, grown: G) -> Self {
        Collector {
            drain,
            writer,
            grown,
            told: 0,
            alive: HashMap::new(),
            child_ended: false,
            finish: false,
            looked: Instant::now(),
            outcome: Outcome::default(),
        }
    }

    fn run(mut self, inbox: &Receiver<Message>) -> Result<Outcome, Error> {
        let mut next = Instant::now();
        while !self.over() {
            let wait = next.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(wait) {
                Ok(message) => {
                    self.take(message);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let pause = self.pass();
            next = Instant::now() + pause;
        }
        // What was sent before the end belongs to the recording.
        while let Ok(message) = inbox.try_recv() {
            self.take(message);
        }
        self.end()
    }

    /// The child is gone, and so is everyone who joined.
    fn over(&self) -> bool {
        self.finish || self.child_ended && self.alive.is_empty()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Joined(Joined { pid, .. }) => {
                let pid = pid as u32;
                self.outcome.joined += 1;
                if self.alive.contains_key(&pid) {
                    self.exec(pid);
                }
                self.drain.process_joined(pid, true);
                self.watch(pid);
            }
            Message::Refused(refused) => self.outcome.refused = Some(refused),
            Message::Child(pid, status) => {
                // Its children may have joined in its last moments.
                self.look_for_new();
                self.ended(pid, launch::wait_status(status));
                self.child_ended = true;
            }
            Message::Output(bytes, size) => {
                let rec = Rec {
                    kind: Kind::Output,
                    fd: -1,
                    x: size,
                    ..Rec::default()
                };
                self.drain.note(None, rec, &bytes);
            }
            Message::Finish => self.finish = true,
        }
    }

    /// A process that had joined joins again: it has become another program.
    fn exec(&mut self, pid: u32) {
        let rec = Rec {
            kind: Kind::Exec,
            fd: -1,
            ..Rec::default()
        };
        let program = procfs::command(pid as i32).unwrap_or_default();
        let cut = crate::record::wire::cut(&program, MAX_TEXT);
        self.drain.note(Some(pid), rec, &program[..cut]);
    }

    fn watch(&mut self, pid: u32) {
        self.alive
            .entry(pid)
            .or_insert_with(|| launch::pidfd_open(pid as i32).ok());
    }

    fn ended(&mut self, pid: u32, status: i32) {
        self.alive.remove(&pid);
        self.drain.process_ended(pid, status);
    }

    fn pass(&mut self) -> Duration {
        let writer = &mut self.writer;
        let pass = self.drain.pass(|event, text| writer.write(event, text));
        writer.tick(pass.now);
        if writer.bytes() != self.told {
            self.told = writer.bytes();
            (self.grown)();
        }
        let now = Instant::now();
        if now.duration_since(self.looked) >= LOOK {
            self.looked = now;
            self.look_for_new();
            self.look_for_ended();
        }
        pass.pause
    }

    /// Forked children come without a word: they show themselves by what they push.
    fn look_for_new(&mut self) {
        for pid in self.drain.processes() {
            self.watch(pid);
        }
    }

    fn look_for_ended(&mut self) {
        let gone: Vec<u32> = (self.alive.iter())
            .filter(|(_, pidfd)| pidfd.as_ref().is_none_or(|fd| is_readable(fd.as_fd())))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in gone {
            self.ended(pid, super::drain::UNKNOWN_STATUS);
        }
    }

    fn end(mut self) -> Result<Outcome, Error> {
        let writer = &mut self.writer;
        self.outcome.counts = self.drain.finish(|event, text| writer.write(event, text));
        let summary = self.writer.finish()?;
        (self.grown)();
        self.outcome.bytes = summary.bytes;
        Ok(self.outcome)
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one live pollfd, no waiting.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

impl Outcome {
    /// Why a recording holds no event, and what to do about it.
    pub fn nothing_because(&self, program: &str) -> (String, String) {
        let program = crate::text::visible(program);
        match self.refused {
            _ if self.joined > 0 => (
                format!("{program} joined the recording and recorded nothing"),
                "keep the Recorder alive while the loop runs, and let the loop use loopscope::mio or \
                 loopscope::epoll"
                    .to_owned(),
            ),
            Some(Refused { status, .. }) if status != Status::Welcome => {
                let (why, advice) = status.refusal().split_once("; ").unwrap_or(("", ""));
                (why.to_owned(), advice.to_owned())
            }
            _ => (
                format!("{program} did not join the recording, so nothing was recorded"),
                "only programs that call loopscope::Recorder::from_env() can be recorded; `loopscope demo \
                 greedy-fd` shows one"
                    .to_owned(),
            ),
        }
    }
}
