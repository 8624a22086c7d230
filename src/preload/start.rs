//! The constructor: finds the next functions, joins the session and goes away. Step: event → **ring**.
//!
//! It runs before any other constructor (`-z initfirst`). [`handshake`](crate::record::handshake) has the bytes. When
//! it returns, no descriptor, thread, signal handler or allocation of ours is left, only two mappings. Whatever fails,
//! the program runs on, unrecorded.

use core::ffi::{CStr, c_char, c_int, c_long};
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::record::handshake::{self, Hello, PATIENCE_MS, Reply, Source, Status};
use crate::record::segment::{Limit, Segment};
use crate::record::wire;
use crate::sys::sys_call;
use crate::{next, tls};

#[cfg(loopscope_shim)]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn(c_int, *const *const c_char, *const *const c_char) = constructor;

/// glibc passes main's arguments to constructors.
#[cfg_attr(not(loopscope_shim), allow(dead_code))] // an ordinary program has other constructors
extern "C" fn constructor(
    _argc: c_int,
    _argv: *const *const c_char,
    environment: *const *const c_char,
) {
    next::resolve();
    // A second shim of another version would record every call twice: the one nearer to libc does it.
    if next::anywhere(c"gnu_get_libc_version").is_null()
        || !next::after_us(c"loopscope_shim_is_on").is_null()
    {
        return;
    }
    // SAFETY: glibc's third argument is the environment, and it is glibc.
    let Some(path) = (unsafe { variable(environment, handshake::ENV.as_bytes()) }) else {
        return;
    };
    if let Some((memory, generation)) = join(path) {
        // SAFETY: the constructor's environment.
        unsafe { crate::hooks::environment::remember(environment) };
        // SAFETY: as above.
        unsafe { crate::memory::learn(environment) };
        tls::switch_on(memory, generation);
        crate::identity::learn();
        crate::hooks::process::announce(0);
    }
}

/// The value of an environment variable.
///
/// # Safety
///
/// `environment` is null or an array of C strings that ends with a null.
pub unsafe fn variable<'a>(mut environment: *const *const c_char, name: &[u8]) -> Option<&'a CStr> {
    loop {
        // SAFETY: not null, and not beyond the array's null.
        let entry = unsafe { environment.as_ref() }.filter(|entry| !entry.is_null())?;
        // SAFETY: a C string, the caller says.
        let entry = unsafe { CStr::from_ptr(*entry) };
        let rest = entry.to_bytes_with_nul().strip_prefix(name);
        if let Some([b'=', value @ ..]) = rest
            && value.len() > 1
        {
            return CStr::from_bytes_with_nul(value).ok();
        }
        // SAFETY: the entry was not the null at the end.
        environment = unsafe { environment.add(1) };
    }
}

fn join(path: &CStr) -> Option<(tls::Memory, &'static AtomicU32)> {
    let socket = Fd::connected(path)?;
    if !socket.peer_is_ours() {
        return None;
    }
    // SAFETY: takes nothing, cannot fail.
    let pid = unsafe { sys_call!(GETPID) };
    let hello = Hello {
        wire: wire::VERSION,
        slot: wire::SLOT_BYTES,
        source: Source::Preload,
        pid: pid as i32,
    };
    let (reply, memfd) = socket.exchange(&hello.to_bytes())?;
    if reply.status != Status::Welcome {
        return None;
    }
    let memfd = memfd?;
    let bytes = usize::try_from(reply.bytes).ok()?;
    if !memfd.is_sealed() || memfd.size()? < reply.bytes {
        return None;
    }
    let base = map(bytes, MAP_SHARED | MAP_POPULATE, memfd.0)?;
    // SAFETY: the mapping has that many words, is page-aligned and stays for ever; its pages are sealed into the memfd.
    // Other processes write it through atomics too.
    let segment = unsafe { Segment::attach(base.cast::<AtomicU64>(), reply.bytes / 8) }.ok()?;
    let count = segment.layout().limits();
    let lines = (count + 1) * size_of::<Limit>();
    let page = map(lines, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1)?;
    // SAFETY: the mapping made above, whole.
    if unsafe { sys_call!(MADVISE, page, lines, MADV_WIPEONFORK) } != 0 {
        return None;
    }
    let first = page.cast::<Limit>();
    // SAFETY: the mapping holds `count` + 1 lines of zeroed memory, which is a valid `Limit` and a valid AtomicU32,
    // page-aligned, never unmapped and never accessed but through these two references.
    let (generation, limits) = unsafe {
        (
            &*first.cast::<AtomicU32>(),
            core::slice::from_raw_parts(first.add(1), count),
        )
    };
    Some((tls::Memory::new(segment, limits), generation))
}

const MAP_SHARED: c_int = 1;
const MAP_PRIVATE: c_int = 2;
const MAP_ANONYMOUS: c_int = 0x20;
const MAP_POPULATE: c_int = 0x8000;
const PROT_READ_WRITE: c_int = 3;
const MADV_WIPEONFORK: c_int = 18;

fn map(bytes: usize, flags: c_int, fd: c_int) -> Option<*const u8> {
    let base = {
        // SAFETY: a mapping where the kernel likes it touches nothing that is there.
        unsafe { sys_call!(MMAP, 0, bytes, PROT_READ_WRITE, flags, fd, 0) }
    };
    (base > 0).then(|| ptr::with_exposed_provenance(base as usize))
}

/// A descriptor of the constructor's, closed when it goes.
struct Fd(c_int);

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: a descriptor the kernel made for us.
        unsafe { sys_call!(CLOSE, self.0) };
    }
}

const AF_UNIX: u16 = 1;
const SOCK_SEQPACKET_CLOEXEC: c_int = 5 | 0o2_000_000;
const SOL_SOCKET: c_int = 1;
const SO_PEERCRED: c_int = 17;
const SO_RCVTIMEO: c_int = 20;
const SO_SNDTIMEO: c_int = 21;
const SCM_RIGHTS: c_int = 1;
const MSG_NOSIGNAL: c_int = 0x4000;
const MSG_CMSG_CLOEXEC: c_int = 0x4000_0000;
const MSG_CTRUNC: c_int = 8;
const F_GET_SEALS: c_int = 1034;
const SEAL_SHRINK: isize = 2;
const SEEK_END: c_int = 2;
const EINTR: isize = -4;
const PATH_ROOM: usize = 108;

#[repr(C)]
struct Address {
    family: u16,
    path: [u8; PATH_ROOM],
}

#[repr(C)]
struct Credentials {
    pid: i32,
    uid: u32,
    gid: u32,
}

#[repr(C)]
struct Piece {
    base: *mut u8,
    length: usize,
}

#[repr(C)]
struct Message {
    name: *mut u8,
    name_length: u32,
    pieces: *mut Piece,
    piece_count: usize,
    control: *mut Control,
    control_length: usize,
    flags: c_int,
}

/// Room for one control message with one descriptor; a second one would be cut off, and told.
#[repr(C, align(8))]
#[derive(Default)]
struct Control {
    length: usize,
    level: c_int,
    kind: c_int,
    fd: c_int,
    _pad: c_int,
}

/// Repeats what a signal has interrupted.
fn retrying(call: impl Fn() -> isize) -> isize {
    loop {
        let answer = call();
        if answer != EINTR {
            return answer;
        }
    }
}

impl Fd {
    fn connected(path: &CStr) -> Option<Fd> {
        let bytes = path.to_bytes();
        let mut address = Address {
            family: AF_UNIX,
            path: [0; PATH_ROOM],
        };
        // One zero must remain.
        address
            .path
            .get_mut(..PATH_ROOM - 1)?
            .get_mut(..bytes.len())?
            .copy_from_slice(bytes);
        // SAFETY: no memory is passed.
        let made = unsafe { sys_call!(SOCKET, AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0) };
        let socket = Fd(c_int::try_from(made).ok().filter(|fd| *fd >= 0)?);
        let patience: [c_long; 2] = [
            (PATIENCE_MS / 1000).into(),
            (PATIENCE_MS % 1000 * 1000).into(),
        ];
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            let (value, size) = (&raw const patience, size_of_val(&patience));
            // SAFETY: the timeval is live and of the size given.
            unsafe { sys_call!(SETSOCKOPT, socket.0, SOL_SOCKET, option, value, size) };
        }
        let (to, size) = (&raw const address, size_of::<Address>());
        // SAFETY: the address is live and `size` long.
        let done = retrying(|| unsafe { sys_call!(CONNECT, socket.0, to, size) });
        (done == 0).then_some(socket)
    }

    /// The recorder must be ours or root's: what it sends is mapped and written to.
    fn peer_is_ours(&self) -> bool {
        let mut peer = Credentials {
            pid: 0,
            uid: u32::MAX,
            gid: u32::MAX,
        };
        let mut size = size_of::<Credentials>() as u32;
        let (to, length) = (&raw mut peer, &raw mut size);
        // SAFETY: `peer` and `size` are live and of the size `size` says.
        let done = unsafe { sys_call!(GETSOCKOPT, self.0, SOL_SOCKET, SO_PEERCRED, to, length) };
        // SAFETY: takes nothing, cannot fail.
        let own = unsafe { sys_call!(GETEUID) } as u32;
        done == 0 && (peer.uid == own || peer.uid == 0)
    }

    fn exchange(&self, hello: &[u8]) -> Option<(Reply, Option<Fd>)> {
        let (from, size) = (hello.as_ptr(), hello.len());
        // SAFETY: the bytes are live and of the length given.
        let sent =
            retrying(|| unsafe { sys_call!(SENDTO, self.0, from, size, MSG_NOSIGNAL, 0, 0) });
        if sent != size as isize {
            return None;
        }
        let mut bytes = [0_u8; handshake::LEN];
        let mut piece = Piece {
            base: bytes.as_mut_ptr(),
            length: bytes.len(),
        };
        let mut control = Control::default();
        let mut message = Message {
            name: ptr::null_mut(),
            name_length: 0,
            pieces: &raw mut piece,
            piece_count: 1,
            control: &raw mut control,
            control_length: size_of::<Control>(),
            flags: 0,
        };
        let to = &raw mut message;
        // SAFETY: the message points to live memory of the lengths it says.
        let got = retrying(|| unsafe { sys_call!(RECVMSG, self.0, to, MSG_CMSG_CLOEXEC) });
        let whole = size_of::<usize>() + 2 * size_of::<c_int>() + size_of::<c_int>();
        let carries = message.control_length >= whole
            && (control.length, control.level, control.kind) == (whole, SOL_SOCKET, SCM_RIGHTS);
        let memfd = carries.then(|| Fd(control.fd));
        if got != handshake::LEN as isize || message.flags & MSG_CTRUNC != 0 {
            return None;
        }
        Some((Reply::from_bytes(&bytes)?, memfd))
    }

    /// Nobody can take its pages away.
    fn is_sealed(&self) -> bool {
        // SAFETY: a question about a descriptor, no memory passed.
        let seals = unsafe { sys_call!(FCNTL, self.0, F_GET_SEALS) };
        seals > 0 && seals & SEAL_SHRINK != 0
    }

    fn size(&self) -> Option<u64> {
        // SAFETY: moves the offset of a descriptor that nobody reads by offset.
        u64::try_from(unsafe { sys_call!(LSEEK, self.0, 0, SEEK_END) }).ok()
    }
}
