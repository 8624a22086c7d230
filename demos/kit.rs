//! What several demos are made of besides their subject: clients that connect in order, a CPU that burns, a slow disk, a
//! limit of descriptors, and a read that finds nothing. Step: **event** → ring.

use loopscope::mio::unix::pipe;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// So many connections, one after the other, so that the n-th connection accepted is the n-th of them.
pub fn connect(address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    (0..count).map(|_| TcpStream::connect(address)).collect()
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
    question: Sender<()>,
    answer: pipe::Receiver,
}

impl SlowDisk {
    /// A disk that takes so long.
    pub fn new(latency: Duration) -> io::Result<SlowDisk> {
        let (mut arm, answer) = pipe::new()?;
        answer.set_nonblocking(false)?;
        loopscope::name_fd(&answer, "slow disk");
        let (question, asked) = channel();
        thread::Builder::new()
            .name("slow disk".to_owned())
            .spawn(move || -> io::Result<()> {
                for () in asked {
                    thread::sleep(latency);
                    arm.write_all(b"block")?;
                }
                Ok(())
            })?;
        Ok(SlowDisk { question, answer })
    }

    /// Asks for a block; the five bytes come through this pipe.
    pub fn ask(&mut self) -> io::Result<&mut pipe::Receiver> {
        self.question.send(()).map_err(io::Error::other)?;
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
