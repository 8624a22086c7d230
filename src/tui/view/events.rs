//! Screen 7, the raw log: every event as it was recorded, the cursor between two of them. Step: trace → **view**.

use super::marks;
use crate::model::{Id, Registration};
use crate::record::event::{
    Arming, BY_FD, Cause, Ctl, Event, FdKind, Kind, Mode, Off, Op, Space, UNREAD, Wait, flags,
};
use crate::text::names::{Ending, errno, mask, signals};
use crate::text::visible_bytes;
use crate::tui::app::App;
use crate::tui::filter::Filter;
use crate::tui::player::Row;
use crate::tui::theme;
use crate::tui::widget::boxes;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, count, time};
use ratatui::style::Style;

/// Draws the screen.
pub fn draw(pen: &mut Pen<'_>, app: &App) {
    let (w, h) = (pen.width(), pen.height());
    boxes::outline(pen, theme::quiet());
    let at = app.log_at.unwrap_or(app.player.next());
    let reader = app.player.reader();
    let title = format!(
        "events {} to {}; the line is the cursor",
        count(reader.first()),
        count(reader.end())
    );
    boxes::title(pen, 1, 0, w - 2, &title, theme::strong());
    let rows = h.saturating_sub(2);
    // What comes after the cursor is what an open question asks for, wherever the log was scrolled to.
    let asks = app.asks();
    let log = app.log.iter();
    let shown = log.filter(|r| !asks || r.number < app.player.next());
    let (before, after): (Vec<&Row>, Vec<&Row>) = shown.partition(|r| r.number < at);
    // At the end, where a live view stands, nothing comes after.
    let below = after.len() + usize::from(asks);
    let above = rows.saturating_sub(1 + below).max(rows / 2);
    let from = before.len().saturating_sub(above);
    let mut last = before.get(from.wrapping_sub(1)).map(|r| r.event.t);
    let mut y = 1;
    for row in &before[from..] {
        one(&mut pen.part(1, y, w - 2, 1), app, row, &mut last, false);
        y += 1;
    }
    let cursor = app.player.next() == at;
    let said = if cursor {
        " now "
    } else {
        " here: Enter goes to it "
    };
    boxes::across(pen, y, theme::cursor());
    pen.put(3, y, said, theme::cursor());
    y += 1;
    if asks && y <= rows {
        let said = "what comes next is shown with the answer";
        pen.put(3, y, said, theme::quiet());
    }
    for row in after {
        if y > rows {
            break;
        }
        one(&mut pen.part(1, y, w - 2, 1), app, row, &mut last, cursor);
        y += 1;
    }
}

fn one(pen: &mut Pen<'_>, app: &App, row: &Row, last: &mut Option<u64>, future: bool) {
    let e = &row.event;
    let base = if future { theme::quiet() } else { Style::new() };
    let gap = last.map_or(0, |l| e.t.saturating_sub(l));
    *last = Some(e.t);
    let wide = pen.width() >= 100;
    // As wide as the last number needs it: the columns stay where they are.
    let digits = text::width(&count(app.player.reader().end()));
    let digits = digits.max(if wide { 11 } else { 7 });
    let number = text::right(&count(row.number), digits);
    let mut x = pen.put(0, 0, &number, theme::quiet());
    if passes(app, e) {
        pen.glyph(x, 0, Filter::MARK, theme::strong());
    }
    x = pen.put(x + 1, 0, &super::instant(e.t), base);
    if wide {
        let shown = if gap > 0 {
            format!("+{}", time(gap))
        } else {
            String::new()
        };
        x = pen.put(x + 1, 0, &text::right(&shown, 9), theme::quiet());
    }
    if wide && app.model().threads().len() > 1 {
        let id = thread(app, e);
        let tid = id
            .and_then(|id| app.model().threads().get(id as usize))
            .map_or(0, |t| t.tid);
        x = pen.put(x + 1, 0, &text::right(&tid.to_string(), 6), theme::quiet());
    }
    let style = match e.kind {
        Kind::WaitExit | Kind::WaitEnter => theme::ready(),
        Kind::Mark | Kind::SpanBegin | Kind::SpanEnd | Kind::OnBehalf => theme::strong(),
        Kind::Ready => theme::queued(),
        Kind::RunBegin | Kind::RunEnd => theme::running(),
        Kind::Lost => theme::alarm(),
        _ => base,
    };
    let style = if future {
        style.patch(theme::quiet())
    } else {
        style
    };
    let x = pen.put(x + 1, 0, &text::left(e.kind.name(), 12), style);
    let x = pen.put(x + 1, 0, &words(app, e, &row.text), base);
    if wide && let Some(from) = called_from(app, e) {
        pen.put(x + 2, 0, &from, theme::quiet());
    }
}

/// Where the program called from, in a few words.
fn called_from(app: &App, e: &Event) -> Option<String> {
    let thread = thread(app, e).and_then(|id| app.model().threads().get(id as usize))?;
    if e.kind == Kind::Name && Space::from_code(e.aux) == Some(Space::Site) {
        let site = u16::try_from(e.x).ok()?;
        // The name itself stands there already.
        return Some(app.place(thread.process, site)?.short());
    }
    Some(format!("at {}", app.site(thread.process, e.site)?))
}

fn thread(app: &App, e: &Event) -> Option<Id> {
    let found = app.model().threads().iter().find(|t| t.number == e.thread);
    found.map(|t| t.id)
}

fn result(x: i32) -> String {
    match x {
        0.. => count(x as u64),
        _ => errno(x).map_or_else(|| x.to_string(), str::to_owned),
    }
}

/// The short name of an fd, of whichever loop.
fn called(app: &App, reg: &Registration) -> String {
    match reg.loop_id == app.loop_id {
        true => app.names.name(reg.id).to_owned(),
        false => crate::tui::names::name(reg),
    }
}

/// What a descriptor of a process is registered as.
fn of_fd(app: &App, process: Id, fd: i32) -> Option<&Registration> {
    let mut regs = app.model().regs();
    regs.find(|r| r.fd == fd && r.process == process && r.is_live())
}

/// What an event's data belongs to.
fn of_data<'a>(app: &'a App, process: Id, e: &Event, word: u64) -> Option<&'a Registration> {
    // Of the loop whose descriptor was waited on, shown or not.
    let mut loops = app.model().loops().iter();
    let its = loops.find(|l| l.process == process && e.fd >= 0 && l.epfds.contains(&e.fd));
    let its = its.map_or(app.loop_id, |l| l.id);
    let mut regs = app.model().regs();
    regs.find(|r| r.data == word && r.loop_id == its && r.is_live())
}

/// Whether what an event is about passes the filter, if there is one.
fn passes(app: &App, e: &Event) -> bool {
    if app.filter.is_none() {
        return false;
    }
    let Some(thread) = thread(app, e).and_then(|id| app.model().threads().get(id as usize)) else {
        return false;
    };
    let reg = match e.kind {
        Kind::Ready | Kind::RunBegin => of_data(app, thread.process, e, e.arg),
        _ => of_fd(app, thread.process, e.fd),
    };
    reg.and_then(|reg| app.passes(reg)).unwrap_or(false)
}

/// What an event says, in one line.
pub fn words(app: &App, e: &Event, bytes: &[u8]) -> String {
    let process = thread(app, e)
        .and_then(|id| app.model().threads().get(id as usize))
        .map_or(0, |t| t.process);
    let fd = |fd: i32| match of_fd(app, process, fd) {
        Some(reg) => format!("fd {fd} {}", called(app, reg)),
        None => format!("fd {fd}"),
    };
    let name = |space: Space, id: i32| app.word(process, space, id as u32);
    let data = |word: u64| match of_data(app, process, e, word) {
        Some(reg) => format!("{} (data {word:#x})", called(app, reg)),
        None => format!("data {word:#x}"),
    };
    let text = visible_bytes(bytes);
    let wait = |code| Wait::from_code(code).map_or("wait", Wait::name);
    match e.kind {
        Kind::WaitEnter => {
            let limit = match e.arg as i64 {
                -2 => "for how long is not known".to_owned(),
                ..0 => "no time-out".to_owned(),
                ns => format!("at most {}", time(ns as u64)),
            };
            let on = match e.fd {
                0.. => format!(" on {}", e.fd),
                _ => String::new(),
            };
            let most = count(e.x.max(0) as u64);
            format!("{}{on}, {limit}, up to {most} events", wait(e.aux))
        }
        Kind::WaitExit => format!("{} returned {}", wait(e.aux), result(e.x)),
        Kind::Ready => format!("{}: {}", data(e.arg), mask(e.x as u32)),
        Kind::CtlBegin => {
            let op = Ctl::from_code(e.aux).map_or("ctl", Ctl::name);
            let (fd, epfd) = (fd(e.fd), e.y as i32);
            if e.said() == UNREAD {
                return format!("{op} {fd} on epfd {epfd}; what it wants is told once it is read");
            }
            format!(
                "{op} {fd} wants {} data {:#x} on epfd {epfd}",
                mask(e.x as u32),
                e.arg
            )
        }
        Kind::CtlEnd => format!(
            "{} = {}",
            Ctl::from_code(e.aux).map_or("ctl", Ctl::name),
            result(e.x)
        ),
        Kind::RunBegin => {
            let index = if e.aux >= BY_FD {
                String::new()
            } else {
                format!(", place {}", e.aux + 1)
            };
            let handler = if e.x == 0 {
                String::new()
            } else {
                format!(" by {}", name(Space::Handler, e.x))
            };
            let served = match (e.aux, i32::try_from(e.arg)) {
                (BY_FD, Ok(number)) => fd(number),
                (BY_FD, Err(_)) => "no fd".to_owned(),
                _ => data(e.arg),
            };
            format!("{served}{handler}{index}")
        }
        Kind::RunEnd => "the last handler of the batch has ended".to_owned(),
        Kind::Handler => format!("{} serves {}", name(Space::Handler, e.x), data(e.arg)),
        Kind::Io => {
            let op = Op::from_code(e.aux).map_or("io", Op::name);
            let asked = if e.arg > 0 {
                format!(" of {}", count(e.arg))
            } else {
                String::new()
            };
            format!(
                "{op} {} = {}{asked}, took {}",
                fd(e.fd),
                result(e.x),
                time(e.y)
            )
        }
        Kind::FdOpen => {
            let kind = FdKind::from_code(e.aux).unwrap_or(FdKind::Unknown);
            let from = if e.x >= 0 {
                format!(" from fd {}", e.x)
            } else {
                String::new()
            };
            match kind {
                FdKind::Unknown => format!("fd {} is open{from}", e.fd),
                FdKind::Epoll | FdKind::Eventfd => {
                    format!("fd {} is an {}{from}", e.fd, kind.name())
                }
                _ => format!("fd {} is a {}{from}", e.fd, kind.name()),
            }
        }
        Kind::FdCloseBegin => format!("close {}", fd(e.fd)),
        Kind::FdCloseEnd => format!("close of fd {} = {}", e.fd, result(e.x)),
        Kind::DupBegin => format!(
            "dup {} to {}",
            fd(e.fd),
            if e.x < 0 {
                "any".to_owned()
            } else {
                e.x.to_string()
            }
        ),
        Kind::DupEnd => format!("dup of fd {} = {}", e.fd, result(e.x)),
        Kind::FdName | Kind::FdAddr => format!("fd {} is {text}", e.fd),
        Kind::FdSeen => format!("/proc shows fd {} open: {text}", e.fd),
        Kind::FdGone => format!("/proc shows fd {} closed", e.fd),
        Kind::RegSeen => format!("/proc shows fd {} on epoll {}", e.fd, e.y as i32),
        Kind::RegGone => format!("/proc shows fd {} off epoll {}", e.fd, e.y as i32),
        Kind::Setup => text.replace('\0', "; "),
        Kind::Unread => format!("{} has {} bytes unread", fd(e.fd), count(e.arg)),
        Kind::Name => {
            let space = Space::from_code(e.aux).map_or("name", Space::name);
            format!("{space} #{} is {text}", e.x)
        }
        Kind::Mark => {
            let on = if e.fd >= 0 {
                format!(" on {}", fd(e.fd))
            } else {
                String::new()
            };
            let cut = if e.flags & flags::CUT != 0 {
                " (cut)"
            } else {
                ""
            };
            format!("{}{on}{cut}", marks::words(app, process, e.x as u32, bytes))
        }
        Kind::OnBehalf => format!("this handler works for {} now", fd(e.fd)),
        Kind::SpanBegin | Kind::SpanEnd => {
            let inside = match e.y {
                0 => String::new(),
                parent => format!(" inside #{parent}"),
            };
            let words = marks::words(app, process, e.x as u32, bytes);
            format!("#{} {words}{inside}", e.arg)
        }
        Kind::TimerArm => format!(
            "{} #{} due in {}",
            name(Space::Timer, e.x),
            e.arg,
            time(e.y)
        ),
        Kind::TimerfdSet => {
            let every = match e.arg {
                0 => String::new(),
                ns => format!(", then every {}", time(ns)),
            };
            let what = match Arming::from_code(e.aux) {
                _ if e.x < 0 => format!("= {}", result(e.x)),
                Some(Arming::Off) => "is taken back".to_owned(),
                Some(Arming::In) => format!("expires in {}{every}", time(e.y)),
                _ => format!("is armed, nobody knows for when{every}"),
            };
            format!("timer {} {what}", fd(e.fd))
        }
        Kind::TimerCancel | Kind::TimerEnd => format!("#{}", e.arg),
        Kind::TimerBegin => format!("{} #{}", name(Space::Timer, e.x), e.arg),
        Kind::TaskQueued | Kind::TaskBegin => format!("{} #{}", name(Space::Task, e.x), e.arg),
        Kind::TaskEnd => format!("#{}", e.arg),
        Kind::CallBegin | Kind::CallEnd => {
            let on = if e.fd >= 0 {
                format!(" on {}", fd(e.fd))
            } else {
                String::new()
            };
            format!("{}{on}", name(Space::Call, e.x))
        }
        Kind::SupplyBegin => "a send call begins".to_owned(),
        Kind::Supplied => format!("{} bytes sent, the call took {}", count(e.arg), time(e.y)),
        Kind::Fork => format!("child {}", e.x),
        Kind::Exec | Kind::ThreadStart | Kind::ProcessStart => format!("{} {text}", e.x),
        Kind::ThreadEnd => format!("{}", e.x),
        Kind::ProcessEnd => Ending::of(e.x).to_string(),
        Kind::Reaped => format!("child {}: {}", e.arg, Ending::of(e.x)),
        Kind::InCall => {
            let op = Op::from_code(e.aux).map_or("a call", Op::name);
            format!("still in {op} on {} after {}", fd(e.fd), time(e.y))
        }
        Kind::Lost => {
            let cause = Cause::from_code(e.aux).map_or("unknown", Cause::name);
            format!("{} events are missing: {cause}", count(e.arg))
        }
        Kind::Anchor => "the clocks side by side".to_owned(),
        Kind::SwitchOut => match Off::from_code(e.aux) {
            Some(Off::Blocked) => format!("it sleeps; was on CPU {}", e.x),
            Some(Off::Preempted) => format!("pre-empted: CPU {} goes to another", e.x),
            Some(Off::Stopped | Off::InCall) | None => format!("off CPU {}", e.x),
        },
        Kind::SwitchIn if e.aux == Off::Stopped.code() => {
            format!("goes on, on CPU {}: it had been stopped", e.x)
        }
        Kind::SwitchIn if e.aux == Off::InCall.code() => {
            format!("runs on CPU {}; it slept in a system call", e.x)
        }
        Kind::SwitchIn => format!("runs on CPU {}", e.x),
        Kind::Fault => format!("page faults: {}, the last at {:#x}", e.x, e.arg),
        Kind::Sample => {
            let calls = app.stack(process, e.x as u32);
            let does = match Mode::from_code(e.aux) {
                Some(Mode::Asleep) => format!("has slept {}", time(e.arg)),
                _ => "computes".to_owned(),
            };
            match calls.is_empty() {
                true => does,
                false => format!("{does} in {}", calls.join(" < ")),
            }
        }
        Kind::Signals => match signals(e.arg) {
            none if none.is_empty() => format!("no signal waits for thread {} any more", e.x),
            all => format!("{all} waits to be delivered to thread {}", e.x),
        },
        Kind::Sched => format!(
            "thread {} has been on a CPU for {} in all, and waited for one for {}",
            e.x,
            time(e.arg),
            time(e.y)
        ),
        Kind::Steal => match e.x {
            ..0 => "what the hypervisor takes is counted from here on".to_owned(),
            cpu => format!(
                "the hypervisor had CPU {cpu} for about {} of the last {}",
                time(e.arg),
                time(e.y)
            ),
        },
        Kind::Output => format!("{} bytes: {text}", bytes.len()),
    }
}
