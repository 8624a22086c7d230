//! The event: the only truth of a recording, and the first step of event → ring → trace → model → view.
//!
//! One fixed set of columns serves every kind; the table says what a column means for a kind. `–` is zero.
//! Instants are nanoseconds since the recording's start (in a ring: raw clock ticks), durations nanoseconds.
//!
//! | kind         | aux        | fd     | x               | arg             | y               | text            |
//! |--------------|------------|--------|-----------------|-----------------|-----------------|-----------------|
//! | WaitEnter    | [`Wait`]   | epfd   | maxevents       | time-out, −1 ∞ ᵍ | fd asked ⁱ, signals ᵐ | –         |
//! | WaitExit     | [`Wait`]   | epfd   | n or −errno     | –               | –               | –               |
//! | Ready        | index      | epfd   | event mask      | data word       | –               | –               |
//! | CtlBegin     | [`Ctl`]    | fd     | interest mask   | data word       | epfd ʰ          | –               |
//! | CtlEnd       | [`Ctl`]    | fd     | 0 or −errno     | –               | epfd            | –               |
//! | RunBegin     | index ¹    | epfd   | handler name id | data word       | –               | –               |
//! | RunEnd       | –          | epfd   | –               | –               | –               | –               |
//! | Handler      | –          | epfd   | handler name id | data word       | –               | –               |
//! | Io           | [`Op`]     | fd     | result/−errno ² | bytes asked     | duration        | –               |
//! | FdOpen       | [`FdKind`] | fd     | made from, −1   | fd flags ³      | –               | –               |
//! | FdCloseBegin | –          | fd     | –               | –               | –               | –               |
//! | FdCloseEnd   | –          | fd     | 0 or −errno     | –               | –               | –               |
//! | DupBegin     | –          | old fd | target, −1 any  | –               | –               | –               |
//! | DupEnd       | –          | old fd | new or −errno   | –               | –               | –               |
//! | FdName       | –          | fd     | –               | –               | –               | the name        |
//! | FdAddr       | [`FdKind`] | fd     | 1: it called ᶠ  | –               | –               | `local>peer` ⁴  |
//! | Unread       | –          | fd     | –               | bytes           | seen before t   | –               |
//! | Name         | [`Space`]  | –      | name id         | address ⁵       | –               | the name        |
//! | Mark         | –          | −1/fd  | name id         | –               | –               | [fields](super::fields) |
//! | OnBehalf     | –          | fd     | –               | –               | –               | –               |
//! | SpanBegin    | –          | −1     | name id         | span id         | parent or 0     | fields          |
//! | SpanEnd      | –          | −1     | name id         | span id         | –               | –               |
//! | TimerArm     | –          | epfd/−1| name id         | timer id        | deadline − t    | –               |
//! | TimerCancel  | –          | epfd/−1| –               | timer id        | –               | –               |
//! | TimerBegin   | –          | epfd/−1| name id         | timer id        | –               | –               |
//! | TimerEnd     | –          | epfd/−1| –               | timer id        | –               | –               |
//! | TimerfdSet   | [`Arming`] | fd     | 0 or −errno     | interval, 0 once | first expiry − t | –              |
//! | TaskQueued   | –          | epfd/−1| name id         | task id         | –               | –               |
//! | TaskBegin    | –          | epfd/−1| name id         | task id         | –               | –               |
//! | TaskEnd      | –          | epfd/−1| –               | task id         | –               | –               |
//! | CallBegin    | –          | fd/−1  | name id         | –               | –               | –               |
//! | CallEnd      | –          | fd/−1  | name id         | –               | –               | –               |
//! | SupplyBegin  | –          | –      | pair name id ⁴  | –               | –               | –               |
//! | Supplied     | –          | –      | pair name id ⁴  | bytes           | t − t0 ⁶        | –               |
//! | Fork         | –          | –      | child pid ᶜ     | –               | –               | –               |
//! | Reaped       | –          | –      | exit status ⁸   | child pid       | –               | –               |
//! | Exec         | source ᵇ   | –      | –               | –               | –               | program         |
//! | ThreadStart  | –          | –      | tid             | process id ⁷    | –               | thread name     |
//! | ThreadEnd    | –          | –      | tid             | –               | –               | –               |
//! | ProcessStart | source ᵇ   | –      | pid             | process id ⁷    | parent pid      | command         |
//! | ProcessEnd   | –          | –      | exit status ⁸   | process id ⁷    | –               | –               |
//! | InCall       | [`Op`]     | fd     | –               | –               | inside for      | –               |
//! | Lost         | [`Cause`]  | –      | –               | events lost     | ring's share ⁹  | –               |
//! | Anchor       | –          | –      | –               | CLOCK_MONOTONIC | CLOCK_BOOTTIME  | ticks, REALTIME (2 × u64 LE) |
//! | FdSeen       | [`FdKind`] | fd     | –               | inode, 0 none ᵈ | seen before t   | `local>peer` ⁴ or a name |
//! | FdGone       | –          | fd     | –               | –               | seen before t   | –               |
//! | RegSeen      | seen ᵉ     | fd     | interest mask   | data word       | epfd            | –               |
//! | RegGone      | seen ᵉ     | fd     | –               | data word       | epfd            | –               |
//! | Setup        | –          | –      | –               | –               | –               | missing, because, do (0 between) |
//! | Output       | stream ᵃ   | –      | rows<<16 \| cols | –               | –               | bytes, ≤ 256    |
//! | SwitchOut    | [`Off`]    | –      | CPU             | –               | –               | –               |
//! | SwitchIn     | [`Off`]    | –      | CPU             | –               | –               | –               |
//! | Fault        | –          | –      | page faults ʲ   | address ʲ       | since first ʲ   | –               |
//! | Sample       | [`Mode`]   | –      | stack name id ᵏ | stands for, ns  | –               | –               |
//! | Signals      | –          | –      | tid             | pending ᵐ       | seen before t   | –               |
//! | Sched        | runnable ⁿ | –      | tid             | on a CPU ⁿ      | waited for one ⁿ | –              |
//! | Steal        | CPUs ˡ     | –      | CPU, −1 none    | stolen ˡ        | since ˡ         | –               |
//!
//! ¹ position in the ready batch; [`NO_INDEX`] when the program names the run itself (`dispatch(token)`); [`BY_FD`] when it
//! names the descriptor: `arg` is its number (2³² − 1: it serves none), `fd` −1 stands for the loop the thread waited on last.
//! ² clipped to ±2³¹; bytes moved when positive. ³ bit 0 non-blocking, bit 1 close-on-exec, bit 2 both known.
//! ⁴ `tcp 127.0.0.1:51234>127.0.0.1:7001`; the pair as its own side sees it; a side left empty
//! says nothing: what was told of it before stands. ⁵ the code address a call
//! returns to, of a [`Space::Site`] that the preload shim told; its text is the collector's: `module+0x…`, as the file
//! of the module numbers its addresses; the module was named before ([`Space::Module`]). ⁶ the send call lasted from t0 to t. ⁷ the recording's own
//! process number. ⁸ wait status as waitpid(2) gives it, −1 unknown. ⁹ nanoseconds back to the previous intact record.
//! ᵃ 0: a terminal of the size in `x`. ᵇ who pushes, [`Source`](super::handshake::Source)'s code, 0 not said: where the
//! preload shim does, handlers are inferred on every thread that marks none. ᶜ 0: said by the child itself, or by a
//! program that has just been started, as its first word.
//! ᵈ of a socket or pipe: its identity. ᵉ milliseconds before t, rounded up: what the program said of the descriptor since
//! then is newer. ᶠ this side made the connect(2); 0: not said.
//! ᵍ −2 not known: it stood where the recorder may not look before the kernel has. ʰ in the lower half; for the same reason
//! a call may be told twice, [`UNREAD`] and, right before its `CtlEnd`, [`IN_FULL`].
//! ⁱ by a read or accept that is the wait itself.
//! ʲ that the thread met on its CPU in user code, the first of them `y` before t, and where the last one was.
//! ᵏ what the thread was doing, [`Space::Stack`]; 0 not known.
//! ˡ how many CPUs the machine has, and what the hypervisor took of this one in the last `y` before t, as the kernel has counted it: in
//! whole ticks of [`STEAL_TICK`], so it may be almost one more or one less. It is told where it has grown; one of no CPU says that it is
//! counted from here on.
//! ᵐ bit n − 1 is signal n. Of an epoll_pwait with a mask: those it lets through, 0 none or not known. Of a thread: those that wait for it
//! or its process, told while it lets some of them through, and once when no more.
//! ⁿ 1: running or ready to; ns since it began (schedstat), `y` up to when it last got a CPU. Only where no switch records are.
//!
//! SwitchOut, SwitchIn, Fault and Sample are the kernel's (perf_event_open), about threads that push; that there are none says nothing.
//! FdSeen, FdGone, RegSeen, RegGone, Unread, Signals and Sched are the collector's: what /proc and sock_diag showed of a process where
//! its own events said otherwise or nothing. They are told as of its main thread. Setup is what the capture could not do, Steal what
//! /proc/stat showed of the machine: both are nobody's.
//! Threads count from 1; 0 stands for events that are no thread's (Anchor, ProcessStart, ProcessEnd, Lost with cause
//! no-slot). `t` never decreases in a recording: a late event has the instant at which it could be written.
//! A wait's ready batch follows its `WaitExit` as `n` `Ready` events of the same thread and the same instant. For poll and
//! select `fd` is −1, the data word is the descriptor's number, `maxevents` is the size of the array (poll) or the highest
//! number plus one (select), and a descriptor that is in several sets may be told once or once a set. A read or accept that is
//! the wait itself is told in the same way: its array has one entry, and n is 0 where the call met EAGAIN.

pub use super::cause::Cause;
use super::coded::coded;
pub use super::text::{MAX_TEXT, Text};

/// One recorded event; the [module table](self) says what each column means for each [`Kind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since the recording's start (in a ring: raw clock ticks).
    pub t: u64,
    /// First wide column.
    pub arg: u64,
    /// Second wide column.
    pub y: u64,
    /// The recording's own number of the thread that pushed it ([`Kind::ThreadStart`] introduces it); 0 is nobody's: the
    /// collector's own, and the [`Kind::Lost`] that stands for a damaged or dropped part and concerns all threads.
    pub thread: u32,
    /// A file descriptor.
    pub fd: i32,
    /// Result, mask or name id.
    pub x: i32,
    /// Call site: a [`Space::Site`] name id of the thread's process, 0 unknown.
    pub site: u16,
    /// A small enum or index.
    pub aux: u16,
    /// What happened.
    pub kind: Kind,
    /// Bits of [`flags`].
    pub flags: u8,
    /// Where the text stands in the buffer that came with the event.
    pub text: Text,
}

impl Event {
    /// Of a [`Kind::CtlBegin`]: 0, [`UNREAD`] or [`IN_FULL`].
    pub fn said(&self) -> u64 {
        match self.kind {
            Kind::CtlBegin => self.y & !u64::from(u32::MAX),
            _ => 0,
        }
    }

    /// Of the [`Kind::WaitEnter`] of an epoll_pwait with a mask: the signals that it lets through, bit n − 1 for signal n.
    pub fn lets_through(&self) -> u64 {
        match (self.kind, Wait::from_code(self.aux)) {
            (Kind::WaitEnter, Some(Wait::Pwait | Wait::Pwait2)) => self.y,
            _ => 0,
        }
    }

    /// A fact to know, told before, and not a thing that happened: nobody counts it.
    pub fn is_again(&self) -> bool {
        self.flags & flags::AGAIN != 0 || self.said() == IN_FULL
    }
}

/// `aux` of a [`Kind::RunBegin`] that does not know its place in the ready batch.
pub const NO_INDEX: u16 = u16::MAX;

/// `aux` of a [`Kind::RunBegin`] that names the descriptor it serves: its number is in `arg`, on the loop its thread waited on
/// last where `fd` is −1.
pub const BY_FD: u16 = u16::MAX - 1;

/// The upper half of a [`Kind::CtlBegin`]'s `y`: mask and data word could not be read before the call, and are 0.
pub const UNREAD: u64 = 1 << 32;

/// The same of one that tells a call again that was [`UNREAD`]: nobody counts it.
pub const IN_FULL: u64 = 2 << 32;

/// The unit in which the kernel tells of a [`Kind::Steal`], in nanoseconds (USER_HZ of /proc/stat).
pub const STEAL_TICK: u64 = 10_000_000;

/// Bits of [`Event::flags`].
pub mod flags {
    /// Says again what came before the start of this segment or cut: a fact to know, not a thing that happened, so that
    /// nobody counts it. Its instant is the start's; the `y` of a [`super::Kind::FdOpen`] is then the descriptor's
    /// generation (recording only; on the wire the low bits count continuation slots).
    pub const AGAIN: u8 = 1 << 0;
    /// The text was longer than [`super::MAX_TEXT`] and has been cut.
    pub const CUT: u8 = 1 << 4;
    /// The record carries a `y` in its first continuation slot (wire only; never set in a recording).
    pub const HAS_Y: u8 = 1 << 5;
    /// Arrived after its place in the order had been written; rows it touches are unknown.
    pub const LATE: u8 = 1 << 6;
    /// `RunEnd`: the program left the batch before its end, what was not reached is skipped.
    pub const LEFT: u8 = 1 << 7;
}

coded! {
    /// What happened.
    Kind: u8 {
        /// Entry into epoll_wait, poll or select.
        WaitEnter = 1 "wait-enter",
        /// Its return: the wakeup.
        WaitExit = 2 "wait-exit",
        /// One event of the ready batch that a wait returned.
        Ready = 3 "ready",
        /// Entry into epoll_ctl.
        CtlBegin = 4 "ctl-begin",
        /// Its return.
        CtlEnd = 5 "ctl-end",
        /// A handler run starts; the run before it on the same loop and thread ends.
        RunBegin = 6 "run-begin",
        /// The last handler run of a batch ends.
        RunEnd = 7 "run-end",
        /// Names the handler that serves a data word from now on.
        Handler = 8 "handler",
        /// A read, write, accept or the like has returned.
        Io = 9 "io",
        /// A descriptor came into being.
        FdOpen = 10 "fd-open",
        /// A close starts; the number is free from here unless the close fails.
        FdCloseBegin = 11 "close-begin",
        /// A close has returned.
        FdCloseEnd = 12 "close-end",
        /// A dup, dup2 or F_DUPFD starts; a target it names is closed from here.
        DupBegin = 13 "dup-begin",
        /// It has returned.
        DupEnd = 14 "dup-end",
        /// A name for a descriptor, given by the program or the collector.
        FdName = 15 "fd-name",
        /// The addresses of a socket, as its own side sees them.
        FdAddr = 16 "fd-addr",
        /// Bytes waiting in the receive queue, sampled.
        Unread = 17 "unread",
        /// Gives a name id its text.
        Name = 18 "name",
        /// A mark the program made, with fields.
        Mark = 19 "mark",
        /// A span opened.
        SpanBegin = 20 "span-begin",
        /// A span closed.
        SpanEnd = 21 "span-end",
        /// A timer was armed.
        TimerArm = 22 "timer-arm",
        /// A timer was taken back.
        TimerCancel = 23 "timer-cancel",
        /// A timer fires: its callback starts.
        TimerBegin = 24 "timer-begin",
        /// Its callback ends.
        TimerEnd = 25 "timer-end",
        /// A task was put on the loop's own run queue.
        TaskQueued = 26 "task-queued",
        /// The loop starts a task.
        TaskBegin = 27 "task-begin",
        /// The task ends or yields.
        TaskEnd = 28 "task-end",
        /// A call that may take long starts.
        CallBegin = 29 "call-begin",
        /// It has returned.
        CallEnd = 30 "call-end",
        /// A load generator has sent bytes; 0 if the send came to nothing.
        Supplied = 31 "supplied",
        /// A child process was made.
        Fork = 32 "fork",
        /// Another program took the process over.
        Exec = 33 "exec",
        /// A thread pushed its first event.
        ThreadStart = 34 "thread-start",
        /// A thread has ended.
        ThreadEnd = 35 "thread-end",
        /// A process joined the recording.
        ProcessStart = 36 "process-start",
        /// A process has ended.
        ProcessEnd = 37 "process-end",
        /// At the end of a thread or recording: the call it was still inside of.
        InCall = 38 "in-call",
        /// Events are missing here.
        Lost = 39 "lost",
        /// The clocks side by side.
        Anchor = 40 "anchor",
        /// The program wrote to its terminal.
        Output = 41 "output",
        /// A load generator is about to send: what it sends arrives from now on.
        SupplyBegin = 42 "supply-begin",
        /// /proc shows this descriptor open.
        FdSeen = 43 "fd-seen",
        /// /proc shows this descriptor closed.
        FdGone = 44 "fd-gone",
        /// /proc shows this registration.
        RegSeen = 45 "reg-seen",
        /// /proc no longer shows this registration.
        RegGone = 46 "reg-gone",
        /// Something the capture cannot do, and what to do about it.
        Setup = 47 "setup",
        /// timerfd_settime(2) has returned.
        TimerfdSet = 48 "timerfd-set",
        /// A child that has ended was waited for: how it ended.
        Reaped = 49 "reaped",
        /// The kernel took the thread off its CPU.
        SwitchOut = 50 "switch-out",
        /// It runs on a CPU again.
        SwitchIn = 51 "switch-in",
        /// It met page faults in user code.
        Fault = 52 "fault",
        /// A clock found the thread on its CPU: in which function, called by which.
        Sample = 53 "sample",
        /// The hypervisor had this CPU for a while, when the kernel could have used it.
        Steal = 54 "steal",
        /// Signals that wait to be delivered to a thread.
        Signals = 55 "signals",
        /// How long a thread has run and waited for a CPU, as the kernel counts it.
        Sched = 56 "sched",
        /// What the handler run under way does from here on, it does on behalf of this descriptor.
        OnBehalf = 57 "on-behalf",
    }
}

#[allow(clippy::derivable_impls)] // `#[derive(Default)]` cannot reach into the macro
impl Default for Kind {
    fn default() -> Self {
        Kind::Mark
    }
}

coded! {
    /// Which call waits.
    Wait: u16 {
        /// epoll_wait(2)
        Epoll = 1 "epoll_wait",
        /// epoll_pwait(2)
        Pwait = 2 "epoll_pwait",
        /// epoll_pwait2(2)
        Pwait2 = 3 "epoll_pwait2",
        /// poll(2)
        Poll = 4 "poll",
        /// ppoll(2)
        Ppoll = 5 "ppoll",
        /// select(2)
        Select = 6 "select",
        /// pselect(2)
        Pselect = 7 "pselect",
        /// read(2), where the read itself is the wait
        Read = 8 "read",
        /// accept(2), in the same way
        Accept = 9 "accept",
    }
}

coded! {
    /// The operation of an epoll_ctl(2), with the kernel's own numbers.
    Ctl: u16 {
        /// EPOLL_CTL_ADD
        Add = 1 "add",
        /// EPOLL_CTL_DEL
        Del = 2 "del",
        /// EPOLL_CTL_MOD
        Mod = 3 "mod",
    }
}

coded! {
    /// Which call moved bytes, took a connection or waited on a descriptor.
    Op: u16 {
        /// read(2), pread, readv
        Read = 1 "read",
        /// write(2), pwrite, writev
        Write = 2 "write",
        /// recv(2), recvfrom, recvmsg
        Recv = 3 "recv",
        /// send(2), sendto, sendmsg
        Send = 4 "send",
        /// accept(2), accept4
        Accept = 5 "accept",
        /// connect(2)
        Connect = 6 "connect",
        /// recv(2) with MSG_PEEK
        Peek = 7 "peek",
        /// shutdown(2)
        Shutdown = 8 "shutdown",
        /// sendfile(2), copy_file_range(2); older recordings: splice(2) as well
        Sendfile = 9 "sendfile",
        /// A wait: epoll_wait, poll, select (used by `InCall`)
        Wait = 10 "wait",
        /// epoll_ctl(2) (used by `InCall`)
        Ctl = 11 "epoll_ctl",
        /// close(2) (used by `InCall`)
        Close = 12 "close",
        /// A call named by the program (used by `InCall`; the name id is in `x`)
        Named = 13 "call",
        /// getsockopt(SO_ERROR)
        SoError = 14 "so_error",
        /// A call the program made itself on a descriptor: 0 or −errno, its bytes are not known
        TryIo = 15 "try_io",
        /// splice(2), told of the descriptor it moves to
        Splice = 16 "splice",
    }
}

coded! {
    /// What a descriptor is.
    FdKind: u16 {
        /// Not known.
        Unknown = 0 "fd",
        /// A listening TCP socket.
        TcpListener = 1 "tcp-listen",
        /// A TCP connection.
        Tcp = 2 "tcp",
        /// A UDP socket.
        Udp = 3 "udp",
        /// A listening Unix socket.
        UnixListener = 4 "unix-listen",
        /// A Unix stream socket.
        Unix = 5 "unix",
        /// A Unix datagram socket.
        UnixDatagram = 6 "unix-dgram",
        /// A pipe or FIFO.
        Pipe = 7 "pipe",
        /// eventfd(2)
        Eventfd = 8 "eventfd",
        /// timerfd_create(2)
        Timerfd = 9 "timerfd",
        /// signalfd(2)
        Signalfd = 10 "signalfd",
        /// epoll_create(2)
        Epoll = 11 "epoll",
        /// pidfd_open(2)
        Pidfd = 12 "pidfd",
        /// A terminal.
        Tty = 13 "tty",
        /// A regular file or directory.
        File = 14 "file",
        /// inotify(7)
        Inotify = 15 "inotify",
    }
}

coded! {
    /// What timerfd_settime(2) does to a timer.
    Arming: u16 {
        /// It is taken back.
        Off = 0 "off",
        /// It is armed; when it expires is known.
        In = 1 "armed",
        /// It is armed for an instant on a clock that is not known.
        Unknown = 2 "armed, nobody knows for when",
    }
}

coded! {
    /// Why a thread was taken off its CPU.
    Off: u16 {
        /// It waits for something: it went to sleep inside a call, a page fault or a lock.
        Blocked = 1 "blocked",
        /// It could have gone on: another thread was given the CPU.
        Preempted = 2 "preempted",
        /// A signal or a debugger stopped it. That is seen while it lasts, so it is told of the return.
        Stopped = 3 "stopped",
        /// It slept in a system call, whichever. This is seen while it lasts, too.
        InCall = 4 "in a call",
    }
}

coded! {
    /// Where a sample found its thread.
    Mode: u16 {
        /// In the program's own code.
        User = 1 "user",
        /// In the kernel, for the program: its stack is what it called the kernel with.
        Kernel = 2 "kernel",
        /// Asleep, until now and for as long as the sample stands for: its stack is what it slept in.
        Asleep = 3 "asleep",
    }
}

coded! {
    /// What a name id names. Ids are counted per process and space, from 1.
    Space: u16 {
        /// A handler.
        Handler = 1 "handler",
        /// A mark or span.
        Mark = 2 "mark",
        /// A call that may take long.
        Call = 3 "call",
        /// A timer.
        Timer = 4 "timer",
        /// A task.
        Task = 5 "task",
        /// A call site: `file:line:column`.
        Site = 6 "site",
        /// The address pair of a load generator's socket.
        Pair = 7 "pair",
        /// A loop: `x` is the epfd.
        Loop = 8 "loop",
        /// A file that sites lie in, told by the collector: what identifies it, a blank, its path.
        Module = 9 "module",
        /// A function's place and who called it, told by the collector: the caller's id (0: nobody known), a blank, the place
        /// as a site's `module+0x…`. So stacks are a tree, and each place in it is told once.
        Stack = 10 "stack",
    }
}
