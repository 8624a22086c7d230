//! Programs in a pid namespace of their own (`unshare -pf`, containers): their rings name threads by numbers that mean
//! somebody else here, or nobody. Step: **ring** → trace.
//!
//! The kernel told us the process that joined by our number, and it told us its own. Threads and forked children are
//! found in /proc, whose `NSpid:` has both.

use super::procfs;
use std::collections::{HashMap, HashSet};

/// Translates what rings say about their owners.
#[derive(Default)]
pub(super) struct Foreign {
    /// Processes by their own number, with ours.
    processes: HashMap<u32, u32>,
    /// Threads found so far, `tid | pid << 32`, theirs to ours.
    threads: HashMap<u64, u64>,
    /// Processes that are called here as they call themselves.
    ours: HashSet<u32>,
    /// Numbers that mean somebody here who has nothing to do with the recording, and nobody who has was found.
    strangers: HashSet<u32>,
}

impl Foreign {
    /// A process has joined that the kernel calls `ours` and that calls itself `theirs`.
    #[cfg(any(test, feature = "cli"))] // only a session has others join
    pub fn joined(&mut self, ours: u32, theirs: u32) {
        self.strangers.remove(&theirs);
        if ours == theirs {
            self.ours.insert(ours);
        }
        // 0: it lives outside of our namespace, where we cannot name it.
        if ours != theirs && ours != 0 {
            self.processes.insert(theirs, ours);
            self.threads.retain(|who, _| (who >> 32) as u32 != theirs);
        }
    }

    /// Everyone so far counts processes as we do.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// The number means somebody else here: who pushed under it is gone.
    #[cfg(any(test, feature = "cli"))]
    pub fn is_stranger(&self, pid: u32) -> bool {
        self.strangers.contains(&pid)
    }

    /// A process that joined ends, and its number is free for another.
    pub fn ended(&mut self, pid: u32) {
        self.ours.remove(&pid);
        self.strangers.remove(&pid);
    }

    /// The thread by our numbers; unchanged if it is one of ours, or gone.
    pub fn who(&mut self, who: u64) -> u64 {
        let pid = (who >> 32) as u32;
        let settled = who == 0 || self.strangers.contains(&pid);
        if settled || !self.processes.contains_key(&pid) && self.is_ours(pid) {
            return who;
        }
        if let Some(known) = self.threads.get(&who) {
            return *known;
        }
        let tid = who as u32;
        let Some(process) = self
            .processes
            .get(&pid)
            .copied()
            .or_else(|| self.child(pid))
        else {
            return who;
        };
        let thread = match tid == pid {
            true => process,
            // A thread that is gone already keeps its process's name: what it pushed is still that one's.
            false => procfs::thread_called(process, tid).unwrap_or(tid),
        };
        let ours = u64::from(thread) | u64::from(process) << 32;
        self.threads.insert(who, ours);
        ours
    }

    /// Whether a process of this number here can be the one that pushes: it was launched by one of ours, or has the
    /// rings. One that is gone is taken for ours.
    fn is_ours(&mut self, pid: u32) -> bool {
        if self.ours.contains(&pid) {
            return true;
        }
        let ours = procfs::stat(pid as i32).is_none_or(|stat| {
            let known = |p| self.ours.contains(&p) || p == std::process::id();
            known(stat.parent as u32)
                || procfs::has_rings(pid).unwrap_or_else(|| procfs::descends(pid, known))
        });
        if ours {
            self.ours.insert(pid);
        }
        ours
    }

    /// A process that calls itself `pid` in another namespace, and has the rings or, in the midst of an exec, was started
    /// by one of ours: a forked child comes without a word.
    fn child(&mut self, pid: u32) -> Option<u32> {
        let known = |p| self.ours.contains(&p) || p == std::process::id();
        let found = procfs::processes().find(|p| {
            *p != pid
                && procfs::own_number(*p, *p) == Some(pid)
                && (procfs::has_rings(*p) == Some(true) || procfs::descends(*p, known))
        });
        match found {
            Some(found) => self.processes.insert(pid, found),
            None => {
                self.strangers.insert(pid);
                None
            }
        };
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_as_we_do_is_left_alone() {
        let mut foreign = Foreign::default();
        foreign.joined(4711, 4711);
        foreign.joined(0, 1);
        assert!(foreign.is_empty());
        assert_eq!(foreign.who(9 | 8 << 32), 9 | 8 << 32);
    }

    #[test]
    fn a_process_and_its_threads_get_our_numbers() {
        let me = std::process::id();
        let mut foreign = Foreign::default();
        foreign.joined(me, u32::MAX);
        let all = u64::from(u32::MAX);
        assert_eq!(
            foreign.who(all | all << 32),
            u64::from(me) | u64::from(me) << 32
        );
        // This thread counts alike in both, so /proc tells its number.
        // SAFETY: takes nothing, cannot fail.
        let tid = unsafe { libc::gettid() } as u64;
        assert_eq!(foreign.who(tid | all << 32), tid | u64::from(me) << 32);
        // Nobody in our namespace has this number.
        assert_eq!(foreign.who(7 | 0x7fff_fff0 << 32), 7 | 0x7fff_fff0 << 32);
    }

    #[test]
    fn somebody_who_only_has_the_number_is_a_stranger_until_it_joins() {
        let mut foreign = Foreign::default();
        foreign.joined(std::process::id(), std::process::id());
        // The first process of this machine has no rings of ours, and no process of another namespace has these.
        assert_eq!(foreign.who(1 | 1 << 32), 1 | 1 << 32);
        assert!(foreign.is_stranger(1) && foreign.is_empty());
        foreign.joined(4711, 1);
        assert!(!foreign.is_stranger(1));
        assert_eq!(foreign.who(1 | 1 << 32), 4711 | 4711 << 32);
    }
}
