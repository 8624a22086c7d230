//! What no wait tells of, or tells of for ever: bytes left behind, events nobody asked for or nobody touches, and what a
//! live view has left out. Sentences of "what you see". Step: model → **view**.

use super::{kernel, theatre};
use crate::model::registration::{IN, ONESHOT, OUT};
use crate::model::{Registration, Word};
use crate::record::event::FdKind;
use crate::text::visible;
use crate::tui::app::App;
use crate::tui::widget::text::count;

/// A connection just accepted may be about to be registered.
const FORGOTTEN_NS: u64 = 50_000_000;
/// Events that nobody touches before that is worth a word.
const OFTEN: u64 = 100;

/// Edge-triggered fds with bytes left: the lesson of et-not-drained.
pub fn left_over(app: &App, out: &mut Vec<String>) {
    let regs = kernel::shown(app);
    // A waker's counter may stay as it is: every write to it wakes again.
    let lies = |r: &&&Registration| {
        r.word == Word::Residual && r.kind != FdKind::Eventfd && !kernel::asks_for_no_input(r)
    };
    let left: Vec<&&Registration> = regs.iter().filter(lies).collect();
    let Some(reg) = left.first() else { return };
    let more = match left.len() {
        1 => None,
        n => Some(format!("So have {} more.", n - 1)),
    };
    if kernel::listens(reg) {
        out.push(format!(
            "{} may hold connections that nobody has accepted (inferred: its handler stopped before EAGAIN): it is \
             edge-triggered, so epoll speaks again only when another client comes.",
            app.names.told(reg.id)
        ));
        out.extend(more);
        return;
    }
    let unread = match reg.unread {
        Some(n) if n > 0 => format!("{} bytes", count(n)),
        _ => "bytes".to_owned(),
    };
    let inferred = match reg.fidelity {
        crate::model::Fidelity::Measured => "",
        _ => " (inferred: its handler stopped before EAGAIN)",
    };
    out.push(format!(
        "{} has {unread} left over{inferred}: it is edge-triggered, so epoll speaks again only when more arrive.",
        app.names.told(reg.id)
    ));
    out.extend(more);
}

/// A registration that outlived its descriptor: closed here, and a copy keeps the open file.
pub fn ghosts(app: &App, out: &mut Vec<String>) {
    let regs = kernel::shown(app);
    let mut ghosts = regs.iter().filter(|r| r.word == Word::Ghost);
    let Some(reg) = ghosts.next() else { return };
    out.push(format!(
        "{} has been closed, and is still registered: a copy of the descriptor (a dup, or a child's) keeps the file open. \
         Epoll can go on telling of it, and its number no longer takes it out.",
        app.names.told(reg.id),
    ));
    let more = ghosts.count();
    if more > 0 {
        out.push(format!(
            "So {} {more} more.",
            if more == 1 { "is" } else { "are" }
        ));
    }
}

/// What no wait will ever tell of, because nobody asked: bytes where only room is wanted, room where only bytes are, and
/// connections in no interest list.
pub fn unheard(app: &App, out: &mut Vec<String>) {
    let name = |r: &Registration| app.names.told(r.id).to_owned();
    let regs = kernel::shown(app);
    let unread =
        |r: &&&Registration| r.unread.is_some_and(|n| n > 0) && kernel::asks_for_no_input(r);
    if let Some(reg) = regs.iter().find(unread) {
        out.push(format!(
            "{} has {} bytes unread, and its registration does not ask for IN: epoll will never tell of them.",
            name(reg),
            count(reg.unread.unwrap_or(0)),
        ));
    }
    let full = |r: &&&Registration| r.word == Word::BlockedOut && r.interest & OUT == 0;
    if let Some(reg) = regs.iter().find(full) {
        out.push(format!(
            "The last write to {} found no room for all of it, and its registration does not ask for OUT: epoll will not \
             tell when there is room again.",
            name(reg)
        ));
    }
    let process = app.the_loop().map(|l| l.process);
    if let Some((fd, name)) = process.and_then(|p| app.model().forgotten(p, FORGOTTEN_NS)) {
        let name = match name {
            "" => format!("fd {fd}"),
            name => format!("fd {fd} ({})", visible(name)),
        };
        out.push(format!(
            "{name} was accepted and stands in no interest list: epoll will never tell of it."
        ));
    }
}

/// What the figures do not have. The first line of every screen says how much that is.
pub fn left_out(app: &App, out: &mut Vec<String>) {
    if let Some(part) = app.player.left_out() {
        out.push(format!(
            "{} of the program's events are left out of the figures here, to show now: it does more than this machine can fold. \
             The recording has them all: loopscope replay.",
            theatre::percent(part)
        ));
    }
}

/// A level-triggered fd that is told again and again and that nobody touches: every wait returns at once.
pub fn ignored(app: &App, out: &mut Vec<String>) {
    let untouched = |r: &&&Registration| {
        let level = !r.is_edge() && r.interest & ONESHOT == 0;
        level
            && r.ready >= OFTEN
            && r.dispatched + r.handed + r.skipped + r.stale == 0
            && r.bytes_in == 0
    };
    let regs = kernel::shown(app);
    if let Some(reg) = regs.iter().filter(untouched).max_by_key(|r| r.ready) {
        out.push(format!(
            "The loop has been told of {} {} times and was never seen to make a call on it: level-triggered, it is told \
             again at every wait, so none of them sleeps. Read it, or take it out of the interest list.",
            app.names.told(reg.id),
            count(reg.ready),
        ));
    }
}

/// The other side has ended its half, which a level-triggered registration tells of at every wait; a one-shot one tells
/// once and is off by then.
pub fn at_end(app: &App, out: &mut Vec<String>) {
    let ended = |r: &&&Registration| {
        let told = r.interest & IN != 0 && !r.is_edge() && r.interest & ONESHOT == 0;
        told && app.model().at_end(r.id)
    };
    if let Some(reg) = kernel::shown(app).iter().find(ended) {
        out.push(format!(
            "The last read from {} met the end of file, and it is still registered: being level-triggered, it is told again \
             at every wait until it is closed.",
            app.names.told(reg.id)
        ));
    }
}
