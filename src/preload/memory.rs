//! What of the program's memory a hook may read: a program may pass any address, and where the kernel answers EFAULT a
//! read of ours would be its death. After a call that succeeded, what the kernel has read or written is there. Before
//! it, only what lies on the stack the hook itself runs on is known to be, and the program's own variables. An exec is rare and far dearer than a
//! question: there the kernel is asked. Step: none of the pipeline; it keeps the program alive.

use core::ffi::{CStr, c_char};
use core::mem::size_of;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::identity;
use crate::sys::sys_call;

/// The smallest page there is.
const PAGE: usize = 4096;
/// How far below its top the first thread's stack is taken for that: the kernel maps nothing else into the 128 MiB
/// below it, and what lies between the stack pointer and the top is one mapping.
const FIRST: usize = 8 << 20;
/// libc puts a thread's block at the top of its stack, which is never smaller than 16 KiB with its guard.
const LEAST: usize = 8 << 10;

/// Where the first thread's stack begins, as far as it is known; 0 not at all.
static TOP: AtomicUsize = AtomicUsize::new(0);
/// The first thread's block, which is nowhere near its stack.
static BLOCK: AtomicUsize = AtomicUsize::new(0);

/// Where the program's own variables lie, from and to.
static DATA: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// A program header.
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    physical: usize,
    in_file: usize,
    in_memory: usize,
    align: usize,
}

const LOAD: u32 = 1;
const HEADERS: u32 = 6;
const WRITABLE: u32 = 2;

/// Looks where the first thread's stack is, and the program's variables.
///
/// # Safety
///
/// From the constructor, with the environment it got: that stands above all frames, and after its null what the kernel
/// told the loader of the program.
pub unsafe fn learn(environment: *const *const c_char) {
    const PROGRAM_HEADERS: usize = 3;
    const THEIR_SIZE: usize = 4;
    const THEIR_NUMBER: usize = 5;
    BLOCK.store(block(), Ordering::Relaxed);
    let (here, top) = (frame(), environment.addr());
    if here >= top || top - here >= FIRST {
        return;
    }
    TOP.store(top, Ordering::Relaxed);
    let (mut at, mut headers, mut size, mut count) = (environment, 0, 0, 0);
    // SAFETY: the environment ends with a null, what comes after it with a pair whose first word is 0.
    unsafe {
        while !at.read().is_null() {
            at = at.add(1);
        }
        let mut pair = at.add(1).cast::<[usize; 2]>();
        loop {
            match pair.read() {
                [0, _] => break,
                [PROGRAM_HEADERS, value] => headers = value,
                [THEIR_SIZE, value] => size = value,
                [THEIR_NUMBER, value] => count = value,
                _ => {}
            }
            pair = pair.add(1);
        }
    }
    if headers == 0 || size != size_of::<Header>() {
        return;
    }
    // SAFETY: the kernel's own word for it; the headers are mapped for as long as the program is.
    let all = unsafe {
        core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<Header>(headers), count)
    };
    let Some(own) = all.iter().find(|h| h.kind == HEADERS) else {
        return;
    };
    let base = headers.wrapping_sub(own.address);
    let variables = |h: &&Header| h.kind == LOAD && h.flags & WRITABLE != 0;
    if let Some(data) = all.iter().find(variables) {
        let from = base.wrapping_add(data.address);
        DATA[1].store(from.wrapping_add(data.in_memory), Ordering::Relaxed);
        DATA[0].store(from, Ordering::Relaxed);
    }
}

/// What a pointer points to that the program is about to hand to the kernel; nothing where that cannot be known yet.
#[inline(always)]
pub fn before<T: Copy>(at: *const T) -> Option<T> {
    let (at_address, size) = (at.addr(), size_of::<T>());
    if !is_stack(at_address, size) && !is_variable(at_address, size) {
        return None;
    }
    // SAFETY: mapped, see both; unaligned, because the kernel would not mind either.
    Some(unsafe { at.read_unaligned() })
}

/// All of it lies in the page that the stack pointer is in, or between that and where the stack begins.
#[inline(always)]
fn is_stack(at: usize, size: usize) -> bool {
    let here = frame();
    let page = here & !(PAGE - 1);
    let end = at.saturating_add(size);
    at >= page && (end <= page + PAGE || end <= beginning(here))
}

/// All of it lies among the program's own variables.
#[inline(always)]
fn is_variable(at: usize, size: usize) -> bool {
    let [from, to] = [0, 1].map(|end| DATA[end].load(Ordering::Relaxed));
    at >= from && at.saturating_add(size) <= to
}

/// Where the stack begins that this address lies on; 0 not known.
#[inline(always)]
fn beginning(here: usize) -> usize {
    let top = TOP.load(Ordering::Relaxed);
    if here < top && top - here < FIRST {
        return top;
    }
    let block = block();
    match here < block && block - here < LEAST && block != BLOCK.load(Ordering::Relaxed) {
        true => block,
        false => 0,
    }
}

/// The stack pointer.
#[inline(always)]
pub fn frame() -> usize {
    let frame: usize;
    // SAFETY: reads a register.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("mov {}, rsp", out(reg) frame, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!("mov {}, sp", out(reg) frame, options(nomem, nostack, preserves_flags));
    }
    frame
}

/// Where the thread pointer points.
#[inline(always)]
fn block() -> usize {
    let block: usize;
    // SAFETY: reads the thread pointer, which every thread has; on x86-64 its first word is its own address.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!(
            "mov {}, qword ptr fs:[0]", out(reg) block, options(readonly, nostack, preserves_flags)
        );
        #[cfg(target_arch = "aarch64")]
        core::arch::asm!("mrs {}, tpidr_el0", out(reg) block, options(nomem, nostack, preserves_flags));
    }
    block
}

/// Pages that the kernel was asked about; the last one is remembered, because strings lie side by side.
pub struct Asked(usize);

impl Asked {
    /// About none yet.
    pub const fn new() -> Asked {
        Asked(0)
    }

    /// Whether these bytes can be read. A program that filters its calls must not be made to ask: it is believed.
    fn holds(&mut self, at: usize, size: usize) -> bool {
        let Some(last) = at.checked_add(size.saturating_sub(1)) else {
            return false;
        };
        let (mut page, last) = (at & !(PAGE - 1), last & !(PAGE - 1));
        loop {
            if page < PAGE || !self.is_readable(page) {
                return false;
            }
            if page >= last {
                return true;
            }
            page += PAGE;
        }
    }

    fn is_readable(&mut self, page: usize) -> bool {
        const NO_SUCH_CHANGE: usize = usize::MAX;
        const SIGNAL_SET: usize = 8;
        const EFAULT: isize = -14;
        if self.0 == page {
            return true;
        }
        if !identity::is_filtered() {
            // SAFETY: the kernel copies the signal set first and then refuses a change that it does not know.
            let answer = unsafe { sys_call!(RT_SIGPROCMASK, NO_SUCH_CHANGE, page, 0, SIGNAL_SET) };
            if answer == EFAULT {
                return false;
            }
        }
        self.0 = page;
        true
    }

    /// A value there.
    pub fn value<T: Copy>(&mut self, at: *const T) -> Option<T> {
        if !self.holds(at.addr(), size_of::<T>()) {
            return None;
        }
        // SAFETY: the kernel has just read it.
        Some(unsafe { at.read_unaligned() })
    }

    /// A string there, with its end.
    ///
    /// # Safety
    ///
    /// Nobody changes it for as long as it is used.
    pub unsafe fn string<'a>(&mut self, at: *const c_char) -> Option<&'a CStr> {
        let mut here = at;
        loop {
            let size = PAGE - here.addr() % PAGE;
            if !self.holds(here.addr(), size) {
                return None;
            }
            // SAFETY: the rest of a page that can be read.
            let rest = unsafe { core::slice::from_raw_parts(here.cast::<u8>(), size) };
            if rest.contains(&0) {
                // SAFETY: every byte up to this zero can be read.
                return Some(unsafe { CStr::from_ptr(at) });
            }
            here = here.wrapping_add(size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stack_is_read_unasked() {
        let here = (7, 8);
        assert_eq!(before(&raw const here), Some((7, 8)));
        let elsewhere = Box::new(5_u64);
        assert_eq!(before(&raw const *elsewhere), None);
        for wild in [0, 8, usize::MAX - 3, 1 << 47] {
            assert_eq!(before(core::ptr::without_provenance::<u64>(wild)), None);
        }
    }

    #[test]
    fn the_kernel_knows_what_can_be_read() {
        let pages = 3 * PAGE;
        // SAFETY: new memory, of which the last page is taken back, is written to inside and unmapped at the end.
        unsafe {
            let (all, flags) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            );
            let base = libc::mmap(core::ptr::null_mut(), pages, all, flags, -1, 0);
            assert_eq!(
                libc::mprotect(base.byte_add(2 * PAGE), PAGE, libc::PROT_NONE),
                0
            );
            let base = base.cast::<c_char>();
            let text = base.add(PAGE - 2);
            core::ptr::copy_nonoverlapping(c"abcd".as_ptr(), text, 5);
            assert_eq!(Asked::new().string(text), Some(c"abcd"));
            assert_eq!(
                Asked::new().value(text.cast::<u32>()),
                Some(u32::from_ne_bytes(*b"abcd"))
            );
            // No end before the page that cannot be read.
            let end = base.add(2 * PAGE - 4);
            core::ptr::write_bytes(end, b'x', 4);
            assert_eq!(Asked::new().string(end), None);
            assert_eq!(
                Asked::new().value(end.cast::<u32>()),
                Some(u32::from_ne_bytes(*b"xxxx"))
            );
            assert_eq!(Asked::new().value(end.add(1).cast::<u32>()), None);
            assert_eq!(libc::munmap(base.cast(), pages), 0);
            for wild in [0, 8, usize::MAX - 3, 1 << 47] {
                assert_eq!(
                    Asked::new().string(core::ptr::without_provenance(wild)),
                    None
                );
            }
        }
    }
}
