//! Why a run was long, where the kernel's switch records say it: it computed, it slept in page faults, or others had its CPU.
//! What it slept for otherwise is a blocking-handler's affair. Step: model → **view**.

use super::super::book::{Detail, Entry, Seen};
use super::super::facts::{Cx, Hook, Rule, Words, of_run};
use super::super::pending::Stretch;
use super::super::thresholds::told;
use super::super::{Code, Confidence, Severity};
use super::retries::retried;
use super::times;
use crate::model::{Model, Registration, Run};
use crate::record::event::Space;
use crate::text::visible;

/// What a run took without the time in which others had its CPU: that is the machine's doing, whatever the program did.
pub(super) fn own(run: &Run) -> u64 {
    run.run().saturating_sub(run.spent.kept_off())
}

/// In [`Detail::c`]: the hypervisor had the CPU for some of it, perhaps.
const STOLEN: u64 = 1 << 62;

/// A part of a run that takes half of what is its own: that is why it was long.
pub(super) fn is_reason(run: &Run, part: u64) -> bool {
    part > 0 && part.saturating_mul(2) >= own(run)
}

/// One part takes half of what is the run's own, and a finding of that name tells it.
pub(super) fn has_a_reason(run: &Run) -> bool {
    let s = &run.spent;
    let parts = [s.on_cpu, s.blocked, s.fault, s.waiting];
    parts.into_iter().any(|part| is_reason(run, part))
}

/// What is noted of a run, before it is known how much it matters.
fn seen(cx: &Cx<'_>, code: Code, run: &Run, reg: &Registration, worst: u64) -> Seen {
    let mut seen = cx.about(code, reg);
    seen.loop_id = Some(run.loop_id);
    seen.thread = Some(run.thread);
    seen.at = run.start;
    seen.event = run.event;
    seen.worst = worst;
    seen.confidence = match run.spent.unknown {
        0 => of_run(run),
        _ => Confidence::Inferred,
    };
    seen
}

/// The handler's name in brackets, where the program says it.
pub(super) fn handler(model: &Model, entry: &Entry, name: u64) -> String {
    let w = &entry.worst;
    let reg = w.reg.and_then(|id| model.reg(id));
    let process = reg.map_or(w.process, |r| r.handler_process);
    match model.name(process, Space::Handler, name as u32) {
        "" => String::new(),
        name => format!(" ({})", visible(name)),
    }
}

/// `the handler (parse) of ann (fd 5)`, or who seems to be served.
fn who(model: &Model, entry: &Entry, name: u64) -> String {
    let seems = match entry.worst.confidence {
        Confidence::Measured => "of",
        _ => "that seems to serve",
    };
    let handler = handler(model, entry, name);
    format!("the handler{handler} {seems} {}", entry.who())
}

/// A run that had the CPU for most of the time that others left it.
pub struct ComputingHandler;

impl Rule for ComputingHandler {
    fn code(&self) -> Code {
        Code::ComputingHandler
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run]
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        let (limits, computed) = (cx.limits, run.spent.on_cpu);
        if computed < limits.computing_warning || !is_reason(run, computed) || retried(cx, run) {
            return;
        }
        let Some(reg) = cx.model.reg(run.reg) else {
            return;
        };
        let mut seen = seen(cx, Code::ComputingHandler, run, reg, computed);
        seen.detail = Detail {
            a: u64::from(run.ios),
            b: run.bytes_in.saturating_add(run.bytes_out),
            c: u64::from(run.handler),
        };
        cx.book.held_up(&seen, run.start, run.end);
        let stretch = Stretch {
            from: run.start,
            to: run.end,
            own: computed,
            exposed: computed,
        };
        cx.note_later(seen, stretch, |limits, seen, known| {
            let computed = known.own;
            if computed < limits.computing_warning {
                return false;
            }
            seen.worst = computed;
            seen.detail.c |= u64::from(known.stolen > 0) * STOLEN;
            let often = known.before + 1 >= limits.long_times || computed >= limits.long_run_once;
            seen.severity = match (often, computed >= limits.computing_error) {
                (false, _) => Severity::Info,
                (true, false) => Severity::Warning,
                (true, true) => Severity::Error,
            };
            true
        });
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        let machine = match w.detail.c >> 63 {
            0 if w.detail.c & STOLEN != 0 => {
                " without what the hypervisor may have taken of its CPU"
            }
            0 => "",
            _ => {
                "; calls that cannot sleep took as long, so the machine itself stood still at times"
            }
        };
        Words {
            summary: format!(
                "{} computed for long {}, {} on the CPU at worst, {}{machine}.",
                who(model, entry, w.detail.c),
                times(w.times),
                told(w.worst),
                match w.detail.a {
                    0 => "without a call".to_owned(),
                    1 => format!("with one call that moved {} bytes", w.detail.b),
                    n => format!("with {n} calls that moved {} bytes", w.detail.b),
                }
            ),
            advice: "Cut the work into pieces that give the loop a turn in between, or hand it to a thread.".to_owned(),
        }
    }
}

/// A run that slept in page faults.
pub struct PageFaultStall;

/// Sleeping in faults for less is never told, whatever its share.
const LEAST_FAULT: u64 = 1_000_000;

impl Rule for PageFaultStall {
    fn code(&self) -> Code {
        Code::PageFaultStall
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run]
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        let (limits, fault, length) = (cx.limits, run.spent.fault, own(run));
        let share = length >= limits.preempted_run
            && fault.saturating_mul(100) >= length.saturating_mul(limits.fault_share);
        if fault < LEAST_FAULT || !(fault >= limits.fault_stall || share) {
            return;
        }
        let Some(reg) = cx.model.reg(run.reg) else {
            return;
        };
        // What a program touches first comes from the disk, whoever wrote it.
        if cx.starts(reg.process) {
            return;
        }
        let mut seen = seen(cx, Code::PageFaultStall, run, reg, fault);
        seen.detail = Detail {
            a: run.spent.faults,
            b: length,
            c: u64::from(run.handler),
        };
        let before = (cx.book).times(seen.code, seen.loop_id, seen.process, seen.cause);
        let often = before + 1 >= limits.long_times || fault >= limits.blocking_error;
        // One that has its page waits for a CPU as well.
        let much = fault.saturating_sub(cx.late(reg.process)) >= limits.fault_stall;
        seen.severity = match often && much {
            true => Severity::Warning,
            false => Severity::Info,
        };
        cx.book.held_up(&seen, run.start, run.end);
        cx.note(seen);
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        Words {
            summary: format!(
                "{} slept in page faults {}, {} of a run of {} at worst, in which it met {} faults.",
                who(model, entry, w.detail.c),
                times(w.times),
                told(w.worst),
                told(w.detail.b),
                w.detail.a
            ),
            advice: "Bring what handlers touch into memory before: read the file in a thread, MAP_POPULATE, madvise \
                     WILLNEED, mlock; if the machine swaps, it needs more memory."
                .to_owned(),
        }
    }
}

/// A run during which others had the CPU for most of the time.
pub struct PreemptedHandler;

impl Rule for PreemptedHandler {
    fn code(&self) -> Code {
        Code::PreemptedHandler
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::Run]
    }

    fn run(&mut self, cx: &mut Cx<'_>, run: &Run) {
        let (length, preempted) = (run.run(), run.spent.preempted);
        if length < cx.limits.preempted_run {
            return;
        }
        // Long without them as well: that has a finding of its own.
        let sure = preempted >= length / 2 && own(run) < cx.limits.long_run;
        let exposed = run.spent.exposed();
        if !sure
            && (!cx.model.steal().is_counted() || preempted.saturating_add(exposed) < length / 2)
        {
            return;
        }
        let Some(reg) = cx.model.reg(run.reg) else {
            return;
        };
        let mut seen = seen(cx, Code::PreemptedHandler, run, reg, preempted);
        // The machine does that, whoever's turn it is.
        seen.cause = super::super::book::Cause::Loop;
        seen.severity = Severity::Info;
        seen.detail = Detail {
            a: run.run(),
            b: run.spent.on_cpu,
            c: u64::from(run.handler),
        };
        if sure {
            return cx.note(seen);
        }
        let stretch = Stretch {
            from: run.start,
            to: run.end,
            own: own(run),
            exposed,
        };
        cx.note_later(seen, stretch, |limits, seen, known| {
            let others = seen.worst.saturating_add(known.stolen);
            if known.stolen == 0 || others < seen.detail.a / 2 || known.own >= limits.long_run {
                return false;
            }
            seen.worst = others;
            // What the hypervisor took is known for all of its CPU, and for longer than the run.
            seen.confidence = Confidence::Maybe;
            seen.detail.b = seen.detail.b.saturating_sub(known.stolen);
            seen.detail.c |= STOLEN;
            true
        });
    }

    fn words(&self, model: &Model, entry: &Entry) -> Words {
        let w = &entry.worst;
        if w.detail.c & STOLEN != 0 {
            return Words {
                summary: format!(
                    "{} was long {} while the hypervisor took CPUs away: that, or others on its CPU, may be {} of a run of {} \
                     at worst.",
                    who(model, entry, w.detail.c),
                    times(w.times),
                    told(w.worst),
                    told(w.detail.a)
                ),
                advice: "Nothing in the program is wrong: the host has more to do than CPUs; ask for ones of your own, or move \
                         to a quieter one."
                    .to_owned(),
            };
        }
        Words {
            summary: format!(
                "{} could have run and others had its CPU {}, for {} of a run of {} at worst; it had the CPU for {} of that.",
                who(model, entry, w.detail.c),
                times(w.times),
                told(w.worst),
                told(w.detail.a),
                told(w.detail.b)
            ),
            advice: "Nothing in the program is wrong: give it a CPU of its own, a higher priority or a larger quota, or move \
                     what runs beside it."
                .to_owned(),
        }
    }
}
