//! The thin epoll: what each call leaves in a recording, and which runs an iterator marks.

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::record::event::{Ctl, FdKind, Kind, NO_INDEX, Op, Wait, flags};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

mod recorded;
use recorded::record;

const NOW: Option<Duration> = Some(Duration::ZERO);

fn errno(result: io::Result<()>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap()
}

/// A receiver with something to read.
fn ready() -> (UnixStream, UnixStream) {
    let (receiver, mut sender) = UnixStream::pair().unwrap();
    sender.write_all(b"x").unwrap();
    (receiver, sender)
}

#[test]
fn registrations_are_recorded_as_made() {
    let (epfd, r) = record(|| {
        let epoll = Epoll::new().unwrap();
        let (a, _a) = ready();
        let (b, _b) = ready();
        epoll.add(&a, Interest::IN | Interest::ONESHOT, 7).unwrap();
        assert_eq!(errno(epoll.add(&a, Interest::IN, 8)), libc::EEXIST);
        epoll
            .modify(&a, Interest::OUT | Interest::EDGE, u64::MAX)
            .unwrap();
        epoll
            .add(&b, Interest::IN | Interest::EXCLUSIVE, 9)
            .unwrap();
        assert_eq!(errno(epoll.modify(&b, Interest::IN, 9)), libc::EINVAL);
        epoll.delete(&a).unwrap();
        assert_eq!(errno(epoll.delete(&a)), libc::ENOENT);
        assert_eq!(
            errno(epoll.add(tempfile::tempfile().unwrap(), Interest::IN, 1)),
            libc::EPERM
        );
        epoll.as_raw_fd()
    });
    let begun: Vec<_> = r
        .all(Kind::CtlBegin)
        .map(|e| (e.aux, e.x as u32, e.arg))
        .collect();
    let (add, del, modify) = (Ctl::Add.code(), Ctl::Del.code(), Ctl::Mod.code());
    let (one_shot, edge, exclusive) = (1 << 30, 1 << 31, 1 << 28);
    assert_eq!(
        begun,
        [
            (add, 1 | one_shot, 7),
            (add, 1, 8),
            (modify, 4 | edge, u64::MAX),
            (add, 1 | exclusive, 9),
            (modify, 1, 9),
            (del, 0, 0),
            (del, 0, 0),
            (add, 1, 1),
        ]
    );
    let ended: Vec<i32> = r.all(Kind::CtlEnd).map(|e| e.x).collect();
    assert_eq!(
        ended,
        [
            0,
            -libc::EEXIST,
            0,
            0,
            -libc::EINVAL,
            0,
            -libc::ENOENT,
            -libc::EPERM
        ]
    );
    assert!(
        r.all(Kind::CtlBegin)
            .chain(r.all(Kind::CtlEnd))
            .all(|e| e.y as i32 == epfd)
    );
}

#[test]
fn waits_are_recorded_with_their_call_time_out_and_batch() {
    let ((), r) = record(|| {
        let epoll = Epoll::new().unwrap();
        let mut two = Events::with_capacity(2);
        epoll.wait(&mut two, NOW).unwrap();
        let streams: Vec<_> = (0..3).map(|_| ready()).collect();
        for (data, (receiver, _)) in streams.iter().enumerate() {
            epoll.add(receiver, Interest::IN, data as u64).unwrap();
        }
        // Three are ready, there is room for two; level-triggered ones go to the tail when reported.
        epoll
            .wait(&mut two, Some(Duration::from_micros(1)))
            .unwrap();
        assert_eq!(two.unmarked().map(|e| e.data()).collect::<Vec<_>>(), [0, 1]);
        epoll
            .wait_precise(&mut two, Some(Duration::from_nanos(1_500)))
            .unwrap();
        assert_eq!(two.unmarked().map(|e| e.data()).collect::<Vec<_>>(), [2, 0]);
        // SAFETY: a signal set is plain data, for which zeroes are a value: no signal.
        let nothing = unsafe { std::mem::zeroed() };
        epoll.wait_masked(&mut two, None, &nothing).unwrap();
        let none = epoll.wait(&mut Events::with_capacity(0), NOW);
        assert_eq!(errno(none), libc::EINVAL);
    });
    let entered: Vec<_> = r
        .all(Kind::WaitEnter)
        .map(|e| (e.aux, e.x, e.arg))
        .collect();
    let [plain, masked, precise] = [Wait::Epoll, Wait::Pwait, Wait::Pwait2].map(Wait::code);
    assert_eq!(
        entered,
        [
            (plain, 2, 0),
            (plain, 2, 1_000_000),
            (precise, 2, 1_500),
            (masked, 2, u64::MAX),
            (plain, 0, 0)
        ]
    );
    let returned: Vec<i32> = r.all(Kind::WaitExit).map(|e| e.x).collect();
    assert_eq!(returned, [0, 2, 2, 2, -libc::EINVAL]);
    let batches: Vec<_> = r.all(Kind::Ready).map(|e| (e.aux, e.x, e.arg)).collect();
    assert_eq!(
        batches,
        [
            (0, 1, 0),
            (1, 1, 1),
            (0, 1, 2),
            (1, 1, 0),
            (0, 1, 1),
            (1, 1, 2)
        ]
    );
    // A batch follows its wait's exit at the same instant.
    let at: Vec<_> = r
        .events
        .iter()
        .filter(|e| matches!(e.kind, Kind::WaitExit | Kind::Ready))
        .collect();
    assert_eq!(at[1].t, at[2].t);
    assert_eq!(at[1].t, at[3].t);
    assert_eq!(r.count(Kind::RunBegin), 0, "nothing was handled");
}

#[test]
fn a_batch_larger_than_a_reservation_arrives_whole() {
    let (n, r) = record(|| {
        let epoll = Epoll::new().unwrap();
        let (receiver, _sender) = ready();
        let copies: Vec<_> = (0..600).map(|_| receiver.try_clone().unwrap()).collect();
        for (data, copy) in copies.iter().enumerate() {
            epoll.add(copy, Interest::IN, data as u64).unwrap();
        }
        let mut events = Events::with_capacity(2048);
        epoll.wait(&mut events, NOW).unwrap();
        events.len() as i32
    });
    assert_eq!(n, 600);
    assert_eq!(
        r.all(Kind::WaitExit).map(|e| e.x).collect::<Vec<_>>(),
        [600]
    );
    let indices: Vec<u16> = r.all(Kind::Ready).map(|e| e.aux).collect();
    assert!(indices.iter().copied().eq(0..600));
}

#[test]
fn the_iterator_marks_runs_and_what_it_leaves() {
    let (epfd, r) = record(|| {
        let epoll = Epoll::new().unwrap();
        let streams: Vec<_> = (0..3).map(|_| ready()).collect();
        for (data, (receiver, _)) in streams.iter().enumerate() {
            epoll
                .add(receiver, Interest::IN | Interest::EDGE, data as u64)
                .unwrap();
        }
        let mut events = Events::with_capacity(8);
        epoll.wait(&mut events, NOW).unwrap();
        for event in &events {
            loopscope::mark!("handled", data = event.data());
        }
        for event in &events {
            if event.data() == 1 {
                break;
            }
        }
        // All were reached, so nothing was left.
        for event in &events {
            if event.data() == 2 {
                break;
            }
        }
        // Looking is not handling.
        assert_eq!(events.unmarked().len() + events.iter().len(), 6);
        assert!(format!("{events:?}").contains("data: 2"));
        {
            let _run = loopscope::dispatch(2_u64);
        }
        std::thread::scope(|threads| {
            threads.spawn(|| drop(loopscope::dispatch_on(&epoll, 1_u64, "worker")));
        });
        epoll.as_raw_fd()
    });
    let runs: Vec<_> = r
        .events
        .iter()
        .filter(|e| matches!(e.kind, Kind::RunBegin | Kind::RunEnd))
        .map(|e| (e.kind, e.aux, e.arg, e.flags & flags::LEFT != 0))
        .collect();
    let begin = |index, data| (Kind::RunBegin, index, data, false);
    let end = |left| (Kind::RunEnd, 0, 0, left);
    assert_eq!(
        runs,
        [
            begin(0, 0),
            begin(1, 1),
            begin(2, 2),
            end(false),
            begin(0, 0),
            begin(1, 1),
            end(true),
            begin(0, 0),
            begin(1, 1),
            begin(2, 2),
            end(false),
            begin(NO_INDEX, 2),
            end(false),
            begin(NO_INDEX, 1),
            end(false),
        ]
    );
    assert!(
        r.all(Kind::RunBegin)
            .chain(r.all(Kind::RunEnd))
            .all(|e| e.fd == epfd)
    );
    // A mark made inside a run lies inside it.
    let kinds: Vec<_> = r.events.iter().map(|e| e.kind).collect();
    let first = kinds.iter().position(|k| *k == Kind::RunBegin).unwrap();
    let second = first
        + 1
        + kinds[first + 1..]
            .iter()
            .position(|k| *k == Kind::RunBegin)
            .unwrap();
    assert!(kinds[first..second].contains(&Kind::Mark));
    let worker = r.all(Kind::RunBegin).last().unwrap();
    assert_eq!(
        r.names(loopscope::record::event::Space::Handler)[&(worker.x as u32)],
        "worker"
    );
    assert_ne!(worker.thread, r.all(Kind::RunBegin).next().unwrap().thread);
}

#[test]
fn several_threads_wait_and_loops_nest() {
    let ((), r) = record(|| {
        let (inner, outer) = (Epoll::new().unwrap(), Epoll::new().unwrap());
        let (receiver, mut sender) = UnixStream::pair().unwrap();
        inner
            .add(&receiver, Interest::IN | Interest::ONESHOT, 5)
            .unwrap();
        outer.add(&inner, Interest::IN, 6).unwrap();
        std::thread::scope(|threads| {
            let wait = || {
                let mut events = Events::with_capacity(4);
                inner.wait(&mut events, None).unwrap();
                for event in &events {
                    assert_eq!(event.data(), 5);
                    inner
                        .modify(&receiver, Interest::IN | Interest::ONESHOT, 5)
                        .unwrap();
                }
            };
            let waiting = [threads.spawn(wait), threads.spawn(wait)];
            sender.write_all(b"x").unwrap();
            for thread in waiting {
                thread.join().unwrap();
            }
        });
        let mut events = Events::with_capacity(4);
        outer.wait(&mut events, None).unwrap();
        assert_eq!(events.iter().next().unwrap().data(), 6);
    });
    let waits: Vec<_> = r.all(Kind::WaitExit).collect();
    assert_eq!(waits.len(), 3);
    let threads: std::collections::BTreeSet<u32> = waits.iter().map(|e| e.thread).collect();
    assert_eq!(threads.len(), 3);
    assert_eq!(waits[0].fd, waits[1].fd);
    assert_ne!(waits[0].fd, waits[2].fd);
    assert_eq!(
        r.all(Kind::FdOpen)
            .filter(|e| e.aux == FdKind::Epoll.code())
            .count(),
        2
    );
}

#[test]
fn an_interrupted_wait_is_recorded_as_such() {
    extern "C" fn nothing(_: i32) {}
    let ((), r) = record(|| {
        // SAFETY: installs a handler that does nothing, without SA_RESTART or any other flag.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
            assert_eq!(
                libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
                0
            );
        }
        let epoll = Epoll::new().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            // SAFETY: the calling thread's own handle.
            let waiter = unsafe { libc::pthread_self() };
            threads.spawn({
                let done = &done;
                move || {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        // SAFETY: the scope keeps the waiter alive until this thread has ended.
                        unsafe { libc::pthread_kill(waiter, libc::SIGUSR1) };
                        std::thread::yield_now();
                    }
                }
            });
            let interrupted = epoll.wait(&mut Events::with_capacity(1), None);
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(interrupted.unwrap_err().kind(), io::ErrorKind::Interrupted);
        });
    });
    assert_eq!(
        r.all(Kind::WaitExit).map(|e| e.x).collect::<Vec<_>>(),
        [-libc::EINTR]
    );
}

#[test]
fn plain_descriptors_report_their_calls_duplicates_and_ends() {
    use loopscope::io as traced;
    let (fds, r) = record(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = traced::accept(&listener, true).unwrap();
        let mut buffer = [0; 8];
        assert!(traced::recv(&server, &mut buffer, 0).is_err());
        assert_eq!(traced::send(&client, b"four", 0).unwrap(), 4);
        // On a busy machine they may come a little after the call; this wait is nobody's to record.
        let (fd, events) = (server.as_raw_fd(), libc::POLLIN);
        let mut there = libc::pollfd {
            fd,
            events,
            revents: 0,
        };
        // SAFETY: one live pollfd.
        assert_eq!(unsafe { libc::poll(&mut there, 1, -1) }, 1);
        assert_eq!(
            traced::recv(&server, &mut buffer, libc::MSG_PEEK).unwrap(),
            4
        );
        assert_eq!(traced::read(&server, &mut buffer[..3]).unwrap(), 3);
        assert_eq!(traced::write(&client, b"").unwrap(), 0);
        let copy = traced::dup(&server).unwrap();
        let fds = (server.as_raw_fd(), copy.as_raw_fd());
        traced::close(server).unwrap();
        drop(traced::Traced::new(copy));
        fds
    });
    let io: Vec<_> = r.all(Kind::Io).map(|e| (e.aux, e.x, e.arg)).collect();
    let [accept, recv, send, peek, read, write] = [
        Op::Accept,
        Op::Recv,
        Op::Send,
        Op::Peek,
        Op::Read,
        Op::Write,
    ]
    .map(Op::code);
    assert_eq!(
        io,
        [
            (accept, fds.0, 0),
            (recv, -libc::EAGAIN, 8),
            (send, 4, 4),
            (peek, 4, 8),
            (read, 3, 3),
            (write, 0, 0),
        ]
    );
    let dup: Vec<_> = r.all(Kind::DupEnd).map(|e| (e.fd, e.x)).collect();
    assert_eq!(dup, [fds]);
    let closed: Vec<_> = r.all(Kind::FdCloseEnd).map(|e| (e.fd, e.x)).collect();
    assert_eq!(closed, [(fds.0, 0), (fds.1, 0)]);
    let opened = r.all(Kind::FdOpen).next().unwrap();
    assert_eq!(
        (opened.aux, opened.fd, opened.arg),
        (FdKind::Tcp.code(), fds.0, 7)
    );
}
