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

/// EPOLL* bits in the order they are shown, and poll's word for a descriptor that is not open.
const MASK: [(u32, &str); 16] = [
    (0x001, "IN"),
    (0x002, "PRI"),
    (0x004, "OUT"),
    (0x008, "ERR"),
    (0x010, "HUP"),
    (0x020, "NVAL"),
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

/// `SIGUSR1|SIGTERM` of a set in which bit n − 1 is signal n; `all` for more than eight of them.
pub fn signals(set: u64) -> String {
    if set.count_ones() > 8 {
        return "all".to_owned();
    }
    let of = (1..=64).filter(|n| set >> (n - 1) & 1 != 0);
    let names = of.map(|n| signal(n).map_or_else(|| n.to_string(), str::to_owned));
    names.collect::<Vec<_>>().join("|")
}

/// `SIGSEGV` for 11, as signal(7) names it; nothing for a number that has no name, as real-time signals have none.
pub fn signal(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGSTKFLT => "SIGSTKFLT",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        libc::SIGIO => "SIGIO",
        libc::SIGPWR => "SIGPWR",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

/// How a process ended, by its wait status as waitpid(2) gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// It has, but nobody who is recorded has waited for it.
    Unknown,
    /// With this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl Ending {
    /// Of a wait status; a negative one stands for none, and one of a child that still lives says nothing.
    pub fn of(status: i32) -> Ending {
        match (status, status & 0x7f) {
            (..=-1, _) | (_, 0x7f) => Ending::Unknown,
            (_, 0) => Ending::Exited(status >> 8 & 0xff),
            (_, signal) => Ending::Killed(signal),
        }
    }

    /// The exit code, if it is one.
    pub fn code(self) -> Option<i32> {
        match self {
            Ending::Exited(code) => Some(code),
            Ending::Unknown | Ending::Killed(_) => None,
        }
    }

    /// The signal's name or number, if it is one.
    pub fn signal(self) -> Option<String> {
        match self {
            Ending::Killed(number) => {
                Some(signal(number).map_or_else(|| number.to_string(), str::to_owned))
            }
            Ending::Unknown | Ending::Exited(_) => None,
        }
    }
}

/// `exited 1`, `killed by SIGSEGV`.
impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self, self.signal()) {
            (Ending::Exited(code), _) => write!(f, "exited {code}"),
            (Ending::Killed(number), Some(name)) if signal(*number).is_none() => {
                write!(f, "killed by signal {name}")
            }
            (_, Some(name)) => write!(f, "killed by {name}"),
            (_, None) => f.write_str("ended, nobody told how"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_is_a_code_or_a_signal() {
        let words = |status: i32| Ending::of(status).to_string();
        assert_eq!(words(0), "exited 0");
        assert_eq!(words(0xff00), "exited 255");
        assert_eq!(words(11), "killed by SIGSEGV");
        assert_eq!(words(0x80 | 6), "killed by SIGABRT");
        assert_eq!(words(35), "killed by signal 35");
        assert_eq!(words(-1), "ended, nobody told how");
        // Stopped; continued.
        assert_eq!(Ending::of(0x137f), Ending::Unknown);
        assert_eq!(Ending::of(0xffff), Ending::Unknown);
    }

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
        assert_eq!(mask(libc::POLLNVAL as u32), "NVAL");
        assert_eq!(mask(0x1 | 0x800), "IN|0x800");
    }

    #[test]
    fn errors_have_their_names() {
        assert_eq!(errno(-libc::EAGAIN), Some("EAGAIN"));
        assert_eq!(errno(libc::EINTR), Some("EINTR"));
        assert_eq!(errno(0), None);
    }
}
