//! What several demos are made of besides their subject: clients that connect in order, a CPU that burns, a slow disk, a
//! limit of descriptors, a count of switches, what is unread, and a read that finds nothing. Step: **event** → ring.

use loopscope::io::Traced;
use loopscope::mio::unix::pipe;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// So many connections, one after the other, so that the n-th connection accepted is the n-th of them.
pub fn connect(address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    (0..count).map(|_| TcpStream::connect(address)).collect()
}

/// A server that is overrun: its queue has one place, and a connection that nobody accepts is in it. Whoever connects now hears nothing, no
/// yes and no no, as long as both are kept.
pub fn full_house() -> io::Result<(TcpListener, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // A queue is full when there are more in it than this.
    // SAFETY: no memory is passed.
    if unsafe { libc::listen(listener.as_raw_fd(), 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let in_line = TcpStream::connect(listener.local_addr()?)?;
    Ok((listener, in_line))
}

/// Bytes of a name that a connection begins with.
const NAME: usize = 8;

/// A connection that begins with its client's name.
pub fn connect_as(name: &str, address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("{name:NAME$}").as_bytes())?;
    Ok(stream)
}

/// Accepts one of these and names it. Its name is there at once, and is left out of the recording.
pub fn accept_named(listener: &Traced<TcpListener>) -> io::Result<Traced<TcpStream>> {
    let (client, _) = listener.accept()?;
    let mut name = [0; NAME];
    let mut stream: &TcpStream = &client;
    stream.read_exact(&mut name)?;
    loopscope::name_fd(&client, String::from_utf8_lossy(&name).trim());
    Ok(client)
}

/// Starts a thread of this name; the recording tells what it supplies by it.
pub fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn_scoped(scope, run).map(|_| ())
}

/// What a non-blocking call returned; nothing when it was EAGAIN: there is nothing now.
pub fn unless_eagain<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        other => other.map(Some),
    }
}

/// Bytes that have come and are not read yet.
pub fn unread(socket: &impl AsRawFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: a live descriptor, and an integer that the kernel writes.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    if done == 0 { bytes as usize } else { 0 }
}

/// Computes for this long.
pub fn burn(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// A slow disk, made deterministic: a thread that answers each question so much later through a pipe.
#[derive(Debug)]
pub struct SlowDisk {
    question: Sender<Duration>,
    answer: pipe::Receiver,
}

impl SlowDisk {
    /// A disk.
    pub fn new() -> io::Result<SlowDisk> {
        let (mut arm, answer) = pipe::new()?;
        answer.set_nonblocking(false)?;
        loopscope::name_fd(&answer, "slow disk");
        let (question, asked) = channel();
        thread::Builder::new()
            .name("slow disk".to_owned())
            .spawn(move || -> io::Result<()> {
                for latency in asked {
                    thread::sleep(latency);
                    arm.write_all(b"block")?;
                }
                Ok(())
            })?;
        Ok(SlowDisk { question, answer })
    }

    /// Asks for a block; the five bytes come through this pipe, so much later.
    pub fn ask(&mut self, latency: Duration) -> io::Result<&mut pipe::Receiver> {
        self.question.send(latency).map_err(io::Error::other)?;
        Ok(&mut self.answer)
    }
}

/// A limit of descriptors, as `ulimit -n` sets it; the one before is back when this is dropped.
#[derive(Debug)]
pub struct Descriptors {
    before: libc::rlimit,
}

impl Descriptors {
    /// So many more than there are now, counted from the lowest number that is free.
    pub fn at_most(more: usize) -> io::Result<Descriptors> {
        let free = std::fs::File::open("/dev/null")?.as_raw_fd() as libc::rlim_t;
        let mut before = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the struct is live; the kernel writes it.
        if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Self::set(libc::rlimit {
            rlim_cur: free + more as libc::rlim_t,
            ..before
        })?;
        Ok(Descriptors { before })
    }

    fn set(limit: libc::rlimit) -> io::Result<()> {
        // SAFETY: the struct is live; the kernel reads it.
        match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // The process ends with the demo; nobody is left to tell.
        let _ = Self::set(self.before);
    }
}

/// How many threads of this process have names that begin so, and how often they have gone to sleep, all together.
pub fn switches(prefix: &str) -> io::Result<(u64, u64)> {
    let (mut threads, mut switches) = (0, 0);
    for task in std::fs::read_dir("/proc/self/task")? {
        // One that has just ended has no file any more.
        let Ok(status) = std::fs::read_to_string(task?.path().join("status")) else {
            continue;
        };
        let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
        if field("Name:").is_some_and(|name| name.trim().starts_with(prefix)) {
            threads += 1;
            let times = field("voluntary_ctxt_switches:").map(str::trim);
            switches += times.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok((threads, switches))
}
