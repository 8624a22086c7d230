//! When to look at which process, and what becomes of it: at its start, once a second while it runs, soon after something
//! that does not fit (a call on a closed number, a failed epoll_ctl, lost events) or a descriptor without a name, and when
//! a thread of its has not come back to its wait for 100 ms; and when to read what the hypervisor takes. Step: **ring → trace**.
//!
//! A process is left alone fifty times as long as the look at it took, though never for more than three seconds.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use super::drain::Drain;
use super::known::Known;
use super::look::{Look, Request, Seen};
use super::perf;
use super::procfs;
use super::reconcile::{self, When};
use super::sight::{Judge, Sight, Unseen};
use super::steal::{self, Steal};
use crate::record::event::{Kind, MAX_TEXT};
use crate::record::wire::{self, Rec};

/// Between two looks at the tree, and between its first ones: what is not seen is to be told within a second.
const SURVEY: Duration = Duration::from_secs(1);
const FIRST_SURVEYS: Duration = Duration::from_millis(250);
/// Between two looks at a process that runs.
const REGULAR: Duration = Duration::from_secs(1);
/// The same after a surprise.
const SOON: Duration = Duration::from_millis(100);
/// So many times as long as it took is a process left alone after a look.
const SHARE: u32 = 50;
/// But no longer: on a busy machine it may have taken long for having had to wait.
const LONGEST: Duration = Duration::from_secs(3);
/// Threads of a process whose pending signals are looked at.
const MOST_THREADS: usize = 64;
/// A thread that is busy for so many nanoseconds is counted, again and again, …
const COUNTED_FROM: u64 = 5_000_000;
/// … as long as there are not more of them: each costs some 10 µs.
const MOST_COUNTED: usize = 32;
/// Processes from which a look at the tree starts.
const MOST_ROOTS: usize = 256;
/// Passes until everything pushed before a look ended has been written.
const SETTLED: u64 = 3;

/// The next look at a process.
struct Plan {
    last: Instant,
    /// The last one has not come back.
    asked: bool,
    least: Duration,
    looks: u64,
}

/// See the [module](self).
pub(super) struct Looks {
    pub known: Known,
    requests: SyncSender<Request>,
    plans: HashMap<u32, Plan>,
    /// Looks that came back, and in which pass.
    came: Vec<(Look, u64)>,
    passes: u64,
    denied: HashSet<u32>,
    /// Who is not seen; nothing where only what joins by itself is recorded.
    judge: Option<Judge>,
    /// When the tree was last looked at, how often, and that the last look has not come back.
    surveyed: (Instant, u32, bool),
    warn: Option<Warn>,
    steal: Steal,
    /// The kernel does not tell when threads leave their CPU: what it counts of busy ones is read instead.
    counts: bool,
    /// What was told last.
    pub last: Option<Unseen>,
}

/// Takes what the capture cannot see, why, and what to do about it, as soon as that is known.
pub type Warn = fn(missing: &str, because: &str, advice: &str);

impl Looks {
    pub fn new(requests: SyncSender<Request>, judge: Option<Judge>, warn: Option<Warn>) -> Self {
        Looks {
            known: Known::default(),
            requests,
            plans: HashMap::new(),
            came: Vec::new(),
            passes: 0,
            denied: HashSet::new(),
            judge,
            surveyed: (Instant::now(), 0, false),
            warn,
            steal: Steal::begin(),
            counts: false,
            last: None,
        }
    }

    /// This process has been launched.
    pub fn launched(&mut self, pid: u32) {
        if let Some(judge) = &mut self.judge {
            judge.launched = Some(pid);
        }
    }

    /// A look has come back.
    pub fn came(&mut self, look: Look, drain: &mut Drain) {
        match look.seen {
            // Of no process: nothing that was pushed has to come before.
            Seen::Steal(reading) => self.stolen(reading, drain),
            _ => self.came.push((look, self.passes)),
        }
    }

    /// A reading of what the hypervisor has taken.
    fn stolen(&mut self, reading: Option<steal::Reading>, drain: &mut Drain) {
        for rec in self.steal.came(reading) {
            drain.note(None, rec, &[]);
        }
    }

    /// The recording ends: what was taken last belongs to it.
    pub fn end(&mut self, drain: &mut Drain) {
        if self.steal.is_counted() {
            self.stolen(steal::read(), drain);
        }
    }

    /// Reads what the hypervisor takes, when it is time; `heard`: events have come in this pass.
    pub fn plan_steal(&mut self, heard: bool, drain: &mut Drain) {
        if let Some(rec) = self.steal.introduction() {
            drain.note(None, rec, &[]);
        }
        if heard {
            self.steal.heard();
        }
        // Full: others are before it, and it is asked for again.
        if self.steal.is_due() && self.requests.try_send(Request::Steal).is_ok() {
            self.steal.ask();
        }
    }

    /// A pass has been made. Nothing is said of a process whose end has been told: it would seem to have come back.
    pub fn passed(&mut self, drain: &mut Drain, alive: impl Fn(u32) -> bool) {
        self.passes += 1;
        while let Some(at) = (self.came.iter()).position(|(_, came)| self.passes - came >= SETTLED)
        {
            let (look, _) = self.came.swap_remove(at);
            if let Seen::Tree(sights) = &look.seen {
                self.judge(sights, drain);
            } else if alive(look.pid) {
                self.take(&look, drain);
            } else {
                self.plans.remove(&look.pid);
            }
        }
    }

    fn take(&mut self, look: &Look, drain: &mut Drain) {
        if let Some(plan) = self.plans.get_mut(&look.pid) {
            plan.asked = false;
            plan.least = look.took.saturating_mul(SHARE).min(LONGEST);
            plan.looks += 1;
        }
        let (numbers, fds, regs, signals) = match &look.seen {
            Seen::Open {
                numbers,
                fds,
                regs,
                signals,
            } => (numbers, fds, regs, signals),
            Seen::Denied(why) => return self.denied(look.pid, why, drain),
            Seen::Idle | Seen::Gone | Seen::Tree(_) | Seen::Steal(_) => return,
        };
        // All of it at one instant: nobody may take what was seen for newer than it is.
        let (ticks, now) = drain.reading();
        let ago = u64::try_from(look.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for (tid, set) in signals {
            if self.known.pending(look.pid, *tid, *set) {
                let rec = Rec {
                    kind: Kind::Signals,
                    fd: -1,
                    x: *tid as i32,
                    arg: *set,
                    y: Some(ago),
                    ..Rec::default()
                };
                drain.note_at(Some(look.pid), rec, &[], ticks);
            }
        }
        let Some(process) = self.known.process(look.pid) else {
            return;
        };
        let when = When {
            began: now.saturating_sub(ago),
            ago,
        };
        if process.is_joining(when.began) {
            process.surprised = true;
            return;
        }
        for (rec, text) in reconcile::differences(process, numbers, fds, regs, when) {
            drain.note_at(Some(look.pid), rec, &text, ticks);
        }
    }

    /// Once a process: what cannot be seen of it.
    fn denied(&mut self, pid: u32, why: &str, drain: &mut Drain) {
        if !self.denied.insert(pid) {
            return;
        }
        self.say(
            &format!("names and addresses of what process {pid} has open"),
            &format!("/proc/{pid}/fd: {why}"),
            "record as the user who runs it, or as root",
            drain,
        );
    }

    /// The kernel does not tell when threads leave their CPU: said in the recording, and counted from now on.
    pub fn kernel_refused(&mut self, refused: &perf::Refused, drain: &mut Drain) {
        self.counts = true;
        tell(SWITCHES, &refused.because, refused.advice, drain);
    }

    /// Reads what the kernel counts of the threads that are busy for long, where nothing better is to be had. Here and not by
    /// the thread that looks at processes: its readings would be as old as its other looks are long.
    pub fn count(&self, now: u64, drain: &mut Drain) {
        if !self.counts {
            return;
        }
        for (pid, tid) in self.known.busy(now, COUNTED_FROM, MOST_COUNTED) {
            let Some(counted) = procfs::counted(pid, tid) else {
                continue;
            };
            let rec = Rec {
                kind: Kind::Sched,
                aux: u16::from(counted.runnable),
                fd: -1,
                x: tid as i32,
                arg: counted.ran,
                y: Some(counted.waited),
                ..Rec::default()
            };
            drain.note(Some(pid), rec, &[]);
        }
    }

    /// Nor which function a thread is in.
    pub fn stacks_refused(&self, drain: &mut Drain) {
        let because =
            "perf_event_open refuses a clock of 997 samples a second, or the memory for them";
        let advice =
            "raise kernel.perf_event_max_sample_rate to 1000 and kernel.perf_event_mlock_kb to 516";
        tell(STACKS, because, advice, drain);
    }

    /// Nor who called it, where there are no frame pointers.
    pub fn copies_refused(&self, drain: &mut Drain) {
        let because =
            "there is no memory for copies of stacks beside perf_event_open's other rings";
        let advice = "end other recordings of this user, or raise kernel.perf_event_mlock_kb";
        tell(CALLERS, because, advice, drain);
    }

    /// Who of the tree is not seen.
    fn judge(&mut self, sights: &[Sight], drain: &mut Drain) {
        self.surveyed.1 += 1;
        self.surveyed.2 = false;
        let judge = self.judge.as_mut();
        let unseen = judge.map(|judge| judge.judge(sights, &self.known, drain.now()));
        for u in unseen.unwrap_or_default() {
            self.say(&u.missing, &u.because, &u.advice, drain);
            self.last = Some(u);
        }
    }

    fn say(&self, missing: &str, because: &str, advice: &str, drain: &mut Drain) {
        if let Some(warn) = self.warn {
            warn(missing, because, advice);
        }
        tell(missing, because, advice, drain);
    }

    /// Asks for the looks that are due; `alive` are the processes that have not ended.
    pub fn plan(&mut self, alive: impl Iterator<Item = u32> + Clone, now: u64) {
        self.plan_survey(alive.clone());
        let stalled = self.known.stalled(now);
        let mut plans = std::mem::take(&mut self.plans);
        for pid in alive {
            let threads = self.known.letting(pid, MOST_THREADS);
            let Some(process) = self.known.process(pid) else {
                continue;
            };
            let plan = plans.remove(&pid);
            let first = plan.is_none();
            let mut plan = plan.unwrap_or(Plan {
                last: Instant::now(),
                asked: false,
                least: Duration::ZERO,
                looks: 0,
            });
            let stalls = stalled.contains(&pid);
            let surprise = process.surprised || process.unnamed || stalls;
            let since = plan.last.elapsed();
            let pause = if surprise { SOON } else { REGULAR };
            let due = !plan.asked && since >= pause.max(plan.least);
            if first || due || (stalls && !plan.asked) {
                let request = Request::Process {
                    pid,
                    anyway: surprise || plan.looks == 0,
                    threads,
                };
                // Full: others are before it, and it is asked for again.
                plan.asked = self.requests.try_send(request).is_ok();
                if plan.asked {
                    plan.last = Instant::now();
                    (process.surprised, process.unnamed) = (false, false);
                }
            }
            self.plans.insert(pid, plan);
        }
    }

    fn plan_survey(&mut self, alive: impl Iterator<Item = u32>) {
        let (last, surveys, asked) = self.surveyed;
        let pause = if surveys < 4 { FIRST_SURVEYS } else { SURVEY };
        let Some(judge) = self
            .judge
            .as_ref()
            .filter(|_| !asked && last.elapsed() >= pause)
        else {
            return;
        };
        let roots = judge.launched.into_iter().chain(alive).take(MOST_ROOTS);
        let asked = self
            .requests
            .try_send(Request::Tree(roots.collect()))
            .is_ok();
        self.surveyed = (Instant::now(), surveys, asked);
    }
}

/// What the kernel would have told.
const STACKS: &str = "which function computes";
const CALLERS: &str = "who called what computes, in code without frame pointers";
const SWITCHES: &str = "switch records: why runs were long (blocked, pre-empted, page faults) but for what schedstat counts of long ones";

/// Writes into the recording what the capture cannot do.
fn tell(missing: &str, because: &str, advice: &str, drain: &mut Drain) {
    let text = format!("{missing}\0{because}\0{advice}");
    let rec = Rec {
        kind: Kind::Setup,
        fd: -1,
        ..Rec::default()
    };
    let cut = wire::cut(text.as_bytes(), MAX_TEXT);
    drain.note(None, rec, &text.as_bytes()[..cut]);
}
