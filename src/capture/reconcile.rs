//! What the recording says of a process's descriptors against what a look at it showed: the differences become events.
//! Closes inside libc leave no ghosts, registrations made through io_uring appear, inherited and passed descriptors and
//! whatever the shim has seen opened get their names. Step: **ring → trace**.
//!
//! What the program said after the look began stands: the next look will see it.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::known::{Fd, Process, hash};
use super::look::SeenFd;
use super::procfs::Tfd;
use crate::record::event::{FdKind, Kind};
use crate::record::wire::Rec;

/// Events one look may become: the rest follows with the next.
const MOST_TOLD: usize = 4_096;
/// Sockets whose unread bytes one look tells.
const MOST_UNREAD: usize = 256;
/// The kernel adds EPOLLERR and EPOLLHUP to every mask.
const ADDED: u32 = 0x18;
/// The bits that are no events: of a one-shot that was reported only they are left.
const MODES: u32 = 0xf000_0000;
const ONESHOT: u32 = 1 << 30;

/// A difference, and its text.
pub(super) type Told = (Rec, Vec<u8>);

/// When the look began and how long ago that is now, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub began: u64,
    pub ago: u64,
}

/// What the recording does not know.
pub(super) fn differences(
    known: &Process,
    numbers: &[i32],
    fds: &[SeenFd],
    regs: &[(i32, Vec<Tfd>)],
    when: When,
) -> Vec<Told> {
    let mut told = Vec::new();
    let open: HashSet<i32> = numbers.iter().copied().collect();
    let registered: HashSet<i32> = regs.iter().flat_map(|(_, all)| all).map(|r| r.fd).collect();
    let mut gone: Vec<i32> = (known.fds.iter())
        .filter(|(fd, k)| **fd >= 0 && !open.contains(fd) && k.since < when.began)
        .map(|(fd, _)| *fd)
        .collect();
    gone.sort_unstable();
    told.extend(
        gone.iter()
            .map(|fd| (fd_rec(Kind::FdGone, *fd, when), Vec::new())),
    );
    for seen in fds {
        let old = known.fds.get(&seen.fd);
        let wanted = known.shim || old.is_some() || registered.contains(&seen.fd);
        let older = known.since(seen.fd).is_none_or(|t| t < when.began);
        if wanted && older && old.is_none_or(|old| says_more(old, seen)) {
            let rec = Rec {
                aux: seen.kind.code(),
                arg: seen.inode,
                ..fd_rec(Kind::FdSeen, seen.fd, when)
            };
            told.push((rec, seen.text.clone()));
        }
    }
    registrations(known, regs, when, &mut told);
    let polled = known.regs.is_empty() && known.shim;
    // A connection that was accepted and put on no loop is what somebody may have forgotten.
    let taken = |fd: i32| known.fds.get(&fd).is_some_and(|k| k.taken);
    let watched = (fds.iter()).filter(|s| polled || registered.contains(&s.fd) || taken(s.fd));
    let unread = watched.filter_map(|seen| unread(known.fds.get(&seen.fd), seen, when));
    told.extend(unread.take(MOST_UNREAD));
    told.truncate(MOST_TOLD);
    told
}

/// How much of a socket's input is not read, if that is not what was told last. Nothing unread is what goes without saying.
fn unread(old: Option<&Fd>, seen: &SeenFd, when: When) -> Option<Told> {
    let bytes = seen.unread?;
    let newer = old.is_some_and(|old| old.since >= when.began);
    if newer || old.and_then(|old| old.unread).unwrap_or(0) == bytes {
        return None;
    }
    let rec = Rec {
        arg: bytes,
        ..fd_rec(Kind::Unread, seen.fd, when)
    };
    Some((rec, Vec::new()))
}

fn fd_rec(kind: Kind, fd: i32, when: When) -> Rec {
    Rec {
        kind,
        fd,
        y: Some(when.ago),
        ..Rec::default()
    }
}

/// The look shows something else than is known, or something that is not known yet.
fn says_more(old: &Fd, seen: &SeenFd) -> bool {
    let other = old.inode != 0 && seen.inode != 0 && old.inode != seen.inode;
    let kind = old.kind.is_none() && seen.kind != FdKind::Unknown;
    let differs =
        (old.kind).is_some_and(|kind| seen.kind != FdKind::Unknown && !alike(kind, seen.kind));
    let name = !old.named && !seen.text.is_empty() && old.told != hash(&seen.text);
    // By its inode a socket is known again when it turns up in another process.
    let inode = seen.kind != FdKind::Pipe && old.inode == 0 && seen.inode != 0;
    other || kind || differs || name || inode
}

fn is_socket(kind: FdKind) -> bool {
    use FdKind::*;
    matches!(
        kind,
        TcpListener | Tcp | Udp | UnixListener | Unix | UnixDatagram
    )
}

/// One descriptor may be called both without having been closed in between.
fn alike(a: FdKind, b: FdKind) -> bool {
    let file = |kind| matches!(kind, FdKind::File | FdKind::Tty | FdKind::Pipe);
    a == b || is_socket(a) && is_socket(b) || file(a) && file(b)
}

fn registrations(known: &Process, regs: &[(i32, Vec<Tfd>)], when: When, told: &mut Vec<Told>) {
    let ago_ms = u16::try_from(when.ago.div_ceil(1_000_000)).unwrap_or(u16::MAX);
    let rec = |kind, fd, epfd: i32| Rec {
        kind,
        aux: ago_ms,
        fd,
        y: Some(u64::from(epfd as u32)),
        ..Rec::default()
    };
    for (epfd, all) in regs {
        let mut times: HashMap<i32, u32> = HashMap::new();
        all.iter()
            .for_each(|r| *times.entry(r.fd).or_default() += 1);
        // One that lives on behind a number used again cannot be told from the new one.
        for seen in all.iter().filter(|r| times.get(&r.fd) == Some(&1)) {
            let mask = seen.mask & !ADDED;
            let disarmed = mask & ONESHOT != 0 && mask & !MODES == 0;
            let newer = |since: u64| since >= when.began;
            if known.since(seen.fd).is_some_and(newer) {
                continue;
            }
            if let Some(old) = known.regs.get(&(seen.fd, *epfd)) {
                let same = old.data == seen.data && (disarmed || old.mask & !ADDED == mask);
                if same || newer(old.since) {
                    continue;
                }
            }
            let rec = Rec {
                x: mask as i32,
                arg: seen.data,
                ..rec(Kind::RegSeen, seen.fd, *epfd)
            };
            told.push((rec, Vec::new()));
        }
        let lost = known.regs.iter().filter(|((fd, at), old)| {
            at == epfd && old.since < when.began && !times.contains_key(fd)
        });
        told.extend(lost.map(|((fd, _), old)| {
            let rec = Rec {
                arg: old.data,
                ..rec(Kind::RegGone, *fd, *epfd)
            };
            (rec, Vec::new())
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::known::Reg;

    const WHEN: When = When {
        began: 1_000,
        ago: 2_500_000,
    };

    fn seen(fd: i32, kind: FdKind, inode: u64, text: &str) -> SeenFd {
        SeenFd {
            fd,
            kind,
            inode,
            text: text.into(),
            unread: None,
        }
    }

    fn known(fd: i32, fact: Fd) -> Process {
        let mut process = Process::default();
        process.fds.insert(fd, fact);
        process
    }

    fn kinds(told: &[Told]) -> Vec<(Kind, i32)> {
        told.iter().map(|(rec, _)| (rec.kind, rec.fd)).collect()
    }

    #[test]
    fn what_is_closed_behind_our_back_is_gone_unless_it_is_newer() {
        let mut process = known(
            5,
            Fd {
                since: 999,
                ..Fd::default()
            },
        );
        process.fds.insert(
            6,
            Fd {
                since: 1_000,
                ..Fd::default()
            },
        );
        process.fds.insert(7, Fd::default());
        let told = differences(&process, &[7], &[], &[], WHEN);
        assert_eq!(kinds(&told), [(Kind::FdGone, 5)]);
        assert_eq!(told[0].0.y, Some(2_500_000));
    }

    #[test]
    fn what_is_known_is_not_told_again() {
        let fact = Fd {
            kind: Some(FdKind::Tcp),
            inode: 9,
            named: true,
            ..Fd::default()
        };
        let same = [seen(5, FdKind::TcpListener, 9, "tcp a>b")];
        assert!(differences(&known(5, fact), &[5], &same, &[], WHEN).is_empty());
        let nameless = Fd {
            named: false,
            ..fact
        };
        assert_eq!(
            differences(&known(5, nameless), &[5], &same, &[], WHEN).len(),
            1
        );
        let another = [seen(5, FdKind::Tcp, 10, "tcp a>b")];
        assert_eq!(
            differences(&known(5, fact), &[5], &another, &[], WHEN).len(),
            1
        );
        let pipe = [seen(5, FdKind::Pipe, 0, "")];
        assert_eq!(
            differences(&known(5, fact), &[5], &pipe, &[], WHEN).len(),
            1
        );
        // What a program that links the library has not wrapped is its own business.
        let log = [seen(8, FdKind::File, 0, "/var/log/x")];
        assert!(differences(&known(5, fact), &[5, 8], &log, &[], WHEN).is_empty());
        let shim = Process {
            shim: true,
            ..known(5, fact)
        };
        assert_eq!(
            kinds(&differences(&shim, &[5, 8], &log, &[], WHEN)),
            [(Kind::FdSeen, 8)]
        );
    }

    #[test]
    fn registrations_are_compared_by_mask_and_word() {
        let mut process = known(
            5,
            Fd {
                named: true,
                ..Fd::default()
            },
        );
        let reg = |since, mask, data| Reg { since, mask, data };
        process.regs.insert((5, 3), reg(10, 0x1, 5));
        process.regs.insert((6, 3), reg(10, 0x1 | ONESHOT, 6));
        process.regs.insert((7, 3), reg(1_001, 0x1, 7));
        process.regs.insert((8, 3), reg(10, 0x1, 8));
        process.regs.insert((9, 4), reg(10, 0x1, 9));
        let tfd = |fd, mask, data| Tfd { fd, mask, data };
        let all = |mask| {
            vec![(
                3,
                vec![
                    tfd(5, mask, 5),
                    tfd(6, 0x4000_0018, 6),
                    tfd(7, 0x1c, 70),
                    tfd(10, 0x19, 10),
                ],
            )]
        };
        let numbers = [3, 5, 6, 7, 10];
        let told = differences(&process, &numbers, &[], &all(0x19), WHEN);
        assert_eq!(kinds(&told), [(Kind::RegSeen, 10), (Kind::RegGone, 8)]);
        assert_eq!((told[0].0.x, told[0].0.aux, told[0].0.y), (1, 3, Some(3)));
        let told = differences(&process, &numbers, &[], &all(0x1d), WHEN);
        assert_eq!(kinds(&told)[0], (Kind::RegSeen, 5));
        // Two with one number: which is which?
        let twice = vec![(3, vec![tfd(5, 0x19, 1), tfd(5, 0x19, 2)])];
        assert!(
            kinds(&differences(&process, &numbers, &[], &twice, WHEN))
                .iter()
                .all(|k| k.1 != 5)
        );
    }

    #[test]
    fn a_look_from_before_a_close_says_nothing_of_the_number() {
        let mut process = Process {
            shim: true,
            ..Process::default()
        };
        let fds = [seen(5, FdKind::Tcp, 9, "tcp a>b")];
        let regs = [(
            3,
            vec![Tfd {
                fd: 5,
                mask: 0x19,
                data: 5,
            }],
        )];
        process.closed.insert(5, 1_000);
        assert!(differences(&process, &[3, 5], &fds, &regs, WHEN).is_empty());
        // Closed before the look: somebody else holds what is registered.
        process.closed.insert(5, 999);
        let told = differences(&process, &[3], &[], &regs, WHEN);
        assert_eq!(kinds(&told), [(Kind::RegSeen, 5)]);
    }

    #[test]
    fn unread_bytes_are_told_when_they_change() {
        let mut fact = Fd {
            kind: Some(FdKind::Tcp),
            inode: 9,
            named: true,
            ..Fd::default()
        };
        let fds = [SeenFd {
            unread: Some(40),
            ..seen(5, FdKind::Tcp, 9, "tcp a>b")
        }];
        let regs = [(
            3,
            vec![Tfd {
                fd: 5,
                mask: 0x19,
                data: 5,
            }],
        )];
        let mut process = known(5, fact);
        process.regs.insert(
            (5, 3),
            Reg {
                since: 0,
                mask: 1,
                data: 5,
            },
        );
        let told = differences(&process, &[5], &fds, &regs, WHEN);
        assert_eq!(kinds(&told), [(Kind::Unread, 5)]);
        fact.unread = Some(40);
        process.fds.insert(5, fact);
        assert!(differences(&process, &[5], &fds, &regs, WHEN).is_empty());
        // On no loop: only of a connection that was accepted.
        fact.unread = None;
        for (taken, told) in [(false, 0), (true, 1)] {
            process.fds.insert(5, Fd { taken, ..fact });
            assert_eq!(
                differences(&process, &[5], &fds, &[(3, vec![])], WHEN)
                    .iter()
                    .filter(|(rec, _)| rec.kind == Kind::Unread)
                    .count(),
                told
            );
        }
    }
}
