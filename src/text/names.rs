//! The kernel's words for numbers: event masks, error numbers, signals. Step: model → **view**.

use crate::record::event::FdKind;

/// A descriptor's name; where it has none, what it is; nothing where that is not known either.
pub fn descriptor(name: &str, kind: FdKind) -> &str {
    match (name, kind) {
        ("", FdKind::Unknown) => "",
        ("", kind) => kind.name(),
        (name, _) => name,
    }
}

/// EPOLL* bits in the order they are shown.
const MASK: [(u32, &str); 15] = [
    (0x001, "IN"),
    (0x002, "PRI"),
    (0x004, "OUT"),
    (0x008, "ERR"),
    (0x010, "HUP"),
    (0x040, "RDNORM"),
    (0x080, "RDBAND"),
    (0x100, "WRNORM"),
    (0x200, "WRBAND"),
    (0x400, "MSG"),
    (0x2000, "RDHUP"),
    (1 << 28, "EXCLUSIVE"),
    (1 << 29, "WAKEUP"),
    (1 << 30, "ONESHOT"),
    (1 << 31, "ET"),
];

/// An event or interest mask as epoll_ctl(2) names it: `IN|RDHUP|ET`; `0` for none; bits without a name in hex.
pub fn mask(bits: u32) -> String {
    let mut parts: Vec<String> = (MASK.iter())
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let rest = MASK.iter().fold(bits, |left, (bit, _)| left & !bit);
    if rest != 0 || parts.is_empty() {
        parts.push(if rest == 0 {
            "0".to_owned()
        } else {
            format!("{rest:#x}")
        });
    }
    parts.join("|")
}

/// `EAGAIN` for 11 (or −11), as errno(3) names it; nothing for a number that has no name here.
pub fn errno(number: i32) -> Option<&'static str> {
    Some(match number.unsigned_abs() as i32 {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EINTR => "EINTR",
        libc::EIO => "EIO",
        libc::EBADF => "EBADF",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::EINVAL => "EINVAL",
        libc::ENFILE => "ENFILE",
        libc::EMFILE => "EMFILE",
        libc::ENOSPC => "ENOSPC",
        libc::ESPIPE => "ESPIPE",
        libc::EPIPE => "EPIPE",
        libc::ELOOP => "ELOOP",
        libc::EPROTO => "EPROTO",
        libc::ENOTSOCK => "ENOTSOCK",
        libc::EDESTADDRREQ => "EDESTADDRREQ",
        libc::EMSGSIZE => "EMSGSIZE",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EADDRINUSE => "EADDRINUSE",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        libc::ENETDOWN => "ENETDOWN",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::ECONNABORTED => "ECONNABORTED",
        libc::ECONNRESET => "ECONNRESET",
        libc::ENOBUFS => "ENOBUFS",
        libc::EISCONN => "EISCONN",
        libc::ENOTCONN => "ENOTCONN",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::EALREADY => "EALREADY",
        libc::EINPROGRESS => "EINPROGRESS",
        libc::ECANCELED => "ECANCELED",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_read_as_the_manual_names_them() {
        assert_eq!(mask(libc::EPOLLIN as u32 | libc::EPOLLET as u32), "IN|ET");
        assert_eq!(
            mask(libc::EPOLLONESHOT as u32 | libc::EPOLLRDHUP as u32),
            "RDHUP|ONESHOT"
        );
        assert_eq!(
            mask(libc::EPOLLHUP as u32 | libc::EPOLLERR as u32),
            "ERR|HUP"
        );
        assert_eq!(mask(libc::EPOLLEXCLUSIVE as u32), "EXCLUSIVE");
        assert_eq!(mask(0), "0");
        assert_eq!(mask(0x1 | 0x20), "IN|0x20");
    }

    #[test]
    fn errors_have_their_names() {
        assert_eq!(errno(-libc::EAGAIN), Some("EAGAIN"));
        assert_eq!(errno(libc::EINTR), Some("EINTR"));
        assert_eq!(errno(0), None);
    }
}
