//! The codes of findings: stable names, with a plain title each. What a code means, how to see it and how to cure it stands
//! in docs/FINDINGS.md, one section a code; `loopscope explain CODE` prints that section. Step: model → **view**.

use std::fmt;
use std::str::FromStr;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $code:literal $title:literal,)*) => {
        /// What a finding is about. Their order is that of DESIGN's list: what blocks, who waits, who spins, who is forgotten.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code that this version checks.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// The plain title.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// A turn held a call that sleeps.
    BlockingHandler "blocking-handler" "The loop stood still inside a call",
    /// A handler had the CPU for long.
    ComputingHandler "computing-handler" "A handler computed for long",
    /// A handler slept in page faults.
    PageFaultStall "page-fault-stall" "A handler waited for memory",
    /// Others had the CPU that a handler needed.
    PreemptedHandler "preempted-handler" "A handler was kept from its CPU",
    /// A handler ran long; nobody knows why.
    LongHandler "long-handler" "A handler ran long",
    /// Many short runs made one long turn.
    LongIteration "long-iteration" "A turn was long though no handler was",
    /// A ready event was not served for long.
    Starvation "starvation" "Ready and not served",
    /// One handler took so much that the others of its batch waited.
    GreedyHandler "greedy-handler" "One handler took all it could get",
    /// I/O on a descriptor that blocks put the loop to sleep.
    FdLeftBlocking "fd-left-blocking" "A descriptor was left blocking",
    /// Edge-triggered, and bytes stay behind.
    EtNotDrained "et-not-drained" "Bytes left behind",
    /// Edge-triggered, and the end of file is never read.
    EtEofMissed "et-eof-missed" "The other side's end was missed",
    /// The loop turns and does nothing.
    BusyLoop "busy-loop" "The loop spins and does nothing",
    /// The loop spins until a timer is due.
    TimerSpin "timer-spin" "The loop spins until its timer is due",
    /// Room to write is reported again and again.
    WritableSpin "writable-spin" "Woken for room that nobody uses",
    /// A hang-up or error is reported again and again.
    HangupSpin "hangup-spin" "Woken for a hang-up that nobody handles",
    /// Connections cannot be accepted, and the listener stays armed.
    FdLimitSpin "fd-limit-spin" "Out of descriptors, and woken for it again and again",
    /// The end of file was read and the descriptor kept.
    EofIgnored "eof-ignored" "The end of a connection was read and ignored",
    /// The rest of a write was never written.
    ShortWriteDropped "short-write-dropped" "The rest of a write was dropped",
    /// A connection on which bytes wait is on no loop.
    NeverRegistered "never-registered" "A connection nobody listens to",
    /// Bytes wait on a registration that asks for none.
    InterestWithoutIn "interest-without-in" "Registered without asking to read",
    /// The data word of a registration leads to another descriptor.
    DataNamesOtherFd "data-names-other-fd" "A registration's data leads to another descriptor",
    /// Many threads wake up for one event.
    ThunderingHerd "thundering-herd" "Many woke up for what one took",
    /// One worker takes nearly all connections.
    WorkerSkew "worker-skew" "One worker takes nearly all connections",
    /// A closed descriptor is still reported.
    GhostEvent "ghost-event" "Events of a descriptor that is closed",
    /// An event of the batch was served on a number that meant something else by then.
    StaleEvent "stale-event" "An event served on a number that was reused",
    /// A forked process changes its parent's registrations.
    ForkSharedEpoll "fork-shared-epoll" "A forked process uses its parent's epoll",
    /// A program started by execve holds its parent's epoll.
    ExecInheritedEpoll "exec-inherited-epoll" "A started program inherited the epoll",
    /// Descriptors are not closed.
    FdLeak "fd-leak" "A descriptor is never closed",
    /// One-shot, reported and not armed again.
    OneshotNotRearmed "oneshot-not-rearmed" "One-shot and never armed again",
    /// A timer's expiries are never read.
    PeriodicTimerfdUnread "periodic-timerfd-unread" "A timer's expiries are never read",
    /// Timers fire late because the loop was busy.
    LateTimer "late-timer" "Timers fired late",
    /// Reported, and the first try finds nothing.
    SpuriousWakeup "spurious-wakeup" "Woken for nothing",
    /// Batches are as large as they may be.
    BatchFull "batch-full" "Batches are cut off",
    /// Registrations change more often than they are used.
    RegistrationChurn "registration-churn" "More epoll_ctl than work",
    /// An epoll_ctl failed and nothing was done about it.
    RegistrationFailed "registration-failed" "A registration failed",
    /// A signal waits for a wait that finds no events.
    SignalStarved "signal-starved" "A signal is never let through",
    /// Woken again and again with nothing to do.
    IdleWakeups "idle-wakeups" "Woken though idle",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no code of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchCode(pub String);

impl fmt::Display for NoSuchCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no finding that this version checks; `loopscope explain` lists them",
            self.0
        )
    }
}

impl std::error::Error for NoSuchCode {}

impl FromStr for Code {
    type Err = NoSuchCode;
    fn from_str(text: &str) -> Result<Self, NoSuchCode> {
        let mut all = Code::ALL.iter();
        all.find(|code| code.name() == text)
            .copied()
            .ok_or_else(|| NoSuchCode(text.to_owned()))
    }
}

/// The page that explains every code.
const PAGE: &str = include_str!("../../docs/FINDINGS.md");

/// The section of docs/FINDINGS.md about a code, without its heading.
pub fn explained(code: Code) -> &'static str {
    let heading = format!("\n## {}\n", code.name());
    let Some(at) = PAGE.find(&heading) else {
        return "";
    };
    let body = PAGE.get(at + heading.len()..).unwrap_or_default();
    let end = body.find("\n## ").unwrap_or(body.len());
    body.get(..end).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_and_read_back() {
        for code in Code::ALL {
            assert_eq!(code.name().parse(), Ok(*code));
            let section = explained(*code);
            for part in [
                "**Meaning.**",
                "**See it.**",
                "**Cure.**",
                "**The kernel's rule.**",
            ] {
                assert!(section.contains(part), "{code} lacks {part}");
            }
        }
        assert!("no-such-code".parse::<Code>().is_err());
    }

    #[test]
    fn the_page_explains_nothing_else() {
        let headings = PAGE.lines().filter_map(|l| l.strip_prefix("## "));
        for heading in headings.filter(|h| !h.starts_with(char::is_uppercase)) {
            assert!(heading.parse::<Code>().is_ok(), "{heading}");
        }
    }
}
