//! A thread's place on a loop, and the segment of its time under way there. Step: **model**.

use super::Model;
use super::facts::{Id, Part, Segment, Sink};
use super::loops::{LoopKind, ThreadState};
use super::process::Seat;
use crate::record::event::{Event, Wait};

/// Threads on all loops together, at most.
const MAX_SEATS: usize = 131_072;

impl Model {
    #[inline]
    pub(super) fn seat(&mut self, seat: Seat) -> Option<&mut ThreadState> {
        self.loops
            .get_mut(seat.loop_id as usize)?
            .threads
            .get_mut(seat.at as usize)
    }

    /// The thread's place on the loop that `epfd` stands for.
    #[inline]
    pub(super) fn seat_at(&mut self, thread: Id, process: Id, epfd: i32, t: u64) -> Option<Seat> {
        if let Some((fd, epoch, seat)) = self.threads.get(thread as usize)?.work.cached
            && fd == epfd
            && epoch == self.epoch
        {
            return Some(seat);
        }
        let loop_id = self.loop_at(process, epfd, t)?;
        let seat = self.sit(thread, loop_id)?;
        self.threads.get_mut(thread as usize)?.work.cached = Some((epfd, self.epoch, seat));
        Some(seat)
    }

    fn sit(&mut self, thread: Id, loop_id: Id) -> Option<Seat> {
        let l = self.loops.get_mut(loop_id as usize)?;
        if let Some(at) = l.seats.get(&thread) {
            return Some(Seat { loop_id, at: *at });
        }
        if self.seats_used >= MAX_SEATS {
            self.ignored += 1;
            return None;
        }
        self.seats_used += 1;
        let at = l.threads.len() as u32;
        l.threads.push(ThreadState::new(thread));
        l.seats.insert(thread, at);
        let seat = Seat { loop_id, at };
        self.threads.get_mut(thread as usize)?.work.seats.push(seat);
        Some(seat)
    }

    /// The seat of a wait event: an epoll loop, the thread's own poll or select loop, or the one of its process's threads.
    pub(super) fn wait_seat(&mut self, thread: Id, process: Id, e: &Event) -> Option<Seat> {
        let Some((owner, kind)) = Self::own_loop(thread, process, e) else {
            return self.seat_at(thread, process, e.fd, e.t);
        };
        let key = (owner, kind as u8);
        let loop_id = match self.poll_loops.get(&key) {
            Some(id) => *id,
            None => {
                let id = self.new_loop(process, kind, e.t)?;
                self.poll_loops.insert(key, id);
                self.join_loop(process, id, -1);
                if let Some(n) = self.asked.remove(&key).flatten()
                    && let Some(l) = self.loops.get_mut(id as usize)
                {
                    l.count_return(n);
                }
                id
            }
        };
        self.sit(thread, loop_id)
    }

    /// A thread's first poll or select that does not wait asks a question and makes no loop yet: every Rust program
    /// asks at its start whether its standard streams are open. A second one makes the loop, the first is then of it.
    pub(super) fn asks(&mut self, thread: Id, e: &Event) -> bool {
        let Some(key) = Self::poll_key(thread, e) else {
            return false;
        };
        if e.arg != 0 || self.poll_loops.contains_key(&key) || self.asked.contains_key(&key) {
            return false;
        }
        self.asked.insert(key, None);
        true
    }

    /// The answer to it.
    pub(super) fn is_answer(&mut self, thread: Id, e: &Event) -> bool {
        let key = Self::poll_key(thread, e);
        match key.and_then(|key| self.asked.get_mut(&key)) {
            Some(answer @ None) => {
                *answer = Some(e.x);
                true
            }
            _ => false,
        }
    }

    fn poll_key(thread: Id, e: &Event) -> Option<(Id, u8)> {
        match Wait::from_code(e.aux)? {
            Wait::Poll | Wait::Ppoll => Some((thread, LoopKind::Poll as u8)),
            Wait::Select | Wait::Pselect => Some((thread, LoopKind::Select as u8)),
            _ => None,
        }
    }

    /// The thread's poll or select loop, if it has been waited on.
    pub(super) fn polled_seat(&self, thread: Id, e: &Event) -> Option<Seat> {
        let process = self.threads.get(thread as usize)?.process;
        let (owner, kind) = Self::own_loop(thread, process, e)?;
        let loop_id = *self.poll_loops.get(&(owner, kind as u8))?;
        let at = *self.loops.get(loop_id as usize)?.seats.get(&thread)?;
        Some(Seat { loop_id, at })
    }

    pub(super) fn is_polling(e: &Event) -> bool {
        Self::own_loop(0, 0, e).is_some()
    }

    /// Ends the segment under way at `t` and begins the next.
    #[inline]
    pub(super) fn segment<S: Sink + ?Sized>(
        &mut self,
        seat: Seat,
        t: u64,
        part: Part,
        slot: u32,
        sink: &mut S,
    ) {
        let Some(ts) = self.seat(seat) else { return };
        let mut crowded = false;
        let mut start = t;
        if let Some((since, before, before_slot)) = ts.segment {
            if t <= since {
                // Nothing passed; a part of no length leaves no segment.
                start = since;
            } else if before == part && matches!(part, Part::Rest | Part::Wait) {
                return;
            } else {
                ts.retained.push(since, t, before, before_slot);
                crowded = ts.retained.is_crowded();
                sink.segment(&Segment {
                    loop_id: seat.loop_id,
                    thread: ts.thread,
                    start: since,
                    end: t,
                    part: before,
                });
            }
        }
        ts.begun = true;
        ts.segment = Some((start, part, slot));
        if crowded {
            self.give_blame(seat, 0, true);
        }
    }
}
