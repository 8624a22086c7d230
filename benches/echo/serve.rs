// The server that is measured, included twice: once with `mio` being mio itself, once the mirror. One request is one
// wait, one event, one read, the read that finds nothing more, and one write.

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind, Read, Write};

/// Tells its port by `ready`, serves one client until it goes, and gives the number of messages.
pub fn serve(ready: impl FnOnce(u16)) -> io::Result<u64> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address"))?;
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    ready(listener.local_addr()?.port());
    poll.poll(&mut events, None)?;
    let (mut client, _) = listener.accept()?;
    client.set_nodelay(true)?;
    poll.registry().register(&mut client, Token(1), Interest::READABLE)?;
    rounds(&mut poll, &mut events, &mut client)
}

#[inline(never)]
fn rounds(poll: &mut Poll, events: &mut Events, client: &mut TcpStream) -> io::Result<u64> {
    let mut messages = 0;
    let mut buffer = [0; 4096];
    loop {
        poll.poll(events, None)?;
        for event in events.iter() {
            if event.token() != Token(1) {
                continue;
            }
            // All there is, then the answer: the client waits for it, so that every request takes the same path.
            let mut filled = 0;
            loop {
                match client.read(&mut buffer[filled..]) {
                    Ok(0) => return Ok(messages),
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e),
                }
            }
            client.write_all(&buffer[..filled])?;
            messages += 1;
        }
    }
}
