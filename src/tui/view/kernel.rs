//! The kernel's side of the Loop screen: the interest list and the ready list. Step: model → **view**.

use crate::model::registration::{ET, EXCLUSIVE, IN, MODES, ONESHOT, OUT};
use crate::model::{
    Expiry, Fidelity, Id, ItemState, LoopKind, Range, Registration, ThreadState, Word,
};
use crate::record::event::FdKind;
use crate::text::names::mask;
use crate::tui::app::App;
use crate::tui::theme::{self, ABSENT, ARMED, QUEUED, READY, RUN};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, bytes};
use ratatui::style::Style;
use std::borrow::Cow;

/// The glyph of a state, one meaning each.
pub fn glyph(word: Word) -> char {
    match word {
        Word::Running => RUN,
        Word::Fetched => QUEUED,
        Word::Ready => READY,
        Word::Residual => '=',
        Word::Disarmed | Word::Muted => ':',
        Word::Ghost | Word::Stale => '%',
        Word::BlockedOut => '>',
        Word::Armed => ARMED,
        Word::Gone => ' ',
        Word::Unknown => '?',
    }
}

/// How an fd is registered: level, edge, one-shot, exclusive.
fn mode(interest: u32) -> &'static str {
    match interest {
        i if i & ONESHOT != 0 && i & ET != 0 => "edge 1x",
        i if i & ONESHOT != 0 => "1-shot",
        i if i & EXCLUSIVE != 0 && i & ET != 0 => "edge excl",
        i if i & EXCLUSIVE != 0 => "excl",
        i if i & ET != 0 => "edge",
        _ => "level",
    }
}

/// What an fd is registered for: `IN level`, `IN|OUT edge`.
pub fn wants(interest: u32) -> String {
    format!("{} {}", mask(interest & !MODES), mode(interest))
}

/// The same in eight cells: reading, writing or both, and the mode.
pub fn wants_short(interest: u32) -> String {
    let what = match (interest & IN != 0, interest & OUT != 0) {
        (true, true) => "IO",
        (true, false) => "IN",
        (false, true) => "OUT",
        (false, false) => "–",
    };
    let mode = mode(interest);
    // `OUT level` would take nine.
    let mode = if what == "OUT" && mode == "level" {
        "lvl"
    } else {
        mode
    };
    text::cut(&format!("{what} {mode}"), 8)
}

/// Live registrations in the order of the interest list: those that matter now first if not all fit.
pub fn shown(app: &App) -> Vec<&Registration> {
    let mut live: Vec<_> = app.regs_unsorted().filter(|r| r.is_live()).collect();
    live.sort_by_key(|r| (r.fd, r.id));
    live
}

/// The registrations to draw in `rows` lines: the chosen one and the busy ones are always among them.
pub fn fitting(app: &App, rows: usize) -> (Vec<&Registration>, usize) {
    let mut all = shown(app);
    if all.len() <= rows {
        return (all, 0);
    }
    let keep = rows.saturating_sub(1);
    let rank = |r: &Registration| match r.word {
        _ if Some(r.id) == app.chosen => 0,
        Word::Running => 1,
        Word::Stale | Word::Ghost | Word::Residual => 2,
        Word::Fetched => 3,
        Word::Ready => 4,
        Word::Unknown => 5,
        _ => 6,
    };
    let hidden = all.len() - keep;
    all.sort_by_key(|r| (rank(r), std::cmp::Reverse(r.waited_max.hi), r.fd));
    all.truncate(keep);
    all.sort_by_key(|r| (r.fd, r.id));
    (all, hidden)
}

/// Draws the interest list.
pub fn interest(pen: &mut Pen<'_>, app: &App) {
    let w = pen.width();
    let fds = shown(app);
    let wants_w = if w >= 36 { 14 } else { 8 };
    // Where nobody can know it, its cells go to the names.
    let unread = match fds.iter().any(|r| r.unread.is_some()) {
        false if w < 60 => 0,
        _ if w >= 36 => 9,
        _ => 7,
    };
    let longest = fds
        .iter()
        .map(|r| text::width(app.names.name(r.id)))
        .max()
        .unwrap_or(0);
    let fd_w = app.names.digits().max(3);
    let fd = fd_w + 2;
    let most = w.saturating_sub(fd + wants_w + unread);
    let name_w = most.min(longest.max(6) + 1).clamp(2, 28);
    let state_w = w.saturating_sub(fd + name_w + wants_w + unread);
    let quiet = theme::quiet();
    let mut x = pen.put(
        0,
        0,
        &text::left(
            &format!("{} name", text::right("fd", fd_w + 1)),
            fd + name_w,
        ),
        quiet,
    );
    x = pen.put(x, 0, &text::left("wants", wants_w), quiet);
    if unread > 0 {
        x = pen.put(x, 0, &text::right("unread", unread), quiet);
    }
    if state_w >= 8 {
        pen.put(x + 2, 0, "state", quiet);
    }
    let rows = pen.height().saturating_sub(1);
    let (regs, hidden) = fitting(app, rows);
    for (i, reg) in regs.iter().enumerate() {
        let (word, ago) = app.state(reg);
        let style = match ago {
            Some(_) => theme::quiet(),
            None => theme::of(word),
        };
        let line_style = if Some(reg.id) == app.chosen {
            theme::chosen()
        } else {
            Style::new()
        };
        pen.glyph(0, i + 1, glyph(word), style);
        let name = text::name(app.names.name(reg.id), name_w - 1) + " ";
        let wanted = match wants_w {
            8 => wants_short(reg.interest),
            _ => wants(reg.interest),
        };
        let mut x = pen.put(
            1,
            i + 1,
            &text::right(&reg.fd.to_string(), fd_w),
            line_style,
        );
        x = pen.put(x, i + 1, " ", line_style);
        x = pen.put(x, i + 1, &name, style.patch(line_style));
        x = pen.put(x, i + 1, &text::left(&wanted, wants_w), line_style);
        if unread > 0 {
            x = pen.put(x, i + 1, &text::right(&unread_of(reg), unread), line_style);
        }
        if state_w >= 8 {
            let mark = if reg.fidelity == Fidelity::Inferred {
                "~"
            } else {
                ""
            };
            let state = match ago {
                Some(ago) => format!("{} {} ago", theme::word(word), text::time(ago)),
                None => format!("{mark}{}", theme::word(word)),
            };
            pen.put(x + 2, i + 1, &text::cut(&state, state_w - 2), style);
        }
    }
    if hidden > 0 {
        pen.put(2, rows, &format!("and {hidden} more, all quieter"), quiet);
    }
    if regs.is_empty() {
        let epoll = app.the_loop().is_none_or(|l| l.kind == LoopKind::Epoll);
        let told = match epoll {
            true => "nothing is registered",
            // The kernel keeps no list: every call copies its array in.
            false => "no list: every call brings its own",
        };
        for (i, line) in text::wrap(told, w.saturating_sub(3)).iter().enumerate() {
            pen.put(2, 1 + i, line, quiet);
        }
    }
}

/// The receive queue as far as known.
pub fn unread_of(reg: &Registration) -> String {
    match (reg.unread, reg.unread_fidelity) {
        (Some(n), Fidelity::Inferred) => format!("~{}", bytes(n)),
        (Some(n), Fidelity::Bounded) => format!("<={}", bytes(n)),
        (Some(n), _) => bytes(n),
        (None, _) => ABSENT.to_string(),
    }
}

/// One place on the ready list.
pub struct Place {
    /// The registration.
    pub reg: Id,
    /// How long it has been ready, if it was not told yet.
    pub age: Option<Range>,
    /// Level-triggered and told: the kernel keeps it linked and looks again at the next wait.
    pub stays: bool,
}

/// The thread whose batch is shown: the one that runs, else the one that woke last.
pub fn thread(app: &App) -> Option<&ThreadState> {
    app.the_loop()?
        .threads
        .iter()
        .max_by_key(|t| (t.phase.in_turn(), t.wakeup))
}

/// The batch holds as many events as the wait had room for: others may have been ready as well.
pub fn is_full(app: &App, thread: &ThreadState) -> bool {
    let epoll = app.the_loop().is_none_or(|l| l.kind == LoopKind::Epoll);
    epoll && thread.batch_len == thread.maxevents && thread.maxevents > 0
}

/// The ready list as far as it follows from what was seen: what did not fit into the batch, then level-triggered ones
/// that were reported (the kernel links them again at the tail), then what became ready since.
pub fn ready_list(app: &App) -> Vec<Place> {
    let now = app.t();
    let thread = thread(app);
    let wakeup = thread.map_or(0, |t| t.wakeup);
    let mut before = Vec::new();
    let mut after = Vec::new();
    let mut told = Vec::new();
    let open = |s: ItemState| matches!(s, ItemState::Fetched | ItemState::Running);
    for item in thread.into_iter().flat_map(|t| &t.batch) {
        let Some(reg) = app.model().reg(item.reg) else {
            continue;
        };
        let level = reg.interest & (ET | ONESHOT) == 0;
        if level && open(item.state) && reg.is_live() {
            told.push(Place {
                reg: item.reg,
                age: None,
                stays: true,
            });
        }
    }
    for reg in shown(app) {
        let Some(since) = reg.ready_since.filter(|_| reg.word == Word::Ready) else {
            continue;
        };
        let age = Range {
            lo: now.saturating_sub(since.hi),
            hi: now.saturating_sub(since.lo),
        };
        let place = Place {
            reg: reg.id,
            age: Some(age),
            stays: false,
        };
        match since.hi < wakeup {
            true => before.push((since.hi, place)),
            false => after.push((since.hi, place)),
        }
    }
    before.sort_by_key(|p| p.0);
    after.sort_by_key(|p| p.0);
    let rest = after.into_iter().map(|p| p.1);
    before
        .into_iter()
        .map(|p| p.1)
        .chain(told)
        .chain(rest)
        .collect()
}

/// Draws the ready list.
pub fn ready(pen: &mut Pen<'_>, app: &App) {
    let quiet = theme::quiet();
    if let Some(l) = app
        .the_loop()
        .filter(|l| matches!(l.kind, LoopKind::Poll | LoopKind::Select))
    {
        let told = format!("none is kept: each {} asks all its fds anew", l.kind.name());
        for (y, line) in text::wrap(&told, pen.width().saturating_sub(2))
            .iter()
            .enumerate()
        {
            pen.put(1, y, line, quiet);
        }
        return;
    }
    let list = ready_list(app);
    if list.is_empty() {
        pen.put(1, 0, "empty: nothing", quiet);
        pen.put(1, 1, "to tell", quiet);
        return;
    }
    pen.put(1, 0, "next in line:", quiet);
    let rows = pen.height().saturating_sub(1);
    let w = pen.width();
    for (i, place) in list.iter().take(rows).enumerate() {
        if i + 1 == rows && list.len() > rows {
            pen.put(1, i + 1, &format!("and {} more", list.len() - i), quiet);
            break;
        }
        let fd = app.model().reg(place.reg).map_or(-1, |r| r.fd);
        let style = if place.stays {
            theme::plain()
        } else {
            theme::ready()
        };
        let age = match place.age {
            _ if place.stays => "~stays".to_owned(),
            Some(age) if text::is_narrow(age) => text::time(age.hi),
            Some(age) => format!("<={}", text::time(age.hi)),
            None => ABSENT.to_string(),
        };
        let fd_w = app.names.digits().max(3);
        let room = w.saturating_sub(text::width(&age) + fd_w + 3);
        let name = app.names.name(place.reg);
        // The last cell is left blank, unless it saves a name from being cut.
        let room = room + usize::from(text::width(name) == room + 1);
        let name = text::name(name, room);
        let x = pen.put(0, i + 1, &text::right(&fd.to_string(), fd_w), style);
        let x = pen.put(x + 1, i + 1, &name, style);
        pen.put(x + 1, i + 1, &age, if place.stays { quiet } else { style });
    }
}

/// Whether a sleeping loop will hear of this fd, in words.
pub fn will_wake(app: &App, reg: &Registration) -> (Cow<'static, str>, bool) {
    let some = reg.unread.is_some_and(|n| n > 0);
    let timer = app
        .model()
        .timerfd(reg.id)
        .map(|timer| timer.expiry(app.t()));
    let (why, wakes) = match reg.word {
        _ if some && asks_for_no_input(reg) => (
            "its bytes are told to nobody: it does not ask for IN",
            false,
        ),
        Word::BlockedOut if reg.interest & OUT == 0 => (
            "no room to write; it does not ask for OUT, so nobody is told when there is",
            reg.interest & IN != 0,
        ),
        Word::Residual if listens(reg) => {
            ("epoll speaks again only when another client comes", false)
        }
        Word::Residual => ("epoll speaks again only when more arrive", false),
        _ if some && reg.is_edge() => ("epoll speaks again only when more arrive", false),
        Word::Disarmed => ("off until the program re-arms it with MOD", false),
        Word::Muted if app.the_loop().is_some_and(|l| l.kind == LoopKind::Threads) => {
            ("no thread asks for it now", false)
        }
        Word::Muted => ("asks for nothing: only errors and hang-ups", false),
        Word::Ghost => ("closed here, but a copy elsewhere still reports", true),
        Word::Unknown if app.player.left_out().is_some() => ("left out just now: not known", true),
        Word::Unknown => ("events were lost: nobody knows", true),
        _ if reg.interest & IN != 0 && timer.is_some() => return expires(app, timer),
        _ if reg.interest & (IN | OUT) == IN => ("wakes it when something arrives", true),
        _ if reg.interest & OUT != 0 => ("wakes it when there is room to write", true),
        _ => ("wakes it on an event it asked for", true),
    };
    (why.into(), wakes)
}

/// What waits in it is connections, not bytes.
pub fn listens(reg: &Registration) -> bool {
    matches!(reg.kind, FdKind::TcpListener | FdKind::UnixListener)
}

/// It is armed, and input is not among what it wants to hear of.
pub fn asks_for_no_input(reg: &Registration) -> bool {
    reg.interest & IN == 0
        && !matches!(
            reg.word,
            Word::Disarmed | Word::Muted | Word::Ghost | Word::Unknown
        )
}

/// What a timer that is a descriptor will do to a sleeping loop.
fn expires(app: &App, timer: Option<Expiry>) -> (Cow<'static, str>, bool) {
    match timer {
        Some(Expiry::At(due)) => {
            let left = text::time(due.saturating_sub(app.t()));
            (format!("its timer expires in {left}").into(), true)
        }
        Some(Expiry::Since(due)) => {
            let ago = text::time(app.t().saturating_sub(due));
            (format!("its timer expired {ago} ago").into(), true)
        }
        Some(Expiry::Never) => ("its timer is not armed".into(), false),
        _ => ("its timer is armed, nobody knows for when".into(), true),
    }
}

/// ` in 12.5 ms`, as far as that is known.
pub fn timer_short(app: &App, reg: &Registration) -> String {
    let timer = app.model().timerfd(reg.id);
    match timer.map(|timer| timer.expiry(app.t())) {
        Some(Expiry::At(due)) => format!(" in {}", text::time(due.saturating_sub(app.t()))),
        Some(Expiry::Since(_)) => " expired".to_owned(),
        Some(Expiry::Never) => " not armed".to_owned(),
        _ => String::new(),
    }
}

/// What a timer that is a descriptor is called: one without a name by its number.
pub fn timer_name(app: &App, reg: &Registration) -> String {
    app.names.told(reg.id).to_owned()
}

/// The timer among the shown descriptors that expires first, and when.
pub fn next_expiry(app: &App) -> Option<(&Registration, u64)> {
    let armed = shown(app).into_iter().filter_map(|reg| {
        let timer = app.model().timerfd(reg.id)?;
        match timer.expiry(app.t()) {
            Expiry::At(due) | Expiry::Since(due) if will_wake(app, reg).1 => Some((reg, due)),
            _ => None,
        }
    });
    armed.min_by_key(|(reg, due)| (*due, reg.id))
}
