//! A socket's addresses as text: `tcp 127.0.0.1:51234>127.0.0.1:7001`, the pair as its own side sees it.
//! Step: **event** → ring.
//!
//! Asked of the kernel once a descriptor; errno is left as it was.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

use super::stack_text::StackText;
use crate::record::event::FdKind;

/// One end of a socket.
struct Name {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

/// The pair of a socket of this kind, empty for what has no addresses.
pub(super) fn pair(kind: FdKind, fd: RawFd) -> StackText {
    let mut text = StackText::new();
    let family = match kind {
        FdKind::TcpListener | FdKind::Tcp => "tcp",
        FdKind::Udp => "udp",
        FdKind::UnixListener | FdKind::Unix | FdKind::UnixDatagram => "unix",
        _ => return text,
    };
    // Writing to a StackText cannot fail.
    let _ = write!(text, "{family} ");
    keeping_errno(|| {
        if let Some(local) = ask(fd, libc::getsockname) {
            local.write(&mut text);
        }
        text.push_bytes(b">");
        if let Some(peer) = ask(fd, libc::getpeername) {
            peer.write(&mut text);
        }
    });
    text
}

/// What kind of socket a descriptor is, as far as the kernel says.
pub(super) fn kind_of(fd: RawFd) -> FdKind {
    keeping_errno(|| {
        let (domain, kind) = (option(fd, libc::SO_DOMAIN), option(fd, libc::SO_TYPE));
        let listens = option(fd, libc::SO_ACCEPTCONN) == Some(1);
        match (domain, kind, listens) {
            (Some(libc::AF_INET | libc::AF_INET6), Some(libc::SOCK_STREAM), true) => {
                FdKind::TcpListener
            }
            (Some(libc::AF_INET | libc::AF_INET6), Some(libc::SOCK_STREAM), false) => FdKind::Tcp,
            (Some(libc::AF_INET | libc::AF_INET6), Some(libc::SOCK_DGRAM), _) => FdKind::Udp,
            (Some(libc::AF_UNIX), Some(libc::SOCK_DGRAM), _) => FdKind::UnixDatagram,
            (Some(libc::AF_UNIX), Some(_), true) => FdKind::UnixListener,
            (Some(libc::AF_UNIX), Some(_), false) => FdKind::Unix,
            _ => FdKind::Unknown,
        }
    })
}

fn option(fd: RawFd, option: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` and `len` are live and of the size `len` says.
    let done = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    (done == 0).then_some(value)
}

type Ask =
    unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn ask(fd: RawFd, call: Ask) -> Option<Name> {
    let mut name = Name {
        // SAFETY: a sockaddr_storage is plain data, for which zeroes are a value.
        storage: unsafe { std::mem::zeroed() },
        len: size_of::<libc::sockaddr_storage>() as libc::socklen_t,
    };
    // SAFETY: getsockname or getpeername, with memory of the size `len` says.
    let done = unsafe { call(fd, (&raw mut name.storage).cast(), &raw mut name.len) };
    (done == 0).then_some(name)
}

impl Name {
    fn write(&self, text: &mut StackText) {
        let base = (&raw const self.storage).cast::<u8>();
        match self.storage.ss_family.into() {
            libc::AF_INET => {
                // SAFETY: the storage is larger and aligned for every sockaddr, and the family says it is this one.
                let a = unsafe { &*base.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr));
                let _ = write!(text, "{}", SocketAddrV4::new(ip, u16::from_be(a.sin_port)));
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let a = unsafe { &*base.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
                let _ = write!(
                    text,
                    "{}",
                    SocketAddrV6::new(ip, u16::from_be(a.sin6_port), 0, a.sin6_scope_id)
                );
            }
            libc::AF_UNIX => {
                let skip = std::mem::offset_of!(libc::sockaddr_un, sun_path);
                let len = (self.len as usize).clamp(skip, size_of::<libc::sockaddr_un>()) - skip;
                // SAFETY: `skip + len` bytes lie inside the storage, which is initialised.
                let path = unsafe { std::slice::from_raw_parts(base.add(skip), len) };
                match path {
                    [0, name @ ..] if !name.is_empty() => {
                        text.push_bytes(b"@");
                        text.push_bytes(name);
                    }
                    path => text.push_bytes(path.split(|b| *b == 0).next().unwrap_or(&[])),
                }
            }
            _ => {}
        }
    }
}

/// Runs `ask` and puts errno back.
pub(super) fn keeping_errno<T>(ask: impl FnOnce() -> T) -> T {
    // SAFETY: the location is the calling thread's own and lives as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let answer = ask();
    // SAFETY: as above.
    unsafe { *errno = before };
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn text(kind: FdKind, fd: &impl AsRawFd) -> String {
        String::from_utf8(pair(kind, fd.as_raw_fd()).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn both_ends_see_the_same_pair_reversed() {
        let listener = std::net::TcpListener::bind("[::1]:0")
            .or_else(|_| std::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        let (near, far) = (text(FdKind::Tcp, &near), text(FdKind::Tcp, &far));
        let (a, b) = near.strip_prefix("tcp ").unwrap().split_once('>').unwrap();
        assert_eq!(far, format!("tcp {b}>{a}"));
        assert_eq!(text(FdKind::TcpListener, &listener), format!("tcp {b}>"));
        assert_eq!(kind_of(listener.as_raw_fd()), FdKind::TcpListener);
    }

    #[test]
    fn unix_names_are_paths_or_nothing() {
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(text(FdKind::Unix, &a), "unix >");
        assert_eq!(kind_of(a.as_raw_fd()), FdKind::Unix);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(
            text(FdKind::UnixListener, &listener),
            format!("unix {}>", path.display())
        );
    }

    #[test]
    fn what_is_no_socket_is_unknown_and_errno_stays() {
        // SAFETY: the calling thread's own errno.
        unsafe { *libc::__errno_location() = 0x77 };
        assert_eq!(kind_of(-1), FdKind::Unknown);
        assert_eq!(text(FdKind::Tcp, &std::io::stdin()), "tcp >");
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(0x77));
    }
}
