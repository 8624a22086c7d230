//! regular-file: bob asks for something in a file of 64 MB, ann has small questions. Nothing may block in a loop, so the file is
//! opened with O_NONBLOCK and added to the epoll. EPERM: a file is always ready, there is no moment to be told of. Then it
//! may be read at any time? O_NONBLOCK means nothing to a file. A read of it takes as long as it takes, from the memory or
//! from a disk, and the loop is in it. ann waits for bob's file.
//!
//! The repair: a thread reads, and rings a bell when it has done. A file cannot say that it is ready; a thread can say that it is
//! finished. (io_uring does so in the kernel; many containers refuse it, so it is not shown here.)

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::{Recorder, Supplier, io::Traced, mark};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::{fs::OpenOptionsExt, net::UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::kit::{start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

/// The data words.
const BOB: u64 = 0;
const ANN: u64 = 1;
const BELL: u64 = 2;
const FILE: u64 = 3;
/// The file's size, and a piece of it. It has no blocks on a disk: what is slow here is the copying, and always as slow.
const SIZE: u64 = 64 * 1024 * 1024;
const PIECE: usize = 1024 * 1024;
/// ann asks so long after bob; then both are silent for a while.
const LATER: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(50);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("bob wants what is in a file, ann has questions, server on {address}");
    let clients = [TcpStream::connect(address)?, TcpStream::connect(address)?];
    let bob = Traced::new(listener.accept()?.0);
    let ann = Traced::new(listener.accept()?.0);
    let file = Traced::new(sparse_file()?);
    loopscope::name_fd(&bob, "bob");
    loopscope::name_fd(&ann, "ann");
    loopscope::name_fd(&file, "file");
    let (bell, rings) = UnixStream::pair()?;
    loopscope::name_fd(&bell, "bell");
    let (jobs, todo) = channel();
    let (time, random) = (knobs.time, Random::new(knobs.seed, 0));
    thread::scope(|scope| {
        start(scope, "clients", move || ask(clients, time, random))?;
        if !knobs.fixed {
            return serve(bob, ann, Traced::new(bell), Work::Here(file));
        }
        // A pool of one: enough for bob. Its threads wait for a disk, not for a CPU.
        start(scope, "reader", move || read_for(todo, &file, rings))?;
        serve(bob, ann, Traced::new(bell), Work::There(jobs))
    })
}

/// Who reads the file: the handler, or a thread that waits for jobs.
enum Work {
    Here(Traced<File>),
    There(Sender<()>),
}

/// The event loop, until the clients have gone.
fn serve(
    mut bob: Traced<TcpStream>,
    mut ann: Traced<TcpStream>,
    mut bell: Traced<UnixStream>,
    work: Work,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    epoll.add(&bob, Interest::IN, BOB)?;
    epoll.add(&ann, Interest::IN, ANN)?;
    epoll.add(&bell, Interest::IN, BELL)?;
    if let Work::Here(file) = &work {
        // Tell me when it can be read. The kernel says no: it can be read always.
        if let Err(refused) = epoll.add(file, Interest::IN, FILE) {
            let errno = refused.raw_os_error().unwrap_or(0);
            mark!("refused", errno = errno as u64);
        }
    }
    let mut events = Events::with_capacity(16);
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            match event.data() {
                BOB if bob.read(&mut [0; 1])? == 0 => return Ok(()),
                BOB => match &work {
                    Work::Here(file) => {
                        // The trap: non-blocking or not, this returns when it has the bytes.
                        read_all(file, &mut vec![0; PIECE])?;
                        bob.write_all(b"b")?;
                    }
                    Work::There(jobs) => jobs.send(()).map_err(io::Error::other)?,
                },
                BELL => {
                    let _ = bell.read(&mut [0; 1])?;
                    loopscope::on_behalf_of(&bob); // it rings for him
                    bob.write_all(b"b")?;
                }
                _ if ann.read(&mut [0; 1])? == 0 => return Ok(()),
                _ => ann.write_all(b"a")?,
            }
        }
    }
}

/// The thread that may sleep as long as a disk likes.
fn read_for(todo: Receiver<()>, file: &Traced<File>, mut bell: UnixStream) -> io::Result<()> {
    todo.iter().try_for_each(|()| {
        read_all(file, &mut vec![0; PIECE])?;
        bell.write_all(b"!")
    })
}

/// The whole file, from its begin.
fn read_all(file: &Traced<File>, buffer: &mut [u8]) -> io::Result<()> {
    (&**file).rewind()?;
    while loopscope::io::read(file, buffer)? > 0 {}
    Ok(())
}

/// A file of this size that has no name, opened with O_NONBLOCK.
fn sparse_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("loopscope-file-{}", std::process::id()));
    let mut options = File::options();
    let options = options.read(true).write(true).create_new(true);
    let file = options.custom_flags(libc::O_NONBLOCK).open(&path)?;
    std::fs::remove_file(&path)?;
    file.set_len(SIZE)?;
    Ok(file)
}

/// bob asks, a moment later ann; she is asked whether bob had his answer before she had hers.
fn ask([mut bob, mut ann]: [TcpStream; 2], time: Duration, mut random: Random) -> io::Result<()> {
    let (to_bob, to_ann) = (Supplier::new(&bob)?, Supplier::new(&ann)?);
    let begin = Instant::now();
    while begin.elapsed() < time {
        to_bob.supplied(|| bob.write(b"?"))?;
        thread::sleep(LATER);
        // Woken so late that bob has his answer: that tells nothing of hers.
        let late = is_answered(&bob)?;
        to_ann.supplied(|| ann.write(b"?"))?;
        ann.read_exact(&mut [0; 1])?;
        if !late {
            mark!("ann", after_bob = u64::from(is_answered(&bob)?));
        }
        bob.read_exact(&mut [0; 1])?;
        thread::sleep(PAUSE + Duration::from_micros(random.below(5_000)));
    }
    Ok(())
}

/// Whether an answer lies in the socket.
fn is_answered(client: &TcpStream) -> io::Result<bool> {
    client.set_nonblocking(true)?;
    let seen = unless_eagain(client.peek(&mut [0; 1]))?;
    client.set_nonblocking(false)?;
    Ok(seen.is_some())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let answers = |seen: &Seen| {
        let all = || seen.marks.iter().filter(|mark| mark.name == "ann");
        let behind = all().filter(|mark| mark.number("after_bob") == 1);
        (all().count(), behind.count())
    };
    let ((all, behind), (again, still)) = (answers(broken), answers(fixed));
    let (rings, for_bob) = (fixed.fd("bell").runs, fixed.fd("bob").runs_for_it);
    let refused = broken.marks.iter().find(|m| m.name == "refused");
    let errno = refused.map_or(0, |mark| mark.number("errno"));
    vec![
        Claim::new(
            "epoll_ctl refuses the file with EPERM",
            format!("errno {errno}"),
            errno == libc::EPERM as u64,
        ),
        Claim::new(
            "ann is never answered before bob's file has been read",
            format!("{behind} of {all} after it"),
            all > 0 && behind == all,
        ),
        Claim::new(
            "when a thread reads it, she mostly is",
            format!("{still} of {again} after it"),
            again > 0 && 2 * still <= again,
        ),
        Claim::new(
            "each run of the bell's is on behalf of bob",
            format!("{for_bob} of {rings}"),
            rings > 0 && for_bob == rings,
        ),
    ]
}
