//! The program's side of the handshake: from the environment variable to the mapped segment. Step: event → **ring**.
//!
//! [`handshake`](crate::record::handshake) has the bytes. When this returns, no descriptor of ours is left open.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::error::Error;
use super::shared::Mapping;
use crate::record::handshake::{self, Hello, PATIENCE_MS, Reply, Source, Status};
use crate::record::segment::{Bad, Segment};
use crate::record::wire;

/// Joins the session whose socket is at `path`.
pub(super) fn join(path: &Path, source: Source) -> Result<Segment, Error> {
    let failed = |error| Error::Session {
        path: path.to_path_buf(),
        error,
    };
    let socket = connect(path).map_err(failed)?;
    check_peer(&socket).map_err(failed)?;
    let hello = Hello {
        wire: wire::VERSION,
        slot: wire::SLOT_BYTES,
        source,
        pid: std::process::id() as i32,
    };
    send(&socket, &hello.to_bytes()).map_err(failed)?;
    let (reply, memfd) = receive(&socket).map_err(failed)?;
    if reply.status != Status::Welcome {
        return Err(Error::Refused(reply.status));
    }
    let memfd = memfd.ok_or_else(|| {
        failed(io::Error::new(
            io::ErrorKind::InvalidData,
            "the recorder sent no memory",
        ))
    })?;
    let bytes = checked_size(&memfd, reply.bytes).map_err(failed)?;
    let mapping = Mapping::of(&memfd, bytes).map_err(Error::Memory)?;
    // SAFETY: the mapping has that many words, is page-aligned and stays for ever; the collector in the other process
    // writes it through atomics too.
    unsafe { Segment::attach(mapping.base, mapping.words()) }.map_err(Error::Segment)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn connect(path: &Path) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })?;
    // SAFETY: a descriptor the kernel has just made for us.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let patience = libc::timeval {
        tv_sec: (PATIENCE_MS / 1000).into(),
        tv_usec: (PATIENCE_MS % 1000 * 1000).into(),
    };
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        // SAFETY: the timeval is live and of the size given.
        check(unsafe {
            libc::setsockopt(
                fd,
                libc::SOL_SOCKET,
                option,
                (&raw const patience).cast(),
                size_of::<libc::timeval>() as libc::socklen_t,
            )
        })?;
    }
    // SAFETY: a sockaddr_un is plain data, for which zeroes are a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= address.sun_path.len() {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    retrying(|| {
        // SAFETY: the address is live and `len` long.
        check(unsafe { libc::connect(fd, (&raw const address).cast(), len) })
    })?;
    Ok(socket)
}

/// The recorder must be ours or root's: what it sends is mapped and written to.
fn check_peer(socket: &OwnedFd) -> io::Result<()> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `peer` and `len` are live and of the size `len` says.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut len,
        )
    })?;
    // SAFETY: has no preconditions and cannot fail.
    let own = unsafe { libc::geteuid() };
    if peer.uid == own || peer.uid == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the socket belongs to another user",
    ))
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let sent = retrying(|| {
        // SAFETY: the bytes are live and of the length given.
        let n = unsafe {
            libc::send(
                socket.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        if n < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(n as usize)
        }
    })?;
    if sent == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// The control message that carries one descriptor, aligned as the kernel wants it.
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    bytes: [u8; 64],
}

fn receive(socket: &OwnedFd) -> io::Result<(Reply, Option<OwnedFd>)> {
    let mut bytes = [0_u8; handshake::LEN];
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut control = MaybeUninit::<Control>::zeroed();
    // SAFETY: a msghdr is plain data, for which zeroes are a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>();
    let n = retrying(|| {
        // SAFETY: the message points to live memory of the lengths it says.
        let n =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        if n < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(n as usize)
        }
    })?;
    // Taken over first, so that it is closed whatever the reply says.
    let memfd = descriptor(&message);
    let reply = bytes.get(..n).and_then(Reply::from_bytes).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the answer is not a recorder's")
    })?;
    Ok((reply, memfd))
}

/// The descriptor in a received message; more than one is never asked for.
fn descriptor(message: &libc::msghdr) -> Option<OwnedFd> {
    // SAFETY: the kernel has filled the control buffer the message points to, and set its length.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    // SAFETY: computes a length from a length.
    let one = unsafe { libc::CMSG_LEN(size_of::<libc::c_int>() as u32) } as usize;
    if header.cmsg_level != libc::SOL_SOCKET
        || header.cmsg_type != libc::SCM_RIGHTS
        || header.cmsg_len < one
    {
        return None;
    }
    // SAFETY: the message says that at least one descriptor lies here; it may be unaligned.
    let fd = unsafe {
        libc::CMSG_DATA(header)
            .cast::<libc::c_int>()
            .read_unaligned()
    };
    // SAFETY: the kernel has just installed it for us.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The memory's size, if it is the announced one and nobody can shrink it under us (a store behind its end is SIGBUS).
fn checked_size(memfd: &OwnedFd, announced: u64) -> io::Result<usize> {
    // SAFETY: a question about a descriptor, no memory passed.
    let seals = check(unsafe { libc::fcntl(memfd.as_raw_fd(), libc::F_GET_SEALS) })?;
    // SAFETY: a stat is plain data, for which zeroes are a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is live.
    check(unsafe { libc::fstat(memfd.as_raw_fd(), &raw mut stat) })?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if seals & libc::F_SEAL_SHRINK == 0 || size != announced || size == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            Bad::Size.to_string(),
        ));
    }
    usize::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))
}

fn retrying<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
