//! What instrumenting an echo server costs it: against plain mio while no recorder is on, against itself while one is.
//!
//!     cargo bench --bench echo            CPU per request, alternating pairs beside A against A
//!     cargo bench --bench echo -- ir      instructions per request under callgrind (needs valgrind)
//!
//! The server is one source, compiled with two paths ([`plain`], [`mirror`]), in a process of its own. One client
//! ping-pongs with it, so that a request is one wait, one event, two reads and one write. The figures that count do not
//! depend on the machine's mood: instructions per request as the difference between N and 2N requests, and for the
//! recorder events per request × measured nanoseconds per event ÷ CPU per request.
// One write of a small answer: what is measured is the loop, and a short write would be one request less.
#![allow(clippy::unused_io_amount)]

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Op;
use loopscope::{Recorder, io as traced, trace};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod plain {
    use ::mio;
    include!("serve.rs");
}

mod mirror {
    use loopscope::mio;
    include!("serve.rs");
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", "plain"] => drop(plain::serve(say_port).expect("served")),
        ["serve", "off"] => drop(mirror::serve(say_port).expect("served")),
        ["serve", path] => {
            let recorder = Recorder::to_file(path).expect("a new file");
            let messages = mirror::serve(say_port).expect("served");
            let summary = recorder.finish().expect("a whole recording");
            println!("{} {} {messages}", summary.events, summary.lost);
        }
        ["ir"] => instructions(),
        [] => {
            cpu();
        }
        _ => panic!("usage: echo [ir]"),
    }
}

fn say_port(port: u16) {
    println!("{port}");
    std::io::stdout().flush().expect("stdout");
}

/// A server process.
struct Server {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    stream: TcpStream,
}

impl Server {
    fn start(mut command: Command) -> Server {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bench itself");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut port = String::new();
        out.read_line(&mut port).expect("a port");
        let port: u16 = port.trim().parse().expect("a port");
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        stream.set_nodelay(true).expect("TCP");
        Server { child, out, stream }
    }

    fn requests(&mut self, n: u64) {
        let mut answer = [0; 64];
        for _ in 0..n {
            self.stream.write_all(&[7; 64]).expect("sent");
            self.stream.read_exact(&mut answer).expect("echoed");
        }
    }

    /// CPU time of the server's main thread so far.
    fn cpu(&self) -> Duration {
        let pid = self.child.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"))
            .expect("schedstat");
        let ns = stat
            .split_whitespace()
            .next()
            .and_then(|ns| ns.parse().ok())
            .expect("a number");
        Duration::from_nanos(ns)
    }

    /// CPU time of the whole process.
    fn all_cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("tasks");
        let of = |task: std::io::Result<std::fs::DirEntry>| -> u64 {
            let stat = std::fs::read_to_string(task.expect("a task").path().join("schedstat"));
            let stat = stat.unwrap_or_default();
            stat.split_whitespace()
                .next()
                .and_then(|ns| ns.parse().ok())
                .unwrap_or(0)
        };
        Duration::from_nanos(tasks.map(of).sum())
    }

    /// Lets the client go and gives what the server says.
    fn end(mut self) -> String {
        drop(self.stream);
        let mut said = String::new();
        self.out.read_to_string(&mut said).expect("utf-8");
        assert!(self.child.wait().expect("a child").success());
        said
    }
}

fn server(mode: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["serve", mode]);
    command
}

/// Instructions per request under callgrind: the difference between N and 2N requests, so that start-up cancels out.
fn instructions() {
    let per_request = |mode: &str| -> f64 {
        let total = |requests: u64| -> u64 {
            let out = scratch(&format!("callgrind.out.{mode}.{requests}"));
            let mut command = Command::new("valgrind");
            command
                .arg("--tool=callgrind")
                .arg(format!("--callgrind-out-file={}", out.display()))
                .arg(std::env::current_exe().expect("a path"))
                .args(["serve", mode])
                .stderr(Stdio::null());
            let mut server = Server::start(command);
            server.requests(requests);
            server.end();
            let text = std::fs::read_to_string(&out).expect("callgrind's output");
            let total = text
                .lines()
                .find_map(|l| l.strip_prefix("totals: ").or(l.strip_prefix("summary: ")));
            total.and_then(|t| t.trim().parse().ok()).expect("a total")
        };
        let n = 5_000;
        let (once, twice) = (total(n), total(2 * n));
        (twice - once) as f64 / n as f64
    };
    let (plain, off) = (per_request("plain"), per_request("off"));
    println!(
        "instructions per request: mio {plain:.1}, mirror off {off:.1}, more {:+.1}",
        off - plain
    );
    assert!(off - plain <= 24.0, "more than 24 instructions a request");
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("loopscope-echo-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    dir.join(name)
}

const PAIRS: usize = 24;
const BLOCK: u64 = 4_000;

/// CPU per request of servers that take turns.
fn cpu() {
    let path = scratch("on.lscope");
    let _ = std::fs::remove_file(&path);
    let modes = ["plain", "plain", "off", path.to_str().expect("utf-8")];
    let mut servers: Vec<Server> = modes
        .iter()
        .map(|mode| Server::start(server(mode)))
        .collect();
    servers.iter_mut().for_each(|s| s.requests(BLOCK));
    // Nanoseconds of CPU a request, by server: main thread, all threads.
    let mut main: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
    for round in 0..PAIRS {
        for turn in 0..servers.len() {
            let i = (turn + round) % servers.len();
            let (main_before, all_before) = (servers[i].cpu(), servers[i].all_cpu());
            servers[i].requests(BLOCK);
            let per = |d: Duration| d.as_nanos() as f64 / BLOCK as f64;
            main[i].push(per(servers[i].cpu() - main_before));
            all[i].push(per(servers[i].all_cpu() - all_before));
        }
    }
    let said: Vec<String> = servers.into_iter().map(Server::end).collect();
    let numbers: Vec<u64> = said[3]
        .split_whitespace()
        .map(|n| n.parse().expect("a number"))
        .collect();
    let [events, lost, messages] = numbers[..] else {
        panic!("three numbers")
    };
    let events_per_request = events as f64 / messages as f64;

    let ratio = |a: &[f64], b: &[f64]| {
        let mut ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        (
            ratios[PAIRS / 10],
            ratios[PAIRS / 2],
            ratios[PAIRS - 1 - PAIRS / 10],
        )
    };
    let show = |what: &str, (low, median, high): (f64, f64, f64)| {
        println!("{what:<34} {median:.3}  [{low:.3} – {high:.3}]");
    };
    println!(
        "CPU per request, {PAIRS} alternating blocks of {BLOCK} requests; median ratio [10% – 90%]"
    );
    show("mio / mio (A against A)", ratio(&main[1], &main[0]));
    show("mirror off / mio", ratio(&main[2], &main[0]));
    show(
        "mirror on / mio, the loop's thread",
        ratio(&main[3], &main[0]),
    );
    show("mirror on / mio, all threads", ratio(&all[3], &all[0]));

    let mut plain = main[0].clone();
    plain.sort_by(f64::total_cmp);
    let request = plain[PAIRS / 2];
    let (stream, _) = std::os::unix::net::UnixStream::pair().expect("a pair");
    println!(
        "off: {:.2} ns a run (two hooks), {:.2} ns a call (one)",
        nanoseconds(|| drop(loopscope::dispatch(black_box(1_u64))))
            - nanoseconds(|| {
                black_box(1_u64);
            }),
        nanoseconds(|| drop(traced::op(black_box(&stream), Op::Read, 64, || Ok(
            black_box(64)
        )))) - nanoseconds(|| {
            black_box(stream.as_fd());
        }),
    );
    let hooks = hooks();
    println!(
        "mio's request: {request:.0} ns of CPU; {events_per_request:.2} events a request, {lost} lost"
    );
    println!(
        "hooks: wait + batch of one {:.1} ns (3 events), run {:.1} ns (2), call {:.1} ns (1): {:.1} ns an event",
        hooks.wait,
        hooks.run,
        hooks.call,
        hooks.per_event(),
    );
    let share = 100.0 * events_per_request * hooks.per_event() / request;
    println!("events × ns an event ÷ CPU per request: {share:.2} %");
    assert!(
        share <= 3.0,
        "the recorder takes more than 3 % of a request"
    );
}

/// What the hooks of a request cost when on, in nanoseconds.
struct Hooks {
    /// WaitEnter, WaitExit and one Ready.
    wait: f64,
    /// RunBegin and RunEnd.
    run: f64,
    /// One Io.
    call: f64,
}

impl Hooks {
    /// The mean over a request: one wait, one run, three calls.
    fn per_event(&self) -> f64 {
        (self.wait + self.run + 3.0 * self.call) / 8.0
    }
}

fn hooks() -> Hooks {
    let epoll = Epoll::new().expect("epoll");
    let (ready, mut writer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    writer.write_all(b"x").expect("room");
    epoll.add(&ready, Interest::IN, 1).expect("registered");
    let mut events = Events::with_capacity(8);
    let mut measured = || {
        let wait = nanoseconds(|| {
            epoll
                .wait(&mut events, Some(Duration::ZERO))
                .expect("a wait")
        });
        let run = nanoseconds(|| drop(loopscope::dispatch(black_box(1_u64))));
        let call = nanoseconds(|| drop(traced::op(&ready, Op::Read, 64, || Ok(black_box(64)))));
        [wait, run, call]
    };
    // Off and on take turns; the smallest difference of the medians is what the hooks add.
    let mut added = [f64::MAX; 3];
    for _ in 0..5 {
        let off = measured();
        let path = scratch("hooks.lscope");
        let options = trace::Options {
            force: true,
            ..trace::Options::default()
        };
        let recorder = Recorder::to_file_with(Path::new(&path), options).expect("a file");
        let on = measured();
        recorder.finish().expect("a recording");
        for (added, (on, off)) in added.iter_mut().zip(on.into_iter().zip(off)) {
            *added = added.min(on - off);
        }
    }
    Hooks {
        wait: added[0],
        run: added[1],
        call: added[2],
    }
}

/// Median over short rounds; the pause lets the recorder's thread empty the ring.
fn nanoseconds(mut f: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..60)
        .map(|_| {
            std::thread::sleep(Duration::from_micros(300));
            let start = Instant::now();
            for _ in 0..1000 {
                f();
            }
            start.elapsed().as_nanos() as f64 / 1000.0
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
