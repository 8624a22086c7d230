//! The library end to end: an echo server on `loopscope::mio`, real loopback clients, a recording, reopened.
#![cfg(feature = "mio")]

use loopscope::mio::net::{TcpListener, TcpStream};
use loopscope::mio::{Events, Interest, Poll, Token};
use loopscope::record::event::{Ctl, FdKind, Kind, Op, Space, Wait, flags};
use loopscope::{Recorder, Supplier};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

mod recorded;
use recorded::Recorded;

const LISTENER: Token = Token(0);
const CLIENTS: usize = 4;
const ROUNDS: usize = 25;
const MESSAGE: &[u8] = b"sixteen bytes ..";

/// Serves until as many clients as came have gone; gives the number of its waits. Each client waits for its greeting
/// (`accepted`) before it sends, so that a first read finds nothing.
fn serve(mut listener: TcpListener, accepted: Sender<()>) -> io::Result<u64> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    loopscope::name_loop(&poll, "echo");
    loopscope::name_handler(&poll, LISTENER, "accept");
    let mut clients: HashMap<Token, TcpStream> = HashMap::new();
    let (mut served, mut waits) = (0, 0);
    while served < CLIENTS {
        waits += 1;
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            if event.token() == LISTENER {
                while let Ok((mut client, _)) = listener.accept() {
                    let token = Token(client_number(&clients) + served);
                    poll.registry()
                        .register(&mut client, token, Interest::READABLE)?;
                    loopscope::name_handler(&poll, token, "echo");
                    assert!(echo(&mut client)?, "it is there and has sent nothing");
                    clients.insert(token, client);
                    accepted.send(()).unwrap();
                }
            } else if let Some(client) = clients.get_mut(&event.token())
                && !echo(client)?
            {
                let mut client = clients.remove(&event.token()).unwrap();
                poll.registry().deregister(&mut client)?;
                served += 1;
            }
        }
    }
    Ok(waits)
}

fn client_number(clients: &HashMap<Token, TcpStream>) -> usize {
    1 + clients.len()
}

/// Whether the client is still there.
fn echo(client: &mut TcpStream) -> io::Result<bool> {
    let mut buffer = [0; 512];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => client.write_all(&buffer[..n])?,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(e) => return Err(e),
        }
    }
}

fn client(server: SocketAddr, accepted: &Receiver<()>) -> io::Result<()> {
    let mut stream = std::net::TcpStream::connect(server)?;
    accepted.recv().unwrap();
    let supplier = Supplier::new(&stream)?;
    let mut answer = [0; MESSAGE.len()];
    for _ in 0..ROUNDS {
        assert_eq!(supplier.supplied(|| stream.write(MESSAGE))?, MESSAGE.len());
        stream.read_exact(&mut answer)?;
        assert_eq!(answer, MESSAGE);
    }
    Ok(())
}

#[test]
fn every_call_of_an_echo_server_is_in_its_recording() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("echo.lscope");
    let recorder = Recorder::to_file(&path).unwrap();
    assert!(loopscope::is_on());

    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, accepted) = channel();
    let server = std::thread::spawn(move || serve(listener, sender).unwrap());
    for _ in 0..CLIENTS {
        client(address, &accepted).unwrap();
    }
    let waits = server.join().unwrap();
    let summary = recorder.finish().unwrap();
    assert!(!loopscope::is_on());

    let r = Recorded::open(&path);
    assert!(r.complete);
    assert_eq!((summary.lost, summary.events), (0, r.events.len() as u64));
    let messages = (CLIENTS * ROUNDS) as u64;

    // Waits, batches and runs.
    assert_eq!(r.count(Kind::WaitEnter), waits);
    assert_eq!(r.count(Kind::WaitExit), waits);
    assert!(
        r.all(Kind::WaitEnter)
            .all(|e| e.aux == Wait::Epoll.code() && e.x == 64 && e.arg == u64::MAX)
    );
    let returned: u64 = r.all(Kind::WaitExit).map(|e| e.x as u64).sum();
    assert_eq!(r.count(Kind::Ready), returned);
    assert_eq!(
        r.count(Kind::RunBegin),
        returned,
        "each event was handled once"
    );
    assert_eq!(r.count(Kind::RunEnd), waits, "each batch's last run ended");
    assert!(r.all(Kind::RunEnd).all(|e| e.flags & flags::LEFT == 0));

    // Registrations: the mask mio really asks for.
    let adds: Vec<_> = r
        .all(Kind::CtlBegin)
        .filter(|e| e.aux == Ctl::Add.code())
        .collect();
    assert_eq!(adds.len(), 1 + CLIENTS);
    let mask = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
    assert!(
        adds.iter()
            .all(|e| e.x == mask && e.y as i32 == r.all(Kind::WaitEnter).next().unwrap().fd)
    );
    assert_eq!(
        r.all(Kind::CtlBegin)
            .filter(|e| e.aux == Ctl::Del.code())
            .count(),
        CLIENTS
    );
    assert_eq!(r.count(Kind::CtlBegin), r.count(Kind::CtlEnd));
    assert!(r.all(Kind::CtlEnd).all(|e| e.x == 0));

    // I/O with results.
    let bytes = |op: Op| -> u64 {
        r.all(Kind::Io)
            .filter(|e| e.aux == op.code() && e.x > 0)
            .map(|e| e.x as u64)
            .sum()
    };
    assert_eq!(bytes(Op::Recv), messages * MESSAGE.len() as u64);
    assert_eq!(bytes(Op::Send), messages * MESSAGE.len() as u64);
    let ends = r
        .all(Kind::Io)
        .filter(|e| e.aux == Op::Recv.code() && e.x == 0)
        .count();
    assert_eq!(ends, CLIENTS, "each client's end of file");
    let nothing = r
        .all(Kind::Io)
        .filter(|e| e.aux == Op::Recv.code() && e.x == -libc::EAGAIN)
        .count();
    assert!(nothing >= CLIENTS, "each client's first read");
    let accepted: Vec<_> = r
        .all(Kind::Io)
        .filter(|e| e.aux == Op::Accept.code() && e.x > 0)
        .collect();
    assert_eq!(accepted.len(), CLIENTS);

    // Descriptors: born of the listener, named by their addresses, closed.
    let listener = accepted[0].fd;
    let born: Vec<_> = r
        .all(Kind::FdOpen)
        .filter(|e| e.aux == FdKind::Tcp.code())
        .collect();
    assert_eq!(born.len(), CLIENTS);
    assert!(born.iter().all(|e| e.x == listener && e.arg == 7));
    let named = r.texts(Kind::FdAddr);
    let server_side = named
        .iter()
        .filter(|t| t.starts_with(&format!("tcp {address}>127.0.0.1:")));
    assert_eq!(server_side.count(), CLIENTS);
    assert_eq!(
        r.count(Kind::FdCloseBegin),
        CLIENTS as u64 + 2,
        "the clients, the listener, the epoll"
    );
    assert_eq!(r.count(Kind::FdCloseEnd), r.count(Kind::FdCloseBegin));

    // What the load generator knew, matched by the reversed pair.
    let supplied: Vec<_> = r.all(Kind::Supplied).collect();
    assert_eq!(supplied.len() as u64, messages);
    assert!(
        supplied
            .iter()
            .all(|e| e.arg == MESSAGE.len() as u64 && e.y > 0)
    );
    let pairs = r.names(Space::Pair);
    assert_eq!(pairs.len(), CLIENTS);
    for pair in pairs.values() {
        let (near, far) = pair.strip_prefix("tcp ").unwrap().split_once('>').unwrap();
        assert!(named.contains(&format!("tcp {far}>{near}")), "{pair}");
    }

    // Names and sites.
    let mut handlers: Vec<_> = r.names(Space::Handler).into_values().collect();
    handlers.sort();
    assert_eq!(handlers, ["accept", "echo"]);
    assert_eq!(
        r.names(Space::Loop).into_values().collect::<Vec<_>>(),
        ["echo"]
    );
    let sites = r.names(Space::Site);
    for kind in [Kind::WaitEnter, Kind::RunBegin, Kind::Io, Kind::Supplied] {
        let here = r
            .all(kind)
            .all(|e| sites[&e.site.into()].starts_with("tests/instrument_echo.rs:"));
        assert!(here, "{kind:?} is called from this file");
    }
    assert!(r.in_order());
}
