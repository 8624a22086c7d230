//! The report's tables: a loop with its times, who waited, who made others wait. Step: model → **view**.

use super::page::Page;
use crate::report::summary::{Bounds, Fd, Loop, Summary, Times};
use crate::report::words::{
    began, brief, cell, composition, grouped, percent, program, reads_alike, short, why_long,
};
use crate::text::visible;
use crate::when::Duration;
use std::fmt::Write;

impl Page {
    pub(super) fn a_loop(&mut self, s: &Summary, l: &Loop) {
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
        if let Some(spent) = &l.spent {
            self.wrapped("  ", &format!("of run: {}", composition(spent)));
        }
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

    pub(super) fn who_waited(&mut self, s: &Summary, top: usize) {
        self.line("");
        self.line(&format!(
            "who waited most (notice + queue){}",
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

    pub(super) fn who_caused(&mut self, s: &Summary, top: usize) {
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
            if let Some(run) = &f.longest
                && let Some(told) = why_long(run)
            {
                self.wrapped("         ", &told);
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
