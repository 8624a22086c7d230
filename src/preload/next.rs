//! The function behind each hook, and the table that hooks are written in. Step: none of the pipeline; how a call goes on.
//!
//! [`hooks!`](crate::next::hooks) makes of one entry: the pointer to the next function of that name, the exported
//! function, which adds its caller's address as one more argument, and the body. [`resolve`] finds all next functions
//! at once, from the constructor; no hook ever looks one up.

use core::ffi::{CStr, c_char, c_void};
use core::mem::size_of;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A next function; null until the constructor has run, and where libc has no such function.
#[repr(transparent)]
pub struct Next(AtomicPtr<c_void>);

impl Next {
    /// One not yet known.
    pub const fn new() -> Self {
        Next(AtomicPtr::new(ptr::null_mut()))
    }

    /// The function.
    ///
    /// # Safety
    ///
    /// `F` is a function pointer of the type that the function of this name has.
    #[inline(always)]
    pub unsafe fn get<F: Copy>(&self) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let next = self.0.load(Ordering::Relaxed);
        if next.is_null() {
            return None;
        }
        // SAFETY: not null, so it was resolved by the name whose type the caller knows.
        Some(unsafe { core::mem::transmute_copy(&next) })
    }
}

/// What `resolve` walks over.
pub type Table = &'static [(&'static CStr, &'static Next)];

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The object after the caller's in search order.
const RTLD_NEXT: *mut c_void = ptr::without_provenance_mut(usize::MAX);

/// Finds every next function.
pub fn resolve() {
    for table in crate::hooks::TABLES {
        for (name, next) in *table {
            // Relaxed: a hook that reads null meanwhile calls the kernel.
            next.0.store(after_us(name), Ordering::Relaxed);
        }
    }
}

/// The next function of this name; null if there is none.
pub fn after_us(name: &CStr) -> *mut c_void {
    // SAFETY: a C string; dlsym(3) looks after the object that its caller lies in, which is ours.
    unsafe { dlsym(RTLD_NEXT, name.as_ptr()) }
}

/// The function of this name, whoever has it; null if there is none.
pub fn anywhere(name: &CStr) -> *mut c_void {
    // SAFETY: a C string; null asks in the program's own order.
    unsafe { dlsym(ptr::null_mut(), name.as_ptr()) }
}

/// Hooks of one family:
///
/// ```text
/// hooks! {
///     /// read(2)
///     read(fd: c_int, buffer: *mut c_void, size: usize) -> isize,
///         else sys_call!(READ, fd, buffer, size),
///         |next, caller| io::moving(Op::Read, fd, size, caller, next);
/// }
/// ```
///
/// `else` is the kernel's answer when there is no next function; `next` is a closure that calls it; `caller` the
/// address the hook returns to. The list of all of them becomes `TABLE`.
macro_rules! hooks {
    ($(
        $(#[$doc:meta])*
        $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty,
            else $raw:expr,
            |$next:ident, $caller:ident| $body:expr;
    )*) => {
        /// The next functions of this family.
        pub const TABLE: $crate::next::Table = &[$((
            // SAFETY: the literal ends with its only zero.
            unsafe {
                core::ffi::CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes())
            },
            &$name::NEXT,
        )),*];
        $(
            $(#[$doc])*
            #[allow(non_snake_case)] // libc's names
            pub mod $name {
                #[allow(non_snake_case, unused_imports)] // each entry uses its own part
                use super::*;

                pub(super) static NEXT: $crate::next::Next = $crate::next::Next::new();

                #[allow(clippy::too_many_arguments, unused_variables)] // as many as the function has
                unsafe extern "C" fn body($($arg: $ty,)* $caller: usize) -> $ret {
                    // SAFETY: the type is that of the function of this name.
                    let function = unsafe { NEXT.get::<unsafe extern "C" fn($($ty),*) -> $ret>() };
                    #[allow(unused_unsafe, clippy::unnecessary_cast)] // where an answer is made by hand
                    // SAFETY: the program's own call, passed on as it came.
                    let $next = move || unsafe {
                        if let Some(function) = function {
                            return function($($arg),*);
                        }
                        $crate::sys::as_libc($raw) as $ret
                    };
                    $body
                }

                $crate::next::exported!($name, body, ($($arg: $ty),*) -> $ret, $($arg)*);
            }
        )*
    };
}
pub(crate) use hooks;

/// Hooks of functions that are no system calls: `else` there is nothing. One that is called before the constructor has
/// run, by another object that is initialised first as well, finds the next functions itself.
macro_rules! libc_hooks {
    ($(
        $(#[$doc:meta])*
        $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty,
            |$next:ident, $caller:ident| $body:expr;
    )*) => {
        $crate::next::hooks! {
            $(
                $(#[$doc])*
                $name($($arg: $ty),*) -> $ret,
                    else {
                        $crate::next::resolve();
                        match NEXT.get::<unsafe extern "C" fn($($ty),*) -> $ret>() {
                            Some(function) => return function($($arg),*),
                            None => -38,
                        }
                    },
                    |$next, $caller| $body;
            )*
        }
    };
}
pub(crate) use libc_hooks;

/// The exported function: jumps to the body with one more argument, its caller's address.
macro_rules! exported {
    ($name:ident, $body:ident, ($($arg:ident: $ty:ty),*) -> $ret:ty, $($count:ident)*) => {
        /// The hook.
        #[cfg_attr(loopscope_shim, unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> $ret {
            $crate::next::jump!($body, $($count)*)
        }
    };
}
pub(crate) use exported;

#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    ($body:ident,) => { $crate::next::jump!(@ $body, "rdi") };
    ($body:ident, $a:ident) => { $crate::next::jump!(@ $body, "rsi") };
    ($body:ident, $a:ident $b:ident) => { $crate::next::jump!(@ $body, "rdx") };
    ($body:ident, $a:ident $b:ident $c:ident) => { $crate::next::jump!(@ $body, "rcx") };
    ($body:ident, $a:ident $b:ident $c:ident $d:ident) => { $crate::next::jump!(@ $body, "r8") };
    ($body:ident, $a:ident $b:ident $c:ident $d:ident $e:ident) => { $crate::next::jump!(@ $body, "r9") };
    // The seventh argument lies on the stack: a call of our own, which keeps the stack aligned, and unwindable.
    ($body:ident, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "push qword ptr [rsp]",
            ".cfi_adjust_cfa_offset 8",
            "call {body}",
            "add rsp, 8",
            ".cfi_adjust_cfa_offset -8",
            "ret",
            ".cfi_endproc",
            body = sym $body,
        )
    };
    // Two arguments on the stack: the seventh again, and the caller's address behind it.
    ($body:ident, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "sub rsp, 8",
            ".cfi_adjust_cfa_offset 8",
            "push qword ptr [rsp + 8]",
            ".cfi_adjust_cfa_offset 8",
            "push qword ptr [rsp + 24]",
            ".cfi_adjust_cfa_offset 8",
            "call {body}",
            "add rsp, 24",
            ".cfi_adjust_cfa_offset -24",
            "ret",
            ".cfi_endproc",
            body = sym $body,
        )
    };
    (@ $body:ident, $register:literal) => {
        core::arch::naked_asm!(
            concat!("mov ", $register, ", qword ptr [rsp]"),
            "jmp {body}",
            body = sym $body,
        )
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    ($body:ident,) => { $crate::next::jump!(@ $body, "x0") };
    ($body:ident, $a:ident) => { $crate::next::jump!(@ $body, "x1") };
    ($body:ident, $a:ident $b:ident) => { $crate::next::jump!(@ $body, "x2") };
    ($body:ident, $a:ident $b:ident $c:ident) => { $crate::next::jump!(@ $body, "x3") };
    ($body:ident, $a:ident $b:ident $c:ident $d:ident) => { $crate::next::jump!(@ $body, "x4") };
    ($body:ident, $a:ident $b:ident $c:ident $d:ident $e:ident) => { $crate::next::jump!(@ $body, "x5") };
    ($body:ident, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident) => { $crate::next::jump!(@ $body, "x6") };
    ($body:ident, $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident) => { $crate::next::jump!(@ $body, "x7") };
    (@ $body:ident, $register:literal) => {
        core::arch::naked_asm!(concat!("mov ", $register, ", x30"), "b {body}", body = sym $body)
    };
}
pub(crate) use jump;
