//! The report as JSON, schema 1. Keys and their order are a contract (docs/EXPORT.md); additions keep it 1.
//! Step: model → **view**.

use super::code::Code;
use super::findings;
use super::summary::{Bounds, Fd, Loop, Summary, Times};
use crate::json::{Json, Put};
use crate::model::hot::Heat;
use crate::model::{Spent, Stretches};
use crate::text::names::Ending;
use crate::text::{names, wallclock};

/// The whole document, one loop and one descriptor a line.
pub fn to_json(s: &Summary) -> String {
    let mut json = Json::new();
    json.braces(|j| {
        j.field("schema", 1u32).line();
        recording(j, s);
        j.line().array("processes", |j| {
            for p in &s.processes {
                j.line().braces(|j| {
                    j.field("id", p.id).field("pid", p.pid);
                    j.field("parent", p.parent).field("name", &p.name);
                    let (ended, how) = p.ended.unzip();
                    j.field("ended_ns", ended)
                        .field("exit_code", how.and_then(Ending::code))
                        .field("signal", how.and_then(Ending::signal).as_deref());
                });
            }
        });
        j.line().field("processes_omitted", s.processes_omitted);
        j.line()
            .array("loops", |j| s.loops.iter().for_each(|l| a_loop(j, l)));
        j.line().field("loops_omitted", s.loops_omitted);
        j.line()
            .array("fds", |j| s.fds.iter().for_each(|f| an_fd(j, f)));
        j.line().field("fds_total", s.fds_total);
        j.field(
            "fds_omitted",
            s.fds_total.saturating_sub(s.fds.len() as u64),
        );
        j.line().array("findings_checked", |j| {
            for code in s.findings.iter().flat_map(|f| &f.checked) {
                j.element(code.name());
            }
        });
        j.line().array("setup", |j| {
            for setup in &s.setup {
                j.line().braces(|j| {
                    j.field("missing", &setup.missing);
                    j.field("because", &setup.because)
                        .field("do", &setup.advice);
                });
            }
        });
        match &s.findings {
            Some(findings) => findings::put(j, findings),
            None => {
                j.line().field("findings", None::<u32>);
            }
        }
        j.line().array("limits", |j| {
            for judged in &s.limits {
                j.braces(|j| {
                    j.field("limit", &judged.limit.to_string());
                    j.field("figure", judged.figure).field("own", judged.own);
                    j.field("verdict", judged.verdict.name());
                });
            }
        });
        match &s.code {
            Some(found) => j.line().object("code", |j| code(j, found)),
            None => j.line().field("code", None::<u32>),
        };
        j.line().array("problems", |j| {
            for problem in &s.problems {
                j.element(problem);
            }
        });
        j.line().object("quantile_error", |j| {
            j.field("loops", s.quantile_error.0)
                .field("fds", s.quantile_error.1);
        });
    });
    let mut out = json.as_str().to_owned();
    out.push('\n');
    out
}

/// What samples say: functions, those first that most was waited for.
fn code(j: &mut Json, code: &Code) {
    let heat = |j: &mut Json, heat: &Heat| {
        j.field("samples", heat.samples)
            .field("cpu_ns", heat.cpu_ns);
        j.field("kernel_ns", heat.kernel_ns);
        j.field("asleep_ns", heat.asleep_ns);
        let (least, most) = heat.waiting_ns;
        j.field("waiting_lo_ns", least).field("waiting_hi_ns", most);
    };
    j.object("total", |j| heat(j, &code.total));
    j.field("lost", code.lost);
    j.array("functions", |j| {
        for function in &code.functions {
            j.line().braces(|j| {
                j.field("name", &function.name);
                let file = Some(&function.file).filter(|file| !file.is_empty());
                j.field("file", file);
                j.object("own", |j| heat(j, &function.own));
                j.object("all", |j| heat(j, &function.all));
                j.array("callers", |j| {
                    for caller in &function.callers {
                        j.element(caller.as_str());
                    }
                });
            });
        }
    });
    j.field("functions_omitted", code.omitted);
}

fn recording(j: &mut Json, s: &Summary) {
    let r = &s.recording;
    j.object("recording", |j| {
        j.field("source", &r.source);
        j.array("command", |j| {
            for argument in &r.command {
                j.element(argument);
            }
        });
        j.field("started_at", &wallclock::utc(r.started_ns));
        j.field("duration_ns", r.duration_ns)
            .field("events", r.events)
            .field("lost", r.lost);
        j.object("lost_by_cause", |j| {
            for (cause, n) in &r.lost_by_cause {
                j.field(cause, *n);
            }
        });
        j.field("switches_lost", r.switches_lost);
        j.field("late", r.late).field("complete", r.complete);
        j.field("kernel_ready", known(&r.kernel_ready))
            .field("handlers", known(&r.handlers));
        j.field("title", known(&r.title));
        match &r.stolen {
            Some(s) => j.object("stolen_ns", |j| {
                j.field("lo", s.bounds.lo).field("hi", s.bounds.hi);
                j.field("share", s.share);
            }),
            None => j.field("stolen_ns", None::<u64>),
        };
    });
}

/// An empty text is one nobody filled in.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn a_loop(j: &mut Json, l: &Loop) {
    j.line().braces(|j| {
        j.field("id", l.id)
            .field("process", l.process)
            .field("pid", l.pid)
            .field("kind", l.kind);
        j.array("epfds", |j| {
            for fd in &l.epfds {
                j.element(*fd);
            }
        });
        j.array("threads", |j| {
            for tid in &l.threads {
                j.element(*tid);
            }
        });
        j.field("waits", l.waits)
            .field("wakeups", l.wakeups)
            .field("timeouts", l.timeouts);
        j.field("interrupted", l.interrupted)
            .field("failed", l.failed)
            .field("unfinished", l.unfinished);
        j.field("ready", l.ready)
            .field("max_batch", l.max_batch)
            .field("saturated", l.saturated);
        j.object("ctl", |j| {
            for (name, n) in ["add", "mod", "del", "failed"].into_iter().zip(l.ctl) {
                j.field(name, n);
            }
        });
        j.field("handlers", l.handlers)
            .field("handed_over", l.handed)
            .field("nested_polls", l.nested_polls);
        j.field("wait_ns", l.wait_ns)
            .field("busy_ns", l.busy_ns)
            .field("tail_ns", l.tail_ns);
        let all = l.wait_ns + l.busy_ns;
        j.field(
            "utilisation",
            (all > 0).then(|| l.busy_ns as f64 / all as f64),
        );
        j.field("fairness", l.fairness);
        j.field("iteration_ns", l.iteration)
            .field("notice_ns", l.notice);
        j.field("queue_ns", l.queue).field("run_ns", l.run);
        j.field("spent_ns", l.spent);
        j.field("name", (!l.name.is_empty()).then_some(l.name.as_str()));
        match &l.timers {
            Some(t) => j.object("timers", |j| {
                j.field("arms", t.arms)
                    .field("cancelled", t.cancelled)
                    .field("fired", t.fired)
                    .field("pending", t.pending);
                j.field("run_ns", t.run_ns).field("late_ns", t.late);
            }),
            None => j.field("timers", None::<u64>),
        };
        match &l.tasks {
            Some(t) => j.object("tasks", |j| {
                j.field("begun", t.begun).field("run_ns", t.run_ns);
                j.field("queued_ns", t.queued);
            }),
            None => j.field("tasks", None::<u64>),
        };
    });
}

fn an_fd(j: &mut Json, f: &Fd) {
    j.line().braces(|j| {
        j.field("loop", f.loop_id)
            .field("process", f.process)
            .field("fd", f.fd);
        j.field("generation", f.generation).field("name", &f.name);
        j.field("interest", &names::mask(f.interest))
            .field("state", f.state)
            .field("fidelity", f.fidelity);
        j.field("registered_ns", f.registered_ns)
            .field("closed_ns", f.closed_ns);
        j.field("ready", f.ready)
            .field("dispatched", f.dispatched)
            .field("handed_over", f.handed);
        j.field("bytes_in", f.bytes_in)
            .field("bytes_out", f.bytes_out);
        j.field("share", f.share)
            .field("bypassed_max", f.bypassed_max);
        j.field("notice_ns", f.notice).field("queue_ns", f.queue);
        j.field("run_ns", f.run).field("tail_ns", f.tail);
        match f.caused {
            Some((lo, hi)) => {
                j.object("caused_wait_ns", |j| {
                    j.field("lo", lo).field("hi", hi);
                });
            }
            None => {
                j.field("caused_wait_ns", None::<u64>);
            }
        }
        j.field("wait_max_ns", f.wait_max);
        j.object("behind_ns", |j| {
            j.field("sum", f.waited).field("max", f.waited_max);
        });
        j.field("for_others", f.behalf[0])
            .field("on_its_behalf", f.behalf[1]);
        j.field("handler", known(&f.handler))
            .field("longest_run_at", known(&f.longest_at));
        j.field("spent_ns", f.spent);
        match &f.longest {
            Some(run) => j.object("longest_run", |j| {
                j.field("at_ns", run.at).field("ns", run.ns);
                j.field("spent_ns", run.spent);
                match &run.blocked_in {
                    Some(b) => j.object("blocked_in", |j| {
                        j.field("call", &b.call).field("fd", b.fd).field("ns", b.ns);
                    }),
                    None => j.field("blocked_in", None::<u64>),
                };
                j.field("stolen_hi_ns", run.stolen);
            }),
            None => j.field("longest_run", None::<u64>),
        };
    });
}

impl Put for Spent {
    fn put(&self, json: &mut Json) {
        json.braces(|j| {
            j.field("on_cpu", self.on_cpu)
                .field("blocked", self.blocked)
                .field("preempted", self.preempted)
                .field("page_fault", self.fault)
                .field("waiting", self.waiting)
                .field("stopped", self.stopped)
                .field("unknown", self.unknown);
            j.field("faults", self.faults);
        });
    }
}

impl Put for Stretches {
    fn put(&self, json: &mut Json) {
        json.braces(|j| {
            j.field("count", self.count).field("ns", self.ns);
        });
    }
}

impl Put for Times {
    fn put(&self, json: &mut Json) {
        json.braces(|j| {
            j.field("count", self.count).field("sum", self.sum);
            j.field("p50", self.p50)
                .field("p90", self.p90)
                .field("p99", self.p99)
                .field("max", self.max);
        });
    }
}

impl Put for Bounds {
    fn put(&self, json: &mut Json) {
        json.braces(|j| {
            j.field("lo", self.lo).field("hi", self.hi);
        });
    }
}
