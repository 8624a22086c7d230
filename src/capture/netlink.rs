//! Asking the kernel's sock_diag: netlink messages out, answers in. Step: **event → ring** (for the collector's own events).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The kind of a request for sockets, and of an answer that tells of one.
pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// Bytes of one datagram of answers.
const BUFFER: usize = 64 << 10;

/// A socket to ask with; it waits a second for an answer at most.
pub(super) fn open() -> io::Result<OwnedFd> {
    // SAFETY: three integers; returns a new descriptor or −1.
    let fd = unsafe {
        libc::socket(
            libc::AF_NETLINK,
            libc::SOCK_RAW | libc::SOCK_CLOEXEC,
            libc::NETLINK_SOCK_DIAG,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let patience = libc::timeval {
        tv_sec: 1,
        tv_usec: 0,
    };
    // SAFETY: the option's value is a live timeval of this size. Should it fail, the kernel answers all the same.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            std::ptr::from_ref(&patience).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        )
    };
    Ok(fd)
}

/// One netlink message with a request.
pub(super) fn message(ask: &[u8], flags: libc::c_int) -> Vec<u8> {
    let mut message = Vec::with_capacity(16 + ask.len());
    message.extend((16 + ask.len() as u32).to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(ask);
    message
}

pub(super) fn send(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    // SAFETY: the buffer is live and of this length.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            message.as_ptr().cast(),
            message.len(),
            0,
        )
    };
    match sent {
        ..0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// One datagram.
pub(super) fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    // SAFETY: the buffer is live and of this length.
    let n = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
        )
    };
    match n {
        ..=0 => Err(io::Error::last_os_error()),
        _ => Ok(buffer.get(..n as usize).unwrap_or(&[])),
    }
}

/// Sends one request for everything and calls `each` with the body of every answer.
pub(super) fn dump(socket: &OwnedFd, ask: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    send(
        socket,
        &message(ask, libc::NLM_F_REQUEST | libc::NLM_F_DUMP),
    )?;
    let mut buffer = vec![0u8; BUFFER];
    loop {
        let mut rest = receive(socket, &mut buffer)?;
        while let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 4)) {
            let length = length as usize;
            let Some(body) = rest.get(16..length) else {
                break;
            };
            match kind {
                SOCK_DIAG_BY_FAMILY => each(body),
                _ if kind == libc::NLMSG_DONE as u16 => return Ok(()),
                _ if kind == libc::NLMSG_ERROR as u16 => {
                    // A kernel without this family's module: it has none of these sockets to tell of.
                    return match u32_at(body, 0).map_or(0, |e| (e as i32).unsigned_abs() as i32) {
                        0 | libc::ENOENT => Ok(()),
                        errno => Err(io::Error::from_raw_os_error(errno)),
                    };
                }
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
