//! A socket's addresses as text: `tcp 127.0.0.1:51234>127.0.0.1:7001`, the pair as its own side sees it; a side that is
//! empty says nothing. Step: **event** → ring.
//!
//! Made of the bytes the kernel or the program has put into a `struct sockaddr`, which may be cut anywhere.

use core::fmt::Write;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use super::event::FdKind;
use super::stack_text::StackText;

/// The kernel's numbers of the families that have names here.
pub const AF_UNIX: u16 = 1;
/// IPv4.
pub const AF_INET: u16 = 2;
/// IPv6.
pub const AF_INET6: u16 = 10;

/// The largest address: a `struct sockaddr_storage`.
pub const LARGEST: usize = 128;

/// The two sides of a socket of this kind, each a `struct sockaddr` or nothing; empty for what has no addresses.
pub fn pair(kind: FdKind, local: &[u8], peer: &[u8]) -> StackText {
    let mut text = StackText::new();
    let family = match kind {
        FdKind::TcpListener | FdKind::Tcp => "tcp",
        FdKind::Udp => "udp",
        FdKind::UnixListener | FdKind::Unix | FdKind::UnixDatagram => "unix",
        _ => return text,
    };
    // Writing to a StackText cannot fail.
    let _ = write!(text, "{family} ");
    write_side(&mut text, local);
    text.push_bytes(b">");
    write_side(&mut text, peer);
    text
}

/// The family of an address.
pub fn family(address: &[u8]) -> Option<u16> {
    number(address, 0).map(u16::from_ne_bytes)
}

/// Whether an address says where: a port that is not the kernel's to choose, a path.
pub fn is_set(address: &[u8]) -> bool {
    match family(address) {
        Some(AF_INET | AF_INET6) => number::<2>(address, 2).is_some_and(|port| port != [0, 0]),
        Some(AF_UNIX) => address.len() > 2,
        _ => false,
    }
}

fn number<const N: usize>(address: &[u8], at: usize) -> Option<[u8; N]> {
    address.get(at..at + N)?.try_into().ok()
}

fn write_side(text: &mut StackText, address: &[u8]) {
    // As above, for all writing here.
    let _ = match family(address) {
        Some(AF_INET) => {
            let (Some(port), Some(ip)) = (number(address, 2), number::<4>(address, 4)) else {
                return;
            };
            let port = u16::from_be_bytes(port);
            write!(text, "{}", SocketAddrV4::new(Ipv4Addr::from(ip), port))
        }
        Some(AF_INET6) => {
            let (Some(port), Some(ip)) = (number(address, 2), number::<16>(address, 8)) else {
                return;
            };
            let scope = number(address, 24).map_or(0, u32::from_ne_bytes);
            let (ip, port) = (Ipv6Addr::from(ip), u16::from_be_bytes(port));
            write!(text, "{}", SocketAddrV6::new(ip, port, 0, scope))
        }
        Some(AF_UNIX) => {
            match address.get(2..).unwrap_or(&[]) {
                [0, name @ ..] if !name.is_empty() => {
                    text.push_bytes(b"@");
                    text.push_bytes(name);
                }
                path => text.push_bytes(path.split(|b| *b == 0).next().unwrap_or(&[])),
            }
            return;
        }
        _ => return,
    };
}

/// A text taken apart: the family with its blank, the local side, the peer's. Nothing for what is no pair.
pub fn sides(text: &[u8]) -> Option<[&[u8]; 3]> {
    let at = text.iter().position(|b| *b == b'>')?;
    let (front, peer) = (text.get(..at)?, text.get(at + 1..)?);
    let blank = front.iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
    let (family, local) = front.split_at_checked(blank)?;
    Some([family, local, peer])
}

/// Whether a side stands for every address of the machine: then it is one of them once the socket has a peer.
pub fn is_any(side: &[u8]) -> bool {
    side.starts_with(b"0.0.0.0:") || side.starts_with(b"[::]:")
}

/// What is known once `new` has been said after `old`: a side that `new` leaves empty stays as it was. The parts of a
/// text, one after the other.
pub fn joined<'a>(old: &'a [u8], new: &'a [u8]) -> [&'a [u8]; 4] {
    match (sides(old), sides(new)) {
        (Some([.., local, peer]), Some([family, new_local, new_peer])) => {
            let side = |old: &'a [u8], new: &'a [u8]| if new.is_empty() { old } else { new };
            let local = match is_any(local) && !new_peer.is_empty() {
                true => b"",
                false => local,
            };
            [family, side(local, new_local), b">", side(peer, new_peer)]
        }
        _ => [new, b"", b"", b""],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(port: u16) -> Vec<u8> {
        let mut bytes = AF_INET.to_ne_bytes().to_vec();
        bytes.extend(port.to_be_bytes());
        bytes.extend([127, 0, 0, 1]);
        bytes.extend([0; 8]);
        bytes
    }

    fn said(kind: FdKind, local: &[u8], peer: &[u8]) -> String {
        String::from_utf8_lossy(pair(kind, local, peer).as_bytes()).into_owned()
    }

    #[test]
    fn sides_are_written_as_far_as_they_are_whole() {
        assert_eq!(
            said(FdKind::Tcp, &v4(80), &v4(4711)),
            "tcp 127.0.0.1:80>127.0.0.1:4711"
        );
        for cut in 0..8 {
            assert_eq!(said(FdKind::Udp, &v4(80)[..cut], &[]), "udp >");
        }
        let mut v6 = AF_INET6.to_ne_bytes().to_vec();
        v6.extend(443_u16.to_be_bytes());
        v6.extend([0; 4]);
        v6.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(said(FdKind::TcpListener, &v6, &[]), "tcp [::1]:443>");
        let unix = |name: &[u8]| [&AF_UNIX.to_ne_bytes()[..], name].concat();
        assert_eq!(
            said(FdKind::Unix, &unix(b"/run/x\0zzz"), &unix(b"\0bus")),
            "unix /run/x>@bus"
        );
        assert_eq!(said(FdKind::Pipe, &v4(1), &[]), "");
        assert!(is_set(&v4(1)) && !is_set(&v4(0)) && !is_set(&unix(b"")) && !is_set(&[2]));
    }

    #[test]
    fn an_empty_side_says_nothing() {
        let join = |a: &str, b: &str| {
            String::from_utf8(joined(a.as_bytes(), b.as_bytes()).concat()).unwrap()
        };
        assert_eq!(join("tcp a:1>", "tcp >b:2"), "tcp a:1>b:2");
        assert_eq!(join("tcp a:1>b:2", "tcp >"), "tcp a:1>b:2");
        assert_eq!(join("tcp a:1>b:2", "tcp c:3>"), "tcp c:3>b:2");
        assert_eq!(join("", "tcp >b:2"), "tcp >b:2");
        assert_eq!(join("tcp a:1>", "x"), "x");
        assert_eq!(join("tcp 0.0.0.0:1>", "tcp >b:2"), "tcp >b:2");
        assert_eq!(join("tcp [::]:1>", "tcp >"), "tcp [::]:1>");
    }
}
