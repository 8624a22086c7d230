//! Names of code that a program made while it ran: what it wrote into `/tmp/perf-PID.map`, as perf reads it (node
//! --perf-basic-prof, python -X perf, java with perf-map-agent). Step: … → **view**.
//!
//! A line is `START SIZE NAME`, both numbers in hexadecimal digits. Nothing but its number says whose map it is, and numbers
//! are given again: so it is read at the end of a recording, by the collector, and never later.

use super::{Frame, Module, Place};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// Bytes read of a file, and pieces of code.
const MOST_BYTES: u64 = 64 << 20;
const MOST: usize = 1 << 20;
/// Bytes of a name.
const NAME: usize = 160;

/// A piece of code with a name.
struct Piece<'a> {
    start: u64,
    end: u64,
    name: &'a str,
}

/// The map of a process's own code, as a module.
pub fn module(pid: u32) -> Module {
    Module {
        path: format!("/tmp/{}", file(pid)),
        identity: String::new(),
    }
}

/// What the map of a process is called.
pub fn file(pid: u32) -> String {
    format!("perf-{pid}.map")
}

/// A module of this name is such a map.
pub fn is_map(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or_default();
    let digits = base
        .strip_prefix("perf-")
        .and_then(|b| b.strip_suffix(".map"));
    digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
}

/// The names of the code at these addresses, in their order.
pub(super) fn locate(module: &Module, addresses: &[u64]) -> Vec<Option<Place>> {
    let text = read(&module.path).unwrap_or_default();
    let pieces = pieces(&text);
    let place = |address: &u64| {
        let before = pieces.partition_point(|p| p.start <= *address);
        let piece = pieces.get(before.checked_sub(1)?)?;
        let frame = Frame {
            function: piece.name.to_owned(),
            ..Frame::default()
        };
        (*address < piece.end).then(|| Place {
            frames: vec![frame],
        })
    };
    addresses.iter().map(place).collect()
}

/// The file, if it is ours, or root's, or if we are root and it is anybody's: as perf has it.
fn read(path: &str) -> Option<String> {
    // A pipe or device there would hold us up.
    let mut options = File::options();
    options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    let file = options.open(path).ok()?;
    let meta = file.metadata().ok()?;
    // SAFETY: takes nothing, returns an integer.
    let me = unsafe { libc::geteuid() };
    if !meta.is_file() || me != 0 && meta.uid() != me && meta.uid() != 0 {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// By address; of two pieces at one place the later one.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut all: Vec<Piece<'_>> = text.lines().take(MOST).filter_map(piece).collect();
    all.reverse();
    all.sort_by_key(|p| p.start);
    all.dedup_by_key(|p| p.start);
    all
}

fn piece(line: &str) -> Option<Piece<'_>> {
    let mut fields = line.splitn(3, ' ');
    let mut number = || {
        let digits = fields.next()?;
        u64::from_str_radix(digits.strip_prefix("0x").unwrap_or(digits), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = fields.next()?.trim();
    let end = start.checked_add(size)?;
    let name = name.get(..name.floor_char_boundary(NAME))?;
    (!name.is_empty() && size > 0).then_some(Piece { start, end, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_and_what_came_later_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("perf-7.map");
        let text = "1000 100 old\n2000 10 py::handle /srv/a b.py:3\nnonsense\n3000 0 nothing\n\
                    1000 80 new\nffffffffffffffff 2 beyond\n0x4000 8 LazyCompile:*f";
        std::fs::write(&path, text).unwrap();
        let module = Module {
            path: path.to_str().unwrap().to_owned(),
            identity: String::new(),
        };
        let found = locate(
            &module,
            &[0x1000, 0x107f, 0x1080, 0x200f, 0xfff, 0x3000, 0x4007],
        );
        let names: Vec<_> = (found.iter())
            .map(|place| place.as_ref().map(Place::short))
            .collect();
        let of = |name: &str| Some(name.to_owned());
        let handle = of("py::handle /srv/a b.py:3");
        let jit = of("LazyCompile:*f");
        assert_eq!(names, [of("new"), of("new"), None, handle, None, None, jit]);
        let gone = Module {
            path: "/no/such/perf-7.map".to_owned(),
            ..module
        };
        assert_eq!(locate(&gone, &[0x1000]), [None]);
    }

    #[test]
    fn only_maps_are_called_so() {
        assert!(is_map(&file(12)) && is_map(&module(12).path));
        for other in ["perf-.map", "perf-x.map", "perf-1.maps", "libc.so.6", ""] {
            assert!(!is_map(other), "{other}");
        }
    }
}
