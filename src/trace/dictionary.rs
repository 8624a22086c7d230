//! The pairs of data word and descriptor that stand for one registration each, numbered as a page mentions them. Step: **trace**.

use foldhash::HashMap;

/// The pairs.
#[derive(Default)]
pub(crate) struct Dictionary {
    pub words: Vec<u64>,
    pub fds: Vec<i32>,
    has: Vec<(bool, bool)>,
    by_word: HashMap<u64, u32>,
    by_fd: HashMap<i32, u32>,
}

impl Dictionary {
    pub fn clear(&mut self) {
        self.words.clear();
        self.fds.clear();
        self.has.clear();
        self.by_word.clear();
        self.by_fd.clear();
    }

    fn push(&mut self, word: Option<u64>, fd: Option<i32>) -> u32 {
        let place = self.words.len() as u32;
        // A half that is not there repeats the one before, which costs one zero byte.
        self.words
            .push(word.unwrap_or(self.words.last().copied().unwrap_or(0)));
        self.fds
            .push(fd.unwrap_or(self.fds.last().copied().unwrap_or(0)));
        self.has.push((word.is_some(), fd.is_some()));
        if let Some(word) = word {
            self.by_word.insert(word, place);
        }
        if let Some(fd) = fd {
            self.by_fd.insert(fd, place);
        }
        place
    }

    pub fn word(&mut self, word: u64) -> u32 {
        match self.by_word.get(&word) {
            Some(&place) => place,
            None => self.push(Some(word), None),
        }
    }

    /// The place of a descriptor; a new one moves in with the registration at `host` if that has none yet.
    pub fn fd(&mut self, fd: i32, host: Option<u32>) -> u32 {
        if let Some(&place) = self.by_fd.get(&fd) {
            return place;
        }
        match host.filter(|&h| !self.has[h as usize].1) {
            Some(place) => {
                self.fds[place as usize] = fd;
                self.has[place as usize].1 = true;
                self.by_fd.insert(fd, place);
                place
            }
            None => self.push(None, Some(fd)),
        }
    }
}
