//! The live kernel behind the epoll model's calls.
//!
//! The model's numbers stand for real ones from a range of their own, so that a number is used again exactly where the
//! sequence does, whatever else the test process opens meanwhile.

use loopscope::teach::epoll::{Answer, Call, Ctl, Errno, Fd, How, Ready, Sizes};
use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;

/// Numbers of one world.
const RANGE: i32 = 32;

/// Above what a test process uses itself.
const FIRST: i32 = 400;

static TAKEN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Smaller than usual, so that a short sequence fills it.
const SEND_BUFFER: i32 = 8192;
const PIPE: i32 = 8192;

pub struct Live {
    base: i32,
    pipe: i32,
    send_buffer: Option<i32>,
    /// Which numbers are eventfds: those take a number where others take bytes.
    eventfds: BTreeSet<Fd>,
}

fn answer(result: i64) -> Answer {
    match result {
        -1 => Answer::Failed(Errno(io::Error::last_os_error().raw_os_error().unwrap())),
        0 => Answer::Done,
        n => Answer::Count(n as u64),
    }
}

/// Bytes transferred, 0 included.
fn count(result: isize) -> Answer {
    match result {
        -1 => answer(-1),
        n => Answer::Count(n as u64),
    }
}

#[track_caller]
fn made(fd: i32) -> i32 {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    fd
}

impl Live {
    /// What this kernel does with the small pipes and buffers of these worlds.
    pub fn sizes() -> Sizes {
        let mut sizes = Sizes {
            pipe_pages: (PIPE / 4096) as usize,
            send_buffer: SEND_BUFFER as u64 * 2,
            ..Sizes::default()
        };
        for bytes in super::random::MESSAGES {
            let charged = charge(bytes as usize);
            sizes.messages.insert(bytes, charged);
        }
        sizes
    }

    /// Nothing is open. Pipes and buffers are as large as `sizes` says.
    pub fn new(sizes: &Sizes) -> Live {
        let mut taken = TAKEN.lock().unwrap();
        let base = (0..)
            .map(|n| FIRST + n * RANGE)
            .find(|b| !taken.contains(b));
        let base = base.unwrap();
        taken.insert(base);
        let usual = Sizes::default().send_buffer == sizes.send_buffer;
        Live {
            base,
            pipe: (sizes.pipe_pages as u64 * sizes.page) as i32,
            send_buffer: (!usual).then_some((sizes.send_buffer / 2) as i32),
            eventfds: BTreeSet::new(),
        }
    }

    /// The real number.
    fn real(&self, fd: Fd) -> i32 {
        assert!((0..RANGE).contains(&fd), "{fd}");
        self.base + fd
    }

    /// Gives something just made the number that the sequence wants.
    fn put(&mut self, made: i32, fd: Fd) {
        let real = self.real(fd);
        self.eventfds.remove(&fd);
        // SAFETY: plain descriptor calls; the range is this world's alone.
        unsafe {
            assert_eq!(libc::dup2(made, real), real);
            libc::close(made);
        }
    }

    pub fn apply(&mut self, call: &Call) -> Answer {
        match *call {
            Call::Epoll { fd } => {
                // SAFETY: no pointer is passed.
                self.put(made(unsafe { libc::epoll_create1(0) }), fd);
            }
            Call::Pipe { read, write } => {
                let mut ends = [0; 2];
                // SAFETY: `ends` has room for two numbers.
                made(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK) });
                // SAFETY: no pointer is passed.
                made(unsafe { libc::fcntl(ends[0], libc::F_SETPIPE_SZ, self.pipe) });
                self.put(ends[0], read);
                self.put(ends[1], write);
            }
            Call::Eventfd {
                fd,
                count,
                semaphore,
            } => {
                let flag = if semaphore { libc::EFD_SEMAPHORE } else { 0 };
                // SAFETY: no pointer is passed.
                let made = made(unsafe { libc::eventfd(count as u32, libc::EFD_NONBLOCK | flag) });
                self.put(made, fd);
                self.eventfds.insert(fd);
            }
            Call::Pair { a, b } => {
                let ends = pair(self.send_buffer);
                self.put(ends[0], a);
                self.put(ends[1], b);
            }
            Call::Regular { fd } => {
                // SAFETY: the name is a C string.
                let made = made(unsafe { libc::memfd_create(c"regular".as_ptr(), 0) });
                self.put(made, fd);
            }
            Call::Ctl {
                epfd,
                ctl,
                fd,
                mask,
                data,
            } => return self.ctl(epfd, ctl, fd, mask, data),
            Call::Wait { epfd, max } => return self.wait(epfd, max),
            Call::Write { fd, count: bytes } => return self.write(fd, bytes),
            Call::Read { fd, count: bytes } => return self.read(fd, bytes),
            Call::Shutdown { fd, how } => {
                let how = match how {
                    How::Read => libc::SHUT_RD,
                    How::Write => libc::SHUT_WR,
                    How::Both => libc::SHUT_RDWR,
                };
                // SAFETY: no pointer is passed.
                return answer(unsafe { libc::shutdown(self.real(fd), how) }.into());
            }
            Call::Dup { from, to } => {
                let eventfd = self.eventfds.contains(&from);
                // SAFETY: no pointer is passed.
                let number = unsafe { libc::dup2(self.real(from), self.real(to)) };
                if number == -1 {
                    return answer(-1);
                }
                self.eventfds.remove(&to);
                if eventfd {
                    self.eventfds.insert(to);
                }
                return Answer::Count((number - self.base) as u64);
            }
            Call::Close { fd } => {
                self.eventfds.remove(&fd);
                // SAFETY: the number is this world's own, or not open.
                return answer(unsafe { libc::close(self.real(fd)) }.into());
            }
        }
        Answer::Done
    }

    fn ctl(&self, epfd: Fd, ctl: Ctl, fd: Fd, mask: u32, data: u64) -> Answer {
        let op = match ctl {
            Ctl::Add => libc::EPOLL_CTL_ADD,
            Ctl::Mod => libc::EPOLL_CTL_MOD,
            Ctl::Del => libc::EPOLL_CTL_DEL,
            Ctl::Other(op) => op,
        };
        let mut event = libc::epoll_event {
            events: mask,
            u64: data,
        };
        // SAFETY: `event` is one.
        answer(unsafe { libc::epoll_ctl(self.real(epfd), op, self.real(fd), &mut event) }.into())
    }

    fn wait(&self, epfd: Fd, max: i32) -> Answer {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        assert!(max <= 64);
        // SAFETY: there is room for 64, and `max` is not more.
        let n = unsafe { libc::epoll_wait(self.real(epfd), events.as_mut_ptr(), max, 0) };
        if n < 0 {
            return answer(-1);
        }
        let ready = |e: &libc::epoll_event| Ready {
            data: e.u64,
            mask: e.events,
        };
        Answer::Batch(events[..n as usize].iter().map(ready).collect())
    }

    fn write(&self, fd: Fd, bytes: u64) -> Answer {
        if self.eventfds.contains(&fd) {
            // SAFETY: 8 bytes are read from `bytes`.
            return count(unsafe { libc::write(self.real(fd), (&raw const bytes).cast(), 8) });
        }
        let buffer = vec![0_u8; usize::try_from(bytes).unwrap().min(1 << 20)];
        // SAFETY: the buffer is as long as it is said to be.
        count(unsafe { libc::write(self.real(fd), buffer.as_ptr().cast(), buffer.len()) })
    }

    fn read(&self, fd: Fd, bytes: u64) -> Answer {
        if self.eventfds.contains(&fd) {
            let mut value = 0_u64;
            // SAFETY: `value` has room for 8 bytes.
            return match unsafe { libc::read(self.real(fd), (&raw mut value).cast(), 8) } {
                8 => Answer::Count(value),
                failed => count(failed),
            };
        }
        let mut buffer = vec![0_u8; usize::try_from(bytes).unwrap().min(1 << 20)];
        // SAFETY: the buffer is as long as it is said to be.
        count(unsafe { libc::read(self.real(fd), buffer.as_mut_ptr().cast(), buffer.len()) })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        for fd in 0..RANGE {
            // SAFETY: the range is this world's alone.
            unsafe { libc::close(self.base + fd) };
        }
        TAKEN.lock().unwrap().remove(&self.base);
    }
}

/// Two connected stream sockets.
fn pair(send_buffer: Option<i32>) -> [i32; 2] {
    let mut ends = [0; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
    // SAFETY: `ends` has room for two numbers.
    made(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) });
    for (end, size) in ends.iter().zip([send_buffer; 2]) {
        let Some(size) = size else { continue };
        let pointer = (&raw const size).cast();
        // SAFETY: `size` is four bytes.
        let set = unsafe { libc::setsockopt(*end, libc::SOL_SOCKET, libc::SO_SNDBUF, pointer, 4) };
        made(set);
    }
    ends
}

/// What the kernel takes of a send buffer for a message.
fn charge(bytes: usize) -> u64 {
    let [a, b] = pair(None);
    let (buffer, mut charged) = (vec![0_u8; bytes], 0_i32);
    // SAFETY: the buffer is as long as it is said to be, and SIOCOUTQ writes one int.
    unsafe {
        assert_eq!(
            libc::write(a, buffer.as_ptr().cast(), bytes),
            bytes as isize
        );
        made(libc::ioctl(a, libc::TIOCOUTQ, &raw mut charged));
        libc::close(a);
        libc::close(b);
    }
    charged as u64
}
