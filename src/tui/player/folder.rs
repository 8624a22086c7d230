//! A model on its way through a recording: which events it has seen, and the step to the next ones.
//! Step: trace → **model**.

use crate::model::{Config, Model, Sink};
use crate::record::event::{Event, flags};
use crate::trace::{Error, Events, Reader};
use std::sync::Arc;

/// Where to stop: before this event number, and before any event later than this instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// First event not to apply.
    pub event: u64,
    /// Last instant to include.
    pub time: u64,
}

impl Until {
    /// Every event with a smaller number.
    pub fn event(event: u64) -> Self {
        Until {
            event,
            time: u64::MAX,
        }
    }
    /// Every event up to and at this instant.
    pub fn time(time: u64) -> Self {
        Until {
            event: u64::MAX,
            time,
        }
    }
}

/// A model and its place in the recording.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The state after every event before `next`.
    pub model: Model,
    /// Number of the first event not applied.
    pub next: u64,
    /// Events before `next` that were left out of the model.
    pub left_out: u64,
    page: usize,
    pub(super) index: usize,
    loaded: Option<usize>,
    pub(super) buffer: Arc<Events>,
}

impl Folder {
    /// Before the first event.
    pub fn start() -> Self {
        Folder {
            model: Model::new(Config::default()),
            next: 0,
            left_out: 0,
            page: 0,
            index: 0,
            loaded: None,
            buffer: Arc::default(),
        }
    }

    /// A model that has seen everything before event `next`.
    pub fn resume(model: Model, next: u64, reader: &Reader) -> Self {
        let mut folder = Folder {
            model,
            next,
            ..Folder::start()
        };
        folder.rebase(reader);
        folder
    }

    /// Stands where another one stands.
    pub fn go_on_from(&mut self, other: &Folder, reader: &Reader) {
        self.model = other.model.clone();
        (self.next, self.page, self.index) = (other.next, other.page, other.index);
        self.left_out = other.left_out;
        self.rebase(reader);
    }

    /// The page table has changed.
    pub fn rebase(&mut self, reader: &Reader) {
        self.loaded = None;
        if self.model.applied() > 0 {
            self.page = reader.page_of(self.next);
            let first = reader.pages().get(self.page).map(|p| p.first_event);
            self.index = self.next.saturating_sub(first.unwrap_or(self.next)) as usize;
        }
    }

    /// The page it stands in.
    pub(super) fn page(&self) -> usize {
        self.page
    }

    /// The next event, without applying it.
    pub fn peek(&mut self, reader: &mut Reader) -> Result<Option<(u64, Event)>, Error> {
        Ok(match self.load(reader)? {
            true => Some((
                self.buffer.number(self.index),
                self.buffer.events[self.index],
            )),
            false => None,
        })
    }

    pub(super) fn load(&mut self, reader: &mut Reader) -> Result<bool, Error> {
        while self.page < reader.pages().len() {
            if self.loaded != Some(self.page) {
                // What it stood on may be free for the next one.
                self.buffer = Arc::default();
                self.buffer = reader.page(self.page)?;
                self.loaded = Some(self.page);
            }
            if self.index < self.buffer.events.len() {
                return Ok(true);
            }
            self.page += 1;
            self.index = 0;
        }
        Ok(false)
    }

    /// Applies events up to `until`, at most `most` of them; true once it is there (or at the end).
    pub fn run(
        &mut self,
        reader: &mut Reader,
        until: Until,
        most: u64,
        sink: &mut impl Sink,
    ) -> Result<bool, Error> {
        let mut left = most;
        while self.load(reader)? {
            let here = (self.buffer.events.len() - self.index) as u64;
            // Whoever folds on from here needs the next page, and to decode it takes a fifth as long as to fold this one.
            let next = reader.pages().get(self.page + 1);
            let goes_on =
                next.is_some_and(|p| p.first_event < until.event && p.t_first <= until.time);
            let stopped = match goes_on && left > here {
                true => reader.read_ahead(self.page + 1, || self.apply(until, &mut left, sink)),
                false => self.apply(until, &mut left, sink),
            };
            if let Some(arrived) = stopped {
                return Ok(arrived);
            }
            // A page that is damaged reads as one event that stands for all of them.
            if let Some(page) = reader.pages().get(self.page) {
                self.next = self.next.max(page.events().end);
            }
        }
        Ok(true)
    }

    /// Applies what is left of the page; whether it is there, if it stops before the page's end.
    fn apply(&mut self, until: Until, left: &mut u64, sink: &mut impl Sink) -> Option<bool> {
        for event in &self.buffer.events[self.index..] {
            let number = self.buffer.number(self.index);
            let late = event.flags & flags::LATE != 0;
            if number >= until.event || (event.t > until.time && !late) {
                return Some(true);
            }
            if *left == 0 {
                return Some(false);
            }
            *left -= 1;
            let text = event.text.of(&self.buffer.text);
            self.model.apply(number, event, text, sink);
            self.index += 1;
            self.next = number + u64::from(self.buffer.numbered);
        }
        None
    }
}
