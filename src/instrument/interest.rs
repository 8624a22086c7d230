//! The bits of epoll_ctl(2): what a registration asks for and what the kernel reports. Step: **event** → ring.

use std::fmt;

/// What a registration asks for, and what the kernel reports: the bits of epoll_ctl(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Interest(u32);

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $bit:ident,)*) => {
        impl Interest {
            $($(#[$doc])* pub const $name: Interest = Interest(libc::$bit as u32);)*

            const NAMES: &[(&str, Interest)] = &[$((stringify!($name), Interest::$name),)*];
        }
    };
}
bits! {
    /// Readable.
    IN = EPOLLIN,
    /// Writable.
    OUT = EPOLLOUT,
    /// Out-of-band data or another exceptional condition.
    PRI = EPOLLPRI,
    /// An error; reported unasked.
    ERR = EPOLLERR,
    /// Hung up; reported unasked.
    HUP = EPOLLHUP,
    /// The peer has shut down its writing half.
    RDHUP = EPOLLRDHUP,
    /// Report a change once instead of a state for as long as it lasts (edge-triggered).
    EDGE = EPOLLET,
    /// Report once, then be quiet until [`modify`](crate::epoll::Epoll::modify).
    ONESHOT = EPOLLONESHOT,
    /// Of several epoll descriptions that watch this file, wake as few as possible.
    EXCLUSIVE = EPOLLEXCLUSIVE,
    /// Keep the system awake until the event is handled; needs CAP_BLOCK_SUSPEND.
    WAKEUP = EPOLLWAKEUP,
}

impl Interest {
    /// Nothing but errors and hang-ups.
    pub const NONE: Interest = Interest(0);

    /// The bits, as epoll_ctl(2) has them.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From such bits.
    pub const fn from_bits(bits: u32) -> Interest {
        Interest(bits)
    }

    /// Whether all of `other` is in here.
    pub const fn contains(self, other: Interest) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether some of `other` is in here.
    pub const fn intersects(self, other: Interest) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut bar = "";
        for (name, bit) in Interest::NAMES
            .iter()
            .filter(|(_, bit)| self.contains(*bit))
        {
            write!(f, "{bar}{name}")?;
            rest &= !bit.0;
            bar = "|";
        }
        match rest {
            0 if bar.is_empty() => f.write_str("0"),
            0 => Ok(()),
            rest => write!(f, "{bar}{rest:#x}"),
        }
    }
}
