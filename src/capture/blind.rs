//! Programs whose calls the preload shim cannot see, as far as their file says so before they start.
//! Step: none of the pipeline; it says why nothing will enter the rings.

use super::elf::Elf;
use super::preload;
use std::ffi::{CString, OsStr};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// No dynamic linker loads it, so nothing else is loaded either.
    Static,
    /// Go's runtime makes its system calls itself.
    Go,
    /// The shim is made for glibc.
    Musl,
    /// The dynamic linker takes no library from the environment of one that gets other rights.
    Raised,
}

impl fmt::Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Blind::Static => "is statically linked, which leaves no room for the preload shim",
            Blind::Go => "is a Go program, which makes its system calls without libc",
            Blind::Musl => "is linked with musl; the preload shim is made for glibc",
            Blind::Raised => {
                "gets other rights when it starts (setuid, setgid or file capabilities), so that nothing is preloaded"
            }
        })
    }
}

/// A script's interpreter may be a script; the kernel goes no further than this.
const SCRIPTS: usize = 5;

/// Why the program that this name stands for will be invisible; nothing if its file tells of no reason.
pub fn before(name: &OsStr) -> Option<Blind> {
    let mut program = preload::program(name)?;
    for _ in 0..SCRIPTS {
        match interpreter(&program) {
            Some(next) => program = next,
            None => break,
        }
    }
    of_program(&program)
}

/// Why this program is invisible, nothing if its file tells of no reason, or is not ours to read.
pub fn of_program(program: &Path) -> Option<Blind> {
    let meta = fs::metadata(program).ok()?;
    // SAFETY: these cannot fail.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let other_user = meta.mode() & libc::S_ISUID != 0 && meta.uid() != uid;
    let other_group = meta.mode() & libc::S_ISGID != 0 && meta.gid() != gid;
    if other_user || other_group || uid != 0 && has_capabilities(program) {
        return Some(Blind::Raised);
    }
    of_file(&fs::read(program).ok()?)
}

fn of_file(bytes: &[u8]) -> Option<Blind> {
    let elf = Elf::parse(bytes)?;
    let linker = elf.interpreter();
    let linker = linker.and_then(|path| path.rsplit(|b| *b == b'/').next());
    if elf.has_section(b".go.buildinfo") {
        return Some(Blind::Go);
    }
    match linker {
        None => Some(Blind::Static),
        Some(name) if name.starts_with(b"ld-musl-") => Some(Blind::Musl),
        Some(_) => None,
    }
}

/// What a `#!` line names; for env(1) what that looks for.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    File::open(script)
        .ok()?
        .take(256)
        .read_to_end(&mut line)
        .ok()?;
    let line = line.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let mut words = line.split(|b| b" \t".contains(b)).filter(|w| !w.is_empty());
    let named = Path::new(OsStr::from_bytes(words.next()?));
    match words.find(|word| !word.starts_with(b"-")) {
        Some(name) if named.ends_with("env") => preload::program(OsStr::from_bytes(name)),
        _ => Some(named.to_owned()),
    }
}

fn has_capabilities(program: &Path) -> bool {
    let Ok(path) = CString::new(program.as_os_str().as_bytes()) else {
        return false;
    };
    let (name, none) = (c"security.capability", std::ptr::null_mut());
    // SAFETY: two C strings; a size of 0 asks only for the attribute's size.
    unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), none, 0) > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_that_everybody_has_are_seen() {
        for name in ["sh", "env", "cat"] {
            assert_eq!(before(OsStr::new(name)), None, "{name}");
        }
        let me = std::env::current_exe().unwrap();
        assert_eq!(before(me.as_os_str()), None);
        assert_eq!(before(OsStr::new("no-such-program-at-all")), None);
    }

    #[test]
    fn a_script_is_what_runs_it() {
        let dir = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let direct = script("direct", "#!/bin/sh -e\ntrue\n");
        assert_eq!(interpreter(&direct).unwrap(), Path::new("/bin/sh"));
        let by_env = script("by_env", "#!/usr/bin/env -S cat -n\n");
        assert!(interpreter(&by_env).unwrap().ends_with("cat"));
        assert_eq!(interpreter(&script("text", "no script\n")), None);
        // One that names itself comes to an end.
        let round = dir.path().join("round");
        let round = script("round", &format!("#!{}\n", round.display()));
        assert_eq!(before(round.as_os_str()), None);
    }
}
