//! Which processes of the tree run without our seeing what they do, found while they run: one look at the tree, and what
//! follows from two of them. Step: none of the pipeline; it says why nothing, or not all, will enter the rings.
//!
//! What its file tells before a program starts is [`blind`]'s.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::blind::{self, Blind};
use super::known::Known;
use super::procfs;
use super::stragglers;
use crate::text::visible;

/// Processes looked at, and threads of each.
const MOST: usize = 256;
const MOST_THREADS: usize = 64;
/// A process that has waited so recently is seen.
const LATELY_NS: u64 = 500_000_000;

/// So long may a program that was started with the shim take to load it.
const PATIENCE_NS: u64 = 5_000_000_000;

/// What a thread sleeps in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sleep {
    Epoll,
    IoUring,
    /// poll(2) or select(2), which libc also uses by itself.
    Poll,
}

/// How one process looked.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub pid: u32,
    /// With the pid its identity, until it becomes another program.
    pub start: u64,
    pub name: String,
    /// It has the session's rings mapped; nothing where we may not look.
    pub rings: Option<bool>,
    /// Why it has none, if its file tells.
    pub blind: Option<Blind>,
    /// It has none, and something else is preloaded into it.
    pub replaced: bool,
    /// It may only read, write and exit.
    pub strict: bool,
    /// What its threads sleep in.
    pub asleep: Vec<Sleep>,
    /// It has an epoll descriptor or an io_uring.
    pub polls: bool,
    /// It has been started with the shim and has not come to load it, for all one can see.
    pub joining: bool,
}

/// Looks at processes; remembers what does not change.
#[derive(Default)]
pub(super) struct Surveyor {
    /// Programs without rings by process, start and name, and what their files tell.
    files: HashMap<(u32, u64, String), Option<Blind>>,
}

impl Surveyor {
    /// The processes and all their descendants.
    pub fn survey(&mut self, roots: &[u32]) -> Vec<Sight> {
        let mut seen: HashSet<u32> = HashSet::new();
        let mut next: Vec<u32> = roots.to_vec();
        let mut all = Vec::new();
        while let Some(pid) = next.pop() {
            if all.len() >= MOST || !seen.insert(pid) {
                continue;
            }
            let threads: Vec<u32> = procfs::threads(pid).take(MOST_THREADS).collect();
            next.extend(threads.iter().flat_map(|tid| procfs::children(pid, *tid)));
            all.extend(self.sight(pid, &threads));
        }
        if self.files.len() > MOST * 4 {
            self.files.clear();
        }
        all
    }

    fn sight(&mut self, pid: u32, threads: &[u32]) -> Option<Sight> {
        let stat = procfs::stat(pid as i32).filter(|s| !matches!(s.state, b'Z' | b'X'))?;
        let name = visible(&String::from_utf8_lossy(&procfs::comm(pid as i32)?)).into_owned();
        let rings = procfs::has_rings(pid);
        let blind = match rings {
            Some(false) => *(self.files)
                .entry((pid, stat.start, name.clone()))
                .or_insert_with(|| blind::of_program(Path::new(&format!("/proc/{pid}/exe")))),
            _ => None,
        };
        let links = procfs::fds(pid as i32).unwrap_or_default();
        let polls = (links.iter().take(4096)).any(|fd| {
            procfs::fd_link(pid as i32, *fd).is_some_and(|link| {
                link == b"anon_inode:[eventpoll]" || link == b"anon_inode:[io_uring]"
            })
        });
        let asleep: Vec<Sleep> = (threads.iter())
            .filter_map(|tid| sleep(procfs::system_call(pid, *tid)?))
            .collect();
        let shimless = rings == Some(false) && blind.is_none();
        let joining = shimless
            && asleep.is_empty()
            && stragglers::will_load(pid, &stragglers::sign(std::process::id()));
        Some(Sight {
            pid,
            start: stat.start,
            name,
            rings,
            blind,
            replaced: shimless && stragglers::preloads(pid),
            strict: procfs::seccomp(pid) == Some(1),
            asleep,
            polls,
            joining,
        })
    }
}

fn sleep(call: i64) -> Option<Sleep> {
    match call {
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => Some(Sleep::Epoll),
        libc::SYS_io_uring_enter => Some(Sleep::IoUring),
        libc::SYS_ppoll | libc::SYS_pselect6 => Some(Sleep::Poll),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => Some(Sleep::Epoll),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll | libc::SYS_select => Some(Sleep::Poll),
        _ => None,
    }
}

/// Why a process is not, or not wholly, seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Why {
    /// The shim is not in it.
    NoShim,
    /// It may not be looked at, and nothing of it comes.
    Hidden,
    /// Strict seccomp mode takes the clock away.
    Strict,
    /// It waits in calls that do not pass through libc.
    Waits,
    /// The same, and it has never waited otherwise.
    Polls,
    /// It waits for an io_uring.
    IoUring,
    /// Its registrations are there, and no call that made them was seen, nor any wait.
    Registrations,
}

/// What cannot be seen, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// What.
    pub missing: String,
    /// Why.
    pub because: String,
    /// What to do about it.
    pub advice: String,
}

/// Of which process, by pid, start and name, and what.
type Suspicion = (u32, u64, String, Why);

/// Tells each thing once, when two looks in a row have shown it: a program that has just been started, and a thread
/// whose wait is about to be drained, look the same for a moment. A process that has said hello in between was another
/// program at the first look. A busy machine may keep one waiting that has been started with the shim: it gets more time.
#[derive(Default)]
pub(super) struct Judge {
    /// The launched process, whose file has been judged already before its start.
    pub launched: Option<u32>,
    announced: bool,
    /// What the last look has shown, since when, and when the process had last said hello.
    before: HashMap<Suspicion, (u64, Option<u64>)>,
    told: HashSet<Suspicion>,
}

impl Judge {
    /// `announced`: the launched program's file told why it will not be seen, and so were people.
    pub fn new(announced: bool) -> Self {
        Judge {
            announced,
            ..Judge::default()
        }
    }

    pub fn judge(&mut self, sights: &[Sight], known: &Known, now: u64) -> Vec<Unseen> {
        let mut suspected = HashMap::new();
        let mut all = Vec::new();
        for sight in sights {
            let Some(why) = self.why(sight, known, now) else {
                continue;
            };
            let key = (sight.pid, sight.start, sight.name.clone(), why);
            let hello = known.waits(sight.pid).map(|waits| waits.hello);
            let before = self.before.get(&key).filter(|(_, same)| *same == hello);
            let since = before.map_or(now, |(since, _)| *since);
            let patient = sight.joining && now.saturating_sub(since) < PATIENCE_NS;
            let sure = why == Why::Strict || before.is_some() && !patient;
            suspected.insert(key.clone(), (since, hello));
            if sure && self.told.insert(key) {
                all.push(unseen(sight, why));
            }
        }
        self.before = suspected;
        all
    }

    fn why(&self, sight: &Sight, known: &Known, now: u64) -> Option<Why> {
        if sight.strict {
            return Some(Why::Strict);
        }
        let launched = self.launched == Some(sight.pid);
        match sight.rings {
            Some(false) if launched && self.announced => return None,
            Some(false) => return (launched || sight.loops()).then_some(Why::NoShim),
            // A program that has joined and then changed its rights is seen all the same.
            None => return (known.waits(sight.pid).is_none()).then_some(Why::Hidden),
            Some(true) => {}
        }
        let waits = known.waits(sight.pid)?;
        if waits.now
            || waits
                .last
                .is_some_and(|t| now.saturating_sub(t) < LATELY_NS)
        {
            return None;
        }
        let sleeps = |what| sight.asleep.contains(&what);
        if sleeps(Sleep::Epoll) {
            return Some(Why::Waits);
        }
        if sleeps(Sleep::IoUring) {
            return Some(Why::IoUring);
        }
        // It sleeps in a poll of its own while its epoll is there for nothing: what libc polls for by itself (a name, for
        // one) it does inside of a call that is recorded.
        let serves = waits.registrations && (waits.ctl || waits.joined);
        if sleeps(Sleep::Poll) && serves && waits.last.is_none() && !waits.calls {
            return Some(Why::Polls);
        }
        // A forked child has its parent's registrations, and may never look at them.
        let by_itself = waits.joined && waits.registrations && !waits.ctl;
        (by_itself && waits.last.is_none()).then_some(Why::Registrations)
    }
}

impl Sight {
    fn loops(&self) -> bool {
        self.polls || !self.asleep.is_empty()
    }
}

fn unseen(sight: &Sight, why: Why) -> Unseen {
    let who = format!("process {} ({})", sight.pid, sight.name);
    let crate_or = "link the loopscope crate";
    let strace = format!("strace -f -e trace=desc,network,process -p {}", sight.pid);
    let (missing, because, advice) = match why {
        Why::NoShim => {
            let because = match sight.blind {
                Some(blind) => format!("it {blind}"),
                None if sight.replaced => {
                    "the preload shim was not loaded into it: its LD_PRELOAD was replaced on the way".to_owned()
                }
                None => "the preload shim was not loaded into it: its environment was cleaned on the way".to_owned(),
            };
            (format!("what {who} does"), because, format!("{crate_or}, or see its calls: {strace}"))
        }
        Why::Hidden => (
            format!("what {who} does"),
            "it runs with other rights (setuid, or another user), so that nothing is preloaded and /proc tells nothing"
                .to_owned(),
            "record as the user it runs as, or as root".to_owned(),
        ),
        Why::Strict => (
            format!("what {who} does from now on"),
            "it has entered strict seccomp mode, which takes the clock away; recording it has ended".to_owned(),
            "run it without strict mode to see more; a seccomp filter does not disturb".to_owned(),
        ),
        Why::Waits => (
            format!("the waits of {who}"),
            "it calls epoll_wait without libc (rustix, or system calls of its own)".to_owned(),
            format!("{crate_or}, or see its calls: {strace}"),
        ),
        Why::Polls => (
            format!("the waits of {who}"),
            "it calls poll or select without libc (rustix, or system calls of its own)".to_owned(),
            format!("{crate_or}, or see its calls: {strace}"),
        ),
        Why::IoUring => (
            format!("the waits of {who}"),
            "it waits for an io_uring, whose completions are no calls".to_owned(),
            format!("{crate_or}, or see its calls: perf trace -e io_uring:* -p {}", sight.pid),
        ),
        Why::Registrations => (
            format!("the waits and registrations of {who}"),
            "its epoll descriptor has registrations that no seen call has made (rustix, or system calls of its own)"
                .to_owned(),
            format!("{crate_or}, or see its calls: {strace}"),
        ),
    };
    Unseen {
        missing,
        because,
        advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::event::{Event, Kind};

    fn told(known: &mut Known, kind: Kind, t: u64) {
        let e = Event {
            t,
            kind,
            x: 77,
            thread: u32::from(kind != Kind::ProcessStart),
            ..Event::default()
        };
        known.see(&e, b"");
    }

    #[test]
    fn a_program_in_the_midst_of_each_exec_of_many_is_not_one_without_the_shim() {
        let sight = |joining: bool| Sight {
            pid: 77,
            start: 5,
            name: "x".to_owned(),
            rings: Some(false),
            blind: None,
            replaced: false,
            strict: false,
            asleep: Vec::new(),
            polls: true,
            joining,
        };
        let (mut judge, mut known) = (Judge::new(false), Known::default());
        for kind in [Kind::ProcessStart, Kind::ThreadStart] {
            told(&mut known, kind, 10);
        }
        for t in 1..4 {
            assert_eq!(judge.judge(&[sight(false)], &known, t), []);
            told(&mut known, Kind::Exec, 10 + t);
        }
        // The last one never says hello.
        assert_eq!(judge.judge(&[sight(true)], &known, 5), []);
        assert_eq!(judge.judge(&[sight(true)], &known, PATIENCE_NS), []);
        assert_eq!(
            judge.judge(&[sight(true)], &known, PATIENCE_NS + 5).len(),
            1
        );
        assert_eq!(judge.judge(&[sight(true)], &known, PATIENCE_NS + 6), []);
        // Nor does one that was started without the shim.
        (judge.before, judge.told) = Default::default();
        assert_eq!(judge.judge(&[sight(false)], &known, 5), []);
        assert_eq!(judge.judge(&[sight(false)], &known, 6).len(), 1);
    }

    #[test]
    fn a_poll_of_its_own_is_named_and_one_inside_of_a_call_that_is_recorded_is_not() {
        let sight = Sight {
            pid: 77,
            start: 5,
            name: "x".to_owned(),
            rings: Some(true),
            blind: None,
            replaced: false,
            strict: false,
            asleep: vec![Sleep::Poll],
            polls: true,
            joining: false,
        };
        let first = |known: &Known| {
            let mut judge = Judge::new(false);
            judge.judge(std::slice::from_ref(&sight), known, 1_000);
            judge
                .judge(std::slice::from_ref(&sight), known, 2_000)
                .len()
        };
        let mut known = Known::default();
        for kind in [Kind::ProcessStart, Kind::ThreadStart] {
            told(&mut known, kind, 10);
        }
        assert_eq!(first(&known), 0, "it has no loop");
        let registration = |kind: Kind, x: i32| Event {
            t: 20,
            kind,
            thread: 1,
            fd: 5,
            x,
            y: 4,
            aux: 1,
            ..Event::default()
        };
        known.see(&registration(Kind::CtlBegin, 1), b"");
        known.see(&registration(Kind::CtlEnd, 0), b"");
        assert_eq!(first(&known), 1);
        told(&mut known, Kind::CallBegin, 30);
        assert_eq!(first(&known), 0, "getaddrinfo");
        told(&mut known, Kind::CallEnd, 40);
        assert_eq!(first(&known), 1);
        told(&mut known, Kind::WaitEnter, 50);
        told(&mut known, Kind::WaitExit, 60);
        assert_eq!(first(&known), 0, "its waits are seen");
    }
}
