//! The batches of the semantics programs, predicted: vectors.txt holds what the model can express, [`LEFT_OUT`] why not the rest.

use super::live::Live;
use loopscope::teach::epoll::{Answer, Call, Ctl, Fd, How, Sizes, World, bits};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const VECTORS: &str = include_str!("vectors.txt");

/// Programs that no part of can be expressed, and what they need.
const LEFT_OUT: [(&str, &str); 21] = [
    ("04_fork_keeps_alive", "fork"),
    ("05_fork_shared_epoll", "fork"),
    ("18_timeouts", "time"),
    ("19_eintr", "signals"),
    ("20_udp_checksum", "UDP"),
    ("22_thundering", "waiting processes"),
    ("23_mt_one_epfd", "waiting threads"),
    ("24_close_range_exec", "exec"),
    ("25_scm_rights", "descriptors in flight"),
    ("26_signalfd_fork", "signals"),
    ("27_timerfd", "time"),
    ("31_errqueue", "UDP"),
    ("32_out_storm", "counts wake-ups in a time"),
    ("33_fdinfo_kcmp", "asks /proc, not epoll"),
    ("34_napi_params", "busy polling"),
    ("35_uring_epoll", "io_uring"),
    ("37_accept_emfile", "TCP and limits"),
    ("38_wipeonfork", "not about epoll"),
    ("40_cancel", "threads"),
    ("42_tcp_out_threshold", "TCP"),
    ("45_ring_kill9", "not about epoll"),
];

/// The model or the kernel.
trait Machine {
    fn call(&mut self, call: &Call) -> Answer;
}

impl Machine for World {
    fn call(&mut self, call: &Call) -> Answer {
        self.apply(call)
    }
}

impl Machine for Live {
    fn call(&mut self, call: &Call) -> Answer {
        self.apply(call)
    }
}

/// Names of descriptors and which numbers are open.
#[derive(Default)]
struct Names {
    numbers: BTreeMap<String, Fd>,
    open: BTreeSet<Fd>,
}

impl Names {
    fn new_fd(&mut self, name: &str) -> Fd {
        let free = (3..).find(|fd| !self.open.contains(fd)).unwrap();
        self.open.insert(free);
        self.numbers.insert(name.to_owned(), free);
        free
    }

    #[track_caller]
    fn of(&self, name: &str) -> Fd {
        *self.numbers.get(name).unwrap_or_else(|| panic!("{name}"))
    }

    /// One line as a call, and how often it is repeated.
    fn call(&mut self, line: &str) -> (Call, bool) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let repeated = matches!(words[0], "fill" | "drain");
        let call = match words[..] {
            ["epoll", fd] => Call::Epoll {
                fd: self.new_fd(fd),
            },
            ["pipe", read, write] => Call::Pipe {
                read: self.new_fd(read),
                write: self.new_fd(write),
            },
            ["socketpair", a, b] => Call::Pair {
                a: self.new_fd(a),
                b: self.new_fd(b),
            },
            [kind @ ("eventfd" | "semaphore"), fd, count] => Call::Eventfd {
                fd: self.new_fd(fd),
                count: count.parse().unwrap(),
                semaphore: kind == "semaphore",
            },
            ["regular", fd] => Call::Regular {
                fd: self.new_fd(fd),
            },
            ["dup", from, to] => Call::Dup {
                from: self.of(from),
                to: self.new_fd(to),
            },
            ["dup2", from, to] => {
                self.open.insert(self.of(to));
                Call::Dup {
                    from: self.of(from),
                    to: self.of(to),
                }
            }
            ["close", fd] => {
                self.open.remove(&self.of(fd));
                Call::Close { fd: self.of(fd) }
            }
            ["wait", epfd, max] => Call::Wait {
                epfd: self.of(epfd),
                max: max.parse().unwrap(),
            },
            ["write" | "fill", fd, count] => Call::Write {
                fd: self.of(fd),
                count: count.parse().unwrap(),
            },
            ["read" | "drain", fd, count] => Call::Read {
                fd: self.of(fd),
                count: count.parse().unwrap(),
            },
            ["shutdown", fd, "write"] => Call::Shutdown {
                fd: self.of(fd),
                how: How::Write,
            },
            ["del", epfd, fd] => self.ctl(Ctl::Del, epfd, fd, "0", "A"),
            ["add", epfd, fd, mask, data] => self.ctl(Ctl::Add, epfd, fd, mask, data),
            ["mod", epfd, fd, mask, data] => self.ctl(Ctl::Mod, epfd, fd, mask, data),
            ["ctl77", epfd, fd, mask, data] => self.ctl(Ctl::Other(77), epfd, fd, mask, data),
            _ => panic!("{line}"),
        };
        (call, repeated)
    }

    fn ctl(&self, ctl: Ctl, epfd: &str, fd: &str, mask: &str, data: &str) -> Call {
        Call::Ctl {
            epfd: self.of(epfd),
            ctl,
            fd: self.of(fd),
            mask: mask.split('|').map(bit).fold(0, |all, bit| all | bit),
            data: u64::from(data.as_bytes()[0]),
        }
    }
}

fn bit(name: &str) -> u32 {
    match name {
        "0" => 0,
        "IN" => bits::IN,
        "OUT" => bits::OUT,
        "PRI" => bits::PRI,
        "ERR" => bits::ERR,
        "HUP" => bits::HUP,
        "RDHUP" => bits::RDHUP,
        "ET" => bits::ET,
        "ONESHOT" => bits::ONESHOT,
        "EXCLUSIVE" => bits::EXCLUSIVE,
        "WAKEUP" => libc::EPOLLWAKEUP as u32,
        hex => u32::from_str_radix(hex.strip_prefix("0x").unwrap(), 16).unwrap(),
    }
}

/// An answer as the script writes it.
fn written(answer: &Answer) -> String {
    let text = answer.to_string();
    match answer {
        Answer::Batch(_) => text.trim_matches(['[', ']']).to_owned(),
        Answer::Failed(_) => text.trim_start_matches("-1 ").to_owned(),
        _ => text,
    }
}

/// Runs a program's lines; its batches.
fn run(machine: &mut dyn Machine, program: &str, lines: &[&str]) -> Vec<String> {
    let (mut names, mut batches) = (Names::default(), Vec::new());
    for line in lines {
        let (text, wanted) = match line.split_once('=') {
            Some((text, wanted)) => (text, Some(wanted.trim())),
            None => (*line, None),
        };
        let (call, repeated) = names.call(text.trim());
        let mut answer = machine.call(&call);
        while repeated && matches!(answer, Answer::Count(n) if n > 0) {
            answer = machine.call(&call);
        }
        if let Some(wanted) = wanted {
            assert_eq!(written(&answer), wanted, "{program}: {line}");
            if matches!(answer, Answer::Batch(_)) {
                batches.push(wanted.to_owned());
            }
        }
    }
    batches
}

/// The programs of vectors.txt: name, whether it is whole, lines.
fn programs() -> Vec<(&'static str, bool, Vec<&'static str>)> {
    (VECTORS.split("\n== ").skip(1))
        .map(|section| {
            let mut lines = section.lines();
            let head = lines.next().unwrap();
            let (file, rest) = head.split_once(".c").unwrap();
            let lines = lines.filter(|l| !l.is_empty() && !l.starts_with('#'));
            (file, rest.trim() == "whole", lines.collect())
        })
        .collect()
}

fn source(program: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/semantics/programs");
    std::fs::read_to_string(path.join(format!("{program}.c"))).unwrap()
}

/// The batches that a program expects, in the order of its text.
fn expected(program: &str) -> Vec<String> {
    let source = source(program);
    let code: String = source
        .lines()
        .filter(|l| !l.starts_with("#define"))
        .collect();
    (code.split("BATCH(").skip(1))
        .map(|call| call.split('"').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn the_batches_of_the_semantics_programs_are_predicted() {
    for (program, whole, lines) in programs() {
        let predicted = run(&mut World::new(Sizes::default()), program, &lines);
        let kernel = run(&mut Live::new(&Sizes::default()), program, &lines);
        assert_eq!(predicted, kernel, "{program}");
        if whole && program != "29_stale_in_batch" {
            assert_eq!(predicted, expected(program), "{program}");
        }
        // Of the others each batch is one that the program expects, too.
        let wanted = expected(program);
        let ours = |b: &&String| program != "29_stale_in_batch" && !wanted.contains(b);
        assert_eq!(predicted.iter().find(ours), None, "{program}");
    }
}

#[test]
fn every_semantics_program_is_predicted_or_said_why_not() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/semantics/programs");
    let mut all: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|e| {
            e.unwrap()
                .file_name()
                .to_str()?
                .strip_suffix(".c")
                .map(str::to_owned)
        })
        .collect();
    let told = programs().into_iter().map(|(name, ..)| name);
    for name in told.chain(LEFT_OUT.iter().map(|(name, _)| *name)) {
        assert!(all.remove(name), "{name}");
    }
    assert!(all.is_empty(), "{all:?}");
    // The page tells the same.
    let page = include_str!("../../docs/QUIZ.md");
    for (name, why) in LEFT_OUT {
        let row = page.lines().find(|l| l.contains(name));
        assert!(row.is_some_and(|l| l.contains(why)), "{name}: {why}");
    }
}
