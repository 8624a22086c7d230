//! Who of a recording's tree is still there although nobody we know of is: the last look before a recording ends.
//! Step: **ring** → trace.
//!
//! A daemon is the child of a child that has already ended, and may not have pushed anything yet: it is known by the rings
//! in its memory, which a fork copies. In the midst of an exec it has neither the old memory nor a shim yet: it is known by
//! its environment, and given the time to join. Who does not (a static program) is not waited for.

use super::procfs;
use crate::record::handshake;
use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

/// The time to join. What the loader does before the shim's constructor takes a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long to wait before the next look.
pub(super) const SOON: Duration = Duration::from_millis(5);

/// What the look has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody.
    Nobody,
    /// Somebody who may be about to join.
    Soon,
    /// Processes that have the rings.
    These(Vec<u32>),
}

/// See the [module](self).
pub(super) struct Stragglers {
    /// Our own start, in clock ticks: nobody older was started by us.
    start: u64,
    first: Option<Instant>,
    /// Those that did not join in time.
    given_up: HashSet<u32>,
}

impl Stragglers {
    pub fn new() -> Stragglers {
        Stragglers {
            start: procfs::stat(std::process::id() as i32).map_or(0, |stat| stat.start),
            first: None,
            given_up: HashSet::new(),
        }
    }

    /// Looks at everybody who is not `known`.
    pub fn look(&mut self, known: impl Fn(u32) -> bool) -> Found {
        let me = std::process::id();
        let ours = procfs::rings(me);
        let sign = sign(me);
        let (mut these, mut soon) = (Vec::new(), Vec::new());
        for pid in procfs::processes().filter(|pid| *pid != me && !known(*pid)) {
            let lives = procfs::stat(pid as i32)
                .is_some_and(|stat| stat.start >= self.start && !matches!(stat.state, b'Z' | b'X'));
            if !lives {
                continue;
            }
            if procfs::rings(pid).iter().any(|ring| ours.contains(ring)) {
                these.push(pid);
            } else if !self.given_up.contains(&pid) && carries(pid, &sign) {
                soon.push(pid);
            }
        }
        if !these.is_empty() {
            self.first = None;
            return Found::These(these);
        }
        if soon.is_empty() {
            return Found::Nobody;
        }
        if self.first.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
            return Found::Soon;
        }
        self.first = None;
        self.given_up.extend(soon);
        Found::Nobody
    }
}

/// How the session of the recorder with this process id stands in an environment, but for its path.
pub(super) fn sign(recorder: u32) -> [Vec<u8>; 2] {
    [
        format!("{}=", handshake::ENV).into_bytes(),
        format!("/loopscope-{recorder}-").into_bytes(),
    ]
}

pub(super) fn carries(pid: u32, sign: &[Vec<u8>; 2]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    has(&environment, sign)
}

/// The same, with what loads the shim: the program in it is about to join, unless the shim cannot be loaded.
pub(super) fn will_load(pid: u32, sign: &[Vec<u8>; 2]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let shim = [b"LD_PRELOAD=".to_vec(), b"/preload-".to_vec()];
    has(&environment, sign) && has(&environment, &shim)
}

/// Something is preloaded into the program, whatever it is.
pub(super) fn preloads(pid: u32) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    has(&environment, &[b"LD_PRELOAD=".to_vec(), b"=".to_vec()])
        && !has(
            &environment,
            &[b"LD_PRELOAD=".to_vec(), b"/preload-".to_vec()],
        )
}

fn has(environment: &[u8], [name, piece]: &[Vec<u8>; 2]) -> bool {
    environment
        .split(|b| *b == 0)
        .any(|entry| entry.starts_with(name) && entry.windows(piece.len()).any(|w| w == &piece[..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn child(session: &str) -> Child {
        let mut command = Command::new("sleep");
        command.arg("100").env(handshake::ENV, session);
        command.spawn().unwrap()
    }

    #[test]
    fn who_carries_our_session_is_waited_for_once() {
        let me = std::process::id();
        let mut ours = child(&format!("/run/loopscope-{me}-0123/s"));
        let mut other = child(&format!("/run/loopscope-{me}0-0123/s"));
        let sign = sign(me);
        // Until exec has happened it has our environment, without the variable.
        while !carries(ours.id(), &sign) {
            std::thread::sleep(SOON);
        }
        let of_ours = |pid: u32| pid != ours.id() && pid != other.id();
        let mut stragglers = Stragglers::new();
        assert_eq!(stragglers.look(of_ours), Found::Soon);
        assert_eq!(stragglers.look(|_| true), Found::Nobody);
        stragglers.first = Instant::now().checked_sub(PATIENCE);
        assert_eq!(stragglers.look(of_ours), Found::Nobody);
        assert_eq!(stragglers.look(of_ours), Found::Nobody, "not again");
        for child in [&mut ours, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
