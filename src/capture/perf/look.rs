//! A look at a thread that sleeps: in which call, and a copy of its stack. Nothing of it is touched, nothing is read that it
//! could not read itself; the kernel lets nobody look who may not trace it. Step: **event** → ring.

use std::fs;

/// Bytes of a stack that are copied, from its end on.
const MOST: usize = 128 << 10;
/// The kernel copies whole parts or none of them.
const PART: usize = 4096;

/// What a sleeping thread was found in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The system call's number; nothing for a page fault.
    pub call: Option<i64>,
    /// Where it goes on.
    pub pc: u64,
    /// Its stack's end.
    pub sp: u64,
    /// What lies there.
    pub stack: Stack,
}

/// A copy of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    at: u64,
    bytes: Vec<u8>,
}

impl Stack {
    /// Of these bytes, which lie at that address.
    pub fn new(at: u64, bytes: &[u8]) -> Stack {
        let bytes = bytes.to_vec();
        Stack { at, bytes }
    }

    /// The word at this address.
    pub fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.at)?).ok()?;
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    }
}

/// A signal or a debugger has stopped it (`tid | pid << 32`).
pub fn is_stopped(who: u64) -> bool {
    let (tid, pid) = (who as u32, (who >> 32) as u32);
    let says = fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat"));
    says.is_ok_and(|says| stands_still(&says))
}

/// `4242 (a name) T 1 …`: the name may hold anything.
fn stands_still(stat: &str) -> bool {
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    state.is_some_and(|state| state.starts_with(['T', 't']))
}

/// Looks at a thread (`tid | pid << 32`); nothing if it does not sleep, or that may not be known.
pub fn at(who: u64) -> Option<Found> {
    let (tid, pid) = (who as u32, (who >> 32) as u32);
    let says = || fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok();
    let before = says()?;
    let mut found = parse(&before)?;
    found.stack = Stack {
        at: found.sp,
        bytes: copied(pid, found.sp)?,
    };
    // Another sleep has another stack.
    (says()? == before).then_some(found)
}

/// `230 0x0 0x0 0x7ffc… 0x0 0x0 0x7f1f… 0x7ffc… 0x7f1f…`: a call with six arguments, stack pointer and program counter; −1 and
/// these two where it is no call; `running`.
fn parse(text: &str) -> Option<Found> {
    let mut words = text.split_ascii_whitespace();
    let call: i64 = words.next()?.parse().ok()?;
    let mut backwards = words.rev();
    let mut number = || u64::from_str_radix(backwards.next()?.strip_prefix("0x")?, 16).ok();
    let (pc, sp) = (number()?, number()?);
    Some(Found {
        call: (call >= 0).then_some(call),
        pc,
        sp,
        stack: Stack::default(),
    })
}

/// What lies in a process from this address on, up to the first page that is not there.
fn copied(pid: u32, from: u64) -> Option<Vec<u8>> {
    let pid = libc::pid_t::try_from(pid).ok()?;
    let start = usize::try_from(from).ok()?;
    let end = start.checked_add(MOST)? / PART * PART;
    let mut bytes = vec![0; end - start];
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut parts = Vec::with_capacity(MOST / PART + 1);
    let mut at = start;
    while at < end {
        let next = (at / PART + 1) * PART;
        parts.push(libc::iovec {
            iov_base: std::ptr::without_provenance_mut(at),
            iov_len: next - at,
        });
        at = next;
    }
    // SAFETY: the local part is this vector's own memory, of its length; the others are addresses of another process, which
    // the kernel checks.
    let got = unsafe {
        libc::process_vm_readv(
            pid,
            &local,
            1,
            parts.as_ptr(),
            parts.len() as libc::c_ulong,
            0,
        )
    };
    bytes.truncate(usize::try_from(got).ok().filter(|got| *got > 0)?);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_state_is_told_from_a_name() {
        assert!(stands_still("7 (a) T (b) S) T 1 2"));
        assert!(stands_still("7 (x) t 1 2"));
        assert!(!stands_still("7 (a) T b) S 1 2"));
        assert!(!stands_still("7 (a") && !stands_still(""));
    }

    #[test]
    fn what_the_kernel_says_of_a_thread_is_read() {
        let text = "202 0x55 0x80 0x2 0x0 0x0 0x0 0x7ffc10 0x7f1f12b\n";
        let found = parse(text).unwrap();
        assert_eq!(
            (found.call, found.sp, found.pc),
            (Some(202), 0x7ffc10, 0x7f1f12b)
        );
        assert_eq!(parse("-1 0x10 0x20\n").unwrap().call, None);
        for none in ["", "running\n", "1", "1 0x2", "x 0x1 0x2", "1 2 3"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_word_lies_in_the_copy_or_nowhere() {
        let stack = Stack {
            at: 96,
            bytes: [1u64, 2].iter().flat_map(|n| n.to_ne_bytes()).collect(),
        };
        let words = [95, 96, 104, 105, 112, u64::MAX].map(|at| stack.word(at));
        assert_eq!(words, [None, Some(1), Some(2), None, None, None]);
    }

    #[test]
    fn a_thread_that_reads_is_found_reading() {
        let (mut end, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: takes nothing, cannot fail.
            send.send(unsafe { libc::gettid() } as u64).unwrap();
            (&other).read_exact(&mut [0]).unwrap();
        });
        let who = receive.recv().unwrap() | u64::from(std::process::id()) << 32;
        let reads = [libc::SYS_read, libc::SYS_recvfrom];
        let found = loop {
            // Where the kernel does not say, nobody is told anything.
            if fs::read_to_string("/proc/thread-self/syscall").is_err() {
                break None;
            }
            match at(who) {
                Some(found) if found.call.is_some_and(|call| reads.contains(&call)) => {
                    break Some(found);
                }
                _ => std::thread::yield_now(),
            }
        };
        if let Some(found) = found {
            assert!(found.stack.word(found.sp).is_some());
            assert!(found.pc != 0);
        }
        end.write_all(b"x").unwrap();
        thread.join().unwrap();
        assert_eq!(at(who), None);
    }
}
