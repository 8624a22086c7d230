//! A signal handler that pushes into the ring of the thread it interrupts, 20,000 times a second.

mod ring_common;

use loopscope::record::clock::Clock;
use loopscope::record::event::Kind;
use loopscope::record::ring::Producer;
use loopscope::record::segment::Layout;
use loopscope::record::wire::Rec;
use ring_common::{Heap, length, tid};
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// The interrupted thread's ring, and what its handler did.
static PRODUCER: AtomicPtr<Producer> = AtomicPtr::new(null_mut());
static HANDLED: AtomicU64 = AtomicU64::new(0);
static ACCEPTED: AtomicU64 = AtomicU64::new(0);

/// Runs of the handler to wait for.
const SIGNALS: u64 = 20_000;
/// The records a run pushes: one plain, one with text, a batch of three.
const EACH: u64 = 5;

fn rec(source: i32, n: u64) -> Rec {
    Rec {
        kind: Kind::Mark,
        fd: source,
        arg: n,
        x: !n as i32,
        ticks: Clock::Monotonic.now(),
        ..Rec::default()
    }
}

/// Pushes [`EACH`] records numbered from `n`; says how many the ring took.
fn push_some(producer: &Producer, source: i32, n: u64) -> u64 {
    let text = n.to_le_bytes();
    producer.push(&rec(source, n)) as u64
        + producer.push_text(&rec(source, n + 1), &text) as u64
        + 3 * producer.push_batch(&rec(source, n + 2), 2, |i| rec(source, n + 3 + i as u64)) as u64
}

extern "C" fn handler(_signal: libc::c_int) {
    // SAFETY: the pointer is null or to the producer of this very thread, which outlives the timer.
    if let Some(producer) = unsafe { PRODUCER.load(Ordering::Relaxed).as_ref() } {
        let n = HANDLED.fetch_add(1, Ordering::Relaxed) * EACH;
        ACCEPTED.fetch_add(push_some(producer, 2, n), Ordering::Relaxed);
    }
}

/// Sends SIGALRM to this thread every 50 µs.
fn start_timer() -> libc::timer_t {
    // SAFETY: plain structures for which zero is valid, filled in and passed to the calls that take them; the
    // handler is async-signal-safe: it pushes and counts.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGALRM, &action, null_mut()), 0);
        let mut event: libc::sigevent = zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = tid() as i32;
        let mut timer: libc::timer_t = zeroed();
        assert_eq!(
            libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer),
            0
        );
        let every = libc::timespec {
            tv_sec: 0,
            tv_nsec: 50_000,
        };
        let spec = libc::itimerspec {
            it_interval: every,
            it_value: every,
        };
        assert_eq!(libc::timer_settime(timer, 0, &spec, null_mut()), 0);
        timer
    }
}

#[test]
fn a_handler_pushes_at_20_khz_into_the_ring_it_interrupts() {
    // A ring that is full now and then, so that the slow path is interrupted too.
    let (heap, mut drain) = Heap::drained(Layout {
        large_slots: 1 << 10,
        ..Layout::default()
    });
    let signals = length(SIGNALS);
    let done = AtomicBool::new(false);
    let mut received = [0u64; 3];
    let mut last = [None; 3];
    let mut t = 0;
    let mut late = 0;
    let (tried, accepted) = std::thread::scope(|scope| {
        let pusher = scope.spawn(|| {
            let producer = heap.claim(tid()).expect("a free ring");
            PRODUCER.store((&raw const producer).cast_mut(), Ordering::Relaxed);
            let timer = start_timer();
            let (mut tried, mut accepted) = (0, 0);
            while HANDLED.load(Ordering::Relaxed) < signals {
                accepted += push_some(&producer, 1, tried);
                tried += EACH;
            }
            // SAFETY: the timer made above. A signal already on its way is taken before the call returns, while the
            // producer is still there.
            unsafe { libc::timer_delete(timer) };
            PRODUCER.store(null_mut(), Ordering::Relaxed);
            done.store(true, Ordering::Release);
            (tried, accepted)
        });
        // Not drained until it is full once: how fast we are is nobody's to know.
        while heap.consumers().iter().all(|ring| ring.lost() == 0) {
            std::thread::yield_now();
        }
        while !done.load(Ordering::Acquire) {
            drain.pass(|e, text| check(e, text, &mut received, &mut last, &mut t));
        }
        pusher.join().expect("the pushing thread")
    });
    late += drain.counts().late;
    let counts = drain.finish(|e, text| check(e, text, &mut received, &mut last, &mut t));
    late += counts.late;
    let handled = HANDLED.load(Ordering::Relaxed) * EACH;
    assert_eq!(received[1], accepted);
    assert_eq!(received[2], ACCEPTED.load(Ordering::Relaxed));
    assert_eq!(counts.records + counts.lost(), tried + handled);
    assert!(counts.lost() > 0 && late <= counts.records);
}

fn check(
    e: &loopscope::record::Event,
    text: &[u8],
    received: &mut [u64; 3],
    last: &mut [Option<u64>; 3],
    t: &mut u64,
) {
    assert!(e.t >= *t, "time runs backwards");
    *t = e.t;
    if e.kind != Kind::Mark {
        return;
    }
    let source = e.fd as usize;
    assert_eq!(e.x, !e.arg as i32, "a torn record");
    if e.arg % EACH == 1 {
        assert_eq!(text, (e.arg - 1).to_le_bytes(), "a torn text");
    }
    assert!(
        last[source].is_none_or(|last| last < e.arg),
        "source {source} out of order"
    );
    last[source] = Some(e.arg);
    received[source] += 1;
}
