//! Programs in a pid namespace of their own (`unshare -pf`, containers): their rings name threads by numbers that mean
//! somebody else here, or nobody. Step: **ring** → trace.
//!
//! The kernel told us the process that joined by our number, and it told us its own. Threads and forked children are
//! found in /proc, whose `NSpid:` has both.

use super::procfs;
use std::collections::HashMap;

/// Translates what rings say about their owners.
#[derive(Default)]
pub(super) struct Foreign {
    /// Processes by their own number, with ours.
    processes: HashMap<u32, u32>,
    /// Threads found so far, `tid | pid << 32`, theirs to ours.
    threads: HashMap<u64, u64>,
}

impl Foreign {
    /// A process has joined that the kernel calls `ours` and that calls itself `theirs`.
    #[cfg(any(test, feature = "cli"))] // only a session has others join
    pub fn joined(&mut self, ours: u32, theirs: u32) {
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

    /// The thread by our numbers; unchanged if it is one of ours, or gone.
    pub fn who(&mut self, who: u64) -> u64 {
        if self.processes.is_empty() || who == 0 {
            return who;
        }
        if let Some(known) = self.threads.get(&who) {
            return *known;
        }
        let (tid, pid) = (who as u32, (who >> 32) as u32);
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

    /// A process that calls itself `pid` in the namespace of one that joined.
    fn child(&mut self, pid: u32) -> Option<u32> {
        let mut spaces: Vec<_> = (self.processes.values())
            .filter_map(|p| procfs::pid_namespace(*p))
            .collect();
        spaces.dedup();
        let found = procfs::processes().find(|p| {
            procfs::own_number(*p, *p) == Some(pid)
                && procfs::pid_namespace(*p).is_some_and(|space| spaces.contains(&space))
        })?;
        self.processes.insert(pid, found);
        Some(found)
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
}
