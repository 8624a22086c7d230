//! The page table in memory: every event number has its page, or a hole that says so. Step: **trace**.

use std::ops::Range;

use super::error::Problem;
use super::filter;
use super::page::{MAX_EVENTS, PageKind};
use super::scan::Entry;

/// Whether a page's events can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// As far as is known.
    Good,
    /// The page is damaged or missing.
    Damaged,
    /// The page is in a coding newer than this version.
    Newer,
    /// The writer has reused its space.
    Dropped,
}

/// One page of events in the page table. Together the pages cover every number from `first()` to `end()` without a gap.
#[derive(Clone, Debug)]
pub struct PageInfo {
    /// Where the page stands in the file, in bytes.
    pub at: u64,
    /// Its size in the file, header included.
    pub size: u64,
    /// The number of its first event.
    pub first_event: u64,
    /// How many numbered events it holds.
    pub count: u64,
    /// The earliest instant in it.
    pub t_first: u64,
    /// The latest instant in it.
    pub t_last: u64,
    /// The latest instant in it or in any page before: never decreases.
    pub t_end: u64,
    /// Which segment it belongs to.
    pub segment: u32,
    /// Whether its events can be had; if not, reading it yields one [`Lost`](crate::record::event::Kind::Lost) event.
    pub state: State,
    /// [`PageKind::Events`], or at the very front [`PageKind::Restated`].
    pub kind: PageKind,
    loops: u64,
    fds: u128,
    words: u128,
}

impl PageInfo {
    /// Whether an event of this page may touch the descriptor; `false` is certain.
    pub fn may_touch_fd(&self, fd: i32) -> bool {
        self.state != State::Good || self.fds & filter::fd_bit(fd) != 0
    }

    /// Whether an event of this page may touch the loop of this epfd (−1: a poll or select loop); `false` is certain.
    pub fn may_touch_loop(&self, epfd: i32) -> bool {
        self.state != State::Good || self.loops & filter::loop_bit(epfd) != 0
    }

    /// Whether an event of this page may bear the data word; `false` is certain.
    pub fn may_touch_word(&self, word: u64) -> bool {
        self.state != State::Good || self.words & filter::word_bit(word) != 0
    }

    /// Its event numbers.
    pub fn events(&self) -> Range<u64> {
        self.first_event..self.first_event + self.count
    }
}

/// All that is known about a file's pages.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub pages: Vec<PageInfo>,
    /// Every other page.
    pub stored: Vec<Entry>,
    pub problems: Vec<Problem>,
    /// One more than the last event number.
    pub end: u64,
    /// The highest segment seen.
    pub segment: u32,
    /// A footer was seen.
    pub complete: bool,
    /// Nothing was taken in yet, and numbers may start anywhere.
    pub open_start: bool,
    last_end: u64,
}

impl Table {
    /// An empty table with problems already known.
    pub fn new(problems: Vec<Problem>) -> Table {
        Table {
            problems,
            ..Table::default()
        }
    }

    /// Takes in the next page in the order of writing; `damaged`: bytes before it that are no page.
    pub fn take(&mut self, entry: Entry, damaged: Option<Range<u64>>) {
        let header = &entry.header;
        let kind = PageKind::from_code(header.kind);
        // Every page says which event comes next.
        let next = match kind {
            Some(PageKind::Derived) => header.words as u64,
            Some(_) => header.first_event,
            None => self.end,
        };
        if std::mem::take(&mut self.open_start) {
            self.end = next;
        }
        let lost = self.end..next.max(self.end);
        if damaged.is_some() || !lost.is_empty() {
            let bytes = damaged.unwrap_or(self.last_end.min(entry.at)..entry.at);
            self.problems.push(Problem::Page {
                kind: None,
                events: lost.clone(),
                bytes,
            });
        }
        if !lost.is_empty() {
            self.hole(lost, &entry);
        }
        self.last_end = entry.end();
        self.segment = self.segment.max(header.segment);
        match kind {
            Some(PageKind::Events) if next == self.end && self.fits(&entry) => {
                self.push(&entry, u64::from(header.count))
            }
            Some(PageKind::Events) => {
                let bytes = entry.at..entry.end();
                self.problems.push(Problem::Page {
                    kind,
                    events: self.end..self.end,
                    bytes,
                });
            }
            Some(kind) => {
                self.complete |= kind == PageKind::End;
                self.stored.push(entry);
            }
            None => self.problems.push(Problem::Newer {
                events: self.end..self.end,
            }),
        }
    }

    fn fits(&self, entry: &Entry) -> bool {
        let count = u64::from(entry.header.count);
        count <= MAX_EVENTS as u64 && self.end.checked_add(count).is_some()
    }

    fn t_end(&self) -> u64 {
        self.pages.last().map_or(0, |p| p.t_end)
    }

    fn push(&mut self, entry: &Entry, count: u64) {
        let info = info(entry, self.end, count, self.t_end());
        self.end += count;
        self.pages.push(info);
    }

    fn hole(&mut self, lost: Range<u64>, next: &Entry) {
        let t_end = self.t_end();
        let mut hole = info(next, lost.start, lost.end - lost.start, t_end);
        // It reaches from the last intact event to the next one.
        (hole.size, hole.state) = (0, State::Damaged);
        (hole.t_first, hole.t_last) = (t_end.min(hole.t_first), next.header.t_first);
        hole.t_end = t_end.max(hole.t_last);
        self.end = lost.end;
        self.pages.push(hole);
    }

    /// Forgets segments before `oldest`, whose places the writer has reused.
    pub fn drop_before(&mut self, oldest: u32) {
        self.pages
            .retain(|p| p.segment >= oldest && p.kind == PageKind::Events);
        self.stored.retain(|e| e.header.segment >= oldest);
    }

    /// Puts the pages that restate what was dropped in front, if something was.
    pub fn set_front(&mut self) {
        self.pages.retain(|p| p.kind == PageKind::Events);
        let restated = |e: &&Entry| e.header.kind == PageKind::Restated as u8;
        let (first, segment) = match self.pages.first() {
            Some(page) => (page.first_event, page.segment),
            None => return,
        };
        if first == 0 {
            return;
        }
        let front = self
            .stored
            .iter()
            .filter(restated)
            .filter(|e| e.header.segment == segment && e.header.first_event == first);
        let front: Vec<PageInfo> = front
            .map(|e| PageInfo {
                kind: PageKind::Restated,
                ..info(e, first, 0, 0)
            })
            .collect();
        self.pages.splice(0..0, front);
    }
}

fn info(entry: &Entry, first_event: u64, count: u64, t_end: u64) -> PageInfo {
    let h = &entry.header;
    PageInfo {
        at: entry.at,
        size: h.size(),
        first_event,
        count,
        t_first: h.t_first,
        t_last: h.t_last,
        t_end: t_end.max(h.t_last),
        segment: h.segment,
        state: State::Good,
        kind: PageKind::Events,
        loops: h.loops,
        fds: h.fds,
        words: h.words,
    }
}
