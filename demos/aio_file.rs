//! Reads of a file that go on while the program does something else. Asked of the kernel (io_submit(2)), they are really under way only
//! if the file is opened with O_DIRECT: what goes through the page cache is copied inside io_submit. Asked of the C library (aio_read(3)),
//! a thread of its own reads. That one can send a signal when it is done, the kernel adds one to an eventfd; so does io_uring, where it is
//! not refused. Step: **event** → ring.

use super::uring::Uring;
use loopscope::mark;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

/// Bytes of a piece, and pieces of the file.
const PIECE: usize = 256 * 1024;
pub const PIECES: u64 = 8;
/// From linux/aio_abi.h: read at an offset, and an eventfd is told of it.
const PREAD: u16 = 0;
const RESFD: u32 = 1;

/// The mark of a machine that has no io_uring for us.
pub const RING_REFUSED: &str = "io_uring is refused";

/// Who is told that a read is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nobody: ask.
    Nobody,
    /// A signal handler, which rings the bell.
    Signal,
    /// The bell: the kernel rings it.
    Bell,
    /// The same, asked through io_uring; where that is refused, as [`Told::Bell`].
    Ring,
}

/// The kernel's struct iocb: what is to be done.
#[repr(C)]
#[derive(Default)]
struct Iocb {
    data: u64,
    key_and_flags: u64,
    opcode: u16,
    priority: i16,
    fd: i32,
    buffer: u64,
    bytes: u64,
    offset: u64,
    reserved: u64,
    flags: u32,
    told: i32,
}

/// And its struct io_event: what has been done.
#[repr(C)]
#[derive(Default)]
struct IoEvent {
    data: u64,
    iocb: u64,
    result: i64,
    more: i64,
}

/// The bell's descriptor, for the signal handler.
static BELL: AtomicI32 = AtomicI32::new(-1);

/// It interrupts anything, so it may do nearly nothing; write(2) is allowed.
extern "C" fn ring(_: libc::c_int) {
    // SAFETY: eight live bytes; what was interrupted finds its errno as it was.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(BELL.load(Ordering::Relaxed), (&raw const ONE).cast(), 8);
        *libc::__errno_location() = errno;
    }
}
static ONE: u64 = 1;

/// The file, and one read of it at a time.
#[derive(Debug)]
pub struct AioFile {
    file: File,
    /// This, where a piece goes and what the C library was asked stay for ever: a read may be under way when the rest is dropped.
    bell: &'static OwnedFd,
    /// The kernel's list of what is done; it goes with the process.
    context: libc::c_ulong,
    buffer: *mut u8,
    asked: *mut libc::aiocb,
    /// Nothing where the kernel or whoever guards it refuses.
    ring: Option<Uring>,
    under_way: Option<Told>,
}

impl AioFile {
    /// A file without a name, whose pieces are full of their own numbers. An error where the kernel or the file system refuses.
    pub fn new() -> io::Result<AioFile> {
        let mut context: libc::c_ulong = 0;
        // SAFETY: an integer that the kernel writes.
        check(unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut context) })?;
        // SAFETY: no memory is passed; the descriptor is new and ours.
        let bell = unsafe {
            let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK).into())?;
            Box::leak(Box::new(OwnedFd::from_raw_fd(fd as i32)))
        };
        BELL.store(bell.as_raw_fd(), Ordering::Relaxed);
        // SAFETY: the handler makes one call that handlers may make; a mapping at an address of the kernel's choice.
        let buffer = unsafe {
            libc::signal(libc::SIGUSR1, ring as *const () as libc::sighandler_t);
            let (rights, kind) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            );
            libc::mmap(ptr::null_mut(), PIECE, rights, kind, -1, 0)
        };
        if buffer == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: plain data, for which zeroes are a value.
        let asked = Box::leak(Box::new(unsafe { std::mem::zeroed() }));
        let mut aio = AioFile {
            file: direct()?,
            bell,
            context,
            buffer: buffer.cast(),
            asked,
            ring: None,
            under_way: None,
        };
        for piece in 0..PIECES {
            // SAFETY: the mapping is that long, and nothing is under way.
            let bytes = unsafe { std::slice::from_raw_parts_mut(aio.buffer, PIECE) };
            bytes.fill(piece as u8);
            aio.file.write_all(bytes)?;
        }
        match aio.first_ring() {
            Ok(right) => mark!("io_uring", right = u64::from(right)),
            // The piece may still come, into the buffer of another.
            Err(why) if aio.under_way.is_some() => return Err(why),
            Err(why) => {
                aio.ring = None;
                println!("io_uring is refused here ({why}): told=io_uring does as eventfd does");
                mark!(RING_REFUSED, why = why.to_string().as_str());
            }
        }
        Ok(aio)
    }

    /// Whether io_uring brings the right piece, before anybody is served. There are kernels that give a ring and cannot read with it.
    fn first_ring(&mut self) -> io::Result<bool> {
        self.ring = Some(Uring::new(self.bell)?);
        self.read(PIECES - 1, Told::Ring)?;
        let mut bell = libc::pollfd {
            fd: self.bell.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one live struct. A disk that takes longer than this has no use for a demo.
        check(unsafe { libc::poll(&raw mut bell, 1, 5_000) }.into())?;
        let byte = self.finished()?.ok_or(io::ErrorKind::TimedOut)?;
        let mut rung = 0_u64;
        // SAFETY: eight live bytes; nobody has heard this ring, and nobody shall.
        check(unsafe { libc::read(bell.fd, (&raw mut rung).cast(), 8) } as libc::c_long)?;
        Ok(u64::from(byte) == PIECES - 1)
    }

    /// Begins to read a piece, and returns. One at a time.
    pub fn read(&mut self, piece: u64, told: Told) -> io::Result<()> {
        if self.under_way.is_some() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let (fd, offset) = (self.file.as_raw_fd(), piece % PIECES * PIECE as u64);
        let told = match (told, &self.ring) {
            (Told::Ring, None) => {
                mark!(RING_REFUSED);
                Told::Bell
            }
            _ => told,
        };
        if let (Told::Ring, Some(ring)) = (told, &mut self.ring) {
            // SAFETY: nothing is under way; the buffer is that long and stays for ever.
            unsafe { ring.read(&self.file, self.buffer, PIECE, offset)? };
        } else if told == Told::Signal {
            // SAFETY: nothing is under way, so what was asked before is ours; it and the buffer stay for ever.
            check(unsafe {
                let asked = &mut *self.asked;
                asked.aio_fildes = fd;
                asked.aio_buf = self.buffer.cast();
                asked.aio_nbytes = PIECE;
                asked.aio_offset = offset as libc::off_t;
                asked.aio_sigevent.sigev_notify = libc::SIGEV_SIGNAL;
                asked.aio_sigevent.sigev_signo = libc::SIGUSR1;
                libc::aio_read(asked).into()
            })?;
        } else {
            let iocb = Iocb {
                opcode: PREAD,
                fd,
                buffer: self.buffer as u64,
                bytes: PIECE as u64,
                offset,
                flags: if told == Told::Bell { RESFD } else { 0 },
                told: self.bell.as_raw_fd(),
                ..Iocb::default()
            };
            let one = &raw const iocb;
            // SAFETY: the kernel has read the one iocb when this returns; the buffer that it writes then stays for ever.
            check(unsafe { libc::syscall(libc::SYS_io_submit, self.context, 1, &raw const one) })?;
        }
        self.under_way = Some(told);
        Ok(())
    }

    /// The first byte of the piece, if it has been read by now. Does not wait.
    pub fn finished(&mut self) -> io::Result<Option<u8>> {
        let bytes = match self.under_way {
            None => return Ok(None),
            // SAFETY: what was asked stays for ever; its result is fetched once, when there is one.
            Some(Told::Signal) => unsafe {
                match libc::aio_error(self.asked) {
                    libc::EINPROGRESS => return Ok(None),
                    0 => libc::aio_return(self.asked) as i64,
                    errno => return Err(io::Error::from_raw_os_error(errno)),
                }
            },
            Some(Told::Ring) => match self.ring.as_mut().and_then(Uring::finished) {
                None => return Ok(None),
                Some(read) => {
                    self.under_way = None;
                    read?
                }
            },
            Some(_) => {
                let mut done = IoEvent::default();
                let (to, none) = (&raw mut done, ptr::null::<libc::timespec>());
                // SAFETY: room for one event; at least none are asked for, so it does not wait.
                match check(unsafe {
                    libc::syscall(libc::SYS_io_getevents, self.context, 0, 1, to, none)
                })? {
                    0 => return Ok(None),
                    _ if done.result < 0 => {
                        return Err(io::Error::from_raw_os_error(-done.result as i32));
                    }
                    _ => done.result,
                }
            }
        };
        self.under_way = None;
        if bytes != PIECE as i64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: inside the mapping, and nobody writes there any more.
        Ok(Some(unsafe { self.buffer.read_volatile() }))
    }

    /// Who is told of the read that is under way.
    pub fn under_way(&self) -> Option<Told> {
        self.under_way
    }
}

impl AsFd for AioFile {
    /// The bell.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl AsRawFd for AioFile {
    fn as_raw_fd(&self) -> i32 {
        self.bell.as_raw_fd()
    }
}

/// A new file past the page cache, which has lost its name already.
fn direct() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("loopscope-aio-{}", std::process::id()));
    let mut options = File::options();
    let options = options.read(true).write(true).create_new(true);
    let file = options.custom_flags(libc::O_DIRECT).open(&path);
    // Where O_DIRECT is refused the file may be there all the same.
    let removed = std::fs::remove_file(&path);
    file.and_then(|file| removed.map(|()| file))
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
