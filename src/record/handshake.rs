//! How a program joins a recording: the bytes both sides exchange once, before the first event → ring.
//!
//! The collector makes a directory only its user may enter and a `SOCK_SEQPACKET` Unix socket in it; [`ENV`] holds the
//! socket's path. A program connects, checks that the peer has its own effective uid (or is root), sends one [`Hello`]
//! and receives one [`Reply`], with the segment's sealed memfd attached (`SCM_RIGHTS`) when the status is
//! [`Status::Welcome`]. It maps the memory shared, populated, then closes both descriptors: it keeps none. A forked
//! child inherits the mapping and claims rings of its own; a program that was exec'd says hello again.
//!
//! All integers are little-endian.
//!
//! | message | 0..8 | 8..10 | 10..12 | 12..14 | 14..16 | 16..24 |
//! |---|---|---|---|---|---|---|
//! | hello | [`MAGIC`] | wire version | slot size | [`Source`] | 0 | pid as the program sees it: i32, then 0 |
//! | reply | [`MAGIC`] | wire version | slot size | [`Status`] | 0 | bytes of the segment |

/// The environment variable that holds the path of the session's socket.
pub const ENV: &str = "LOOPSCOPE_SESSION";

/// First bytes of both messages.
pub const MAGIC: [u8; 8] = *b"LOOPSCOP";

/// Length of both messages in bytes.
pub const LEN: usize = 24;

/// How long either side waits for the other before it gives up, in milliseconds: a stopped collector must not hold a
/// program back, a silent program must not hold the collector.
pub const PATIENCE_MS: u32 = 2000;

/// Who pushes the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Source {
    /// The program links loopscope.
    Library = 1,
    /// The preload shim.
    Preload = 2,
    /// The library, in a program whose calls the preload shim records: it says what only the program knows.
    Beside = 3,
}

impl Source {
    /// The source with this code.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Source::Library),
            2 => Some(Source::Preload),
            3 => Some(Source::Beside),
            _ => None,
        }
    }
}

/// What the collector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// The segment is attached.
    Welcome = 0,
    /// The program speaks a newer wire version than the collector: update the `loopscope` command.
    Newer = 1,
    /// The program belongs to another user.
    NotYours = 2,
    /// The message was no hello.
    Malformed = 3,
    /// The recording has ended.
    Ended = 4,
}

impl Status {
    /// The status with this code.
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            0 => Some(Status::Welcome),
            1 => Some(Status::Newer),
            2 => Some(Status::NotYours),
            3 => Some(Status::Malformed),
            4 => Some(Status::Ended),
            _ => None,
        }
    }

    /// Why a program could not join, and what to do; nothing for a welcome.
    pub const fn refusal(self) -> &'static str {
        match self {
            Status::Welcome => "",
            Status::Newer => {
                "the program was built with a newer loopscope than the one recording; update the loopscope command"
            }
            Status::NotYours => {
                "the program runs as another user than the recorder; start both as the same user"
            }
            Status::Malformed => {
                "the program does not speak this handshake; rebuild it with a current loopscope"
            }
            Status::Ended => "the recording has ended; start a new one",
        }
    }
}

/// What a program says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the slot layout it pushes.
    pub wire: u16,
    /// Bytes of one slot.
    pub slot: u16,
    /// Who pushes.
    pub source: Source,
    /// Its process id in its own pid namespace (the collector asks the kernel for its own view).
    pub pid: i32,
}

impl Hello {
    /// The message.
    pub fn to_bytes(self) -> [u8; LEN] {
        let mut out = head(self.wire, self.slot, self.source as u16);
        out[16..20].copy_from_slice(&self.pid.to_le_bytes());
        out
    }

    /// Reads a message; nothing if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (wire, slot, code) = parse_head(bytes)?;
        Some(Hello {
            wire,
            slot,
            source: Source::from_code(code)?,
            pid: i32::from_le_bytes(bytes.get(16..20)?.try_into().ok()?),
        })
    }
}

/// What the collector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its own wire version: the segment's.
    pub wire: u16,
    /// Bytes of one slot of the segment.
    pub slot: u16,
    /// Welcome, or why not.
    pub status: Status,
    /// Bytes of the segment to map.
    pub bytes: u64,
}

impl Reply {
    /// The message.
    pub fn to_bytes(self) -> [u8; LEN] {
        let mut out = head(self.wire, self.slot, self.status as u16);
        out[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        out
    }

    /// Reads a message; nothing if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (wire, slot, code) = parse_head(bytes)?;
        Some(Reply {
            wire,
            slot,
            status: Status::from_code(code)?,
            bytes: u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?),
        })
    }
}

fn head(wire: u16, slot: u16, code: u16) -> [u8; LEN] {
    let mut out = [0; LEN];
    out[..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&wire.to_le_bytes());
    out[10..12].copy_from_slice(&slot.to_le_bytes());
    out[12..14].copy_from_slice(&code.to_le_bytes());
    out
}

fn parse_head(bytes: &[u8]) -> Option<(u16, u16, u16)> {
    let bytes: &[u8; LEN] = bytes.get(..LEN)?.try_into().ok()?;
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    (bytes[..8] == MAGIC).then(|| (word(8), word(10), word(12)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        let hello = Hello {
            wire: 1,
            slot: 32,
            source: Source::Library,
            pid: -7,
        };
        assert_eq!(Hello::from_bytes(&hello.to_bytes()), Some(hello));
        let reply = Reply {
            wire: 1,
            slot: 32,
            status: Status::Newer,
            bytes: 1 << 40,
        };
        assert_eq!(Reply::from_bytes(&reply.to_bytes()), Some(reply));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let good = Hello {
            wire: 1,
            slot: 32,
            source: Source::Preload,
            pid: 1,
        }
        .to_bytes();
        assert_eq!(Hello::from_bytes(&good[..23]), None);
        assert_eq!(Hello::from_bytes(&[0; LEN]), None);
        for bit in 0..64 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Hello::from_bytes(&bad), None, "bit {bit}");
        }
        let mut unknown = good;
        unknown[12] = 9;
        assert_eq!(Hello::from_bytes(&unknown), None);
        assert_eq!(Reply::from_bytes(&unknown), None);
    }
}
