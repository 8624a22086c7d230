//! Teaching demos: small event-loop programs with one bug each, and the same program repaired.
//!
//! A demo is one file that uses only loopscope's public API, its lesson beside it, and a claim: what a recording of it
//! must show. It runs in a process of its own under `loopscope demo NAME`, on loopback only, for a bounded time, its
//! load drawn from a seed. README.md says which idea is where. Step: **event** → ring.

pub mod aio_file;
pub mod claim;
pub mod cold;
pub mod crowd;
mod dial;
pub mod kit;
pub mod order;
pub mod programs;
mod random;
pub mod uring;

pub use claim::{Claim, Seen};
pub use dial::{Dial, Dials};
pub use random::Random;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What can be turned.
#[derive(Debug)]
pub struct Knobs {
    /// The repaired program.
    pub fixed: bool,
    /// Where the load's random numbers start.
    pub seed: u64,
    /// How long the clients go on.
    pub time: Duration,
    /// What can be turned while it runs; its lesson lists them.
    pub dials: Dials,
    /// A directory for what it has to write, which goes away when it has ended.
    pub place: PathBuf,
}

/// One demo.
#[derive(Debug)]
pub struct Demo {
    /// What to type.
    pub name: &'static str,
    /// What it is about, in one line.
    pub title: &'static str,
    /// The lesson, Markdown.
    pub lesson: &'static str,
    /// The program.
    pub source: &'static str,
    /// The program's file.
    pub file: &'static str,
    /// Runs it to its end.
    pub run: fn(&Knobs) -> io::Result<()>,
    /// What a broken and a fixed run must show.
    pub claims: fn(broken: &Seen, fixed: &Seen) -> Vec<Claim>,
    /// It starts programs of others, and those are what is recorded.
    pub drives: bool,
    /// The same in C, in raw calls, for whoever wants to type it in.
    pub c: Option<&'static str>,
    /// Recordings made earlier: of the broken and of the repaired program.
    pub recorded: [&'static [u8]; 2],
}

/// The C twin of a demo that has one.
macro_rules! twin {
    ($module:ident) => {
        None
    };
    ($module:ident drives) => {
        None
    };
    ($module:ident c) => {
        Some(include_str!(concat!(stringify!($module), ".c")))
    };
}

/// Whether a demo starts programs of others.
macro_rules! drives {
    (drives) => {
        true
    };
    ($($c:ident)?) => {
        false
    };
}

/// Makes a module and an entry of [`ALL`] of each line; the demo's files and its recordings are found by its name. `c` at the end: it has
/// a C twin; `drives`: it starts programs of others.
macro_rules! demos {
    ($($module:ident $name:literal $title:literal $($more:ident)?,)*) => {
        $(pub mod $module;)*

        /// All demos, in the order of a lecture.
        pub static ALL: &[Demo] = &[$(Demo {
            name: $name,
            title: $title,
            lesson: include_str!(concat!(stringify!($module), ".md")),
            source: include_str!(concat!(stringify!($module), ".rs")),
            file: concat!("demos/", stringify!($module), ".rs"),
            run: $module::run,
            claims: $module::claims,
            drives: drives!($($more)?),
            c: twin!($module $($more)?),
            recorded: [
                include_bytes!(concat!("../recordings/", $name, ".lscope")),
                include_bytes!(concat!("../recordings/", $name, "-fixed.lscope")),
            ],
        },)*];
    };
}

// The one place a demo is listed.
demos! {
    blocking_echo "blocking-echo" "one thread, blocking reads: who comes second waits until the first has gone" c,
    busy_poll "busy-poll" "receive from two: ask each again and again, or sleep until one has something" c,
    scan_cost "scan-cost" "one busy descriptor among many idle ones: what a wakeup costs" c,
    level_vs_edge "level-vs-edge" "the same bytes, told of once a state or once a change" c,
    et_not_drained "et-not-drained" "edge-triggered, one read an event: a short request, and a longer one" c,
    greedy_fd "greedy-fd" "one client's handler reads until there is nothing left; the others starve" c,
    blocking_handler "blocking-handler" "one handler sleeps, one waits for a slow disk; everybody waits with them" c,
    cpu_handler "cpu-handler" "one handler computes; everybody waits, and this time nobody sleeps",
    creeping_block "creeping-block" "tidied up, and all tests pass: a routine that returned at once now waits",
    page_fault "page-fault" "reading an array: asleep in the middle of an instruction, and no call was made",
    http_fsm "http-fsm" "a request byte by byte: readable promises one of them",
    connect "connect" "connecting is over: that is not to say that there is a connection",
    ghost_events "ghost-events" "closed, but a copy lives: events for a client that is gone" c,
    epollout_spin "epollout-spin" "asking for room to write all the time: the loop never sleeps" c,
    thundering_herd "thundering-herd" "six threads wait for one socket, and all of them wake up for each client",
    oneshot_threads "oneshot-threads" "two threads serve one connection, and its answers come in the wrong order",
    stale_in_batch "stale-in-batch" "closed in the same batch: an event for a client whose seat is taken",
    merged_events "merged-events" "three orders in one read, one order in two: events are not messages",
    timers_heartbeat "timers-heartbeat" "fifty milliseconds that begin anew with every event: a busy server looks dead",
    callback_queue "callback-queue" "callbacks that put callbacks on the queue: the loop never looks up",
    accept_limit "accept-limit" "no descriptor is left, and the door stays open: the loop goes round and round",
    accept_cap "accept-cap" "everybody at the door in one run, or four a turn: who gains, and who pays",
    half_close "half-close" "a client has said all it had to say: the end of a stream is readable for ever",
    wakeups "wakeups" "a finished answer in a queue: a loop wakes up for descriptors and time only",
    backpressure "backpressure" "quick in, slow out: a relay that always reads, and its buffer that grows",
    thread_per_conn "thread-per-conn" "a thread for each of a crowd, or one for all of them: what it costs",
    thread_pool "thread-pool" "four workers and four slow clients: nobody is at work, and ann waits",
    c10k_memory "c10k-memory" "a hundred quiet clients: what one costs who says nothing",
    fork_around_epoll "fork-around-epoll" "a child tidies up its list, and it is its parent's: nobody hears ann any more",
    signals "signals" "a signal between the look and the wait: the flag is set, and the loop sleeps",
    regular_file "regular-file" "a file is always ready, and a read of it takes as long as it takes",
    aio "aio" "the kernel reads a file meanwhile: how does the loop hear that it is done?",
    continuations "continuations" "one job as callbacks and as an async function: where is its stack?",
    async_runtime "async-runtime" "what stands behind await: a blocking call in a task stops them all",
    nagle_delack "nagle-delack" "forty milliseconds, and the loop is asleep: two kernels wait for each other",
    nested_epoll "nested-epoll" "an epoll of its own for the boss, inside the big one: no place in front",
    loop_per_core "loop-per-core" "two loops side by side and one number: pieces are sold and not counted",
    foreign "foreign" "redis, nginx, Python, Node as they are installed: find the loop" drives,
}

/// The demo of this name.
pub fn find(name: &str) -> Option<&'static Demo> {
    ALL.iter().find(|demo| demo.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demo_is_complete() {
        for demo in ALL {
            assert!(std::ptr::eq(find(demo.name).unwrap(), demo));
            assert!(demo.lesson.starts_with("# "), "{}", demo.name);
            assert!(demo.source.starts_with("//! "), "{}", demo.name);
            let named = format!("demos/{}.rs", demo.name.replace('-', "_"));
            assert_eq!(demo.file, named);
            assert!(demo.title.len() <= 78, "{}", demo.title);
            let lines = demo.source.lines().count();
            assert!(lines <= 200, "{} has {lines} lines", demo.file);
        }
    }

    /// The README's table of ideas is made of what the lessons say.
    #[test]
    fn the_readme_maps_ideas_to_files() {
        let mut table = "| idea | demo |\n|---|---|\n".to_owned();
        for demo in ALL {
            let file = demo.file.trim_start_matches("demos/");
            let ideas = demo.lesson.split("\n## Ideas\n").nth(1).unwrap_or_default();
            let mut ideas = ideas
                .lines()
                .filter_map(|l| l.strip_prefix("- "))
                .peekable();
            assert!(ideas.peek().is_some(), "{} has no ideas", demo.name);
            ideas.for_each(|idea| table.push_str(&format!("| {idea} | [{file}]({file}) |\n")));
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/demos/README.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once("| idea |").unwrap();
        let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
        let want = format!("{before}{table}\n{after}");
        if std::env::var_os("LOOPSCOPE_BLESS").is_some() {
            std::fs::write(path, &want).unwrap();
        }
        assert!(text == want, "run LOOPSCOPE_BLESS=1 cargo test --lib demos");
    }

    #[test]
    fn demos_use_the_public_api_only() {
        for demo in ALL {
            let program = demo
                .source
                .split("/// What a recording must show")
                .next()
                .unwrap();
            for line in program
                .lines()
                .filter(|l| l.trim_start().starts_with("use "))
            {
                let ok = ["use loopscope::", "use std::", "use super::"]
                    .iter()
                    .any(|p| line.trim_start().starts_with(p));
                assert!(ok, "{}: {line}", demo.name);
            }
        }
    }
}
