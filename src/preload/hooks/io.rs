//! Reads, writes, sends, receives, accepts: every libc name of them, the fortified and the 64-bit ones too.
//! Step: **event** → ring.

use core::ffi::{c_int, c_long, c_uint, c_void};

use crate::events::fd::{self, CLOEXEC, NONBLOCK, New};
use crate::events::io::{asking, moving};
use crate::events::open::Side;
use crate::events::peek;
use crate::events::socket::{self, Place, binding, connecting, listening};
use crate::events::wait::Time;
use crate::next::hooks;
use crate::record::event::{FdKind, Op};
use crate::sys::sys_call;

/// struct iovec
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Piece {
    base: *mut c_void,
    length: usize,
}

/// struct msghdr
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Message {
    name: *mut c_void,
    name_length: u32,
    pieces: *const Piece,
    piece_count: usize,
    control: *const c_void,
    control_length: usize,
    flags: c_int,
}

/// struct mmsghdr
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Numbered {
    message: Message,
    length: c_uint,
}

const MSG_PEEK: c_int = 2;
const MSG_CMSG_CLOEXEC: c_int = 0x4000_0000;
const SOL_SOCKET: c_int = 1;
const SO_ERROR: c_int = 4;
const SCM_RIGHTS: c_int = 1;

/// Bytes in a list of pieces that the kernel has just read; nothing is known of one it refused.
///
/// # Safety
///
/// `answer` is what the kernel answered to a call with these pieces.
#[inline(always)]
pub unsafe fn total(answer: isize, pieces: *const Piece, count: usize) -> usize {
    if answer < 0 {
        return 0;
    }
    let mut sum = 0_usize;
    for i in 0..count {
        // SAFETY: the kernel has read all `count` of them.
        sum = sum.saturating_add(unsafe { pieces.add(i).read_unaligned() }.length);
    }
    sum
}

/// A receive: peeking leaves the data where it is.
#[inline(always)]
pub fn receive(flags: c_int) -> Op {
    if flags & MSG_PEEK != 0 {
        Op::Peek
    } else {
        Op::Recv
    }
}

/// A message sent or received, which may have brought descriptors.
#[inline(always)]
pub fn messaging(
    op: Op,
    fd: c_int,
    message: *const Message,
    flags: c_int,
    caller: usize,
    next: impl FnOnce() -> isize,
) -> isize {
    let answer = asking(op, fd, caller, next, |answer| {
        if answer < 0 {
            return 0;
        }
        // SAFETY: the kernel has read the message.
        unsafe {
            let m = message.read_unaligned();
            total(answer, m.pieces, m.piece_count)
        }
    });
    if answer >= 0 && matches!(op, Op::Recv | Op::Peek) {
        // SAFETY: the kernel has written the message's control part.
        unsafe { brought(message, flags, caller) };
    }
    answer
}

/// Tells of the descriptors that came with a message.
///
/// # Safety
///
/// The kernel has just filled in this message.
unsafe fn brought(message: *const Message, flags: c_int, caller: usize) {
    // SAFETY: the caller's word.
    let m = unsafe { message.read_unaligned() };
    let header = size_of::<usize>() + 2 * size_of::<c_int>();
    let mut at = 0;
    while !m.control.is_null() && at + header <= m.control_length {
        // SAFETY: a header lies whole inside the control part.
        let (length, level, kind) = unsafe {
            let here = m.control.byte_add(at);
            (
                here.cast::<usize>().read_unaligned(),
                here.byte_add(size_of::<usize>())
                    .cast::<c_int>()
                    .read_unaligned(),
                here.byte_add(size_of::<usize>() + 4)
                    .cast::<c_int>()
                    .read_unaligned(),
            )
        };
        if length < header || length > m.control_length - at {
            return;
        }
        if (level, kind) == (SOL_SOCKET, SCM_RIGHTS) {
            for i in 0..(length - header) / size_of::<c_int>() {
                // SAFETY: the message is `length` long, which lies inside the control part.
                let fd = unsafe {
                    let first = m.control.byte_add(at + header).cast::<c_int>();
                    first.add(i).read_unaligned()
                };
                let cloexec = if flags & MSG_CMSG_CLOEXEC != 0 {
                    CLOEXEC
                } else {
                    0
                };
                New::of(FdKind::Unknown, cloexec).tell(fd, caller);
            }
        }
        at += length.next_multiple_of(size_of::<usize>());
    }
}

/// Many messages in one call: recorded as one, with the bytes of all of them.
#[inline(always)]
pub fn messages(
    op: Op,
    fd: c_int,
    all: *const Numbered,
    flags: c_int,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    let bytes = |n: c_int| {
        let mut sum = 0_isize;
        for i in 0..usize::try_from(n).unwrap_or(0) {
            // SAFETY: the kernel has gone through `n` of them.
            sum = sum.saturating_add(unsafe { all.add(i).read_unaligned() }.length as isize);
        }
        sum
    };
    let mut answer = 0;
    asking(
        op,
        fd,
        caller,
        || {
            answer = next();
            if answer < 0 { -1 } else { bytes(answer) }
        },
        |sum: isize| usize::try_from(sum).unwrap_or(0),
    );
    if matches!(op, Op::Recv | Op::Peek) {
        for i in 0..usize::try_from(answer).unwrap_or(0) {
            // SAFETY: as above.
            unsafe { brought((&raw const (*all.add(i)).message).cast(), flags, caller) };
        }
    }
    answer
}

/// A connection taken.
#[inline(always)]
pub fn accepting(
    fd: c_int,
    peer: Place,
    flags: c_int,
    caller: usize,
    next: impl FnOnce() -> c_int,
) -> c_int {
    let new = moving(Op::Accept, fd, 0, caller, next);
    if new >= 0 {
        let kind = socket::taken_from(fd, peer);
        let flags = flags & (NONBLOCK | CLOEXEC);
        fd::New {
            kind,
            from: fd,
            flags,
        }
        .tell(new, caller);
        socket::taken(new, kind, peer);
    }
    new
}

/// An eventfd's counter moved by libc's own functions for it, which answer 0 where eight bytes have been moved.
#[inline(always)]
fn counting(op: Op, fd: c_int, caller: usize, next: impl FnOnce() -> c_int) -> c_int {
    const COUNTER: c_int = size_of::<u64>() as c_int;
    // Of the kernel's own answer, where there is no such function, no more is left than of libc's.
    let call = || if next() < 0 { -1 } else { COUNTER };
    match moving(op, fd, COUNTER as usize, caller, call) {
        COUNTER => 0,
        refused => refused,
    }
}

hooks! {
    /// read(2)
    read(fd: c_int, buffer: *mut c_void, size: usize) -> isize,
        else sys_call!(READ, fd, buffer, size),
        |next, caller| moving(Op::Read, fd, size, caller, next);
    /// read(2), fortified
    __read_chk(fd: c_int, buffer: *mut c_void, size: usize, room: usize) -> isize,
        else sys_call!(READ, fd, buffer, size),
        |next, caller| moving(Op::Read, fd, size, caller, next);
    /// write(2)
    write(fd: c_int, buffer: *const c_void, size: usize) -> isize,
        else sys_call!(WRITE, fd, buffer, size),
        |next, caller| moving(Op::Write, fd, size, caller, next);
    /// eventfd_read(3)
    eventfd_read(fd: c_int, value: *mut u64) -> c_int,
        else sys_call!(READ, fd, value, size_of::<u64>()),
        |next, caller| counting(Op::Read, fd, caller, next);
    /// eventfd_write(3)
    eventfd_write(fd: c_int, value: u64) -> c_int,
        else sys_call!(WRITE, fd, &raw const value, size_of::<u64>()),
        |next, caller| counting(Op::Write, fd, caller, next);
    /// readv(2)
    readv(fd: c_int, pieces: *const Piece, count: c_int) -> isize,
        else sys_call!(READV, fd, pieces, count),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Read, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// writev(2)
    writev(fd: c_int, pieces: *const Piece, count: c_int) -> isize,
        else sys_call!(WRITEV, fd, pieces, count),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Write, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// pread(2)
    pread(fd: c_int, buffer: *mut c_void, size: usize, at: c_long) -> isize,
        else sys_call!(PREAD, fd, buffer, size, at),
        |next, caller| moving(Op::Read, fd, size, caller, next);
    /// pread(2), 64 bits
    pread64(fd: c_int, buffer: *mut c_void, size: usize, at: c_long) -> isize,
        else sys_call!(PREAD, fd, buffer, size, at),
        |next, caller| moving(Op::Read, fd, size, caller, next);
    /// pread(2), fortified
    __pread_chk(fd: c_int, buffer: *mut c_void, size: usize, at: c_long, room: usize) -> isize,
        else sys_call!(PREAD, fd, buffer, size, at),
        |next, caller| moving(Op::Read, fd, size, caller, next);
    /// pread(2), fortified, 64 bits
    __pread64_chk(fd: c_int, buffer: *mut c_void, size: usize, at: c_long, room: usize) -> isize,
        else sys_call!(PREAD, fd, buffer, size, at),
        |next, caller| moving(Op::Read, fd, size, caller, next);
    /// pwrite(2)
    pwrite(fd: c_int, buffer: *const c_void, size: usize, at: c_long) -> isize,
        else sys_call!(PWRITE, fd, buffer, size, at),
        |next, caller| moving(Op::Write, fd, size, caller, next);
    /// pwrite(2), 64 bits
    pwrite64(fd: c_int, buffer: *const c_void, size: usize, at: c_long) -> isize,
        else sys_call!(PWRITE, fd, buffer, size, at),
        |next, caller| moving(Op::Write, fd, size, caller, next);
    /// preadv(2)
    preadv(fd: c_int, pieces: *const Piece, count: c_int, at: c_long) -> isize,
        else sys_call!(PREADV, fd, pieces, count, at, 0),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Read, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// preadv(2), 64 bits
    preadv64(fd: c_int, pieces: *const Piece, count: c_int, at: c_long) -> isize,
        else sys_call!(PREADV, fd, pieces, count, at, 0),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Read, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// preadv2(2)
    preadv2(fd: c_int, pieces: *const Piece, count: c_int, at: c_long, flags: c_int) -> isize,
        else sys_call!(PREADV2, fd, pieces, count, at, 0, flags),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Read, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// preadv2(2), 64 bits
    preadv64v2(fd: c_int, pieces: *const Piece, count: c_int, at: c_long, flags: c_int) -> isize,
        else sys_call!(PREADV2, fd, pieces, count, at, 0, flags),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Read, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// pwritev(2)
    pwritev(fd: c_int, pieces: *const Piece, count: c_int, at: c_long) -> isize,
        else sys_call!(PWRITEV, fd, pieces, count, at, 0),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Write, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// pwritev(2), 64 bits
    pwritev64(fd: c_int, pieces: *const Piece, count: c_int, at: c_long) -> isize,
        else sys_call!(PWRITEV, fd, pieces, count, at, 0),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Write, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// pwritev2(2)
    pwritev2(fd: c_int, pieces: *const Piece, count: c_int, at: c_long, flags: c_int) -> isize,
        else sys_call!(PWRITEV2, fd, pieces, count, at, 0, flags),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Write, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// pwritev2(2), 64 bits
    pwritev64v2(fd: c_int, pieces: *const Piece, count: c_int, at: c_long, flags: c_int) -> isize,
        else sys_call!(PWRITEV2, fd, pieces, count, at, 0, flags),
        // SAFETY: the kernel's answer to these pieces.
        |next, caller| asking(Op::Write, fd, caller, next, |n| unsafe { total(n, pieces, count as usize) });
    /// recv(2)
    recv(fd: c_int, buffer: *mut c_void, size: usize, flags: c_int) -> isize,
        else sys_call!(RECVFROM, fd, buffer, size, flags, 0, 0),
        |next, caller| moving(receive(flags), fd, size, caller, next);
    /// recv(2), fortified
    __recv_chk(fd: c_int, buffer: *mut c_void, size: usize, room: usize, flags: c_int) -> isize,
        else sys_call!(RECVFROM, fd, buffer, size, flags, 0, 0),
        |next, caller| moving(receive(flags), fd, size, caller, next);
    /// recvfrom(2)
    recvfrom(fd: c_int, buffer: *mut c_void, size: usize, flags: c_int, from: *mut c_void, length: *mut u32) -> isize,
        else sys_call!(RECVFROM, fd, buffer, size, flags, from, length),
        |next, caller| moving(receive(flags), fd, size, caller, next);
    /// recvmsg(2)
    recvmsg(fd: c_int, message: *mut Message, flags: c_int) -> isize,
        else sys_call!(RECVMSG, fd, message, flags),
        |next, caller| messaging(receive(flags), fd, message, flags, caller, next);
    /// recvmmsg(2)
    recvmmsg(fd: c_int, all: *mut Numbered, count: c_uint, flags: c_int, timeout: *mut Time) -> c_int,
        else sys_call!(RECVMMSG, fd, all, count, flags, timeout),
        |next, caller| messages(receive(flags), fd, all, flags, caller, next);
    /// send(2)
    send(fd: c_int, buffer: *const c_void, size: usize, flags: c_int) -> isize,
        else sys_call!(SENDTO, fd, buffer, size, flags, 0, 0),
        |next, caller| moving(Op::Send, fd, size, caller, next);
    /// sendto(2)
    sendto(fd: c_int, buffer: *const c_void, size: usize, flags: c_int, to: *const c_void, length: u32) -> isize,
        else sys_call!(SENDTO, fd, buffer, size, flags, to, length),
        |next, caller| moving(Op::Send, fd, size, caller, next);
    /// sendmsg(2)
    sendmsg(fd: c_int, message: *const Message, flags: c_int) -> isize,
        else sys_call!(SENDMSG, fd, message, flags),
        |next, caller| messaging(Op::Send, fd, message, flags, caller, next);
    /// sendmmsg(2)
    sendmmsg(fd: c_int, all: *mut Numbered, count: c_uint, flags: c_int) -> c_int,
        else sys_call!(SENDMMSG, fd, all, count, flags),
        |next, caller| messages(Op::Send, fd, all, flags, caller, next);
    /// sendfile(2)
    sendfile(to: c_int, from: c_int, at: *mut c_long, size: usize) -> isize,
        else sys_call!(SENDFILE, to, from, at, size),
        |next, caller| moving(Op::Sendfile, to, size, caller, next);
    /// sendfile(2), 64 bits
    sendfile64(to: c_int, from: c_int, at: *mut c_long, size: usize) -> isize,
        else sys_call!(SENDFILE, to, from, at, size),
        |next, caller| moving(Op::Sendfile, to, size, caller, next);
    /// copy_file_range(2)
    copy_file_range(from: c_int, from_at: *mut c_long, to: c_int, to_at: *mut c_long, size: usize, flags: c_uint) -> isize,
        else sys_call!(COPY_FILE_RANGE, from, from_at, to, to_at, size, flags),
        |next, caller| moving(Op::Sendfile, to, size, caller, next);
    /// splice(2): what comes out at the other end
    splice(from: c_int, from_at: *mut c_long, to: c_int, to_at: *mut c_long, size: usize, flags: c_uint) -> isize,
        else sys_call!(SPLICE, from, from_at, to, to_at, size, flags),
        |next, caller| moving(Op::Splice, to, size, caller, next);
    /// recvfrom(2), fortified
    __recvfrom_chk(
        fd: c_int, buffer: *mut c_void, size: usize, room: usize, flags: c_int, from: *mut c_void, length: *mut u32,
    ) -> isize,
        else sys_call!(RECVFROM, fd, buffer, size, flags, from, length),
        |next, caller| moving(receive(flags), fd, size, caller, next);
    /// accept(2)
    accept(fd: c_int, address: *mut c_void, length: *mut u32) -> c_int,
        else sys_call!(ACCEPT, fd, address, length),
        |next, caller| accepting(fd, Place::new(address, length), 0, caller, next);
    /// accept4(2)
    accept4(fd: c_int, address: *mut c_void, length: *mut u32, flags: c_int) -> c_int,
        else sys_call!(ACCEPT4, fd, address, length, flags),
        |next, caller| accepting(fd, Place::new(address, length), flags, caller, next);
    /// connect(2)
    connect(fd: c_int, address: *const c_void, length: u32) -> c_int,
        else sys_call!(CONNECT, fd, address, length),
        |next, caller| connecting(fd, address, length, caller, next);
    /// bind(2)
    bind(fd: c_int, address: *const c_void, length: u32) -> c_int,
        else sys_call!(BIND, fd, address, length),
        |next, caller| binding(fd, address, length, next);
    /// listen(2)
    listen(fd: c_int, backlog: c_int) -> c_int,
        else sys_call!(LISTEN, fd, backlog),
        |next, caller| listening(fd, next);
    /// getsockname(2)
    getsockname(fd: c_int, address: *mut c_void, length: *mut u32) -> c_int,
        else sys_call!(GETSOCKNAME, fd, address, length),
        |next, caller| socket::asking(fd, Side::Local, Place::new(address, length), next);
    /// getpeername(2)
    getpeername(fd: c_int, address: *mut c_void, length: *mut u32) -> c_int,
        else sys_call!(GETPEERNAME, fd, address, length),
        |next, caller| socket::asking(fd, Side::Peer, Place::new(address, length), next);
    /// shutdown(2)
    shutdown(fd: c_int, how: c_int) -> c_int,
        else sys_call!(SHUTDOWN, fd, how),
        |next, caller| moving(Op::Shutdown, fd, 0, caller, next);
    /// getsockopt(2): only asking for the pending error clears something
    getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut u32) -> c_int,
        else sys_call!(GETSOCKOPT, fd, level, name, value, length),
        |next, caller| match (level, name) {
            (SOL_SOCKET, SO_ERROR) => {
                let mut done = 0;
                // The error that was pending is what the call tells.
                let told = || {
                    done = next();
                    // SAFETY: the call succeeded, so an integer is there.
                    if done == 0 { unsafe { peek(value.cast::<c_int>()) }.unwrap_or(0) } else { done }
                };
                moving(Op::SoError, fd, 0, caller, told);
                done
            }
            _ => next(),
        };
}
