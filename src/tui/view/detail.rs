//! One event in full: when it became ready, was told, ran, was done; and the worst waits in view. Step: model → **view**.

use super::moment::{self, Stage};
use super::{behalf, blame, spent};
use crate::model::{Fidelity, Run, Word};
use crate::tui::app::App;
use crate::tui::app::known::mark_of;
use crate::tui::theme::{self, ABSENT, QUEUED, READY, RUN};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, range, time};
use crate::tui::widget::{bar, boxes};

/// The event of the chosen fd at the cursor, in full; the row after it.
pub fn draw(pen: &mut Pen<'_>, app: &App) -> usize {
    let w = pen.width();
    boxes::across(pen, 0, theme::quiet());
    let Some(reg) = app.chosen() else {
        boxes::title(pen, 1, 0, w - 2, "the event at the cursor", theme::quiet());
        pen.put(
            1,
            1,
            "↑↓ chooses an fd: its event at the cursor is shown here in full",
            theme::quiet(),
        );
        return 2;
    };
    let name = app.names.name(reg.id);
    let found = moment::at(app);
    let which = match &found {
        Some((run, Stage::Done)) if run.end < app.t() => "its last event before the cursor",
        Some((_, Stage::Ready | Stage::Queued)) => "its event still waits",
        Some((_, Stage::Running)) => "its handler still runs",
        _ => "the event at the cursor",
    };
    let title = format!("fd {} {name}: {which}, in full", reg.fd);
    boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    let Some((run, stage)) = found else {
        let since = time(app.t().saturating_sub(reg.since));
        let told = match reg.word {
            Word::Armed => format!("armed for {since}: nothing has happened to it yet"),
            word => format!("{} for {since}", theme::word(word)),
        };
        pen.put(1, 1, &told, theme::plain());
        return 3;
    };
    pen.put(1, 1, &fitting(&run, stage, w - 1), theme::plain());
    proportions(&mut pen.part(1, 2, w - 2, 1), &run, stage);
    let mut lines = blame::lines(app, &run, stage);
    if pen.height() == 4 {
        // One line is left: the first that fits says as much as there is room for.
        let whole = (1..=5)
            .rev()
            .map(|most| blame::behind(app, &run, stage, most));
        let mut fit = whole.filter(|told| text::width(told) + 2 <= w);
        lines = fit.next().into_iter().chain(lines).take(1).collect();
    }
    // Where one line is left, who ran before says more than how this one was spent.
    let spent = match stage {
        Stage::Done if pen.height() > 4 => spent::of_run(app, &run),
        _ => None,
    };
    let whom = behalf::sentence(app, &run).filter(|_| pen.height() > 4);
    let mut y = 3;
    for line in whom.into_iter().chain(spent).chain(lines) {
        let wrapped = text::wrap(&line, w - 2);
        // Half a sentence says nothing, but for the first, which has its most important part in front.
        if y > 3 && y + wrapped.len() > pen.height() {
            break;
        }
        for line in wrapped {
            pen.put(1, y, &line, theme::plain());
            y += 1;
        }
    }
    y + 1
}

/// The chain in one line of `room` cells: its ends go first, they follow from the rest.
fn fitting(run: &Run, stage: Stage, room: usize) -> String {
    let whole = chain(run, stage);
    let open = whole.replace("─► done", "");
    let from = open.find("notice").unwrap_or(0);
    let bare = open.get(from..).unwrap_or_default().to_owned();
    let fits = |told: &&String| text::width(told) <= room;
    let told = [&whole, &open, &bare].into_iter().find(fits).cloned();
    told.unwrap_or_else(|| {
        let figure = |part: &str| {
            let from = whole.split_once(&format!("─{part} "))?.1;
            let figure = from.split(['─', ' ']).next()?;
            Some(format!("{part} {figure}"))
        };
        let mut all: Vec<String> = ["notice", "queue", "run"]
            .into_iter()
            .filter_map(figure)
            .collect();
        if stage == Stage::Running {
            all.push(format!(
                "run {}{:.2} so far",
                mark_of(run),
                run.run() as f64 / 1e6
            ));
        }
        format!("{}, in ms", all.join(", "))
    })
}

/// `ready 90.16 ─notice 4.06─► told 94.22 ─queue 0.07─► runs 94.29 ─run 0.01─► done`, all in milliseconds.
pub fn chain(run: &Run, stage: Stage) -> String {
    let ms = |ns: u64| format!("{:.2}", ns as f64 / 1e6);
    let notice = match (run.notice, run.notice_fidelity) {
        (Some(n), Fidelity::Measured) => ms(n.hi),
        (Some(n), Fidelity::Inferred) => format!("~{}", ms(n.hi)),
        (Some(n), _) if text::is_narrow(n) => ms(n.hi),
        (Some(n), _) if n.lo == 0 => format!("<={}", ms(n.hi)),
        (Some(n), _) => format!("{} to {}", ms(n.lo), ms(n.hi)),
        (None, _) => ABSENT.to_string(),
    };
    let ready = match run.ready {
        Some(r) if r.lo == r.hi || run.notice.is_some_and(text::is_narrow) => ms(r.lo),
        Some(r) => format!("{} to {}", ms(r.lo), ms(r.hi)),
        None => ABSENT.to_string(),
    };
    let told = ms(run.wakeup);
    let mark = mark_of(run);
    let (queue, runs) = (
        format!("{mark}{}", ms(run.queue())),
        format!("{mark}{}", ms(run.start)),
    );
    let not_yet = match mark {
        "" => "not started",
        _ => "no call on it yet",
    };
    match stage {
        Stage::Ready => {
            format!("ready {ready} ─notice {notice} so far─► the program is not told yet")
        }
        Stage::Queued => {
            format!(
                "ready {ready} ─notice {notice}─► told {told} ─queue {queue} so far─► {not_yet}"
            )
        }
        Stage::Running => format!(
            "ready {ready} ─notice {notice}─► told {told} ─queue {queue}─► runs {runs}, {mark}{} so far",
            ms(run.run())
        ),
        Stage::Done => format!(
            "ready {ready} ─notice {notice}─► told {told} ─queue {queue}─► runs {runs} ─run {mark}{}─► done",
            ms(run.run())
        ),
    }
}

/// The three parts as lengths of one bar.
fn proportions(pen: &mut Pen<'_>, run: &Run, stage: Stage) {
    let notice = run.notice.map_or(0, |n| n.hi);
    let total = (notice + run.queue() + run.run()).max(1);
    let mark = mark_of(run);
    let said = match run.notice {
        _ if stage.is_open() => format!(" {mark}{} so far", time(total)),
        Some(n) if n.lo < n.hi => format!(" total at most {mark}{}", time(total)),
        Some(_) => format!(" total {mark}{}, the sum", time(total)),
        None => format!(" queue and run {mark}{}", time(total)),
    };
    let cells = pen.width().saturating_sub(text::width(&said) + 1);
    let part = |ns: u64| match ns {
        0 => 0,
        ns => ((ns as u128 * cells as u128 / u128::from(total)) as usize).max(1),
    };
    let (n, q) = (part(notice), part(run.queue()));
    let r = match stage {
        Stage::Ready | Stage::Queued => 0,
        _ => cells.saturating_sub(n + q).max(1),
    };
    let fill = |c: char, n: usize| std::iter::repeat_n(c, n).collect::<String>();
    let x = pen.puts(
        0,
        0,
        &[
            (&fill(READY, n), theme::ready()),
            (&fill(QUEUED, q), theme::queued()),
            (&fill(RUN, r), theme::running()),
        ],
    );
    pen.put(x, 0, &said, theme::plain());
}

/// The runs in the window that waited longest, one line each.
pub fn worst(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    let Some(window) = app.player.window().filter(|_| h >= 3) else {
        return;
    };
    boxes::across(pen, 0, theme::quiet());
    let base = app.titled("the worst waits in view");
    let hints = [
        " (x goes to the first, ↑↓ chooses an fd)",
        " (x: the first, ↑↓ an fd)",
        "",
    ];
    let hints = match app.chosen() {
        Some(_) => [" (x goes to the first)", " (x: the first)", ""],
        None => hints,
    };
    let titles = hints.map(|hint| format!("{base}{hint}"));
    let fits = titles.iter().find(|t| text::width(t) + 4 <= w);
    let title = fits.unwrap_or(&base);
    boxes::title(pen, 1, 0, w - 2, title, theme::strong());
    if window.is_summary() {
        let line =
            "too many events in view to tell single runs apart: x goes to the worst, w zooms in";
        for (y, line) in text::wrap(line, w - 2).iter().enumerate() {
            pen.put(1, 1 + y, line, theme::quiet());
        }
        return;
    }
    let (from, to) = window.span();
    let wait = |r: &Run| r.waited().hi;
    let mut runs: Vec<&Run> = window
        .facts
        .runs
        .iter()
        .filter(|r| r.loop_id == app.loop_id)
        .collect();
    let to = to.min(app.curtain());
    runs.retain(|r| r.end >= from && r.start < to && r.end <= app.curtain());
    runs.sort_by_key(|r| (std::cmp::Reverse(wait(r)), r.event));
    if runs.is_empty() {
        let line = match w {
            0..76 => "none: nothing was served in view. f shows more",
            _ => {
                "none: nothing was served in view. f shows the turns at the cursor, then everything"
            }
        };
        for (y, line) in text::wrap(line, w - 2).iter().enumerate() {
            pen.put(1, 1 + y, line, theme::quiet());
        }
    }
    let most = runs.first().map_or(1, |r| wait(r).max(1));
    runs.truncate(h - 1);
    // As wide as what stands in them: the rest is for who it was behind.
    let air = if w < 100 { 1 } else { 2 };
    let widest = |cells: Vec<usize>| cells.into_iter().max().unwrap_or(0);
    let name = |run: &Run| {
        text::name(app.names.name(run.reg), 14)
            .trim_end()
            .to_owned()
    };
    let name_w = widest(runs.iter().map(|r| text::width(&name(r))).collect());
    let wait_w = widest(
        runs.iter()
            .map(|r| text::width(&range(r.waited())))
            .collect(),
    );
    for (i, run) in runs.iter().enumerate() {
        let y = i + 1;
        let fd = window.model().reg(run.reg).map_or(-1, |r| r.fd);
        let wait_text = range(run.waited());
        let behind = blame::parts(app, run);
        let x = pen.put(
            1,
            y,
            &text::left(&super::instant(run.start), 11),
            theme::quiet(),
        );
        let x = pen.put(
            x,
            y,
            &text::right(&fd.to_string(), app.names.digits().max(3)),
            theme::plain(),
        );
        let x = pen.put(
            x + 1,
            y,
            &text::left(&name(run), name_w + air),
            theme::strong(),
        );
        let wait_text = text::left(&wait_text, wait_w + air);
        let x = pen.put(x, y, &wait_text, theme::plain());
        let bar_w = match w {
            0..70 => 0,
            70..110 => 6,
            _ => (w / 6).min(24),
        };
        let bar = bar::share(wait(run) as f64 / most as f64, bar_w);
        pen.put(x, y, &bar, theme::queued());
        let x = x + bar_w + if bar_w > 0 { 2 } else { 0 };
        // The first it waited for, and the others as far as there is room.
        let room = w.saturating_sub(x + 1);
        let mut told = String::new();
        for (who, r) in behind {
            let more = match told.is_empty() {
                true => format!("behind {who} {}", range(r)),
                false => format!("{told}, {who} {}", range(r)),
            };
            if text::width(&more) > room {
                if told.is_empty() {
                    let short = [format!("behind {who}"), who.clone()];
                    let fits = short.iter().find(|told| text::width(told) <= room);
                    told = fits.unwrap_or(&more).clone();
                }
                break;
            }
            told = more;
        }
        pen.put(x, y, &told, theme::quiet());
    }
}
