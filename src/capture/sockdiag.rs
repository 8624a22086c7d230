//! What the kernel's sock_diag says of the sockets of our network namespace: addresses and bytes not read yet, by inode.
//! A process of another namespace is asked through its own /proc/PID/net, where the figures are the same.
//! Step: **event → ring** (names and unread bytes for the collector's own events).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use super::netlink::{SOCK_DIAG_BY_FAMILY, dump, message, open, receive, send, u16_at, u32_at};
use crate::record::event::FdKind;

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// What it is.
    pub kind: FdKind,
    /// `tcp local>peer`, as its own side sees it.
    pub text: Vec<u8>,
    /// Bytes in its receive queue; nothing for one that listens.
    pub unread: Option<u64>,
    /// How to ask for this one alone.
    ask: Option<Ask>,
}

/// An `inet_diag_req_v2`; the id in it has a cookie, which no later socket of these addresses has.
type Ask = [u8; 56];

/// Sockets by inode.
pub type Sockets = HashMap<u64, Socket>;

/// Sockets looked at; on a machine with more the others have no names.
const MOST: usize = 65_536;
/// Sockets asked for one by one at most: beyond, going through the tables costs less.
const MOST_ALONE: usize = 256;
/// How many of them with one call; the answers must have room in the receive buffer.
const TOGETHER: usize = 32;
/// sock_diag's state for one that listens (TCP_LISTEN), also of Unix sockets.
const LISTENS: u8 = 10;

/// States, as bits, of TCP sockets that may be somebody's: all but those that wait out their time (TCP_TIME_WAIT), of which
/// a server with short connections leaves tens of thousands, and those not yet accepted (TCP_SYN_RECV, TCP_NEW_SYN_RECV).
const OWNED: u32 = !(1 << 6 | 1 << 3 | 1 << 12);

const SHOW: u32 = 1 | 4 | 0x10; // UDIAG_SHOW_NAME, _PEER, _RQLEN

/// The tables of sockets, the cheapest first. The kernel goes through all connections, of which its table may have room
/// for hundreds of thousands, once for each of the two families of TCP.
const TABLES: [(i32, i32, FdKind); 5] = [
    (libc::AF_UNIX, 0, FdKind::Unix),
    (libc::AF_INET, libc::IPPROTO_TCP, FdKind::Tcp),
    (libc::AF_INET6, libc::IPPROTO_TCP, FdKind::Tcp),
    (libc::AF_INET, libc::IPPROTO_UDP, FdKind::Udp),
    (libc::AF_INET6, libc::IPPROTO_UDP, FdKind::Udp),
];

/// The sockets of our namespace, of table after table until all that are wanted, by inode, are among them.
pub fn ours(wanted: &[u64]) -> io::Result<Sockets> {
    let socket = open()?;
    let mut all = Sockets::new();
    for (family, protocol, kind) in TABLES {
        if wanted.iter().all(|inode| all.contains_key(inode)) {
            break;
        }
        match family {
            libc::AF_UNIX => add_unix(&socket, &mut all)?,
            _ => {
                let mut ask: Ask = [0; 56];
                ask[0] = family as u8;
                ask[1] = protocol as u8;
                ask[4..8].copy_from_slice(&OWNED.to_ne_bytes());
                dump(&socket, &ask, |answer| {
                    if all.len() < MOST {
                        all.extend(inet(answer, kind));
                    }
                })?;
            }
        }
    }
    Ok(all)
}

/// The same for sockets that were all told of before, some of them: each is asked for alone, which costs some microseconds
/// where going through a table costs milliseconds. Nothing when one of them is not there any more, or there are too many.
pub fn again(known: &Sockets, wanted: &[u64]) -> Option<Sockets> {
    if wanted.len() > MOST_ALONE {
        return None;
    }
    let (mut all, mut alone, mut unix) = (Sockets::new(), Vec::new(), false);
    for inode in wanted {
        let socket = known.get(inode)?;
        match (socket.kind, socket.ask) {
            // One that listens has nothing to read, and its address stays.
            (FdKind::TcpListener, _) => _ = all.insert(*inode, socket.clone()),
            (kind, Some(ask)) => alone.push((ask, kind)),
            (_, None) => unix = true,
        }
    }
    let socket = open().ok()?;
    for some in alone.chunks(TOGETHER) {
        all.extend(each_alone(&socket, some)?);
    }
    if unix {
        add_unix(&socket, &mut all).ok()?;
    }
    wanted.iter().all(|i| all.contains_key(i)).then_some(all)
}

fn each_alone(socket: &OwnedFd, some: &[(Ask, FdKind)]) -> Option<Vec<(u64, Socket)>> {
    let asks: Vec<u8> = some
        .iter()
        .flat_map(|(ask, _)| message(ask, libc::NLM_F_REQUEST))
        .collect();
    send(socket, &asks).ok()?;
    let mut buffer = vec![0u8; 4 << 10];
    // One datagram for each, in this order; all of them are fetched, whatever they say.
    let answers = some.iter().map(|(_, kind)| {
        let answer = receive(socket, &mut buffer).ok()?;
        let length = u32_at(answer, 0)? as usize;
        let told = u16_at(answer, 4)? == SOCK_DIAG_BY_FAMILY;
        inet(answer.get(16..length).filter(|_| told)?, *kind)
    });
    answers.collect::<Vec<_>>().into_iter().collect()
}

fn add_unix(socket: &OwnedFd, all: &mut Sockets) -> io::Result<()> {
    let mut ask = vec![0; 24];
    ask[0] = libc::AF_UNIX as u8;
    ask[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    ask[12..16].copy_from_slice(&SHOW.to_ne_bytes());
    let mut unix = Vec::new();
    dump(socket, &ask, |answer| {
        if unix.len() < MOST {
            unix.extend(Unix::parse(answer));
        }
    })?;
    pair_up(&unix, all);
    Ok(())
}

/// An `inet_diag_msg`.
fn inet(body: &[u8], kind: FdKind) -> Option<(u64, Socket)> {
    let (family, state) = (*body.first()?, *body.get(1)?);
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| -> Option<std::net::IpAddr> {
        Some(match i32::from(family) {
            libc::AF_INET => {
                Ipv4Addr::from(<[u8; 4]>::try_from(body.get(at..at + 4)?).ok()?).into()
            }
            libc::AF_INET6 => {
                Ipv6Addr::from(<[u8; 16]>::try_from(body.get(at..at + 16)?).ok()?).into()
            }
            _ => return None,
        })
    };
    let local = SocketAddr::new(address(8)?, port(4)?);
    let peer = SocketAddr::new(address(24)?, port(6)?);
    let (unread, inode) = (u32_at(body, 56)?, u32_at(body, 68)?);
    if inode == 0 {
        // Closed by its owner, and not by the kernel yet.
        return None;
    }
    let mut ask: Ask = [0; 56];
    ask[0] = family;
    ask[1] = libc::IPPROTO_TCP as u8;
    ask[8..].copy_from_slice(body.get(4..52)?);
    if kind == FdKind::Udp {
        // It is asked for as its peer would (net/ipv4/udp_diag.c: "src and dst are swapped for historical reasons").
        ask[1] = libc::IPPROTO_UDP as u8;
        ask[8..12].rotate_left(2);
        ask[12..44].rotate_left(16);
    }
    let mut found = socket(kind, local, peer, state == LISTENS, unread);
    found.ask = Some(ask);
    Some((u64::from(inode), found))
}

fn socket(kind: FdKind, local: SocketAddr, peer: SocketAddr, listens: bool, unread: u32) -> Socket {
    let family = if kind == FdKind::Udp { "udp" } else { "tcp" };
    let mut text = format!("{family} {local}>");
    if peer.port() != 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, "{peer}");
    }
    let listens = listens && kind == FdKind::Tcp;
    Socket {
        kind: if listens { FdKind::TcpListener } else { kind },
        text: text.into_bytes(),
        unread: (!listens).then_some(u64::from(unread)),
        ask: None,
    }
}

/// A `unix_diag_msg`.
struct Unix {
    inode: u32,
    kind: u8,
    listens: bool,
    name: Vec<u8>,
    peer: u32,
    unread: Option<u32>,
}

impl Unix {
    fn parse(body: &[u8]) -> Option<Unix> {
        let mut found = Unix {
            inode: u32_at(body, 4)?,
            kind: *body.get(1)?,
            listens: *body.get(2)? == LISTENS,
            name: Vec::new(),
            peer: 0,
            unread: None,
        };
        let mut rest = body.get(16..)?;
        while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
            let Some(value) = rest.get(4..usize::from(length)) else {
                break;
            };
            match kind {
                0 => found.name = path(value),
                2 => found.peer = u32_at(value, 0).unwrap_or(0),
                4 => found.unread = u32_at(value, 0),
                _ => {}
            }
            let next = usize::from(length).next_multiple_of(4);
            rest = rest.get(next..).unwrap_or(&[]);
        }
        Some(found)
    }
}

/// A bound name: a path up to its first 0, or an abstract name behind an `@`.
fn path(value: &[u8]) -> Vec<u8> {
    match value.split_first() {
        Some((0, rest)) => {
            let mut name = vec![b'@'];
            name.extend(rest.iter().map(|b| if *b == 0 { b'@' } else { *b }));
            name
        }
        _ => value.split(|b| *b == 0).next().unwrap_or(&[]).to_vec(),
    }
}

fn pair_up(unix: &[Unix], all: &mut Sockets) {
    let names: HashMap<u32, &[u8]> = unix.iter().map(|u| (u.inode, u.name.as_slice())).collect();
    for one in unix {
        let kind = match (i32::from(one.kind), one.listens) {
            (_, true) => FdKind::UnixListener,
            (libc::SOCK_DGRAM, _) => FdKind::UnixDatagram,
            _ => FdKind::Unix,
        };
        let peer = names.get(&one.peer).copied().unwrap_or(b"");
        let text = [b"unix ", one.name.as_slice(), b">", peer].concat();
        let unread = one.unread.filter(|_| !one.listens).map(u64::from);
        let socket = Socket {
            kind,
            text,
            unread,
            ask: None,
        };
        all.insert(u64::from(one.inode), socket);
    }
}

/// The TCP and UDP sockets of a process's own network namespace, as /proc/PID/net shows them.
pub fn of_namespace(pid: i32) -> Sockets {
    let mut all = Sockets::new();
    let files = [
        ("tcp", FdKind::Tcp),
        ("tcp6", FdKind::Tcp),
        ("udp", FdKind::Udp),
        ("udp6", FdKind::Udp),
    ];
    for (file, kind) in files {
        let Ok(table) = std::fs::read_to_string(format!("/proc/{pid}/net/{file}")) else {
            continue;
        };
        let room = MOST.saturating_sub(all.len());
        let lines = table.lines().skip(1).take(room);
        all.extend(lines.filter_map(|line| proc_line(line, kind)));
    }
    all
}

/// `sl local rem st tx:rx tr:when retrnsmt uid timeout inode …`, all but the last three hexadecimal.
fn proc_line(line: &str, kind: FdKind) -> Option<(u64, Socket)> {
    let mut fields = line.split_ascii_whitespace();
    let local = proc_address(fields.nth(1)?)?;
    let peer = proc_address(fields.next()?)?;
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let (_, unread) = fields.next()?.split_once(':')?;
    let unread = u32::from_str_radix(unread, 16).ok()?;
    let inode = fields.nth(4)?.parse().ok()?;
    Some((inode, socket(kind, local, peer, state == LISTENS, unread)))
}

/// Words of four bytes in the machine's order, then the port.
fn proc_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok();
    let ip = match address.len() {
        8 => Ipv4Addr::from(word(0)?.to_ne_bytes()).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at * 8)?.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn inode(fd: &impl AsRawFd) -> u64 {
        let me = std::process::id() as i32;
        let link = super::super::procfs::fd_link(me, fd.as_raw_fd()).unwrap();
        let link = String::from_utf8(link).unwrap();
        let digits = link.strip_prefix("socket:[").unwrap();
        digits.strip_suffix(']').unwrap().parse().unwrap()
    }

    #[test]
    fn our_own_sockets_are_told_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(b"seven!!").unwrap();
        let (mut left, right) = UnixStream::pair().unwrap();
        left.write_all(b"abc").unwrap();
        let wanted = [inode(&server), inode(&listener), inode(&right)];
        let want = format!(
            "tcp {}>{}",
            server.local_addr().unwrap(),
            client.local_addr().unwrap()
        );
        for (all, unix) in [
            (ours(&wanted).unwrap(), true),
            (of_namespace(std::process::id() as i32), false),
        ] {
            let found = &all[&inode(&server)];
            assert_eq!(found.text, want.as_bytes());
            assert_eq!((found.kind, found.unread), (FdKind::Tcp, Some(7)));
            let found = &all[&inode(&listener)];
            assert_eq!((found.kind, found.unread), (FdKind::TcpListener, None));
            assert!(found.text.ends_with(b">"));
            if unix {
                let found = &all[&inode(&right)];
                assert_eq!((found.kind, found.unread), (FdKind::Unix, Some(3)));
                assert_eq!(found.text, b"unix >");
            }
        }
    }

    #[test]
    fn tables_are_asked_until_all_that_is_wanted_is_known() {
        let (_left, right) = UnixStream::pair().unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp6 = std::net::UdpSocket::bind("[::1]:0").ok();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let only = ours(&[inode(&right)]).unwrap();
        assert!(only.contains_key(&inode(&right)) && !only.contains_key(&inode(&listener)));
        let more = ours(&[inode(&right), inode(&listener)]).unwrap();
        assert_eq!(more[&inode(&listener)].kind, FdKind::TcpListener);
        assert!(!more.contains_key(&inode(&udp)));
        let wanted: Vec<u64> = udp6.iter().chain([&udp]).map(inode).collect();
        let last = ours(&wanted).unwrap();
        assert!(wanted.iter().all(|inode| last[inode].kind == FdKind::Udp));
        // What is nobody's socket is looked for everywhere.
        let all = ours(&[0]).unwrap();
        assert!(
            [inode(&right), inode(&udp), inode(&listener)]
                .iter()
                .all(|i| all.contains_key(i))
        );
    }

    #[test]
    fn what_is_known_is_asked_for_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (mut left, right) = UnixStream::pair().unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let wanted = [
            inode(&server),
            inode(&listener),
            inode(&right),
            inode(&udp),
            inode(&client),
        ];
        let known = ours(&wanted).unwrap();
        client.write_all(b"seven!!").unwrap();
        left.write_all(b"abc").unwrap();
        udp.send_to(b"12345", udp.local_addr().unwrap()).unwrap();
        let all = again(&known, &wanted).unwrap();
        let unread = wanted.map(|inode| all[&inode].unread);
        // What UDP counts is the memory it takes.
        assert!(unread[3].is_some_and(|n| n >= 5), "{unread:?}");
        assert_eq!(
            [unread[0], unread[1], unread[2], unread[4]],
            [Some(7), None, Some(3), Some(0)]
        );
        for inode in wanted {
            let (now, then) = (&all[&inode], &known[&inode]);
            assert_eq!((now.kind, &now.text), (then.kind, &then.text));
        }
        // As many as fit, in several rounds.
        let many: Vec<TcpStream> = (0..100)
            .map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap())
            .collect();
        let inodes: Vec<u64> = many.iter().map(inode).collect();
        let known = ours(&inodes).unwrap();
        assert_eq!(again(&known, &inodes).unwrap().len(), 100);
        assert_eq!(again(&known, &[inode(&udp)]), None, "never told of");
        assert_eq!(again(&known, &vec![inodes[0]; MOST_ALONE + 1]), None);
        drop(many);
        // A child that another test forks has them too, until its exec.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while again(&known, &inodes).is_some() {
            assert!(std::time::Instant::now() < patience, "they are closed");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    #[test]
    fn answers_cut_short_say_nothing() {
        for len in 0..72 {
            assert_eq!(inet(&vec![2; len], FdKind::Tcp), None);
        }
        assert!(Unix::parse(&[1; 15]).is_none() && Unix::parse(&[1; 18]).is_some());
        assert_eq!(path(b"\0abs\0x"), b"@abs@x");
        assert_eq!(path(b"/run/x\0\0"), b"/run/x");
        assert_eq!(proc_line("1: 0100007F:1F90", FdKind::Tcp), None);
        assert_eq!(proc_address("0100007F:1F90:"), None);
    }
}
