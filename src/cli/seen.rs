//! From a recording to what a demo's claim needs. Step: trace → model → **view**.

use crate::demos::Seen;
use crate::demos::claim::{Change, Fd, Loop, Mark, Wait};
use crate::findings::Thresholds;
use crate::model::{self, Id, Kernel, Model, Run, Sink, Transition, Word};
use crate::record::event::{self, Event, Kind, Space};
use crate::record::fields;
use crate::report::diff::Diff;
use crate::text;
use crate::trace::{Error, Events, Reader};
use std::collections::{HashMap, HashSet};

/// What one registration showed.
#[derive(Default)]
struct Reg {
    waits: Vec<(u64, u64)>,
    left_over_since: Option<u64>,
    left_over_ns: u64,
    writable: u64,
    ghosts: u64,
}

/// EPOLLOUT
const OUT: i32 = 4;

/// Listens to runs and to data left over.
#[derive(Default)]
struct Ear {
    regs: HashMap<Id, Reg>,
    /// Threads that ran handlers.
    threads: HashSet<Id>,
    /// For whom the events were, in the kernel's order.
    told: Vec<Id>,
}

impl Sink for Ear {
    fn run(&mut self, run: &Run) {
        self.threads.insert(run.thread);
        // A run whose readiness is unknown (a hang-up, say) is no wait of the kind a claim is about.
        if let Some(wait) = run.wait() {
            self.regs
                .entry(run.reg)
                .or_default()
                .waits
                .push((wait.lo, wait.hi));
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let reg = self.regs.entry(transition.reg).or_default();
        if let Some(since) = reg.left_over_since.take() {
            reg.left_over_ns += transition.t.saturating_sub(since);
        }
        if transition.to == Word::Residual {
            reg.left_over_since = Some(transition.t);
        }
    }
}

impl Ear {
    /// An event of a ready batch has just been folded in.
    fn told(&mut self, model: &Model, event: &Event) {
        let number = |id: Id| model.threads().get(id as usize).map(|t| t.number);
        let seats = model.loops().iter().flat_map(|l| &l.threads);
        let mut here =
            seats.filter(|ts| ts.wakeup == event.t && number(ts.thread) == Some(event.thread));
        let Some(reg) = here.find_map(|ts| ts.batch.last()).map(|item| item.reg) else {
            return;
        };
        self.told.push(reg);
        let heard = self.regs.entry(reg).or_default();
        heard.writable += u64::from(event.x & OUT != 0);
        let ghost = model.reg(reg).and_then(|reg| reg.kernel()) == Some(Kernel::Ghost);
        heard.ghosts += u64::from(ghost);
    }
}

/// A mark, its name and fields as text.
fn mark(model: &Model, event: &Event, bytes: &[u8]) -> Mark {
    let process = model.process_of_thread(event.thread);
    let name = model.name(process, Space::Mark, event.x as u32);
    let fields: Vec<String> = fields::decode(bytes)
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Mark {
        t: event.t,
        name: text::visible(name).into_owned(),
        fields: text::visible(&fields.join(" ")).into_owned(),
    }
}

/// What a loop has done.
fn told_of(model: &Model, one: &model::Loop) -> Loop {
    let process = model.processes().get(one.process as usize);
    Loop {
        pid: process.and_then(|p| p.pid.try_into().ok()).unwrap_or(0),
        wakeups: one.wakeups,
        told: one.ready,
        most: one.max_batch.into(),
        runs: one.dispatched,
    }
}

/// Folds the whole recording.
pub(super) fn see(reader: &mut Reader) -> Result<Seen, Error> {
    let mut model = Model::default();
    let mut ear = Ear::default();
    // A demo's clients are threads that are called like their connections.
    let mut threads: HashMap<u32, String> = HashMap::new();
    let mut supplied: HashMap<String, u64> = HashMap::new();
    let (mut waits, mut marks) = (Vec::new(), Vec::new());
    let mut entered: HashMap<u32, u64> = HashMap::new();
    let mut events = Events::default();
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events)?;
        for (number, event, text) in events.iter() {
            match event.kind {
                Kind::ThreadStart => {
                    let name = String::from_utf8_lossy(text).into_owned();
                    threads.insert(event.thread, name);
                }
                Kind::Supplied => {
                    if let Some(name) = threads.get(&event.thread) {
                        *supplied.entry(name.clone()).or_default() += event.arg;
                    }
                }
                Kind::WaitEnter => {
                    entered.insert(event.thread, event.t);
                }
                Kind::WaitExit => {
                    if let Some(t) = entered.remove(&event.thread) {
                        waits.push(Wait {
                            t,
                            ns: event.t.saturating_sub(t),
                            call: event::Wait::from_code(event.aux)
                                .map_or("wait", event::Wait::name),
                            n: event.x,
                            thread: threads.get(&event.thread).cloned().unwrap_or_default(),
                        });
                    }
                }
                _ => {}
            }
            model.apply(number, event, text, &mut ear);
            match event.kind {
                Kind::Ready => ear.told(&model, event),
                Kind::Mark => marks.push(mark(&model, event, text)),
                _ => {}
            }
        }
    }
    let end = reader.duration_ns();
    let mut seen = Seen {
        duration_ns: end,
        fds: Vec::new(),
        waits,
        told: Vec::new(),
        loops: model
            .loops()
            .iter()
            .map(|one| told_of(&model, one))
            .collect(),
        marks,
        threads: ear.threads.len(),
        changes: Vec::new(),
        stolen: model.steal().share(end).unwrap_or(0.0),
    };
    let mut names: HashMap<Id, String> = HashMap::new();
    for reg in model.regs() {
        names.insert(reg.id, reg.name.to_string());
        let index = match seen.fds.iter().position(|fd| *fd.name == *reg.name) {
            Some(index) => index,
            None => {
                seen.fds.push(Fd {
                    name: reg.name.to_string(),
                    supplied: supplied.get(&*reg.name).copied().unwrap_or(0),
                    ..Fd::default()
                });
                seen.fds.len() - 1
            }
        };
        let fd = &mut seen.fds[index];
        fd.run_ns += reg.run_ns;
        fd.bytes_in += reg.bytes_in;
        fd.bytes_out += reg.bytes_out;
        fd.runs_for_it += reg.on_its_behalf.count;
        fd.ready += reg.ready;
        fd.runs += reg.dispatched;
        fd.stale += reg.stale;
        fd.on_cpu_ns += reg.spent.on_cpu;
        fd.preempted_ns += reg.spent.preempted;
        fd.asleep_ns += reg.spent.blocked + reg.spent.waiting + reg.spent.fault;
        if let Some(heard) = ear.regs.remove(&reg.id) {
            fd.writable += heard.writable;
            fd.ghosts += heard.ghosts;
            fd.waits_lo.extend(heard.waits.iter().map(|w| w.0));
            fd.waits_hi.extend(heard.waits.iter().map(|w| w.1));
            let open = heard
                .left_over_since
                .map_or(0, |since| end.saturating_sub(since));
            fd.left_over_ns += heard.left_over_ns + open;
        }
    }
    let named = |id| names.get(id).cloned().unwrap_or_default();
    seen.told = ear.told.iter().map(named).collect();
    for fd in &mut seen.fds {
        fd.waits_lo.sort_unstable();
        fd.waits_hi.sort_unstable();
    }
    Ok(seen)
}

/// What `loopscope diff` says, from the repaired program to the broken one.
pub(super) fn changes(fixed: &mut Reader, broken: &mut Reader) -> Result<Vec<Change>, Error> {
    let limits = Thresholds::default();
    let diff = Diff::of(fixed, broken, &limits, &[], &mut |_| ())?;
    let told = diff.changes.iter().map(|change| Change {
        role: text::visible(&change.role.text).into_owned(),
        figure: change.figure.name(),
        of_100: (100.0 * change.quantile).round() as u32,
        before: change.value[0],
        after: change.value[1],
        verdict: change.verdict.name(),
    });
    Ok(told.collect())
}
