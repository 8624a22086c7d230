//! How a stretch of a thread's time was spent: on its CPU, asleep and in what, or waiting for a CPU. Step: **model**.

use crate::record::event::Op;

/// What a thread did in a stretch of time; the parts add up to it, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// It ran.
    pub on_cpu: u64,
    /// It slept inside a call that was recorded.
    pub blocked: u64,
    /// It could have run, but another thread had its CPU.
    pub preempted: u64,
    /// It slept in a page fault.
    pub fault: u64,
    /// It slept in user code, in no call that was recorded and no page fault: most often for a lock (inferred).
    pub waiting: u64,
    /// A signal or a debugger had stopped it.
    pub stopped: u64,
    /// Not known: no switch records, or some are lost.
    pub unknown: u64,
    /// Page faults it met in user code, the short ones included.
    pub faults: u64,
}

impl Spent {
    /// The word for the part that is inferred: nothing said what the thread slept for.
    pub const WAITING: &str = "waiting (lock?)";

    /// The stretch it is about.
    pub fn total(&self) -> u64 {
        let parts = [
            self.on_cpu,
            self.blocked,
            self.preempted,
            self.fault,
            self.waiting,
            self.stopped,
            self.unknown,
        ];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    /// What the hypervisor may have had of it: it ran, or nobody knows.
    pub fn exposed(&self) -> u64 {
        self.on_cpu.saturating_add(self.unknown)
    }

    /// What others did to it: they had its CPU, or stopped it.
    pub fn kept_off(&self) -> u64 {
        self.preempted.saturating_add(self.stopped)
    }

    /// Some of it is known.
    pub fn is_known(&self) -> bool {
        self.unknown < self.total()
    }

    /// The largest part and its word.
    pub fn largest(&self) -> Option<(&'static str, u64)> {
        let known = self.parts().into_iter().filter(|(_, ns)| *ns > 0);
        known.max_by_key(|(_, ns)| *ns)
    }

    /// Every part with the word that screens and exports have for it.
    pub fn parts(&self) -> [(&'static str, u64); 7] {
        [
            ("on CPU", self.on_cpu),
            ("blocked", self.blocked),
            ("pre-empted", self.preempted),
            ("page fault", self.fault),
            (Self::WAITING, self.waiting),
            ("stopped", self.stopped),
            ("unknown", self.unknown),
        ]
    }

    pub(super) fn add(&mut self, other: &Spent) {
        for (sum, more) in [
            (&mut self.on_cpu, other.on_cpu),
            (&mut self.blocked, other.blocked),
            (&mut self.preempted, other.preempted),
            (&mut self.fault, other.fault),
            (&mut self.waiting, other.waiting),
            (&mut self.stopped, other.stopped),
            (&mut self.unknown, other.unknown),
            (&mut self.faults, other.faults),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// A call that a thread slept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedIn {
    /// Which; `None` for one newer than this version.
    pub op: Option<Op>,
    /// Name id of a call that has a name.
    pub name: u32,
    /// Its descriptor, −1 none.
    pub fd: i32,
    /// How long it slept there.
    pub ns: u64,
}

impl BlockedIn {
    pub(super) fn same(&self, other: &BlockedIn) -> bool {
        (self.op, self.name, self.fd) == (other.op, other.name, other.fd)
    }

    /// The one that took longer.
    pub(super) fn longer(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) if a.same(&b) => Some(Self {
                ns: a.ns.saturating_add(b.ns),
                ..a
            }),
            (Some(a), Some(b)) if b.ns > a.ns => Some(b),
            (None, b) => b,
            (a, _) => a,
        }
    }
}
