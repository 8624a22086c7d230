//! Calls that may block the loop although they are no waits of its own: sleeping, syncing, locking, resolving names,
//! waiting for signals. Each is told by name, before and after. Step: **event** → ring.

use core::ffi::{c_char, c_int, c_long, c_uint, c_void};

use crate::events::call::named;
use crate::name::Name;

mod kernel {
    //! Those that are system calls.

    use super::*;
    use crate::next::hooks;
    use crate::sys::sys_call;

    hooks! {
        /// nanosleep(2)
        nanosleep(time: *const c_void, rest: *mut c_void) -> c_int,
            else sys_call!(NANOSLEEP, time, rest),
            |next, caller| named(Name::Nanosleep, -1, caller, next);
        /// fsync(2)
        fsync(fd: c_int) -> c_int,
            else sys_call!(FSYNC, fd),
            |next, caller| named(Name::Fsync, fd, caller, next);
        /// fdatasync(2)
        fdatasync(fd: c_int) -> c_int,
            else sys_call!(FDATASYNC, fd),
            |next, caller| named(Name::Fdatasync, fd, caller, next);
        /// syncfs(2)
        syncfs(fd: c_int) -> c_int,
            else sys_call!(SYNCFS, fd),
            |next, caller| named(Name::Syncfs, fd, caller, next);
        /// sync_file_range(2)
        sync_file_range(fd: c_int, at: c_long, size: c_long, flags: c_uint) -> c_int,
            else sys_call!(SYNC_FILE_RANGE, fd, at, size, flags),
            |next, caller| named(Name::SyncFileRange, fd, caller, next);
        /// msync(2)
        msync(at: *mut c_void, size: usize, flags: c_int) -> c_int,
            else sys_call!(MSYNC, at, size, flags),
            |next, caller| named(Name::Msync, -1, caller, next);
        /// flock(2)
        flock(fd: c_int, operation: c_int) -> c_int,
            else sys_call!(FLOCK, fd, operation),
            |next, caller| named(Name::Flock, fd, caller, next);
        /// semop(2)
        semop(id: c_int, operations: *mut c_void, count: usize) -> c_int,
            else sys_call!(SEMTIMEDOP, id, operations, count, 0),
            |next, caller| named(Name::Semop, -1, caller, next);
        /// semtimedop(2)
        semtimedop(id: c_int, operations: *mut c_void, count: usize, timeout: *const c_void) -> c_int,
            else sys_call!(SEMTIMEDOP, id, operations, count, timeout),
            |next, caller| named(Name::Semop, -1, caller, next);
    }
}

mod libc {
    //! Those that are more than a system call.

    use super::*;
    use crate::next::libc_hooks;

    libc_hooks! {
        /// sleep(3)
        sleep(seconds: c_uint) -> c_uint,
            |next, caller| named(Name::Sleep, -1, caller, next);
        /// usleep(3)
        usleep(microseconds: c_uint) -> c_int,
            |next, caller| named(Name::Usleep, -1, caller, next);
        /// clock_nanosleep(2), which answers its error
        clock_nanosleep(clock: c_int, flags: c_int, time: *const c_void, rest: *mut c_void) -> c_int,
            |next, caller| named(Name::ClockNanosleep, -1, caller, next);
        /// getaddrinfo(3)
        getaddrinfo(node: *const c_char, service: *const c_char, hints: *const c_void, result: *mut c_void) -> c_int,
            |next, caller| named(Name::Getaddrinfo, -1, caller, next);
        /// getnameinfo(3)
        getnameinfo(
            address: *const c_void, length: c_uint, host: *mut c_char, host_size: c_uint, service: *mut c_char,
            service_size: c_uint, flags: c_int,
        ) -> c_int,
            |next, caller| named(Name::Getnameinfo, -1, caller, next);
        /// gethostbyname(3)
        gethostbyname(name: *const c_char) -> *mut c_void,
            |next, caller| named(Name::Gethostbyname, -1, caller, next);
        /// gethostbyaddr(3)
        gethostbyaddr(address: *const c_void, length: c_uint, kind: c_int) -> *mut c_void,
            |next, caller| named(Name::Gethostbyaddr, -1, caller, next);
        /// lockf(3)
        lockf(fd: c_int, command: c_int, size: c_long) -> c_int,
            |next, caller| named(Name::Lockf, fd, caller, next);
        /// lockf(3), 64 bits
        lockf64(fd: c_int, command: c_int, size: c_long) -> c_int,
            |next, caller| named(Name::Lockf, fd, caller, next);
        /// system(3)
        system(command: *const c_char) -> c_int,
            |next, caller| named(Name::System, -1, caller, next);
        /// sem_wait(3)
        sem_wait(semaphore: *mut c_void) -> c_int,
            |next, caller| named(Name::SemWait, -1, caller, next);
        /// sem_timedwait(3)
        sem_timedwait(semaphore: *mut c_void, until: *const c_void) -> c_int,
            |next, caller| named(Name::SemWait, -1, caller, next);
        /// pthread_join(3)
        pthread_join(thread: usize, result: *mut c_void) -> c_int,
            |next, caller| named(Name::PthreadJoin, -1, caller, next);
        /// sigwait(3)
        sigwait(set: *const c_void, signal: *mut c_int) -> c_int,
            |next, caller| named(Name::Sigwait, -1, caller, next);
        /// sigwaitinfo(2)
        sigwaitinfo(set: *const c_void, info: *mut c_void) -> c_int,
            |next, caller| named(Name::Sigwait, -1, caller, next);
        /// sigtimedwait(2)
        sigtimedwait(set: *const c_void, info: *mut c_void, timeout: *const c_void) -> c_int,
            |next, caller| named(Name::Sigwait, -1, caller, next);
        /// sigsuspend(2)
        sigsuspend(mask: *const c_void) -> c_int,
            |next, caller| named(Name::Sigwait, -1, caller, next);
        /// pause(2)
        pause() -> c_int,
            |next, caller| named(Name::Pause, -1, caller, next);
    }
}

/// The next functions of both kinds.
pub const TABLES: [crate::next::Table; 2] = [kernel::TABLE, libc::TABLE];
