//! A page: the self-delimiting, checksummed unit of a recording file. Step: **trace**.
//!
//! Every page starts with this header of 96 bytes (little endian), followed by its packed payload:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0  | 4  | sync marker `f1 4c 53 0d` |
//! | 4  | 1  | [`PageKind`] |
//! | 5  | 1  | codec of the payload: 0 as is, 1 LZ4 block |
//! | 6  | 2  | version of the payload's coding |
//! | 8  | 4  | segment number |
//! | 12 | 4  | number of events |
//! | 16 | 8  | number of the first event |
//! | 24 | 8  | earliest instant, nanoseconds |
//! | 32 | 8  | latest instant |
//! | 40 | 8  | loop set: bit `epfd % 63` of each loop touched; bit 63 for a loop without an epfd |
//! | 48 | 16 | fd filter: bit `fd % 128` of each descriptor touched |
//! | 64 | 16 | data word filter: bit `(word × 0x9e3779b97f4a7c15) >> 57` of each data word touched |
//! | 80 | 4  | length of the payload unpacked |
//! | 84 | 4  | length of the payload as stored |
//! | 88 | 4  | CRC-32 of the payload as stored |
//! | 92 | 4  | CRC-32 of bytes 0 to 92 followed by the file id (8 bytes) |
//!
//! Pages that hold no events give some fields another meaning; `docs/FORMAT.md` has the table.

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum PageKind {
    /// Numbered events.
    Events = 1,
    /// Events that restate what came before this segment (names, threads, open descriptors); not numbered.
    Restated = 2,
    /// Bytes computed from the events by one version of the model.
    Derived = 3,
    /// Named bytes, such as a demo's source.
    Attachment = 4,
    /// The page table.
    Index = 5,
    /// The footer: the recording is complete.
    End = 6,
}

impl PageKind {
    /// The page kind with this code; nothing for one newer than this version.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Events,
            2 => Self::Restated,
            3 => Self::Derived,
            4 => Self::Attachment,
            5 => Self::Index,
            6 => Self::End,
            _ => return None,
        })
    }

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "event",
            Self::Restated => "restated",
            Self::Derived => "derived",
            Self::Attachment => "attachment",
            Self::Index => "index",
            Self::End => "footer",
        }
    }
}

pub(crate) const SYNC: [u8; 4] = [0xf1, b'L', b'S', 0x0d];
pub(crate) const HEADER: usize = 96;
/// The most events in one page.
pub(crate) const MAX_EVENTS: usize = 64 * 1024;
/// The most bytes an event page may unpack to: every column at its widest plus its text.
pub(crate) const MAX_RAW_EVENTS: usize = 16 << 20;
/// The most bytes any other page may unpack to.
pub(crate) const MAX_RAW: usize = 256 << 20;

/// How the payload is packed.
pub(crate) mod codec {
    pub const PLAIN: u8 = 0;
    pub const LZ4: u8 = 1;
}

/// A page's header as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// The [`PageKind`]'s code, which may be newer than this version.
    pub kind: u8,
    pub codec: u8,
    pub version: u16,
    pub segment: u32,
    pub count: u32,
    pub first_event: u64,
    pub t_first: u64,
    pub t_last: u64,
    pub loops: u64,
    pub fds: u128,
    pub words: u128,
    pub raw: u32,
    pub packed: u32,
    pub crc: u32,
}

pub(crate) fn get32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

pub(crate) fn get64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn get128(bytes: &[u8], at: usize) -> u128 {
    u128::from(get64(bytes, at)) | u128::from(get64(bytes, at + 8)) << 64
}

fn checksum(bytes: &[u8], id: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes);
    hasher.update(&id.to_le_bytes());
    hasher.finalize()
}

impl PageHeader {
    pub fn encode(&self, id: u64) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[0..4].copy_from_slice(&SYNC);
        out[4] = self.kind;
        out[5] = self.codec;
        out[6..8].copy_from_slice(&self.version.to_le_bytes());
        out[8..12].copy_from_slice(&self.segment.to_le_bytes());
        out[12..16].copy_from_slice(&self.count.to_le_bytes());
        out[16..24].copy_from_slice(&self.first_event.to_le_bytes());
        out[24..32].copy_from_slice(&self.t_first.to_le_bytes());
        out[32..40].copy_from_slice(&self.t_last.to_le_bytes());
        out[40..48].copy_from_slice(&self.loops.to_le_bytes());
        out[48..64].copy_from_slice(&self.fds.to_le_bytes());
        out[64..80].copy_from_slice(&self.words.to_le_bytes());
        out[80..84].copy_from_slice(&self.raw.to_le_bytes());
        out[84..88].copy_from_slice(&self.packed.to_le_bytes());
        out[88..92].copy_from_slice(&self.crc.to_le_bytes());
        let crc = checksum(&out[..92], id);
        out[92..96].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header at the start of `bytes`, if its marker and checksum are right.
    pub fn decode(bytes: &[u8], id: u64) -> Option<PageHeader> {
        let bytes = bytes.get(..HEADER)?;
        if bytes[..4] != SYNC || (checksum(&bytes[..92], id) != get32(bytes, 92) && !cfg!(fuzzing))
        {
            return None;
        }
        Some(PageHeader {
            kind: bytes[4],
            codec: bytes[5],
            version: u16::from_le_bytes([bytes[6], bytes[7]]),
            segment: get32(bytes, 8),
            count: get32(bytes, 12),
            first_event: get64(bytes, 16),
            t_first: get64(bytes, 24),
            t_last: get64(bytes, 32),
            loops: get64(bytes, 40),
            fds: get128(bytes, 48),
            words: get128(bytes, 64),
            raw: get32(bytes, 80),
            packed: get32(bytes, 84),
            crc: get32(bytes, 88),
        })
    }

    /// Header plus payload, in bytes.
    pub fn size(&self) -> u64 {
        HEADER as u64 + u64::from(self.packed)
    }

    /// Packs a payload and fills in its lengths and checksum.
    pub fn pack<'a>(&mut self, raw: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        scratch.resize(lz4_flex::block::get_maximum_output_size(raw.len()), 0);
        let packed = match lz4_flex::block::compress_into(raw, scratch) {
            Ok(n) if n < raw.len() => {
                self.codec = codec::LZ4;
                &scratch[..n]
            }
            _ => {
                self.codec = codec::PLAIN;
                raw
            }
        };
        self.raw = raw.len() as u32;
        self.packed = packed.len() as u32;
        self.crc = crc32fast::hash(packed);
        packed
    }

    /// Checks and unpacks a payload into `out`; nothing if it is not what the header says.
    pub fn unpack(&self, packed: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let most = match PageKind::from_code(self.kind) {
            Some(PageKind::Events | PageKind::Restated) => MAX_RAW_EVENTS,
            _ => MAX_RAW,
        };
        let raw = self.raw as usize;
        if packed.len() != self.packed as usize || raw > most {
            return None;
        }
        if crc32fast::hash(packed) != self.crc && !cfg!(fuzzing) {
            return None;
        }
        out.clear();
        match self.codec {
            codec::PLAIN if raw == packed.len() => out.extend_from_slice(packed),
            // LZ4 cannot say more than 255 bytes with one: a length beyond that is a lie, not worth the memory.
            codec::LZ4 if raw <= packed.len().saturating_mul(255) => {
                out.resize(raw, 0);
                let n = lz4_flex::block::decompress_into(packed, out).ok()?;
                if n != raw {
                    return None;
                }
            }
            _ => return None,
        }
        Some(())
    }
}
