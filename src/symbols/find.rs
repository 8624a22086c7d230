//! Where a module's debug information lies when it is not in the module: by its build id below /usr/lib/debug, where
//! distributions put it, or in debuginfod's cache; else by its debug link. Step: … → **view**.

use super::bytes::Bytes;
use object::elf::{ELF_NOTE_GNU, FileHeader64, NT_GNU_BUILD_ID, PT_LOAD};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An ELF file of this machine's kind.
pub(super) type Elf<'a> = ElfFile64<'a, Endianness, &'a Bytes>;

/// Below which debug information is kept.
const ROOT: &str = "/usr/lib/debug";

/// Hexadecimal digits of a build id.
pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

/// The build id of a file, empty without one.
pub(super) fn build_id(elf: &Elf<'_>) -> String {
    elf.build_id().ok().flatten().map_or(String::new(), hex)
}

/// What the headers of a program or library tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// What identifies it, as [`super::Module`] has it.
    pub identity: String,
    /// Which bytes of the file are loaded at which address: offset, size, address.
    loads: Vec<(u64, u64, u64)>,
}

impl Image {
    /// Those of this file; nothing for one that is no ELF file, or is not there. Nothing but headers is read.
    pub fn of(path: &Path) -> Option<Image> {
        let bytes = Bytes::open(path)?;
        let data = &bytes;
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let mut image = Image::default();
        for part in header.program_headers(endian, data).ok()? {
            if part.p_type(endian) == PT_LOAD {
                let (offset, size) = part.file_range(endian);
                image.loads.push((offset, size, part.p_vaddr(endian)));
            }
            let Ok(Some(mut notes)) = part.notes(endian, data) else {
                continue;
            };
            while let Ok(Some(note)) = notes.next() {
                if note.name() == ELF_NOTE_GNU && note.n_type(endian) == NT_GNU_BUILD_ID {
                    image.identity = hex(note.desc());
                }
            }
        }
        if image.identity.is_empty() {
            image.identity = changed(path);
        }
        Some(image)
    }

    /// The address that the file gives the byte at this offset, which is how debug information calls it.
    pub fn address(&self, offset: u64) -> Option<u64> {
        self.loads.iter().find_map(|(start, size, address)| {
            let into = offset.checked_sub(*start).filter(|into| into < size)?;
            address.checked_add(into)
        })
    }
}

/// `m` and when the file was last changed.
pub(super) fn changed(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path);
    meta.map_or(String::new(), |m| {
        format!("m{:x}{:08x}", m.mtime(), m.mtime_nsec())
    })
}

/// The file with the debug information of `elf`, which lies at `path`, if it is there and the right one.
pub(super) fn debug(elf: &Elf<'_>, path: &Path) -> Option<Bytes> {
    let id = build_id(elf);
    debug_of(&id).or_else(|| by_link(elf, path, &id))
}

/// The debug information of the file with this build id.
pub(super) fn debug_of(id: &str) -> Option<Bytes> {
    by_build_id(id).into_iter().find_map(|path| {
        let bytes = Bytes::open(&path)?;
        has_id(&bytes, id).then_some(bytes)
    })
}

/// The files a build id leads to.
fn by_build_id(id: &str) -> Vec<PathBuf> {
    let Some((first, rest)) = id.split_at_checked(2).filter(|(_, rest)| rest.len() > 2) else {
        return Vec::new();
    };
    let mut all = vec![PathBuf::from(format!(
        "{ROOT}/.build-id/{first}/{rest}.debug"
    ))];
    let cache = std::env::var_os("DEBUGINFOD_CACHE_PATH").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/debuginfod_client"));
    if let Some(cache) = cache.or_else(home) {
        all.push(cache.join(id).join("debuginfo"));
    }
    all
}

fn has_id(bytes: &Bytes, id: &str) -> bool {
    Elf::parse(bytes).is_ok_and(|elf| build_id(&elf) == id)
}

/// A debug link is a name, looked for in three folders, and a checksum of the whole file.
fn by_link(elf: &Elf<'_>, path: &Path, id: &str) -> Option<Bytes> {
    let (name, crc) = elf.gnu_debuglink().ok().flatten()?;
    let name = Path::new(OsStr::from_bytes(name));
    // A name, not a way to anywhere.
    let name = name.file_name().filter(|only| *only == name.as_os_str())?;
    let folder = path.parent()?;
    let below = Path::new(ROOT).join(folder.strip_prefix("/").unwrap_or(folder));
    [
        folder.join(name),
        folder.join(".debug").join(name),
        below.join(name),
    ]
    .iter()
    .filter(|candidate| *candidate != path)
    .find_map(|candidate| {
        let bytes = Bytes::open(candidate)?;
        let right = match id {
            "" => checksum(candidate) == Some(crc),
            id => has_id(&bytes, id),
        };
        right.then_some(bytes)
    })
}

fn checksum(path: &Path) -> Option<u32> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).ok()?;
    if file.metadata().ok()?.len() > super::bytes::PIECE {
        return None;
    }
    let (mut crc, mut buffer) = (crc32fast::Hasher::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(crc.finalize()),
            n => crc.update(buffer.get(..n)?),
        }
    }
}

/// What several modules' debug information has in common, put into a file of its own (dwz).
pub(super) fn common(elf: &Elf<'_>) -> Option<Bytes> {
    let (name, id) = elf.gnu_debugaltlink().ok().flatten()?;
    let id = hex(id);
    let named = Path::new(OsStr::from_bytes(name));
    // Names are relative to where the debug information lies; distributions name theirs in full.
    let named = named.is_absolute().then(|| named.to_owned());
    named.into_iter().chain(by_build_id(&id)).find_map(|path| {
        let bytes = Bytes::open(&path)?;
        has_id(&bytes, &id).then_some(bytes)
    })
}
