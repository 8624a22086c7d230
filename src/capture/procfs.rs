//! What /proc says about a process: its name, command, parent, start. Every answer may be missing: processes end
//! while we look, and their texts are untrusted bytes.
//! Step: **event → ring** (names for the collector's own events).
#![forbid(unsafe_code)]

use crate::record::{event::MAX_TEXT, wire};
use crate::trace::merge::Names;
use std::fs;

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
    // `starttime` is field 22; the state was field 3.
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        state,
        parent,
        start,
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
    numbers(&format!("/proc/{pid}/task")).find(|tid| own_number(pid, *tid) == Some(own))
}

/// Whether the process has a session's rings mapped; nothing where we may not look.
pub fn has_rings(pid: u32) -> Option<bool> {
    let maps = fs::read(format!("/proc/{pid}/maps")).ok()?;
    Some(maps.windows(RINGS.len()).any(|w| w == RINGS))
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
pub(super) struct Proc {
    /// What the process itself said its parent is, should it be gone from /proc; 0 nothing.
    pub(super) parent: u32,
}

impl Names for Proc {
    fn process(&mut self, pid: u32) -> (u32, Vec<u8>) {
        let parent = stat(pid as i32).map_or(self.parent, |s| s.parent as u32);
        (parent, clip(command(pid as i32)))
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
    fn a_name_made_to_mislead_does_not() {
        let line = b"12 (a) Z 1 (b) S 7 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        let want = Stat {
            state: b'S',
            parent: 7,
            start: 987_654,
        };
        assert_eq!(parse_stat(line), Some(want));
        assert_eq!(parse_stat(b"12 (a"), None);
        assert_eq!(parse_stat(b"12 (a) S 7 1"), None);
    }
}
