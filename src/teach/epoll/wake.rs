//! Wait queues: whom a change of a file wakes, and in which order.

use super::belief::Belief;
use super::call::bits;
use super::file::File;
use super::instance::Item;
use super::rule::Rule;
use super::world::{Id, World};

/// What an item waits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Queue {
    /// Of a pipe, by its index.
    PipeRead(usize),
    PipeWrite(usize),
    /// Of everything else, an epoll descriptor among it.
    File(Id),
}

/// An item that waits on a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) epoll: Id,
    pub(super) item: u32,
}

impl World {
    fn queue(&self, file: Id) -> Queue {
        match self.files[file] {
            File::PipeRead(pipe) => Queue::PipeRead(pipe),
            File::PipeWrite(pipe) => Queue::PipeWrite(pipe),
            _ => Queue::File(file),
        }
    }

    /// Puts an item on its file's wait queue: at the head, an exclusive one at the end.
    pub(super) fn watch(&mut self, file: Id, epoll: Id, item: u32, mask: u32) {
        let last = mask & bits::EXCLUSIVE != 0 || self.believes(Belief::OldestFirst);
        let queue = self.queue(file);
        let queue = self.queues.entry(queue).or_default();
        let at = if last { queue.len() } else { 0 };
        queue.insert(at, Entry { epoll, item });
    }

    /// Takes an item off its file's wait queue.
    pub(super) fn unwatch(&mut self, file: Id, epoll: Id, item: u32) {
        // A file that is being closed is not known by its kind any more.
        let here = |entry: &Entry| entry.epoll == epoll && entry.item == item;
        match self.files[file] {
            File::Gone => (self.queues.values_mut()).for_each(|q| q.retain(|e| !here(e))),
            _ => {
                let queue = self.queue(file);
                if let Some(queue) = self.queues.get_mut(&queue) {
                    queue.retain(|e| !here(e));
                }
            }
        }
    }

    /// Wakes everybody on a queue. `events` of 0 names nothing and passes every mask.
    pub(super) fn wake(&mut self, queue: Queue, events: u32) {
        let entries = self.queues.get(&queue).cloned().unwrap_or_default();
        if entries.len() > 1 {
            self.note(Rule::NewestFirst, None);
        }
        for entry in entries {
            self.callback(entry, events);
        }
    }

    /// ep_poll_callback: puts an item on its instance's ready list.
    fn callback(&mut self, entry: Entry, events: u32) {
        let needs_drain = self.believes(Belief::EdgeNeedsDrain);
        let moves = self.believes(Belief::DataMoves);
        let Some(item) = self.item(entry.epoll, entry.item) else {
            return;
        };
        let (mask, data) = (item.mask, item.data);
        if mask & !bits::MODES == 0 {
            return self.note(Rule::Disarmed, Some(data));
        }
        if events != 0 && events & mask == 0 {
            return self.note(Rule::NotAsked, Some(data));
        }
        if needs_drain && mask & bits::ET != 0 && item.told {
            return;
        }
        item.changed |= if events == 0 { u32::MAX } else { events };
        item.changes += 1;
        if self.enqueue(entry.epoll, entry.item) {
            self.note(Rule::Queued, Some(data));
        } else {
            self.note(Rule::QueuedOnce, Some(data));
            if moves {
                self.requeue(entry.epoll, entry.item);
            }
        }
        self.wake_outer(entry.epoll);
    }

    /// Tells those that watch the epoll descriptor itself.
    pub(super) fn wake_outer(&mut self, epoll: Id) {
        if self
            .queues
            .get(&Queue::File(epoll))
            .is_some_and(|q| !q.is_empty())
        {
            self.note(Rule::NestedWake, None);
            self.wake(Queue::File(epoll), bits::IN);
        }
    }

    fn item(&mut self, epoll: Id, item: u32) -> Option<&mut Item> {
        self.instance(epoll)?
            .items
            .iter_mut()
            .find(|i| i.id == item)
    }
}
