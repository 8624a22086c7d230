//! Timers that are descriptors: what each is armed for, and when it will make its loop wake up. Step: **model**.
//!
//! One is known by its description, so that a dup or a forked child arms the same. Lost events leave doubt: it may have
//! been armed anew, taken back or read.

use super::codec::codec;
use super::facts::Id;
use super::states::At;
use super::{Map, Model};
use crate::record::event::{Arming, Event, FdKind};

/// Timers followed at once; further ones are counted as ignored.
const MAX_TIMERFDS: usize = 65_536;

/// A timerfd that has been made, armed or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timerfd {
    /// When timerfd_settime returned, or the timer was made.
    pub set: u64,
    /// It is armed.
    pub armed: bool,
    /// The instant of its first expiry, up to the length of that call too late; `None` when nobody knows.
    pub due: Option<u64>,
    /// From one expiry to the next, 0 for one that expires once.
    pub interval: u64,
    /// When its expiries were last read, which makes it silent until the next.
    pub read: Option<u64>,
}

codec!(Timerfd {
    set,
    armed,
    due,
    interval,
    read
});

/// What a timerfd is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing: it is off, or has expired for the last time and been read.
    Never,
    /// It expires at this instant.
    At(u64),
    /// It has expired at this instant and nobody has read it since.
    Since(u64),
    /// It is armed, nobody knows for when.
    Unknown,
}

impl Timerfd {
    /// What it is going to do, seen from the instant `t`.
    pub fn expiry(&self, t: u64) -> Expiry {
        let Some(due) = self.due.filter(|_| self.armed) else {
            return match self.armed {
                true => Expiry::Unknown,
                false => Expiry::Never,
            };
        };
        if due > t {
            return Expiry::At(due);
        }
        let unread = self.read.is_none_or(|read| read < due);
        match (unread, self.interval) {
            (true, _) => Expiry::Since(due),
            (false, 0) => Expiry::Never,
            (false, interval) => {
                // The first expiry after it was last read.
                let read = self.read.unwrap_or(due);
                let next =
                    due.saturating_add(((read - due) / interval + 1).saturating_mul(interval));
                match next > t {
                    true => Expiry::At(next),
                    false => Expiry::Since(next),
                }
            }
        }
    }
}

impl Model {
    /// What the timer of a registration is armed for; nothing where it is no timerfd, or nobody has made or
    /// set it since it is known.
    pub fn timerfd(&self, reg: Id) -> Option<&Timerfd> {
        self.timerfds.get(&self.reg(reg)?.s.desc)
    }

    pub(super) fn timerfd_set(&mut self, process: Id, e: &Event, at: At) {
        if e.x < 0 {
            return;
        }
        let Some((desc, _)) = self.desc_at(process, e.fd) else {
            return;
        };
        if let Some(d) = (self.descs.get_mut(desc)).filter(|d| d.kind == FdKind::Unknown) {
            d.kind = FdKind::Timerfd;
            for slot in self.regs_of(desc) {
                self.name_from_desc(slot);
            }
        }
        if self.timerfds.len() >= MAX_TIMERFDS && !self.timerfds.contains_key(&desc) {
            self.ignored += 1;
            return;
        }
        let arming = Arming::from_code(e.aux);
        let timer = Timerfd {
            set: at.t,
            armed: arming != Some(Arming::Off),
            due: (arming == Some(Arming::In)).then(|| at.t.saturating_add(e.y)),
            interval: e.arg,
            read: None,
        };
        self.timerfds.insert(desc, timer);
    }

    /// A timerfd is new: it is off until somebody sets it. One that was there before is not known.
    pub(super) fn timerfd_made(&mut self, desc: u32, t: u64) {
        if self.timerfds.len() >= MAX_TIMERFDS {
            self.ignored += 1;
            return;
        }
        let off = Timerfd {
            set: t,
            armed: false,
            due: None,
            interval: 0,
            read: None,
        };
        self.timerfds.insert(desc, off);
    }

    /// A timerfd was read: its expiries so far are told.
    #[inline]
    pub(super) fn timerfd_read(&mut self, desc: u32, t: u64) {
        if let Some(timer) = self.timerfds.get_mut(&desc) {
            timer.read = Some(t);
        }
    }

    /// The description is gone, or what it is armed for is in doubt.
    pub(super) fn forget_timerfd(&mut self, desc: u32) {
        self.timerfds.remove(&desc);
    }

    /// Events were lost.
    pub(super) fn doubt_timerfds(&mut self) {
        self.timerfds = Map::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_told_until_it_is_read() {
        let once = Timerfd {
            set: 10,
            armed: true,
            due: Some(100),
            interval: 0,
            read: None,
        };
        assert_eq!(once.expiry(99), Expiry::At(100));
        assert_eq!(once.expiry(150), Expiry::Since(100));
        let read = Timerfd {
            read: Some(160),
            ..once
        };
        assert_eq!(read.expiry(200), Expiry::Never);
        let each = Timerfd {
            interval: 30,
            ..once
        };
        assert_eq!(each.expiry(150), Expiry::Since(100));
        let read = Timerfd {
            read: Some(150),
            ..each
        };
        assert_eq!(read.expiry(150), Expiry::At(160));
        assert_eq!(read.expiry(170), Expiry::Since(160));
        // A read that found nothing yet changes nothing.
        let early = Timerfd {
            read: Some(50),
            ..each
        };
        assert_eq!(early.expiry(120), Expiry::Since(100));
        let off = Timerfd {
            armed: false,
            ..once
        };
        assert_eq!(off.expiry(50), Expiry::Never);
        let vague = Timerfd { due: None, ..once };
        assert_eq!(vague.expiry(50), Expiry::Unknown);
    }
}
