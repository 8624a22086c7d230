//! poll, select and threads that sleep in the call itself: what the library records of them, and what the model makes of it.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use loopscope::epoll::Interest;
use loopscope::io::Traced;
use loopscope::poll::{FdSet, PollFd, poll, select};
use loopscope::record::event::{Event, Kind, Wait};
use loopscope::trace::Reader;
use loopscope::{Recorder, blocking};

fn events(path: &Path) -> Vec<Event> {
    let mut reader = Reader::open(path).unwrap();
    let mut cursor = reader.events_from(0);
    let mut all = Vec::new();
    while let Some((_, event, _)) = cursor.next().unwrap() {
        all.push(*event);
    }
    all
}

/// What was recorded of waits and runs, in a line each.
fn said(events: &[Event]) -> Vec<String> {
    let call = |e: &Event| Wait::from_code(e.aux).unwrap().name();
    let line = |e: &Event| {
        Some(match e.kind {
            Kind::WaitEnter => format!("{} room {} timeout {}", call(e), e.x, e.arg as i64),
            Kind::WaitExit => format!("{} = {}", call(e), e.x),
            Kind::Ready => format!("ready {} {:#x}", e.arg as i32, e.x),
            Kind::RunBegin => format!("run {}", e.arg as i32),
            Kind::RunEnd => "end".to_owned(),
            _ => return None,
        })
    };
    events.iter().filter_map(line).collect()
}

/// A process has one recorder: everything is in one test.
#[test]
fn waits_that_are_no_epolls() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("polls.lscope");

    let recorder = Recorder::to_file(&path).unwrap();
    let (receiver, mut sender) = UnixStream::pair().unwrap();
    let mut receiver = Traced::new(receiver);
    let fd = std::os::fd::AsRawFd::as_raw_fd(&receiver);
    let mut list = [PollFd::new(&receiver, Interest::IN)];
    assert_eq!(poll(&mut list, Some(Duration::ZERO)).unwrap(), 0);
    sender.write_all(b"four").unwrap();
    assert_eq!(poll(&mut list, None).unwrap(), 1);
    assert_eq!(list[0].revents(), Interest::IN);
    {
        let _run = loopscope::dispatch_fd(&receiver);
        assert_eq!(io::Read::read(&mut receiver, &mut [0; 64]).unwrap(), 4);
    }
    sender.write_all(b"x").unwrap();
    let mut set = FdSet::new();
    set.insert(&receiver).unwrap();
    assert_eq!(select(&mut set, Some(Duration::from_secs(5))).unwrap(), 1);
    assert!(set.contains(&receiver) && !set.contains(&sender));
    recorder.finish().unwrap();
    let want = [
        "poll room 1 timeout 0",
        "poll = 0",
        "poll room 1 timeout -1",
        "poll = 1",
        &format!("ready {fd} 0x1"),
        &format!("run {fd}"),
        "end",
        &format!("select room {} timeout 5000000000", fd + 1),
        "select = 1",
        &format!("ready {fd} 0x1"),
    ];
    assert_eq!(said(&events(&path)), want);

    let path = dir.path().join("blocking.lscope");
    let recorder = Recorder::to_file(&path).unwrap();
    let listener = Traced::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let listening = std::os::fd::AsRawFd::as_raw_fd(&listener);
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = blocking::accept(&listener).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&server);
    client.write_all(b"four").unwrap();
    let mut buffer = [0; 64];
    assert_eq!(blocking::read(&server, &mut buffer).unwrap(), 4);
    server.set_nonblocking(true).unwrap();
    let nothing = blocking::look(&server, &mut buffer).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    drop(client);
    server.set_nonblocking(false).unwrap();
    assert_eq!(blocking::read(&server, &mut buffer).unwrap(), 0);
    drop(server);
    recorder.finish().unwrap();
    let all = events(&path);
    let told = [format!("ready {fd} 0x1"), format!("run {fd}")];
    let want = [
        "accept room 1 timeout -1",
        "accept = 1",
        &format!("ready {listening} 0x1"),
        &format!("run {listening}"),
        "read room 1 timeout -1",
        "read = 1",
        &told[0],
        &told[1],
        "read room 1 timeout 0",
        "read = 0",
        "read room 1 timeout -1",
        "read = 1",
        &told[0],
        &told[1],
        // The run ends with its descriptor.
        "end",
    ];
    assert_eq!(said(&all), want);
    let asked: Vec<u64> = (all.iter().filter(|e| e.kind == Kind::WaitEnter))
        .map(|e| e.y)
        .collect();
    let (fd, listening) = (fd as u64, listening as u64);
    assert_eq!(asked, [listening, fd, fd, fd]);
}

#[test]
fn a_set_has_an_end() {
    struct High;
    impl std::os::fd::AsRawFd for High {
        fn as_raw_fd(&self) -> i32 {
            1024
        }
    }
    let mut set = FdSet::new();
    let refused = set.insert(&High).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
    assert!(!set.contains(&High));
}

/// One loop for the threads of a process: each asks for one descriptor, nobody for the others.
#[cfg(feature = "cli")]
#[test]
fn threads_make_one_loop() {
    use loopscope::model::{LoopKind, Model, Word};
    let event = |kind, t, thread, fd, x, arg, y, aux| Event {
        t,
        arg,
        y,
        thread,
        fd,
        x,
        aux,
        kind,
        ..Event::default()
    };
    let mut model = Model::default();
    let mut number = 0;
    let mut apply = |model: &mut Model, e: Event| {
        model.apply(number, &e, b"", &mut ());
        number += 1;
    };
    let (read, accept) = (Wait::Read.code(), Wait::Accept.code());
    for (thread, fd) in [(1, 7_u64), (2, 8)] {
        let start = event(
            Kind::ThreadStart,
            0,
            thread,
            0,
            100 + thread as i32,
            1,
            0,
            0,
        );
        apply(&mut model, start);
        apply(
            &mut model,
            event(Kind::FdOpen, 1, thread, fd as i32, -1, 0, 0, 3),
        );
        apply(
            &mut model,
            event(Kind::WaitEnter, 2, thread, -1, 1, u64::MAX, fd, read),
        );
    }
    let word = |model: &Model, fd: i32| model.regs().find(|r| r.fd == fd).unwrap().word;
    assert_eq!(
        (word(&model, 7), word(&model, 8)),
        (Word::Armed, Word::Armed)
    );
    apply(&mut model, event(Kind::WaitExit, 5, 1, -1, 1, 0, 0, read));
    apply(&mut model, event(Kind::Ready, 5, 1, -1, 1, 7, 0, 0));
    apply(
        &mut model,
        event(
            Kind::RunBegin,
            5,
            1,
            -1,
            0,
            7,
            0,
            loopscope::record::event::BY_FD,
        ),
    );
    assert_eq!(word(&model, 7), Word::Running);
    // The first thread asks for another one; nobody asks for 7 now, somebody still for 8.
    apply(&mut model, event(Kind::FdOpen, 6, 1, 9, -1, 0, 0, 3));
    apply(
        &mut model,
        event(Kind::WaitEnter, 9, 1, -1, 1, u64::MAX, 9, accept),
    );
    let words = [7, 8, 9].map(|fd| word(&model, fd));
    assert_eq!(words, [Word::Muted, Word::Armed, Word::Armed]);
    let l = &model.loops()[0];
    assert_eq!(
        (model.loops().len(), l.kind, l.threads.len()),
        (1, LoopKind::Threads, 2)
    );
    assert_eq!(
        (l.waits, l.wakeups, l.unfinished, l.dispatched),
        (1, 1, 2, 1)
    );
    assert_eq!(l.run_ns, 4);
}
