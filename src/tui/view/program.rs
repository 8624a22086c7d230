//! The program's side of the Loop screen: the batch it was told of, or what it sleeps on. Step: model → **view**.

use super::{asleep, blame, kernel, strip, which};
use crate::model::{Id, Item, ItemState, Part, Phase, Range, Run, Thread, ThreadState, Word};
use crate::tui::app::App;
use crate::tui::app::known::mark_of;
use crate::tui::theme::{self, GO};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, plural, time};

/// The right pane: the batch, or what the loop sleeps on.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let Some(thread) = kernel::thread(app) else {
        let line = match pen.width() {
            0..36 => "nobody has waited yet",
            _ => "no thread has waited on this loop yet",
        };
        pen.put(1, 0, line, theme::quiet());
        return;
    };
    let used = others(pen, app, thread);
    let (w, h) = (pen.width(), pen.height());
    let mut pen = pen.part(0, used, w, h.saturating_sub(used));
    match thread.phase {
        Phase::Waiting { since, timeout } => asleep::draw(&mut pen, app, since, timeout),
        Phase::Ended => {
            pen.put(1, 0, "this thread has ended", theme::quiet());
        }
        Phase::Closed => {
            pen.put(1, 0, "this loop is closed", theme::quiet());
        }
        _ => batch(&mut pen, app, thread),
    }
}

/// The other threads of the loop, one line each; how many lines were used.
fn others(pen: &mut Pen<'_>, app: &App, shown: &ThreadState) -> usize {
    let Some(l) = app.the_loop() else { return 0 };
    let rest: Vec<&ThreadState> = l
        .threads
        .iter()
        .filter(|t| t.thread != shown.thread)
        .collect();
    let room = pen.height() / 3;
    // Where not all have a line, the last line is of all that have none.
    let alone = match rest.len() > room {
        true => room.saturating_sub(1),
        false => rest.len(),
    };
    let hidden = &rest[alone..];
    if room > alone && !hidden.is_empty() {
        let sleep =
            |t: &&ThreadState| matches!(t.phase, Phase::Waiting { .. } | Phase::Elsewhere { .. });
        let does = match hidden.iter().all(sleep) {
            true if hidden.len() == 1 => " sleeps",
            true => " sleep",
            false => "",
        };
        let more = if alone > 0 { "more " } else { "other " };
        let plural = if hidden.len() == 1 { "" } else { "s" };
        let told = format!("{} {more}thread{plural}{does}", hidden.len());
        pen.put(1, alone, &told, theme::quiet());
    }
    for (row, t) in rest.iter().take(alone).enumerate() {
        let known = app.model().threads().get(t.thread as usize);
        let tid = known.map_or(0, |t| t.tid);
        let now = app.t();
        let does = match t.phase {
            Phase::Waiting { since, .. } | Phase::Elsewhere { since } => {
                format!("sleeps {}", time(now.saturating_sub(since)))
            }
            Phase::Running {
                reg: Some(reg),
                since,
            } => {
                format!(
                    "{}runs {} {}",
                    t.open_run().map_or(app.mark(), mark_of),
                    app.names.name(reg),
                    time(now.saturating_sub(since))
                )
            }
            Phase::Ended => "has ended".to_owned(),
            Phase::Closed => "has left it: it is closed".to_owned(),
            Phase::Unknown => "unknown: events were lost".to_owned(),
            _ => "is busy".to_owned(),
        };
        let whole = format!("thread {tid} {does}");
        let told = match text::width(&whole) < pen.width() {
            true => whole,
            false => format!("{tid} {does}"),
        };
        pen.put(1, row, &told, theme::quiet());
    }
    rest.len().min(room)
}

fn batch(pen: &mut Pen<'_>, app: &App, thread: &ThreadState) {
    let (w, h) = (pen.width(), pen.height());
    let full = kernel::is_full(app, thread);
    let title = format!(
        "epoll_wait returned {}{}:",
        plural(u64::from(thread.batch_len), "event"),
        if full { " (full)" } else { "" }
    );
    let kind = app.the_loop().map(|l| l.kind).unwrap_or_default();
    let call = match w {
        ..30 => "",
        _ => &format!("{} ", kind.call()),
    };
    let title = title.replace("epoll_wait ", call);
    // What an earlier turn, or another thread, has left to this one.
    let before = thread.batch.iter().filter(|i| i.told != thread.wakeup);
    let before = before.count() as u64;
    let title = match (thread.batch_len, before) {
        (0, 0) => "it was told of nothing".to_owned(),
        (0, n) => format!("nothing new, {n} from before:"),
        (_, 0) => title,
        (_, n) => format!("{} and {n} from before:", title.trim_end_matches(':')),
    };
    // The events of a batch are told one record each: the cursor may stand among them.
    let listed = thread.batch.len() as u64 - before;
    let unlisted = u64::from(thread.batch_len).saturating_sub(listed);
    let title = match (unlisted, app.t() == thread.wakeup) {
        (0, _) => title,
        (n, true) => format!("{}, {n} still to come:", title.trim_end_matches(':')),
        (n, false) => format!("{}, {n} not known:", title.trim_end_matches(':')),
    };
    let title = match text::width(&title) + 1 > w {
        true => title.replace(call, "").replace("returned ", ""),
        false => title,
    };
    let late = late_ones(app, thread);
    // Its line is worth a second one of ours.
    let free = h > thread.batch.len() + 2 && late.is_empty();
    let lines = if h >= 5 || free { 2 } else { 1 };
    let call = call_lines(app, thread, w.saturating_sub(2), lines);
    let below = usize::from(!late.is_empty()) * if h >= 7 { 3 } else { 1 } + call.len();
    let room = h.saturating_sub(1 + below).max(1);
    // When not all fit: around the first that is not done.
    let open = thread
        .batch
        .iter()
        .position(|i| i.state != ItemState::Done)
        .unwrap_or(0);
    let first = match thread.batch.len() > room {
        true => open.saturating_sub(1).min(thread.batch.len() - room),
        false => 0,
    };
    let elapsed = app.t().saturating_sub(thread.wakeup).max(1);
    let mut y = 1;
    for item in thread.batch.iter().skip(first).take(room) {
        draw_item(&mut pen.part(0, y, w, 1), app, thread, item, elapsed);
        y += 1;
    }
    let hidden = thread.batch.len().saturating_sub(room);
    if hidden > 0 {
        let told = format!("{first} above, {} below", hidden - first);
        let x = w.saturating_sub(text::width(&told) + 1);
        let brief = plural(u64::from(thread.batch_len), "event");
        // The whole title, less of it, or nothing but what is not shown.
        let fits = |t: &&String| x > text::width(t) + 1;
        if let Some(fitting) = [&title, &brief].into_iter().find(fits) {
            pen.put(1, 0, fitting, theme::plain());
        }
        pen.put(x, 0, &told, theme::quiet());
    } else {
        pen.put(1, 0, &title, theme::plain());
    }
    for line in &call {
        pen.put(1, y, line, theme::alarm());
        y += 1;
    }
    if !late.is_empty() {
        let held = late.iter().any(|l| l.full);
        let names: Vec<String> = late
            .iter()
            .map(|l| app.names.told(l.reg).to_owned())
            .collect();
        let came = match (held, names.len()) {
            (true, _) => "The batch was full",
            (false, 1) => "It came later",
            (false, _) => "They came later",
        };
        let whole = format!(
            "not among them: {}. {came}; the program learns of {} at its next wait",
            text::list(&names, 3),
            if names.len() == 1 { "it" } else { "them" }
        );
        let lines = h.saturating_sub(y);
        let short = if held { "no room for" } else { "too late:" };
        let brief = |most: usize| format!("{short} {}", text::list(&names, most));
        let fits = |told: &String| text::wrap(told, w.saturating_sub(2)).len() <= lines;
        let told = [whole, brief(4), brief(3)].into_iter().find(fits);
        let told = told.unwrap_or_else(|| match held {
            true => format!("no room for {} more", names.len()),
            false => format!("{} came too late", names.len()),
        });
        for (i, line) in text::wrap(&told, w.saturating_sub(2)).iter().enumerate() {
            if y + i < h {
                pen.put(1, y + i, line, theme::ready());
            }
        }
    }
}

/// What runs instead of a handler's own code, in at most so many lines: without its place where that has no room.
fn call_lines(app: &App, thread: &ThreadState, cells: usize, lines: usize) -> Vec<String> {
    let told = in_call(app, thread)
        .or_else(|| callback(app, thread))
        .or_else(|| elsewhere(app, thread));
    let Some(told) = told else { return Vec::new() };
    let whole = text::wrap(&told, cells);
    if whole.len() <= lines {
        return whole;
    }
    let brief = match told.rsplit_once(" at ") {
        Some((brief, _)) => text::wrap(brief, cells),
        None => whole,
    };
    text::first_lines(brief, cells, lines)
}

/// An fd that is ready and not in this batch.
pub struct Late {
    /// The registration.
    pub reg: Id,
    /// How long it has been ready.
    pub age: Option<Range>,
    /// It may have been ready when the batch was made, which had no room for more.
    pub full: bool,
}

/// The fds that this batch does not tell of, though they are ready.
pub fn late_ones(app: &App, thread: &ThreadState) -> Vec<Late> {
    let told = |id| thread.batch.iter().any(|i| i.reg == id);
    let full = kernel::is_full(app, thread);
    // As long ago as the batch, or longer.
    let batch = app.t().saturating_sub(thread.wakeup);
    kernel::ready_list(app)
        .into_iter()
        .filter(|p| !p.stays && !told(p.reg))
        .map(|p| Late {
            reg: p.reg,
            age: p.age,
            full: full && p.age.is_none_or(|age| age.hi >= batch),
        })
        .collect()
}

/// The timer that is due next and when, one of the loop's own or one that is a descriptor: `no, tick in 3.20 ms`;
/// nothing when none is armed.
pub fn next_timer(app: &App, wide: bool) -> Option<String> {
    let own = app.the_loop()?.timers.next().map(|timer| {
        let space = crate::record::event::Space::Timer;
        (app.word(timer.process, space, timer.name), timer.due)
    });
    let fd = kernel::next_expiry(app).map(|(reg, due)| (kernel::timer_name(app, reg), due));
    let (name, due) = own.into_iter().chain(fd).min_by_key(|(_, due)| *due)?;
    let name = text::cut(&name, if wide { 14 } else { 8 });
    let now = app.t();
    Some(match due > now {
        true if wide => format!("no, {name} in {}", time(due - now)),
        true => format!("in {}", time(due - now)),
        false if wide => format!("{name}, {} ago", time(now - due)),
        false => format!("{} ago", time(now - due)),
    })
}

/// A call that the running handler is inside of.
pub fn in_call(app: &App, thread: &ThreadState) -> Option<String> {
    let Some(call) = thread.call else {
        return inside(app, app.model().threads().get(thread.thread as usize)?);
    };
    let known = app.model().threads().get(thread.thread as usize)?;
    let name = app.word(known.process, crate::record::event::Space::Call, call.name);
    let on = if call.fd >= 0 {
        format!(" on fd {}", call.fd)
    } else {
        String::new()
    };
    let at = app.site(known.process, call.site);
    let at = at.map_or(String::new(), |at| format!(" at {at}"));
    Some(format!(
        "in call {name}{on} for {}{at}",
        time(app.t().saturating_sub(call.since))
    ))
}

/// The wait of another loop that the thread sleeps in.
fn elsewhere(app: &App, thread: &ThreadState) -> Option<String> {
    let (id, since) = which::sleeps_elsewhere(app, thread)?;
    let kind = app.model().loops().get(id as usize)?.kind.name();
    let slept = time(app.t().saturating_sub(since));
    Some(format!("in {kind} of loop {} for {slept}", id + 1))
}

/// A call that has lasted for so long that it was told of while it does.
pub fn inside(app: &App, thread: &Thread) -> Option<String> {
    let call = thread.in_call.filter(|_| thread.ended.is_none())?;
    let op = call.op?.name();
    let place = app.site(thread.process, call.site);
    let place = place.map_or(String::new(), |place| format!(" at {place}"));
    let length = time(app.t().saturating_sub(call.since));
    Some(format!(
        "in call {op} on fd {} for {length}{place}",
        call.fd
    ))
}

/// The timer or task that runs instead of a handler.
fn callback(app: &App, thread: &ThreadState) -> Option<String> {
    let (part, since) = match thread.phase {
        Phase::Timer { name, since } => (Part::Timer(name), since),
        Phase::Task { name, since } => (Part::Task(name), since),
        _ => return None,
    };
    let name = blame::words(app, thread.thread, part);
    Some(format!(
        "{GO} {name} RUNS {}",
        time(app.t().saturating_sub(since))
    ))
}

fn draw_item(pen: &mut Pen<'_>, app: &App, thread: &ThreadState, item: &Item, elapsed: u64) {
    let w = pen.width();
    let fd = app.model().reg(item.reg).map_or(-1, |r| r.fd);
    let now = app.t();
    let helper;
    // Which call is a handler's first is a guess unless the program marks it.
    let runs = match thread.open_run().map(mark_of) {
        Some("") => "RUNS",
        None if !app.infers() => "RUNS",
        _ => "~RUNS",
    };
    let (word, said, ns, style) = match (item.state, thread.phase) {
        (ItemState::Running, Phase::Running { since, .. }) => (
            Word::Running,
            runs,
            now.saturating_sub(since),
            theme::running(),
        ),
        (ItemState::Running, _) => (Word::Running, runs, 0, theme::running()),
        (ItemState::Fetched, _) => (
            Word::Fetched,
            "queued",
            now.saturating_sub(thread.wakeup),
            theme::queued(),
        ),
        (ItemState::Done, _) => {
            let run = ran(app, thread, item);
            let said = match run.map(mark_of) {
                Some("") => "done",
                None if !app.infers() => "done",
                _ => "~done",
            };
            // A run that may still be continued has not been told: its stretches have.
            let ns = run.map_or_else(|| so_far(app, item.reg), Run::run);
            (Word::Armed, said, ns, theme::quiet())
        }
        (ItemState::Skipped, _) => (Word::Armed, "skipped", 0, theme::odd()),
        (ItemState::Stale, _) => (Word::Stale, "stale", 0, theme::odd()),
        (ItemState::Unmarked, _) => (Word::Unknown, "told", 0, theme::plain()),
        (ItemState::HandedOver(to), _) => {
            helper = match app.model().threads().get(to as usize) {
                Some(t) => format!("→ {}", t.tid),
                None => "→".to_owned(),
            };
            (Word::Armed, helper.as_str(), 0, theme::quiet())
        }
    };
    let fd_w = app.names.digits();
    let name_w = (w.saturating_sub(22 + fd_w)).clamp(6, 24);
    let mark = if word == Word::Running { GO } else { ' ' };
    // Every cell counts where the screen is narrow.
    let left = usize::from(w >= 28);
    pen.glyph(left, 0, mark, style);
    let chosen = if app.chosen == Some(item.reg) {
        theme::chosen()
    } else {
        theme::plain()
    };
    let x = pen.put(
        left + 1,
        0,
        &format!("{} ", text::right(&fd.to_string(), fd_w)),
        chosen,
    );
    let x = pen.put(
        x,
        0,
        &text::name(app.names.name(item.reg), name_w),
        style.patch(chosen),
    );
    let (said_w, time_w) = if w < 28 { (7, 7) } else { (7, 8) };
    let x = pen.put(x + 1, 0, &text::left(said, said_w), style);
    let shown = if ns > 0 { time(ns) } else { String::new() };
    let x = pen.put(x, 0, &text::right(&shown, time_w), style);
    let room = w.saturating_sub(x + 2).min(40);
    let (bar, style) = strip::item_bar(word, ns as f64 / elapsed as f64, room);
    pen.put(x + 1, 0, &bar, style);
}

/// Time in the handler of an fd in this turn, as far as it has come.
fn so_far(app: &App, reg: Id) -> u64 {
    let of = |part: Part| matches!(part, Part::Run(id) | Part::More(id) if id == reg);
    let mine = strip::stretches(app).into_iter().filter(|s| of(s.0));
    mine.map(|(_, from, to)| to - from).sum()
}

/// The finished run of a batch item.
fn ran<'a>(app: &'a App, thread: &ThreadState, item: &Item) -> Option<&'a Run> {
    let mut runs = app
        .tail()
        .runs_of(item.reg)
        .take_while(|r| r.end >= thread.wakeup);
    runs.find(|r| r.turn == thread.turn)
}
