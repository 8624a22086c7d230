//! Forks: a child never pushes into its parent's ring, takes one of its own, and is a process of its own.

mod ring_common;

use loopscope::capture::drain::Drain;
use loopscope::record::clock::Clock;
use loopscope::record::event::{Event, Kind};
use loopscope::record::ring::Producer;
use loopscope::record::segment::{Layout, Limit, Segment};
use loopscope::record::wire::Rec;
use ring_common::{length, shared, tid, wiped};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Children; every other one is made by a raw clone(2), which no library hears of.
const CHILDREN: u64 = 200;
/// Records a child tries to push.
const EACH: u64 = 50;

fn pid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getpid() as u32 }
}

/// A record that says which process it is of.
fn mark(pid: u32, n: u64) -> Rec {
    Rec {
        kind: Kind::Mark,
        fd: pid as i32,
        arg: n,
        ticks: Clock::Monotonic.now(),
        ..Rec::default()
    }
}

/// What a child does: nothing but what is safe after a fork of a process with threads.
fn child(parents: &Producer, segment: &Segment, limits: &'static [Limit], pushed: &AtomicU64) -> ! {
    let me = pid();
    let mut wrong = 0;
    wrong |= parents.push(&mark(me, 0)) as i32;
    wrong |= !parents.is_foreign() as i32;
    let producer = segment
        .claim(me, me, limits)
        .unwrap_or_else(|| segment.overflow(me, me));
    for n in 0..EACH {
        producer.push(&mark(me, n));
        pushed.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: ends the child at once.
    unsafe { libc::_exit(wrong) }
}

/// Makes a child; 0 in it.
fn fork(raw: bool) -> libc::pid_t {
    // SAFETY: the child does nothing but what `child` does. A raw clone with no flags but the signal is a fork.
    unsafe {
        if raw {
            libc::syscall(libc::SYS_clone, libc::SIGCHLD as libc::c_ulong, 0, 0, 0, 0)
                as libc::pid_t
        } else {
            libc::fork()
        }
    }
}

/// Whose each thread is, and what each process pushed.
#[derive(Default)]
struct Check {
    process_of_thread: HashMap<u32, u64>,
    pid_of_process: HashMap<u64, i32>,
    marks: u64,
    ended: u64,
}

impl Check {
    fn see(&mut self, e: &Event, _text: &[u8]) {
        match e.kind {
            Kind::ProcessStart => {
                self.pid_of_process.insert(e.arg, e.x);
            }
            Kind::ThreadStart => {
                self.process_of_thread.insert(e.thread, e.arg);
            }
            Kind::ProcessEnd => self.ended += 1,
            Kind::Mark => {
                let process = self
                    .process_of_thread
                    .get(&e.thread)
                    .expect("a thread that has started");
                assert_eq!(
                    self.pid_of_process.get(process),
                    Some(&e.fd),
                    "a foreign record in a ring"
                );
                self.marks += 1;
            }
            _ => {}
        }
    }
}

#[test]
fn children_claim_rings_of_their_own() {
    let layout = Layout {
        small: 8,
        small_slots: 128,
        large_slots: 1 << 12,
        large: 4,
        overflow_slots: 256,
    };
    let words = layout.words().expect("a layout that can be laid out");
    let memory = shared(words as usize);
    let pushed = &shared(512)[0];
    let limits = wiped(layout);
    // SAFETY: the mapping is never unmapped.
    let made = unsafe { Segment::create(memory.as_ptr(), words, layout, Clock::Monotonic, 0) }
        .expect("room");
    // SAFETY: as above.
    let segment =
        unsafe { Segment::attach(memory.as_ptr(), words) }.expect("the segment just made");
    let mut drain = Drain::new(made);
    let done = AtomicBool::new(false);
    let children = length(CHILDREN);
    let mut check = Check::default();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let producer = segment.claim(tid(), pid(), limits).expect("a free ring");
                let mut n = 0;
                while !done.load(Ordering::Relaxed) {
                    producer.push(&mark(pid(), n));
                    pushed.fetch_add(1, Ordering::Relaxed);
                    n += 1;
                    std::thread::yield_now();
                }
            });
        }
        scope.spawn(|| {
            let producer = segment.claim(tid(), pid(), limits).expect("a free ring");
            for i in 0..children {
                let made = fork(i % 2 == 0);
                assert!(made >= 0);
                if made == 0 {
                    child(&producer, &segment, limits, pushed);
                }
                producer.push(&mark(pid(), i));
                pushed.fetch_add(1, Ordering::Relaxed);
                let mut status = -1;
                // SAFETY: our own child, once.
                assert_eq!(unsafe { libc::waitpid(made, &mut status, 0) }, made);
                assert_eq!(status, 0, "a child pushed into its parent's ring");
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            drain.pass(|e, text| check.see(e, text));
            std::thread::yield_now();
        }
    });
    let counts = drain.finish(|e, text| check.see(e, text));
    assert_eq!(counts.records, check.marks);
    assert_eq!(
        counts.records + counts.lost(),
        pushed.load(Ordering::Relaxed)
    );
    assert!(check.pid_of_process.len() as u64 <= children + 1);
    assert!(check.ended > 0, "ended children are noticed");
}

#[test]
fn a_child_reaped_before_anybody_looked_is_its_parents() {
    let layout = Layout {
        small: 8,
        small_slots: 128,
        large_slots: 1 << 12,
        large: 4,
        overflow_slots: 256,
    };
    let words = layout.words().expect("a layout that can be laid out");
    let memory = shared(words as usize);
    let limits = wiped(layout);
    // SAFETY: the mapping is never unmapped.
    let made = unsafe { Segment::create(memory.as_ptr(), words, layout, Clock::Monotonic, 0) }
        .expect("room");
    // SAFETY: as above.
    let segment =
        unsafe { Segment::attach(memory.as_ptr(), words) }.expect("the segment just made");
    let drain = Drain::new(made);
    let producer = segment.claim(tid(), pid(), limits).expect("a free ring");
    producer.push(&mark(pid(), 0));
    let parent = pid();
    let forked = fork(false);
    assert!(forked >= 0);
    if forked == 0 {
        let me = pid();
        let own = segment.claim(me, me, limits);
        if let Some(own) = &own {
            own.tell_parent(parent);
            for n in 0..EACH {
                own.push(&mark(me, n));
            }
        }
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(own.is_none().into()) }
    }
    let mut status = -1;
    // SAFETY: our own child, once. Nothing is left of it in /proc afterwards.
    assert_eq!(unsafe { libc::waitpid(forked, &mut status, 0) }, forked);
    assert_eq!(status, 0);
    let mut check = Check::default();
    let mut starts: HashMap<i32, (u64, Vec<u8>)> = HashMap::new();
    let mut ends = Vec::new();
    let counts = drain.finish(|e, text| {
        check.see(e, text);
        match e.kind {
            Kind::ProcessStart => {
                starts.insert(e.x, (e.y, text.to_vec()));
            }
            Kind::ProcessEnd => ends.push((check.pid_of_process[&e.arg], e.x)),
            _ => {}
        }
    });
    assert_eq!((counts.records, counts.lost()), (1 + EACH, 0));
    let ours = starts.get(&(parent as i32)).expect("the parent is there");
    assert!(!ours.1.is_empty(), "the parent lives and has a name");
    assert_eq!(
        starts.get(&forked),
        Some(&(u64::from(parent), ours.1.clone()))
    );
    assert_eq!(ends, [(forked, -1)]);
}
