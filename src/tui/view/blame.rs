//! Blame: what ran between an event's becoming ready and its handler's start, as sentences and as a box.
//! Step: model → **view**.

use super::moment::{self, Stage};
use crate::model::{Fidelity, Id, LoopKind, Part, Range, Run, Segment, asleep, blame};
use crate::record::event::Space;
use crate::tui::app::App;
use crate::tui::app::computed::Computed;
use crate::tui::app::known::mark_of;
use crate::tui::view::popup;
use crate::tui::widget::bar;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, range, time};

/// The parts of a wait, the longest first, with their words.
pub fn parts(app: &App, run: &Run) -> Vec<(String, Range)> {
    let from = run.ready.map_or(run.wakeup, |r| r.lo);
    let window = app.player.window().map(|w| &w.facts);
    let facts = window.filter(|facts| {
        let reaches = facts.segments.back().is_some_and(|s| s.end >= run.start);
        reaches && (facts.from <= from || facts.from <= app.tail().from)
    });
    let facts = facts.unwrap_or(app.tail());
    let reach = facts.segments.partition_point(|s| s.end <= from);
    // What has not ended yet is part of what ran meanwhile.
    let thread = app.the_loop().into_iter().flat_map(|l| &l.threads);
    let open = thread
        .filter(|t| t.thread == run.thread && run.start == app.t())
        .find_map(|t| moment::open_segment(app, t));
    let ended = facts.segments.range(reach..);
    let ended = ended.take_while(|s| s.start <= run.start || s.loop_id != run.loop_id);
    let ended = ended.filter(|s| open.is_none_or(|o| s.loop_id != o.loop_id || s.end <= o.start));
    let segments: Vec<&Segment> = ended.chain(open.as_ref()).collect();
    // Had it been ready while the loop slept, the wait would have returned: behind that bound stands nobody.
    let slept = |part: &Part| *part == Part::Wait && run.notice_fidelity != Fidelity::Measured;
    let in_loop = app.model().loops().get(run.loop_id as usize);
    let in_calls = in_loop.is_some_and(|l| l.kind == LoopKind::Threads);
    let mut parts: Vec<(String, Range)> = Vec::new();
    // A run and its continuation are one, as are connections of one name.
    let mut add = |who: String, range: Range| match parts.iter_mut().find(|p| p.0 == who) {
        Some(known) => {
            known.1.lo += range.lo;
            known.1.hi += range.hi;
        }
        None => parts.push((who, range)),
    };
    let all = blame(segments.iter().copied(), run);
    for (part, range) in all.into_iter().filter(|p| !slept(&p.0)) {
        match part {
            // A thread in a call asks for one descriptor; it slept for whoever that was.
            Part::Wait if in_calls => {
                for (id, range) in asleep(segments.iter().copied(), run) {
                    match id == run.reg {
                        true => add(before(app, run, part), range),
                        false => add(format!("asleep waiting for {}", app.names.told(id)), range),
                    }
                }
            }
            part => add(before(app, run, part), range),
        }
    }
    parts.sort_by_key(|p| std::cmp::Reverse(p.1.hi));
    parts
}

/// What a thread does in a segment, in words.
pub fn words(app: &App, thread: Id, part: Part) -> String {
    let thread = app.model().threads().get(thread as usize);
    let process = thread.map_or(0, |t| t.process);
    let named = |space, id| app.word(process, space, id);
    match part {
        Part::Run(id) | Part::More(id) => app.names.told(id).to_owned(),
        Part::Tail(id) => format!("after {}", app.names.told(id)),
        Part::Timer(id) => format!("timer {}", named(Space::Timer, id)),
        Part::Task(id) => format!("task {}", named(Space::Task, id)),
        Part::Rest => "the loop itself".to_owned(),
        Part::Wait => "the kernel's wakeup".to_owned(),
    }
}

/// The same, from the view of the one that waited.
fn before(app: &App, run: &Run, part: Part) -> String {
    match part {
        Part::Run(id) | Part::More(id) if id == run.reg => format!("{} itself", app.names.told(id)),
        _ => words(app, run.thread, part),
    }
}

/// What it waited behind, in one sentence that names at most so many.
pub fn behind(app: &App, run: &Run, stage: Stage, most: usize) -> String {
    let mark = mark_of(run);
    let parts = parts(app, run);
    if parts.is_empty() {
        return match stage {
            Stage::Ready | Stage::Queued => "behind nobody so far",
            _ if mark.is_empty() => "behind nobody: its handler started at once",
            _ => "behind nobody: its first call came at once",
        }
        .to_owned();
    }
    let each = |(who, r): &(String, Range)| format!("{who} {}", range(*r));
    let guess = if mark.is_empty() { "" } else { " (inferred)" };
    let list = match most {
        1 if parts.len() > 1 => format!("{} and {} more", each(&parts[0]), parts.len() - 1),
        most => text::list(&parts.iter().map(each).collect::<Vec<_>>(), most),
    };
    format!("behind{guess}: {list}")
}

/// Which functions ran while it waited, as far as samples tell.
fn computed(app: &App, run: &Run) -> Option<String> {
    let from = run.ready.map_or(run.wakeup, |r| r.lo);
    let ran = app.computed(Some(run.thread), from, run.start);
    let all: u64 = ran.iter().map(|c| c.samples).sum();
    let each = |c: &Computed| {
        let share = c.samples as f64 * 100.0 / all.max(1) as f64;
        format!("{} {share:.0} %", c.calls.join(" < "))
    };
    let told: Vec<String> = ran.iter().take(3).map(each).collect();
    (!told.is_empty()).then(|| {
        format!(
            "Meanwhile the CPU was in {} (of {}).",
            told.join("; "),
            text::plural(all, "sample")
        )
    })
}

/// The wait in sentences.
pub fn lines(app: &App, run: &Run, stage: Stage) -> Vec<String> {
    let parts = parts(app, run);
    let name = app.names.told(run.reg);
    let mark = mark_of(run);
    let mut out = vec![behind(app, run, stage, 5)];
    let wait = run.waited();
    if matches!(stage, Stage::Ready | Stage::Queued) {
        let thread = app.the_loop().into_iter().flat_map(|l| &l.threads);
        let open = thread
            .filter(|t| t.thread == run.thread)
            .find_map(|t| moment::open_segment(app, t));
        let until = match (stage, open.map(|o| o.part)) {
            (_, Some(part @ (Part::Run(_) | Part::Timer(_) | Part::Task(_)))) => {
                format!("; right now {} runs", before(app, run, part))
            }
            (Stage::Ready, Some(Part::Wait)) => "; the wakeup is on its way".to_owned(),
            _ => String::new(),
        };
        out.push(format!("{name} has waited {} so far{until}.", range(wait)));
    } else if let Some((who, most)) = parts.first()
        && wait.hi > 0
        && wait.lo == wait.hi
        // Of a run under way the parts may be of more than the wait that is known so far.
        && most.hi <= wait.hi
    {
        out.push(format!(
            "{name} waited {mark}{} for {mark}{} of work; {mark}{:.0} % of that wait was {who}.",
            time(wait.hi),
            time(run.run()),
            most.hi as f64 * 100.0 / wait.hi as f64
        ));
    } else {
        out.push(format!(
            "{name} waited {mark}{} for {mark}{} of work.",
            range(wait),
            time(run.run())
        ));
    }
    out.extend(computed(app, run));
    out.push(match (run.notice_fidelity, run.notice) {
        (Fidelity::Measured, _) => {
            "notice is measured: somebody stamped when the bytes were sent".to_owned()
        }
        (Fidelity::Absent, _) | (_, None) => "notice is not known".to_owned(),
        // While the loop slept nothing was ready: that part is in the bound and in no wait.
        (_, Some(n)) if run.asleep > 0 && run.asleep * 20 >= n.hi - n.lo => format!(
            "notice is bounded by two looks of the loop, {} apart; it slept {} of it, so nothing was ready then",
            time(n.hi - n.lo),
            time(run.asleep)
        ),
        (_, Some(n)) => format!(
            "notice is bounded by two looks of the loop, {} apart",
            time(n.hi - n.lo)
        ),
    });
    if !mark.is_empty() {
        out.push("~ inferred: a handler starts at its first call on the fd".to_owned());
    }
    out
}

/// Draws the box.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let Some(reg) = app.chosen() else {
        popup::text(
            pen,
            app,
            "blame",
            &[
                "Choose an fd first (↑ ↓): blame tells what ran before its event at the cursor."
                    .to_owned(),
            ],
        );
        return;
    };
    let name = app.names.told(reg.id).to_owned();
    let Some((run, stage)) = moment::at(app) else {
        popup::text(
            pen,
            app,
            &format!("blame: {name}"),
            &["None of its events has been served in view: nothing to blame.".to_owned()],
        );
        return;
    };
    let parts = parts(app, &run);
    let mut rows = vec![super::detail::chain(&run, stage), String::new()];
    let most = parts.iter().map(|p| p.1.hi).max().unwrap_or(1).max(1);
    let width = parts
        .iter()
        .map(|p| text::width(&p.0))
        .max()
        .unwrap_or(0)
        .min(30);
    for (who, r) in &parts {
        let bar = bar::share(r.hi as f64 / most as f64, 16);
        rows.push(format!(
            "{}  {}  {bar}",
            text::left(who, width),
            text::left(&range(*r), 22)
        ));
    }
    let title = match stage {
        Stage::Ready | Stage::Queued => format!("blame: what {name} waits behind, right now"),
        _ if run.end < app.t() => format!("blame: what ran before {name}'s last event"),
        _ => format!("blame: what ran before {name}'s event at the cursor"),
    };
    rows.push(String::new());
    rows.extend(lines(app, &run, stage).into_iter().skip(1));
    popup::text(pen, app, &title, &rows);
}
