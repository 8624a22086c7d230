//! The program's side of the Loop screen while the loop sleeps: what could wake it, and what will not.
//! Step: model → **view**.

use super::kernel;
use super::program::next_timer;
use crate::model::{LoopKind, Word};
use crate::tui::app::App;
use crate::tui::theme;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, bytes, time};

/// What could wake a sleeping loop: each fd, its interest, its unread bytes, and which of them will not.
pub fn draw(pen: &mut Pen<'_>, app: &App, since: u64, timeout: i64) {
    let (w, h) = (pen.width(), pen.height());
    let now = app.t();
    let kind = app.the_loop().map(|l| l.kind).unwrap_or_default();
    let call = kind.call();
    // From a whole sentence to a bare figure: the first that fits.
    let (long, short) = match timeout {
        -2 => ("time-out not known".to_owned(), None),
        ..0 => ("no time-out".to_owned(), None),
        0 => ("it only looks".to_owned(), Some("only looks".to_owned())),
        ns => {
            let left = time((since.saturating_add(ns as u64)).saturating_sub(now));
            (
                format!("wakes by itself in {left}"),
                Some(format!("up in {left}")),
            )
        }
    };
    let slept = time(now.saturating_sub(since));
    let forms = [
        format!("asleep in {call} for {slept}; {long}"),
        format!("asleep for {slept}; {long}"),
        format!("asleep {slept}, {}", short.unwrap_or(long)),
        format!("asleep for {slept}"),
    ];
    let fits = forms.iter().find(|form| text::width(form) < w);
    let line = fits.unwrap_or(&forms[3]);
    pen.put(1, 0, line, theme::plain());
    let mut head = match kind {
        LoopKind::Epoll | LoopKind::Threads => "what could wake it:".to_owned(),
        // The array of fds is an argument of every call and stands in no record.
        _ => "its fds are not recorded".to_owned(),
    };
    if let Some(next) = next_timer(app, true) {
        let next = next.trim_start_matches("no, ");
        let next = match next.starts_with("timerfd") {
            true => format!("{head} {next}"),
            false => format!("{head} timer {next}"),
        };
        if text::width(&next) + 2 <= w {
            head = next;
        }
    }
    pen.put(1, 1, &head, theme::quiet());
    let mut regs = kernel::shown(app);
    if kind == LoopKind::Threads {
        // It sleeps in a call on one descriptor: the others wake other threads.
        let on = kernel::thread(app).and_then(|ts| ts.on);
        regs.retain(|r| on.is_none_or(|on| r.fd == on));
    }
    // Those that will not, and hold bytes, come first: they are the ones to learn from.
    regs.sort_by_key(|r| {
        let wakes = kernel::will_wake(app, r).1;
        (
            wakes && r.word != Word::Ghost,
            r.unread.is_none_or(|n| n == 0),
            r.fd,
        )
    });
    let mut y = 2;
    for (i, reg) in regs.iter().enumerate() {
        let (why, wakes) = kernel::will_wake(app, reg);
        let ghost = reg.word == Word::Ghost;
        let lines = if wakes && !ghost || w >= 70 { 1 } else { 2 };
        if y + lines > h || (y + lines == h && i + 1 < regs.len()) {
            pen.put(
                2,
                h - 1,
                &format!("and {} more", regs.len() - i),
                theme::quiet(),
            );
            break;
        }
        let style = match wakes && !ghost {
            true => theme::plain(),
            false => theme::odd(),
        };
        let chosen = if app.chosen == Some(reg.id) {
            theme::chosen()
        } else {
            theme::plain()
        };
        let why = match w {
            0..32 if !wakes && app.model().timerfd(reg.id).is_some() => "not armed",
            0..50 if !wakes && kernel::asks_for_no_input(reg) => "does not ask for IN",
            0..50 if !wakes && reg.word == Word::Muted => "nobody asks for it",
            0..50 if !wakes && reg.word == Word::Disarmed => "off until MOD",
            0..32 if !wakes && kernel::listens(reg) => "only a new client",
            0..32 if !wakes => "only more bytes",
            32..54 if !wakes && reg.word == Word::Residual => match kernel::listens(reg) {
                true => "only when a client comes",
                false => "only when more bytes come",
            },
            0..44 if ghost => "closed, but a copy reports",
            _ => &why,
        };
        let timer = app.model().timerfd(reg.id).filter(|_| w < 60 && wakes);
        let unread = match reg.unread {
            _ if timer.is_some() => kernel::timer_short(app, reg),
            Some(n) if n > 0 && w < 28 => format!(" {}", bytes(n)),
            Some(n) if n > 0 => format!(" {} unread", bytes(n)),
            _ => String::new(),
        };
        let sign = if wakes && !ghost { ' ' } else { '!' };
        let name = app.names.name(reg.id);
        let wants = match w {
            0..44 => kernel::wants_short(reg.interest),
            _ => kernel::wants(reg.interest),
        };
        let fd = text::right(&reg.fd.to_string(), app.names.digits().max(3));
        let whole = format!("{sign}{fd} {name} {wants}{unread}");
        // When it expires, or what lies there, before what it wants to hear of: that stands on the left too.
        let head = match text::width(&whole) < w || unread.is_empty() {
            true => whole,
            false => format!("{sign}{fd} {name}{unread}"),
        };
        let x = pen.put(1, y, &head, style.patch(chosen));
        match lines {
            1 if !wakes || w >= 60 => {
                pen.put(x, y, &format!(": {why}"), style);
            }
            1 => {}
            _ if ghost => {
                pen.put(6, y + 1, why, style);
            }
            _ => {
                pen.put(6, y + 1, &format!("NOT: {why}"), style);
            }
        }
        y += lines;
    }
}
