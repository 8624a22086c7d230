//! Where the events of an export stand: whose they are, on which loop, which event of a batch. Step: trace, model → **outside**.

use crate::model::{Id, Loop, Model, Phase, ThreadState};
use crate::record::event::{Event, Kind, Space};
use crate::trace::{Error, Reader};
use std::collections::HashMap;

/// Which thread an event's number means, and on which loop a thread stands by an epoll descriptor's number.
#[derive(Default)]
pub(super) struct Places {
    pub threads: HashMap<u32, Id>,
    known: usize,
    seats: HashMap<(u32, i32), (usize, usize)>,
    /// Where a thread waited last: a mark need not name its loop.
    last: HashMap<u32, (usize, usize)>,
    /// Where the thread marks the run that this event begins or ends.
    pub marking: Option<(usize, usize)>,
    pub pairs: HashMap<(Id, u32), String>,
    /// The events of a thread's last batch on a loop, as the model holds them, by their numbers.
    batches: HashMap<(usize, usize), Vec<u64>>,
}

impl Places {
    /// What [`see`](Self::see) would know at event `next`, where `model` stands.
    pub fn before(next: u64, model: &Model, reader: &mut Reader) -> Result<Self, Error> {
        let mut places = Self::default();
        let threads = model.threads();
        places.threads = threads.iter().map(|t| (t.number, t.id)).collect();
        places.known = threads.len();
        // The last waits by each descriptor, in their order.
        let mut entered: HashMap<(u32, i32), (u64, u64)> = HashMap::new();
        let mut batches: HashMap<(u32, i32), Vec<u64>> = HashMap::new();
        let mut cursor = reader.events_from(0);
        while let Some((number, e, text)) = cursor.next()?.filter(|(number, ..)| *number < next) {
            match e.kind {
                Kind::Name => places.pair(model, e, text),
                Kind::WaitEnter => {
                    entered.insert((e.thread, e.fd), (number, e.t));
                }
                Kind::WaitExit => batches.entry((e.thread, e.fd)).or_default().clear(),
                Kind::Ready => batches.entry((e.thread, e.fd)).or_default().push(number),
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
                places.batches.extend(Some(place).zip(batches.remove(&key)));
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

    pub fn see(&mut self, model: &Model, number: u64, e: &Event, text: &[u8]) {
        while let Some(thread) = model.threads().get(self.known) {
            self.threads.insert(thread.number, thread.id);
            self.known += 1;
        }
        self.pair(model, e, text);
        if e.kind == Kind::RunBegin {
            self.marking = model.marking(e.thread);
        }
        match e.kind {
            Kind::WaitEnter => self.wait(model, e),
            Kind::WaitExit | Kind::Ready => self.told(model, number, e),
            _ => {}
        }
    }

    /// Keeps where a thread waits.
    fn wait(&mut self, model: &Model, e: &Event) {
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

    /// Keeps an event of a batch. A descriptor that a select reports twice is one event.
    fn told(&mut self, model: &Model, number: u64, e: &Event) {
        let place = self.place(model, e);
        let seat = place.and_then(|(l, seat)| model.loops().get(l)?.threads.get(seat));
        if let (Some(place), Some(seat)) = (place, seat) {
            let batch = self.batches.entry(place).or_default();
            if e.kind == Kind::WaitExit {
                batch.clear();
            } else if batch.len() < seat.batch.len() {
                batch.push(number);
            }
        }
    }

    /// The `ready` event that a thread's run on a loop serves.
    pub fn served(&self, model: &Model, e: &Event) -> Option<u64> {
        let place = self.place(model, e)?;
        let at = model.loops().get(place.0)?.threads.get(place.1)?.serves()?;
        self.batches.get(&place)?.get(at).copied()
    }

    /// The loop and the thread's place on it, for the kinds that belong to one.
    pub fn of<'m>(&self, model: &'m Model, e: &Event) -> Option<(&'m Loop, &'m ThreadState)> {
        let (l, seat) = self.place(model, e)?;
        let l = model.loops().get(l)?;
        Some((l, l.threads.get(seat)?))
    }

    fn place(&self, model: &Model, e: &Event) -> Option<(usize, usize)> {
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
        if marks {
            return (self.marking).or_else(|| self.last.get(&e.thread).copied());
        }
        let waited = self.seats.get(&(e.thread, e.fd)).copied();
        waited.or_else(|| {
            // In a cut the thread may be in the midst of a turn whose wait nobody has seen.
            let id = model.loop_of(model.process_of_thread(e.thread), e.fd)?;
            self.marking.filter(|(l, _)| *l == id as usize)
        })
    }
}
