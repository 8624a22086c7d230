//! From a place in a function to the one that called it, by what compilers write down for exceptions (`.eh_frame`): so stacks
//! are told of programs without frame pointers, too. Step: event → **ring** → trace.
//!
//! The file is nobody's that is trusted, the stack is the program's: whatever they say, a step up is a step towards the
//! stack's beginning, and nothing outside of the stack's copy is looked at. For x86-64.

use super::bytes::Bytes;
use super::find::Elf;
use addr2line::gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Register, RegisterRule,
    UnwindContext, UnwindSection,
};
use object::{Object, ObjectSection};
use std::path::Path;

/// The largest section taken into memory.
const MOST: u64 = 32 << 20;
/// The largest one that is searched without a table.
const SEARCHED: usize = 1 << 20;

/// Numbers of x86-64's registers.
const RBX: u16 = 3;
const RBP: u16 = 6;
const RSP: u16 = 7;
const R12: u16 = 12;
const R15: u16 = 15;
const RETURN: Register = Register(16);

/// The registers that a call keeps, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers([Option<u64>; 16]);

/// What a step up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The call returns there.
    To(u64),
    /// Nobody called it.
    End,
    /// It depends on a register that is not known.
    Missing,
    /// Nothing is known of that place.
    Unknown,
}

impl Registers {
    /// Of these nothing but the stack pointer is known.
    pub fn at(sp: u64) -> Registers {
        let mut all = Registers::default();
        all.0[usize::from(RSP)] = Some(sp);
        all
    }

    /// The stack pointer.
    pub fn sp(&self) -> Option<u64> {
        self.get(Register(RSP))
    }

    /// A register by its number in DWARF becomes known.
    pub fn set(&mut self, number: u16, value: u64) {
        if let Some(register) = self.0.get_mut(usize::from(number)) {
            *register = Some(value);
        }
    }

    fn get(&self, register: Register) -> Option<u64> {
        self.0.get(usize::from(register.0)).copied().flatten()
    }

    /// A step up by frame pointers, where nothing else is known.
    pub fn by_frame_pointer(&mut self, stack: &dyn Fn(u64) -> Option<u64>) -> Step {
        let (Some(bp), Some(sp)) = (self.get(Register(RBP)), self.sp()) else {
            return Step::Missing;
        };
        let next = || Some((stack(bp)?, stack(bp.checked_add(8)?)?));
        match next().filter(|_| bp >= sp) {
            Some((_, 0)) => Step::End,
            Some((caller, to)) => {
                *self = Registers::at(bp.wrapping_add(16));
                self.set(RBP, caller);
                Step::To(to)
            }
            None => Step::Unknown,
        }
    }
}

/// What a module says of its functions' frames.
#[derive(Debug)]
pub struct Frames {
    frames: Vec<u8>,
    table: Vec<u8>,
    bases: BaseAddresses,
}

impl Frames {
    /// Of this file; nothing where it says nothing, or too much.
    pub fn of(path: &Path) -> Option<Frames> {
        let bytes = Bytes::open(path)?;
        let elf = Elf::parse(&bytes).ok()?;
        let section = |name| {
            let section = elf.section_by_name(name)?;
            let data = (section.size() <= MOST).then(|| section.data().ok())??;
            Some((section.address(), data.to_vec()))
        };
        let (at, frames) = section(".eh_frame")?;
        let (table_at, table) = section(".eh_frame_hdr").unwrap_or_default();
        let bases = BaseAddresses::default()
            .set_eh_frame(at)
            .set_eh_frame_hdr(table_at);
        Some(Frames {
            frames,
            table,
            bases,
        })
    }

    /// Bytes it holds.
    pub fn size(&self) -> usize {
        self.frames.len() + self.table.len()
    }

    /// From the place at this address of the file to its caller: the registers become the caller's.
    pub fn caller(
        &self,
        address: u64,
        registers: &mut Registers,
        stack: &dyn Fn(u64) -> Option<u64>,
    ) -> Step {
        let frames = EhFrame::new(&self.frames, LittleEndian);
        let mut context = UnwindContext::new();
        let from = EhFrame::<EndianSlice<'_, LittleEndian>>::cie_from_offset;
        let header = EhFrameHdr::new(&self.table, LittleEndian).parse(&self.bases, 8);
        let row = match header.as_ref().map(|header| header.table()) {
            Ok(Some(table)) => {
                table.unwind_info_for_address(&frames, &self.bases, &mut context, address, from)
            }
            _ if self.frames.len() > SEARCHED => return Step::Unknown,
            _ => frames.unwind_info_for_address(&self.bases, &mut context, address, from),
        };
        let Ok(row) = row else {
            return Step::Unknown;
        };
        let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else {
            return Step::Unknown;
        };
        let (Some(base), Some(sp)) = (registers.get(register), registers.sp()) else {
            return Step::Missing;
        };
        let frame = base.wrapping_add_signed(offset);
        if frame <= sp {
            return Step::Unknown;
        }
        let value = |register: Register| match row.register(register) {
            None | Some(RegisterRule::SameValue) => registers.get(register),
            Some(RegisterRule::Offset(at)) => stack(frame.wrapping_add_signed(at)),
            Some(RegisterRule::ValOffset(at)) => Some(frame.wrapping_add_signed(at)),
            Some(RegisterRule::Register(other)) => registers.get(other),
            _ => None,
        };
        let to = match row.register(RETURN) {
            // The first function of all says so.
            Some(RegisterRule::Undefined) => return Step::End,
            _ => value(RETURN),
        };
        let mut callers = Registers::at(frame);
        for kept in [RBX, RBP].into_iter().chain(R12..=R15) {
            callers.0[usize::from(kept)] = value(Register(kept));
        }
        *registers = callers;
        match to {
            Some(0) => Step::End,
            Some(to) => Step::To(to),
            None => Step::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_pointer_leads_up_and_never_down() {
        let words = [(100, 200), (108, 7), (200, 50), (208, 9)];
        let stack = |at: u64| words.iter().find(|(a, _)| *a == at).map(|(_, word)| *word);
        let mut all = Registers::at(90);
        assert_eq!(all.by_frame_pointer(&stack), Step::Missing);
        all.set(RBP, 100);
        assert_eq!(all.by_frame_pointer(&stack), Step::To(7));
        assert_eq!(all.sp(), Some(116));
        assert_eq!(all.by_frame_pointer(&stack), Step::To(9));
        // Its caller's frame would lie below.
        assert_eq!(all.by_frame_pointer(&stack), Step::Unknown);
        all.set(u16::MAX, 1);
    }

    #[test]
    fn our_own_frames_are_read_and_nonsense_is_not() {
        let exe = std::env::current_exe().unwrap();
        let frames = Frames::of(&exe).unwrap();
        assert!(frames.size() > 1000);
        let mut registers = Registers::at(0x1000);
        let nowhere = |_| None;
        assert_eq!(
            frames.caller(u64::MAX, &mut registers, &nowhere),
            Step::Unknown
        );
        assert!(Frames::of(Path::new("/proc/self/status")).is_none());
        assert!(Frames::of(Path::new("/nowhere")).is_none());
    }

    #[test]
    fn whatever_a_file_says_a_step_ends() {
        let exe = std::env::current_exe().unwrap();
        let good = Frames::of(&exe).unwrap();
        let mut seed = 1u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let least = good.frames.len().min(4096);
        for _ in 0..200 {
            let mut bad = Frames {
                frames: good.frames[..least].to_vec(),
                table: Vec::new(),
                bases: good.bases.clone(),
            };
            for _ in 0..8 {
                let at = random() as usize % least;
                bad.frames[at] = random() as u8;
            }
            for _ in 0..8 {
                let mut registers = Registers::at(0x1000);
                registers.set(RBP, random());
                let step = bad.caller(random() % (1 << 24), &mut registers, &|at| Some(at));
                // A step leads up or nowhere.
                assert!(!matches!(step, Step::To(_)) || registers.sp() > Some(0x1000));
            }
        }
    }
}
