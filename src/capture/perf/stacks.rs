//! Stacks as a tree: a place in the code under the place that called it, each told once a process. Step: event → **ring →
//! trace**.
//!
//! A sample is one number then, that of its innermost place. Where addresses come from frame pointers, a program without
//! them gives the innermost one and chance: so a stack ends before the first address that lies in no file that is mapped there.
#![forbid(unsafe_code)]

use crate::record::event::{MAX_TEXT, Space};
use crate::symbols::unwind::{Registers, Step};
use std::collections::HashMap;

/// Places told of a process; beyond, a stack ends at the last one that has been.
const MOST: i32 = 32_768;
/// Places and addresses remembered of all processes; beyond, all are forgotten and told anew.
const MOST_KNOWN: usize = 262_144;

/// Who says what lies at an address.
pub trait World {
    /// The place of an address in a process, as a site's name has it; nothing where no file is mapped.
    fn place(&mut self, pid: u32, address: u64) -> Option<Vec<u8>>;
    /// Number and name of the module that the last place lies in, if nobody was told of it before.
    fn module(&mut self) -> Option<(i32, Vec<u8>)>;
    /// From a place to its caller, as its module's unwind tables have it: the registers become the caller's.
    fn caller(
        &mut self,
        pid: u32,
        address: u64,
        registers: &mut Registers,
        stack: &dyn Fn(u64) -> Option<u64>,
    ) -> Step;
    /// A thread has been there: something is mapped, even if nobody knew.
    fn ran(&mut self, pid: u32, address: u64);
    /// The address lies in the shim.
    fn is_ours(&mut self, pid: u32, address: u64) -> bool;
}

/// Takes a name that has not been told: its space, its number, its text.
pub type Tell<'a> = dyn FnMut(Space, i32, &[u8]) + 'a;

/// What has been told.
#[derive(Debug, Default)]
pub struct Stacks {
    /// The number of a place, by process, its caller's number and its address.
    known: HashMap<(u32, i32, u64), i32>,
    /// The texts of places.
    places: HashMap<(u32, u64), Box<[u8]>>,
    /// The last number given in a process. None is given again, whatever the process becomes.
    last: HashMap<u32, i32>,
}

impl Stacks {
    /// Another program runs in a process.
    pub fn changed(&mut self, pid: u32) {
        self.known.retain(|(of, ..), _| *of != pid);
        self.places.retain(|(of, _), _| *of != pid);
    }

    /// The number of a stack, innermost address first; 0 where nothing is known of it.
    pub fn id(
        &mut self,
        pid: u32,
        stack: &[u64],
        world: &mut dyn World,
        tell: &mut Tell<'_>,
    ) -> i32 {
        if self.known.len() + self.places.len() >= MOST_KNOWN {
            self.known.clear();
            self.places.clear();
        }
        // All but the innermost are where a call returns to: the call ends a byte before.
        let inner = stack.iter().take(1).copied();
        let outer = stack.iter().skip(1).map(|address| address.wrapping_sub(1));
        let mut addresses = Vec::with_capacity(stack.len());
        for address in inner.chain(outer) {
            if !self.is_place(pid, address, world, tell) {
                break;
            }
            addresses.push(address);
        }
        let mut id = 0;
        for address in addresses.into_iter().rev() {
            match self.under(pid, id, address, tell) {
                Some(new) => id = new,
                None => break,
            }
        }
        id
    }

    /// Whether a file is mapped at this address; its place is known then.
    fn is_place(
        &mut self,
        pid: u32,
        address: u64,
        world: &mut dyn World,
        tell: &mut Tell<'_>,
    ) -> bool {
        if self.places.contains_key(&(pid, address)) {
            return true;
        }
        let Some(place) = world.place(pid, address) else {
            return false;
        };
        if let Some((id, module)) = world.module() {
            tell(Space::Module, id, &module);
        }
        self.places.insert((pid, address), place.into());
        true
    }

    /// The number of a place under its caller's.
    fn under(&mut self, pid: u32, caller: i32, address: u64, tell: &mut Tell<'_>) -> Option<i32> {
        if let Some(known) = self.known.get(&(pid, caller, address)) {
            return Some(*known);
        }
        let last = self.last.entry(pid).or_default();
        let place = self.places.get(&(pid, address))?;
        let text = [format!("{caller} ").as_bytes(), place].concat();
        if *last >= MOST || text.len() > MAX_TEXT {
            return None;
        }
        *last += 1;
        tell(Space::Stack, *last, &text);
        self.known.insert((pid, caller, address), *last);
        Some(*last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything below 1000 is in a file of which nobody has been told.
    struct Below1000(bool);

    impl World for Below1000 {
        fn place(&mut self, _: u32, address: u64) -> Option<Vec<u8>> {
            (address < 1000).then(|| format!("a+{address:#x}").into_bytes())
        }
        fn module(&mut self) -> Option<(i32, Vec<u8>)> {
            std::mem::replace(&mut self.0, true).then_some((1, b"- /a".to_vec()))
        }
        fn caller(
            &mut self,
            _: u32,
            _: u64,
            _: &mut Registers,
            _: &dyn Fn(u64) -> Option<u64>,
        ) -> Step {
            Step::Unknown
        }
        fn ran(&mut self, _: u32, _: u64) {}
        fn is_ours(&mut self, _: u32, _: u64) -> bool {
            false
        }
    }

    fn ids(stacks: &mut Stacks, all: &[(u32, &[u64])]) -> (Vec<i32>, Vec<(Space, i32, String)>) {
        let mut told = Vec::new();
        let mut tell = |space, id, text: &[u8]| {
            told.push((space, id, String::from_utf8_lossy(text).into_owned()));
        };
        let ids = (all.iter())
            .map(|(pid, stack)| stacks.id(*pid, stack, &mut Below1000(true), &mut tell))
            .collect();
        (ids, told)
    }

    #[test]
    fn each_place_is_told_once_under_its_caller() {
        let mut stacks = Stacks::default();
        let deep: &[u64] = &[16, 33, 49];
        let (got, told) = ids(
            &mut stacks,
            &[(1, deep), (1, deep), (1, &[17, 33, 49]), (2, &[16])],
        );
        assert_eq!(got, [3, 3, 4, 1]);
        let stack = |told: &[(Space, i32, String)]| {
            let all = told.iter().filter(|(space, ..)| *space == Space::Stack);
            all.map(|(_, id, text)| format!("{id}: {text}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            stack(&told),
            [
                "1: 0 a+0x30",
                "2: 1 a+0x20",
                "3: 2 a+0x10",
                "4: 2 a+0x11",
                "1: 0 a+0x10"
            ]
        );
        assert!(told.contains(&(Space::Module, 1, "- /a".to_owned())));
        // Another program: the same addresses are others, with numbers of their own.
        stacks.changed(1);
        let (got, told) = ids(&mut stacks, &[(1, &[16]), (2, &[16])]);
        assert_eq!(
            (got, stack(&told)),
            (vec![5, 1], vec!["5: 0 a+0x10".to_owned()])
        );
    }

    #[test]
    fn what_lies_behind_chance_is_no_caller() {
        let mut stacks = Stacks::default();
        let (got, _) = ids(
            &mut stacks,
            &[(1, &[16, 5000, 33]), (1, &[16]), (1, &[5000, 16]), (1, &[])],
        );
        assert_eq!(got, [1, 1, 0, 0]);
    }

    #[test]
    fn there_is_an_end_to_what_is_told() {
        let mut stacks = Stacks::default();
        stacks.last.insert(1, MOST - 1);
        let (got, told) = ids(&mut stacks, &[(1, &[16, 33, 49])]);
        // The outermost one still is.
        let stacks = told.iter().filter(|(space, ..)| *space == Space::Stack);
        assert_eq!((got, stacks.count()), (vec![MOST], 1));
    }
}
