//! `export --to ndjson`: one event a line, every column by a readable name, names resolved: enough to compute every figure
//! of the report again outside (docs/EXPORT.md has the table and such a script). Step: trace, model → **outside**.

use super::columns::{Names, columns};
use super::places::Places;
use crate::json::Json;
use crate::model::{File, Id, Loop, LoopKind, Model, Phase, Registration, ThreadState, drained};
use crate::record::event::{Event, FdKind, Kind, Space, flags};
use crate::text::names::{descriptor, mask};
use crate::trace::{Error, Events, Reader};
use std::ops::Range;

/// Hands one line after the other, line feed included, to `emit` until it fails; `progress` hears how much is done.
///
/// `from` is a model that has seen everything before an event before [`first`], with that event's number: the fold goes on
/// from there, so that names and states are right in the window.
///
/// # Errors
/// When the file cannot be read, or what `emit` returns.
pub fn lines<E: From<Error>>(
    reader: &mut Reader,
    (mut model, next): (Model, u64),
    window: Range<u64>,
    progress: &mut dyn FnMut(f64),
    emit: &mut dyn FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let mut places = Places::before(next, &model, reader)?;
    let mut events = Events::default();
    let mut json = Json::new();
    let mut line = String::new();
    // A late event stands behind its time, so the last page that reaches back into the window counts.
    let reaches = |p: &crate::trace::PageInfo| p.t_first < window.end;
    let pages = (reader.pages().iter())
        .rposition(reaches)
        .map_or(0, |last| last + 1);
    for page in reader.page_of(next)..pages {
        reader.read_page(page, &mut events)?;
        for (number, event, text) in events.iter().filter(|(number, ..)| *number >= next) {
            let before = file(&model, event);
            let open = may_close(&model, event);
            let sent = (event.kind == Kind::Supplied).then(|| model.sending_since(event));
            places.marking = model
                .marking(event.thread)
                .filter(|_| event.kind == Kind::RunEnd);
            model.apply(number, event, text, &mut ());
            places.see(&model, number, event, text);
            if window.contains(&event.t) {
                json.clear();
                let was = Before {
                    named: file(&model, event).or(before),
                    closed: closed(&model, open),
                    sent: sent.flatten(),
                };
                one(&mut json, number, event, text, &model, &places, &was);
                line.clear();
                line.push_str(json.as_str());
                line.push('\n');
                emit(&line)?;
            }
        }
        progress((page + 1) as f64 / pages as f64);
    }
    Ok(())
}

/// The first event of the first page that reaches to this instant.
pub fn first(reader: &Reader, t: u64) -> u64 {
    let mut pages = reader.pages().iter();
    let page = pages.find(|p| p.t_end >= t);
    page.map_or(0, |p| p.first_event)
}

/// What the descriptor that an event names stands for.
fn file(model: &Model, e: &Event) -> Option<File> {
    use Kind::*;
    let names = [
        Io,
        CtlBegin,
        CtlEnd,
        FdOpen,
        FdCloseBegin,
        DupBegin,
        DupEnd,
        FdName,
        FdAddr,
        FdSeen,
        Unread,
        RegSeen,
        RegGone,
        TimerfdSet,
        OnBehalf,
    ];
    let named = names.contains(&e.kind);
    (named.then(|| model.file(model.process_of_thread(e.thread), e.fd))).flatten()
}

/// The open numbers that an event may close.
fn may_close(model: &Model, e: &Event) -> Vec<(Id, i32, File)> {
    let process = model.process_of_thread(e.thread);
    let whole = match e.kind {
        Kind::Exec => Some(process),
        Kind::ProcessEnd => model.process_numbered(e.arg),
        _ => None,
    };
    if let Some(process) = whole {
        let all = model.files(process).into_iter();
        return all.map(|(fd, file)| (process, fd, file)).collect();
    }
    let fd = match e.kind {
        Kind::FdCloseBegin | Kind::FdOpen | Kind::FdSeen | Kind::FdGone => e.fd,
        Kind::DupBegin if e.x != e.fd => e.x,
        _ => return Vec::new(),
    };
    let file = model.file(process, fd);
    file.map(|file| (process, fd, file)).into_iter().collect()
}

/// Those of them that it has closed.
fn closed(model: &Model, mut open: Vec<(Id, i32, File)>) -> Vec<(i32, File)> {
    let same = |process, fd, file: &File| {
        let now = model.file(process, fd);
        now.is_some_and(|now| (now.number, now.generation) == (file.number, file.generation))
    };
    open.retain(|(process, fd, file)| !same(*process, *fd, file));
    open.into_iter().map(|(_, fd, file)| (fd, file)).collect()
}

/// What an event refers to that the model may have forgotten by it.
struct Before {
    /// What the descriptor it names stands for.
    named: Option<File>,
    /// The numbers it closes, and what they stood for.
    closed: Vec<(i32, File)>,
    /// When the send began that it ends.
    sent: Option<u64>,
}

fn one(
    j: &mut Json,
    number: u64,
    e: &Event,
    text: &[u8],
    model: &Model,
    places: &Places,
    was: &Before,
) {
    let thread = places
        .threads
        .get(&e.thread)
        .and_then(|id| model.threads().get(*id as usize));
    let process = match e.kind {
        Kind::ProcessStart | Kind::ProcessEnd => model.process_numbered(e.arg),
        _ => thread.map(|t| t.process),
    };
    let pid = process
        .and_then(|p| model.processes().get(p as usize))
        .map(|p| p.pid);
    j.braces(|j| {
        j.field("event", number)
            .field("at_ns", e.t)
            .field("kind", e.kind.name());
        j.field("process", process).field("pid", pid);
        j.field("thread", e.thread)
            .field("tid", thread.map(|t| t.tid));
        let names = Names {
            model,
            process: process.unwrap_or(Id::MAX),
            pairs: &places.pairs,
            sent: was.sent,
        };
        columns(j, e, text, &names);
        if let Some((l, seat)) = places.of(model, e) {
            j.field("loop", l.id).field("turn", seat.turn);
            if let Some(reg) = served(model, e, seat) {
                j.field("fd", reg.fd)
                    .field("generation", reg.generation)
                    .field("name", descriptor(&reg.name, reg.kind))
                    .field("interest", &mask(reg.interest));
                j.field("file", model.file_of(reg).map(|f| f.number));
                if e.kind == Kind::Ready {
                    j.field("addresses", &*reg.addr);
                }
            }
            match e.kind {
                Kind::WaitExit => j.field("room", had_room(e, l, seat)),
                Kind::RunBegin => j.field("ready", places.served(model, e)),
                _ => j,
            };
        }
        if let Some(file) = was.named {
            j.field("generation", file.generation)
                .field("file", file.number);
        }
        if e.kind == Kind::Io {
            let what = was.named.as_ref().map(|file| file.kind);
            j.field("what", what.map(FdKind::name))
                .field("drained", drained(what.unwrap_or(FdKind::Unknown), e));
        }
        if !was.closed.is_empty() {
            j.array("closes", |j| {
                for (fd, file) in &was.closed {
                    j.braces(|j| {
                        j.field("fd", *fd).field("file", file.number);
                        j.field("loop", file.loop_id)
                            .field("last", !model.is_open(file));
                    });
                }
            });
        }
        let of_epoll = [Kind::CtlBegin, Kind::CtlEnd, Kind::RegSeen, Kind::RegGone];
        if of_epoll.contains(&e.kind) {
            j.field("loop", model.loop_of(names.process, e.y as i32));
        }
        let site = model.name(names.process, Space::Site, u32::from(e.site));
        if e.site != 0 && !site.is_empty() {
            j.field("site", site);
        }
        for (is, name) in [
            (e.flags & flags::LATE != 0, "late"),
            (e.flags & flags::CUT != 0, "cut"),
            (e.is_again(), "again"),
        ] {
            if is {
                j.field(name, true);
            }
        }
    });
}

/// The wait that returns here would have told of more: nothing else was ready. How large the array of a poll is says nothing.
fn had_room(exit: &Event, l: &Loop, seat: &ThreadState) -> Option<bool> {
    let known = l.kind == LoopKind::Epoll && seat.maxevents > 0 && exit.flags & flags::LATE == 0;
    let told = u32::try_from(exit.x).ok().filter(|_| known);
    told.map(|told| told < seat.maxevents)
}

/// The registration an event of a loop is about.
fn served<'m>(model: &'m Model, e: &Event, seat: &ThreadState) -> Option<&'m Registration> {
    let id = match (e.kind, seat.phase) {
        // A select that reports a descriptor twice tells of it in one place.
        (Kind::Ready, _) => {
            let told = seat.batch.iter().rev().find(|item| item.data == e.arg);
            told?.reg
        }
        (Kind::RunBegin, Phase::Running { reg, .. }) => reg?,
        _ => return None,
    };
    model.reg(id)
}
