//! What the program calls by our own names, if it finds them (docs/loopscope.h): no functions of anybody else stand
//! behind these. Step: **event** → ring.

use core::ffi::{c_char, c_double, c_int, c_long};

use crate::events::mark;
use crate::record::fields::Value;
use crate::said::text;

/// `body` gets the caller's address as one more word, so the arguments that count are those in integer registers.
macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $name:ident($($arg:ident: $ty:ty),*) / $($word:ident)* => |$caller:ident| $body:expr;
    )*) => {
        $(
            $(#[$doc])*
            pub mod $name {
                use super::*;

                #[allow(unused_unsafe)] // not all take a text
                unsafe extern "C" fn body($($arg: $ty,)* $caller: usize) {
                    // SAFETY: what docs/loopscope.h asks of the program: C strings, or null.
                    unsafe { $body }
                }

                $crate::next::exported!($name, body, ($($arg: $ty),*) -> (), $($word)*);
            }
        )*
    };
}

calls! {
    /// A handler starts that serves this descriptor.
    loopscope_handler_begin(fd: c_int, name: *const c_char) / fd name =>
        |caller| mark::handler_begins(-1, fd, text(name), caller);
    /// The same on a loop that another thread waits on.
    loopscope_handler_begin_on(epfd: c_int, fd: c_int, name: *const c_char) / epfd fd name =>
        |caller| mark::handler_begins(epfd, fd, text(name), caller);
    /// The handler under way works on behalf of this descriptor from here on.
    loopscope_on_behalf_of(fd: c_int) / fd =>
        |caller| mark::on_behalf_of(fd, caller);
    /// A mark.
    loopscope_mark(name: *const c_char) / name =>
        |caller| mark::mark(text(name), None, caller);
    /// A mark with a number.
    loopscope_mark_long(name: *const c_char, key: *const c_char, value: c_long) / name key value =>
        |caller| mark::mark(text(name), Some((text(key), Value::I64(value))), caller);
    /// A mark with a fraction, which travels in a register of its own sort.
    loopscope_mark_double(name: *const c_char, key: *const c_char, value: c_double) / name key =>
        |caller| mark::mark(text(name), Some((text(key), Value::F64(value))), caller);
    /// A mark with a text.
    loopscope_mark_text(name: *const c_char, key: *const c_char, value: *const c_char) / name key value =>
        |caller| mark::mark(text(name), Some((text(key), Value::Str(mark::utf8(text(value))))), caller);
}

/// The handler under way ends.
#[cfg_attr(loopscope_shim, unsafe(no_mangle))]
pub extern "C" fn loopscope_handler_end() {
    mark::handler_ends();
}

/// A descriptor has a name until it is closed.
///
/// # Safety
///
/// A C string, or null.
#[cfg_attr(loopscope_shim, unsafe(no_mangle))]
pub unsafe extern "C" fn loopscope_name_fd(fd: c_int, name: *const c_char) {
    // SAFETY: the caller's word.
    mark::names_fd(fd, unsafe { text(name) });
}

/// A loop has a name.
///
/// # Safety
///
/// A C string, or null.
#[cfg_attr(loopscope_shim, unsafe(no_mangle))]
pub unsafe extern "C" fn loopscope_name_loop(epfd: c_int, name: *const c_char) {
    // SAFETY: the caller's word.
    mark::names_loop(epfd, unsafe { text(name) });
}
