//! Screen 5, one fd: what it is, where its time went, how it came to its state. Step: model → **view**.

use super::{behalf, blame, detail, fairness, kernel, moment, spent, states};
use crate::model::{Expiry, Fidelity, Histogram, Registration, Timerfd, Transition, Why, Word};
use crate::text::names::mask;
use crate::tui::app::App;
use crate::tui::player::Facts;
use crate::tui::theme::{self, ABSENT};
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, bytes, count, time};

/// The reason of a change, in words.
pub fn why(why: Why) -> &'static str {
    match why {
        Why::Add => "epoll_ctl ADD",
        Why::Mod => "epoll_ctl MOD",
        Why::Del => "epoll_ctl DEL",
        Why::Close => "its last descriptor was closed",
        Why::CloseWithAlias => "closed, but a dup or fork keeps it",
        Why::Reuse => "its number was used again",
        Why::Supplied => "bytes were sent to it (stamped)",
        Why::Reported => "told: in a ready batch",
        Why::NotReported => "a wait with room did not report it",
        Why::Asked => "a thread sleeps in a call on it",
        Why::AskedOther => "its thread asks for another one now",
        Why::Start => "its handler started",
        Why::Drained => "drained (EAGAIN, end, short read)",
        Why::Slept => "a wait that lasts has not found it ready",
        Why::LeftData => "its handler ended with data left",
        Why::WriteBlocked => "a write met EAGAIN",
        Why::Skipped => "the program left the batch before its turn",
        Why::Observed => "/proc showed it so",
        Why::HandedOver => "another thread has served it",
        Why::Lost => "events were lost",
    }
}

/// A state where room is short.
fn short(word: Word) -> &'static str {
    match word {
        Word::Disarmed => "off",
        other => theme::word(other),
    }
}

/// Draws the screen.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    boxes::outline(pen, theme::quiet());
    let Some(reg) = app.chosen() else {
        boxes::title(pen, 1, 0, w - 2, &app.titled("fds"), theme::strong());
        let regs = fairness::sorted(app);
        fairness::draw_table(&mut pen.part(1, 1, w - 2, h.saturating_sub(2)), app, &regs);
        return;
    };
    let wide = w >= 110;
    let facts_rows = if h < 18 { 4 } else { 6 };
    let title = app.titled(&format!("fd {} {}", reg.fd, app.names.name(reg.id)));
    boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    facts(&mut pen.part(1, 1, w - 2, facts_rows), app, reg);
    let y = facts_rows + 1;
    boxes::across(pen, y, theme::quiet());
    let rest = h.saturating_sub(y + 2);
    // The history needs its reasons in full, the table has a screen of its own.
    let split = if w < 160 { w * 2 / 5 } else { w / 2 };
    let (table, history_at, history_w) = match wide {
        true => (rest, split, w - split - 2),
        false => ((rest / 3).clamp(3, 8).min(rest), 1, w - 2),
    };
    let focus = |pane: usize| {
        if app.pane == pane {
            theme::strong()
        } else {
            theme::quiet()
        }
    };
    boxes::title(pen, 1, y, w / 2, "all fds (↑↓)", focus(0));
    let regs = fairness::sorted(app);
    let table_w = if wide { split - 2 } else { w - 2 };
    let seen = states::of(&changes(app, reg), app.t());
    // Below the table where that leaves room.
    let diagram = match wide && rest >= seen.len() + 8 {
        true => seen.len() + 2,
        false => 0,
    };
    let table = table.saturating_sub(diagram).min(match diagram {
        0 => table,
        _ => (regs.len() + 1).max(rest / 3),
    });
    fairness::draw_table(&mut pen.part(1, y + 1, table_w, table), app, &regs);
    if diagram > 0 {
        let at = y + 1 + table;
        boxes::stretch(pen, 0, split - 1, at, theme::quiet());
        let from = changes(app, reg).first().map_or(app.t(), |c| c.t);
        let title = format!("its states since {}", super::instant(from));
        boxes::title(pen, 1, at, split - 2, &title, theme::quiet());
        states::draw(
            &mut pen.part(1, at + 1, table_w, rest - table - 1),
            &seen,
            reg.word,
        );
    }
    let history_y = match wide {
        true => {
            boxes::down(pen, split - 1, y, h - 1, theme::quiet());
            boxes::title(
                pen,
                split + 1,
                y,
                w - split - 4,
                "its history, latest first",
                focus(1),
            );
            y + 1
        }
        false => {
            boxes::across(pen, y + 1 + table, theme::quiet());
            boxes::title(
                pen,
                1,
                y + 1 + table,
                w - 2,
                "its history, latest first",
                focus(1),
            );
            y + table + 2
        }
    };
    let rows = h.saturating_sub(history_y + 1);
    history(
        &mut pen.part(history_at, history_y, history_w, rows),
        app,
        reg,
    );
}

/// Quantiles; with `lo` upper bounds of it, with `mark` before each figure.
fn line(h: &Histogram, lo: Option<&Histogram>, mark: &str) -> String {
    if h.is_empty() {
        return ABSENT.to_string();
    }
    let bounded = lo.is_some_and(|lo| lo.sum() < h.sum());
    let mark = if bounded { "<=" } else { mark };
    let at = |q: f64| format!("{mark}{}", time(h.quantile(q)));
    format!(
        "p50 {}  p99 {}  max {mark}{}",
        at(0.5),
        at(0.99),
        time(h.max())
    )
}

fn facts(pen: &mut Pen<'_>, app: &App, reg: &Registration) {
    let w = pen.width();
    let quiet = theme::quiet();
    let mark = match reg.fidelity {
        Fidelity::Inferred => "~",
        Fidelity::Bounded => "<=",
        _ => "",
    };
    let since = time(app.t().saturating_sub(reg.since));
    let (word, ago) = app.state(reg);
    let (state, how, style) = match ago {
        Some(ago) => {
            let how = format!(" {} ago, left out since", time(ago));
            (format!("was {}", theme::word(word)), how, theme::quiet())
        }
        None => {
            let how = format!(" for {since}");
            (format!("{mark}{}", theme::word(word)), how, theme::of(word))
        }
    };
    let x = pen.puts(
        1,
        0,
        &[
            (&kernel::glyph(word).to_string(), style),
            (" ", quiet),
            (&state, style),
            (&how, theme::plain()),
        ],
    );
    let handler = app.model().name(
        reg.handler_process,
        crate::record::event::Space::Handler,
        reg.handler,
    );
    let bypassed = match reg.bypassed_max {
        0 => "never bypassed".to_owned(),
        1 => "bypassed once".to_owned(),
        n => format!("bypassed up to {n} times"),
    };
    let small = pen.height() < 6;
    let mut rest = vec![format!("wants {}", mask(reg.interest))];
    if !handler.is_empty() {
        rest.push(format!("handler {}", crate::text::visible(handler)));
    }
    if small {
        // What it suffered comes before its numbers.
        rest.insert(1, bypassed.clone());
    }
    rest.push(format!("data {:#x}", reg.data));
    rest.push(format!("generation {}", reg.generation));
    let mut end = x;
    for piece in rest {
        if end + 3 + text::width(&piece) > w {
            break;
        }
        end = pen.put(end, 0, &format!("   {piece}"), theme::plain());
    }
    // Nameless at both ends, as a socketpair is.
    let addr = match reg.addr.strip_suffix('>').unwrap_or(&reg.addr).trim_end() {
        "" => reg.kind.name().to_owned(),
        addr => crate::text::visible(addr).into_owned(),
    };
    let life = match reg.closed_ns {
        Some(closed) => format!("registered {} to {}", time(reg.registered_ns), time(closed)),
        None => format!("registered since {}", time(reg.registered_ns)),
    };
    if small {
        return times(pen, app, reg, 1);
    }
    let what = match app.model().timerfd(reg.id) {
        Some(timer) => armed_for(timer, app.t()),
        None => format!("unread {}", kernel::unread_of(reg)),
    };
    pen.put(1, 1, &format!("{addr}   {life}   {what}"), theme::plain());
    // What never happened needs no words where room is short.
    let some = |n: u64, word: &str| match n {
        0 if w < 110 => String::new(),
        n => format!(", {word} {}", count(n)),
    };
    let moved = format!(
        "{}, {}served {}{}{}   in {}, out {}",
        often("told", reg.ready),
        app.mark(),
        count(reg.dispatched),
        some(reg.skipped, "skipped"),
        some(reg.stale, "stale"),
        bytes(reg.bytes_in),
        bytes(reg.bytes_out)
    );
    let bypassed = [bypassed, format!("bypassed {}", reg.bypassed_max)];
    let whole = bypassed.iter().map(|b| format!("{moved}   {b}"));
    let fits = whole.into_iter().find(|t| text::width(t) < w);
    pen.put(1, 2, &fits.unwrap_or(moved), theme::plain());
    times(pen, app, reg, 3);
    spent_beside(pen, app, reg, 5);
    if w >= 100 {
        let caused = crate::model::Range {
            lo: reg.caused_lo,
            hi: reg.caused_hi,
        };
        pen.put(
            w / 2,
            3,
            &format!(
                "cost others {}{} of waiting",
                app.mark(),
                text::range(caused)
            ),
            theme::plain(),
        );
        pen.put(
            w / 2,
            4,
            &format!("longest wait {}", fairness::longest(app, reg)),
            theme::plain(),
        );
    }
}

/// `never told`, `told once`, `told 12 times`.
fn often(what: &str, n: u64) -> String {
    match n {
        0 => format!("never {what}"),
        1 => format!("{what} once"),
        n => format!("{what} {} times", count(n)),
    }
}

/// How its runs were spent, beside the line that says how long they were.
fn spent_beside(pen: &mut Pen<'_>, app: &App, reg: &Registration, y: usize) {
    let before = text::width(&line(&reg.run, None, app.mark())) + "run    ".len() + 4;
    let x = before.max(pen.width() / 2);
    let room = pen.width().saturating_sub(x + 1);
    if let Some(told) = spent::of_fd(reg, room) {
        pen.put(x, y, &told, theme::plain());
    }
}

/// What a timerfd is armed for: `expires in 20 ms, every 100 ms`.
fn armed_for(timer: &Timerfd, t: u64) -> String {
    let every = match timer.interval {
        0 => String::new(),
        ns => format!(", every {}", time(ns)),
    };
    match timer.expiry(t) {
        Expiry::At(due) => format!("expires in {}{every}", time(due - t)),
        Expiry::Since(due) => format!("expired {} ago, not read{every}", time(t - due)),
        Expiry::Never => "not armed".to_owned(),
        Expiry::Unknown => format!("armed, nobody knows for when{every}"),
    }
}

/// The three parts of its latency, a line each.
fn times(pen: &mut Pen<'_>, app: &App, reg: &Registration, first: usize) {
    let of_runs = app.mark();
    for (y, (name, style, value)) in [
        (
            "notice ",
            theme::ready(),
            line(&reg.notice_hi, Some(&reg.notice_lo), ""),
        ),
        ("queue  ", theme::queued(), line(&reg.queue, None, of_runs)),
        ("run    ", theme::running(), line(&reg.run, None, of_runs)),
    ]
    .iter()
    .enumerate()
    {
        pen.puts(1, first + y, &[(name, *style), (value, theme::plain())]);
    }
}

/// What is remembered furthest back.
fn facts_of(app: &App) -> &Facts {
    match app.player.window() {
        Some(w) if w.facts.from <= app.tail().from && w.model().now() >= app.t() => &w.facts,
        _ => app.tail(),
    }
}

/// Its changes up to the cursor, as far back as is remembered.
fn changes<'a>(app: &'a App, reg: &Registration) -> Vec<&'a Transition> {
    let t = app.t();
    let all = facts_of(app).transitions.iter();
    all.filter(|x| x.reg == reg.id && x.t <= t).collect()
}

fn history(pen: &mut Pen<'_>, app: &App, reg: &Registration) {
    let t = app.t();
    let changes = changes(app, reg);
    let rows = pen.height();
    let mut y = 0;
    if rows >= 2
        && let Some((run, stage)) = moment::at(app)
    {
        let behind = blame::lines(app, &run, stage).into_iter().next();
        let behind = behind.unwrap_or_default();
        let room = pen.width().saturating_sub(2);
        let mut lines = text::wrap(&detail::chain(&run, stage), room);
        lines.extend(text::wrap(&behind, room));
        if lines.len() > rows / 2 {
            // Its times stand on other screens too: here the question is why.
            let whole = (1..=5)
                .rev()
                .map(|most| blame::behind(app, &run, stage, most));
            let mut fit = whole.filter(|told| text::width(told) <= room);
            lines = vec![fit.next().unwrap_or_else(|| text::cut(&behind, room))];
        }
        for line in &lines {
            pen.put(1, y, line, theme::plain());
            y += 1;
        }
        y += usize::from(rows >= 8);
    }
    let mut later = t;
    // Whom its runs work for, and whose runs work for it, latest first as well; said once a run has begun.
    let said = facts_of(app).behalf.iter().rev().filter(|s| s.t <= t);
    let mut said = said
        .filter_map(|s| Some((s.t, behalf::in_history(app, s, reg.id)?)))
        .peekable();
    for change in changes.iter().rev() {
        while let Some((at, told)) = said.next_if(|s| s.0 >= change.t && y < rows) {
            let x = pen.put(1, y, &text::left(&super::instant(at), 11), theme::quiet());
            pen.put(x, y, &told, theme::plain());
            y += 1;
        }
        if y >= rows {
            break;
        }
        let mark = if change.fidelity == Fidelity::Inferred {
            "~"
        } else {
            ""
        };
        let stayed = time(later.saturating_sub(change.t));
        let x = pen.put(
            1,
            y,
            &text::left(&super::instant(change.t), 11),
            theme::quiet(),
        );
        let x = pen.put(
            x,
            y,
            &text::left(&format!("{mark}{}", short(change.to)), 12),
            theme::of(change.to),
        );
        let x = pen.put(
            x,
            y,
            &text::left(&format!("for {stayed}"), 12),
            theme::plain(),
        );
        let x = pen.put(x, y, why(change.why), theme::quiet());
        if let Some(from) = app.site(reg.process, change.site) {
            let room = pen.width().saturating_sub(x);
            // The line is worth more than the function's name; half of it is worth nothing.
            let line = from.split(' ').next().unwrap_or_default();
            let told = [&from, line].map(|from| format!(" at {from}"));
            if let Some(fits) = told.iter().find(|told| text::width(told) <= room) {
                pen.put(x, y, fits, theme::quiet());
            }
        }
        later = change.t;
        y += 1;
    }
    if changes.is_empty() {
        let told = match reg.word {
            Word::Gone => "it has ended; go back in time for its history",
            _ => "nothing has happened to it lately",
        };
        pen.put(1, y, told, theme::quiet());
    }
}
