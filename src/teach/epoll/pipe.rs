//! A pipe of the epoll model: its pages, and what a read or write does to them.

use super::call::Answer;
use super::file::failed;
use std::collections::VecDeque;

/// A pipe's pages, as pipe_write fills them.
#[derive(Clone, Debug)]
pub(super) struct Pipe {
    pub(super) pages: VecDeque<Page>,
    pub(super) most: usize,
    pub(super) reader: bool,
    pub(super) writer: bool,
    /// Somebody has polled it: from then on each write wakes.
    pub(super) polled: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    offset: u64,
    bytes: u64,
}

impl Pipe {
    pub(super) fn new(most: usize) -> Pipe {
        Pipe {
            pages: VecDeque::new(),
            most,
            reader: true,
            writer: true,
            polled: false,
        }
    }

    pub(super) fn full(&self) -> bool {
        self.pages.len() >= self.most
    }

    /// Bytes written, or why none were.
    pub(super) fn fill(&mut self, page: u64, count: u64) -> Answer {
        if !self.reader {
            return failed(libc::EPIPE);
        }
        let mut left = count;
        // What is left over beside whole pages goes behind the last bytes if all of it fits there.
        let odd = count % page;
        if let Some(last) = self.pages.back_mut()
            && odd > 0
            && last.offset + last.bytes + odd <= page
        {
            last.bytes += odd;
            left -= odd;
        }
        while left > 0 && !self.full() {
            let bytes = left.min(page);
            self.pages.push_back(Page { offset: 0, bytes });
            left -= bytes;
        }
        match count - left {
            0 => failed(libc::EAGAIN),
            written => Answer::Count(written),
        }
    }

    /// Bytes read, or why none were; and whether a page of a full pipe became free.
    pub(super) fn drain(&mut self, count: u64) -> (Answer, bool) {
        let (mut read, mut room) = (0, false);
        while read < count
            && let Some(page) = self.pages.front_mut()
        {
            let bytes = page.bytes.min(count - read);
            page.offset += bytes;
            page.bytes -= bytes;
            read += bytes;
            if page.bytes == 0 {
                room |= self.full();
                self.pages.pop_front();
            }
        }
        let answer = match (read, self.writer) {
            (0, true) => failed(libc::EAGAIN),
            _ => Answer::Count(read),
        };
        (answer, room)
    }

    /// What waits to be read.
    pub(super) fn bytes(&self) -> u64 {
        self.pages.iter().map(|p| p.bytes).sum()
    }
}
