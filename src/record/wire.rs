//! The wire form: how an event lies in a ring's 32-byte slots.
//! Step: **event** → ring.
//!
//! A record is one slot, or one slot and up to 15 continuation slots. Words are native-endian (both ends share
//! memory).
//!
//! | word | bits  | front slot                  | continuation slot        | claimed slot (overflow ring)   |
//! |------|-------|-----------------------------|--------------------------|--------------------------------|
//! | 0    | 0–15  | lap: the commit             | lap                      | lap                            |
//! |      | 16–23 | kind                        | [`CONTINUED`]            | [`CLAIMED`]                    |
//! |      | 24–27 | continuation slots          | its number, from 1       | bits 24–45: tid of the claimer |
//! |      | 28–31 | flags ([`MEMBER`], CUT …)   | 0                        | bits 46–63: slots claimed      |
//! |      | 32–47 | aux                         | 0                        |                                |
//! |      | 48–63 | site                        | 0                        |                                |
//! | 1    |       | ticks                       | payload bytes 0–7        |                                |
//! | 2    | 0–31  | fd                          | payload bytes 8–15       |                                |
//! |      | 32–63 | x                           |                          |                                |
//! | 3    |       | arg                         | payload bytes 16–23      |                                |
//!
//! The payload of the continuation slots is `[who: u64 in the overflow ring][y: u64 if HAS_Y][len: u16][text]`.
//!
//! `lap` is the slot's position ÷ the ring's capacity. A slot always holds the lap before until its record is
//! committed, so the word says by itself whether it is there; the front slot's is written last.
//!
//! An `Io` record is one slot although it has a duration: `arg` is `asked: u32 | ticks: u32 << 32`, both clipped;
//! a duration of 2³² ticks or more is stored ÷ 2¹⁶ and says so with the flag bit that means CUT elsewhere.

use super::event::{Kind, MAX_TEXT, flags};

/// Version of everything in this file, the ring and the segment. A collector accepts every older one.
pub const VERSION: u16 = 1;

/// Bytes of a slot.
pub const SLOT_BYTES: u16 = 32;

/// Words of a slot.
pub const SLOT_WORDS: u64 = 4;

/// Kind byte of a continuation slot.
pub const CONTINUED: u8 = 0xff;

/// Kind byte of an overflow slot that is claimed and not yet committed.
pub const CLAIMED: u8 = 0xfd;

/// Wire flag: this record belongs to the batch of the record before it and means nothing without it. It has the
/// bit of [`flags::LATE`], which only a recording has.
pub const MEMBER: u8 = flags::LATE;

/// Wire flag of an `Io`: the duration is stored ÷ 2¹⁶.
const LONG: u8 = flags::CUT;
const LONG_SHIFT: u32 = 16;

/// Payload bytes of a continuation slot.
pub const PART: usize = 24;

/// Most payload a record can have: who, y, length, text.
pub const MAX_PAYLOAD: usize = 8 + 8 + 2 + MAX_TEXT;

/// Continuation slots of the longest record.
pub const MAX_PARTS: usize = MAX_PAYLOAD.div_ceil(PART);

const _: () = assert!(MAX_PARTS <= 15, "the slot count has four bits");

/// What a producer pushes: the event's columns without the thread, which the ring knows. Durations that the
/// producer measured (`y` of `Io` and `Supplied`) are in ticks like the stamp; the merge converts both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rec {
    /// Raw clock ticks.
    pub ticks: u64,
    /// First wide column.
    pub arg: u64,
    /// Second wide column; costs a second slot for every kind but `Io`.
    pub y: Option<u64>,
    /// A file descriptor.
    pub fd: i32,
    /// Result, mask or name id.
    pub x: i32,
    /// A small enum or index.
    pub aux: u16,
    /// Call site.
    pub site: u16,
    /// What happened.
    pub kind: Kind,
    /// [`flags::LEFT`] or [`flags::CUT`]; the other bits are the wire's own.
    pub flags: u8,
}

/// A front slot's words, the lap still missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Front {
    /// The four words, bits 0–15 of the first clear.
    pub words: [u64; 4],
    /// What must go into the continuation slots.
    pub y: Option<u64>,
}

/// Packs the columns of a front slot. Folds to a few moves where the kind is a constant.
#[inline(always)]
pub fn front(r: &Rec) -> Front {
    let mut bits = r.flags & (flags::LEFT | flags::CUT);
    let (arg, y) = if let (Kind::Io, ticks) = (r.kind, r.y.unwrap_or(0)) {
        let asked = if r.arg > u32::MAX as u64 {
            u32::MAX as u64
        } else {
            r.arg
        };
        bits &= !LONG;
        let held = if ticks <= u32::MAX as u64 {
            ticks
        } else {
            bits |= LONG;
            let held = ticks >> LONG_SHIFT;
            if held > u32::MAX as u64 {
                u32::MAX as u64
            } else {
                held
            }
        };
        (asked | held << 32, None)
    } else {
        (r.arg, r.y)
    };
    if y.is_some() {
        bits |= flags::HAS_Y;
    }
    Front {
        words: [
            (r.kind.code() as u64) << 16
                | (bits as u64) << 24
                | (r.aux as u64) << 32
                | (r.site as u64) << 48,
            r.ticks,
            r.fd as u32 as u64 | (r.x as u32 as u64) << 32,
            arg,
        ],
        y,
    }
}

/// The same front slot with continuation slots behind it, its text cut or not.
#[inline(always)]
pub fn with_parts(mut words: [u64; 4], parts: usize, was_cut: bool) -> [u64; 4] {
    words[0] |= (parts as u64 & 15) << 24;
    if was_cut {
        words[0] |= (flags::CUT as u64) << 24;
    }
    words
}

/// Word 0 of continuation slot `i` (from 0), the lap still missing.
#[inline(always)]
pub fn part_word(i: usize) -> u64 {
    (CONTINUED as u64) << 16 | (i as u64 + 1) << 24
}

/// The front slot of a record that takes one slot, whatever its `y`.
#[inline(always)]
pub fn alone(r: &Rec) -> [u64; 4] {
    let mut words = front(r).words;
    words[0] &= !((flags::HAS_Y as u64) << 24);
    words
}

/// The front slot of a batch's member.
#[inline(always)]
pub fn member(r: &Rec) -> [u64; 4] {
    let mut words = alone(r);
    words[0] |= (MEMBER as u64) << 24;
    words
}

/// The parts of word 0 that a consumer looks at before it trusts the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head(pub u64);

impl Head {
    /// Position ÷ capacity of the record that lies here.
    #[inline(always)]
    pub fn lap(self) -> u16 {
        self.0 as u16
    }
    /// Kind byte.
    #[inline(always)]
    pub fn kind(self) -> u8 {
        (self.0 >> 16) as u8
    }
    /// Continuation slots that follow.
    #[inline(always)]
    pub fn parts(self) -> usize {
        (self.0 >> 24 & 15) as usize
    }
    /// The wire's flag bits.
    #[inline(always)]
    pub fn bits(self) -> u8 {
        (self.0 >> 24) as u8 & 0xf0
    }
    /// The payload starts with a `y`.
    #[inline(always)]
    pub fn has_y(self) -> bool {
        self.bits() & flags::HAS_Y != 0
    }
    /// Word 0 of a claimed overflow slot. A tid has at most 22 bits (PID_MAX_LIMIT in linux/threads.h).
    pub fn claim(lap: u16, tid: u32, slots: u64) -> Self {
        Head(
            lap as u64
                | (CLAIMED as u64) << 16
                | (tid as u64 & 0x3f_ffff) << 24
                | (slots & 0x3_ffff) << 46,
        )
    }
    /// Who claimed a slot, and how many with it.
    pub fn claimer(self) -> (u32, u64) {
        ((self.0 >> 24) as u32 & 0x3f_ffff, self.0 >> 46)
    }
}

/// Most slots one claim of the overflow ring can hold.
pub const MAX_CLAIM: u64 = 0x3_ffff;

/// Unpacks a front slot. `Err` is the kind's code when this version does not know it. `y` is set for an `Io` only;
/// other kinds have theirs in the payload, if [`flags::HAS_Y`] is among [`Head::bits`].
#[inline]
pub fn unfront(words: [u64; 4]) -> Result<Rec, u8> {
    let head = Head(words[0]);
    let kind = Kind::from_code(head.kind()).ok_or(head.kind())?;
    let mut bits = head.bits() & (flags::LEFT | flags::CUT);
    let (mut arg, mut y) = (words[3], None);
    if kind == Kind::Io {
        let shift = if bits & LONG != 0 { LONG_SHIFT } else { 0 };
        bits &= !LONG;
        y = Some((arg >> 32) << shift);
        arg &= u32::MAX as u64;
    }
    Ok(Rec {
        ticks: words[1],
        arg,
        y,
        fd: words[2] as i32,
        x: (words[2] >> 32) as i32,
        aux: (words[0] >> 32) as u16,
        site: (words[0] >> 48) as u16,
        kind,
        flags: bits,
    })
}

/// The payload of a record's continuation slots, while it is being written or read.
#[derive(Clone, Copy)]
pub struct Payload {
    bytes: [u8; MAX_PARTS * PART],
    len: usize,
}

impl Payload {
    /// Lays out the payload; the text is cut to [`MAX_TEXT`] at a character boundary. Says whether it was.
    pub fn new(who: Option<u64>, y: Option<u64>, text: &[u8]) -> (Self, bool) {
        let mut p = Payload {
            bytes: [0; MAX_PARTS * PART],
            len: 0,
        };
        if let Some(who) = who {
            p.put_word(who);
        }
        if let Some(y) = y {
            p.put_word(y);
        }
        let len = cut(text, MAX_TEXT);
        p.put(&(len as u16).to_le_bytes());
        p.put(text.get(..len).unwrap_or(&[]));
        (p, len < text.len())
    }

    /// An empty payload to read continuation slots into.
    pub fn empty() -> Self {
        Payload {
            bytes: [0; MAX_PARTS * PART],
            len: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }

    /// Continuation slots it takes.
    pub fn parts(&self) -> usize {
        self.len.div_ceil(PART)
    }

    /// The words 1–3 of continuation slot `i` (from 0).
    pub fn part(&self, i: usize) -> [u64; 3] {
        let mut words = [0; 3];
        if let Some(part) = self.bytes.get(i * PART..(i + 1) * PART) {
            for (word, bytes) in words.iter_mut().zip(part.chunks_exact(8)) {
                *word = u64_at(bytes, 0).unwrap_or(0);
            }
        }
        words
    }

    /// Forgets what was read into it.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends the words 1–3 of the next continuation slot.
    pub fn push_part(&mut self, words: [u64; 3]) {
        for word in words {
            self.put_word(word);
        }
    }

    /// `put` of eight bytes, without a call to memcpy.
    #[inline(always)]
    fn put_word(&mut self, word: u64) {
        let room = self
            .bytes
            .get_mut(self.len..)
            .and_then(|r| r.first_chunk_mut());
        if let Some(room) = room {
            *room = word.to_le_bytes();
            self.len += 8;
        }
    }

    /// Takes it apart: who, y, text. `None` if the length does not fit, which no producer writes.
    pub fn read(&self, has_who: bool, has_y: bool) -> Option<(u64, Option<u64>, &[u8])> {
        let bytes = self.bytes.get(..self.len)?;
        let mut at = 0;
        let mut who = 0;
        if has_who {
            who = u64_at(bytes, at)?;
            at += 8;
        }
        let mut y = None;
        if has_y {
            y = Some(u64_at(bytes, at)?);
            at += 8;
        }
        let len = bytes.get(at..at + 2)?;
        let len = u16::from_le_bytes([*len.first()?, *len.get(1)?]) as usize;
        if len > MAX_TEXT {
            return None;
        }
        Some((who, y, bytes.get(at + 2..at + 2 + len)?))
    }
}

/// Where to cut `text` so that at most `room` bytes stay and no character is split.
pub fn cut(text: &[u8], room: usize) -> usize {
    if text.len() <= room {
        return text.len();
    }
    let mut len = room;
    // A byte 10xxxxxx continues the character before it; no character is longer than four bytes.
    while len > room.saturating_sub(3) && text.get(len).is_some_and(|b| b & 0xc0 == 0x80) {
        len -= 1;
    }
    if text.get(len).is_some_and(|b| b & 0xc0 == 0x80) {
        room
    } else {
        len
    }
}

/// The words of the one continuation slot of a record that has a `y` and no text.
pub fn only_y(y: u64) -> [u64; 3] {
    [y, 0, 0]
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_slot_comes_back() {
        let r = Rec {
            ticks: 7,
            arg: u64::MAX,
            y: None,
            fd: -1,
            x: i32::MIN,
            aux: 3,
            site: u16::MAX,
            kind: Kind::RunEnd,
            flags: flags::LEFT,
        };
        assert_eq!(unfront(front(&r).words), Ok(r));
    }

    #[test]
    fn an_io_keeps_its_duration_in_one_slot() {
        let io = |arg, ticks| Rec {
            kind: Kind::Io,
            arg,
            y: Some(ticks),
            ..Rec::default()
        };
        for (asked, ticks) in [(0, 0), (4096, 1), (u32::MAX as u64, u32::MAX as u64)] {
            let f = front(&io(asked, ticks));
            assert_eq!(f.y, None);
            assert_eq!(unfront(f.words), Ok(io(asked, ticks)));
        }
        let long = unfront(front(&io(1 << 40, (1 << 40) + 5)).words).unwrap();
        assert_eq!(
            (long.arg, long.y, long.flags),
            (u32::MAX as u64, Some(1 << 40), 0)
        );
    }

    #[test]
    fn text_is_cut_at_a_character() {
        let text = "€".repeat(100);
        let (p, was_cut) = Payload::new(Some(9), Some(8), text.as_bytes());
        assert!(was_cut);
        let mut back = Payload::empty();
        for i in 0..p.parts() {
            back.push_part(p.part(i));
        }
        let (who, y, got) = back.read(true, true).unwrap();
        assert_eq!((who, y), (9, Some(8)));
        assert_eq!(core::str::from_utf8(got).unwrap(), "€".repeat(85));
    }

    #[test]
    fn a_length_beyond_the_slots_is_refused() {
        let mut p = Payload::empty();
        p.push_part([200, 0, 0]);
        assert_eq!(p.read(false, false), None);
    }
}
