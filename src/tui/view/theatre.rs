//! Screen 1, the batch theatre: the kernel's lists on the left, the program's batch on the right, what it means below.
//! Step: model → **view**.
//!
//! ```text
//! ┌ KERNEL: interest list ───┬ ready list ──────┬ PROGRAM: turn 330 ─────────────┐
//! │ fd name   wants    unread│ next in line:    │ epoll_wait returned 3 events:  │
//! ├ three questions ─────────┴──────────────────┴────────────────────────────────┤
//! ├ this turn ───────────────────────────────────────────────────────────────────┤
//! ├ the last 60 turns: who ran longest, and for how long ────────────────────────┤
//! ├ what you see ────────────────────────────────────────────────────────────────┤
//! └──────────────────────────────────────────────────────────────────────────────┘
//! ```

use super::{detail, fairness, kernel, lesson, program, story, strip, timeline, which};
use crate::model::{LoopKind, Part, Phase, Range};
use crate::tui::app::App;
use crate::tui::theme::{self, ABSENT};
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
    /// Lines for lanes of the last moments, where there is room.
    lanes: usize,
}

impl Plan {
    /// For a projector: the lists, and what they mean, unless a caption says it.
    fn few(rows: usize, need: usize, has_caption: bool) -> Plan {
        let story = match has_caption {
            true => 0,
            false => (rows / 3).clamp(4, 10),
        };
        Plan {
            panels: rows.saturating_sub(story).min(match story {
                0 => usize::MAX,
                _ => need.max(5),
            }),
            questions: false,
            turn: 0,
            turns: 0,
            figures: false,
            story,
            lanes: 0,
        }
    }

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
        let spare = left.saturating_sub(panels + 6);
        let lanes = if spare >= 10 { spare } else { 0 };
        let story = left.saturating_sub(panels + lanes);
        Plan {
            panels,
            questions,
            turn,
            turns,
            figures,
            story,
            lanes,
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
        None | Some(Phase::Waiting { .. } | Phase::Ended | Phase::Closed)
    );
    let regs = kernel::shown(app).len();
    let batch = kernel::thread(app).map_or(0, |t| t.batch.len());
    let turns = app.tail().turns_of(app.loop_id).next().is_some();
    let need = (regs + 1)
        .max(batch + 5)
        .max(if asleep { regs * 2 + 2 } else { 0 });
    let rows = h.saturating_sub(2);
    let plan = match app.stage {
        true => Plan::few(rows, need, lesson::is_shown(app)),
        false => Plan::new(rows, need, turns),
    };
    let narrow = w < 76;
    let (a, b) = match w {
        0..76 => (w * 33 / 60, w * 33 / 60),
        76..110 => (w * 28 / 80, w * 47 / 80),
        110..160 => (w * 46 / 120, w * 68 / 120),
        _ => (w * 74 / 200, w * 104 / 200),
    };
    let bottom = plan.panels + 1;
    if bottom + 1 < h {
        boxes::across(pen, bottom, line);
    }
    boxes::down(pen, a, 0, bottom, line);
    let left = match app.the_loop().map(|l| l.kind) {
        // Its array is an argument of every call: what is known of it is what it was told of.
        Some(kind @ (LoopKind::Poll | LoopKind::Select)) => {
            format!("KERNEL: told by {}", kind.name())
        }
        _ => "KERNEL: interest list".to_owned(),
    };
    boxes::title(pen, 1, 0, a - 1, &left, theme::strong());
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
        &program_title(app, w.saturating_sub(b + 4)),
        theme::strong(),
    );
    program::draw(&mut pen.part(b + 1, 1, w - b - 2, plan.panels), app);

    let mut y = bottom;
    if plan.questions {
        boxes::title(pen, 1, y, w - 2, "three questions", line);
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
        let title = match shown as u64 {
            0 => "who ran longest in each turn: none has ended yet".to_owned(),
            1 => app.titled("the turn before: who ran longest, and for how long"),
            n => app.titled(&format!(
                "the last {}: who ran longest, and for how long",
                plural(n, "turn")
            )),
        };
        boxes::title(pen, 1, y, w - 2, &title, line);
        if plan.turns > 0 {
            strip::turns(&mut pen.part(1, y + 1, w - 2, plan.turns), app);
        }
        y += plan.turns + 1;
        figures(&mut pen.part(1, y, w - 2, 1), app);
        y += 1;
        boxes::across(pen, y, line);
    }
    if plan.lanes > 0 {
        boxes::title(
            pen,
            1,
            y,
            w - 2,
            "the moments before and after (screen 2 zooms)",
            line,
        );
        let mut part = pen.part(1, y + 1, w - 2, plan.lanes - 1);
        let (used, ..) = timeline::chart(&mut part, app, 0, plan.lanes.saturating_sub(5), false);
        let rest = (plan.lanes - 1).saturating_sub(used);
        detail::worst(&mut pen.part(1, y + 1 + used, w - 2, rest), app);
        y += plan.lanes;
        boxes::across(pen, y, line);
    }
    if y + 2 >= h {
        return;
    }
    boxes::title(pen, 1, y, w - 2, "what you see", theme::strong());
    let rows = h.saturating_sub(y + 2).min(plan.story + 1);
    let lines = text::sentences(&story::tell(app), w - 4, rows);
    for (i, told) in lines.iter().enumerate() {
        pen.put(2, y + 1 + i, told, theme::plain());
    }
}

/// The title of the program's side in `room` cells: which turn it is comes before what else is known of it.
fn program_title(app: &App, room: usize) -> String {
    let many = app.the_loop().map_or(0, |l| l.threads.len());
    let held = if app.held.is_some() { "worst " } else { "" };
    let Some(t) = kernel::thread(app).filter(|t| t.turn > 0) else {
        return "PROGRAM".to_owned();
    };
    let turn = count(t.turn);
    let whole = match app.model().threads().get(t.thread as usize) {
        Some(thread) if many > 1 => {
            let tid = thread.tid;
            vec![
                format!("PROGRAM: {held}turn {turn} of thread {tid}"),
                format!("{held}turn {turn} of thread {tid}"),
                format!("{held}turn {turn}, thread {tid}"),
            ]
        }
        _ => match which::program_of_several(app) {
            Some(program) => vec![format!("{program}: {held}turn {turn}")],
            None => vec![format!("PROGRAM: {held}turn {turn}")],
        },
    };
    let brief = format!("{held}turn {turn}");
    let fits = whole.into_iter().find(|t| text::width(t) <= room);
    fits.unwrap_or(brief)
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
        _ => "the last turn".to_owned(),
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
        Phase::Waiting { .. } | Phase::Elsewhere { .. } => 0,
        _ => u64::from(t.batch_len),
    });
    let quiet = theme::quiet();
    let yes = |n: u64, thing: &str, else_: Option<String>| match (n, else_) {
        (0, None) => "no".to_owned(),
        (0, Some(told)) => told,
        (n, _) => plural(n, thing),
    };
    let queued = app.model().tasks_of(app.loop_id).count() as u64;
    let queued = (queued > 0).then(|| format!("{} queued", count(queued)));
    let (task, event) = (yes(tasks, "task", queued), yes(news, "event", None));
    let style = |n: u64| {
        if n > 0 {
            theme::running()
        } else {
            theme::plain()
        }
    };
    // Where the whole has no room the timer's name goes first.
    let long = [
        "told to do something? ",
        "  time for something? ",
        "  news from OS? ",
    ];
    let short = ["told? ", "  time? ", "  news? "];
    let forms = [(long, true), (long, false), (short, true), (short, false)];
    for (i, (labels, timer)) in forms.into_iter().enumerate() {
        let timer = yes(timers, "timer", program::next_timer(app, timer));
        let parts = [
            (labels[0], quiet),
            (&task, style(tasks)),
            (labels[1], quiet),
            (&timer, style(timers)),
            (labels[2], quiet),
            (&event, style(news)),
        ];
        let needs: usize = parts.iter().map(|p| text::width(p.0)).sum();
        if needs < pen.width() || i + 1 == forms.len() {
            pen.puts(1, 0, &parts);
            return;
        }
    }
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
                (app.names.told(reg.id), theme::strong()),
                (" had ", quiet),
                (app.mark(), style),
                (&percent(share), style),
                (" of run time", quiet),
            ],
        ) + 2;
    }
    let fairness = app
        .model()
        .fairness(l.id)
        .map_or(ABSENT.to_string(), |f| format!("{}{f:.2} of 1", app.mark()));
    x = pen.puts(x, 0, &[("fairness ", quiet), (&fairness, theme::strong())]) + 2;
    let longest = regs
        .iter()
        .max_by_key(|r| r.waited_max.hi)
        .filter(|r| r.waited_max.hi > 0);
    if let Some(reg) = longest {
        let wait = fairness::longest(app, reg);
        let name = format!(" ({})", app.names.told(reg.id));
        let needs = 13 + text::width(&wait) + text::width(&name);
        let name = if x + needs <= pen.width() { &name } else { "" };
        if x + 13 + text::width(&wait) + text::width(name) <= pen.width() {
            pen.puts(
                x,
                0,
                &[
                    ("longest wait ", quiet),
                    (&wait, theme::strong()),
                    (name, theme::plain()),
                ],
            );
        }
    }
}

/// A share in per cent; almost all is not all.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p > 99.0 && p < 100.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// An age as text.
pub fn age(range: Range) -> String {
    match text::is_narrow(range) {
        true => time(range.hi),
        false => format!("at most {}", time(range.hi)),
    }
}
