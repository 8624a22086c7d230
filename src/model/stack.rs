//! A sample, and its stack out of the tree that its places are named as. Step: **model**.

use super::Model;
use super::facts::Id;
use crate::record::event::Space;

/// Places of a stack at most; a hostile tree may go round.
const DEEPEST: usize = 256;

/// What a thread was found doing: a clock found it on its CPU, or somebody looked at it while it slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub t: u64,
    /// The thread.
    pub thread: Id,
    /// Its process.
    pub process: Id,
    /// What it was doing: a name of [`Space::Stack`](crate::record::event::Space::Stack), 0 not known.
    pub stack: u32,
    /// Nanoseconds it stands for.
    pub ns: u64,
    /// It was inside of the kernel.
    pub in_kernel: bool,
    /// It was not on its CPU but asleep.
    pub asleep: bool,
}

impl Model {
    /// The places of a stack as sites are named, `module+0x…`, the innermost first; none where it is not known.
    pub fn stack(&self, process: Id, stack: u32) -> Vec<&str> {
        let mut places = Vec::new();
        let mut at = stack;
        while at != 0 && places.len() < DEEPEST {
            let name = self.name(process, Space::Stack, at);
            let parts = name.split_once(' ');
            let parts = parts.and_then(|(caller, place)| Some((caller.parse().ok()?, place)));
            let Some((caller, place)) = parts else { break };
            places.push(place);
            at = caller;
        }
        places
    }
}
