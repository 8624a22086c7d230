//! The report's sentences: the verdict it begins with, and the longest wait told. Step: model → **view**.

use crate::record::event::Cause;
use crate::report::summary::{Behind, Still, Summary, Worst};
use crate::report::words::{brief, grouped, percent, program, reads_alike, short};
use crate::text::visible;
use crate::when::Duration;
use std::fmt::Write;

/// What the report calls what was recorded.
pub(super) fn who(s: &Summary) -> String {
    let r = &s.recording;
    let who = if r.title.is_empty() {
        program(&r.command.join(" "))
    } else {
        visible(&r.title).into_owned()
    };
    match who {
        w if w.is_empty() => "the program".to_owned(),
        w => short(&w, 40),
    }
}

/// That much is missing, where more than one event in a hundred is lost: what is told above is told of the rest. What was
/// dropped to keep a recording small is no loss.
pub(super) fn losses(s: &Summary) -> Option<String> {
    let r = &s.recording;
    let dropped = Cause::Dropped.name();
    let kept = |(cause, _): &&(&str, u64)| *cause != dropped;
    let lost: u64 = r.lost_by_cause.iter().filter(kept).map(|(_, n)| n).sum();
    let all = r.events.saturating_add(lost);
    (lost > all / 100).then(|| {
        format!(
            "{} of {} events are lost: counts are at least so high, and longer waits may be among what is missing.",
            grouped(lost),
            grouped(all)
        )
    })
}

/// One sentence that answers "is something wrong, and with whom?".
pub(super) fn verdict(s: &Summary) -> String {
    let (r, who) = (&s.recording, who(s));
    if r.events == 0 {
        return format!("{who}: nothing was recorded.");
    }
    if s.loops.is_empty() {
        return format!("{who}: no event loop was seen in this recording.");
    }
    if let Some(still) = &s.still {
        return format!("{who}: {}.", never(still));
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
    // Where hardly any waiting was behind others' handlers, whose it was says nothing: the loop does more than run handlers.
    let in_all: u64 = s.fds.iter().map(|f| f.waited).sum();
    if all < in_all / 4 {
        let most = worst.behind.first().filter(|b| b.ns > worst.waited / 2);
        return match most {
            Some(most) => format!("{text}. Meanwhile: {}.", behind(most)),
            None => text + ".",
        };
    }
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

/// Who waits for good, for how long and behind what.
fn never(still: &Still) -> String {
    let told = |(name, fd): &(String, Option<i32>)| match fd {
        Some(fd) => name_of(name, *fd),
        None => visible(name).into_owned(),
    };
    let waits = format!(
        "{} was still waiting when the recording ended, after {} at least",
        told(&still.who),
        Duration(still.waited)
    );
    let handler = match still.inferred {
        true => "the handler that seems to serve",
        false => "the handler of",
    };
    let what = match &still.behind {
        (name, None) if name.is_empty() => return waits,
        (_, Some(_)) => format!("{handler} {}", told(&still.behind)),
        _ => told(&still.behind),
    };
    format!("{waits}: {what} had not come back")
}

/// "at most " where the notice part of a wait is only bounded.
fn at_most(worst: &Worst) -> &'static str {
    match worst.notice {
        Some((lo, hi)) if !reads_alike(lo, hi) => "at most ",
        _ => "",
    }
}

/// The longest wait as sentences; its parts add up.
pub(super) fn story(w: &Worst, guess: &str) -> String {
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

/// `ann (fd 5)`, or `fd 5` where there is no name.
fn name_of(name: &str, fd: i32) -> String {
    match name.is_empty() {
        true => format!("fd {fd}"),
        false => format!("{} (fd {fd})", short(&brief(name), 44)),
    }
}
