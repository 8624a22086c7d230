//! A socket's addresses and kind, asked for. Step: **event** → ring.
//!
//! Asked of the kernel once a descriptor; errno is left as it was.

use std::os::fd::RawFd;

use crate::record::address;
use crate::record::event::FdKind;
use crate::record::stack_text::StackText;

/// One end of a socket.
struct Name {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

/// The pair of a socket of this kind, empty for what has no addresses.
pub(super) fn pair(kind: FdKind, fd: RawFd) -> StackText {
    if address::pair(kind, &[], &[]).as_bytes().is_empty() {
        return StackText::new();
    }
    keeping_errno(|| {
        let (local, peer) = (ask(fd, libc::getsockname), ask(fd, libc::getpeername));
        let local = local.as_ref().map_or(&[][..], Name::bytes);
        address::pair(kind, local, peer.as_ref().map_or(&[][..], Name::bytes))
    })
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
    fn bytes(&self) -> &[u8] {
        let len = (self.len as usize).min(size_of::<libc::sockaddr_storage>());
        // SAFETY: `len` bytes lie inside the storage, which is initialised.
        unsafe { std::slice::from_raw_parts((&raw const self.storage).cast::<u8>(), len) }
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
