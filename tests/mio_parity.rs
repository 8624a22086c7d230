//! The mirror has everything mio has, by type, and behaves like it where a program can tell.
#![cfg(feature = "mio")]
// The surface is listed as types, and a type is as long as it is.
#![allow(clippy::type_complexity, clippy::needless_lifetimes)]

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

mod recorded;

#[allow(dead_code, clippy::type_complexity, clippy::needless_lifetimes)]
mod of_mio {
    use ::mio;
    include!("mio_parity/surface.rs");
}

#[allow(dead_code, clippy::type_complexity, clippy::needless_lifetimes)]
mod of_the_mirror {
    use loopscope::mio;
    include!("mio_parity/surface.rs");
}

#[test]
fn both_have_the_listed_surface() {
    of_mio::traits();
    of_the_mirror::traits();
    of_mio::events();
    of_the_mirror::events();
}

/// mio's source files with what a program on Linux can name, and the type each function belongs to.
const PUBLIC: [(&str, &[&str]); 12] = [
    ("poll.rs", &["Poll", "Registry"]),
    ("waker.rs", &["Waker"]),
    ("event/event.rs", &["Event"]),
    ("event/events.rs", &["Events"]),
    ("net/tcp/listener.rs", &["TcpListener"]),
    ("net/tcp/stream.rs", &["TcpStream"]),
    ("net/udp.rs", &["UdpSocket"]),
    ("net/uds/datagram.rs", &["UnixDatagram"]),
    ("net/uds/listener.rs", &["UnixListener"]),
    ("net/uds/stream.rs", &["UnixStream"]),
    ("sys/unix/pipe.rs", &["Sender", "Receiver", "pipe"]),
    ("sys/unix/sourcefd.rs", &["SourceFd"]),
];

#[test]
fn nothing_public_of_mio_is_missing_from_the_list() {
    let _turn = recorded::turn();
    let listed = include_str!("mio_parity/surface.rs");
    let mut functions = 0;
    for (file, owners) in PUBLIC {
        let source = std::fs::read_to_string(mio_sources().join("src").join(file)).unwrap();
        for line in source.lines() {
            let Some(rest) = line.trim_start().strip_prefix("pub fn ") else {
                continue;
            };
            let name = rest.split(['(', '<']).next().unwrap();
            // mio's own test is public for no reason.
            if name == "as_raw_fd" {
                continue;
            }
            functions += 1;
            let found = owners
                .iter()
                .any(|owner| listed.contains(&format!("{owner}::{name}")));
            assert!(found, "{file}: {owners:?}::{name} is not listed");
        }
    }
    assert!(functions > 80, "{functions} functions found");
}

fn mio_sources() -> PathBuf {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command
            .arg("--offline")
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let version = cargo(&["-vV"]);
    let host = version
        .lines()
        .find_map(|l| l.strip_prefix("host: "))
        .unwrap();
    let metadata = cargo(&[
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
        host,
    ]);
    let at = metadata.find("/mio-1.").expect("mio is a dependency");
    let start = metadata[..at].rfind('"').unwrap() + 1;
    let end = at + 1 + metadata[at + 1..].find('/').unwrap();
    Path::new(&metadata[start..end]).to_path_buf()
}

/// Waits until so many bytes can be read, or the end: on a busy machine they may come a little after the call that sends them.
fn arrived(at: &impl std::os::fd::AsRawFd, bytes: usize) {
    let mut room = [0_u8; 16];
    let patience = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        // SAFETY: a live buffer of that length. Nothing is taken, and nobody records this call.
        let n = unsafe { libc::recv(at.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
        if usize::try_from(n).is_ok_and(|n| n >= bytes) {
            return;
        }
        assert!(
            std::time::Instant::now() < patience,
            "{bytes} bytes do not come"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a program sees of sockets, pipes, a waker and registrations, as text: the same through both paths.
macro_rules! behaviour {
    ($name:ident, $($mio:tt)+) => {
        fn $name() -> String {
            use $($mio)+::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
            use $($mio)+::unix::{pipe, SourceFd};
            use $($mio)+::{Events, Interest, Poll, Token, Waker};
            use std::os::fd::AsRawFd;
            let mut seen = Vec::new();
            let mut see = |what: &str, result: String| seen.push(format!("{what}: {result}"));
            fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> String {
                match result {
                    Ok(value) => format!("{value:?}"),
                    Err(error) => format!("{:?} {error}", error.kind()),
                }
            }
            let at_once = Some(Duration::ZERO);
            let local = "127.0.0.1:0".parse().unwrap();
            let mut poll = Poll::new().unwrap();
            let mut events = Events::with_capacity(8);
            see("debug", format!("{poll:?} {:?}", poll.registry()));

            let mut listener = TcpListener::bind(local).unwrap();
            let readable = Interest::READABLE;
            see("register", kind(poll.registry().register(&mut listener, Token(1), readable)));
            see("twice", kind(poll.registry().register(&mut listener, Token(1), readable)));
            let other = Poll::new().unwrap();
            see("elsewhere", kind(other.registry().reregister(&mut listener, Token(1), readable)));
            let clone = poll.registry().try_clone().unwrap();
            see("by a clone", kind(clone.reregister(&mut listener, Token(2), readable)));
            see("nobody", kind(listener.accept().map(|_| ())));

            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            poll.registry().register(&mut client, Token(3), readable | Interest::WRITABLE).unwrap();
            see("not registered", kind(poll.registry().deregister(&mut UdpSocket::bind(local).unwrap())));
            poll.poll(&mut events, None).unwrap();
            let mut ready: Vec<String> = events.iter().map(|e| format!("{e:?}")).collect();
            while ready.len() < 2 {
                poll.poll(&mut events, None).unwrap();
                ready.extend(events.iter().map(|e| format!("{e:?}")));
            }
            ready.sort();
            see("ready", ready.join(" "));
            let (mut server, _) = listener.accept().unwrap();
            see("nothing", kind(server.read(&mut [0; 8])));
            see("written", kind(client.write(b"hello")));
            see("vectored", kind((&client).write_vectored(&[io::IoSlice::new(b"a"), io::IoSlice::new(b"bc")])));
            let mut buffer = [0; 5];
            arrived(&server, 8);
            see("peeked", kind(server.peek(&mut buffer)));
            see("exact", kind(server.read_exact(&mut buffer)));
            see("rest", kind((&server).read_vectored(&mut [io::IoSliceMut::new(&mut [0; 8])])));
            see("too much", kind(server.read_exact(&mut buffer)));
            see("try_io", kind(server.try_io(|| Err::<(), _>(io::Error::from(ErrorKind::WouldBlock)))));
            see("error", kind(client.take_error()));
            see("shutdown", kind(client.shutdown(std::net::Shutdown::Write)));
            arrived(&server, 0);
            see("end", kind(server.read(&mut buffer)));
            see("short", kind(server.read_exact(&mut buffer)));
            let std_stream: std::net::TcpStream = server.into();
            see("back", kind(TcpStream::from_std(std_stream).set_nodelay(true)));
            see("refused by the kernel", kind(poll.registry().register(&mut SourceFd(&9999), Token(0), readable)));

            let (mut sender, mut receiver) = pipe::new().unwrap();
            poll.registry().register(&mut receiver, Token(4), readable).unwrap();
            see("empty pipe", kind(receiver.read(&mut buffer)));
            see("into it", kind(sender.write(b"pipe")));
            drop(sender);
            let mut text = String::new();
            see("to its end", kind(receiver.read_to_string(&mut text)));
            poll.poll(&mut events, at_once).unwrap();
            see("pipe events", format!("{:?}", events.iter().filter(|e| e.token() == Token(4)).collect::<Vec<_>>()));
            drop(receiver);

            let mut waking = Poll::new().unwrap();
            let waker = Waker::new(waking.registry(), Token(5)).unwrap();
            for _ in 0..3 {
                waker.wake().unwrap();
            }
            waking.poll(&mut events, at_once).unwrap();
            see("woken", format!("{events:?}"));
            waking.poll(&mut events, at_once).unwrap();
            see("once", format!("{} {}", events.is_empty(), events.capacity()));
            see("no room", kind(waking.poll(&mut Events::with_capacity(0), at_once)));

            let (a, b) = (UdpSocket::bind(local).unwrap(), UdpSocket::bind(local).unwrap());
            see("datagram", kind(a.send_to(b"four", b.local_addr().unwrap())));
            arrived(&b, 4);
            see("came", kind(b.recv_from(&mut buffer).map(|(n, _)| n)));
            see("no peer", kind(b.send(b"x")));
            let (a, b) = UnixDatagram::pair().unwrap();
            see("unix datagram", kind(a.send(b"three")));
            see("came", kind(b.recv(&mut buffer)));
            let dir = tempfile::tempdir().unwrap();
            let unix = UnixListener::bind(dir.path().join("s")).unwrap();
            let near = UnixStream::connect(dir.path().join("s")).unwrap();
            let (far, _) = unix.accept().unwrap();
            see("unix", kind((&near).write(b"xy")));
            see("came", kind((&far).read(&mut buffer)));
            see("raw", (far.as_raw_fd() > 2).to_string());
            seen.join("\n")
        }
    };
}
behaviour!(through_mio, ::mio);
behaviour!(through_the_mirror, loopscope::mio);

#[test]
fn a_program_sees_the_same_off_and_on() {
    // One at a time: a process that another test launches has, until its exec, copies of our pipes, and a pipe with a
    // copy does not end.
    let turn = recorded::turn();
    let expected = through_mio();
    assert!(expected.lines().count() > 35);
    assert_eq!(through_the_mirror(), expected);
    drop(turn);
    let (seen, r) = recorded::record(through_the_mirror);
    assert_eq!(seen, expected);
    assert!(r.events.len() > 100);
}

/// A source of another crate: mio's trait, and a descriptor.
struct Foreign(::mio::net::UdpSocket);

impl std::os::fd::AsRawFd for Foreign {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

impl ::mio::event::Source for Foreign {
    fn register(
        &mut self,
        r: &::mio::Registry,
        t: ::mio::Token,
        i: ::mio::Interest,
    ) -> io::Result<()> {
        self.0.register(r, t, i)
    }
    fn reregister(
        &mut self,
        r: &::mio::Registry,
        t: ::mio::Token,
        i: ::mio::Interest,
    ) -> io::Result<()> {
        self.0.reregister(r, t, i)
    }
    fn deregister(&mut self, r: &::mio::Registry) -> io::Result<()> {
        self.0.deregister(r)
    }
}

#[test]
fn another_crates_source_registers_and_is_recorded() {
    use loopscope::mio::{Interest, Poll, Token};
    use loopscope::record::event::{Ctl, Kind};
    let ((), r) = recorded::record(|| {
        let poll = Poll::new().unwrap();
        let mut foreign =
            Foreign(::mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        poll.registry()
            .register(&mut foreign, Token(6), Interest::WRITABLE)
            .unwrap();
        let mut boxed: Box<dyn loopscope::mio::event::Source> = Box::new(foreign);
        poll.registry()
            .reregister(&mut boxed, Token(7), Interest::READABLE)
            .unwrap();
        poll.registry().deregister(&mut *boxed).unwrap();
    });
    let ctl: Vec<_> = r.all(Kind::CtlBegin).map(|e| (e.aux, e.x, e.arg)).collect();
    let (add, modify, del) = (Ctl::Add.code(), Ctl::Mod.code(), Ctl::Del.code());
    let edge = libc::EPOLLET;
    let read = libc::EPOLLIN | libc::EPOLLRDHUP | edge;
    assert_eq!(
        ctl,
        [
            (add, libc::EPOLLOUT | edge, 6),
            (modify, read, 7),
            (del, 0, 0)
        ]
    );
    assert!(r.all(Kind::CtlEnd).all(|e| e.x == 0));
}
