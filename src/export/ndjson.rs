//! `export --to ndjson`: one event a line, every column by a readable name, names resolved: enough to compute every figure
//! of the report again outside (docs/EXPORT.md has the table and such a script). Step: trace, model → **outside**.

use super::columns::{Names, columns};
use crate::json::Json;
use crate::model::{File, Id, Loop, Model, Phase, Registration, ThreadState};
use crate::record::event::{Event, Kind, Space, flags};
use crate::text::names::{descriptor, mask};
use crate::trace::{Error, Events, Reader};
use std::collections::HashMap;
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
            places.marking = model
                .marking(event.thread)
                .filter(|_| event.kind == Kind::RunEnd);
            model.apply(number, event, text, &mut ());
            places.see(&model, event, text);
            if window.contains(&event.t) {
                json.clear();
                let files = Files {
                    named: file(&model, event).or(before),
                    closed: closed(&model, open),
                };
                one(&mut json, number, event, text, &model, &places, &files);
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

/// The open file descriptions of an event.
struct Files {
    /// What the descriptor it names stands for.
    named: Option<File>,
    /// The numbers it closes, and what they stood for.
    closed: Vec<(i32, File)>,
}

fn one(
    j: &mut Json,
    number: u64,
    e: &Event,
    text: &[u8],
    model: &Model,
    places: &Places,
    files: &Files,
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
        }
        if let Some(file) = files.named {
            j.field("generation", file.generation)
                .field("file", file.number);
            if e.kind == Kind::Io {
                j.field("what", file.kind.name());
            }
        }
        if !files.closed.is_empty() {
            j.array("closes", |j| {
                for (fd, file) in &files.closed {
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

/// Which thread an event's number means, and on which loop a thread stands by an epoll descriptor's number.
#[derive(Default)]
struct Places {
    threads: HashMap<u32, Id>,
    known: usize,
    seats: HashMap<(u32, i32), (usize, usize)>,
    /// Where a thread waited last: a mark need not name its loop.
    last: HashMap<u32, (usize, usize)>,
    /// Where the thread marks the run that this event begins or ends.
    marking: Option<(usize, usize)>,
    pairs: HashMap<(Id, u32), String>,
}

impl Places {
    /// What [`see`](Self::see) would know at event `next`, where `model` stands.
    fn before(next: u64, model: &Model, reader: &mut Reader) -> Result<Self, Error> {
        let mut places = Self::default();
        let threads = model.threads();
        places.threads = threads.iter().map(|t| (t.number, t.id)).collect();
        places.known = threads.len();
        // The last waits by each descriptor, in their order.
        let mut entered: HashMap<(u32, i32), (u64, u64)> = HashMap::new();
        let mut cursor = reader.events_from(0);
        while let Some((number, e, text)) = cursor.next()?.filter(|(number, ..)| *number < next) {
            match e.kind {
                Kind::Name => places.pair(model, e, text),
                Kind::WaitEnter => {
                    entered.insert((e.thread, e.fd), (number, e.t));
                }
                _ => {}
            }
        }
        let mut entered: Vec<_> = entered.into_iter().collect();
        entered.sort_unstable_by_key(|(_, (number, _))| *number);
        for (key, (_, t)) in entered {
            let thread = places.threads.get(&key.0);
            let here = |seat: &ThreadState| Some(&seat.thread) == thread && seat.entered == t;
            let find = |l: &Loop| l.threads.iter().position(here);
            let mut all = model.loops().iter().enumerate();
            if let Some(place) = all.find_map(|(at, l)| Some((at, find(l)?))) {
                places.seats.insert(key, place);
                places.last.insert(key.0, place);
            }
        }
        Ok(places)
    }

    /// Keeps the name of a pair.
    fn pair(&mut self, model: &Model, e: &Event, text: &[u8]) {
        if e.kind == Kind::Name && e.aux == Space::Pair.code() {
            let thread = self
                .threads
                .get(&e.thread)
                .and_then(|id| model.threads().get(*id as usize));
            let process = thread.map_or(Id::MAX, |t| t.process);
            self.pairs.insert(
                (process, e.x as u32),
                String::from_utf8_lossy(text).into_owned(),
            );
        }
    }

    fn see(&mut self, model: &Model, e: &Event, text: &[u8]) {
        while let Some(thread) = model.threads().get(self.known) {
            self.threads.insert(thread.number, thread.id);
            self.known += 1;
        }
        self.pair(model, e, text);
        if e.kind == Kind::RunBegin {
            self.marking = model.marking(e.thread);
        }
        if e.kind != Kind::WaitEnter {
            return;
        }
        let Some(thread) = self.threads.get(&e.thread).copied() else {
            return;
        };
        let here = |seat: &ThreadState| {
            seat.thread == thread
                && seat.entered == e.t
                && matches!(seat.phase, Phase::Waiting { .. })
        };
        let place = self.seats.get(&(e.thread, e.fd)).copied();
        let still = place
            .and_then(|(l, s)| model.loops().get(l)?.threads.get(s))
            .is_some_and(here);
        if !still {
            let find = |l: &Loop| l.threads.iter().position(here);
            match model
                .loops()
                .iter()
                .enumerate()
                .find_map(|(at, l)| Some((at, find(l)?)))
            {
                Some(place) => self.seats.insert((e.thread, e.fd), place),
                None => self.seats.remove(&(e.thread, e.fd)),
            };
        }
        if let Some(place) = self.seats.get(&(e.thread, e.fd)) {
            self.last.insert(e.thread, *place);
        }
    }

    /// The loop and the thread's place on it, for the kinds that belong to one.
    fn of<'m>(&self, model: &'m Model, e: &Event) -> Option<(&'m Loop, &'m ThreadState)> {
        let kinds = [
            Kind::WaitEnter,
            Kind::WaitExit,
            Kind::Ready,
            Kind::RunBegin,
            Kind::RunEnd,
        ];
        if !kinds.contains(&e.kind) {
            return None;
        }
        let marks = matches!(e.kind, Kind::RunBegin | Kind::RunEnd) && e.fd < 0;
        let (l, seat) = match marks {
            true => (self.marking).or_else(|| self.last.get(&e.thread).copied())?,
            // In a cut the thread may be in the midst of a turn whose wait nobody has seen.
            false => match self.seats.get(&(e.thread, e.fd)) {
                Some(place) => *place,
                None => {
                    let id = model.loop_of(model.process_of_thread(e.thread), e.fd)?;
                    self.marking.filter(|(l, _)| *l == id as usize)?
                }
            },
        };
        let l = model.loops().get(l)?;
        Some((l, l.threads.get(seat)?))
    }
}
