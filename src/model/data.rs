//! From a loop's data word to the registration that carries it: dense for small words (fds, tokens), hashed
//! beyond. Several registrations may carry one word; they are chained, the last ctl first. Step: **model**.

use super::codec::codec;
use super::{Map, NONE};

const DENSE: u64 = 4096;

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct DataMap {
    small: Vec<u32>,
    big: Map<u64, u32>,
}

codec!(DataMap { small, big });

impl DataMap {
    #[inline]
    pub fn get(&self, data: u64) -> u32 {
        if data < DENSE {
            self.small.get(data as usize).copied().unwrap_or(NONE)
        } else {
            self.big.get(&data).copied().unwrap_or(NONE)
        }
    }

    /// Sets the head of the word's chain; `NONE` forgets the word.
    pub fn set(&mut self, data: u64, slot: u32) {
        if data < DENSE {
            let at = data as usize;
            if at >= self.small.len() {
                if slot == NONE {
                    return;
                }
                self.small.resize(at + 1, NONE);
            }
            self.small[at] = slot;
            while self.small.last() == Some(&NONE) {
                self.small.pop();
            }
        } else if slot == NONE {
            self.big.remove(&data);
        } else {
            self.big.insert(data, slot);
        }
    }
}
