//! The preload shim on its way into a program: embedded, put into a file of ours, named in LD_PRELOAD.
//! Step: none of the pipeline; it makes unmodified programs push events into the rings.
//!
//! The file is named by its content's hash and shared by all recordings of a user. It stays where it is when a
//! recording ends, because programs that outlive it, and whom they start, still carry its name in LD_PRELOAD.

use super::elf::Elf;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The shim; empty where build.rs knows none for the target.
static SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/loopscope.so"));

/// Why there is no shim to preload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Built for a target without one.
    #[error(
        "this loopscope was built without the preload shim; only programs that link the library can be recorded"
    )]
    None,
    /// No place for it.
    #[error(
        "cannot write the preload shim to {0}; set XDG_CACHE_HOME or TMPDIR to a directory you own, without spaces in \
         its name, on a file system that allows programs (no noexec)"
    )]
    Place(String, #[source] io::Error),
}

/// The shim's file, made if it is not there.
pub fn install() -> Result<PathBuf, Error> {
    if SHIM.is_empty() {
        return Err(Error::None);
    }
    let mut first = None;
    for directory in places() {
        match install_in(&directory, SHIM) {
            Ok(path) => return Ok(path),
            Err(error) => first = first.or(Some((directory, error))),
        }
    }
    let (directory, error) =
        first.unwrap_or_else(|| (PathBuf::from("/tmp"), io::ErrorKind::NotFound.into()));
    Err(Error::Place(directory.display().to_string(), error))
}

fn uid() -> u32 {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() }
}

/// Where it may go, best first: the user's cache, the user's run-time directory, then directories for everybody, where
/// it gets one of its own.
fn places() -> impl Iterator<Item = PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
    };
    let home = absolute("HOME").map(|home| home.join(".cache"));
    let own = [
        absolute("XDG_CACHE_HOME").or(home),
        absolute("XDG_RUNTIME_DIR"),
    ];
    let shared = [
        Some(std::env::temp_dir()),
        Some(PathBuf::from("/var/tmp")),
        Some(PathBuf::from("/dev/shm")),
    ];
    let own = own.into_iter().flatten().map(|dir| dir.join("loopscope"));
    let shared = (shared.into_iter().flatten()).map(|dir| dir.join(format!("loopscope-{}", uid())));
    own.chain(shared)
        // ld.so splits LD_PRELOAD at both.
        .filter(|dir| {
            !dir.as_os_str()
                .as_bytes()
                .iter()
                .any(|b| b" :\t\n".contains(b))
        })
}

fn install_in(directory: &Path, shim: &[u8]) -> io::Result<PathBuf> {
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    check_directory(directory)?;
    let path = directory.join(format!("preload-{:016x}.so", hash(shim)));
    if !holds(&path, shim)? {
        put(directory, &path, shim)?;
    }
    can_be_run(&path)?;
    Ok(path)
}

/// Nobody else may write here, or have put a link in our way.
fn check_directory(directory: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(directory)?;
    if !meta.is_dir() || meta.uid() != uid() {
        return Err(denied("it is not a directory of our own"));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn denied(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// FNV-1a: a name, not a seal; the content itself is compared.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| {
        (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Whether the file is there with this very content, ours, and nobody else's to write.
fn holds(path: &Path, shim: &[u8]) -> io::Result<bool> {
    let open = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path);
    let file = match open {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let meta = file.metadata()?;
    if !meta.is_file()
        || meta.uid() != uid()
        || meta.permissions().mode() & 0o022 != 0
        || meta.len() != shim.len() as u64
    {
        return Ok(false);
    }
    let mut content = Vec::with_capacity(shim.len() + 1);
    file.take(shim.len() as u64 + 1).read_to_end(&mut content)?;
    Ok(content == shim)
}

/// Writes it under a name of our own and moves it in place: whoever opens it finds all of it.
fn put(directory: &Path, path: &Path, shim: &[u8]) -> io::Result<()> {
    let fresh = directory.join(format!(
        ".new-{}-{:016x}",
        std::process::id(),
        super::rendezvous::nonce()
    ));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o500)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&fresh)
        .and_then(|mut file| file.write_all(shim))
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // A piece of it may be left; the first error is the one to tell.
        let _ = fs::remove_file(&fresh);
    }
    written
}

/// A file system mounted noexec refuses this, as it would refuse ld.so.
fn can_be_run(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: a fresh private mapping of a file's first page, unmapped at once.
    unsafe {
        let access = libc::PROT_READ | libc::PROT_EXEC;
        let page = libc::mmap(
            std::ptr::null_mut(),
            4096,
            access,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        );
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        libc::munmap(page, 4096);
    }
    Ok(())
}

/// LD_PRELOAD for a program: the shim before what is there already, and after a sanitizer's run-time library if the
/// program needs one, which refuses to start when it is not the first.
pub fn variable(shim: &Path, program: Option<&Path>, existing: Option<&OsStr>) -> OsString {
    let mut all: Vec<Vec<u8>> = Vec::new();
    all.extend(program.and_then(sanitizer));
    all.push(shim.as_os_str().as_bytes().to_vec());
    let existing = existing.unwrap_or_default().as_bytes();
    for entry in existing.split(|b| b" :".contains(b)) {
        if !entry.is_empty() && !all.iter().any(|known| known == entry) {
            all.push(entry.to_vec());
        }
    }
    OsString::from_vec(all.join(&b':'))
}

/// The sanitizer library that an ELF program links.
fn sanitizer(program: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(program).ok()?;
    let elf = Elf::parse(&bytes)?;
    let runtime = |name: &&&[u8]| {
        [&b"libasan.so"[..], b"libtsan.so", b"libhwasan.so"]
            .iter()
            .any(|known| name.starts_with(known))
    };
    Some(elf.needed().iter().find(runtime)?.to_vec())
}

/// The file that a command name stands for, as execvp(3) looks for it.
pub fn program(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| {
            fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_shim_is_a_library_that_needs_nothing() {
        let elf = Elf::parse(SHIM).unwrap();
        assert!(elf.needed().is_empty());
        assert!(elf.exports().contains(&&b"epoll_pwait2"[..]));
        assert!(elf.imports().len() <= 10, "{:?}", elf.imports().len());
    }

    #[test]
    fn it_is_put_once_and_put_again_when_it_was_touched() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("cache/loopscope");
        let path = install_in(&place, b"not really a library").unwrap();
        assert_eq!(
            fs::metadata(&place).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let made = fs::metadata(&path).unwrap().ino();
        assert_eq!(install_in(&place, b"not really a library").unwrap(), path);
        assert_eq!(fs::metadata(&path).unwrap().ino(), made);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(&path, b"something else here.").unwrap();
        install_in(&place, b"not really a library").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"not really a library");
        assert_eq!(
            fs::read_dir(&place).unwrap().count(),
            1,
            "nothing is left behind"
        );
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(install_in(&link, b"x").is_err());
    }

    #[test]
    fn many_at_once_agree() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("loopscope");
        let paths: Vec<PathBuf> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| install_in(&place, &[7; 10_000]).unwrap()))
                .collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(paths.iter().all(|p| *p == paths[0]));
        assert_eq!(fs::read(&paths[0]).unwrap(), [7; 10_000]);
    }

    #[test]
    fn what_was_preloaded_stays_preloaded() {
        let shim = Path::new("/c/preload.so");
        let with = |existing: &str| {
            let value = variable(shim, None, Some(OsStr::new(existing)));
            value.into_string().unwrap()
        };
        assert_eq!(variable(shim, None, None), "/c/preload.so");
        assert_eq!(with("/a.so /b.so"), "/c/preload.so:/a.so:/b.so");
        assert_eq!(with("/a.so:/c/preload.so:"), "/c/preload.so:/a.so");
    }
}
