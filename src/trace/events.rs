//! What a reader hands out: the events of a page, and a cursor that goes from event to event. Step: **trace** → model.

use std::sync::Arc;

use super::error::Error;
use super::reader::Reader;
use crate::record::event::Event;
#[allow(unused_imports)] // named in the text
use crate::record::event::flags;

/// Events of one page, with the buffer their texts lie in. Reuse one for many reads: memory stays constant.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// The events, in the recording's order.
    pub events: Vec<Event>,
    /// Their texts; [`Text::of`](crate::record::event::Text::of) finds one.
    pub text: Vec<u8>,
    /// The number of the first event.
    pub first: u64,
    /// Whether the events are numbered one by one from `first`. Otherwise they restate what came before number `first`
    /// (names, threads, open descriptors of a dropped part), bear flag [`flags::AGAIN`], and all have that number.
    pub numbered: bool,
}

impl Events {
    /// The number of the event at `index`.
    pub fn number(&self, index: usize) -> u64 {
        if self.numbered {
            self.first + index as u64
        } else {
            self.first
        }
    }

    /// Each event with its number and text.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Event, &[u8])> {
        self.events
            .iter()
            .enumerate()
            .map(|(i, e)| (self.number(i), e, e.text.of(&self.text)))
    }

    pub(crate) fn clear(&mut self, first: u64, numbered: bool) {
        self.events.clear();
        self.text.clear();
        self.first = first;
        self.numbered = numbered;
    }
}

/// Walks events one by one from some number on; made by [`Reader::events_from`].
#[derive(Debug)]
pub struct Cursor<'a> {
    reader: &'a mut Reader,
    page: usize,
    index: usize,
    from: u64,
    events: Arc<Events>,
    loaded: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(reader: &'a mut Reader, page: usize, from: u64) -> Self {
        Cursor {
            reader,
            page,
            index: 0,
            from,
            events: Arc::default(),
            loaded: false,
        }
    }

    /// The next event with its number and text.
    #[allow(clippy::should_implement_trait, clippy::type_complexity)] // the item borrows from the cursor
    pub fn next(&mut self) -> Result<Option<(u64, &Event, &[u8])>, Error> {
        while !self.loaded || self.index >= self.events.events.len() {
            if self.loaded {
                self.page += 1;
            }
            if self.page >= self.reader.pages().len() {
                self.loaded = false;
                return Ok(None);
            }
            self.events = self.reader.page(self.page)?;
            self.loaded = true;
            self.index = 0;
            if self.events.numbered {
                let skip = usize::try_from(self.from.saturating_sub(self.events.first))
                    .unwrap_or(usize::MAX);
                // Inside a hole, the event that tells of it counts.
                self.index = skip.min(self.events.events.len().saturating_sub(1));
            }
        }
        let index = self.index;
        self.index += 1;
        let event = &self.events.events[index];
        Ok(Some((
            self.events.number(index),
            event,
            event.text.of(&self.events.text),
        )))
    }
}
