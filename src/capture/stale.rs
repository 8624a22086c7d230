//! Meeting places that recorders killed by SIGKILL left behind, and their removal. Step: event → **ring**.
//!
//! Only what is certainly nobody's goes: a directory of the very name, ours, entered by its user alone, holding a socket
//! and nothing else, older than a start takes, its process gone and nobody listening. The last also keeps the meeting place
//! of a recorder in another pid namespace that shares the folder.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A recorder makes its directory and listens there in far less.
const YOUNG: Duration = Duration::from_secs(60);
/// Removed at one start, at most.
const MOST: usize = 256;

/// Removes what dead recorders left in `base`; what cannot be removed stays.
pub fn sweep(base: &Path) {
    sweep_older(base, YOUNG);
}

fn sweep_older(base: &Path, age: Duration) {
    let Ok(entries) = std::fs::read_dir(base) else {
        return;
    };
    let named = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_str().and_then(maker).is_some_and(is_gone)
    });
    for entry in named.take(MOST) {
        let _ = remove(&entry.path(), age);
    }
}

/// The process that made a directory of this name: `loopscope-PID-NONCE`, nothing else.
pub(super) fn maker(name: &str) -> Option<i32> {
    let (pid, nonce) = name.strip_prefix("loopscope-")?.split_once('-')?;
    let is_nonce = nonce.len() == 16
        && nonce
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let number: i32 = pid.parse().ok().filter(|pid| *pid > 0)?;
    (is_nonce && number.to_string() == pid).then_some(number)
}

fn is_gone(pid: i32) -> bool {
    // SAFETY: signal 0 only asks.
    let asked = unsafe { libc::kill(pid, 0) };
    asked != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

/// Removes one of them, by a descriptor of it: what its name stands for may change meanwhile.
fn remove(path: &Path, age: Duration) -> io::Result<()> {
    let kept = || Err(io::ErrorKind::Other.into());
    let directory = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    let told = directory.metadata()?;
    // SAFETY: geteuid cannot fail.
    let ours = told.uid() == unsafe { libc::geteuid() } && told.mode() & 0o777 == 0o700;
    let old = told.modified()?.elapsed().is_ok_and(|since| since >= age);
    if !ours || !old {
        return kept();
    }
    let inside = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    for entry in std::fs::read_dir(&inside)? {
        let entry = entry?;
        if entry.file_name() != "s" || !entry.file_type()?.is_socket() {
            return kept();
        }
    }
    let socket = inside.join("s");
    match connects(&socket) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {
            // SAFETY: a live directory and a string with its zero.
            let done = unsafe { libc::unlinkat(directory.as_raw_fd(), c"s".as_ptr(), 0) };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => return kept(),
    }
    // Follows no symbolic link, and fails if anything is left inside.
    std::fs::remove_dir(path)
}

/// Whether somebody listens at a socket's path.
fn connects(path: &Path) -> io::Result<()> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: three integers; returns a new descriptor or −1.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: zero is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if name.as_bytes_with_nul().len() > address.sun_path.len() {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(name.as_bytes()) {
        *to = *from as libc::c_char;
    }
    let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the address is initialised, zero-terminated and outlives the call.
    let done = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::rendezvous::Rendezvous;
    use std::fs::{DirBuilder, Permissions};
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    /// More than any kernel gives out.
    const NOBODY: i32 = 1 << 30;

    #[test]
    fn only_the_exact_name_has_a_maker() {
        assert_eq!(maker("loopscope-17-0123456789abcdef"), Some(17));
        for name in [
            "loopscope-17-0123456789abcde",
            "loopscope-17-0123456789ABCDEF",
            "loopscope-017-0123456789abcdef",
            "loopscope-+17-0123456789abcdef",
            "loopscope-0-0123456789abcdef",
            "loopscope-17-0123456789abcdef.lscope",
            "loopscope-17",
            "oopscope-17-0123456789abcdef",
        ] {
            assert_eq!(maker(name), None, "{name}");
        }
    }

    #[test]
    fn what_a_dead_recorder_left_goes_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let at = |pid: i32, nonce: u64| base.path().join(format!("loopscope-{pid}-{nonce:016x}"));
        let make = |path: &Path| DirBuilder::new().mode(0o700).create(path).unwrap();
        let bind = |path: &Path| UnixListener::bind(path.join("s")).unwrap();
        let (dead, empty) = (at(NOBODY, 1), at(NOBODY, 2));
        for path in [&dead, &empty] {
            make(path);
        }
        drop(bind(&dead));
        let me = std::process::id() as i32;
        let (alive, more, open, file, link, listening) = (
            at(me, 3),
            at(NOBODY, 4),
            at(NOBODY, 5),
            at(NOBODY, 6),
            at(NOBODY, 7),
            at(NOBODY, 8),
        );
        for path in [&alive, &more, &open, &listening] {
            make(path);
            drop(bind(path));
        }
        std::fs::write(more.join("notes"), "mine").unwrap();
        std::fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        std::fs::write(&file, "").unwrap();
        let elsewhere = base.path().join("elsewhere");
        make(&elsewhere);
        drop(bind(&elsewhere));
        symlink(&elsewhere, &link).unwrap();
        // As if made in another pid namespace: its maker is not to be seen, but listens.
        std::fs::remove_file(listening.join("s")).unwrap();
        let here = Rendezvous::create_in(base.path(), 9).unwrap();
        std::fs::rename(here.path(), listening.join("s")).unwrap();

        sweep(base.path());
        assert!(dead.exists() && empty.exists(), "too young to go");
        sweep_older(base.path(), Duration::ZERO);
        assert!(!dead.exists() && !empty.exists());
        for path in [&alive, &more, &open, &listening, &elsewhere] {
            assert!(path.join("s").exists(), "{}", path.display());
        }
        assert!(file.exists() && link.is_symlink());
    }
}
