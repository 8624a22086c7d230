//! What is mapped where in the recorded processes: a caller's address becomes a module and an offset in it.
//! Step: **event → ring** (names for the shim's call sites).
//!
//! A process is looked at while it joins, and again when it calls from where nothing was then (a library loaded since). A
//! forked child that is gone before anybody looks calls from where its parent does.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;
#[cfg(feature = "cli")]
use std::time::Duration;

#[cfg(feature = "cli")]
use super::tables::{Mapped, Tables};
#[cfg(feature = "cli")]
use crate::record::event::MAX_TEXT;
#[cfg(feature = "cli")]
use crate::symbols::unwind::{Registers, Step};

/// Processes remembered; beyond, all are forgotten and looked at again.
const MOST: usize = 4096;
/// Modules named in one process; calls from more are not told to be in a file.
#[cfg(feature = "cli")]
const MOST_NAMED: usize = 1024;
/// Places remembered until the end of the recording.
#[cfg(feature = "cli")]
const MOST_PLACES: usize = 16_384;

/// Executable mappings by process.
#[derive(Default)]
pub(super) struct Modules {
    processes: HashMap<u32, Process>,
    /// A module nobody has been told of yet, by its number in its process.
    fresh: Option<(i32, Vec<u8>)>,
    /// What the headers of a file tell, by what the mapping says of it.
    #[cfg(feature = "cli")]
    images: HashMap<Vec<u8>, Option<crate::symbols::Image>>,
    /// What files say of their functions' frames.
    #[cfg(feature = "cli")]
    tables: Tables,
    /// Where calls have come from.
    #[cfg(feature = "cli")]
    places: std::collections::BTreeSet<(crate::symbols::Module, u64)>,
}

#[derive(Default)]
struct Process {
    /// When it was last looked at for an address of a stack.
    #[cfg(feature = "cli")]
    looked: Option<std::time::Instant>,
    parts: Vec<Part>,
    /// The modules named so far, by path.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    // only a session has unmodified programs
    named: Vec<Vec<u8>>,
}

/// An executable mapping, as a rule of a part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    start: u64,
    end: u64,
    /// Where the file's first byte is mapped, or would be.
    base: u64,
    /// The last part of the path, or all of it where another file is called the same.
    name: Vec<u8>,
    path: Vec<u8>,
    /// The file behind the path is this one no longer.
    deleted: bool,
    /// Device and inode.
    file: Vec<u8>,
}

impl Part {
    fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// It is mapped from a file.
    fn is_file(&self) -> bool {
        self.path.first() == Some(&b'/')
    }
}

impl Modules {
    /// A process has joined, perhaps as another program than before; what was mapped then.
    pub(super) fn joined(&mut self, pid: u32, maps: &[u8]) {
        self.keep(pid, parse(maps), Vec::new());
    }

    fn keep(&mut self, pid: u32, parts: Vec<Part>, named: Vec<Vec<u8>>) {
        if self.processes.len() >= MOST {
            self.processes.clear();
        }
        let process = self.processes.entry(pid).or_default();
        (process.parts, process.named) = (parts, named);
    }

    /// `module+0x…` of the call that returns to this address; the address itself where nothing is known of it. The number
    /// is the address that the module's file gives the byte before, which the call ends with: what it belongs to is the
    /// call's line. Of a file that cannot be read it is the offset in it.
    pub(super) fn name(&mut self, pid: u32, parent: u32, address: u64) -> Vec<u8> {
        let at = address.saturating_sub(1);
        self.fresh = None;
        if self.find_file(pid, at).is_none()
            && let Some(parts) = look(pid)
        {
            let named = self.processes.remove(&pid).map(|p| p.named);
            self.keep(pid, parts, named.unwrap_or_default());
        }
        let found = (self.find_file(pid, at)).or_else(|| self.find_file(parent, at));
        let Some(part) = found.cloned() else {
            return format!("{address:#x}").into_bytes();
        };
        self.named(pid, part, at)
    }

    fn named(&mut self, pid: u32, part: Part, at: u64) -> Vec<u8> {
        let offset = at - part.base;
        let place = self.tell(pid, &part, offset).unwrap_or(offset);
        let mut name = part.name;
        name.extend(format!("+{place:#x}").bytes());
        name
    }

    /// The module that the last address lies in, if this process was not told of it before.
    pub(super) fn told(&mut self) -> Option<(i32, Vec<u8>)> {
        self.fresh.take()
    }

    /// Where calls have come from, by module.
    #[cfg(feature = "cli")]
    pub(super) fn places(&self) -> std::collections::BTreeMap<crate::symbols::Module, Vec<u64>> {
        let mut all = std::collections::BTreeMap::<_, Vec<u64>>::new();
        for (module, offset) in &self.places {
            all.entry(module.clone()).or_default().push(*offset);
        }
        all
    }

    /// The address that the file gives this byte of it, the module told if need be.
    #[cfg(feature = "cli")]
    fn tell(&mut self, pid: u32, part: &Part, offset: u64) -> Option<u64> {
        if part.deleted {
            return None;
        }
        if self.images.len() >= MOST {
            self.images.clear();
        }
        let known = self
            .images
            .entry([&part.file, &b" "[..], &part.path].concat());
        let image = known.or_insert_with(|| image(pid, &part.path)).as_ref()?;
        let address = image.address(offset)?;
        let name = [image.identity.as_bytes(), b" ", &part.path].concat();
        if let Some(module) = crate::symbols::Module::parse(&String::from_utf8_lossy(&name)) {
            self.tell_module(pid, &part.path, module, address);
        }
        Some(address)
    }

    /// Remembers a place, and a module that this process was not told of.
    #[cfg(feature = "cli")]
    fn tell_module(&mut self, pid: u32, path: &[u8], module: crate::symbols::Module, address: u64) {
        let name = module.name();
        if name.len() > MAX_TEXT {
            return;
        }
        if self.places.len() < MOST_PLACES {
            self.places.insert((module, address));
        }
        let named = &mut self.processes.entry(pid).or_default().named;
        if named.len() < MOST_NAMED && !named.iter().any(|known| known == path) {
            named.push(path.to_vec());
            self.fresh = Some((named.len() as i32, name.into_bytes()));
        }
    }

    #[cfg(not(feature = "cli"))]
    fn tell(&mut self, _: u32, _: &Part, _: u64) -> Option<u64> {
        None
    }

    fn find(&self, pid: u32, at: u64) -> Option<&Part> {
        let parts = &self.processes.get(&pid)?.parts;
        parts.iter().find(|part| part.holds(at))
    }

    /// The same, of a process that may have mapped more since it was last looked at.
    #[cfg(feature = "cli")]
    fn part(&mut self, pid: u32, address: u64, seldom: Duration) -> Option<&Part> {
        if self.find(pid, address).is_none() {
            // Most such addresses are none: what is mapped is not looked at again for each.
            let process = self.processes.entry(pid).or_default();
            let recently = process.looked.is_some_and(|at| at.elapsed() < seldom);
            if recently {
                return None;
            }
            process.looked = Some(std::time::Instant::now());
            if let Some(parts) = look(pid) {
                process.parts = parts;
            }
        }
        self.find(pid, address)
    }

    /// The same where it is a file's.
    fn find_file(&self, pid: u32, at: u64) -> Option<&Part> {
        self.find(pid, at).filter(|part| part.is_file())
    }
}

#[cfg(feature = "cli")]
impl super::perf::World for Modules {
    fn place(&mut self, pid: u32, address: u64) -> Option<Vec<u8>> {
        self.fresh = None;
        let part = self.part(pid, address, LOOK)?.clone();
        if part.path.is_empty() {
            // Made while the program runs: it may write down what it calls it.
            let module = crate::symbols::jit::module(pid);
            self.tell_module(pid, &module.path.clone().into_bytes(), module, address);
            let name = format!("{}+{address:#x}", crate::symbols::jit::file(pid));
            return Some(name.into_bytes());
        }
        if !part.is_file() {
            // The kernel's own, the vdso.
            return Some(part.name);
        }
        Some(self.named(pid, part, address))
    }

    fn module(&mut self) -> Option<(i32, Vec<u8>)> {
        self.told()
    }

    fn caller(
        &mut self,
        pid: u32,
        address: u64,
        registers: &mut Registers,
        stack: &dyn Fn(u64) -> Option<u64>,
    ) -> Step {
        _ = self.part(pid, address, LOOK);
        // Looked up once more: the tables are to be written to.
        let parts = self.processes.get(&pid).map(|process| &process.parts);
        let part = parts.and_then(|all| all.iter().find(|part| part.holds(address)));
        let Some(part) = part.filter(|part| !part.deleted) else {
            return Step::Unknown;
        };
        let mapped = Mapped {
            pid,
            path: &part.path,
            file: &part.file,
        };
        let offset = address.wrapping_sub(part.base);
        self.tables.caller(&mapped, offset, registers, stack)
    }

    fn ran(&mut self, pid: u32, address: u64) {
        _ = self.part(pid, address, SURE);
    }

    fn is_ours(&mut self, pid: u32, address: u64) -> bool {
        let part = self.find_file(pid, address);
        part.is_some_and(|part| part.name.starts_with(b"preload-"))
    }
}

/// A process is looked at no more often than this for addresses of stacks.
#[cfg(feature = "cli")]
const LOOK: Duration = Duration::from_millis(250);
/// The same for addresses where it is certain that something is mapped: somebody was there.
#[cfg(feature = "cli")]
const SURE: Duration = Duration::from_millis(10);

/// As the process sees the file, which may live in a container.
#[cfg(feature = "cli")]
fn image(pid: u32, path: &[u8]) -> Option<crate::symbols::Image> {
    super::tables::by_path(pid, path, crate::symbols::Image::of)
}

/// What is mapped in a process; nothing of one that is gone.
pub(super) fn maps(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/maps")).unwrap_or_default()
}

fn look(pid: u32) -> Option<Vec<Part>> {
    Some(parse(&maps(pid))).filter(|parts| !parts.is_empty())
}

/// The executable mappings, of files named without what ends the path of one that is deleted.
fn parse(maps: &[u8]) -> Vec<Part> {
    let mut parts: Vec<Part> = maps.split(|b| *b == b'\n').filter_map(part).collect();
    let mut first: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for part in &mut parts {
        let of = first
            .entry(part.name.clone())
            .or_insert_with(|| part.path.clone());
        if part.is_file() && *of != part.path {
            part.name = part.path.clone();
        }
    }
    parts
}

fn part(line: &[u8]) -> Option<Part> {
    // 7f00-7f10 r-xp 00001000 fe:00 1234     /usr/lib/x.so
    let mut fields = line.splitn(6, |b| *b == b' ');
    let range = std::str::from_utf8(fields.next()?).ok()?;
    let (start, end) = range.split_once('-')?;
    let access = fields.next()?;
    let offset = std::str::from_utf8(fields.next()?).ok()?;
    let (device, inode) = (fields.next()?, fields.next()?);
    let path = fields.next().unwrap_or_default().trim_ascii();
    let (start, end) = (
        u64::from_str_radix(start, 16).ok()?,
        u64::from_str_radix(end, 16).ok()?,
    );
    if access.get(2) != Some(&b'x') {
        return None;
    }
    let alive = path.strip_suffix(b" (deleted)");
    let (deleted, path) = (alive.is_some(), alive.unwrap_or(path));
    let name = match path {
        [b'/', ..] => path.rsplit(|b| *b == b'/').next()?,
        // The kernel's own, or nobody's.
        other => other,
    };
    Some(Part {
        start,
        end,
        base: start.saturating_sub(u64::from_str_radix(offset, 16).ok()?),
        name: name.to_vec(),
        path: path.to_vec(),
        deleted,
        file: [device, b" ", inode].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_its_module() {
        let maps = b"55e0-55f0 r--p 00000000 fe:00 1  /bin/a b (deleted)\n\
            55f0-5600 r-xp 00000010 fe:00 1  /bin/a b (deleted)\n\
            6000-6100 r-xp 00000000 fe:00 2  /no/where/x.so\n\
            6200-6300 r-xp 00000000 fe:00 3  /else/where/x.so\n\
            7000-7100 r-xp 00000000 00:00 0\n\
            7ff0-7fff r-xp 00000000 00:00 0  [vdso]\nnonsense\n";
        let mut modules = Modules::default();
        modules.keep(1, parse(maps), Vec::new());
        let mut name = |pid, parent, at| {
            let name = modules.name(pid, parent, at);
            let told = modules
                .told()
                .map(|(id, text)| (id, String::from_utf8(text).unwrap()));
            (String::from_utf8(name).unwrap(), told)
        };
        // Neither is there to be looked at.
        let gone = u32::MAX;
        assert_eq!(name(gone, 1, 0x55f5), ("a b+0x14".to_owned(), None));
        assert_eq!(name(gone, 1, 0x55f0), ("0x55f0".to_owned(), None));
        assert_eq!(name(gone, 1, 0x7050), ("0x7050".to_owned(), None));
        // Two of one name are told apart.
        assert_eq!(name(gone, 1, 0x6011), ("x.so+0x10".to_owned(), None));
        assert_eq!(
            name(gone, 1, 0x6201),
            ("/else/where/x.so+0x0".to_owned(), None)
        );
    }

    #[test]
    fn we_find_ourselves() {
        let here = we_find_ourselves as fn() as usize as u64 + 1;
        let mut modules = Modules::default();
        let name = modules.name(std::process::id(), 0, here);
        let exe = std::env::current_exe().unwrap();
        let own = exe.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            String::from_utf8(name)
                .unwrap()
                .starts_with(&format!("{own}+0x"))
        );
        // The file is told of once.
        #[cfg(feature = "cli")]
        {
            let (id, told) = modules.told().unwrap();
            let told = String::from_utf8(told).unwrap();
            assert!(id == 1 && told.ends_with(exe.to_str().unwrap()), "{told}");
            modules.name(std::process::id(), 0, here + 1);
            assert_eq!(modules.told(), None);
            assert_eq!(modules.places().values().map(Vec::len).sum::<usize>(), 2);
        }
    }
}
