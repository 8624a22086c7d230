//! What /proc says about a process: its name, command, parent, start. Every answer may be missing: processes end
//! while we look, and their texts are untrusted bytes.
//! Step: **event → ring** (names for the collector's own events).
#![forbid(unsafe_code)]

use super::modules::Modules;
use crate::record::{event::MAX_TEXT, wire};
use crate::trace::merge::Names;
use std::os::unix::ffi::OsStringExt;
use std::{fs, io};

/// The bytes of `/proc/PID/FILE`, nothing if the process is gone or not ours to read.
fn read(pid: i32, file: &str) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/{file}")).ok()
}

/// The process's short name.
pub fn comm(pid: i32) -> Option<Vec<u8>> {
    let mut name = read(pid, "comm")?;
    while name.last() == Some(&b'\n') {
        name.pop();
    }
    Some(name)
}

/// A thread's name.
pub fn thread_name(pid: i32, tid: i32) -> Option<Vec<u8>> {
    let mut name = read(pid, &format!("task/{tid}/comm"))?;
    while name.last() == Some(&b'\n') {
        name.pop();
    }
    Some(name)
}

/// The command line with its arguments separated by spaces; the short name in brackets for one that has none.
pub fn command(pid: i32) -> Option<Vec<u8>> {
    let mut line = read(pid, "cmdline")?;
    while line.last() == Some(&0) {
        line.pop();
    }
    if line.is_empty() {
        return comm(pid);
    }
    line.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b' ');
    Some(line)
}

/// What `/proc/PID/stat` has that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// One letter: `Z` is a process that has ended and not been waited for.
    pub state: u8,
    /// Its parent.
    pub parent: i32,
    /// When it started, in clock ticks since boot: with the pid it is the process's identity.
    pub start: u64,
    /// CPU time it has used, in clock ticks.
    pub cpu: u64,
}

/// The process's state, parent and start.
pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&read(pid, "stat")?)
}

/// The name in parentheses may itself hold parentheses and spaces, so the fields count from the last `)`.
fn parse_stat(line: &[u8]) -> Option<Stat> {
    let after = line.iter().rposition(|b| *b == b')')? + 1;
    let rest = std::str::from_utf8(line.get(after..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    // `utime` is field 14, `stime` the next, `starttime` field 22; the state was field 3.
    let user: u64 = fields.nth(9)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let start = fields.nth(6)?.parse().ok()?;
    Some(Stat {
        state,
        parent,
        start,
        cpu: user.saturating_add(system),
    })
}

/// The wait status of a process that has ended and has not been waited for. The kernel says 0 to those who may not know:
/// they may not read `io` either.
pub fn exit_status(pid: i32) -> Option<i32> {
    read(pid, "io")?;
    let line = read(pid, "stat")?;
    parse_stat(&line).filter(|stat| stat.state == b'Z')?;
    // The last field, 52.
    let last = line.trim_ascii().rsplit(|b| *b == b' ').next()?;
    std::str::from_utf8(last).ok()?.parse().ok()
}

/// How much the process has run: its CPU time in clock ticks, its main thread's in nanoseconds. Unchanged, it has not run
/// (but for other threads that did less than a tick's worth); nothing where the kernel does not say.
pub fn ran(pid: i32) -> Option<(u64, u64)> {
    let main = read(pid, "schedstat")?;
    let main = std::str::from_utf8(&main).ok()?;
    let main = main.split_ascii_whitespace().next()?.parse().ok()?;
    Some((stat(pid)?.cpu, main))
}

/// What the kernel counts of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// On a CPU since it began, in nanoseconds.
    pub ran: u64,
    /// Waiting for one, up to when it last got one, in nanoseconds.
    pub waited: u64,
    /// It is running or ready to run.
    pub runnable: bool,
}

/// Reads that.
pub fn counted(pid: u32, tid: u32) -> Option<Counted> {
    let pid = i32::try_from(pid).ok()?;
    let (ran, waited) = parse_schedstat(&read(pid, &format!("task/{tid}/schedstat"))?)?;
    let runnable = is_runnable(&read(pid, &format!("task/{tid}/stat"))?)?;
    Some(Counted {
        ran,
        waited,
        runnable,
    })
}

fn parse_schedstat(schedstat: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(schedstat).ok()?;
    let mut words = text.split_ascii_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// The state behind the name, which may hold anything, brackets too.
fn is_runnable(stat: &[u8]) -> Option<bool> {
    let end = stat.iter().rposition(|b| *b == b')')?;
    stat.get(end + 2).map(|state| *state == b'R')
}

/// The signals that wait for a thread or for its process.
pub fn pending(pid: i32, tid: u32) -> Option<u64> {
    parse_pending(&read(pid, &format!("task/{tid}/status"))?)
}

/// `SigPnd` and `ShdPnd` of a thread's status. Its name stands there too, with line feeds made harmless.
fn parse_pending(status: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(status);
    let of = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    Some(of("SigPnd:")? | of("ShdPnd:")?)
}

/// The numbers of the descriptors a process has open, in no order.
pub fn fds(pid: i32) -> io::Result<Vec<i32>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // An entry that cannot be read is a process that has just ended: the next one fails as well.
        let name = entry?.file_name();
        all.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(all)
}

/// What a descriptor is open on: a path, `socket:[INODE]`, `anon_inode:[eventpoll]` …
pub fn fd_link(pid: i32, fd: i32) -> Option<Vec<u8>> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
    Some(link.into_os_string().into_vec())
}

/// The name of a process's network namespace.
pub fn net_namespace(pid: i32) -> Option<Vec<u8>> {
    let link = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    Some(link.into_os_string().into_vec())
}

/// A line `tfd:` of an epoll descriptor's fdinfo: a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tfd {
    /// The number it was registered by; it may have been closed since.
    pub fd: i32,
    /// The interest mask, as the kernel keeps it.
    pub mask: u32,
    /// The data word.
    pub data: u64,
}

/// The registrations of an epoll descriptor, at most `most` of them.
pub fn registrations(pid: i32, epfd: i32, most: usize) -> Option<Vec<Tfd>> {
    let info = read(pid, &format!("fdinfo/{epfd}"))?;
    let lines = info.split(|b| *b == b'\n');
    Some(lines.filter_map(parse_tfd).take(most).collect())
}

/// `tfd:        5 events:       19 data:      5  pos:0 ino:61 sdev:7`: the mask and the word are hexadecimal.
fn parse_tfd(line: &[u8]) -> Option<Tfd> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("tfd:")?;
    let (fd, rest) = line.split_once("events:")?;
    let (mask, rest) = rest.split_once("data:")?;
    let data = rest.split_ascii_whitespace().next()?;
    Some(Tfd {
        fd: fd.trim().parse().ok()?,
        mask: u32::from_str_radix(mask.trim(), 16).ok()?,
        data: u64::from_str_radix(data, 16).ok()?,
    })
}

/// Whether the thread still exists.
pub fn thread_exists(pid: i32, tid: i32) -> bool {
    fs::metadata(format!("/proc/{pid}/task/{tid}")).is_ok()
}

/// What a thread calls itself in the innermost pid namespace it is in.
pub fn own_number(pid: u32, tid: u32) -> Option<u32> {
    let status = read(pid as i32, &format!("task/{tid}/status"))?;
    let mut lines = status.split(|b| *b == b'\n');
    let line = lines.find_map(|l| l.strip_prefix(b"NSpid:"))?;
    let numbers = std::str::from_utf8(line).ok()?;
    numbers.split_ascii_whitespace().next_back()?.parse().ok()
}

/// The thread of a process that calls itself `own`.
pub fn thread_called(pid: u32, own: u32) -> Option<u32> {
    threads(pid).find(|tid| own_number(pid, *tid) == Some(own))
}

/// Whether the process has a session's rings mapped; nothing where we may not look.
pub fn has_rings(pid: u32) -> Option<bool> {
    let maps = fs::read(format!("/proc/{pid}/maps")).ok()?;
    Some(maps.windows(RINGS.len()).any(|w| w == RINGS))
}

/// The inodes of the rings that a process has mapped; none where we may not look.
pub fn rings(pid: u32) -> Vec<u64> {
    let maps = read(pid as i32, "maps").unwrap_or_default();
    let lines = maps.split(|b| *b == b'\n');
    // `start-end access offset device inode path`
    let inode = |line: &[u8]| {
        line.windows(RINGS.len()).find(|w| *w == RINGS)?;
        let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        fields.nth(4)?.parse().ok()
    };
    lines.filter_map(inode).collect()
}

/// Whether the process, or one it descends from as far as its parents live, is `of`.
pub fn descends(pid: u32, of: impl Fn(u32) -> bool) -> bool {
    let mut at = pid;
    // Deeper than any tree, should the numbers be reused while we look.
    for _ in 0..1000 {
        if of(at) {
            return true;
        }
        match stat(at as i32) {
            Some(stat) if stat.parent > 0 => at = stat.parent as u32,
            _ => return false,
        }
    }
    false
}

/// The threads of a process.
pub fn threads(pid: u32) -> impl Iterator<Item = u32> {
    numbers(&format!("/proc/{pid}/task"))
}

/// What this thread has forked or cloned and is still there; nothing where the kernel does not say.
pub fn children(pid: u32, tid: u32) -> Vec<u32> {
    let all = read(pid as i32, &format!("task/{tid}/children")).unwrap_or_default();
    let all = String::from_utf8_lossy(&all);
    let numbers = all.split_ascii_whitespace();
    numbers.filter_map(|n| n.parse().ok()).collect()
}

/// The system call a thread sleeps in; nothing if it runs, or where we may not look.
pub fn system_call(pid: u32, tid: u32) -> Option<i64> {
    let line = read(pid as i32, &format!("task/{tid}/syscall"))?;
    let line = std::str::from_utf8(&line).ok()?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The process's seccomp mode: 1 is strict, 2 a filter.
pub fn seccomp(pid: u32) -> Option<u8> {
    let status = read(pid as i32, "status")?;
    let mut lines = status.split(|b| *b == b'\n');
    let mode = lines.find_map(|l| l.strip_prefix(b"Seccomp:"))?;
    std::str::from_utf8(mode).ok()?.trim().parse().ok()
}

/// How the rings' memory stands in /proc/PID/maps.
const RINGS: &[u8] = b"/memfd:loopscope ";

/// All processes.
pub fn processes() -> impl Iterator<Item = u32> {
    numbers("/proc")
}

fn numbers(folder: &str) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// Names for the merge, from /proc.
#[derive(Default)]
pub(super) struct Proc<'a> {
    /// What the process itself said its parent was when it began; 0 nothing.
    pub(super) parent: u32,
    /// What is mapped in the processes, for who asks about code.
    pub(super) modules: Option<&'a mut Modules>,
}

impl Names for Proc<'_> {
    fn process(&mut self, pid: u32) -> (u32, Vec<u8>) {
        // Whose parent has ended has another one in /proc.
        let parent = match self.parent {
            0 => stat(pid as i32).map_or(0, |s| s.parent as u32),
            told => told,
        };
        (parent, clip(command(pid as i32)))
    }
    fn code(&mut self, pid: u32, address: u64) -> Vec<u8> {
        let parent = self.parent;
        (self.modules.as_mut()).map_or(Vec::new(), |m| m.name(pid, parent, address))
    }
    fn module(&mut self) -> Option<(i32, Vec<u8>)> {
        self.modules.as_mut()?.told()
    }
    fn thread(&mut self, pid: u32, tid: u32) -> Vec<u8> {
        clip(thread_name(pid as i32, tid as i32))
    }
}

fn clip(text: Option<Vec<u8>>) -> Vec<u8> {
    let mut text = text.unwrap_or_default();
    text.truncate(wire::cut(&text, MAX_TEXT));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_of_a_thread_is_read_past_any_name() {
        assert_eq!(parse_schedstat(b"12 34 5\n"), Some((12, 34)));
        assert_eq!(parse_schedstat(b"12\n"), None);
        assert_eq!(is_runnable(b"7 (a) S (b)) R 1 2"), Some(true));
        assert_eq!(is_runnable(b"7 (R) S 1 2"), Some(false));
        assert_eq!(is_runnable(b"7 (R)"), None);
        // Who asks runs.
        let me = counted(std::process::id(), std::process::id());
        assert!(me.is_none_or(|me| me.ran > 0));
    }

    #[test]
    fn we_know_ourselves() {
        let me = std::process::id() as i32;
        let stat = stat(me).unwrap();
        assert_eq!(stat.parent, std::os::unix::process::parent_id() as i32);
        assert!(stat.start > 0);
        assert!(!comm(me).unwrap().is_empty());
        assert!(!command(me).unwrap().contains(&0));
        assert!(thread_exists(me, me));
        assert!(!thread_exists(me, 1));
    }

    #[test]
    fn registrations_are_read() {
        let line = b"tfd:       12 events: 8000201d data: 7f5200000006  pos:0 ino:dcbab sdev:f";
        let want = Tfd {
            fd: 12,
            mask: 0x8000_201d,
            data: 0x7f52_0000_0006,
        };
        assert_eq!(parse_tfd(line), Some(want));
        for bad in [
            &b"tfd:"[..],
            b"tfd: x events: 1 data: 2",
            b"pos:\t0",
            b"tfd: 1 events: 1 data:",
        ] {
            assert_eq!(parse_tfd(bad), None);
        }
        let here = std::process::id() as i32;
        assert!(fds(here).unwrap().contains(&0));
        assert!(fd_link(here, 0).is_some());
    }

    #[test]
    fn a_name_made_to_mislead_does_not() {
        let line = b"12 (a) Z 1 (b) S 7 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        let want = Stat {
            state: b'S',
            parent: 7,
            start: 987_654,
            cpu: 11,
        };
        assert_eq!(parse_stat(line), Some(want));
        assert_eq!(parse_stat(b"12 (a"), None);
        assert_eq!(parse_stat(b"12 (a) S 7 1"), None);
    }
}
