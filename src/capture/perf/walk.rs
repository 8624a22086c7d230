//! The calls that a stopped thread is inside of, from its registers and a copy of its stack. Step: **event** → ring.
#![forbid(unsafe_code)]

use super::look::Stack;
use super::record::FRAMES;
use super::stacks::World;
use crate::symbols::unwind::{Registers, Step};

/// Steps of a walk; those through the shim are not told.
const MOST: usize = FRAMES + 16;

/// The addresses of a stack, the innermost first; and what the last step came to: [`Step::End`] where they are all there are,
/// [`Step::Missing`] where a register that is not known would have led further.
pub fn walk(
    pid: u32,
    pc: u64,
    mut registers: Registers,
    stack: &Stack,
    world: &mut dyn World,
) -> (Vec<u64>, Step) {
    let word = |address| stack.word(address);
    let (mut at, mut out, mut returns) = (pc, Vec::new(), false);
    for _ in 0..MOST {
        if !world.is_ours(pid, at) {
            out.push(at);
        }
        // A return address may be the first of another function.
        let inside = at.wrapping_sub(u64::from(returns));
        let to = match world.caller(pid, inside, &mut registers, &word) {
            Step::Unknown => registers.by_frame_pointer(&word),
            to => to,
        };
        (at, returns) = match to {
            Step::To(next) if out.len() < FRAMES => (next, true),
            Step::Interrupted(next) if out.len() < FRAMES => (next, false),
            last => return (out, last),
        };
    }
    (out, Step::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Functions of 16 bytes: the first needs nothing, the second its frame pointer, what lies above 0x200 is the shim's.
    struct Two;

    impl World for Two {
        fn place(&mut self, _: u32, _: u64) -> Option<Vec<u8>> {
            None
        }
        fn module(&mut self) -> Option<(i32, Vec<u8>)> {
            None
        }
        fn caller(
            &mut self,
            _: u32,
            address: u64,
            registers: &mut Registers,
            _: &dyn Fn(u64) -> Option<u64>,
        ) -> Step {
            let known = registers.clone().by_frame_pointer(&|_| Some(0)) != Step::Missing;
            match address {
                0x100..0x110 => Step::To(0x210),
                0x20f => Step::To(0x120),
                0x11f if known => Step::To(0x130),
                0x11f => Step::Missing,
                _ => Step::End,
            }
        }
        fn ran(&mut self, _: u32, _: u64) {}
        fn is_ours(&mut self, _: u32, address: u64) -> bool {
            address >= 0x200
        }
    }

    #[test]
    fn a_walk_says_whether_a_register_would_lead_further() {
        let stack = Stack::default();
        let mut registers = Registers::at(0x1000);
        let found = walk(1, 0x100, registers, &stack, &mut Two);
        assert_eq!(found, (vec![0x100, 0x120], Step::Missing));
        registers.set(6, 0x2000);
        let found = walk(1, 0x100, registers, &stack, &mut Two);
        assert_eq!(found, (vec![0x100, 0x120, 0x130], Step::End));
    }
}
