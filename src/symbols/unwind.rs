//! From a place in a function to the one that called it, by what compilers write down for exceptions (`.eh_frame`): so stacks
//! are told of programs without frame pointers, too. Step: event → **ring** → trace.
//!
//! The file is nobody's that is trusted, the stack is the program's: whatever they say, a step up is a step towards the
//! stack's beginning, and nothing outside of the stack's copy is looked at. For x86-64.

use super::bytes::Bytes;
use super::find::Elf;
use addr2line::gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EhFrameOffset, Encoding, EndianSlice,
    EvaluationResult, Format, FrameDescriptionEntry, LittleEndian, Location, Register,
    RegisterRule, UnwindContext, UnwindExpression, UnwindSection, Value,
};
use foldhash::fast::RandomState;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use std::collections::HashMap;
use std::path::Path;

/// The largest section taken into memory.
const MOST: u64 = 32 << 20;
/// The largest one that is searched without a table.
const SEARCHED: usize = 1 << 20;
/// The longest entry of a function that is gone through: of 1,321 programs and libraries of a distribution the longest has 20,064 bytes.
const LONGEST: usize = 32 << 10;
/// Terms of a rule that computes; those in use have a dozen.
const TERMS: u32 = 64;
/// Places remembered.
const PLACES: usize = 16_384;

/// Numbers of x86-64's registers.
const RBX: u16 = 3;
const RBP: u16 = 6;
const RSP: u16 = 7;
const R12: u16 = 12;
const R13: u16 = 13;
const R14: u16 = 14;
const R15: u16 = 15;
const RETURN: Register = Register(16);
/// Those that a call keeps, but for the stack pointer.
const KEPT: [u16; 6] = [RBX, RBP, R12, R13, R14, R15];

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a> = FrameDescriptionEntry<Slice<'a>>;

/// The registers that a call keeps, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers([Option<u64>; 16]);

/// What a step up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The call returns there.
    To(u64),
    /// A signal interrupted it there.
    Interrupted(u64),
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
    /// What was found of places.
    known: HashMap<u64, Option<Row>, RandomState>,
}

/// How the caller is found from one place.
#[derive(Clone, Debug)]
struct Row {
    frame: CfaRule<usize>,
    to: Rule,
    /// Of [`KEPT`].
    kept: [Rule; KEPT.len()],
    /// It is what a signal's handler returns to: nobody called it, somebody was interrupted.
    interrupts: bool,
}

type Rule = Option<RegisterRule<usize>>;

/// Where a step stands.
struct At<'a> {
    address: u64,
    registers: &'a Registers,
    stack: &'a dyn Fn(u64) -> Option<u64>,
}

impl Frames {
    /// Of this file; nothing where it says nothing, or too much.
    pub fn of(path: &Path) -> Option<Frames> {
        let bytes = Bytes::open(path)?;
        Frames::in_image(&Elf::parse(&bytes).ok()?)
    }

    /// Of an ELF image that is in memory.
    pub fn in_memory(image: &[u8]) -> Option<Frames> {
        Frames::in_image(&ElfFile64::<Endianness, _>::parse(image).ok()?)
    }

    fn in_image<'a>(elf: &impl Object<'a>) -> Option<Frames> {
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
            known: HashMap::default(),
        })
    }

    /// Bytes it holds.
    pub fn size(&self) -> usize {
        self.frames.len() + self.table.len() + self.known.len() * size_of::<Row>()
    }

    /// Whether a step from this place is a look-up, and no work.
    pub fn knows(&self, address: u64) -> bool {
        self.known.contains_key(&address)
    }

    /// From the place at this address of the file to its caller: the registers become the caller's.
    pub fn caller(
        &mut self,
        address: u64,
        registers: &mut Registers,
        stack: &dyn Fn(u64) -> Option<u64>,
    ) -> Step {
        if !self.known.contains_key(&address) {
            if self.known.len() >= PLACES {
                self.known.clear();
            }
            let row = self.row(address);
            self.known.insert(address, row);
        }
        let Some(Some(row)) = self.known.get(&address) else {
            return Step::Unknown;
        };
        let at = At {
            address,
            registers: &*registers,
            stack,
        };
        let (step, callers) = self.up(row, &at);
        if let Some(callers) = callers {
            *registers = callers;
        }
        step
    }

    /// What is written down of this place.
    fn row(&self, address: u64) -> Option<Row> {
        let frames = EhFrame::new(&self.frames, LittleEndian);
        let entry = self.entry(&frames, address)?;
        if entry.entry_len().max(entry.cie().entry_len()) > LONGEST {
            return None;
        }
        let mut context = UnwindContext::new();
        let row = entry.unwind_info_for_address(&frames, &self.bases, &mut context, address);
        let row = row.ok()?;
        Some(Row {
            frame: row.cfa().clone(),
            to: row.register(RETURN),
            kept: KEPT.map(|kept| row.register(Register(kept))),
            interrupts: entry.is_signal_trampoline(),
        })
    }

    /// The entry of the function that this place is in.
    fn entry<'a>(&self, frames: &EhFrame<Slice<'a>>, address: u64) -> Option<Entry<'a>> {
        let from = EhFrame::<Slice<'a>>::cie_from_offset;
        let header = EhFrameHdr::new(&self.table, LittleEndian).parse(&self.bases, 8);
        let Some(table) = header.as_ref().ok().and_then(|header| header.table()) else {
            let few = self.frames.len() <= SEARCHED;
            return few.then(|| frames.fde_for_address(&self.bases, address, from).ok())?;
        };
        // The numbers in it are the file's: nothing is computed with them that could be too much.
        let count = table.iter(&self.bases).size_hint().0;
        if count == 0 || count > self.table.len() {
            return None;
        }
        let at = table.lookup(address, &self.bases).ok()?.direct().ok()?;
        let at = usize::try_from(at.checked_sub(self.bases.eh_frame.section?)?).ok()?;
        if at >= self.frames.len() {
            return None;
        }
        let entry = frames.fde_from_offset(&self.bases, EhFrameOffset(at), from);
        entry.ok().filter(|entry| entry.contains(address))
    }

    /// The step that a row tells, and the caller's registers.
    fn up(&self, row: &Row, at: &At<'_>) -> (Step, Option<Registers>) {
        let Some(sp) = at.registers.sp() else {
            return (Step::Missing, None);
        };
        let frame = match &row.frame {
            CfaRule::RegisterAndOffset { register, offset } => match at.registers.get(*register) {
                Some(base) => Some(base.wrapping_add_signed(*offset)),
                None => return (Step::Missing, None),
            },
            CfaRule::Expression(by) => self.computed(*by, at, None),
        };
        let Some(frame) = frame.filter(|frame| *frame > sp) else {
            return (Step::Unknown, None);
        };
        let value = |register: Register, rule: &Rule| match rule {
            None | Some(RegisterRule::SameValue) => at.registers.get(register),
            Some(RegisterRule::Offset(by)) => (at.stack)(frame.wrapping_add_signed(*by)),
            Some(RegisterRule::ValOffset(by)) => Some(frame.wrapping_add_signed(*by)),
            Some(RegisterRule::Register(other)) => at.registers.get(*other),
            Some(RegisterRule::Expression(by)) => {
                (at.stack)(self.computed(*by, at, Some(frame))?)
            }
            Some(RegisterRule::ValExpression(by)) => self.computed(*by, at, Some(frame)),
            _ => None,
        };
        // The first function of all says so.
        if row.to == Some(RegisterRule::Undefined) {
            return (Step::End, None);
        }
        let mut callers = Registers::at(frame);
        for (kept, rule) in KEPT.iter().zip(&row.kept) {
            callers.0[usize::from(*kept)] = value(Register(*kept), rule);
        }
        let step = match value(RETURN, &row.to) {
            Some(0) => Step::End,
            Some(to) if row.interrupts => Step::Interrupted(to),
            Some(to) => Step::To(to),
            None => Step::Unknown,
        };
        (step, Some(callers))
    }

    /// What a rule computes that is more than a register and an offset: that of an aligned stack, of a signal's frame, of a
    /// linkage table.
    fn computed(
        &self,
        by: UnwindExpression<usize>,
        at: &At<'_>,
        first: Option<u64>,
    ) -> Option<u64> {
        let frames = EhFrame::new(&self.frames, LittleEndian);
        let encoding = Encoding {
            format: Format::Dwarf32,
            version: 5,
            address_size: 8,
        };
        let mut sum = by.get(&frames).ok()?.evaluation(encoding);
        sum.set_max_iterations(TERMS);
        if let Some(first) = first {
            sum.set_initial_value(first);
        }
        let mut state = sum.evaluate().ok()?;
        loop {
            state = match state {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register, .. } => {
                    let value = match register {
                        RETURN => at.address,
                        other => at.registers.get(other)?,
                    };
                    sum.resume_with_register(Value::Generic(value)).ok()?
                }
                EvaluationResult::RequiresMemory {
                    address, size: 8, ..
                } => {
                    let value = Value::Generic((at.stack)(address)?);
                    sum.resume_with_memory(value).ok()?
                }
                _ => return None,
            };
        }
        let found = match sum.as_result() {
            [piece] => piece.location,
            _ => return None,
        };
        match found {
            Location::Address { address } => Some(address),
            _ => None,
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
        let mut frames = Frames::of(&exe).unwrap();
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
        let table = |bytes: &[u8], most| bytes[..bytes.len().min(most)].to_vec();
        for round in 0..1000 {
            let mut bad = Frames {
                frames: table(&good.frames, 1 << 16),
                table: table(&good.table, 1 << 12),
                bases: good.bases.clone(),
                known: HashMap::default(),
            };
            // Every other time the file has no table to search in.
            bad.table
                .truncate(if round % 2 == 0 { 0 } else { usize::MAX });
            for bytes in [&mut bad.frames, &mut bad.table] {
                // The beginning is what all the rest is read by.
                let most = [16, 4096, usize::MAX][round % 3].min(bytes.len());
                for _ in 0..8.min(most) {
                    bytes[random() as usize % most] = random() as u8;
                }
            }
            for _ in 0..8 {
                let mut registers = Registers::at(0x1000);
                registers.set(RBP, random());
                let step = bad.caller(random() % (1 << 24), &mut registers, &|at| Some(at));
                // A step leads up or nowhere.
                let leads = matches!(step, Step::To(_) | Step::Interrupted(_));
                assert!(!leads || registers.sp() > Some(0x1000));
            }
        }
    }

    /// What gcc, glibc and linkers compute: one register and an offset, a word of memory, a linkage table's `rip & 15 >= 11`.
    #[test]
    fn what_a_rule_computes_is_computed_and_nothing_else_is() {
        let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        let rules: [(&[u8], u64, Option<u64>); 7] = [
            (&[0x77, 24], 0, Some(0x1018)),
            (&[0x77, 0xa0, 1, 0x06], 0, Some(0x10a1)),
            (&plt, 0x20a, Some(0x1008)),
            (&plt, 0x20b, Some(0x1010)),
            // A register that is not known, for ever, too little to add.
            (&[0x73, 0], 0, None),
            (&[0x2f, 0xfd, 0xff], 0, None),
            (&[0x22], 0, None),
        ];
        for (rule, address, expected) in rules {
            let frames = Frames {
                frames: rule.to_vec(),
                table: Vec::new(),
                bases: BaseAddresses::default(),
                known: HashMap::default(),
            };
            let at = At {
                address,
                registers: &Registers::at(0x1000),
                stack: &|at| Some(at + 1),
            };
            let by = UnwindExpression {
                offset: 0,
                length: rule.len(),
            };
            assert_eq!(frames.computed(by, &at, None), expected, "{rule:x?}");
        }
    }
}
