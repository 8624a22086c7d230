//! What mapped files write down of their functions' frames, by which stacks are unwound. Step: **event** → ring.
//!
//! They are the recorded program's, which may have been made to keep us busy: what reading them and going through them takes has a
//! measure. Beyond it a place is not known, and frame pointers are asked.
#![forbid(unsafe_code)]

use crate::symbols::Image;
use crate::symbols::unwind::{Frames, Registers, Step};
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Files remembered; beyond, all are read again.
const MOST: usize = 4096;
/// Bytes held of them; the same.
const MOST_BYTES: usize = 128 << 20;
/// Bytes of the kernel's own code in every process; today it has 8 KiB.
const MOST_VDSO: usize = 256 << 10;
/// What work may take of a processor: this part of the time, and so much at once.
const PART: u32 = 10;
const AT_ONCE: Duration = Duration::from_secs(1);

/// What is mapped where a stack leads.
pub(super) struct Mapped<'a> {
    /// Where.
    pub pid: u32,
    /// The file, or the kernel's name for what is none.
    pub path: &'a [u8],
    /// Its device and inode.
    pub file: &'a [u8],
}

/// A file's, and how it is loaded.
#[derive(Debug)]
struct Table {
    /// Nothing of what is linked at the address 0.
    image: Option<Image>,
    frames: Frames,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Tables {
    known: HashMap<Vec<u8>, Option<Table>>,
    allowance: Allowance,
}

impl Tables {
    /// From the place at this offset of what is mapped to its caller: the registers become the caller's.
    pub(super) fn caller(
        &mut self,
        mapped: &Mapped<'_>,
        offset: u64,
        registers: &mut Registers,
        stack: &dyn Fn(u64) -> Option<u64>,
    ) -> Step {
        let key = [mapped.file, b" ", mapped.path].concat();
        if !self.known.contains_key(&key) {
            let held = self.known.values().flatten();
            let held: usize = held.map(|table| table.frames.size()).sum();
            if held >= MOST_BYTES || self.known.len() >= MOST {
                self.known.clear();
            }
            let Some(table) = self.allowance.spent_on(|| Table::of(mapped)) else {
                return Step::Unknown;
            };
            self.known.insert(key.clone(), table);
        }
        let Some(Some(Table { image, frames })) = self.known.get_mut(&key) else {
            return Step::Unknown;
        };
        let address = match image {
            Some(image) => image.address(offset),
            None => Some(offset),
        };
        match address {
            Some(address) if frames.knows(address) => frames.caller(address, registers, stack),
            Some(address) => {
                let step = || frames.caller(address, registers, stack);
                self.allowance.spent_on(step).unwrap_or(Step::Unknown)
            }
            None => Step::Unknown,
        }
    }
}

impl Table {
    fn of(mapped: &Mapped<'_>) -> Option<Table> {
        match mapped.path {
            [b'/', ..] => by_path(mapped.pid, mapped.path, |path| {
                Some(Table {
                    image: Some(Image::of(path)?),
                    frames: Frames::of(path)?,
                })
            }),
            b"[vdso]" => Some(Table {
                image: None,
                frames: Frames::in_memory(&vdso()?)?,
            }),
            _ => None,
        }
    }
}

/// The kernel's own code in every process: it is the same in ours.
fn vdso() -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (from, to) = line.split_once(' ')?.0.split_once('-')?;
    let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).ok());
    let size = usize::try_from(to?.checked_sub(from?)?).ok()?;
    let mut image = vec![0; Some(size).filter(|size| *size <= MOST_VDSO)?];
    let memory = File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut image, from?).ok()?;
    Some(image)
}

/// What `of` finds in a file, as the process sees it, which may live in a container.
pub(super) fn by_path<T>(pid: u32, path: &[u8], of: impl Fn(&Path) -> Option<T>) -> Option<T> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let below = path.strip_prefix("/").unwrap_or(path);
    let theirs = PathBuf::from(format!("/proc/{pid}/root")).join(below);
    of(&theirs).or_else(|| of(path))
}

/// What work may take.
#[derive(Debug)]
struct Allowance {
    left: Duration,
    at: Instant,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance {
            left: AT_ONCE,
            at: Instant::now(),
        }
    }
}

impl Allowance {
    /// Does it, unless too much has been done.
    fn spent_on<T>(&mut self, work: impl FnOnce() -> T) -> Option<T> {
        let began = Instant::now();
        let earned = began.saturating_duration_since(self.at) / PART;
        self.left = self.left.saturating_add(earned).min(AT_ONCE);
        self.at = began;
        if self.left.is_zero() {
            return None;
        }
        let done = work();
        self.left = self.left.saturating_sub(began.elapsed());
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_has_a_measure() {
        let mut allowance = Allowance::default();
        assert_eq!(allowance.spent_on(|| 7), Some(7));
        // Nothing is left, and nothing is earned in no time.
        allowance.left = Duration::ZERO;
        allowance.at = Instant::now() + AT_ONCE;
        assert_eq!(allowance.spent_on(|| 7), None);
        // In a year no more is earned than is to be spent at once.
        allowance.at = Instant::now();
        if let Some(before) = allowance.at.checked_sub(Duration::from_secs(60)) {
            allowance.at = before;
            assert_eq!(allowance.spent_on(|| 7), Some(7));
            assert!(allowance.left <= AT_ONCE);
        }
    }

    #[test]
    fn the_kernels_own_code_says_how_it_was_called() {
        // Not every kernel has any.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        if maps.contains("[vdso]") {
            assert!(Frames::in_memory(&vdso().unwrap()).unwrap().size() > 0);
        }
        assert!(Frames::in_memory(b"").is_none());
    }
}
