//! What the epoll model knows of the machine: sizes of buffers, and what a message takes of them.

use std::collections::BTreeMap;

/// What depends on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of a page.
    pub page: u64,
    /// Pages of a pipe.
    pub pipe_pages: usize,
    /// A stream socket's SO_SNDBUF, as getsockopt tells it.
    pub send_buffer: u64,
    /// What a message of so many bytes takes of the send buffer, where that is known better (SIOCOUTQ).
    pub messages: BTreeMap<u64, u64>,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            page: 4096,
            pipe_pages: 16,
            send_buffer: 212_992,
            messages: BTreeMap::new(),
        }
    }
}

/// A message's head with its descriptor: this much for up to so many bytes (x86-64, Linux 6.18). Pages hold the rest.
const HEADS: [(u64, u64); 4] = [(192, 768), (704, 1280), (1728, 2304), (3776, 4352)];

/// Bytes of one message at most: a head and eight pages.
pub(super) const MESSAGE: u64 = 3776 + 8 * 4096;

impl Sizes {
    /// What the kernel charges for a message (skb->truesize).
    pub(super) fn charge(&self, bytes: u64) -> u64 {
        if let Some(known) = self.messages.get(&bytes) {
            return *known;
        }
        let (largest, _) = HEADS[HEADS.len() - 1];
        let paged = bytes.saturating_sub(largest).next_multiple_of(4096);
        let head = bytes - paged.min(bytes);
        let fits = HEADS.iter().find(|(most, _)| head <= *most);
        fits.map_or(0, |(_, cost)| *cost) + paged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_costs_its_head_and_its_pages() {
        let sizes = Sizes::default();
        let measured = [
            (1, 768),
            (192, 768),
            (193, 1280),
            (3776, 4352),
            (3777, 4864),
            (4289, 5376),
            (4801, 6400),
            (7873, 8960),
            (36_544, 37_120),
        ];
        for (bytes, cost) in measured {
            assert_eq!(sizes.charge(bytes), cost, "{bytes}");
        }
    }
}
