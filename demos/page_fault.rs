//! page-fault: a dictionary server. The dictionary is a file that is mapped into memory, so a handler just reads an array: no call, no
//! descriptor, nothing that could block. So it says. ann and bob ask for words everybody asks for; their pages are in memory.
//! far asks for rare ones: eight pages that nobody has touched. The first touch of each makes the CPU stop in the middle of an
//! instruction; the kernel fetches the page, 5 ms from this disk, and the thread sleeps: no system call was made,
//! strace shows nothing, and everybody waits.
//!
//! The repair: let another thread touch the pages first. (Reading ahead, with madvise(2), does it too where one knows what comes.)

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark, task};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{ms, waits};
use super::cold::ColdFile;
use super::kit::{connect, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

/// The clients, in the order in which they connect.
const NAMES: [&str; 3] = ["far", "ann", "bob"];
const BELL: u64 = 100;
/// What a page takes, and how many a rare word needs.
const LATENCY: Duration = Duration::from_millis(5);
const PAGES: usize = 8;
/// far asks this often.
const PERIOD: Duration = Duration::from_millis(100);
const REFUSED: &str = "userfaultfd is refused";

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let words = (knobs.time.as_micros() / PERIOD.as_micros()) as usize + 2;
    let file = match ColdFile::new(words * PAGES, LATENCY) {
        Ok(file) => file,
        Err(why) => {
            println!("nothing to see here: {REFUSED} ({why}); --recorded shows it");
            mark!(REFUSED);
            return Ok(());
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("three clients, a dictionary of {words} words, server on {address}");
    let end = Instant::now() + knobs.time;
    let (bell, rings) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    let (todo, jobs) = channel();
    let (done, warm) = channel();
    let mut clients = Vec::new();
    thread::scope(|scope| {
        for (id, stream) in connect(address, NAMES.len())?.into_iter().enumerate() {
            let (client, _) = listener.accept()?;
            client.set_nonblocking(true)?;
            clients.push(Some(Traced::new(client)));
            let random = Random::new(knobs.seed, id as u64);
            start(scope, NAMES[id], move || ask(id, stream, end, random))?;
        }
        let (file, rings) = (&file, &rings);
        start(scope, "worker", move || touch(file, &jobs, &done, rings))?;
        let worker = knobs.fixed.then_some(todo);
        serve(clients, file, Traced::new(bell), worker, &warm)
    })
}

/// The event loop, until all have hung up.
fn serve(
    mut clients: Vec<Option<Traced<TcpStream>>>,
    file: &ColdFile,
    mut bell: Traced<UnixStream>,
    worker: Option<Sender<Range<usize>>>,
    warm: &Receiver<Range<usize>>,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "dictionary");
    loopscope::name_fd(&bell, "bell");
    epoll.add(&bell, Interest::IN, BELL)?;
    for (id, client) in clients.iter().flatten().enumerate() {
        loopscope::name_fd(client, NAMES[id]);
        epoll.add(client, Interest::IN, id as u64)?;
    }
    let mut events = Events::with_capacity(16);
    let mut word = 0;
    while clients.iter().any(Option::is_some) {
        epoll.wait(&mut events, None)?;
        for event in &events {
            if event.data() == BELL {
                unless_eagain(bell.read(&mut [0; 64]))?;
                continue;
            }
            let id = event.data() as usize;
            let Some(client) = &mut clients[id] else {
                continue;
            };
            match (unless_eagain(client.read(&mut [0; 1]))?, &worker) {
                (None, _) => {}
                (Some(0), _) => clients[id] = None, // closes it
                (Some(_), worker) if NAMES[id] == "far" => {
                    let pages = word * PAGES..(word + 1) * PAGES;
                    word += 1;
                    match worker {
                        Some(worker) => worker.send(pages).map_err(io::Error::other)?,
                        // The trap: it looks like reading an array.
                        None => say(client, file.look(pages))?,
                    }
                }
                (Some(_), _) => say(client, 0)?,
            }
        }
        for pages in warm.try_iter() {
            let _task = task::begin("rare word", 0);
            if let Some(far) = &mut clients[0] {
                say(far, file.look(pages))?; // in memory by now
            }
        }
    }
    Ok(())
}

/// An answer; which does not matter here.
fn say(client: &mut Traced<TcpStream>, _letters: u64) -> io::Result<()> {
    client.write_all(b".")
}

/// The worker: touches pages, so that they are there; then the list, then the bell.
fn touch(
    file: &ColdFile,
    jobs: &Receiver<Range<usize>>,
    done: &Sender<Range<usize>>,
    mut bell: &UnixStream,
) -> io::Result<()> {
    for pages in jobs {
        file.look(pages.clone());
        done.send(pages).map_err(io::Error::other)?;
        bell.write_all(b"!")?;
    }
    Ok(())
}

/// A client: a question, its answer, a pause.
fn ask(id: usize, mut stream: TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    while Instant::now() < end {
        let next = Instant::now() + PERIOD;
        let pause = Duration::from_micros(5_000 + random.below(6_000));
        thread::sleep(pause);
        supplier.supplied(|| stream.write(b"?"))?;
        stream.read_exact(&mut [0])?;
        if NAMES[id] == "far" {
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    if broken.marks.iter().any(|m| m.name == REFUSED) {
        return vec![Claim::new("nothing is claimed here", REFUSED, true)];
    }
    let mut claims = Vec::new();
    for name in &NAMES[1..] {
        let (before, after) = waits(broken, fixed, name, 0.95);
        claims.push(Claim::new(
            format!("one in twenty of {name}'s questions waits 15 ms or more, 4 times half of the repaired"),
            format!("{} against {}", ms(before), ms(after)),
            before >= 15_000_000 && before / 4 >= after,
        ));
    }
    let [far, repaired] = [broken, fixed].map(|seen| seen.fd("far"));
    claims.push(Claim::new(
        "far's handler sleeps for most of its time, without a call in which it could",
        match far.on_cpu_ns + far.preempted_ns + far.asleep_ns {
            0 => "no switch records here".to_owned(),
            _ => format!("{} of {}", ms(far.asleep_ns), ms(far.run_ns)),
        },
        far.on_cpu_ns + far.preempted_ns == 0 || 2 * far.asleep_ns > far.run_ns,
    ));
    claims.push(Claim::new(
        "far gets its answers all the same",
        format!("{} and {}", far.bytes_out, repaired.bytes_out),
        far.bytes_out > 0 && 2 * repaired.bytes_out >= far.bytes_out,
    ));
    claims
}
