//! The program that is about to be exec'd: which sanitizer's library it must have in front of everything, the shim too, or
//! it refuses to start. Step: none of the pipeline; how it goes on.
//!
//! Its file is read by system calls of our own, at most a dozen and never in a program that filters its calls; nothing is
//! allocated, and what makes no sense says nothing.

use core::ffi::{CStr, c_char, c_int};
use core::mem::size_of;

use crate::identity;
use crate::memory::Asked;
use crate::sys::sys_call;

/// How an exec names its program.
#[derive(Clone, Copy)]
pub enum Target {
    /// By its path.
    Path(*const c_char),
    /// By a name that is looked for as execvp(3) does.
    Search(*const c_char),
    /// By an open descriptor.
    Open(c_int),
    /// By a path from a directory.
    At(c_int, *const c_char),
}

const AT_FDCWD: c_int = -100;
const O_RDONLY_CLOEXEC: c_int = 0o2_000_000;
const R_OK: c_int = 4;
const EACCES: isize = -13;
const ENOENT: isize = -2;

/// The run-time libraries that ask to be first.
const RUNTIMES: [&[u8]; 3] = [b"libasan.so", b"libtsan.so", b"libhwasan.so"];
/// Room for the name of one.
pub const NAME: usize = 32;

/// Such a library's name, or nothing.
#[derive(Clone, Copy, Default)]
pub struct Runtime {
    name: [u8; NAME],
    length: usize,
}

impl Runtime {
    /// The bytes of its name; none if there is no need for one.
    pub fn name(&self) -> &[u8] {
        self.name.get(..self.length).unwrap_or(&[])
    }

    /// The library that the program needs in front.
    pub fn of(target: Target) -> Runtime {
        if identity::is_filtered() {
            return Runtime::default();
        }
        let found = match target {
            Target::Path(path) => Opened::at(AT_FDCWD, path),
            Target::At(at, path) => Opened::at(at, path),
            Target::Search(name) => Opened::found(name),
            Target::Open(fd) => return File(fd).runtime().unwrap_or_default(),
        };
        found
            .and_then(|opened| opened.0.runtime())
            .unwrap_or_default()
    }
}

/// Whether a name of a preloaded object is that of such a library.
pub fn is_runtime(name: &[u8]) -> bool {
    RUNTIMES.iter().any(|runtime| name.starts_with(runtime))
}

/// Whether who we are now may read this file: a program that has given up root, or moved its root directory, may not.
pub fn is_readable(path: &[u8; 512]) -> bool {
    if identity::is_filtered() {
        return true;
    }
    // SAFETY: a live array with a zero in it, and no memory written to.
    let answer = unsafe { sys_call!(FACCESSAT, AT_FDCWD, path.as_ptr(), R_OK) };
    !matches!(answer, EACCES | ENOENT)
}

/// A descriptor that is closed when it goes.
struct Opened(File);

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: a descriptor the kernel made for us.
        unsafe { sys_call!(CLOSE, self.0.0) };
    }
}

impl Opened {
    fn at(at: c_int, path: *const c_char) -> Option<Opened> {
        // SAFETY: the program passes this path to the kernel itself, which refuses one it cannot read.
        let fd = unsafe { sys_call!(OPENAT, at, path, O_RDONLY_CLOEXEC, 0) };
        (fd >= 0).then_some(Opened(File(fd as c_int)))
    }

    /// In the first directory of PATH that has it.
    fn found(name: *const c_char) -> Option<Opened> {
        // SAFETY: the program's own, for the length of its call.
        let name = unsafe { Asked::new().string(name)? }.to_bytes();
        if name.contains(&b'/') {
            return Opened::at(AT_FDCWD, name.as_ptr().cast());
        }
        let own = super::environment::own();
        // SAFETY: the program's environment.
        let path = unsafe { crate::start::variable(own, b"PATH") };
        let path = path.map_or(&b"/bin:/usr/bin"[..], CStr::to_bytes);
        path.split(|b| *b == b':').find_map(|directory| {
            let mut whole = [0_u8; 512];
            let length = directory.len() + 1 + name.len();
            let room = whole.get_mut(..length).filter(|_| length < 512)?;
            let (to, rest) = room.split_at_mut_checked(directory.len())?;
            to.copy_from_slice(directory);
            let (slash, rest) = rest.split_first_mut()?;
            *slash = b'/';
            rest.copy_from_slice(name);
            Opened::at(AT_FDCWD, whole.as_ptr().cast())
        })
    }
}

/// An ELF file, 64 bits, little-endian.
#[derive(Clone, Copy)]
struct File(c_int);

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Header {
    ident: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    segments: u64,
    sections: u64,
    flags: u32,
    size: u16,
    segment_size: u16,
    segment_count: u16,
    rest: [u16; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    in_file: u64,
    in_memory: u64,
    align: u64,
}

const SEGMENTS: usize = 16;
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const NEEDED: u64 = 1;
const STRINGS: u64 = 5;
/// Entries of the dynamic section that are looked at: what is needed stands at its beginning.
const ENTRIES: usize = 64;
const LIBRARIES: usize = 16;

impl File {
    /// Fills `to` from this place in the file; how many bytes there were.
    fn read<T>(self, to: &mut T, at: u64) -> usize {
        let size = size_of::<T>();
        // SAFETY: `to` is `size` live bytes, for which any value will do: only plain numbers are read into.
        let got = unsafe { sys_call!(PREAD, self.0, core::ptr::from_mut(to), size, at) };
        usize::try_from(got).unwrap_or(0)
    }

    fn runtime(self) -> Option<Runtime> {
        let mut header = Header::default();
        let whole = self.read(&mut header, 0) == size_of::<Header>();
        // 64 bits, little-endian.
        if !whole || !header.ident.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        if usize::from(header.segment_size) != size_of::<Segment>() {
            return None;
        }
        let mut segments = [Segment::default(); SEGMENTS];
        let read = self.read(&mut segments, header.segments) / size_of::<Segment>();
        let count = read.min(header.segment_count.into());
        let segments = segments.get(..count)?;
        let dynamic = segments.iter().find(|s| s.kind == DYNAMIC)?;
        let mut entries = [[0_u64; 2]; ENTRIES];
        let read = self.read(&mut entries, dynamic.offset) / size_of::<[u64; 2]>();
        let entries = entries.get(..read.min(dynamic.in_file as usize / size_of::<[u64; 2]>()))?;
        let strings = entries.iter().find(|e| e[0] == STRINGS)?[1];
        let holds = |s: &&Segment| {
            s.kind == LOAD && strings >= s.address && strings - s.address < s.in_file
        };
        let load = segments.iter().find(holds)?;
        let strings = (strings - load.address).checked_add(load.offset)?;
        let needed = entries.iter().filter(|e| e[0] == NEEDED).take(LIBRARIES);
        for [_, at] in needed {
            let mut runtime = Runtime::default();
            let got = self.read(&mut runtime.name, strings.checked_add(*at)?);
            let name = runtime.name.get(..got)?;
            let length = name.iter().position(|b| *b == 0);
            if let Some(length) = length.filter(|_| is_runtime(name)) {
                runtime.length = length;
                return Some(runtime);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn ordinary_programs_and_other_files_need_nothing() {
        for path in ["/bin/sh", "/etc/passwd", "/nowhere", "/"] {
            let path = CString::new(path).unwrap();
            assert!(Runtime::of(Target::Path(path.as_ptr())).name().is_empty());
        }
        assert!(Runtime::of(Target::Open(-1)).name().is_empty());
        assert!(is_runtime(b"libasan.so.8") && !is_runtime(b"libc.so.6"));
    }
}
