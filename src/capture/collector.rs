//! The collector: the thread that drains the rings pass by pass, writes what comes out and follows the lives of the
//! processes that joined. Step: **ring → trace**.

use super::drain::Drain;
use super::look::Look;
use super::looks::Looks;
use super::pass::Breath;
use super::perf::{self, Kernel};
use super::rendezvous::{Joined, Refused};
use super::sight::Unseen;
use super::stragglers::{Found, SOON, Stragglers};
use super::{bell, drain, launch, procfs};
use crate::record::event::{Kind, MAX_TEXT};
use crate::record::handshake::Source;
use crate::record::wire::Rec;
use crate::symbols;
use crate::trace::merge::Counts;
use crate::trace::{self, Writer};
use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

/// What the collector is told.
pub(super) enum Message {
    /// A program is being let in, at this reading of the clock; it goes on when this has been sent.
    Joined(Joined, u64, Vec<u8>),
    Refused(Refused),
    /// A child has been launched: its end will be told.
    Launched(u32),
    /// It has ended.
    Child(u32, ExitStatus),
    /// A piece of what a program wrote to its terminal, with the terminal's size as `Output` carries it.
    Output(Vec<u8>, i32),
    /// How a process looked from outside.
    Look(Box<Look>),
    /// What the kernel tells of the program about to be launched, or why it does not.
    Kernel(Result<Box<Kernel>, perf::Refused>),
    /// End now, whoever still lives.
    Finish,
}

/// How a recording went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Processes that joined by themselves; forked children that pushed are not counted.
    pub joined: u32,
    /// The last refusal.
    pub refused: Option<Refused>,
    /// What the merge wrote and lost.
    pub counts: Counts,
    /// Bytes of the recording.
    pub bytes: u64,
    /// What was found last not to be seen.
    pub unseen: Option<Unseen>,
    /// Where a program listens to which nobody has come.
    pub lonely: Option<String>,
    /// Something was registered with an epoll, and no wait was recorded.
    pub idle: bool,
    /// Why not everything could be written. What is in the file can be read.
    pub failure: Option<trace::Error>,
}

/// Pauses up to this long are slept through: the rings hold what comes meanwhile, and a busy program rings nobody.
const NAP: Duration = Duration::from_millis(2);

/// How often a pass looks for processes that have ended.
const LOOK: Duration = Duration::from_millis(16);

/// The collector's thread.
pub(super) struct Collector<G> {
    drain: Drain,
    writer: Writer,
    grown: G,
    /// Bytes of the recording when `grown` was last called, and whether it could be written.
    told: (u64, bool),
    /// Processes whose end is awaited, with a descriptor that says so; none where the kernel refused one.
    alive: HashMap<u32, Option<OwnedFd>>,
    stragglers: Stragglers,
    /// The launched child: whoever waits for it tells its status.
    child: Option<u32>,
    child_ended: bool,
    finish: bool,
    looked: Instant,
    /// The pause before the last pass.
    pause: Duration,
    breath: Breath,
    /// The last sleep ended early; and there was nothing to be had then.
    rung: bool,
    rung_for_nothing: bool,
    /// Looks at the processes from outside.
    looks: Looks,
    outcome: Outcome,
}

impl<G: Fn(Option<&trace::Error>)> Collector<G> {
    pub(super) fn new(drain: Drain, writer: Writer, grown: G, looks: Looks) -> Self {
        Collector {
            drain,
            writer,
            grown,
            told: (0, false),
            alive: HashMap::new(),
            stragglers: Stragglers::new(),
            child: None,
            child_ended: false,
            finish: false,
            looked: Instant::now(),
            pause: Duration::ZERO,
            breath: Breath::default(),
            rung: false,
            rung_for_nothing: false,
            looks,
            outcome: Outcome::default(),
        }
    }

    pub(super) fn run(mut self, inbox: &Receiver<Message>) -> Outcome {
        be_served_first();
        let mut next = Instant::now();
        loop {
            if self.over() {
                // What was sent before the end belongs to the recording, and whoever has joined meanwhile prolongs it.
                while let Ok(message) = inbox.try_recv() {
                    self.take(message);
                }
                if self.over() && self.nobody_left(inbox) {
                    break;
                }
                continue;
            }
            let wait = next.saturating_duration_since(Instant::now());
            match self.next_message(inbox, wait) {
                Ok(message) => {
                    self.take(message);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.pause = self.pass();
            next = Instant::now() + self.pause;
        }
        self.end()
    }

    /// The next message; a time-out is also that a ring has filled up meanwhile.
    fn next_message(
        &mut self,
        inbox: &Receiver<Message>,
        wait: Duration,
    ) -> Result<Message, RecvTimeoutError> {
        if wait <= NAP || self.rung_for_nothing {
            return inbox.recv_timeout(wait);
        }
        let bell = self.drain.segment().bell();
        bell.sleeps(true);
        let early = inbox.try_recv();
        if let Err(TryRecvError::Empty) = early {
            let since = Instant::now();
            bell::sleep(bell, wait);
            self.rung = since.elapsed() < wait;
        }
        bell.sleeps(false);
        match early {
            Ok(message) => Ok(message),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => inbox.recv_timeout(Duration::ZERO),
        }
    }

    /// The child is gone, and so is everyone who joined.
    fn over(&self) -> bool {
        self.finish || self.child_ended && self.alive.is_empty()
    }

    /// The last look: whether there is nobody but those we know of. Who is about to join gets the time to do so.
    fn nobody_left(&mut self, inbox: &Receiver<Message>) -> bool {
        if self.finish {
            return true;
        }
        let Collector {
            stragglers, alive, ..
        } = self;
        match stragglers.look(|pid| alive.contains_key(&pid)) {
            Found::Nobody => return true,
            Found::These(pids) => pids.into_iter().for_each(|pid| self.watch(pid)),
            Found::Soon => {
                if let Ok(message) = inbox.recv_timeout(SOON) {
                    self.take(message);
                }
            }
        }
        false
    }

    fn take(&mut self, message: Message) {
        match message {
            // The shim has joined in its place.
            Message::Joined(Joined { hello, .. }, ..) if hello.source == Source::Beside => {}
            Message::Joined(Joined { pid, hello }, at, maps) => {
                let pid = pid as u32;
                self.drain.foreign.joined(pid, hello.pid as u32);
                self.outcome.joined += 1;
                self.drain.process_from(pid, hello.source);
                // The shim joins from a program's start. All but the first were something else before, if only a copy of
                // their parent: what is close-on-exec is gone.
                let known = self.alive.contains_key(&pid);
                if known || hello.source == Source::Preload && self.outcome.joined > 1 {
                    self.exec(pid, hello.source, at);
                }
                self.drain.process_arrived(pid, true, at, &maps);
                self.watch(pid);
            }
            Message::Refused(refused) => self.outcome.refused = Some(refused),
            Message::Launched(pid) => {
                self.child = Some(pid);
                self.looks.launched(pid);
            }
            Message::Child(pid, status) => {
                // Its children may have joined in its last moments, by what still lies in their rings.
                self.pass();
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
            Message::Look(look) => self.looks.came(*look, &mut self.drain),
            Message::Kernel(Ok(kernel)) => {
                if kernel.lacks_stacks() {
                    self.looks.stacks_refused(&mut self.drain);
                } else if kernel.lacks_copies() {
                    self.looks.copies_refused(&mut self.drain);
                }
                self.drain.kernel = Some(*kernel);
            }
            Message::Kernel(Err(refused)) => self.looks.kernel_refused(&refused, &mut self.drain),
            Message::Finish => self.finish = true,
        }
    }

    /// A process that had joined joins again: it has become another program.
    fn exec(&mut self, pid: u32, source: Source, at: u64) {
        let rec = Rec {
            kind: Kind::Exec,
            aux: source as u16,
            fd: -1,
            ..Rec::default()
        };
        let program = procfs::command(pid as i32).unwrap_or_default();
        let cut = crate::record::wire::cut(&program, MAX_TEXT);
        self.drain.note_arrival(pid, rec, &program[..cut], at);
    }

    fn watch(&mut self, pid: u32) {
        let drain = &mut self.drain;
        self.alive.entry(pid).or_insert_with(|| {
            // Its end is told once, and by us: whoever else notices it does not know how it ended.
            drain.awaits(pid);
            launch::pidfd_open(pid as i32).ok()
        });
    }

    fn ended(&mut self, pid: u32, status: i32) {
        self.alive.remove(&pid);
        self.drain.process_ended(pid, status);
    }

    fn pass(&mut self) -> Duration {
        let writer = &mut self.writer;
        let known = &mut self.looks.known;
        let pass = self.drain.pass(|event, text| {
            known.see(event, text);
            writer.write(event, text);
        });
        writer.tick(pass.now);
        // A program that rings for nothing gets no more of our time than one that does not ring.
        self.rung_for_nothing = std::mem::take(&mut self.rung) && pass.records == 0;
        let failing = writer.failing();
        let state = (writer.bytes(), failing.is_some());
        if state != self.told {
            self.told = state;
            (self.grown)(failing);
        }
        let alive = &self.alive;
        self.looks
            .passed(&mut self.drain, |pid| alive.contains_key(&pid));
        self.looks.plan_steal(pass.records > 0, &mut self.drain);
        let now = Instant::now();
        if now.duration_since(self.looked) >= LOOK {
            self.looked = now;
            self.look_for_new();
            self.look_for_ended();
            self.looks.plan(self.alive.keys().copied(), pass.now);
            self.looks.count(pass.now, &mut self.drain);
        }
        self.breath.taken(pass.calm_pause(self.pause), pass.now)
    }

    /// Forked children come without a word: they show themselves by what they push.
    fn look_for_new(&mut self) {
        for pid in self.drain.processes() {
            // Its number is somebody's here whose end nobody waits for: the first process's of the machine, say.
            match self.drain.foreign.is_stranger(pid) {
                true => self.ended(pid, drain::UNKNOWN_STATUS),
                false => self.watch(pid),
            }
        }
    }

    /// Whose end somebody waits for tells its status: until we have heard who that is, nobody is found to have ended.
    fn look_for_ended(&mut self) {
        if self.child.is_none() {
            return;
        }
        let gone: Vec<(u32, i32)> = (self.alive.iter())
            .filter(|(pid, _)| Some(**pid) != self.child)
            .filter(|(_, pidfd)| pidfd.as_ref().is_none_or(|fd| is_readable(fd.as_fd())))
            // Where we cannot know, a parent that is recorded tells.
            .map(|(pid, pidfd)| {
                let status = |pidfd| launch::status_of(*pid as i32, pidfd);
                (*pid, pidfd.as_ref().and_then(status))
            })
            .map(|(pid, status)| (pid, status.unwrap_or(drain::UNKNOWN_STATUS)))
            .collect();
        for (pid, status) in gone {
            self.ended(pid, status);
        }
    }

    fn end(mut self) -> Outcome {
        self.looks.end(&mut self.drain);
        let found = find_places(self.drain.modules.places());
        let writer = &mut self.writer;
        let known = &mut self.looks.known;
        self.outcome.counts = self.drain.finish(|event, text| {
            known.see(event, text);
            writer.write(event, text);
        });
        self.outcome.lonely = self.looks.known.lonely();
        self.outcome.idle = self.looks.known.idle();
        self.outcome.unseen = self.looks.last.take();
        if let Some(bytes) = found.and_then(|found| symbols::attachment(&in_time(&found))) {
            // A recording that is kept small may have no room for it.
            let _ = self.writer.attach(symbols::ATTACHMENT, &bytes);
        }
        match self.writer.finish() {
            Ok(summary) => self.outcome.bytes = summary.bytes,
            Err(error) => self.outcome.failure = Some(error),
        }
        (self.grown)(self.outcome.failure.as_ref());
        self.outcome
    }
}

/// How long the end of a recording may be held up by what its call sites are; they can be looked up later too.
const PLACES: Duration = Duration::from_millis(500);

/// Looks up what the call sites are, so that they are known wherever the recording is read; somebody else does, in time
/// or not.
fn find_places(sites: BTreeMap<symbols::Module, Vec<u64>>) -> Option<Receiver<String>> {
    if sites.is_empty() {
        return None;
    }
    let (to, found) = channel();
    let look = move || {
        symbols::lines(&sites, &mut |lines| {
            // Too late is as good as not at all.
            let _ = to.send(lines);
        });
    };
    let thread = std::thread::Builder::new().name("symbols".to_owned());
    thread.spawn(look).ok().map(|_| found)
}

/// What has been found of them when it is time to end.
fn in_time(found: &Receiver<String>) -> String {
    let end = Instant::now() + PLACES;
    let mut lines = String::new();
    while let Ok(more) = found.recv_timeout(end.saturating_duration_since(Instant::now())) {
        lines.push_str(&more);
    }
    lines
}

/// A ring holds what a program pushes in some 20 ms at its fastest, and a busy machine lets others wait for longer: also
/// those whose nice value is low, which counts only against programs of the same session. Who may (root, CAP_SYS_NICE,
/// RLIMIT_RTPRIO) has this thread at the lowest real-time priority; it sleeps most of the time, and [`Breath`] sees to it.
/// Threads that it makes are ordinary ones again.
fn be_served_first() {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: a live parameter; 0 is the calling thread. Not permitted, or forbidden by a control group: then the nice
    // value, and if that is not permitted either, we wait our turn.
    unsafe {
        let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
        if libc::sched_setscheduler(0, policy, &raw const lowest) != 0 {
            let _ = libc::setpriority(libc::PRIO_PROCESS, 0, -10);
        }
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
