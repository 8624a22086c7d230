//! Where programs meet the recorder: a socket in a directory only its user may enter, and the one exchange of
//! messages over it ([`handshake`] has the bytes). Step: event → **ring**.

use super::memory::Memory;
use super::stale;
use crate::record::handshake::{self, Hello, Reply, Status};
use crate::record::wire;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A socket's path must fit into `sockaddr_un` with its final zero.
const PATH_MAX: usize = 107;

/// Why there is no meeting place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No directory could be made.
    #[error(
        "cannot make a directory for the session in {0}; set XDG_RUNTIME_DIR or TMPDIR to a short path you can write to"
    )]
    Directory(String, #[source] io::Error),
    /// No socket could be made.
    #[error(
        "cannot make the session's socket {0}; set XDG_RUNTIME_DIR or TMPDIR to a local file system"
    )]
    Socket(String, #[source] io::Error),
}

/// A program that has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its process id as the kernel told us.
    pub pid: i32,
    /// What it said.
    pub hello: Hello,
}

/// Why a program did not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its process id as the kernel told us; 0 unknown.
    pub pid: i32,
    /// The reason it was given.
    pub status: Status,
}

/// The meeting place; its directory goes with it.
#[derive(Debug)]
pub struct Rendezvous {
    listener: OwnedFd,
    directory: PathBuf,
    path: PathBuf,
}

impl Rendezvous {
    /// Makes one below XDG_RUNTIME_DIR, else below TMPDIR, else below /tmp, and removes what dead recorders left there.
    pub fn create(nonce: u64) -> Result<Rendezvous, Error> {
        let mut last = None;
        for base in bases() {
            match Self::create_in(&base, nonce) {
                Err(Error::Directory(..)) if last.is_some() => {}
                Err(error @ Error::Directory(..)) => last = Some(error),
                made => {
                    stale::sweep(&base);
                    return made;
                }
            }
        }
        Err(last
            .unwrap_or_else(|| Error::Directory("/tmp".to_owned(), io::ErrorKind::NotFound.into())))
    }

    /// Makes one in this folder.
    pub(super) fn create_in(base: &Path, nonce: u64) -> Result<Rendezvous, Error> {
        let refused = |error| Error::Directory(base.display().to_string(), error);
        let name = format!("loopscope-{}-{nonce:016x}", std::process::id());
        let directory = base.join(&name);
        let path = directory.join("s");
        if path.as_os_str().len() > PATH_MAX {
            let kind = io::ErrorKind::InvalidFilename;
            return Err(refused(io::Error::new(kind, "the path is too long")));
        }
        (DirBuilder::new().mode(0o700).create(&directory)).map_err(refused)?;
        let made = listen(&path);
        if made.is_err() {
            // The directory is empty and ours; leaving it behind would be all that can go wrong.
            let _ = std::fs::remove_dir(&directory);
        }
        let listener = made.map_err(|e| Error::Socket(path.display().to_string(), e))?;
        Ok(Rendezvous {
            listener,
            directory,
            path,
        })
    }

    /// The socket's path, for [`handshake::ENV`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Readable when a program wants to join.
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Answers the next program, waiting at most [`handshake::PATIENCE_MS`] for what it says. `told` hears of one that is
    /// welcome before it does, and says whether there still is somebody to record it.
    pub fn meet(
        &self,
        memory: &Memory,
        told: impl FnOnce(Joined) -> bool,
    ) -> io::Result<Result<Joined, Refused>> {
        // SAFETY: a live listening socket; no address is asked for.
        let fd = unsafe {
            libc::accept4(
                self.listener.as_raw_fd(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                libc::SOCK_CLOEXEC,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: accept gave us this descriptor.
        let peer = unsafe { OwnedFd::from_raw_fd(fd) };
        patience(peer.as_fd())?;
        let (pid, uid) = credentials(peer.as_fd())?;
        let mut bytes = [0; handshake::LEN];
        let got = receive(peer.as_fd(), &mut bytes)?;
        let hello = Hello::from_bytes(bytes.get(..got).unwrap_or(&[]));
        // SAFETY: geteuid cannot fail.
        let ours = uid == unsafe { libc::geteuid() } || uid == 0;
        let status = match hello {
            _ if !ours => Status::NotYours,
            None => Status::Malformed,
            Some(hello) if hello.wire > wire::VERSION || hello.slot != wire::SLOT_BYTES => {
                Status::Newer
            }
            Some(_) => Status::Welcome,
        };
        let reply = Reply {
            wire: wire::VERSION,
            slot: wire::SLOT_BYTES,
            status,
            bytes: memory.bytes() as u64,
        };
        let joined = hello
            .filter(|_| status == Status::Welcome)
            .map(|hello| Joined { pid, hello });
        if let Some(joined) = joined
            && !told(joined)
        {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        send(
            peer.as_fd(),
            &reply.to_bytes(),
            joined.map(|_| memory.memfd()),
        )?;
        Ok(joined.ok_or(Refused { pid, status }))
    }
}

impl Drop for Rendezvous {
    fn drop(&mut self) {
        // Somebody may have cleaned up already; an empty directory left behind harms nobody.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_dir(&self.directory);
    }
}

/// Where the directory may go: XDG_RUNTIME_DIR only if it is ours, as the specification demands.
fn bases() -> impl Iterator<Item = PathBuf> {
    // SAFETY: geteuid cannot fail.
    let me = unsafe { libc::geteuid() };
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .filter(|dir| std::fs::metadata(dir).is_ok_and(|m| m.is_dir() && m.uid() == me));
    let tmp = std::path::absolute(std::env::temp_dir()).ok();
    [runtime, tmp, Some(PathBuf::from("/tmp"))]
        .into_iter()
        .flatten()
}

fn listen(path: &Path) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: three integers; returns a new descriptor or −1.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: zero is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in (address.sun_path.iter_mut()).zip(path.as_os_str().as_bytes()) {
        *to = *from as libc::c_char;
    }
    let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the address is initialised, zero-terminated (callers keep paths within PATH_MAX) and outlives the call.
    if unsafe { libc::bind(fd, (&raw const address).cast(), length) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a bound socket.
    if unsafe { libc::listen(fd, 128) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

/// Neither side waits for the other for ever.
fn patience(socket: BorrowedFd<'_>) -> io::Result<()> {
    let time = libc::timeval {
        tv_sec: i64::from(handshake::PATIENCE_MS / 1000),
        tv_usec: i64::from(handshake::PATIENCE_MS % 1000) * 1000,
    };
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        // SAFETY: a live socket, a timeval and its size.
        let done = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const time).cast(),
                size_of::<libc::timeval>() as libc::socklen_t,
            )
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The peer's process id and user, from the kernel.
fn credentials(socket: BorrowedFd<'_>) -> io::Result<(i32, u32)> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: a live socket; `peer` has room for what SO_PEERCRED writes, `length` says how much.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &mut length,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((peer.pid, peer.uid))
}

fn receive(socket: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: a live socket and a buffer with its length.
    let got = unsafe { libc::recv(socket.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), 0) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// Room for one descriptor's control message, aligned as the kernel's headers want it.
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    room: [u8; 64],
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut piece = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control = Control { room: [0; 64] };
    // SAFETY: zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    if let Some(fd) = fd {
        let raw = fd.as_raw_fd();
        let size = size_of::<libc::c_int>() as u32;
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute; the header and its data lie inside `control`, whose 64 bytes
        // are more than CMSG_SPACE(4).
        unsafe {
            message.msg_control = (&raw mut control).cast();
            message.msg_controllen = libc::CMSG_SPACE(size) as usize;
            control.header.cmsg_level = libc::SOL_SOCKET;
            control.header.cmsg_type = libc::SCM_RIGHTS;
            control.header.cmsg_len = libc::CMSG_LEN(size) as usize;
            let data = libc::CMSG_DATA((&raw const control).cast());
            data.cast::<libc::c_int>().write_unaligned(raw);
        }
    }
    // SAFETY: everything the message points to lives until the call returns.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL) };
    match usize::try_from(sent) {
        Ok(n) if n == bytes.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// A number nobody can guess, for the directory's name and the segment's nonce.
pub fn nonce() -> u64 {
    let mut bytes = [0; 8];
    let read = File::options()
        .read(true)
        .custom_flags(libc::O_CLOEXEC)
        .open("/dev/urandom")
        .and_then(|mut source| io::Read::read_exact(&mut source, &mut bytes));
    match read {
        Ok(()) => u64::from_le_bytes(bytes),
        // The directory is made exclusively and 0700 anyway: uniqueness will do.
        Err(_) => u64::from(std::process::id()) << 32 | 0x5eed,
    }
}
