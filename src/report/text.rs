//! The report as a person reads it: the verdict first, then each loop, who waited, who made others wait, and the longest
//! wait told as a sentence. 80 columns; what is not known is said so. Step: model → **view**.

use super::summary::{Behind, Bounds, Fd, Loop, Summary, Times, Worst};
use super::words::{
    began, brief, cell, glued, grouped, known, percent, program, reads_alike, short,
};
use crate::text::visit::quoted;
use crate::text::{visible, wallclock};
use crate::when::Duration;
use std::fmt::Write;

const WIDTH: usize = 80;

/// How much the text shows and how it names things.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Rows of each table.
    pub top: usize,
    /// The recording's file, for the commands the report ends with; none if it was not kept.
    pub file: Option<&'a str>,
}

/// The whole report, line feeds included.
pub fn to_text(s: &Summary, options: &Options<'_>) -> String {
    let mut out = Page(String::new());
    out.wrapped("", &verdict(s));
    out.line("");
    out.header(s);
    for l in &s.loops {
        out.line("");
        out.a_loop(s, l);
    }
    if s.fds.iter().any(|f| f.dispatched > 0 || f.ready > 0) {
        out.who_waited(s, options.top);
        out.who_caused(s, options.top);
    }
    if let Some(worst) = &s.worst {
        out.line("");
        out.line("the longest wait");
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

/// One sentence that answers "is something wrong, and with whom?".
fn verdict(s: &Summary) -> String {
    let r = &s.recording;
    let who = if r.title.is_empty() {
        program(&r.command.join(" "))
    } else {
        visible(&r.title).into_owned()
    };
    let who = match who {
        w if w.is_empty() => "the program".to_owned(),
        w => short(&w, 40),
    };
    if r.events == 0 {
        return format!("{who}: nothing was recorded.");
    }
    if s.loops.is_empty() {
        return format!("{who}: no event loop was seen in this recording.");
    }
    let Some(worst) = &s.worst else {
        return format!("{who}: nobody waited; no ready event met a handler in this recording.");
    };
    let waited = Duration(worst.waited);
    let mut text = format!(
        "{who}: the longest wait was {}{waited}, of {}",
        match at_most(worst) {
            "" => s.guess(worst.loop_id),
            bound => bound,
        },
        name_of(&worst.name, worst.fd)
    );
    let Some(cause) = (s.fds.iter())
        .max_by_key(|f| f.caused.map_or(0, |(_, hi)| hi))
        .filter(|f| f.caused.is_some_and(|c| c.1 > 0))
    else {
        return text + "; no handler made another wait.";
    };
    let all: u64 = s.fds.iter().filter_map(|f| Some(f.caused?.1)).sum();
    let part = cause.caused.map_or(0, |c| c.1) as f64 / all.max(1) as f64;
    let name = name_of(&cause.name, cause.fd);
    let guess = s.guess(cause.loop_id);
    let _ = match (part >= 0.5, cause.share) {
        (true, Some(share)) => write!(
            text,
            "; {name} had {guess}{} of the run time and {guess}{} of the waiting was behind it.",
            percent(share),
            percent(part)
        ),
        (true, None) => write!(
            text,
            "; {guess}{} of the waiting was behind {name}.",
            percent(part)
        ),
        (false, _) => write!(
            text,
            "; no handler stands out, {guess}{} of the waiting was behind {name}.",
            percent(part)
        ),
    };
    text
}

/// "at most " where the notice part of a wait is only bounded.
fn at_most(worst: &Worst) -> &'static str {
    match worst.notice {
        Some((lo, hi)) if !reads_alike(lo, hi) => "at most ",
        _ => "",
    }
}

/// The longest wait as sentences; its parts add up.
fn story(w: &Worst, guess: &str) -> String {
    let name = name_of(&w.name, w.fd);
    let queue = Duration(w.start_ns.saturating_sub(w.wakeup_ns));
    let (told, waited, work) = (
        Duration(w.wakeup_ns),
        Duration(w.waited),
        Duration(w.run_ns),
    );
    let mut text = match w.notice {
        Some((lo, hi)) if reads_alike(lo, hi) => format!(
            "{name} became ready at {}, the program was told {} later and its handler started {guess}{queue} after that: \
             {guess}{waited} of waiting for {guess}{work} of work.",
            Duration(w.ready_ns),
            Duration(hi),
        ),
        Some((lo, hi)) => format!(
            "{name} became ready between {} and {} before the program was told at {told}, and its handler started \
             {guess}{queue} after that: at most {waited} of waiting behind others for {guess}{work} of work.",
            Duration(lo),
            Duration(hi),
        ),
        None => format!(
            "The program was told of {name} at {told}, and its handler started {guess}{queue} later, for {guess}{work} of work. \
             How long it had been ready is not known."
        ),
    };
    if !w.behind.is_empty() {
        let (told, rest) = w.behind.split_at(w.behind.len().min(5));
        let mut parts: Vec<String> = told.iter().map(behind).collect();
        if !rest.is_empty() {
            let ns = rest.iter().map(|b| b.ns).sum();
            parts.push(format!("{} others {}", rest.len(), Duration(ns)));
        }
        let _ = write!(text, " Meanwhile: {}.", parts.join(", "));
    }
    text
}

fn behind(b: &Behind) -> String {
    let who = match b.fd {
        Some(fd) => name_of(&b.who, fd),
        None => visible(&b.who).into_owned(),
    };
    match b.times {
        0 | 1 => format!("{who} {}", Duration(b.ns)),
        n => format!("{who} {} in {n} pieces", Duration(b.ns)),
    }
}

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    /// A paragraph, its lines no longer than the page.
    fn wrapped(&mut self, indent: &str, text: &str) {
        let mut line = indent.to_owned();
        for word in glued(text) {
            if line.len() > indent.len() && line.chars().count() + 1 + word.chars().count() > WIDTH
            {
                self.line(&line);
                line = indent.to_owned();
            }
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        self.line(&line);
    }

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
        self.line(&format!(
            "known      the instant of readiness is {}, handlers are {}",
            known(&r.kernel_ready),
            known(&r.handlers)
        ));
    }

    fn a_loop(&mut self, s: &Summary, l: &Loop) {
        let process = s.processes.iter().find(|p| p.id == l.process);
        let process = process.map_or_else(String::new, |p| {
            format!(" of {}", short(&program(&p.name), 30))
        });
        let name = match l.name.is_empty() {
            true => String::new(),
            false => format!(" \"{}\"", short(&visible(&l.name), 24)),
        };
        let fds: Vec<String> = l.epfds.iter().take(4).map(i32::to_string).collect();
        let through = if fds.is_empty() {
            String::new()
        } else {
            format!(" fd {}", fds.join(", "))
        };
        let threads = match l.threads.len() {
            1 => format!("thread {}", l.threads[0]),
            n => format!("{n} threads"),
        };
        self.line(&format!(
            "loop {}{name}: {}{through}, {threads}{process}",
            l.id, l.kind
        ));
        let all = l.wait_ns + l.busy_ns;
        let busy = if all > 0 {
            percent(l.busy_ns as f64 / all as f64)
        } else {
            "–".to_owned()
        };
        let fairness = l
            .fairness
            .map_or("–".to_owned(), |f| format!("{f:.2} of 1"));
        self.line(&format!("  busy {busy} of the time, fairness {fairness}"));
        let mut waits = format!(
            "  {} waits: {} wakeups, {} time-outs",
            grouped(l.waits),
            grouped(l.wakeups),
            grouped(l.timeouts)
        );
        for (n, what) in [
            (l.interrupted, "interrupted"),
            (l.failed, "failed"),
            // Where events are lost, a return may be among them.
            (
                l.unfinished,
                match s.recording.lost {
                    0 => "never returned",
                    _ => "not seen to return",
                },
            ),
        ] {
            if n > 0 {
                let _ = write!(waits, ", {} {what}", grouped(n));
            }
        }
        self.line(&waits);
        let full = if l.saturated > 0 {
            format!(", {} full batches", grouped(l.saturated))
        } else {
            String::new()
        };
        self.line(&format!(
            "  {} ready events, at most {} in one batch{full}",
            grouped(l.ready),
            grouped(l.max_batch)
        ));
        self.line("");
        self.line("               count       sum       p50       p90       p99       max");
        self.times("turn", Some(l.iteration));
        self.bounds("notice", l.notice);
        let guess = s.guess(l.id);
        self.times(&format!("queue {guess}"), l.queue);
        self.times(&format!("run {guess}"), l.run);
        if let Some(t) = &l.timers {
            self.times("late", Some(t.late));
            self.line(&format!(
                "  {} timers fired, {} in their callbacks; {} armed, {} taken back, {} pending",
                grouped(t.fired),
                Duration(t.run_ns),
                grouped(t.arms),
                grouped(t.cancelled),
                grouped(t.pending)
            ));
        }
        if let Some(t) = &l.tasks {
            self.times("task wait", Some(t.queued));
            self.line(&format!(
                "  {} tasks, {} in them",
                grouped(t.begun),
                Duration(t.run_ns)
            ));
        }
    }

    fn bounds(&mut self, name: &str, bounds: Option<Bounds>) {
        match bounds {
            Some(b) if reads_alike(b.lo.sum, b.hi.sum) => self.times(name, Some(b.hi)),
            Some(b) if b.lo.sum == 0 => self.times(&format!("{name} <="), Some(b.hi)),
            Some(b) => {
                self.times(&format!("{name} >="), Some(b.lo));
                self.times(&format!("{name} <="), Some(b.hi));
            }
            None => self.times(name, None),
        }
    }

    fn times(&mut self, name: &str, times: Option<Times>) {
        match times {
            None => self.line(&format!("  {name:<9} {:>8}", "–")),
            Some(t) if t.count == 0 => self.line(&format!("  {name:<9} {:>8}", 0)),
            Some(t) => {
                let cells: String = [t.sum, t.p50, t.p90, t.p99, t.max]
                    .iter()
                    .map(|ns| format!(" {:>9}", Duration(*ns).to_string()))
                    .collect();
                self.line(&format!("  {name:<9} {:>8}{cells}", grouped(t.count)));
            }
        }
    }

    fn who_waited(&mut self, s: &Summary, top: usize) {
        self.line("");
        self.line(&format!(
            "who waited most behind others (notice + queue){}",
            of_total(top, s)
        ));
        self.line("");
        self.line(
            "     fd  name                   ready   waited in all     worst  run time  share",
        );
        for f in s.fds.iter().filter(|f| f.ready > 0).take(top) {
            let mark = match f.notice {
                Some(n) if !reads_alike(n.lo.sum, n.hi.sum) => "at most",
                None => "queue",
                _ => "",
            };
            let guess = s.guess(f.loop_id);
            let run = f
                .run
                .map_or("–".to_owned(), |r| format!("{guess}{}", Duration(r.sum)));
            self.line(&format!(
                "  {:>5}  {} {:>7} {mark:>7} {:>7} {:>9} {run:>9} {:>6}",
                f.fd,
                cell(&brief(&f.name), 20),
                grouped(f.ready),
                Duration(f.waited).to_string(),
                Duration(f.waited_max).to_string(),
                f.share.map_or("–".to_owned(), |share| format!(
                    "{guess}{}",
                    percent(share)
                )),
            ));
        }
    }

    fn who_caused(&mut self, s: &Summary, top: usize) {
        let mut causes: Vec<&Fd> = s
            .fds
            .iter()
            .filter(|f| f.caused.is_some_and(|(_, hi)| hi > 0))
            .collect();
        if causes.is_empty() {
            return;
        }
        causes.sort_by_key(|f| std::cmp::Reverse(f.caused.map_or(0, |c| c.1)));
        self.line("");
        self.line("who made others wait (their waiting while its handler ran)");
        self.line("");
        self.line("     fd  name                     runs  cost others            longest run");
        for f in causes.into_iter().take(top) {
            let (lo, hi) = f.caused.unwrap_or_default();
            let guess = s.guess(f.loop_id);
            let cost = if reads_alike(lo, hi) {
                format!("{guess}{}", Duration(hi))
            } else {
                format!("{guess}{} to {}", Duration(lo), Duration(hi))
            };
            let longest = f
                .run
                .map_or("–".to_owned(), |r| format!("{guess}{}", Duration(r.max)));
            self.line(&format!(
                "  {:>5}  {} {:>7}  {cost:<22} {longest:>11}",
                f.fd,
                cell(&brief(&f.name), 21),
                grouped(f.dispatched)
            ));
            began(&f.longest_at)
                .iter()
                .for_each(|told| self.wrapped("         ", told));
        }
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

fn of_total(top: usize, s: &Summary) -> String {
    match s.fds_total > top as u64 {
        true => format!(", {top} of {} fds; --top N for more", grouped(s.fds_total)),
        false => String::new(),
    }
}

/// `ann (fd 5)`, or `fd 5` where there is no name.
fn name_of(name: &str, fd: i32) -> String {
    match name.is_empty() {
        true => format!("fd {fd}"),
        false => format!("{} (fd {fd})", short(&brief(name), 44)),
    }
}
