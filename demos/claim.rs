//! What a recording showed, as far as a demo's claim needs it. The command line fills it in from the model.

/// Everything seen of one descriptor name, all its registrations together.
#[derive(Clone, Debug, Default)]
pub struct Fd {
    /// The name.
    pub name: String,
    /// Time in its handler, nanoseconds.
    pub run_ns: u64,
    /// notice + queue of each run: at least this. Sorted.
    pub waits_lo: Vec<u64>,
    /// notice + queue of each run: at most this. Sorted.
    pub waits_hi: Vec<u64>,
    /// Bytes its peer is known to have sent.
    pub supplied: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Stretches of others' runs that were on its behalf, as the program says.
    pub runs_for_it: u64,
    /// Time during which data was left over that no event would ever tell of, nanoseconds.
    pub left_over_ns: u64,
    /// Events the kernel reported for it.
    pub ready: u64,
    /// Those of them that said there is room to write.
    pub writable: u64,
    /// Those reported after the program had closed it.
    pub ghosts: u64,
    /// Those whose turn came after the program had closed it.
    pub stale: u64,
    /// Handler runs.
    pub runs: u64,
    /// Of the time in its handler: the thread had a CPU. This and the next two are 0 without switch records, nanoseconds.
    pub on_cpu_ns: u64,
    /// It could have run, and another thread had the CPU.
    pub preempted_ns: u64,
    /// It slept: in a call, for a lock, in a page fault.
    pub asleep_ns: u64,
}

/// One wait that has returned.
#[derive(Clone, Debug, Default)]
pub struct Wait {
    /// When it began, nanoseconds.
    pub t: u64,
    /// How long it took, nanoseconds.
    pub ns: u64,
    /// Which call: `epoll_wait`, `poll`, `select`, `read`, `accept`.
    pub call: &'static str,
    /// How many events it returned; 0 for none, below for an error.
    pub n: i32,
    /// Its thread's name.
    pub thread: String,
}

/// What one loop has done.
#[derive(Clone, Debug, Default)]
pub struct Loop {
    /// Of which process.
    pub pid: u64,
    /// Waits that returned events.
    pub wakeups: u64,
    /// Events that they returned.
    pub told: u64,
    /// The most of one wait.
    pub most: u64,
    /// Handler runs.
    pub runs: u64,
}

/// A mark the program made.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// When, nanoseconds.
    pub t: u64,
    /// Its name.
    pub name: String,
    /// Its fields, as `key=value key=value`.
    pub fields: String,
}

/// A figure of a role that both sides have, as `loopscope diff` compares them.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Whose: a descriptor's name, in most demos.
    pub role: String,
    /// Which: `wait`, `run`, `turn`.
    pub figure: &'static str,
    /// The part of the values that are below: 50 or 99 of 100.
    pub of_100: u32,
    /// In the repaired program, nanoseconds.
    pub before: u64,
    /// In the broken one.
    pub after: u64,
    /// `worse`, `better`, `noise`, or `too-few` to tell.
    pub verdict: &'static str,
}

/// Everything seen of a run.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Length of the recording, nanoseconds.
    pub duration_ns: u64,
    /// By name.
    pub fds: Vec<Fd>,
    /// All waits, by their end.
    pub waits: Vec<Wait>,
    /// For whom the events were that the waits returned, in the kernel's order.
    pub told: Vec<String>,
    /// All loops.
    pub loops: Vec<Loop>,
    /// The program's marks, in order.
    pub marks: Vec<Mark>,
    /// Threads that ran handlers.
    pub threads: usize,
    /// Of the broken program: what `loopscope diff` says, from the repaired one to this.
    pub changes: Vec<Change>,
    /// The part of the CPUs' time that the hypervisor took, 0 to 1; 0 where nobody counts it.
    pub stolen: f64,
}

/// A machine that took more than this spoils figures: of the CPUs' time the hypervisor, and of the time in which handlers
/// could have run others on their CPU.
const SPOILS: (f64, f64) = (0.05, 0.25);

/// One sentence about the recordings, and whether it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The sentence.
    pub text: String,
    /// The figures that decide.
    pub figures: String,
    /// Whether it holds.
    pub holds: bool,
}

impl Seen {
    /// The descriptor of this name; all zero if there is none.
    pub fn fd(&self, name: &str) -> Fd {
        let found = self.fds.iter().find(|fd| fd.name == name);
        found.cloned().unwrap_or_default()
    }

    /// Its part of all handler time, 0 to 1, without the time in which others had the CPU.
    pub fn share(&self, name: &str) -> f64 {
        let own = |fd: &Fd| fd.run_ns.saturating_sub(fd.preempted_ns);
        let all: u64 = self.fds.iter().map(own).sum();
        own(&self.fd(name)) as f64 / all.max(1) as f64
    }

    /// What the machine did to the program, where that is enough to make a claim fail that is true.
    pub fn spoiled(&self) -> Option<String> {
        let percent = |part: f64| format!("{:.0} %", part * 100.0);
        if self.stolen > SPOILS.0 {
            return Some(format!(
                "the hypervisor had {} of the CPUs' time",
                percent(self.stolen)
            ));
        }
        let sum = |of: fn(&Fd) -> u64| self.fds.iter().map(of).sum::<u64>() as f64;
        let (on_cpu, preempted) = (sum(|fd| fd.on_cpu_ns), sum(|fd| fd.preempted_ns));
        let part = preempted / (on_cpu + preempted).max(1.0);
        (part > SPOILS.1).then(|| {
            format!(
                "others had the CPU for {} of its handlers' time",
                percent(part)
            )
        })
    }

    /// The part of the time between the first wait and the last that was not spent in one, 0 to 1. Of one thread.
    pub fn busy(&self) -> f64 {
        let first = self.waits.iter().map(|wait| wait.t).min().unwrap_or(0);
        let last = self.waits.iter().map(|wait| wait.t + wait.ns).max();
        let all = last.unwrap_or(0).saturating_sub(first);
        let asleep: u64 = self.waits.iter().map(|wait| wait.ns).sum();
        1.0 - asleep as f64 / all.max(1) as f64
    }

    /// The last mark before this instant.
    pub fn mark_before(&self, t: u64) -> Option<&Mark> {
        let after = self.marks.partition_point(|mark| mark.t <= t);
        self.marks.get(after.checked_sub(1)?)
    }
}

impl Mark {
    /// The number in a field; 0 when there is none.
    pub fn number(&self, key: &str) -> u64 {
        self.word(key).parse().unwrap_or(0)
    }

    /// A field; nothing when there is none.
    pub fn word(&self, key: &str) -> &str {
        let mut fields = self.fields.split(' ').filter_map(|f| f.split_once('='));
        fields.find(|(name, _)| *name == key).map_or("", |(_, n)| n)
    }
}

impl Claim {
    /// A sentence, the figures that decide, and the verdict.
    pub fn new(text: impl Into<String>, figures: impl Into<String>, holds: bool) -> Claim {
        Claim {
            text: text.into(),
            figures: figures.into(),
            holds,
        }
    }
}

/// The value below which `part` of the sorted values lie; nothing when there are none.
pub fn quantile(sorted: &[u64], part: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * part) as usize).copied()
}

/// The value in the middle; 0 when there are none.
pub fn median(values: Vec<u64>) -> u64 {
    at(values, 0.5)
}

/// A quarter of the values are at most so much; 0 when there are none. For what a crowded machine makes longer.
pub fn quarter(values: Vec<u64>) -> u64 {
    at(values, 0.25)
}

fn at(mut values: Vec<u64>, part: f64) -> u64 {
    values.sort_unstable();
    quantile(&values, part).unwrap_or(0)
}

/// What a client of this name waits: this `part` of its waits in the broken program at most so long, and half of those in
/// the repaired one. Half, because on a busy machine the longest waits are the scheduler's. Never served: not at all, and
/// for ever.
pub fn waits(broken: &Seen, fixed: &Seen, name: &str, part: f64) -> (u64, u64) {
    let before = quantile(&broken.fd(name).waits_lo, part);
    let after = quantile(&fixed.fd(name).waits_hi, 0.5);
    (before.unwrap_or(0), after.unwrap_or(u64::MAX))
}

/// Milliseconds, as a person reads them.
pub fn ms(ns: u64) -> String {
    match ns {
        u64::MAX => "for ever".to_owned(),
        ns => format!("{:.2} ms", ns as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_that_takes_much_spoils_a_claim() {
        let ran = |on_cpu_ns, preempted_ns| Seen {
            fds: vec![Fd {
                run_ns: 100,
                on_cpu_ns,
                preempted_ns,
                ..Fd::default()
            }],
            ..Seen::default()
        };
        assert_eq!(Seen::default().spoiled(), None);
        assert_eq!(ran(80, 20).spoiled(), None);
        let told = ran(60, 40).spoiled().unwrap();
        assert!(told.contains("40 % of its handlers' time"), "{told}");
        let stolen = |stolen| Seen {
            stolen,
            ..Seen::default()
        };
        assert_eq!(stolen(0.05).spoiled(), None);
        assert!(stolen(0.33).spoiled().unwrap().contains("33 %"));
    }

    #[test]
    fn a_share_leaves_out_what_others_had() {
        let fd = |name: &str, run_ns, preempted_ns| Fd {
            name: name.to_owned(),
            run_ns,
            preempted_ns,
            ..Fd::default()
        };
        let seen = Seen {
            fds: vec![fd("flood", 90, 0), fd("ann", 60, 50)],
            ..Seen::default()
        };
        assert_eq!(seen.share("flood"), 0.9);
        assert_eq!(seen.share("nobody"), 0.0);
    }
}
