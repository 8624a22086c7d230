//! What the session's tests share: programs to record (this very test binary, started again), a page both sides see, and
//! reading back what was recorded.
#![allow(dead_code)] // each test binary uses its own part

use loopscope::record::event::{Cause, Event, Kind};
use loopscope::trace::{Events, Reader};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Which program this process shall be.
const PROGRAM: &str = "LOOPSCOPE_TEST_PROGRAM";
/// The file behind the shared page.
const PAGE: &str = "LOOPSCOPE_TEST_PAGE";

/// Runs of the kill tests: some always, all that the promise names with LOOPSCOPE_FULL=1.
pub fn rounds(some: u32, all: u32) -> u32 {
    match std::env::var_os("LOOPSCOPE_FULL") {
        Some(_) => all,
        None => some,
    }
}

/// The name of the program this process shall be, if it was started as one.
pub fn wanted() -> Option<String> {
    std::env::var(PROGRAM).ok()
}

/// The arguments that make this test binary the program `name` (its test `program` asks [`wanted`]).
pub fn program(command: &mut Command, name: &str, page: &Path) {
    command
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "program",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]);
    given(command, name, page);
}

/// What [`wanted`] and [`Page::given`] ask for.
pub fn given(command: &mut Command, name: &str, page: &Path) {
    command.env(PROGRAM, name).env(PAGE, page);
}

/// A page of counters that outlives whoever is killed.
pub struct Page(&'static [AtomicU64]);

/// Word 0: the program's pid. Word 1: it is ready. From [`COUNTERS`]: what each thread has pushed.
pub const PID: usize = 0;
pub const READY: usize = 1;
pub const COUNTERS: usize = 8;

impl Page {
    /// A new page in this file.
    pub fn create(path: &Path) -> Page {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .unwrap();
        file.set_len(4096).unwrap();
        Page::map(&file)
    }

    /// The page that the test made for this program.
    pub fn given() -> Page {
        let path = std::env::var_os(PAGE).unwrap();
        let file = File::options().read(true).write(true).open(path).unwrap();
        let page = Page::map(&file);
        page.set(PID, u64::from(std::process::id()));
        page
    }

    fn map(file: &File) -> Page {
        // SAFETY: a fresh shared mapping of a file of 4096 bytes, never unmapped, accessed through atomics only.
        let words = unsafe {
            let base = libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            );
            assert_ne!(base, libc::MAP_FAILED);
            std::slice::from_raw_parts(base.cast::<AtomicU64>(), 512)
        };
        Page(words)
    }

    pub fn get(&self, word: usize) -> u64 {
        self.0[word].load(Ordering::SeqCst)
    }

    pub fn set(&self, word: usize, value: u64) {
        self.0[word].store(value, Ordering::SeqCst);
    }

    /// Waits until the word is at least this.
    #[track_caller]
    pub fn wait_for(&self, word: usize, least: u64) {
        let patience = Instant::now() + Duration::from_secs(120);
        while self.get(word) < least {
            assert!(
                Instant::now() < patience,
                "word {word} is {} for ever",
                self.get(word)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the program.
    pub fn kill(&self, signal: i32) {
        // SAFETY: two integers; the program said its pid and has not been waited for.
        unsafe { libc::kill(self.get(PID) as i32, signal) };
    }
}

/// What a recording holds, as far as these tests ask.
#[derive(Default)]
pub struct Found {
    /// `TaskQueued` numbers by (process, thread), in the order of the file.
    pub pushed: BTreeMap<(u64, u32), Vec<u64>>,
    pub processes: Vec<(u32, i32)>,
    pub process_ends: Vec<i32>,
    pub thread_starts: u64,
    pub thread_ends: u64,
    pub in_calls: Vec<Event>,
    pub lost: BTreeMap<u16, u64>,
    pub late: u64,
    pub complete: bool,
    pub problems: usize,
    pub output: Vec<u8>,
}

impl Found {
    pub fn lost(&self, cause: Cause) -> u64 {
        self.lost.get(&cause.code()).copied().unwrap_or(0)
    }
}

/// Reads a whole recording; where nobody joined there is none.
pub fn read(path: &Path) -> Found {
    if !path.exists() {
        return Found::default();
    }
    let mut reader = Reader::open(path).unwrap();
    let mut found = Found {
        complete: reader.complete(),
        problems: reader.problems().len(),
        ..Found::default()
    };
    let mut process_of: BTreeMap<u32, u64> = BTreeMap::new();
    let mut events = Events::default();
    let mut last = 0;
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).unwrap();
        for (_, event, text) in events.iter() {
            assert!(event.t >= last, "time runs backwards");
            last = event.t;
            found.late += u64::from(event.flags & loopscope::record::flags::LATE != 0);
            match event.kind {
                Kind::TaskQueued => {
                    let who = (process_of[&event.thread], event.thread);
                    found.pushed.entry(who).or_default().push(event.arg);
                }
                Kind::ProcessStart => found.processes.push((event.arg as u32, event.x)),
                Kind::ProcessEnd => found.process_ends.push(event.x),
                Kind::ThreadStart => {
                    found.thread_starts += 1;
                    process_of.insert(event.thread, event.arg);
                }
                Kind::ThreadEnd => found.thread_ends += 1,
                Kind::InCall => found.in_calls.push(*event),
                // The kernel's records of switches are nobody's pushes.
                Kind::Lost if Cause::from_code(event.aux).is_some_and(Cause::is_the_kernels) => {}
                Kind::Lost => *found.lost.entry(event.aux).or_default() += event.arg,
                Kind::Output => found.output.extend_from_slice(text),
                _ => {}
            }
        }
    }
    found
}
