//! One record of a perf ring: what it says, out of bytes that are checked. Step: event → **ring** → trace.
#![forbid(unsafe_code)]

use super::copied::{BYTES, Copied};
use super::look::Stack;
use crate::record::event::Off;
use crate::symbols::unwind::Registers;
use perf_event_open_sys::bindings as perf;

/// Bytes of a record's header: type (4), misc (2), size (2).
pub const HEADER: usize = 8;

/// Calls that are kept of a stack, the innermost ones.
pub const FRAMES: usize = 64;

/// From here on a number in a stack is none of an address: PERF_CONTEXT_MAX, −4095.
const CONTEXTS: u64 = -4095i64 as u64;

/// The longest record that may say anything to us is one with a deep stack; the kernel says here and there what its parts are.
const LONGEST: usize = HEADER + (FRAMES + 16) * 8;
/// With the registers, how they are told, and a copy with its two lengths.
const LONGEST_COPY: usize = LONGEST + (REGISTERS.len() + 3) * 8 + BYTES;

/// What a ring's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Page faults, with their address.
    Faults,
    /// What a clock found, with the calls that led there.
    Stacks,
    /// The same, with the registers and a copy of the stack.
    Copies,
    /// The registers at a breakpoint.
    Registers,
}

impl Samples {
    /// The longest record that is read; longer ones are passed over.
    pub fn longest(self) -> usize {
        match self {
            Samples::Copies => LONGEST_COPY,
            _ => LONGEST,
        }
    }
}

/// The registers asked for: the bit by which perf_event_open(2) calls each, in the order in which they are told, and
/// its number in DWARF; the program counter has none.
#[cfg(target_arch = "x86_64")]
pub const REGISTERS: [(u32, Option<u16>); 8] = [
    (1, Some(3)),
    (6, Some(6)),
    (7, Some(7)),
    (8, None),
    (20, Some(12)),
    (21, Some(13)),
    (22, Some(14)),
    (23, Some(15)),
];
/// Nobody asks for any.
#[cfg(not(target_arch = "x86_64"))]
pub const REGISTERS: [(u32, Option<u16>); 0] = [];

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The thread left its CPU; it could have gone on if it was pre-empted.
    Out {
        /// It was still runnable.
        preempted: bool,
    },
    /// The thread is on its CPU again.
    In,
    /// The same, and it was seen what it was off its CPU for. We say so, not the kernel.
    Back(Off),
    /// It met a page fault in user code, at this address.
    Fault(u64),
    /// A clock found it on its CPU, inside of the kernel or in user code, there and called from there, and so on outwards.
    Stack(bool, Box<[u64]>),
    /// The same with a copy of its stack, which is to be unwound.
    Copied(bool, Box<[u64]>, Box<Copied>),
    /// It went on there, with these registers.
    Stopped(u64, Box<Registers>),
    /// It has slept for so many nanoseconds, there and called from there, and so on outwards. We say so, not the kernel.
    Slept(u64, Box<[u64]>),
    /// The ring had no room for this many records.
    Lost(u64),
}

/// A record with its stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// CLOCK_MONOTONIC.
    pub time: u64,
    /// The thread, as `tid | pid << 32`.
    pub who: u64,
    /// What it says.
    pub said: Said,
}

/// The size of the record whose header this is; nothing when it is none.
pub fn size(header: &[u8; HEADER]) -> Option<usize> {
    let size = usize::from(u16::from_ne_bytes([header[6], header[7]]));
    (size >= HEADER && size.is_multiple_of(8)).then_some(size)
}

/// Reads one record; nothing for one of a kind that we did not ask for, or that is too short for what it is.
pub fn read(bytes: &[u8], samples: Samples) -> Option<Record> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
    let misc = u32::from(u16::from_ne_bytes([header[4], header[5]]));
    let word = |at: usize| {
        let bytes = bytes.get(HEADER + at * 8..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    };
    // Who and when: pid and tid (4 bytes each), the time. The first fields of a sample, the last of anything else.
    let at = |at: usize, said: Said| {
        let ids = word(at)?.to_ne_bytes();
        let [pid, tid] = [
            [ids[0], ids[1], ids[2], ids[3]],
            [ids[4], ids[5], ids[6], ids[7]],
        ];
        let [pid, tid] = [pid, tid].map(u32::from_ne_bytes);
        Some(Record {
            time: word(at + 1)?,
            who: u64::from(tid) | u64::from(pid) << 32,
            said,
        })
    };
    match kind {
        perf::PERF_RECORD_SWITCH if misc & perf::PERF_RECORD_MISC_SWITCH_OUT != 0 => {
            let preempted = misc & perf::PERF_RECORD_MISC_SWITCH_OUT_PREEMPT != 0;
            at(0, Said::Out { preempted })
        }
        perf::PERF_RECORD_SWITCH => at(0, Said::In),
        perf::PERF_RECORD_SAMPLE => match samples {
            Samples::Faults => at(0, Said::Fault(word(2)?)),
            Samples::Registers => {
                let (pc, registers) = registers(&word, 2)?;
                at(0, Said::Stopped(pc, Box::new(registers)))
            }
            Samples::Stacks | Samples::Copies => {
                let count = usize::try_from(word(2)?).ok()?;
                let last = bytes.get(..HEADER + (count.min(FRAMES + 8) + 3) * 8)?;
                let frames = last[HEADER + 24..].chunks_exact(8).map(|bytes| {
                    let bytes = bytes.first_chunk().copied().unwrap_or_default();
                    u64::from_ne_bytes(bytes)
                });
                // What is no address says what the addresses after it are.
                let frames = frames.filter(|frame| *frame < CONTEXTS).take(FRAMES);
                let frames = frames.collect();
                let kernel =
                    misc & perf::PERF_RECORD_MISC_CPUMODE_MASK == perf::PERF_RECORD_MISC_KERNEL;
                let copied = (samples == Samples::Copies)
                    .then(|| copied(bytes, &word, count.checked_add(3)?))
                    .flatten();
                at(
                    0,
                    match copied {
                        Some(copied) => Said::Copied(kernel, frames, Box::new(copied)),
                        None => Said::Stack(kernel, frames),
                    },
                )
            }
        },
        // The event's id comes first.
        perf::PERF_RECORD_LOST => at(2, Said::Lost(word(1)?)),
        perf::PERF_RECORD_LOST_SAMPLES => at(1, Said::Lost(word(0)?)),
        _ => None,
    }
}

/// The program counter and the registers that stand from this word on; nothing of a thread that has none of its own, or those of
/// a 32-bit program.
fn registers(word: &impl Fn(usize) -> Option<u64>, at: usize) -> Option<(u64, Registers)> {
    if word(at)? != u64::from(perf::PERF_SAMPLE_REGS_ABI_64) {
        return None;
    }
    let (mut pc, mut registers) = (None, Registers::default());
    for (nth, (_, number)) in REGISTERS.iter().enumerate() {
        let value = word(at + 1 + nth)?;
        match number {
            Some(number) => registers.set(*number, value),
            None => pc = Some(value),
        }
    }
    Some((pc?, registers))
}

/// What stands behind a sample's calls: registers, the room that was left for the copy, the copy, and how much of it there is.
fn copied(bytes: &[u8], word: &impl Fn(usize) -> Option<u64>, at: usize) -> Option<Copied> {
    // More words than a record has are none: so nothing that is counted here is too much.
    word(at)?;
    let (pc, registers) = registers(word, at)?;
    let room_at = at + 1 + REGISTERS.len();
    let room = usize::try_from(word(room_at)?).ok()?;
    let from = HEADER + (room_at + 1) * 8;
    let room = bytes.get(from..)?.get(..room)?;
    let behind = bytes.get(from + room.len()..)?.first_chunk()?;
    let size = usize::try_from(u64::from_ne_bytes(*behind)).ok()?;
    let stack = Stack::new(registers.sp()?, room.get(..size)?);
    Some(Copied {
        pc,
        registers,
        stack,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of this kind with these words behind its header.
    fn bytes(kind: u32, misc: u32, words: &[u64]) -> Vec<u8> {
        let mut out = kind.to_ne_bytes().to_vec();
        out.extend((misc as u16).to_ne_bytes());
        out.extend(((HEADER + words.len() * 8) as u16).to_ne_bytes());
        words.iter().for_each(|w| out.extend(w.to_ne_bytes()));
        out
    }

    /// pid 7, tid 9 as the kernel writes them.
    fn ids() -> u64 {
        let mut ids = [0; 8];
        ids[..4].copy_from_slice(&7u32.to_ne_bytes());
        ids[4..].copy_from_slice(&9u32.to_ne_bytes());
        u64::from_ne_bytes(ids)
    }

    #[test]
    fn each_kind_says_who_when_and_what() {
        let who = 9 | 7 << 32;
        let said = |kind, misc, words: &[u64]| read(&bytes(kind, misc, words), Samples::Faults);
        let record = |time, said| Some(Record { time, who, said });
        let out = perf::PERF_RECORD_MISC_SWITCH_OUT;
        let preempted = out | perf::PERF_RECORD_MISC_SWITCH_OUT_PREEMPT;
        let switch = perf::PERF_RECORD_SWITCH;
        assert_eq!(said(switch, 0, &[ids(), 5]), record(5, Said::In));
        let left = |preempted| Said::Out { preempted };
        assert_eq!(said(switch, out, &[ids(), 6]), record(6, left(false)));
        assert_eq!(said(switch, preempted, &[ids(), 7]), record(7, left(true)));
        let fault = said(perf::PERF_RECORD_SAMPLE, 2, &[ids(), 8, 0x1000]);
        assert_eq!(fault, record(8, Said::Fault(0x1000)));
        let lost = said(perf::PERF_RECORD_LOST, 0, &[77, 3, ids(), 9]);
        assert_eq!(lost, record(9, Said::Lost(3)));
        let samples = said(perf::PERF_RECORD_LOST_SAMPLES, 0, &[4, ids(), 10]);
        assert_eq!(samples, record(10, Said::Lost(4)));
    }

    #[test]
    fn a_stack_is_its_addresses_and_where_it_was_found() {
        let user = -512i64 as u64;
        let stack = |misc, words: &[u64]| {
            let all = [&[ids(), 5, words.len() as u64], words].concat();
            let read = read(
                &bytes(perf::PERF_RECORD_SAMPLE, misc, &all),
                Samples::Stacks,
            );
            read.map(|record| record.said)
        };
        let inside = perf::PERF_RECORD_MISC_KERNEL;
        let of = |kernel, frames: &[u64]| Some(Said::Stack(kernel, frames.into()));
        assert_eq!(stack(2, &[user, 10, 20]), of(false, &[10, 20]));
        assert_eq!(stack(inside, &[user, 30]), of(true, &[30]));
        assert_eq!(stack(2, &[]), of(false, &[]));
        let deep: Vec<u64> = (1..200).collect();
        let Some(Said::Stack(_, kept)) = stack(2, &deep) else {
            panic!("no stack");
        };
        assert_eq!((kept.len(), kept[0]), (FRAMES, 1));
        // More frames are promised than there are bytes.
        for count in [4, u64::MAX, 1 << 60] {
            let words = [ids(), 5, count, 1, 2, 3];
            let short = bytes(perf::PERF_RECORD_SAMPLE, 2, &words);
            assert_eq!(read(&short, Samples::Stacks), None, "{count}");
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_copy_is_as_much_of_the_stack_as_there_was() {
        let read = |words: &[u64]| {
            let bytes = bytes(perf::PERF_RECORD_SAMPLE, 2, words);
            read(&bytes, Samples::Copies).map(|record| record.said)
        };
        let only = |frames: &[u64]| Some(Said::Stack(false, frames.into()));
        // The registers, each its bit's number; room for three words, of which two were there.
        let registers = REGISTERS.map(|(bit, _)| u64::from(bit));
        let before = [ids(), 5, 2, 10, 20];
        let whole = |abi: u64, room: u64, size: u64| {
            let copy = [room, 100, 200, 300, size];
            [&before[..], &[abi], &registers, &copy].concat()
        };
        let Some(Said::Copied(false, frames, copied)) = read(&whole(2, 24, 16)) else {
            panic!("no copy");
        };
        assert_eq!((&*frames, copied.pc), (&[10, 20][..], 8));
        assert_eq!(copied.registers.sp(), Some(7));
        let words = [6, 7, 15, 23].map(|at| copied.stack.word(at));
        assert_eq!(words, [None, Some(100), Some(200), None]);
        // A 32-bit program, a thread of the kernel's.
        assert_eq!(read(&whole(1, 24, 16)), only(&[10, 20]));
        assert_eq!(read(&[&before[..], &[0, 0]].concat()), only(&[10, 20]));
        // More is promised than there is.
        for (room, size) in [
            (24, 25),
            (32, 16),
            (40, 0),
            (u64::MAX, 0),
            (24, u64::MAX),
            (u64::MAX - 150, 8),
        ] {
            assert_eq!(
                read(&whole(2, room, size)),
                only(&[10, 20]),
                "{room} {size}"
            );
        }
        let all = whole(2, 24, 16);
        for cut in 5..all.len() {
            assert_eq!(read(&all[..cut]), only(&[10, 20]), "{cut}");
        }
        for count in [60, u64::MAX, u64::MAX - 2, 1 << 61] {
            let mut all = all.clone();
            all[2] = count;
            assert!(!matches!(read(&all), Some(Said::Copied(..))), "{count}");
        }
    }

    #[test]
    fn what_is_cut_or_strange_says_nothing() {
        let whole = bytes(perf::PERF_RECORD_SAMPLE, 2, &[ids(), 8, 0x1000]);
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut], Samples::Faults), None, "{cut}");
        }
        let strange = |kind| read(&bytes(kind, 0, &[1, 2, 3]), Samples::Stacks);
        assert_eq!(strange(perf::PERF_RECORD_MMAP2), None);
        assert_eq!(strange(u32::MAX), None);
        let size_of = |bytes: u16| {
            let [a, b] = bytes.to_ne_bytes();
            size(&[0, 0, 0, 0, 0, 0, a, b])
        };
        assert_eq!(
            [0, 7, 8, 12, 24].map(size_of),
            [None, None, Some(8), None, Some(24)]
        );
    }
}
