//! What an ELF file says of itself: interpreter, libraries it needs, symbols it imports and exports. Read from
//! untrusted bytes, by the session before it launches a program, and by build.rs, which checks the shim with it.
//! Step: none of the pipeline; it decides how a program can be recorded.
#![forbid(unsafe_code)]

/// A 64-bit little-endian ELF file.
#[derive(Clone, Copy, Debug)]
pub struct Elf<'a> {
    bytes: &'a [u8],
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const SHT_DYNSYM: u32 = 11;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

impl<'a> Elf<'a> {
    /// The file with these bytes; nothing if it is not a 64-bit little-endian ELF file.
    pub fn parse(bytes: &'a [u8]) -> Option<Elf<'a>> {
        let class_and_order = bytes.get(4..6)?;
        (bytes.starts_with(b"\x7fELF") && class_and_order == [2, 1] && bytes.len() >= 64)
            .then_some(Elf { bytes })
    }

    /// The program interpreter; nothing for a static program or a library.
    pub fn interpreter(&self) -> Option<&'a [u8]> {
        let header = self.programs().find(|p| p.kind == PT_INTERP)?;
        let text = self.slice(header.offset, header.size)?;
        text.split(|b| *b == 0).next()
    }

    /// The names of the libraries it needs (DT_NEEDED).
    pub fn needed(&self) -> Vec<&'a [u8]> {
        let Some(dynamic) = self.programs().find(|p| p.kind == PT_DYNAMIC) else {
            return Vec::new();
        };
        let entries = self.slice(dynamic.offset, dynamic.size).unwrap_or(&[]);
        let pairs = || {
            entries
                .chunks_exact(16)
                .filter_map(|e| Some((u64_at(e, 0)?, u64_at(e, 8)?)))
        };
        let Some(strings) = pairs()
            .find(|(tag, _)| *tag == DT_STRTAB)
            .and_then(|(_, address)| self.offset(address))
        else {
            return Vec::new();
        };
        pairs()
            .filter(|(tag, _)| *tag == DT_NEEDED)
            .filter_map(|(_, name)| self.text(strings.checked_add(name)?))
            .collect()
    }

    /// Dynamic symbols it expects others to define.
    pub fn imports(&self) -> Vec<&'a [u8]> {
        self.symbols(false)
    }

    /// Dynamic symbols it defines.
    pub fn exports(&self) -> Vec<&'a [u8]> {
        self.symbols(true)
    }

    fn symbols(&self, defined: bool) -> Vec<&'a [u8]> {
        let Some(table) = self.sections().find(|s| s.kind == SHT_DYNSYM) else {
            return Vec::new();
        };
        let Some(strings) = self.sections().nth(table.link as usize) else {
            return Vec::new();
        };
        // The first symbol is always the undefined one without a name.
        let symbols = self.slice(table.offset, table.size).unwrap_or(&[]);
        symbols
            .chunks_exact(24)
            .skip(1)
            .filter(|s| u16_at(s, 6).is_some_and(|section| (section != 0) == defined))
            .filter_map(|s| self.text(strings.offset.checked_add(u32_at(s, 0)?.into())?))
            .collect()
    }

    fn programs(&self) -> impl Iterator<Item = Program> + use<'a> {
        let bytes = self.bytes;
        let (at, size, count) = (u64_at(bytes, 32), u16_at(bytes, 54), u16_at(bytes, 56));
        table(bytes, at, size, count, 56).filter_map(|p| {
            Some(Program {
                kind: u32_at(p, 0)?,
                offset: u64_at(p, 8)?,
                address: u64_at(p, 16)?,
                size: u64_at(p, 32)?,
            })
        })
    }

    /// Whether a section has this name.
    pub fn has_section(&self, name: &[u8]) -> bool {
        let names = u16_at(self.bytes, 62).map(usize::from);
        let Some(names) = names.and_then(|at| self.sections().nth(at)) else {
            return false;
        };
        self.sections()
            .filter_map(|s| self.text(names.offset.checked_add(s.name.into())?))
            .any(|found| found == name)
    }

    fn sections(&self) -> impl Iterator<Item = Section> + use<'a> {
        let bytes = self.bytes;
        let (at, size, count) = (u64_at(bytes, 40), u16_at(bytes, 58), u16_at(bytes, 60));
        table(bytes, at, size, count, 64).filter_map(|s| {
            Some(Section {
                name: u32_at(s, 0)?,
                kind: u32_at(s, 4)?,
                offset: u64_at(s, 24)?,
                size: u64_at(s, 32)?,
                link: u32_at(s, 40)?,
            })
        })
    }

    /// Where in the file the byte lies that is loaded at an address.
    fn offset(&self, address: u64) -> Option<u64> {
        let part = self.programs().find(|p| {
            p.kind == PT_LOAD
                && address
                    .checked_sub(p.address)
                    .is_some_and(|into| into < p.size)
        })?;
        part.offset.checked_add(address - part.address)
    }

    fn slice(&self, offset: u64, size: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        self.bytes.get(start..end)
    }

    fn text(&self, offset: u64) -> Option<&'a [u8]> {
        self.bytes
            .get(usize::try_from(offset).ok()?..)?
            .split(|b| *b == 0)
            .next()
    }
}

struct Program {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

struct Section {
    name: u32,
    kind: u32,
    offset: u64,
    size: u64,
    link: u32,
}

/// The entries of a header table that lie inside the file.
fn table(
    bytes: &[u8],
    at: Option<u64>,
    size: Option<u16>,
    count: Option<u16>,
    least: usize,
) -> impl Iterator<Item = &[u8]> + use<'_> {
    let start = at.and_then(|at| usize::try_from(at).ok());
    let size = size.map_or(0, usize::from);
    let whole = start.and_then(|start| bytes.get(start..)).unwrap_or(&[]);
    whole
        .chunks_exact(size.max(least))
        .take(count.map_or(0, usize::from))
        .filter(move |_| size >= least)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_is_read_right() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let elf = Elf::parse(&bytes).unwrap();
        assert!(elf.interpreter().is_some_and(|i| i.starts_with(b"/")));
        assert!(elf.needed().iter().any(|n| n.starts_with(b"libc.so")));
        assert!(elf.imports().contains(&&b"epoll_wait"[..]));
        assert!(!elf.exports().contains(&&b"epoll_wait"[..]));
    }

    #[test]
    fn what_is_cut_or_scribbled_on_is_survived() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let look = |bytes: &[u8]| {
            if let Some(elf) = Elf::parse(bytes) {
                let _ = (elf.interpreter(), elf.needed().len(), elf.imports().len());
            }
        };
        for len in (0..4096).chain([bytes.len() / 2, bytes.len() - 1]) {
            look(&bytes[..len]);
        }
        let mut bad = bytes[..8192.min(bytes.len())].to_vec();
        for at in 4..1024 {
            let before = std::mem::replace(&mut bad[at], 0xff);
            look(&bad);
            bad[at] = before;
        }
        assert!(Elf::parse(b"#!/bin/sh\n").is_none());
    }
}
