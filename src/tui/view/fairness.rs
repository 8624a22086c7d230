//! Screen 3, fairness: every fd in a table that sorts by any column, and fairness over time. Step: model → **view**.

use crate::model::{Histogram, Registration};
use crate::tui::app::App;
use crate::tui::filter::Filter;
use crate::tui::theme::{self, ABSENT};
use crate::tui::view::{kernel, strip};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, at_most, count_in, plural, time};
use crate::tui::widget::{bar, boxes};

/// A column: heading, cells, how it sorts.
pub struct Column {
    /// The heading.
    pub title: &'static str,
    /// Its width.
    pub width: usize,
    /// Large values first.
    pub falling: bool,
    /// Shown from this screen width on.
    pub from: usize,
    /// What a cell says.
    pub cell: fn(&App, &Registration) -> String,
    /// What it sorts by.
    pub key: fn(&Registration) -> u64,
}

fn quantile(h: &Histogram, q: f64) -> String {
    match h.is_empty() {
        true => ABSENT.to_string(),
        false => time(h.quantile(q)),
    }
}

fn max(h: &Histogram) -> String {
    match h.is_empty() {
        true => ABSENT.to_string(),
        false => time(h.max()),
    }
}

/// Its longest wait for its turn, as far as it is known. An inferred handler starts at its first call at the latest:
/// an upper bound stays one.
pub fn longest(app: &App, reg: &Registration) -> String {
    match reg.waited_max.hi {
        0 => ABSENT.to_string(),
        max => match at_most(reg.waited_max.lo, max) {
            bound if bound.starts_with('<') => bound,
            figure => format!("{}{figure}", app.mark()),
        },
    }
}

fn notice(reg: &Registration) -> String {
    let of = |h: &Histogram| h.quantile(0.99);
    match reg.notice_hi.is_empty() {
        true => ABSENT.to_string(),
        false => at_most(of(&reg.notice_lo), of(&reg.notice_hi)),
    }
}

fn caused(reg: &Registration) -> String {
    match reg.caused_hi {
        0 => ABSENT.to_string(),
        hi => at_most(reg.caused_lo, hi),
    }
}

/// The columns after fd and name.
pub const COLUMNS: &[Column] = &[
    Column {
        title: "longest wait",
        width: 12,
        falling: true,
        from: 0,
        cell: longest,
        key: |r| r.waited_max.hi,
    },
    Column {
        title: "share",
        width: 7,
        falling: true,
        from: 0,
        cell: |app, r| match strip::share(app, r) {
            Some(share) if share > 0.9995 => format!("{}100 %", app.mark()),
            Some(share) => format!("{}{:.1} %", app.mark(), share * 100.0),
            None => ABSENT.to_string(),
        },
        key: |r| r.run_ns,
    },
    Column {
        title: "ready",
        width: 8,
        falling: true,
        from: 0,
        cell: |_, r| count_in(r.ready, 8),
        key: |r| r.ready,
    },
    Column {
        title: "runs",
        width: 8,
        falling: true,
        from: 70,
        cell: |_, r| count_in(r.dispatched, 8),
        key: |r| r.dispatched,
    },
    Column {
        title: "notice p99",
        width: 11,
        falling: true,
        from: 100,
        cell: |_, r| notice(r),
        key: |r| r.notice_hi.quantile(0.99),
    },
    Column {
        title: "queue p50",
        width: 9,
        falling: true,
        from: 110,
        cell: |_, r| quantile(&r.queue, 0.5),
        key: |r| r.queue.quantile(0.5),
    },
    Column {
        title: "queue p99",
        width: 9,
        falling: true,
        from: 78,
        cell: |_, r| quantile(&r.queue, 0.99),
        key: |r| r.queue.quantile(0.99),
    },
    Column {
        title: "queue max",
        width: 9,
        falling: true,
        from: 130,
        cell: |_, r| max(&r.queue),
        key: |r| r.queue.max(),
    },
    Column {
        title: "run max",
        width: 9,
        falling: true,
        from: 140,
        cell: |_, r| max(&r.run),
        key: |r| r.run.max(),
    },
    Column {
        title: "bypassed",
        width: 8,
        falling: true,
        from: 120,
        cell: |_, r| count_in(u64::from(r.bypassed_max), 8),
        key: |r| u64::from(r.bypassed_max),
    },
    Column {
        title: "cost others",
        width: 11,
        falling: true,
        from: 76,
        cell: |_, r| caused(r),
        key: |r| r.caused_hi,
    },
    Column {
        title: "fd",
        width: 0,
        falling: false,
        from: 0,
        cell: |_, _| String::new(),
        key: |r| r.fd.max(0) as u64,
    },
];

/// The registrations in the order of the chosen column.
pub fn sorted(app: &App) -> Vec<&Registration> {
    let mut regs = app.regs();
    let column = &COLUMNS[app.sort.0.min(COLUMNS.len() - 1)];
    regs.sort_by_cached_key(|r| {
        let key = (column.key)(r);
        (if app.sort.1 { u64::MAX - key } else { key }, r.fd, r.id)
    });
    regs
}

/// Draws the screen.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    boxes::outline(pen, theme::quiet());
    let sort = COLUMNS[app.sort.0.min(COLUMNS.len() - 1)].title;
    let regs = sorted(app);
    let title = app.titled(&format!(
        "who waited: {}, by {sort}",
        plural(regs.len() as u64, "fd")
    ));
    let next = format!("{title} (o: next column)");
    let title = if text::width(&next) + 4 > w {
        title
    } else {
        next
    };
    boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    let chart = match h {
        0..16 => 3,
        16..30 => h.saturating_sub(regs.len() + 5).clamp(5, h / 2),
        // What few fds leave empty.
        _ => h.saturating_sub(regs.len() + 5).clamp(9, (h / 2).min(18)),
    };
    let table = h.saturating_sub(chart + 2);
    draw_table(&mut pen.part(1, 1, w - 2, table), app, &regs);
    boxes::across(pen, table + 1, theme::quiet());
    let when = app.player.window().map_or(String::new(), |win| {
        let (from, to) = win.span();
        let to = to.min(app.player.duration());
        format!(", {}", between(from, to))
    });
    let summed = app.player.window().is_some_and(|w| w.is_summary());
    let of = if summed {
        " of the most active fds and of each role's others"
    } else {
        ""
    };
    let titles = [
        format!("fairness over time{of}, 1 is fair (Jain), · nobody served{when}"),
        format!("fairness over time, 1 is fair (Jain), · nobody served{when}"),
        format!("fairness over time, 1 is fair{when}"),
        "fairness over time, 1 is fair".to_owned(),
    ];
    let fits = titles.iter().find(|t| text::width(t) + 4 <= w);
    let title = fits.unwrap_or(&titles[3]);
    boxes::title(pen, 1, table + 1, w - 2, title, theme::strong());
    over_time(&mut pen.part(1, table + 2, w - 2, chart - 1), app);
}

/// Two instants with as many decimals as tell them apart: `1.30572 to 1.30668 s`.
fn between(from: u64, to: u64) -> String {
    let decimals = (2..9).find(|d| to.saturating_sub(from) >= 10u64.pow(11 - d));
    let decimals = decimals.map_or(9, |d| d as usize).min(6);
    let s = |ns: u64| format!("{:.decimals$}", ns as f64 / 1e9);
    format!("{} to {} s", s(from), s(to))
}

/// Draws the table; the Fd screen uses it too.
pub fn draw_table(pen: &mut Pen<'_>, app: &App, regs: &[&Registration]) {
    let (w, h) = (pen.width(), pen.height());
    let name_w = (w / 5).clamp(10, 34);
    let full = app.size.0 as usize;
    // What the columns leave goes to the names, unless it is enough for the bars.
    let fit =
        |x: usize, column: &Column| column.width > 0 && full >= column.from && x + column.width < w;
    let used = COLUMNS.iter().fold(7 + name_w, |x, c| match fit(x, c) {
        true => x + c.width + 2,
        false => x,
    });
    let longest = regs.iter().map(|r| text::width(app.names.name(r.id))).max();
    let spare = w.saturating_sub(used + 1);
    let name_w = match spare {
        8.. => name_w,
        _ => name_w + spare.min(longest.unwrap_or(0).saturating_sub(name_w - 1)),
    };
    let head = theme::quiet();
    pen.put(1, 0, &text::left("   fd name", 6 + name_w), head);
    let mut x = 7 + name_w;
    let mut shown = Vec::new();
    for (i, column) in COLUMNS.iter().enumerate() {
        if !fit(x, column) {
            continue;
        }
        let style = if i == app.sort.0 {
            theme::strong()
        } else {
            head
        };
        pen.put(x + 1, 0, &text::right(column.title, column.width), style);
        shown.push((x + 1, column));
        x += column.width + 2;
    }
    let bar_room = w.saturating_sub(x + 2).min(40);
    let rows = h.saturating_sub(1);
    let at = regs
        .iter()
        .position(|r| Some(r.id) == app.chosen)
        .unwrap_or(0);
    let first = at
        .saturating_sub(rows.saturating_sub(2))
        .min(regs.len().saturating_sub(rows));
    let most = regs
        .iter()
        .map(|r| r.waited_max.hi)
        .max()
        .unwrap_or(0)
        .max(1);
    for (row, reg) in regs.iter().skip(first).take(rows).enumerate() {
        let y = row + 1;
        let chosen = Some(reg.id) == app.chosen;
        if chosen {
            // Up to the bar, which has a colour of its own.
            let to = if bar_room >= 6 { x } else { w };
            pen.paint(0, y, to, theme::chosen());
        }
        let base = if chosen {
            theme::chosen()
        } else {
            theme::plain()
        };
        let (word, ago) = app.state(reg);
        let style = match ago {
            None if reg.is_live() => theme::of(word),
            _ => theme::quiet(),
        };
        pen.glyph(1, y, kernel::glyph(word), style.patch(base));
        let matches = app.passes(reg);
        let name_style = match matches {
            Some(false) => theme::quiet().patch(base),
            _ => base,
        };
        if matches == Some(true) {
            pen.glyph(0, y, Filter::MARK, theme::strong().patch(base));
        }
        let label = format!(
            "{} {}",
            text::right(&reg.fd.to_string(), 4),
            text::name(app.names.name(reg.id), name_w - 1)
        );
        pen.put(2, y, &label, name_style);
        for (x, column) in &shown {
            let cell = (column.cell)(app, reg);
            pen.put(*x, y, &text::right(&cell, column.width), base);
        }
        if bar_room >= 6 {
            let bar = bar::share(reg.waited_max.hi as f64 / most as f64, bar_room);
            pen.put(x + 1, y, &bar, theme::queued());
        }
    }
    if regs.is_empty() {
        pen.put(2, 1, "no fd is registered on this loop yet", theme::quiet());
    }
}

/// Cells before the chart over time.
const LEFT: usize = 5;

/// Columns of the chart over time on a screen this wide.
pub fn columns(width: usize) -> usize {
    width.saturating_sub(LEFT + 3)
}

fn over_time(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    let overall = app.model().fairness(app.loop_id);
    let now = app.model().fairness_now(app.loop_id, app.t());
    let said = |f: Option<f64>| f.map_or(ABSENT.to_string(), |f| format!("{}{f:.2}", app.mark()));
    let regs = app.regs();
    let worst = regs
        .iter()
        .max_by_key(|r| r.waited_max.hi)
        .filter(|r| r.waited_max.hi > 0);
    let wait = worst.map_or(String::new(), |r| {
        format!("   longest wait {}", longest(app, r))
    });
    let line = format!("so far {}   this second {}{wait}", said(overall), said(now));
    let whose = worst.map_or(String::new(), |r| format!(" ({})", app.names.told(r.id)));
    let fits = text::width(&line) + text::width(&whose) < w;
    let whose = if fits { whose } else { String::new() };
    pen.put(1, 0, &format!("{line}{whose}"), theme::plain());
    let rows = h.saturating_sub(1);
    let Some(window) = app.player.window() else {
        return;
    };
    if rows == 0 {
        return;
    }
    let cells = window.painted();
    // The axis ends where the recording does.
    let last = cells
        .col(app.player.duration())
        .map_or(cells.cols, |c| c + 1);
    let cols = cells.cols.min(w.saturating_sub(LEFT + 1)).min(last);
    pen.put(1, 1, &text::right("1", 3), theme::quiet());
    if rows > 1 {
        pen.put(1, rows, &text::right("0", 3), theme::quiet());
    }
    for col in 0..cols {
        let Some(f) = cells.fairness(col) else {
            // Nobody was served: neither fair nor unfair.
            pen.glyph(LEFT + col, rows, '·', theme::quiet());
            continue;
        };
        let style = if f < 0.5 {
            theme::alarm()
        } else {
            theme::good()
        };
        for row in 0..rows {
            let c = bar::tall((f * 1000.0) as u64, 1000, row, rows);
            pen.glyph(LEFT + col, 1 + row, c, style);
        }
    }
    if let Some(col) = cells.col(app.t()).filter(|c| *c < cols) {
        for row in 0..rows {
            if pen.at(LEFT + col, 1 + row) == " " {
                pen.glyph(LEFT + col, 1 + row, '│', theme::cursor());
            }
        }
    }
}
