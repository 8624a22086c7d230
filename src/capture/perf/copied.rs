//! A sample that brought the thread's registers and a copy of its stack: the calls it was inside of. Step: **event** → ring.
//!
//! Frame pointers miss the caller of a function that sets up no frame (a leaf; what lies in a libc built without them), and in a
//! program without them they lead nowhere. So the copy is what counts, as far as it reaches; frame pointers go on behind its end.
#![forbid(unsafe_code)]

use super::look::Stack;
use super::record::{FRAMES, Record, Said};
use super::stacks::World;
use super::walk::walk;
use crate::symbols::unwind::{Registers, Step};

/// Bytes of a stack that a sample brings, from its end on.
pub const BYTES: usize = 8 << 10;

/// What a sample brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Where the thread was.
    pub pc: u64,
    /// Its registers.
    pub registers: Registers,
    /// The end of its stack.
    pub stack: Stack,
}

/// The record with the calls that its copy tells of, if it brought one.
pub fn unwound(record: Record, world: &mut dyn World) -> Record {
    let Record { time, who, said } = record;
    let said = match said {
        Said::Copied(kernel, chain, copied) => {
            let Copied {
                pc,
                registers,
                ref stack,
            } = *copied;
            let pid = (who >> 32) as u32;
            world.ran(pid, pc);
            let (frames, last) = walk(pid, pc, registers, stack, world);
            Said::Stack(kernel, better(chain, frames, last == Step::End))
        }
        other => other,
    };
    Record { time, who, said }
}

/// Of what frame pointers tell and what the copy does (`whole`: up to the first function of all), what is nearer to the truth.
fn better(chain: Box<[u64]>, mut walked: Vec<u64>, whole: bool) -> Box<[u64]> {
    let outermost = walked.last().copied();
    if !whole && let Some(at) = chain.iter().position(|frame| Some(*frame) == outermost) {
        // They meet where the copy ends.
        let room = FRAMES.saturating_sub(walked.len());
        walked.extend(chain.iter().skip(at + 1).take(room));
    }
    match whole || walked.len() >= chain.len() {
        true => walked.into(),
        false => chain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::modules::Modules;
    use std::collections::HashSet;

    /// Stacks and registers of anything, most of it likely: code of ours and of libraries, places on the stack, small numbers.
    #[test]
    fn whatever_a_stack_holds_its_walk_ends() {
        let mut seed = 1u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let code = [
            better as fn(_, _, _) -> _ as usize as u64,
            libc::malloc as *const () as usize as u64,
            libc::clock_gettime as *const () as usize as u64,
        ];
        let who = u64::from(std::process::id()) << 32;
        let (mut modules, mut lengths) = (Modules::default(), HashSet::new());
        for round in 0..2000 {
            let sp = match random() % 8 {
                0 => random(),
                1 => u64::MAX - random() % 64,
                _ => 0x7ffc_0000_0000 + random() % 4096,
            };
            let mut likely = || match random() % 6 {
                0 => random(),
                1 => random() % 4096,
                2 => sp.wrapping_add(random() % BYTES as u64),
                at => code[at as usize - 3].wrapping_add(random() % 512),
            };
            let words: Vec<u8> = (0..round % (BYTES / 8))
                .flat_map(|_| likely().to_ne_bytes())
                .collect();
            let mut registers = Registers::at(sp);
            for number in [3, 6, 12, 13, 14, 15] {
                registers.set(number, likely());
            }
            let chain: Box<[u64]> = (0..round % 70).map(|_| likely()).take(FRAMES).collect();
            let copied = Copied {
                pc: likely(),
                registers,
                stack: Stack::new(sp, &words[..words.len().saturating_sub(round % 8)]),
            };
            let said = Said::Copied(false, chain, Box::new(copied));
            let record = unwound(Record { time: 1, who, said }, &mut modules);
            let Said::Stack(false, frames) = record.said else {
                panic!("{record:?}");
            };
            assert!(frames.len() <= FRAMES);
            lengths.insert(frames.len());
        }
        // It was no walk of one step each time.
        assert!(lengths.len() > 8, "{lengths:?}");
    }

    #[test]
    fn what_reaches_further_counts() {
        let better = |chain: &[u64], walked: &[u64], whole| {
            Vec::from(better(chain.into(), walked.to_vec(), whole))
        };
        // Frame pointers miss a leaf's caller, and say more than there is by chance.
        assert_eq!(better(&[1, 3, 4], &[1, 2, 3, 4], true), [1, 2, 3, 4]);
        assert_eq!(better(&[1, 70, 80], &[1, 2], true), [1, 2]);
        // The copy ends: they go on where they meet.
        assert_eq!(better(&[1, 3, 4, 5], &[1, 2, 3], false), [1, 2, 3, 4, 5]);
        assert_eq!(better(&[1, 70], &[1, 2, 3], false), [1, 2, 3]);
        // Nothing is written down of a program that makes its code as it goes.
        assert_eq!(better(&[1, 3, 4, 5], &[1, 2], false), [1, 3, 4, 5]);
        assert_eq!(better(&[1, 2], &[1], false), [1, 2]);
        assert!(better(&[], &[], false).is_empty());
        let deep: Vec<u64> = (1..=FRAMES as u64).collect();
        assert_eq!(better(&deep, &[7, 9, 1], false).len(), FRAMES);
    }
}
