//! execl(3), execlp(3), execle(3): they go on as the functions that take a list, which keep what the next program needs
//! to join. Step: none of the pipeline; how it goes on.
//!
//! Stable Rust cannot define a function with any number of arguments. The ABI passes the first ones in registers and the
//! others on the stack; with the first ones stored right below the others, they are the list.

use core::ffi::{c_char, c_int};

use super::environment::Strings;
use super::process;

/// execl(3): the program's own environment.
unsafe extern "C" fn list(path: *const c_char, arguments: Strings) -> c_int {
    // SAFETY: the program's own call, its arguments as a list.
    unsafe { process::execv(path, arguments) }
}

/// execlp(3)
unsafe extern "C" fn list_searching(file: *const c_char, arguments: Strings) -> c_int {
    // SAFETY: as above.
    unsafe { process::execvp(file, arguments) }
}

/// execle(3): the environment stands behind the null that ends the arguments.
unsafe extern "C" fn list_environment(path: *const c_char, arguments: Strings) -> c_int {
    let mut at = arguments;
    // SAFETY: the program promises a null, and an environment after it.
    let variables = unsafe {
        while !(*at).is_null() {
            at = at.add(1);
        }
        at.add(1).cast::<Strings>().read()
    };
    // SAFETY: as above.
    unsafe { process::execve(path, arguments, variables) }
}

macro_rules! variadic {
    ($(#[$doc:meta] $name:ident => $body:ident;)*) => {$(
        #[$doc]
        #[cfg(target_arch = "x86_64")]
        #[cfg_attr(loopscope_shim, unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() -> c_int {
            core::arch::naked_asm!(
                // The return address stands between the two parts: it moves below them for the time of the call.
                "pop r10",
                "push r9",
                "push r8",
                "push rcx",
                "push rdx",
                "push rsi",
                "mov rsi, rsp",
                "push r10",
                "call {body}",
                "pop r10",
                "add rsp, 40",
                "push r10",
                "ret",
                body = sym $body,
            )
        }

        #[$doc]
        #[cfg(target_arch = "aarch64")]
        #[cfg_attr(loopscope_shim, unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() -> c_int {
            core::arch::naked_asm!(
                "sub sp, sp, #64",
                "str x30, [sp]",
                "stp x1, x2, [sp, #8]",
                "stp x3, x4, [sp, #24]",
                "stp x5, x6, [sp, #40]",
                "str x7, [sp, #56]",
                "add x1, sp, #8",
                "bl {body}",
                "ldr x30, [sp]",
                "add sp, sp, #64",
                "ret",
                body = sym $body,
            )
        }
    )*};
}

variadic! {
    /// execl(3)
    execl => list;
    /// execlp(3)
    execlp => list_searching;
    /// execle(3)
    execle => list_environment;
}
