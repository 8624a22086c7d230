//! Teaching demos: small event-loop programs with one bug each, and the same program repaired.
//!
//! A demo is one file that uses only loopscope's public API, its lesson beside it, and a claim: what a recording of it
//! must show. It runs in a process of its own under `loopscope demo NAME`, on loopback only, for a bounded time, its
//! load drawn from a seed. README.md says which idea is where. Step: **event** → ring.

pub mod blocking_handler;
pub mod claim;
pub mod et_not_drained;
pub mod greedy_fd;
mod random;

pub use claim::{Claim, Seen};
pub use random::Random;

use std::io;
use std::time::Duration;

/// What can be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// The repaired program.
    pub fixed: bool,
    /// Where the load's random numbers start.
    pub seed: u64,
    /// How long the clients go on.
    pub time: Duration,
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
}

/// All demos, in the order of a lecture.
pub static ALL: &[Demo] = &[
    Demo {
        name: "greedy-fd",
        title: "one client's handler reads until there is nothing left; the others starve",
        lesson: include_str!("greedy_fd.md"),
        source: include_str!("greedy_fd.rs"),
        file: "demos/greedy_fd.rs",
        run: greedy_fd::run,
        claims: greedy_fd::claims,
    },
    Demo {
        name: "blocking-handler",
        title: "one handler sleeps, one waits for a slow disk; everybody waits with them",
        lesson: include_str!("blocking_handler.md"),
        source: include_str!("blocking_handler.rs"),
        file: "demos/blocking_handler.rs",
        run: blocking_handler::run,
        claims: blocking_handler::claims,
    },
    Demo {
        name: "et-not-drained",
        title: "edge-triggered, read once: bytes stay in the socket and no event ever comes",
        lesson: include_str!("et_not_drained.md"),
        source: include_str!("et_not_drained.rs"),
        file: "demos/et_not_drained.rs",
        run: et_not_drained::run,
        claims: et_not_drained::claims,
    },
];

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
            assert!(demo.file.ends_with(".rs"));
            assert!(demo.title.len() <= 78, "{}", demo.title);
        }
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
