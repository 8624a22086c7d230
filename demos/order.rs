//! In which order a loop serves the events of one batch: the kernel's, or one of its own. Step: **event** → ring.

use super::kit::unread;
use loopscope::epoll::Event;
use std::cmp::Reverse;
use std::os::fd::AsRawFd;

/// Puts a batch in order. Its data words are numbers of `clients`; `first` is the one whose turn it is to be the first.
pub fn arrange<T: AsRawFd>(batch: &mut [Event], order: &str, first: u64, clients: &[Option<T>]) {
    let waiting = |id: u64| match clients.get(id as usize) {
        Some(Some(client)) => unread(client),
        _ => 0,
    };
    match order {
        // Those before the first come after the last.
        "round-robin" => batch.sort_by_key(|event| event.data().wrapping_sub(first)),
        "smallest first" => batch.sort_by_key(|event| waiting(event.data())),
        // The higher number is the more important client.
        "priority" => batch.sort_by_key(|event| Reverse(event.data())),
        // The kernel's: who was ready first.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loopscope::epoll::{Epoll, Events, Interest};
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_batch_is_served_in_the_order_asked_for() {
        let pairs: Vec<_> = (0..4).map(|_| UnixStream::pair().unwrap()).collect();
        let epoll = Epoll::new().unwrap();
        for (id, (ours, _)) in pairs.iter().enumerate() {
            epoll.add(ours, Interest::IN, id as u64).unwrap();
        }
        // Who is ready first, and how much each has to say.
        for (id, bytes) in [(2, 30), (0, 400), (3, 1), (1, 20)] {
            (&pairs[id].1).write_all(&vec![b'x'; bytes]).unwrap();
        }
        let mut events = Events::with_capacity(8);
        epoll.wait(&mut events, None).unwrap();
        let clients: Vec<_> = pairs
            .iter()
            .map(|(ours, _)| ours.try_clone().ok())
            .collect();
        let served = |order| -> Vec<u64> {
            let mut batch: Vec<Event> = events.unmarked().copied().collect();
            arrange(&mut batch, order, 2, &clients);
            batch.iter().map(Event::data).collect()
        };
        assert_eq!(served("kernel"), [2, 0, 3, 1]);
        assert_eq!(served("round-robin"), [2, 3, 0, 1]);
        assert_eq!(served("smallest first"), [3, 1, 2, 0]);
        assert_eq!(served("priority"), [3, 2, 1, 0]);
    }
}
