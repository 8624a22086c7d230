//! The event of the chosen fd at the cursor: the one that was served there, or the one that still waits or runs, as
//! far as it has come. Step: model → **view**.

use super::kernel;
use crate::model::{Fidelity, ItemState, Part, Phase, Range, Run, Segment, ThreadState, Word};
use crate::tui::app::App;

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Ready, and the program not told.
    Ready,
    /// Told, and its handler not started.
    Queued,
    /// Its handler runs.
    Running,
    /// Served.
    Done,
}

impl Stage {
    /// It goes on at the cursor, and its end is not known.
    pub fn is_open(self) -> bool {
        self != Stage::Done
    }
}

/// The event at the cursor: a served one that spans it, else the one under way, else the last one before it.
pub fn at(app: &App) -> Option<(Run, Stage)> {
    let done = |run| (run, Stage::Done);
    match served(app) {
        Some(run) if run.end >= app.t() => Some(done(run)),
        before => under_way(app).or(before.map(done)),
    }
}

/// The finished run of the chosen fd that the cursor stands in or before; the last one before it otherwise.
fn served(app: &App) -> Option<Run> {
    let id = app.chosen?;
    let t = app.t();
    let window = app.player.window();
    let ahead = window.into_iter().flat_map(|w| w.facts.runs_of(id));
    let ahead = ahead.filter(|r| r.end <= app.curtain());
    let behind = app.tail().runs_of(id);
    let begin = |r: &Run| r.ready.map_or(r.wakeup, |x| x.lo).min(r.wakeup);
    let all: Vec<&Run> = ahead.chain(behind).collect();
    let inside = all.iter().filter(|r| begin(r) <= t && t <= r.end);
    // The narrowest that holds the cursor; else the last that ended before it.
    let found = inside.min_by_key(|r| r.end - begin(r));
    let last = || all.iter().filter(|r| r.end <= t).max_by_key(|r| r.end);
    found.or_else(last).map(|r| **r)
}

/// The event of the chosen fd that has not been served yet; what has not happened stands at the cursor.
fn under_way(app: &App) -> Option<(Run, Stage)> {
    let reg = app.chosen()?;
    let now = app.t();
    let threads = &app.the_loop()?.threads;
    if let Some(open) = threads
        .iter()
        .find_map(|t| t.open_run().filter(|r| r.reg == reg.id))
    {
        return Some((Run { end: now, ..*open }, Stage::Running));
    }
    let item = threads.iter().find_map(|t| {
        let mut items = t.batch.iter();
        let item = items.find(|i| i.reg == reg.id && i.state == ItemState::Fetched)?;
        Some((t, item))
    });
    let (thread, wakeup, ready, fidelity, stage) = match (item, reg.word, reg.ready_since) {
        (Some((t, i)), ..) => (t, t.wakeup, i.ready, i.fidelity, Stage::Queued),
        (None, Word::Ready, Some(since)) => {
            let fidelity = match since.lo == since.hi {
                true => Fidelity::Measured,
                false => Fidelity::Bounded,
            };
            let thread = kernel::thread(app)?;
            (thread, now, Some(since), fidelity, Stage::Ready)
        }
        _ => return None,
    };
    let notice = ready.map(|r| Range {
        lo: wakeup.saturating_sub(r.hi),
        hi: wakeup.saturating_sub(r.lo),
    });
    let run = Run {
        event: u64::MAX,
        loop_id: app.loop_id,
        reg: reg.id,
        role: reg.role,
        thread: thread.thread,
        turn: thread.turn,
        index: 0,
        batch: thread.batch_len,
        mask: 0,
        wakeup,
        start: now,
        end: now,
        more: 0,
        fidelity: match app.infers() {
            true => Fidelity::Inferred,
            false => Fidelity::Measured,
        },
        ready,
        notice,
        notice_fidelity: if notice.is_some() {
            fidelity
        } else {
            Fidelity::Absent
        },
        handler: reg.handler,
        site: 0,
        bytes_in: 0,
        bytes_out: 0,
        ios: 0,
        in_call: 0,
        spent: Default::default(),
        blocked_in: None,
        asleep: 0,
        drained: false,
        bypassed: 0,
        behalf: None,
    };
    Some((run, stage))
}

/// What a thread does right now, as a segment that ends at the cursor.
pub fn open_segment(app: &App, thread: &ThreadState) -> Option<Segment> {
    let (part, since) = match thread.phase {
        Phase::Running {
            reg: Some(reg),
            since,
        } => (Part::Run(reg), since),
        Phase::Running { reg: None, since } | Phase::Rest { since } => (Part::Rest, since),
        Phase::Timer { name, since } => (Part::Timer(name), since),
        Phase::Task { name, since } => (Part::Task(name), since),
        Phase::Waiting { since, .. } | Phase::Elsewhere { since } => (Part::Wait, since),
        Phase::Ended | Phase::Closed | Phase::Unknown => return None,
    };
    Some(Segment {
        loop_id: app.loop_id,
        thread: thread.thread,
        start: since,
        end: app.t(),
        part,
    })
}
