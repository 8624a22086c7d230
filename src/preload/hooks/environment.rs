//! What a program that is exec'd needs to join: `LD_PRELOAD` with the shim in it, and the session's path. A program that
//! cleans its environment keeps them all the same. Step: none of the pipeline; how it goes on.
//!
//! Nothing is allocated: the strings are copied once, by the constructor, and the list of pointers lies on the stack.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::record::handshake;

/// `argv` and `envp`: pointers to C strings, ended by null.
pub type Strings = *const *const c_char;

/// Room for one of our own variables, name and value.
const ROOM: usize = 4096;
/// Variables that are passed on together with ours; a program with more passes on its own only.
const FEW: usize = 256;
const MANY: usize = 4000;

/// `NAME=value` and a zero; empty until the constructor has found it.
struct Variable(UnsafeCell<[u8; ROOM]>);

// SAFETY: written by the constructor, before there are threads; only read after it.
unsafe impl Sync for Variable {}

static PRELOAD: Variable = Variable(UnsafeCell::new([0; ROOM]));
static SESSION: Variable = Variable(UnsafeCell::new([0; ROOM]));

const LD_PRELOAD: &[u8] = b"LD_PRELOAD";

impl Variable {
    fn set(&self, name: &[u8], value: &CStr) {
        // SAFETY: the constructor's, see above.
        let room = unsafe { &mut *self.0.get() };
        let value = value.to_bytes_with_nul();
        let whole = room.get_mut(..name.len() + 1 + value.len());
        if let Some((to_name, rest)) = whole.and_then(|w| w.split_at_mut_checked(name.len())) {
            to_name.copy_from_slice(name);
            if let Some((equals, to_value)) = rest.split_first_mut() {
                *equals = b'=';
                to_value.copy_from_slice(value);
            }
        }
    }

    fn pointer(&self) -> *const c_char {
        self.0.get().cast()
    }

    /// The shim is part of a session, and the strings were short enough.
    fn is_set(&self) -> bool {
        // SAFETY: only read after the constructor.
        unsafe { *self.0.get().cast::<u8>() != 0 }
    }
}

/// Remembers what this program was started with.
///
/// # Safety
///
/// From the constructor, with the environment it got.
pub unsafe fn remember(environment: Strings) {
    // SAFETY: the caller's word.
    unsafe {
        if let Some(value) = crate::start::variable(environment, LD_PRELOAD) {
            PRELOAD.set(LD_PRELOAD, value);
        }
        // libc's own name for it. Relaxed: written before there are threads.
        let environ = crate::next::anywhere(c"__environ").cast();
        ENVIRON.store(environ, Ordering::Relaxed);
        if let Some(value) = crate::start::variable(environment, handshake::ENV.as_bytes()) {
            SESSION.set(handshake::ENV.as_bytes(), value);
        }
    }
}

/// Where environ(7) lies. Not asked for like a next function: a program that names the variable has it within itself,
/// and what libc calls its own is then no longer used.
static ENVIRON: AtomicPtr<Strings> = AtomicPtr::new(ptr::null_mut());

/// A list of no strings.
struct Empty([*const c_char; 1]);

// SAFETY: never written.
unsafe impl Sync for Empty {}

static EMPTY: Empty = Empty([ptr::null()]);

/// The program's own environment; null where it cannot be known. After clearenv(3) there is none, which is an empty one.
pub fn own() -> Strings {
    // SAFETY: null, or libc's own, which is always readable.
    match unsafe { ENVIRON.load(Ordering::Relaxed).as_ref() } {
        Some(none) if none.is_null() => EMPTY.0.as_ptr(),
        Some(some) => *some,
        None => ptr::null(),
    }
}

/// Execs by `same`, or by `with` and an environment to which what is missing has been added.
#[inline(always)]
pub fn keeping(
    environment: Strings,
    same: impl FnOnce() -> c_int,
    with: impl FnOnce(Strings) -> c_int,
) -> c_int {
    if !PRELOAD.is_set() || !SESSION.is_set() || environment.is_null() {
        return same();
    }
    // SAFETY: what the program passes to exec.
    let (count, has_preload, has_session) = unsafe { look(environment) };
    match count {
        _ if has_preload && has_session => same(),
        ..FEW => with_more::<{ FEW + 3 }>(environment, has_preload, has_session, with),
        FEW..MANY => with_more::<{ MANY + 3 }>(environment, has_preload, has_session, with),
        _ => same(),
    }
}

/// How many there are, and which of ours are among them. A program that sets LD_PRELOAD itself means it.
///
/// # Safety
///
/// An environment.
unsafe fn look(environment: Strings) -> (usize, bool, bool) {
    let mut count = 0;
    // SAFETY: the list ends with a null, which is not passed.
    while !unsafe { *environment.add(count) }.is_null() {
        count += 1;
    }
    // SAFETY: as above.
    unsafe {
        (
            count,
            crate::start::variable(environment, LD_PRELOAD).is_some(),
            crate::start::variable(environment, handshake::ENV.as_bytes()).is_some(),
        )
    }
}

#[inline(never)]
fn with_more<const N: usize>(
    environment: Strings,
    has_preload: bool,
    has_session: bool,
    with: impl FnOnce(Strings) -> c_int,
) -> c_int {
    let mut list = [ptr::null::<c_char>(); N];
    let mut count = 0;
    let mut put = |entry: *const c_char| {
        if let Some(free) = list.get_mut(count) {
            *free = entry;
            count += 1;
        }
    };
    if !has_preload {
        put(PRELOAD.pointer());
    }
    if !has_session {
        put(SESSION.pointer());
    }
    let mut at = environment;
    // SAFETY: the list ends with a null, which is not passed.
    while let Some(entry) = unsafe { at.as_ref() }.filter(|entry| !entry.is_null()) {
        put(*entry);
        // SAFETY: as above.
        at = unsafe { at.add(1) };
    }
    // Room for a null was left: `keeping` chose a size with three to spare.
    with(list.as_ptr())
}
