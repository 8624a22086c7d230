//! Every push is received or counted as lost, whoever pushes: many threads, short-lived threads, dying threads, a signal
//! handler inside a push.

use loopscope::record::event::Kind;
use loopscope::{Recorder, task};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

mod recorded;
use recorded::{Recorded, turn};

/// One call site for all pushes, so that its name and text are told once, before the storm.
fn push(id: u64) {
    task::queued("storm", id);
}

/// Records `f`'s pushes; gives what was received and how many events were lost.
fn storm(f: impl FnOnce()) -> (Recorded, u64) {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("storm.lscope");
    let recorder = Recorder::to_file(&path).unwrap();
    push(u64::MAX);
    f();
    let summary = recorder.finish().unwrap();
    let recorded = Recorded::open(&path);
    assert_eq!(summary.lost, recorded.lost());
    (recorded, summary.lost)
}

fn pushed(r: &Recorded) -> impl Iterator<Item = (u32, u64)> {
    r.all(Kind::TaskQueued)
        .filter(|e| e.arg != u64::MAX)
        .map(|e| (e.thread, e.arg))
}

/// Ids of one thread come in the order it pushed them.
fn in_order_by_thread(r: &Recorded) {
    let mut last: HashMap<u32, u64> = HashMap::new();
    for (thread, id) in pushed(r) {
        let before = last.insert(thread, id);
        assert!(
            before.is_none_or(|before| before < id),
            "thread {thread}: {id} after {before:?}"
        );
    }
}

#[test]
fn four_threads_at_full_speed() {
    const EACH: u64 = 250_000;
    let (r, lost) = storm(|| {
        std::thread::scope(|threads| {
            for thread in 0..4 {
                threads.spawn(move || (0..EACH).for_each(|i| push(thread * EACH + i)));
            }
        });
    });
    assert_eq!(pushed(&r).count() as u64 + lost, 4 * EACH);
    in_order_by_thread(&r);
}

#[test]
fn ten_thousand_short_lived_threads() {
    const THREADS: u64 = 10_000;
    let (r, lost) = storm(|| {
        for block in 0..THREADS / 50 {
            std::thread::scope(|threads| {
                for i in 0..50 {
                    threads.spawn(move || push(block * 50 + i));
                }
            });
        }
    });
    assert_eq!(pushed(&r).count() as u64 + lost, THREADS);
    if lost == 0 {
        let mut ids: Vec<u64> = pushed(&r).map(|(_, id)| id).collect();
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..THREADS));
        let threads: std::collections::HashSet<u32> =
            pushed(&r).map(|(thread, _)| thread).collect();
        assert_eq!(threads.len() as u64, THREADS);
    }
}

#[test]
fn hooks_work_in_the_destructors_of_thread_locals() {
    struct Last(u64);
    impl Drop for Last {
        fn drop(&mut self) {
            push(self.0);
            drop(loopscope::span!("last words", n = self.0));
        }
    }
    std::thread_local! {
        static FIRST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
        static SECOND: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let (r, lost) = storm(|| {
        for thread in 0..200 {
            std::thread::spawn(move || {
                // Registered before the thread's first push, and after it.
                FIRST.with(|last| *last.borrow_mut() = Some(Last(3 * thread + 1)));
                push(3 * thread);
                SECOND.with(|last| *last.borrow_mut() = Some(Last(3 * thread + 2)));
            })
            .join()
            .unwrap();
        }
    });
    assert_eq!(lost, 0);
    let mut ids: Vec<u64> = pushed(&r).map(|(_, id)| id).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..600));
    assert_eq!(r.count(Kind::SpanBegin), 400);
    assert_eq!(r.count(Kind::SpanEnd), 400);
}

/// Pushes of the handler so far.
static HANDLED: AtomicU64 = AtomicU64::new(0);
/// Handler's ids, apart from the thread's own.
const FROM_HANDLER: u64 = 1 << 40;

extern "C" fn on_alarm(_: i32) {
    push(FROM_HANDLER + HANDLED.fetch_add(1, Ordering::Relaxed));
}

/// A timer whose signal goes to the calling thread, so that what is left of it when it stops is handled before the stop
/// returns.
struct Alarm(libc::timer_t);

impl Alarm {
    fn every(nanoseconds: i64) -> Alarm {
        // SAFETY: a sigevent is plain data, for which zeroes are a value.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        // SAFETY: takes nothing, cannot fail.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer = std::ptr::null_mut();
        // SAFETY: the event and the place for the timer are live.
        let made = unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) };
        assert_eq!(made, 0);
        let alarm = Alarm(timer);
        alarm.set(nanoseconds);
        alarm
    }

    fn set(&self, nanoseconds: i64) {
        let time = libc::timespec {
            tv_sec: 0,
            tv_nsec: nanoseconds,
        };
        let every = libc::itimerspec {
            it_interval: time,
            it_value: time,
        };
        // SAFETY: the timer was made by timer_create and the value is live.
        let done = unsafe { libc::timer_settime(self.0, 0, &every, std::ptr::null_mut()) };
        assert_eq!(done, 0);
    }
}

#[test]
fn a_signal_handler_pushes_in_the_middle_of_pushes() {
    const OWN: u64 = 1_000_000;
    // SAFETY: installs a handler that pushes one event, which is what is tested here.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_alarm as extern "C" fn(i32) as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(
            libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()),
            0
        );
    }
    let (r, lost) = storm(|| {
        let alarm = Alarm::every(50_000);
        for id in 0..OWN {
            push(id);
        }
        // As many as come in that time; not none.
        while HANDLED.load(Ordering::Relaxed) == 0 {
            std::hint::spin_loop();
        }
        alarm.set(0);
    });
    let handled = HANDLED.load(Ordering::Relaxed);
    let (own, from_handler): (Vec<u64>, Vec<u64>) = pushed(&r)
        .map(|(_, id)| id)
        .partition(|id| *id < FROM_HANDLER);
    assert_eq!(
        (own.len() + from_handler.len()) as u64 + lost,
        OWN + handled
    );
    assert!(own.is_sorted() && r.lost() == lost);
}

#[test]
fn hooks_leave_errno_alone() {
    use loopscope::epoll::{Epoll, Events};
    let (r, _) = storm(|| {
        let epoll = Epoll::new().unwrap();
        let mut events = Events::with_capacity(1);
        let set = |value| {
            // SAFETY: the calling thread's own errno.
            unsafe { *libc::__errno_location() = value };
        };
        let keeps = |what: &str, hook: &mut dyn FnMut()| {
            set(0xdead);
            hook();
            assert_eq!(
                std::io::Error::last_os_error().raw_os_error(),
                Some(0xdead),
                "{what}"
            );
        };
        keeps("mark", &mut || loopscope::mark!("errno", n = 1_u8));
        keeps("span", &mut || drop(loopscope::span!("errno")));
        keeps("names", &mut || {
            loopscope::name_fd(&epoll, "epoll");
            loopscope::name_loop(&epoll, "loop");
            loopscope::name_handler(&epoll, 1_u64, "handler");
        });
        keeps("timer", &mut || drop(loopscope::timer::fired("errno", 1)));
        keeps("dispatch", &mut || drop(loopscope::dispatch(1_u64)));
        keeps("call", &mut || loopscope::call("errno", || ()));
        keeps("a wait that succeeds", &mut || {
            epoll
                .wait(&mut events, Some(std::time::Duration::ZERO))
                .unwrap();
        });
        keeps("what a descriptor is", &mut || {
            loopscope::io::opened(&epoll)
        });
        // A thread's first push claims its ring, and keeps errno too.
        std::thread::scope(|threads| {
            threads.spawn(|| {
                set(0xdead);
                push(1);
                assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(0xdead));
            });
        });
        set(0);
        let failed = loopscope::io::op(&epoll, loopscope::io::Op::Read, 1, || {
            set(libc::EPIPE);
            Err(std::io::Error::last_os_error())
        });
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::EPIPE));
        assert_eq!(
            std::io::Error::last_os_error().raw_os_error(),
            Some(libc::EPIPE)
        );
    });
    assert!(r.all(Kind::Io).any(|e| e.x == -libc::EPIPE));
}
