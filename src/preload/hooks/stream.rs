//! Streams and directories: libc opens and closes their descriptors behind every hook's back. Step: **event** → ring.

use core::ffi::{c_char, c_int, c_void};

use crate::events::fd::{CLOEXEC, New, closing};
use crate::next::{Next, Table, libc_hooks};
use crate::record::event::FdKind;

type Stream = *mut c_void;

static FILENO: Next = Next::new();
static DIRFD: Next = Next::new();

/// Functions asked, not hooked.
pub const HELPERS: Table = &[(c"fileno", &FILENO), (c"dirfd", &DIRFD)];

/// The descriptor behind a stream or directory; −1 none. Neither function calls the kernel; errno is put back, since
/// a stream in memory has no descriptor and says so there.
fn number(ask: &Next, of: *mut c_void) -> c_int {
    // SAFETY: both have this type.
    let function = unsafe { ask.get::<unsafe extern "C" fn(*mut c_void) -> c_int>() };
    match function {
        Some(function) if !of.is_null() => {
            crate::sys::keeping_errno(|| {
                // SAFETY: an open stream or directory of the program's.
                unsafe { function(of) }
            })
        }
        _ => -1,
    }
}

/// A stream or directory has been opened, if it has.
fn opened(
    ask: &Next,
    made: *mut c_void,
    kind: FdKind,
    flags: impl FnOnce() -> c_int,
    caller: usize,
) -> *mut c_void {
    let fd = number(ask, made);
    if fd >= 0 {
        New::of(kind, flags()).tell(fd, caller);
    }
    made
}

/// One is about to be closed.
#[inline(always)]
fn shut(ask: &Next, of: *mut c_void, caller: usize, next: impl FnOnce() -> c_int) -> c_int {
    match number(ask, of) {
        0.. => closing(number(ask, of), caller, next),
        _ => next(),
    }
}

/// `e` in a mode asks for close-on-exec.
///
/// # Safety
///
/// libc has just opened something in this mode, so it has read it to its end; it leaves one that it refuses earlier.
unsafe fn cloexec(mode: *const c_char) -> c_int {
    // SAFETY: the caller's word.
    let mode = unsafe { core::ffi::CStr::from_ptr(mode) }.to_bytes();
    let flags = mode.split(|b| *b == b',').next().unwrap_or(&[]);
    if flags.contains(&b'e') { CLOEXEC } else { 0 }
}

libc_hooks! {
    /// fopen(3)
    fopen(path: *const c_char, mode: *const c_char) -> Stream,
        // SAFETY: asked once the stream is there.
        |next, caller| opened(&FILENO, next(), FdKind::Unknown, || unsafe { cloexec(mode) }, caller);
    /// fopen(3), 64 bits
    fopen64(path: *const c_char, mode: *const c_char) -> Stream,
        // SAFETY: asked once the stream is there.
        |next, caller| opened(&FILENO, next(), FdKind::Unknown, || unsafe { cloexec(mode) }, caller);
    /// freopen(3): the descriptor behind the stream is closed, the new one may have its number
    freopen(path: *const c_char, mode: *const c_char, stream: Stream) -> Stream,
        // SAFETY: asked once the stream is there.
        |next, caller| reopened(stream, caller, next, || unsafe { cloexec(mode) });
    /// freopen(3), 64 bits
    freopen64(path: *const c_char, mode: *const c_char, stream: Stream) -> Stream,
        // SAFETY: asked once the stream is there.
        |next, caller| reopened(stream, caller, next, || unsafe { cloexec(mode) });
    /// tmpfile(3)
    tmpfile() -> Stream,
        |next, caller| opened(&FILENO, next(), FdKind::File, || 0, caller);
    /// tmpfile(3), 64 bits
    tmpfile64() -> Stream,
        |next, caller| opened(&FILENO, next(), FdKind::File, || 0, caller);
    /// popen(3)
    popen(command: *const c_char, mode: *const c_char) -> Stream,
        // SAFETY: asked once the stream is there.
        |next, caller| opened(&FILENO, next(), FdKind::Pipe, || unsafe { cloexec(mode) }, caller);
    /// fclose(3)
    fclose(stream: Stream) -> c_int,
        |next, caller| shut(&FILENO, stream, caller, next);
    /// pclose(3): closes, then waits for the child
    pclose(stream: Stream) -> c_int,
        |next, caller| shut(&FILENO, stream, caller, || {
            crate::events::call::named(crate::name::Name::Pclose, -1, caller, next)
        });
    /// opendir(3): always close-on-exec
    opendir(path: *const c_char) -> *mut c_void,
        |next, caller| opened(&DIRFD, next(), FdKind::File, || CLOEXEC, caller);
    /// closedir(3)
    closedir(directory: *mut c_void) -> c_int,
        |next, caller| shut(&DIRFD, directory, caller, next);
    /// mkstemp(3)
    mkstemp(template: *mut c_char) -> c_int,
        |next, caller| crate::events::fd::opening(New::of(FdKind::File, 0), caller, next);
    /// mkstemp(3), 64 bits
    mkstemp64(template: *mut c_char) -> c_int,
        |next, caller| crate::events::fd::opening(New::of(FdKind::File, 0), caller, next);
    /// mkostemp(3)
    mkostemp(template: *mut c_char, flags: c_int) -> c_int,
        |next, caller| crate::events::fd::opening(New::of(FdKind::File, flags & CLOEXEC), caller, next);
    /// mkostemp(3), 64 bits
    mkostemp64(template: *mut c_char, flags: c_int) -> c_int,
        |next, caller| crate::events::fd::opening(New::of(FdKind::File, flags & CLOEXEC), caller, next);
    /// posix_openpt(3)
    posix_openpt(flags: c_int) -> c_int,
        |next, caller| crate::events::fd::opening(
            New::of(FdKind::Tty, flags & (CLOEXEC | crate::events::fd::NONBLOCK)), caller, next,
        );
}

/// A stream gets another file.
fn reopened(
    stream: Stream,
    caller: usize,
    next: impl FnOnce() -> Stream,
    flags: impl FnOnce() -> c_int,
) -> Stream {
    let before = number(&FILENO, stream);
    let mut made = core::ptr::null_mut();
    let reopen = || {
        made = next();
        // The old descriptor is closed even where the new one could not be opened.
        0
    };
    match before {
        0.. => closing(before, caller, reopen),
        _ => reopen(),
    };
    opened(&FILENO, made, FdKind::Unknown, flags, caller)
}
