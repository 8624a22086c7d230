//! An echo server on `loopscope::mio`: what it receives it sends back. Run it and watch its loop:
//!
//!     cargo run --example echo -- 127.0.0.1:7007
//!     loopscope run -- target/debug/examples/echo 127.0.0.1:7007
//!
//! and from another terminal give it something to do (8 clients, 1,000 messages each):
//!
//!     cargo run --example echo -- client 127.0.0.1:7007 8 1000
//!
//! Three lines in here are loopscope's: `Recorder::from_env()` and the two names. The rest is a mio program. Set
//! `ECHO_RECORD=echo.lscope` to record into a file without any other process.

use loopscope::mio::net::{TcpListener, TcpStream};
use loopscope::mio::{Events, Interest, Poll, Registry, Token};
use loopscope::{Recorder, Supplier};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

const LISTENER: Token = Token(0);

/// A client, and what it has not taken back yet.
struct Connection {
    stream: TcpStream,
    unsent: Vec<u8>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let recorder = match std::env::var_os("ECHO_RECORD") {
        Some(path) => Recorder::to_file(path)?,
        None => Recorder::from_env(),
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [address] => serve(address.parse()?, None)?,
        // For tests: serve this many clients, then end.
        [address, clients] => serve(address.parse()?, Some(clients.parse()?))?,
        ["client", address, clients, messages] => {
            load(address.parse()?, clients.parse()?, messages.parse()?)?
        }
        _ => {
            return Err(
                "usage: echo ADDRESS [CLIENTS] | echo client ADDRESS CLIENTS MESSAGES".into(),
            );
        }
    }
    let summary = recorder.finish()?;
    if summary.events > 0 {
        eprintln!(
            "echo: {} events recorded, {} lost",
            summary.events, summary.lost
        );
    }
    Ok(())
}

/// Serves everyone who comes, until `clients` have come and gone.
fn serve(address: SocketAddr, clients: Option<usize>) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(256);
    let mut listener = TcpListener::bind(address)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    loopscope::name_loop(&poll, "echo");
    println!("serving on {}", listener.local_addr()?);

    let mut connections = HashMap::new();
    let mut next = Token(1);
    let mut gone = 0;
    while clients.is_none_or(|clients| gone < clients) {
        match poll.poll(&mut events, None) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            let token = event.token();
            if token == LISTENER {
                accept_all(&listener, poll.registry(), &mut connections, &mut next)?;
            } else if let Some(connection) = connections.get_mut(&token) {
                // A connection that fails is the client's loss, not the server's.
                if !matches!(connection.serve(), Ok(true)) {
                    connections.remove(&token);
                    gone += 1;
                }
            }
        }
    }
    Ok(())
}

/// mio tells of new connections once: take all there are.
fn accept_all(
    listener: &TcpListener,
    registry: &Registry,
    connections: &mut HashMap<Token, Connection>,
    next: &mut Token,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        };
        let token = Token(next.0);
        next.0 += 1;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        loopscope::name_handler(registry, token, "echo");
        connections.insert(
            token,
            Connection {
                stream,
                unsent: Vec::new(),
            },
        );
    }
}

impl Connection {
    /// Echoes until there is nothing to read or no room to write. `false`: the client has gone.
    fn serve(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            if !self.send()? {
                return Ok(true);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => self.unsent.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Sends what can be sent. `false`: the client does not take more now, and mio tells when it does.
    fn send(&mut self) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}

/// Clients one beside the other, each a thread that waits for its echo before it sends again.
fn load(address: SocketAddr, clients: usize, messages: usize) -> io::Result<()> {
    std::thread::scope(|threads| {
        let running: Vec<_> = (0..clients)
            .map(|_| threads.spawn(|| talk(address, messages)))
            .collect();
        running.into_iter().try_for_each(|client| {
            client
                .join()
                .map_err(|_| io::Error::other("a client panicked"))?
        })
    })
}

fn talk(address: SocketAddr, messages: usize) -> io::Result<()> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    // Stamps around each send: in the server's recording, notice time is then measured instead of bounded.
    let supplier = Supplier::new(&stream)?;
    let mut answer = [0; 64];
    for n in 0..messages {
        let message = [n as u8; 64];
        supplier.supplied(|| stream.write(&message))?;
        stream.read_exact(&mut answer)?;
        if answer != message {
            return Err(io::Error::other("the echo is not what was sent"));
        }
    }
    Ok(())
}
