//! What a program that is exec'd needs to join: `LD_PRELOAD` with the shim in it, and the session's path. A program that
//! cleans its environment keeps them all the same, and one that may not read the shim any more is not asked to. Step: none of the pipeline; how it goes on.
//!
//! Nothing is allocated: the strings are copied once, by the constructor, and the list of pointers lies on the stack.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::target::{self, Runtime, Target};
use crate::memory::Asked;
use crate::record::handshake;

/// `argv` and `envp`: pointers to C strings, ended by null.
pub type Strings = *const *const c_char;

/// Room for one of our own variables, name and value.
const ROOM: usize = 4096;
/// Variables that are passed on together with ours, on a stack that may be small; a program with more than `MANY` passes
/// on its own only.
const FEW: usize = 256;
const SOME: usize = 1000;
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

    /// What stands behind the first `=`.
    fn value(&self) -> &[u8] {
        // SAFETY: only read after the constructor.
        let room = unsafe { &*self.0.get() };
        let end = room.iter().position(|b| *b == 0).unwrap_or(0);
        let equals = room.iter().position(|b| *b == b'=').unwrap_or(0);
        room.get(equals + 1..end).unwrap_or(&[])
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
            let value = without_runtime(value);
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

/// The shim's path, and what stands around it in [`PRELOAD`]'s value.
struct Parts<'a> {
    before: &'a [u8],
    shim: &'a [u8],
    after: &'a [u8],
}

/// The value of LD_PRELOAD without the sanitizer's library that this very program needs in front.
fn without_runtime(value: &CStr) -> &CStr {
    let bytes = value.to_bytes_with_nul();
    let first = bytes.split(|b| *b == b':').next().unwrap_or(&[]);
    match target::is_runtime(first) && first.len() < bytes.len() {
        true => bytes
            .get(first.len() + 1..)
            .and_then(|rest| CStr::from_bytes_with_nul(rest).ok())
            .unwrap_or(value),
        false => value,
    }
}

/// What LD_PRELOAD of an environment that is passed on has to do with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preload {
    /// There is none.
    Missing,
    /// As we put it there, at this place of the list.
    Ours(usize),
    /// A program that sets it means it.
    Theirs,
}

/// Room for a value of LD_PRELOAD that is made on the stack; a longer one is passed on as it is.
const VALUE: usize = 1024;

/// What the program that is exec'd is to have in LD_PRELOAD.
struct Wanted {
    /// Something else than what we were started with: something in front of it, or the shim not at all.
    other: bool,
    /// The variable then, if there is to be one.
    value: Option<[u8; VALUE]>,
}

/// What we were started with.
const SAME: Wanted = Wanted {
    other: false,
    value: None,
};

impl Wanted {
    fn of(target: Target) -> Wanted {
        let value = PRELOAD.value();
        let mut path = [0; 512];
        let shim = parts(value).map_or(&[][..], |parts| parts.shim);
        if let Some(to) = path.get_mut(..shim.len()).filter(|to| to.len() < 512) {
            to.copy_from_slice(shim);
        }
        let readable = shim.is_empty() || target::is_readable(&path);
        let runtime = match readable {
            true => Runtime::of(target),
            false => Runtime::default(),
        };
        if readable && runtime.name().is_empty() {
            return SAME;
        }
        let Some(parts) = parts(value) else {
            return SAME;
        };
        let shim = if readable { parts.shim } else { &[] };
        let all = [runtime.name(), parts.before, shim, parts.after];
        let mut room = [0; VALUE];
        match joined(&mut room, &all) {
            Some(length) => Wanted {
                other: true,
                value: (length > 0).then_some(room),
            },
            None => SAME,
        }
    }
}

/// Puts `LD_PRELOAD=` and these, separated by colons, into `room`, and a zero; how many bytes of value it is, nothing if
/// it is too long.
fn joined(room: &mut [u8; VALUE], all: &[&[u8]]) -> Option<usize> {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        // One zero remains.
        room.get_mut(at..VALUE - 1)?
            .get_mut(..bytes.len())?
            .copy_from_slice(bytes);
        at += bytes.len();
        Some(())
    };
    put(LD_PRELOAD)?;
    put(b"=")?;
    let mut length = 0;
    for piece in all.iter().filter(|piece| !piece.is_empty()) {
        if length > 0 {
            put(b":")?;
        }
        put(piece)?;
        length += piece.len();
    }
    Some(length)
}

/// The shim in a value of LD_PRELOAD: the file that the recorder names so.
fn parts(value: &[u8]) -> Option<Parts<'_>> {
    let mut at = 0;
    for entry in value.split(|b| b" :".contains(b)) {
        let name = entry.rsplit(|b| *b == b'/').next().unwrap_or(&[]);
        if name.starts_with(b"preload-") && name.ends_with(b".so") {
            let after = value.get(at + entry.len() + 1..).unwrap_or(&[]);
            let before = value.get(..at.saturating_sub(1)).unwrap_or(&[]);
            return Some(Parts {
                before,
                shim: entry,
                after,
            });
        }
        at += entry.len() + 1;
    }
    None
}

/// The environment that a program passes by null: none at all, which to the kernel is an empty one.
pub fn passed(environment: Strings) -> Strings {
    match environment.is_null() {
        true => EMPTY.0.as_ptr(),
        false => environment,
    }
}

/// Execs by `same`, or by `with` and an environment in which ours is as the program needs it.
#[inline(always)]
pub fn keeping(
    environment: Strings,
    target: Target,
    same: impl FnOnce() -> c_int,
    with: impl FnOnce(Strings) -> c_int,
) -> c_int {
    if !PRELOAD.is_set() || !SESSION.is_set() || environment.is_null() {
        return same();
    }
    let Some((count, preload, has_session)) = look(environment) else {
        return same();
    };
    let wanted = match preload {
        Preload::Theirs => SAME,
        _ => Wanted::of(target),
    };
    let change = Change {
        environment,
        preload,
        wanted,
        has_session,
    };
    match count {
        _ if change.is_none() => same(),
        ..FEW => change.made::<{ FEW + 3 }>(with),
        FEW..SOME => change.made::<{ SOME + 3 }>(with),
        SOME..MANY => change.made::<{ MANY + 3 }>(with),
        _ => same(),
    }
}

/// How many there are, and which of ours are among them; nothing of one that the kernel will refuse to read.
fn look(environment: Strings) -> Option<(usize, Preload, bool)> {
    let (mut count, mut preload, mut has_session) = (0, Preload::Missing, false);
    let (mut list, mut strings) = (Asked::new(), Asked::new());
    loop {
        let entry = list.value(environment.wrapping_add(count))?;
        if entry.is_null() {
            return Some((count, preload, has_session));
        }
        // SAFETY: the program's own, for the length of its call.
        let entry = unsafe { strings.string(entry)? }.to_bytes_with_nul();
        let session = entry.strip_prefix(handshake::ENV.as_bytes());
        has_session |= session.is_some_and(|v| v.starts_with(b"=") && v.len() > 2);
        let value = entry
            .strip_prefix(LD_PRELOAD)
            .and_then(|v| v.strip_prefix(b"="));
        // The loader takes the last, also if it says nothing.
        if let Some(value) = value {
            let value = CStr::from_bytes_with_nul(value).map_or(c"", without_runtime);
            preload = match value.to_bytes() {
                [] => Preload::Missing,
                value if value == PRELOAD.value() => Preload::Ours(count),
                _ => Preload::Theirs,
            };
        }
        count += 1;
    }
}

/// `LD_PRELOAD=`, and no more.
fn is_empty(entry: *const c_char) -> bool {
    // SAFETY: a string that `look` has read.
    let rest = unsafe { CStr::from_ptr(entry) }
        .to_bytes()
        .strip_prefix(LD_PRELOAD);
    rest == Some(b"=")
}

/// What of an environment is not as it is to be.
struct Change {
    environment: Strings,
    preload: Preload,
    wanted: Wanted,
    has_session: bool,
}

impl Change {
    /// All of it is.
    fn is_none(&self) -> bool {
        let preload = match self.preload {
            Preload::Theirs => true,
            Preload::Missing => self.wanted.other && self.wanted.value.is_none(),
            Preload::Ours(at) => {
                // SAFETY: an entry of the list, at a place that `look` has found.
                let there = unsafe { CStr::from_ptr(*self.environment.add(at)) }.to_bytes();
                match &self.wanted.value {
                    Some(value) => value.starts_with(there) && value.get(there.len()) == Some(&0),
                    // As it is in the program itself, but for a library in front.
                    None => {
                        !self.wanted.other
                            && there.len() == LD_PRELOAD.len() + 1 + PRELOAD.value().len()
                    }
                }
            }
        };
        preload && self.has_session
    }

    #[inline(never)]
    fn made<const N: usize>(&self, with: impl FnOnce(Strings) -> c_int) -> c_int {
        let mut list = [ptr::null::<c_char>(); N];
        let mut count = 0;
        let mut put = |entry: *const c_char| {
            if let Some(free) = list.get_mut(count) {
                *free = entry;
                count += 1;
            }
        };
        let value = &self.wanted.value;
        let ours = match self.wanted.other {
            false => Some(PRELOAD.pointer()),
            true => value.as_ref().map(|value| value.as_ptr().cast()),
        };
        if let (Preload::Missing, Some(ours)) = (self.preload, ours) {
            put(ours);
        }
        if !self.has_session {
            put(SESSION.pointer());
        }
        let mut at = 0;
        loop {
            // SAFETY: the list ends with a null, which is not passed.
            let entry = unsafe { *self.environment.add(at) };
            if entry.is_null() {
                break;
            }
            match self.preload {
                Preload::Ours(place) if place == at => {
                    if let Some(ours) = ours {
                        put(ours);
                    }
                }
                // One that stands behind ours and says nothing would be taken for it.
                Preload::Ours(_) | Preload::Missing if is_empty(entry) => {}
                _ => put(entry),
            }
            at += 1;
        }
        // Room for a null was left: `keeping` chose a size with three to spare.
        with(list.as_ptr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shim_is_found_in_a_value() {
        let found = |value: &'static str| {
            let parts = parts(value.as_bytes())?;
            let text = |bytes| std::str::from_utf8(bytes).unwrap();
            Some((text(parts.before), text(parts.shim), text(parts.after)))
        };
        assert_eq!(found("/c/preload-0.so"), Some(("", "/c/preload-0.so", "")));
        assert_eq!(
            found("/a.so:/b.so:/c/preload-0.so:/d.so"),
            Some(("/a.so:/b.so", "/c/preload-0.so", "/d.so"))
        );
        assert_eq!(found("/a.so"), None);
    }

    #[test]
    fn values_are_joined_as_far_as_there_is_room() {
        let mut room = [0; VALUE];
        assert_eq!(joined(&mut room, &[b"x", b"", b"yz"]), Some(3));
        assert!(room.starts_with(b"LD_PRELOAD=x:yz\0"));
        assert_eq!(joined(&mut [0; VALUE], &[b"", b""]), Some(0));
        assert_eq!(joined(&mut [0; VALUE], &[&[b'x'; VALUE - 11]]), None);
    }

    #[test]
    fn a_runtime_in_front_is_no_part_of_ours() {
        assert_eq!(without_runtime(c"libasan.so.8:/s.so"), c"/s.so");
        assert_eq!(
            without_runtime(c"/s.so:libasan.so.8"),
            c"/s.so:libasan.so.8"
        );
        assert_eq!(without_runtime(c"libasan.so.8"), c"libasan.so.8");
    }
}
