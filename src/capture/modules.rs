//! What is mapped where in the recorded processes: a caller's address becomes a module and an offset in it.
//! Step: **event → ring** (names for the shim's call sites).
//!
//! A process is looked at when it joins, and again when it calls from where nothing was then (a library loaded since). A
//! forked child that is gone before anybody looks calls from where its parent does.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;

/// Processes remembered; beyond, all are forgotten and looked at again.
const MOST: usize = 4096;

/// Executable mappings by process.
#[derive(Default)]
pub(super) struct Modules(HashMap<u32, Vec<Part>>);

/// An executable part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    start: u64,
    end: u64,
    /// Where the file's first byte is mapped, or would be.
    base: u64,
    name: Vec<u8>,
}

impl Modules {
    /// A process has joined, perhaps as another program than before.
    pub(super) fn joined(&mut self, pid: u32) {
        self.keep(pid, look(pid).unwrap_or_default());
    }

    fn keep(&mut self, pid: u32, parts: Vec<Part>) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(pid, parts);
    }

    /// `module+0x…` of the call that returns to this address; the address itself where nothing is known of it. The
    /// offset is that of the byte before, which the call ends with: what it belongs to is the call's line.
    pub(super) fn name(&mut self, pid: u32, parent: u32, address: u64) -> Vec<u8> {
        let at = address.saturating_sub(1);
        if self.find(pid, at).is_none()
            && let Some(parts) = look(pid)
        {
            self.keep(pid, parts);
        }
        let found = self.find(pid, at).or_else(|| self.find(parent, at));
        match found {
            Some(part) => {
                let mut name = part.name.clone();
                name.extend(format!("+{:#x}", at - part.base).bytes());
                name
            }
            None => format!("{address:#x}").into_bytes(),
        }
    }

    fn find(&self, pid: u32, at: u64) -> Option<&Part> {
        let parts = self.0.get(&pid)?;
        parts.iter().find(|p| (p.start..p.end).contains(&at))
    }
}

fn look(pid: u32) -> Option<Vec<Part>> {
    Some(parse(&fs::read(format!("/proc/{pid}/maps")).ok()?))
}

/// The executable mappings of files; their names are the last part of the path, without what ends one that is deleted.
fn parse(maps: &[u8]) -> Vec<Part> {
    maps.split(|b| *b == b'\n')
        .filter_map(|line| {
            // 7f00-7f10 r-xp 00001000 fe:00 1234     /usr/lib/x.so
            let mut fields = line.splitn(6, |b| *b == b' ');
            let range = std::str::from_utf8(fields.next()?).ok()?;
            let (start, end) = range.split_once('-')?;
            let access = fields.next()?;
            let offset = std::str::from_utf8(fields.next()?).ok()?;
            let path = fields.nth(2)?.trim_ascii();
            let (start, end) = (
                u64::from_str_radix(start, 16).ok()?,
                u64::from_str_radix(end, 16).ok()?,
            );
            if access.get(2) != Some(&b'x') || path.first() != Some(&b'/') {
                return None;
            }
            let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
            Some(Part {
                start,
                end,
                base: start.saturating_sub(u64::from_str_radix(offset, 16).ok()?),
                name: path.rsplit(|b| *b == b'/').next()?.to_vec(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_its_module() {
        let maps = b"55e0-55f0 r--p 00000000 fe:00 1  /bin/a b (deleted)\n\
            55f0-5600 r-xp 00000010 fe:00 1  /bin/a b (deleted)\n\
            7000-7100 r-xp 00000000 00:00 0\n\
            7ff0-7fff r-xp 00000000 00:00 0  [vdso]\nnonsense\n";
        let mut modules = Modules::default();
        modules.0.insert(1, parse(maps));
        let mut name = |pid, parent, at| {
            let name = modules.name(pid, parent, at);
            String::from_utf8(name).unwrap()
        };
        // Neither is there to be looked at.
        let gone = u32::MAX;
        assert_eq!(name(gone, 1, 0x55f5), "a b+0x14");
        assert_eq!(name(gone, 1, 0x55f0), "0x55f0");
        assert_eq!(name(gone, 1, 0x7050), "0x7050");
    }

    #[test]
    fn we_find_ourselves() {
        let here = we_find_ourselves as fn() as usize as u64 + 1;
        let name = Modules::default().name(std::process::id(), 0, here);
        let exe = std::env::current_exe().unwrap();
        let own = exe.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            String::from_utf8(name)
                .unwrap()
                .starts_with(&format!("{own}+0x"))
        );
    }
}
