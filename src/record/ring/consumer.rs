//! The reading end: the collector's, one a ring. Step: **ring** → trace.
//!
//! Ring memory belongs to the recorded program, which may scribble on it at any moment. So every word is read once
//! into a local, its tail is the collector's own copy, positions are masked, lengths are checked against what was
//! read, and one drain passes at most a ring's worth of slots.

use super::super::sync::Ordering;
use super::super::wire::{self, Head, Payload, Rec};
use super::{Call, Memory, control, first_position};

/// The reading end of a ring.
#[derive(Debug)]
pub struct Consumer {
    ring: Memory,
    tail: u64,
    shared: bool,
}

// SAFETY: the ring's memory stays mapped and all access to it is atomic; the reading end itself is not shared.
unsafe impl Send for Consumer {}

/// A record as a drain hands it out.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its columns.
    pub rec: Rec,
    /// Its text.
    pub text: &'a [u8],
    /// `tid | pid << 32` in the overflow ring, else 0.
    pub who: u64,
}

/// Why a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The next slot is not committed: empty, or a writer is at it.
    Uncommitted,
    /// Overflow ring: the next slots are claimed by this thread, which has not committed them.
    Claimed {
        /// The thread's id.
        tid: u32,
    },
    /// A whole ring's worth has been read: come again.
    Limit,
}

/// What a drain did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Records handed out.
    pub records: u64,
    /// Slots passed.
    pub slots: u64,
    /// Slots that held something no producer writes.
    pub rejected: u64,
    /// Records of a kind newer than this version.
    pub newer: u64,
    /// Records whose writer died before it committed them.
    pub torn: u64,
    /// Why it ended.
    pub stop: Stop,
}

/// After so many slots the tail is published, so that a waiting producer gets room early.
const PUBLISH: u64 = 256;

impl Consumer {
    /// The reading end of a ring that nobody has read yet.
    pub fn new(ring: Memory, shared: bool) -> Self {
        Consumer {
            ring,
            tail: first_position(ring.capacity()),
            shared,
        }
    }

    /// The owner's `tid | pid << 32`; 0 if the ring is free or shared.
    pub fn owner(&self) -> u64 {
        // Acquire: pairs with the claim's compare-and-swap.
        self.ring.control(control::OWNER).load(Ordering::Acquire)
    }

    /// The number of the owner's claim; 0 if it is just making it.
    pub fn serial(&self) -> u64 {
        // Acquire: pairs with the Release in `Segment::claim_for`; the source was written before.
        self.ring.control(control::SERIAL).load(Ordering::Acquire)
    }

    /// Who pushes, as the claim said: [`Source`](super::super::handshake::Source).
    pub fn source(&self) -> u64 {
        self.ring.control(control::SOURCE).load(Ordering::Relaxed)
    }

    /// The pid of the owner's parent, as the owner said; 0 if it has not.
    pub fn parent(&self) -> u32 {
        self.ring.control(control::PARENT).load(Ordering::Relaxed) as u32
    }

    /// The owner has said that it will not push again.
    pub fn retired(&self) -> bool {
        // Acquire: pairs with the Release of `Producer::retire`.
        self.ring.control(control::RETIRED).load(Ordering::Acquire) != 0
    }

    /// Records dropped because the ring was full, since its creation.
    pub fn lost(&self) -> u64 {
        // Acquire: what was lost before is then known before what was pushed after.
        self.ring.control(control::LOST).load(Ordering::Acquire)
    }

    /// The call the owner is inside of.
    pub fn call(&self) -> Call {
        Call::from_words(
            self.ring.control(control::CALL).load(Ordering::Relaxed),
            self.ring.control(control::ENTERED).load(Ordering::Relaxed),
        )
    }

    /// Slots of the ring.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity()
    }

    /// Hands out every committed record, in order, at most a ring's worth, and gives their slots back.
    pub fn drain(&mut self, each: impl FnMut(&Record<'_>)) -> Drained {
        let end = self.tail.wrapping_add(self.ring.capacity());
        self.drain_to(end, false, each)
    }

    /// The same when the writer is dead: passes over what it reserved and did not commit, up to its head.
    pub fn drain_dead(&mut self, each: impl FnMut(&Record<'_>)) -> Drained {
        let head = self.ring.control(control::HEAD).load(Ordering::Acquire);
        let reserved = head.wrapping_sub(self.tail).min(self.ring.capacity());
        self.drain_to(self.tail.wrapping_add(reserved), true, each)
    }

    /// Overflow ring: passes over the slots that the claim at the tail covers, because its writer is dead. `false`
    /// if there is no claim any more.
    pub fn skip_claim(&mut self) -> bool {
        let head = Head(self.ring.slot(self.tail, 0).load(Ordering::Acquire));
        if head.lap() != self.ring.lap(self.tail) || head.kind() != wire::CLAIMED {
            return false;
        }
        let slots = head.claimer().1.clamp(1, self.ring.capacity());
        // A claim that its writer did not live to move the head past: nobody can claim behind it before that.
        let _ = self.ring.control(control::HEAD).compare_exchange(
            self.tail,
            self.tail.wrapping_add(slots),
            Ordering::Release,
            Ordering::Relaxed,
        );
        self.tail = self.tail.wrapping_add(slots);
        self.publish();
        true
    }

    /// Gives the ring to the next thread. Only when its owner is gone and its records are drained.
    pub fn free(&mut self) {
        let generation = self.ring.control(control::GENERATION);
        generation.store(
            generation.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
        for word in [
            control::RETIRED,
            control::SERIAL,
            control::PARENT,
            control::SOURCE,
            control::CALL,
            control::ENTERED,
        ] {
            self.ring.control(word).store(0, Ordering::Relaxed);
        }
        self.ring
            .control(control::HEAD)
            .store(self.tail, Ordering::Relaxed);
        self.publish();
        // Release: pairs with the Acquire of the next claim.
        self.ring
            .control(control::OWNER)
            .store(0, Ordering::Release);
    }

    fn publish(&self) {
        // Release: pairs with the producer's Acquire; our reads of the slots are over.
        self.ring
            .control(control::TAIL)
            .store(self.tail, Ordering::Release);
    }

    fn drain_to(&mut self, end: u64, dead: bool, mut each: impl FnMut(&Record<'_>)) -> Drained {
        let mut done = Drained {
            records: 0,
            slots: 0,
            rejected: 0,
            newer: 0,
            torn: 0,
            stop: Stop::Limit,
        };
        let start = self.tail;
        let length = end.wrapping_sub(start);
        let mut published = 0;
        // Dead writer: inside a run of slots that its death left uncommitted.
        let mut torn = false;
        let mut payload = Payload::empty();
        while done.slots < length {
            let position = start.wrapping_add(done.slots);
            // Acquire: pairs with the Release of the commit.
            let word = self.ring.slot(position, 0).load(Ordering::Acquire);
            let head = Head(word);
            if head.lap() != self.ring.lap(position) {
                if !dead {
                    done.stop = Stop::Uncommitted;
                    break;
                }
                done.torn += !torn as u64;
                torn = true;
                done.slots += 1;
                continue;
            }
            if head.kind() == wire::CLAIMED && self.shared {
                done.stop = Stop::Claimed {
                    tid: head.claimer().0,
                };
                break;
            }
            let parts = head.parts() as u64;
            let behind_torn =
                torn && (head.kind() == wire::CONTINUED || head.bits() & wire::MEMBER != 0);
            if behind_torn {
                // The rest of a record or batch whose front never came.
                done.slots += 1;
                continue;
            }
            torn = false;
            if 1 + parts > length - done.slots && done.slots > 0 && !dead {
                // Its end lies in slots that were given back during this drain: next time.
                break;
            }
            if head.kind() == wire::CONTINUED || 1 + parts > length - done.slots {
                done.rejected += 1;
                done.slots += 1;
                continue;
            }
            let words = [
                word,
                self.ring.slot(position, 1).load(Ordering::Relaxed),
                self.ring.slot(position, 2).load(Ordering::Relaxed),
                self.ring.slot(position, 3).load(Ordering::Relaxed),
            ];
            let mut rejected = false;
            match wire::unfront(words) {
                Ok(rec) if parts == 0 && !self.shared => {
                    rejected = head.has_y();
                    if !rejected {
                        done.records += 1;
                        each(&Record {
                            rec,
                            text: &[],
                            who: 0,
                        });
                    }
                }
                Ok(rec) if self.gather(position, parts, &mut payload) => {
                    match payload.read(self.shared, head.has_y()) {
                        Some((who, y, text)) => {
                            done.records += 1;
                            let y = if head.has_y() { y } else { rec.y };
                            each(&Record {
                                rec: Rec { y, ..rec },
                                text,
                                who,
                            });
                        }
                        None => rejected = true,
                    }
                }
                // Not what the front slot says: what follows may be records of their own.
                Ok(_) => {
                    done.rejected += 1;
                    done.slots += 1;
                    continue;
                }
                Err(_newer) => done.newer += 1,
            }
            done.rejected += rejected as u64;
            done.slots += 1 + parts;
            if done.slots - published >= PUBLISH {
                published = done.slots;
                self.tail = start.wrapping_add(done.slots);
                self.publish();
            }
        }
        self.tail = start.wrapping_add(done.slots);
        if done.slots != published {
            self.publish();
        }
        done
    }

    /// Reads the continuation slots; `false` if one of them is not what the front slot says.
    #[inline]
    fn gather(&self, position: u64, parts: u64, payload: &mut Payload) -> bool {
        payload.clear();
        for i in 0..parts {
            let at = position.wrapping_add(1 + i);
            let expected = wire::part_word(i as usize) | self.ring.lap(at) as u64;
            if self.ring.slot(at, 0).load(Ordering::Relaxed) != expected {
                return false;
            }
            payload
                .push_part([1, 2, 3].map(|word| self.ring.slot(at, word).load(Ordering::Relaxed)));
        }
        true
    }
}
