//! Sentences that were untrue once: what a screen says of a moment is what the records of that moment allow. Each test makes
//! the few events it is about. Step: recording → **view**.

use crate::session::Session;
use loopscope::record::event::{Arming, Ctl, Event, FdKind, Kind, Op, Wait};
use loopscope::record::handshake::Source;
use loopscope::trace::{Meta, Options, Writer};
use loopscope::tui::Look;
use std::path::Path;

const EPFD: i32 = 4;
const IN: i32 = 1;
const ONESHOT: i32 = 1 << 30;
const EDGE: i32 = i32::MIN;
const MS: u64 = 1_000_000;
const NEVER: u64 = u64::MAX;

/// A program that the shim records: one thread, one loop.
struct Program {
    writer: Writer,
    t: u64,
}

impl Program {
    fn new(path: &Path) -> Program {
        let meta = Meta {
            tool: "0.1.0".into(),
            source: "preload".into(),
            pid: 4242,
            ..Meta::default()
        };
        let writer = Writer::create(path, &meta, Options::default()).unwrap();
        let mut program = Program { writer, t: 0 };
        let shim = Source::Preload as u16;
        program.put(Kind::ProcessStart, (-1, 4242, 1), (shim, 0), b"server");
        program.put(Kind::ThreadStart, (-1, 4242, 1), (0, 0), b"loop");
        program.open(EPFD, FdKind::Epoll);
        program
    }

    fn put(
        &mut self,
        kind: Kind,
        (fd, x, arg): (i32, i32, u64),
        (aux, y): (u16, u64),
        text: &[u8],
    ) {
        let e = Event {
            t: self.t,
            kind,
            fd,
            x,
            arg,
            aux,
            y,
            ..Event::default()
        };
        self.writer.write(&e, text);
        self.t += 1_000;
    }

    fn open(&mut self, fd: i32, kind: FdKind) {
        self.put(Kind::FdOpen, (fd, -1, 0), (kind.code(), 0), b"");
    }

    fn name(&mut self, fd: i32, name: &str) {
        self.put(Kind::FdName, (fd, 0, 0), (0, 0), name.as_bytes());
    }

    /// Opened, named and registered.
    fn add(&mut self, fd: i32, kind: FdKind, name: &str, interest: i32) {
        self.open(fd, kind);
        self.name(fd, name);
        self.register(fd, interest);
    }

    fn register(&mut self, fd: i32, interest: i32) {
        let (op, epfd) = (Ctl::Add.code(), EPFD as u64);
        self.put(Kind::CtlBegin, (fd, interest, fd as u64), (op, epfd), b"");
        self.put(Kind::CtlEnd, (fd, 0, 0), (op, epfd), b"");
    }

    fn wait(&mut self, maxevents: i32) {
        let wait = Wait::Epoll.code();
        self.put(Kind::WaitEnter, (EPFD, maxevents, NEVER), (wait, 0), b"");
        self.t += MS;
    }

    /// A wait that finds events at once.
    fn look(&mut self, maxevents: i32) {
        self.wait(maxevents);
        self.t -= MS;
    }

    fn told(&mut self, fds: &[i32]) {
        let n = fds.len() as i32;
        self.put(Kind::WaitExit, (EPFD, n, 0), (Wait::Epoll.code(), 0), b"");
        for (i, fd) in fds.iter().enumerate() {
            self.put(Kind::Ready, (EPFD, IN, *fd as u64), (i as u16, 0), b"");
        }
    }

    fn io(&mut self, op: Op, fd: i32, result: i32) {
        self.put(Kind::Io, (fd, result, 4096), (op.code(), 500), b"");
    }

    /// Something happens much later: until then nothing does.
    fn later(&mut self) {
        self.t += 100 * MS;
        self.put(Kind::FdName, (0, 0, 0), (0, 0), b"stdin");
        self.writer.seal();
    }
}

/// The Loop screen near the end of what `make` does, its lines joined.
fn screen(make: impl Fn(&mut Program)) -> String {
    let mut s = session(&make);
    let text = s.keys("G").text();
    let lines = text.lines().map(|l| l.trim_matches(['│', ' ']));
    lines.collect::<Vec<_>>().join(" ")
}

fn session(make: &impl Fn(&mut Program)) -> Session {
    let write = |path: &Path| {
        let mut program = Program::new(path);
        make(&mut program);
        program.later();
        program.writer.finish().unwrap();
    };
    Session::of(write, "server", (200, 60), Look::default())
}

#[test]
fn only_a_level_triggered_end_of_file_is_told_again() {
    let at = |interest: i32| {
        screen(move |p| {
            p.add(5, FdKind::Tcp, "ann", interest);
            p.wait(8);
            p.told(&[5]);
            p.io(Op::Read, 5, 0);
        })
    };
    let words = "met the end of file, and it is still registered";
    assert!(at(IN).contains(words), "{}", at(IN));
    assert!(!at(IN | ONESHOT).contains(words), "{}", at(IN | ONESHOT));
}

#[test]
fn a_full_batch_says_nothing_of_the_wait_after_it() {
    let at = |clients: i32, sleeps: bool| {
        screen(move |p| {
            for fd in 5..5 + clients {
                p.add(fd, FdKind::Tcp, &format!("guest{fd}"), IN);
            }
            p.wait(1);
            p.told(&[5]);
            p.io(Op::Read, 5, 10);
            p.io(Op::Read, 5, -11);
            if sleeps {
                p.wait(1);
            }
        })
    };
    let words = "This batch is full (1 event)";
    assert!(at(2, false).contains(words), "{}", at(2, false));
    // The next wait found nobody; and where one is registered, nobody is left over.
    assert!(!at(2, true).contains(words), "{}", at(2, true));
    assert!(!at(1, false).contains(words), "{}", at(1, false));
}

#[test]
fn a_timerfd_that_nobody_has_set_wakes_nobody() {
    let at = |made: bool, set: bool| {
        screen(move |p| {
            if made {
                p.open(6, FdKind::Timerfd);
            }
            p.name(6, "tick");
            p.register(6, IN);
            if set {
                let arming = Arming::In.code();
                p.put(Kind::TimerfdSet, (6, 0, 0), (arming, 1_000 * MS), b"");
            }
            p.wait(8);
        })
    };
    let off = at(true, false);
    assert!(off.contains("no fd could wake it"), "{off}");
    assert!(off.contains("its timer is not armed"), "{off}");
    let armed = at(true, true);
    assert!(armed.contains("1 fd could wake it"), "{armed}");
    // One that was there before the recording began may be armed.
    let unknown = at(false, false);
    assert!(unknown.contains("1 fd could wake it"), "{unknown}");
}

#[test]
fn who_did_not_fit_into_a_full_batch_did_not_come_later() {
    let full = screen(|p| {
        for fd in [5, 6, 7] {
            p.add(fd, FdKind::Tcp, ["ann", "bob", "cid"][fd as usize - 5], IN);
        }
        // All three have bytes left, and the next wait has room for two.
        p.wait(3);
        p.told(&[5, 6, 7]);
        for fd in [5, 6, 7] {
            p.io(Op::Read, fd, 4096);
        }
        p.look(2);
        p.told(&[5, 6]);
    });
    assert!(full.contains("not among them: cid"), "{full}");
    assert!(full.contains("The batch was full"), "{full}");
    assert!(
        !full.contains("came later") && !full.contains("too late"),
        "{full}"
    );
}

#[test]
fn an_event_that_has_been_told_no_longer_waits_for_the_first_time() {
    // Level-triggered and never read to the end: told at once, every time, since the beginning.
    let mut s = session(&|p: &mut Program| {
        p.add(5, FdKind::Tcp, "ann", IN);
        for _ in 0..100 {
            p.look(8);
            p.told(&[5]);
            p.t += MS;
            p.io(Op::Read, 5, 4096);
        }
        p.look(8);
    });
    // Where the last wait begins.
    s.keys("G←");
    let ann = s.app.regs().into_iter().find(|r| r.fd == 5).unwrap();
    let since = ann.ready_since.expect("it has more to read");
    // Since its last report, not since its first 100 turns ago.
    assert!(since.lo > 98 * MS, "{since:?} of {}", s.app.t());
    let text = s.text();
    assert!(
        text.contains("5 ann") && !text.contains("<=200 ms"),
        "{text}"
    );
}

#[test]
fn connections_and_not_bytes_wait_in_a_listener() {
    let text = screen(|p| {
        p.add(3, FdKind::TcpListener, "door", IN | EDGE);
        p.wait(8);
        p.told(&[3]);
        p.io(Op::Accept, 3, 7);
        p.wait(8);
    });
    assert!(
        text.contains("door may hold connections that nobody has accepted"),
        "{text}"
    );
    assert!(text.contains("only when a"), "{text}");
    assert!(
        !text.contains("bytes left over") && !text.contains("more bytes"),
        "{text}"
    );
}

#[test]
fn a_descriptor_that_lives_on_in_a_copy_is_named_before_the_sleep() {
    let text = screen(|p| {
        p.add(5, FdKind::Tcp, "ann", IN);
        p.put(Kind::DupBegin, (5, -1, 0), (0, 0), b"");
        p.put(Kind::DupEnd, (5, 9, 0), (0, 0), b"");
        p.put(Kind::FdCloseBegin, (5, 0, 0), (0, 0), b"");
        p.put(Kind::FdCloseEnd, (5, 0, 0), (0, 0), b"");
        p.wait(8);
    });
    let ghost = text.find("ann has been closed, and is still registered");
    let sleep = text.find("The loop has slept");
    assert!(ghost.is_some() && ghost < sleep, "{text}");
}

#[test]
fn nothing_moves_under_the_help() {
    let make = |p: &mut Program| {
        p.add(5, FdKind::Tcp, "ann", IN);
        p.wait(8);
    };
    let mut s = session(&make);
    let before = s.app.t();
    s.keys("?");
    s.keys("Gg2→n");
    assert_eq!(s.app.t(), before);
    s.keys("?");
    assert!(s.text().contains("PROGRAM"), "{}", s.text());
    s.keys("G");
    assert!(s.app.t() > before);
}

#[test]
fn a_thread_asleep_in_a_call_on_one_fd_lists_that_one() {
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/thread-pool.lscope");
    let copy = |path: &Path| _ = std::fs::copy(recorded, path).unwrap();
    let mut s = Session::of(copy, "thread-pool", (100, 26), Look::default());
    s.go("30%");
    for _ in 0..500 {
        if s.text().contains("has slept in a call on") {
            break;
        }
        s.keys("→");
    }
    let text = s.text();
    let lines: Vec<&str> = text.lines().collect();
    let head = (lines.iter())
        .position(|l| l.contains("what could wake it"))
        .unwrap_or_else(|| panic!("nobody sleeps:\n{text}"));
    let listed = lines[head + 1..].iter().take_while(|l| !l.starts_with('├'));
    let listed = listed.filter(|l| l.rsplit('│').nth(1).is_some_and(|c| c.contains("level")));
    assert_eq!(listed.count(), 1, "{text}");
}
