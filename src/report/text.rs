//! The report as a person reads it: the verdict first, then each loop, who waited, who made others wait, and the longest
//! wait told as a sentence. 80 columns; what is not known is said so. Step: model → **view**.

mod code;
mod found;
mod page;
mod story;
mod tables;

use self::page::{Page, WIDTH};
use self::story::{losses, story, verdict, who};
use super::findings;
use super::summary::{Loop, Process, Summary};
use super::words::{grouped, known, percent, program, short};
use crate::text::names::Ending;
use crate::text::visit::quoted;
use crate::text::{visible, wallclock};
use crate::when::Duration;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How much the text shows and how it names things.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Rows of each table.
    pub top: usize,
    /// The recording's file, for the commands the report ends with; none if it was not kept.
    pub file: Option<&'a str>,
}

/// The first sentence of a report in which nothing was found.
pub(super) fn verdict_of(s: &Summary) -> String {
    verdict(s)
}

/// The whole report, line feeds included.
pub fn to_text(s: &Summary, options: &Options<'_>) -> String {
    let mut out = Page(String::new());
    if let Some(found) = s.findings.as_ref().and_then(findings::verdict) {
        out.wrapped("", &format!("{}: {found}", who(s)));
        out.line("");
    }
    out.wrapped("", &verdict(s));
    if let Some(lost) = losses(s) {
        out.wrapped("", &lost);
    }
    out.line("");
    out.header(s);
    if let Some(outcome) = &s.findings {
        out.findings(outcome, options);
    }
    for judged in &s.limits {
        out.wrapped("", &format!("limit      {}", judged.told()));
    }
    let (shown, more) = busiest(&s.loops, options.top);
    for l in shown {
        out.line("");
        out.a_loop(s, l);
    }
    if more > 0 {
        out.line("");
        out.line(&format!(
            "and {} quieter loops; --top {} shows all",
            grouped(more as u64),
            s.loops.len()
        ));
    }
    if s.fds.iter().any(|f| f.dispatched > 0 || f.ready > 0) {
        out.who_waited(s, options.top);
        out.who_caused(s, options.top);
    }
    if let Some(code) = &s.code {
        out.code(code, options.top);
    }
    if let Some(worst) = &s.worst {
        out.line("");
        out.line(match s.still {
            None => "the longest wait",
            Some(_) => "the longest wait that ended",
        });
        out.wrapped("  ", &story(worst, s.guess(worst.loop_id)));
        let at = crate::when::When::At(worst.start_ns);
        out.line(&match options.file {
            Some(file) => format!(
                "  look: loopscope replay {} --at {at} --view timeline",
                quoted(file)
            ),
            None => format!("  at {at}; to look at it, keep the recording with -o FILE.lscope"),
        });
    }
    out.unknowns(s);
    out.0
}

/// The loops that were told of most, as many as there is room for, in their order; how many are left out.
fn busiest(loops: &[Loop], most: usize) -> (Vec<&Loop>, usize) {
    let mut all: Vec<&Loop> = loops.iter().collect();
    all.sort_by_key(|l| std::cmp::Reverse(l.ready));
    let more = all.len().saturating_sub(most.max(1));
    all.truncate(most.max(1));
    all.sort_by_key(|l| l.id);
    (all, more)
}

/// How many processes there were and how they ended; nothing for one that did not fail.
fn ends(processes: &[Process]) -> Option<String> {
    let mut by_end: BTreeMap<Option<Ending>, Vec<&Process>> = BTreeMap::new();
    for process in processes {
        let end = process.ended.map(|(_, end)| end);
        by_end.entry(end).or_default().push(process);
    }
    let failed = |end: &Option<Ending>| {
        matches!(end, Some(Ending::Killed(_))) || matches!(end, Some(Ending::Exited(1..)))
    };
    if processes.len() < 2 && !by_end.keys().any(failed) {
        return None;
    }
    let mut parts: Vec<String> = Vec::new();
    for (end, all) in by_end {
        let words = end.map_or_else(|| "ran on".to_owned(), |end| end.to_string());
        let mut part = format!("{} {words}", grouped(all.len() as u64));
        if failed(&end) {
            let named = all
                .iter()
                .take(NAMED)
                .map(|p| format!("{} {}", short(&program(&p.name), 20), p.pid));
            let mut named: Vec<String> = named.collect();
            if all.len() > NAMED {
                named.push("…".to_owned());
            }
            let _ = write!(part, " ({})", named.join(", "));
        }
        parts.push(part);
    }
    Some(format!(
        "{}: {}",
        grouped(processes.len() as u64),
        parts.join(", ")
    ))
}

/// Processes that failed in the same way, by name.
const NAMED: usize = 3;

impl Page {
    fn header(&mut self, s: &Summary) {
        let r = &s.recording;
        let command = visible(&r.command.join(" ")).into_owned();
        if !command.is_empty() {
            self.line(&format!("command    {}", short(&command, WIDTH - 11)));
        }
        self.line(&format!(
            "recorded   {}, {} long, by {}",
            wallclock::local(r.started_ns),
            Duration(r.duration_ns),
            visible(&r.source)
        ));
        let whole = if r.complete {
            "complete"
        } else {
            "NOT COMPLETE"
        };
        let mut events = format!("events     {}, {} lost", grouped(r.events), grouped(r.lost));
        if r.late > 0 {
            let _ = write!(events, ", {} late", grouped(r.late));
        }
        self.line(&format!("{events}, {whole}"));
        for (cause, n) in &r.lost_by_cause {
            self.line(&format!("           lost {}: {cause}", grouped(*n)));
        }
        if let Some(ends) = ends(&s.processes) {
            let mut lines = Page(String::new());
            lines.wrapped("           ", &ends);
            self.line(&lines.0.trim_end().replacen("          ", "processes ", 1));
        }
        if let Some(stolen) = r.stolen.filter(|s| s.counted > 0) {
            let share = stolen.share.map_or_else(String::new, |share| {
                format!(", {} of the CPUs' time", percent(share))
            });
            self.line(&format!(
                "stolen     about {} by the hypervisor{share}",
                Duration(stolen.counted)
            ));
        }
        self.line(&format!(
            "known      the instant of readiness is {}, handlers are {}",
            known(&r.kernel_ready),
            known(&r.handlers)
        ));
    }

    fn unknowns(&mut self, s: &Summary) {
        let r = &s.recording;
        let mut notes: Vec<String> = Vec::new();
        if !r.complete {
            notes.push(
                "the recording is not complete; what follows its last whole page is missing"
                    .to_owned(),
            );
        }
        notes.extend(s.problems.iter().map(|p| visible(p).into_owned()));
        if r.lost > 0 || r.late > 0 {
            notes.push("where events are lost or late, states and times they may have touched are unknown and not counted".to_owned());
        }
        if r.switches_lost > 0 {
            notes.push(format!(
                "{} of the kernel's switch records are lost: how runs were spent is unknown where they are missing",
                grouped(r.switches_lost)
            ));
        }
        if r.kernel_ready == "bounded" {
            notes.push("<= times are upper bounds: it became ready at some instant after the last proof that it was not".to_owned());
        }
        if s.loops.iter().any(|l| l.infers()) {
            notes.push("~ is inferred from the program's calls: a handler starts at the first call on its fd and ends where the next one starts or at its last call; queue, run, share and whose handler others waited for follow from that".to_owned());
        }
        for setup in &s.setup {
            notes.push(format!(
                "no {}: {}; {}",
                visible(&setup.missing),
                visible(&setup.because),
                visible(&setup.advice)
            ));
        }
        let (loops, fds) = s.quantile_error;
        if !s.loops.is_empty() {
            let exact = match s.loops.iter().any(|l| l.infers()) {
                // What is inferred is added up without an error of its own, and stays inferred.
                true => {
                    "waits, ready events and turns are counted and measured; counts, sums and max of a ~ row are those of the inferred runs"
                }
                false => "counts, sums and max are exact",
            };
            let exact = match s.recording.lost > 0 {
                true => format!("of what was not lost, {exact}"),
                false => exact.to_owned(),
            };
            notes.push(format!(
                "p50, p90 and p99 are never too low and at most {:.1} % (loops) or {:.1} % (fds) too high; {exact}",
                loops * 100.0,
                fds * 100.0
            ));
        }
        if !notes.is_empty() {
            self.line("");
            self.line("to know");
            for note in notes {
                self.wrapped("  ", &note);
            }
        }
    }
}
