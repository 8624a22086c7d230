//! ghost-events: a server serves ann, and when cid asks for an upload it hands his connection to a thread: it duplicates the
//! descriptor, gives the copy away and closes its own. close(2) takes a descriptor off an interest list only when the
//! *last* number of the open connection goes. The copy is one. So epoll goes on to report cid under a data word whose
//! client is gone, at once and again, and DEL is no way out: there is no number left to name it by.
//!
//! The repair: DEL before close.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::{self as traced, Traced};
use loopscope::{Recorder, Supplier};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Claim, Knobs, Random, Seen};

const LISTENER: u64 = u64::MAX;
/// How long the uploader takes for an upload.
const UPLOAD: Duration = Duration::from_millis(120);
/// cid comes back this often.
const ROUND: Duration = Duration::from_millis(300);
/// What the server does about an event it cannot explain: it writes that to a log.
const LOG: Duration = Duration::from_millis(2);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let rounds = (knobs.time.as_micros() / ROUND.as_micros()) as usize;
    println!("ann stays, cid comes {rounds} times, server on {address}");
    let ann = TcpStream::connect(address)?; // the first one accepted
    let (jobs, uploads) = channel();
    let (seed, fixed) = (knobs.seed, knobs.fixed);
    let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
    thread::scope(|scope| {
        let cid = spawn("cid").spawn_scoped(scope, move || upload(address, rounds))?;
        spawn("ann").spawn_scoped(scope, move || {
            let random = Random::new(seed, 0);
            ask(ann, random, || !cid.is_finished())
        })?;
        spawn("uploader").spawn_scoped(scope, move || uploader(uploads))?;
        serve(listener, jobs, fixed)
    })
}

/// The event loop, until ann hangs up.
fn serve(listener: TcpListener, jobs: Sender<OwnedFd>, fixed: bool) -> io::Result<()> {
    let listener = Traced::new(listener);
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&listener, "listen");
    epoll.add(&listener, Interest::IN, LISTENER)?;
    let mut events = Events::with_capacity(64);
    let mut clients: Vec<Option<Traced<TcpStream>>> = Vec::new();
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == LISTENER {
                let (client, _) = listener.accept()?;
                client.set_nonblocking(true)?;
                let id = clients.len();
                let name = if id == 0 { "ann" } else { "cid" };
                loopscope::name_fd(&client, name);
                loopscope::name_handler(&epoll, id, name);
                epoll.add(&client, Interest::IN, id as u64)?;
                clients.push(Some(client));
                continue;
            }
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                // A ghost: the kernel speaks of a client that this program has closed. It cannot be told to stop:
                // epoll_ctl wants a descriptor, and there is none. What the event is about stays unread, so that the
                // next wait returns at once, too.
                loopscope::call("write to the log", || thread::sleep(LOG));
                continue;
            };
            let mut request = [0; 1];
            match client.read(&mut request) {
                Ok(0) if id == 0 => return Ok(()),
                Ok(0) => clients[id] = None,
                Ok(_) if request == *b"u" => {
                    let copy = traced::dup(&*client)?;
                    if fixed {
                        epoll.delete(&*client)?;
                    }
                    // The trap: this closes a number, not the connection, and it is the connection that is watched.
                    clients[id] = None;
                    jobs.send(copy).map_err(io::Error::other)?;
                }
                Ok(_) => client.write_all(b".")?,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Takes the uploads, each for a while, then says that it is done.
fn uploader(jobs: Receiver<OwnedFd>) -> io::Result<()> {
    for copy in jobs {
        thread::sleep(UPLOAD);
        let mut client = Traced::new(TcpStream::from(copy));
        client.set_nonblocking(false)?;
        let _taken = client.read(&mut [0; 4096])?;
        client.write_all(b"!")?;
        // Closes the last number: only now the kernel forgets the registration.
    }
    Ok(())
}

/// cid: asks for an upload, sends it piece by piece, and waits until it has been taken.
fn upload(address: SocketAddr, rounds: usize) -> io::Result<()> {
    for _ in 0..rounds {
        let start = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        let supplier = Supplier::new(&stream)?;
        supplier.supplied(|| stream.write(b"u"))?;
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(15));
            supplier.supplied(|| stream.write(b"a piece"))?;
        }
        stream.read_exact(&mut [0])?;
        thread::sleep(ROUND.saturating_sub(start.elapsed()));
    }
    Ok(())
}

/// ann: a short question now and then, as long as cid comes.
fn ask(mut stream: TcpStream, mut random: Random, more: impl Fn() -> bool) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while more() {
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0])?;
        thread::sleep(Duration::from_micros(6_000 + random.below(6_000)));
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let (before, after) = (broken.fd("cid"), fixed.fd("cid"));
    vec![
        Claim::new(
            "cid is reported at least 20 times after the server has closed him",
            format!("{} of {} events", before.ghosts, before.ready),
            before.ghosts >= 20,
        ),
        Claim::new(
            "the repaired server, which says DEL first, never hears of him again",
            format!("{} of {} events", after.ghosts, after.ready),
            after.ready > 0 && after.ghosts == 0,
        ),
        Claim::new(
            "and each of his events there is served",
            format!("{} events in {} runs", after.ready, after.runs),
            after.ready > 0 && after.ready == after.runs,
        ),
    ]
}
