//! Pages decoded lately: the cursor, the window around it, the names ahead and the log stand on the same one or two, and
//! to decode a page of 65,536 events takes milliseconds. Step: **trace** → model.

use std::sync::Arc;

use super::events::Events;

/// Pages kept; one is some megabytes.
const MOST: usize = 3;

/// A page's place in the file, its first event and its number of events: another page at the same place is another one.
pub(super) type Key = (u64, u64, u64);

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// The latest used last.
    pages: Vec<(Key, Arc<Events>)>,
}

impl Recent {
    /// It is there.
    pub fn has(&self, key: Key) -> bool {
        self.pages.iter().any(|(k, _)| *k == key)
    }

    /// The page, if it is still there.
    pub fn get(&mut self, key: Key) -> Option<Arc<Events>> {
        let at = self.pages.iter().position(|(k, _)| *k == key)?;
        let page = self.pages.remove(at);
        let events = Arc::clone(&page.1);
        self.pages.push(page);
        Some(events)
    }

    /// Buffers for the next page: those of the oldest, if nobody else stands on it any more.
    pub fn room(&mut self) -> Events {
        if self.pages.len() < MOST {
            return Events::default();
        }
        Arc::try_unwrap(self.pages.remove(0).1).unwrap_or_default()
    }

    /// Keeps a page.
    pub fn keep(&mut self, key: Key, events: Events) -> Arc<Events> {
        let events = Arc::new(events);
        self.pages.push((key, Arc::clone(&events)));
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(first: u64) -> Events {
        Events {
            first,
            ..Events::default()
        }
    }

    #[test]
    fn the_latest_used_are_kept() {
        let mut recent = Recent::default();
        for first in 0..MOST as u64 {
            recent.keep((first, first, 1), page(first));
        }
        assert_eq!(recent.get((0, 0, 1)).map(|p| p.first), Some(0));
        // The oldest is now the second; its buffers are handed out.
        assert_eq!(recent.room().first, 1);
        recent.keep((9, 9, 1), page(9));
        assert!(recent.get((1, 1, 1)).is_none());
        assert!(recent.get((0, 0, 1)).is_some() && recent.get((9, 9, 1)).is_some());
        // The same place with other events is another page.
        assert!(recent.get((9, 10, 1)).is_none());
    }

    #[test]
    fn a_page_that_is_in_use_is_left_alone() {
        let mut recent = Recent::default();
        let used = recent.keep((0, 7, 1), page(7));
        for at in 1..MOST as u64 {
            recent.keep((at, at, 1), page(at));
        }
        assert_eq!(recent.room().first, 0);
        assert_eq!(used.first, 7);
    }
}
