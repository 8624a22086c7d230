//! The addresses of sockets, at the calls that say them: nobody is asked, what the program passes or gets is read. Each
//! side is told once. Step: **event** → ring.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::open::{self, Side};
use super::{code, io};
use crate::record::address::{self, LARGEST};
use crate::record::event::{FdKind, Kind, Op};
use crate::record::wire::Rec;
use crate::{memory, tls};

const EINTR: i32 = 4;
const EINPROGRESS: i32 = 115;

/// A `struct sockaddr`, copied.
struct Address {
    bytes: [u8; LARGEST],
    length: usize,
}

impl Address {
    /// # Safety
    ///
    /// The kernel has just read or written `length` bytes there.
    unsafe fn at(place: *const c_void, length: usize) -> Option<Address> {
        if place.is_null() || length > LARGEST {
            return None;
        }
        let mut bytes = [0; LARGEST];
        // SAFETY: the caller's word, and no more than there is room for.
        unsafe { ptr::copy_nonoverlapping(place.cast(), bytes.as_mut_ptr(), length) };
        Some(Address { bytes, length })
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

/// Where the kernel puts an address: the place, and a length that is the room before the call and the address's after it.
#[derive(Clone, Copy)]
pub struct Place {
    at: *const c_void,
    length: *const u32,
    room: u32,
}

impl Place {
    /// As a program passes it. Where the room cannot be read before the call, how much of the address the kernel had room
    /// for is not known after it.
    #[inline(always)]
    pub fn new(at: *const c_void, length: *const u32) -> Place {
        let room = match at.is_null() {
            true => None,
            false => memory::before(length),
        };
        Place {
            at,
            length,
            room: room.unwrap_or(0),
        }
    }

    /// The address, if it was asked for and there was room for all of it.
    ///
    /// # Safety
    ///
    /// The call has just succeeded.
    unsafe fn address(self) -> Option<Address> {
        if self.room == 0 {
            return None;
        }
        // SAFETY: the kernel has written the length, and as much of the address as there was room for.
        unsafe {
            let length = self.length.read_unaligned();
            (length <= self.room).then(|| Address::at(self.at, length as usize))?
        }
    }
}

/// Tells one side of a socket; `called` when it is known by this side's connect(2).
fn tell(fd: c_int, kind: FdKind, side: Side, address: &Address, called: bool) {
    let text = match side {
        Side::Local => address::pair(kind, address.bytes(), &[]),
        Side::Peer => address::pair(kind, &[], address.bytes()),
    };
    if let Some(here) = tls::here()
        && !text.as_bytes().is_empty()
        && !open::tells(fd, side)
    {
        let rec = Rec {
            ticks: here.now(),
            kind: Kind::FdAddr,
            aux: kind.code(),
            fd,
            x: i32::from(called),
            ..Rec::default()
        };
        here.ring().push_text(&rec, text.as_bytes());
    }
}

/// What accept(2) makes of a listener.
pub fn taken_from(listener: c_int, place: Place) -> FdKind {
    // SAFETY: the accept has succeeded.
    let family = || unsafe { place.address() }.and_then(|a| address::family(a.bytes()));
    match open::kind(listener) {
        FdKind::TcpListener | FdKind::Tcp => FdKind::Tcp,
        FdKind::UnixListener | FdKind::Unix => FdKind::Unix,
        // One that was there before us.
        _ => match family() {
            Some(address::AF_INET | address::AF_INET6) => FdKind::Tcp,
            Some(address::AF_UNIX) => FdKind::Unix,
            _ => FdKind::Unknown,
        },
    }
}

/// A connection was taken, and its peer's address put here.
pub fn taken(fd: c_int, kind: FdKind, place: Place) {
    // SAFETY: the accept has succeeded.
    if let Some(peer) = unsafe { place.address() } {
        tell(fd, kind, Side::Peer, &peer, false);
    }
}

/// Makes a connect(2). One that goes on in the background is told as well.
#[inline(always)]
pub fn connecting(
    fd: c_int,
    peer: *const c_void,
    length: u32,
    caller: usize,
    call: impl FnOnce() -> c_int,
) -> c_int {
    let answer = io::moving(Op::Connect, fd, 0, caller, call);
    if answer == 0 || matches!(-code(answer), EINPROGRESS | EINTR) {
        // SAFETY: the kernel has read it.
        if let Some(peer) = unsafe { Address::at(peer, length as usize) }
            && address::is_set(peer.bytes())
        {
            let kind = open::kind(fd);
            // It has another address of its own now, and of a datagram socket's peers this may be one of many.
            open::becomes(fd, kind);
            tell(fd, kind, Side::Peer, &peer, true);
        }
    }
    answer
}

/// Makes a bind(2). What the kernel is to choose is not known yet.
#[inline(always)]
pub fn binding(
    fd: c_int,
    local: *const c_void,
    length: u32,
    call: impl FnOnce() -> c_int,
) -> c_int {
    let answer = call();
    if answer == 0
        // SAFETY: the kernel has read it.
        && let Some(local) = unsafe { Address::at(local, length as usize) }
        && address::is_set(local.bytes())
    {
        tell(fd, open::kind(fd), Side::Local, &local, false);
    }
    answer
}

/// Makes a listen(2): now it is a listener.
#[inline(always)]
pub fn listening(fd: c_int, call: impl FnOnce() -> c_int) -> c_int {
    let answer = call();
    let kind = match open::kind(fd) {
        FdKind::Tcp => FdKind::TcpListener,
        FdKind::Unix => FdKind::UnixListener,
        _ => return answer,
    };
    if answer == 0
        && let Some(here) = tls::here()
    {
        let local_told = open::tells(fd, Side::Local);
        open::becomes(fd, kind);
        if local_told {
            open::tells(fd, Side::Local);
        }
        let rec = Rec {
            ticks: here.now(),
            kind: Kind::FdAddr,
            aux: kind.code(),
            fd,
            ..Rec::default()
        };
        here.ring()
            .push_text(&rec, address::pair(kind, &[], &[]).as_bytes());
    }
    answer
}

/// Makes a getsockname(2) or getpeername(2): the program asks, and we hear the answer.
#[inline(always)]
pub fn asking(fd: c_int, side: Side, place: Place, call: impl FnOnce() -> c_int) -> c_int {
    let answer = call();
    if answer == 0
        // SAFETY: the call has succeeded.
        && let Some(address) = unsafe { place.address() }
        && address::is_set(address.bytes())
    {
        tell(fd, open::kind(fd), side, &address, false);
    }
    answer
}
