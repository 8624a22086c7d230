//! Screen 1, the batch theatre: the kernel's lists on the left, the program's batch on the right, what it means below.
//! Step: model → **view**.
//!
//!     ┌ KERNEL: interest list ───┬ ready list ──────┬ PROGRAM: turn 330 ─────────────┐
//!     │ fd name   wants    unread│ next in line:    │ epoll_wait returned 3 events:  │
//!     ├ three questions ─────────┴──────────────────┴────────────────────────────────┤
//!     ├ this turn ───────────────────────────────────────────────────────────────────┤
//!     ├ the last 60 turns: who ran longest, and for how long ────────────────────────┤
//!     ├ what you see ────────────────────────────────────────────────────────────────┤
//!     └──────────────────────────────────────────────────────────────────────────────┘

use super::{kernel, story, strip};
use crate::model::{Item, ItemState, Part, Phase, Range, ThreadState, Word};
use crate::tui::app::App;
use crate::tui::theme::{self, ABSENT, GO};
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, count, plural, time};

/// How many lines each part gets.
struct Plan {
    panels: usize,
    questions: bool,
    turn: usize,
    turns: usize,
    figures: bool,
    story: usize,
}

impl Plan {
    /// For `rows` lines inside the outline and a need of so many lines in the panels.
    fn new(rows: usize, need: usize, has_turns: bool) -> Plan {
        let questions = rows >= 18;
        let turns = match rows {
            _ if !has_turns => 0,
            0..17 => 0,
            17..26 => 2,
            26..40 => 4,
            _ => 7,
        };
        let figures = rows >= 17;
        let turn = if rows >= 11 { 1 } else { 0 };
        let with_line = |n: usize| if n > 0 { n + 1 } else { 0 };
        let fixed = with_line(usize::from(questions))
            + with_line(turn)
            + with_line(turns + usize::from(figures))
            + 1;
        let left = rows.saturating_sub(fixed);
        let story = (left / 3).clamp(3, 10);
        let panels = left.saturating_sub(story).min(need.max(5));
        let story = left.saturating_sub(panels);
        Plan {
            panels,
            questions,
            turn,
            turns,
            figures,
            story,
        }
    }
}

/// Draws the screen.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    let line = theme::quiet();
    boxes::outline(pen, line);
    let asleep = matches!(
        kernel::thread(app).map(|t| t.phase),
        None | Some(Phase::Waiting { .. } | Phase::Ended)
    );
    let regs = kernel::shown(app).len();
    let batch = kernel::thread(app).map_or(0, |t| t.batch.len());
    let turns = app.tail().turns_of(app.loop_id).next().is_some();
    let need = (regs + 1)
        .max(batch + 5)
        .max(if asleep { regs * 2 + 2 } else { 0 });
    let plan = Plan::new(h.saturating_sub(2), need, turns);
    let narrow = w < 76;
    let (a, b) = match w {
        0..76 => (w * 33 / 60, w * 33 / 60),
        76..110 => (w * 28 / 80, w * 47 / 80),
        110..160 => (w * 46 / 120, w * 68 / 120),
        _ => (w * 74 / 200, w * 104 / 200),
    };
    let bottom = plan.panels + 1;
    boxes::across(pen, bottom, line);
    boxes::down(pen, a, 0, bottom, line);
    boxes::title(pen, 1, 0, a - 1, "KERNEL: interest list", theme::strong());
    if !narrow {
        boxes::down(pen, b, 0, bottom, line);
        boxes::title(pen, a + 1, 0, b - a - 1, "ready list", theme::strong());
        kernel::ready(&mut pen.part(a + 1, 1, b - a - 1, plan.panels), app);
    }
    kernel::interest(&mut pen.part(1, 1, a - 1, plan.panels), app);
    boxes::title(
        pen,
        b + 1,
        0,
        w - b - 2,
        &program_title(app),
        theme::strong(),
    );
    program(&mut pen.part(b + 1, 1, w - b - 2, plan.panels), app);

    let mut y = bottom;
    if plan.questions {
        boxes::title(pen, 1, y, w - 2, "the loop's three questions", line);
        questions(&mut pen.part(1, y + 1, w - 2, 1), app);
        y += 2;
        boxes::across(pen, y, line);
    }
    if plan.turn > 0 {
        boxes::title(pen, 1, y, w - 2, &turn_title(app), line);
        strip::turn(&mut pen.part(1, y + 1, w - 2, 1), app);
        y += 2;
        boxes::across(pen, y, line);
    }
    if plan.turns + usize::from(plan.figures) > 0 {
        let shown = strip::last_turns(app, w.saturating_sub(23)).len();
        let title = format!(
            "the last {}: who ran longest, and for how long",
            plural(shown as u64, "turn")
        );
        boxes::title(pen, 1, y, w - 2, &title, line);
        if plan.turns > 0 {
            strip::turns(&mut pen.part(1, y + 1, w - 2, plan.turns), app);
        }
        y += plan.turns + 1;
        figures(&mut pen.part(1, y, w - 2, 1), app);
        y += 1;
        boxes::across(pen, y, line);
    }
    boxes::title(pen, 1, y, w - 2, "what you see", theme::strong());
    let rows = h.saturating_sub(y + 2).min(plan.story + 1);
    let lines = text::sentences(&story::tell(app), w - 4, rows);
    for (i, told) in lines.iter().enumerate() {
        pen.put(2, y + 1 + i, told, theme::plain());
    }
}

fn program_title(app: &App) -> String {
    let many = app.the_loop().map_or(0, |l| l.threads.len());
    let held = if app.held.is_some() {
        ", worst of 1 s"
    } else {
        ""
    };
    match kernel::thread(app) {
        Some(t) if t.turn > 0 && many > 1 => {
            let tid = app
                .model()
                .threads()
                .get(t.thread as usize)
                .map_or(0, |t| t.tid);
            format!("PROGRAM: turn {} of thread {tid}{held}", count(t.turn))
        }
        Some(t) if t.turn > 0 => format!("PROGRAM: turn {}{held}", count(t.turn)),
        _ => "PROGRAM".to_owned(),
    }
}

fn turn_title(app: &App) -> String {
    let Some(thread) = kernel::thread(app) else {
        return "this turn".to_owned();
    };
    let parts = strip::stretches(app);
    let busy = matches!(
        thread.phase,
        Phase::Running { .. } | Phase::Timer { .. } | Phase::Task { .. } | Phase::Rest { .. }
    );
    match (parts.first(), parts.last()) {
        (Some(first), Some(last)) if busy => {
            format!("this turn: {} so far", time(last.2 - first.1))
        }
        _ => "this turn".to_owned(),
    }
}

/// Told to do something? Time for something? News from the OS?
fn questions(pen: &mut Pen<'_>, app: &App) {
    let parts = strip::stretches(app);
    let tasks = parts
        .iter()
        .filter(|p| matches!(p.0, Part::Task(_)))
        .count() as u64;
    let timers = parts
        .iter()
        .filter(|p| matches!(p.0, Part::Timer(_)))
        .count() as u64;
    let news = kernel::thread(app).map_or(0, |t| match t.phase {
        Phase::Waiting { .. } => 0,
        _ => u64::from(t.batch_len),
    });
    let quiet = theme::quiet();
    let wide = pen.width() >= 76;
    let q = |long: &'static str, short: &'static str| if wide { long } else { short };
    let yes = |n: u64, thing: &str| match n {
        0 => "no".to_owned(),
        n => plural(n, thing),
    };
    let style = |n: u64| {
        if n > 0 {
            theme::running()
        } else {
            theme::plain()
        }
    };
    pen.puts(
        1,
        0,
        &[
            (q("told to do something? ", "told? "), quiet),
            (&yes(tasks, "task"), style(tasks)),
            (q("   time for something? ", "  time? "), quiet),
            (&yes(timers, "timer"), style(timers)),
            (q("   news from the OS? ", "  news? "), quiet),
            (&yes(news, "event"), style(news)),
        ],
    );
}

fn figures(pen: &mut Pen<'_>, app: &App) {
    let Some(l) = app.the_loop() else { return };
    let quiet = theme::quiet();
    let regs = app.regs();
    let busiest = regs
        .iter()
        .max_by_key(|r| r.run_ns)
        .filter(|r| r.run_ns > 0);
    let mut x = 1;
    if let Some(reg) = busiest
        && let Some(share) = strip::share(app, reg)
    {
        let style = if share > 0.9 && regs.len() > 1 {
            theme::alarm()
        } else {
            theme::strong()
        };
        x = pen.puts(
            x,
            0,
            &[
                (app.names.name(reg.id), theme::strong()),
                (" had ", quiet),
                (&percent(share), style),
                (" of run time", quiet),
            ],
        ) + 2;
    }
    let fairness = app
        .model()
        .fairness(l.id)
        .map_or(ABSENT.to_string(), |f| format!("{f:.2} of 1"));
    x = pen.puts(x, 0, &[("fairness ", quiet), (&fairness, theme::strong())]) + 2;
    let longest = regs
        .iter()
        .max_by_key(|r| r.wait_max)
        .filter(|r| r.wait_max > 0);
    if let Some(reg) = longest {
        let mark = if reg.notice_lo.max() < reg.notice_hi.max() {
            "<= "
        } else {
            ""
        };
        let wait = format!("{mark}{}", time(reg.wait_max));
        let name = format!(" ({})", app.names.name(reg.id));
        let needs = 13 + text::width(&wait) + text::width(&name);
        if x + needs <= pen.width() {
            pen.puts(
                x,
                0,
                &[
                    ("longest wait ", quiet),
                    (&wait, theme::strong()),
                    (&name, theme::plain()),
                ],
            );
        }
    }
}

/// A share in per cent; almost all is not all.
fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p > 99.0 && p < 100.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// The right pane: the batch, or what the loop sleeps on.
fn program(pen: &mut Pen<'_>, app: &App) {
    let Some(thread) = kernel::thread(app) else {
        pen.put(1, 0, "no thread has waited on a loop yet", theme::quiet());
        return;
    };
    let used = others(pen, app, thread);
    let (w, h) = (pen.width(), pen.height());
    let mut pen = pen.part(0, used, w, h.saturating_sub(used));
    match thread.phase {
        Phase::Waiting { since, timeout } => asleep(&mut pen, app, since, timeout),
        Phase::Ended => {
            pen.put(1, 0, "this thread has ended", theme::quiet());
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
    for (row, t) in rest.iter().take(room).enumerate() {
        let known = app.model().threads().get(t.thread as usize);
        let tid = known.map_or(0, |t| t.tid);
        let now = app.t();
        let does = match t.phase {
            Phase::Waiting { since, .. } => format!("sleeps {}", time(now.saturating_sub(since))),
            Phase::Running {
                reg: Some(reg),
                since,
            } => {
                format!(
                    "runs {} {}",
                    app.names.name(reg),
                    time(now.saturating_sub(since))
                )
            }
            Phase::Ended => "has ended".to_owned(),
            Phase::Unknown => "unknown: events were lost".to_owned(),
            _ => "is busy".to_owned(),
        };
        pen.put(1, row, &format!("thread {tid} {does}"), theme::quiet());
    }
    rest.len().min(room)
}

fn batch(pen: &mut Pen<'_>, app: &App, thread: &ThreadState) {
    let (w, h) = (pen.width(), pen.height());
    let full = thread.batch_len == thread.maxevents && thread.maxevents > 0;
    let title = format!(
        "epoll_wait returned {}{}:",
        plural(u64::from(thread.batch_len), "event"),
        if full { " (full)" } else { "" }
    );
    let kind = app.the_loop().map_or("epoll", |l| l.kind.name());
    let call = match kind {
        _ if w < 30 => "",
        "epoll" => "epoll_wait ",
        other => &format!("{other} "),
    };
    let title = title.replace("epoll_wait ", call);
    pen.put(1, 0, &title, theme::plain());
    let late = late_ones(app, thread);
    let call = in_call(app, thread);
    let below =
        usize::from(!late.is_empty()) * if h >= 7 { 3 } else { 1 } + usize::from(call.is_some());
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
        let told = format!("{first} before, {} after", hidden - first);
        pen.put(
            w.saturating_sub(text::width(&told) + 1),
            0,
            &told,
            theme::quiet(),
        );
    }
    if let Some(call) = call {
        pen.put(1, y, &call, theme::alarm());
        y += 1;
    }
    if !late.is_empty() {
        let came = if late.len() == 1 {
            "It came later"
        } else {
            "They came later"
        };
        let told = format!(
            "not among them: {}. {came}; the program learns of {} at its next wait",
            text::list(&late, 3),
            if late.len() == 1 { "it" } else { "them" }
        );
        for (i, line) in text::wrap(&told, w.saturating_sub(2)).iter().enumerate() {
            if y + i < h {
                pen.put(1, y + i, line, theme::ready());
            }
        }
    }
}

/// Names of fds that became ready too late for this batch.
pub fn late_ones(app: &App, thread: &ThreadState) -> Vec<String> {
    let told = |id| thread.batch.iter().any(|i| i.reg == id);
    kernel::ready_list(app)
        .iter()
        .filter(|p| !p.stays && !told(p.reg))
        .map(|p| app.names.name(p.reg).to_owned())
        .collect()
}

/// A call that the running handler is inside of.
pub fn in_call(app: &App, thread: &ThreadState) -> Option<String> {
    let call = thread.call?;
    let known = app.model().threads().get(thread.thread as usize)?;
    let name = app
        .model()
        .name(known.process, crate::record::event::Space::Call, call.name);
    let name = crate::text::visible(name);
    let on = if call.fd >= 0 {
        format!(" on fd {}", call.fd)
    } else {
        String::new()
    };
    Some(format!(
        "in call {name}{on} for {}",
        time(app.t().saturating_sub(call.since))
    ))
}

fn draw_item(pen: &mut Pen<'_>, app: &App, thread: &ThreadState, item: &Item, elapsed: u64) {
    let w = pen.width();
    let fd = app.model().reg(item.reg).map_or(-1, |r| r.fd);
    let now = app.t();
    let (word, said, ns, style) = match (item.state, thread.phase) {
        (ItemState::Running, Phase::Running { since, .. }) => (
            Word::Running,
            "RUNS",
            now.saturating_sub(since),
            theme::running(),
        ),
        (ItemState::Running, _) => (Word::Running, "RUNS", 0, theme::running()),
        (ItemState::Fetched, _) => (
            Word::Fetched,
            "queued",
            now.saturating_sub(thread.wakeup),
            theme::queued(),
        ),
        (ItemState::Done, _) => (Word::Armed, "done", ran(app, thread, item), theme::quiet()),
        (ItemState::Skipped, _) => (Word::Armed, "skipped", 0, theme::odd()),
        (ItemState::Stale, _) => (Word::Stale, "stale", 0, theme::odd()),
        (ItemState::Unmarked, _) => (Word::Unknown, "told", 0, theme::plain()),
    };
    let name_w = (w.saturating_sub(24)).clamp(6, 24);
    let mark = if word == Word::Running { GO } else { ' ' };
    pen.glyph(1, 0, mark, style);
    let chosen = if app.chosen == Some(item.reg) {
        theme::chosen()
    } else {
        theme::plain()
    };
    let x = pen.put(
        2,
        0,
        &format!("{} ", text::right(&fd.to_string(), 2)),
        chosen,
    );
    let x = pen.put(
        x,
        0,
        &text::left(app.names.name(item.reg), name_w),
        style.patch(chosen),
    );
    let x = pen.put(x + 1, 0, &text::left(said, 7), style);
    let shown = if ns > 0 { time(ns) } else { String::new() };
    let x = pen.put(x, 0, &text::right(&shown, 8), style);
    let room = w.saturating_sub(x + 2).min(40);
    let (bar, style) = strip::item_bar(word, ns as f64 / elapsed as f64, room);
    pen.put(x + 1, 0, &bar, style);
}

/// How long the finished run of a batch item took.
fn ran(app: &App, thread: &ThreadState, item: &Item) -> u64 {
    let mut runs = app
        .tail()
        .runs_of(item.reg)
        .take_while(|r| r.end >= thread.wakeup);
    runs.find(|r| r.turn == thread.turn)
        .map_or(0, crate::model::Run::run)
}

/// What could wake a sleeping loop: each fd, its interest, its unread bytes, and which of them will not.
fn asleep(pen: &mut Pen<'_>, app: &App, since: u64, timeout: i64) {
    let (w, h) = (pen.width(), pen.height());
    let now = app.t();
    let kind = app.the_loop().map_or("epoll", |l| l.kind.name());
    let call = if kind == "epoll" { "epoll_wait" } else { kind };
    let until = match timeout {
        ..0 => "no time-out".to_owned(),
        0 => "it only looks".to_owned(),
        ns => format!(
            "wakes by itself in {}",
            time((since + ns as u64).saturating_sub(now))
        ),
    };
    let slept = time(now.saturating_sub(since));
    pen.put(
        1,
        0,
        &format!("asleep in {call} for {slept}; {until}"),
        theme::plain(),
    );
    pen.put(1, 1, "what could wake it:", theme::quiet());
    let mut regs = kernel::shown(app);
    // Those that will not, and hold bytes, come first: they are the ones to learn from.
    regs.sort_by_key(|r| {
        let wakes = kernel::will_wake(r).1;
        (wakes, !(r.unread.is_some_and(|n| n > 0)), r.fd)
    });
    let mut y = 2;
    for (i, reg) in regs.iter().enumerate() {
        let (why, wakes) = kernel::will_wake(reg);
        let lines = if wakes || w >= 70 { 1 } else { 2 };
        if y + lines > h || (y + lines == h && i + 1 < regs.len()) {
            pen.put(
                2,
                h - 1,
                &format!("and {} more", regs.len() - i),
                theme::quiet(),
            );
            break;
        }
        let style = if wakes { theme::plain() } else { theme::odd() };
        let chosen = if app.chosen == Some(reg.id) {
            theme::chosen()
        } else {
            theme::plain()
        };
        let unread = match reg.unread {
            Some(n) if n > 0 => format!(
                ", {} unread",
                kernel::unread_of(reg).replace(&text::bytes(n), &format!("{} bytes", count(n)))
            ),
            _ => String::new(),
        };
        let sign = if wakes { ' ' } else { '!' };
        let name = app.names.name(reg.id);
        let head = format!(
            "{sign}{} {name} {}{unread}",
            text::right(&reg.fd.to_string(), 3),
            kernel::wants(reg.interest)
        );
        let x = pen.put(1, y, &head, style.patch(chosen));
        match lines {
            1 if !wakes || w >= 60 => {
                pen.put(x, y, &format!(": {why}"), style);
            }
            1 => {}
            _ => {
                pen.put(6, y + 1, &format!("NOT: {why}"), style);
            }
        }
        y += lines;
    }
}

/// An age as text.
pub fn age(range: Range) -> String {
    match range.lo == range.hi {
        true => time(range.hi),
        false => format!("at most {}", time(range.hi)),
    }
}
