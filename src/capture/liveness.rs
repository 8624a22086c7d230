//! Is the thread still there? Asked by the collector before it takes a ring back. Step: **ring** → trace.
//!
//! A tid may be reused, and then the answer is yes for another thread: a ring is kept a while longer, never lost.

use super::procfs;

/// The thread `tid | pid << 32` can still push.
pub(super) fn thread_lives(who: u64) -> bool {
    let (tid, pid) = (who as u32 as libc::pid_t, (who >> 32) as libc::pid_t);
    // The ids are read from memory the program can write: 0 or less would mean "my own process group".
    tid > 0
        && pid > 0
        && signal_zero(libc::SYS_tgkill, &[pid, tid])
        && !(tid == pid && is_zombie(pid))
}

/// The thread `tid`, of whatever process, can still push.
pub(super) fn tid_lives(tid: u32) -> bool {
    let tid = tid as libc::pid_t;
    tid > 0 && signal_zero(libc::SYS_tkill, &[tid]) && !is_zombie(tid)
}

/// The process is gone, or nothing but its leader's exit status is left of it. A leader that has called
/// pthread_exit(3) looks the same while other threads live on: the caller knows about those.
pub(super) fn process_is_over(pid: u32) -> bool {
    let pid = pid as libc::pid_t;
    pid <= 0 || !signal_zero(libc::SYS_tgkill, &[pid, pid]) || is_zombie(pid)
}

/// It has ended and waits to be reaped. Only a thread group's leader does that.
fn is_zombie(pid: libc::pid_t) -> bool {
    procfs::stat(pid).is_none_or(|s| matches!(s.state, b'Z' | b'X'))
}

/// Sends no signal, but asks whether one could be sent: "not permitted" is a yes.
fn signal_zero(call: libc::c_long, ids: &[libc::pid_t]) -> bool {
    // SAFETY: tgkill(2) and tkill(2) take integers only; signal 0 is not delivered.
    let sent = unsafe {
        match ids {
            [pid, tid] => libc::syscall(call, *pid, *tid, 0),
            [tid] => libc::syscall(call, *tid, 0),
            _ => 0,
        }
    };
    sent == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_there_until_they_are_not() {
        let pid = std::process::id() as u64;
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: takes nothing, cannot fail.
            let tid = unsafe { libc::gettid() } as u64;
            let who = tid | pid << 32;
            send.send(who).expect("the test waits for it");
            assert!(thread_lives(who) && tid_lives(tid as u32));
        });
        let who = receive.recv().expect("the thread tells its id");
        thread.join().expect("it found itself alive");
        // The join waits for the kernel to clear the tid, which it does in exit; the number goes a moment later.
        while thread_lives(who) {
            std::thread::yield_now();
        }
        assert!(!thread_lives(0) && !tid_lives(0));
        assert!(!process_is_over(pid as u32) && process_is_over(0));
    }
}
