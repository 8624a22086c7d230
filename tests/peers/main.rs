//! Servers as people run them, unmodified, under `loopscope record`: the recording counts what the kernel counted, exactly,
//! and their clients see no difference.
//!
//! Needs the servers, perf, bpftrace and root; .ci/run installs the first three. One server alone:
//! `cargo test --test peers -- --ignored redis`. With LOOPSCOPE_FULL=1 the load lasts longer; with LOOPSCOPE_KEEP=DIR the
//! recordings stay there.
#![cfg(feature = "cli")]

mod blind;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod kernel;
mod peer;
mod recorded;
mod site;

use common::loopscope;
use kernel::{Counts, Kind, Watch};
use peer::Peer;
use recorded::Recorded;
use site::Site;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

macro_rules! peers {
    ($($test:ident: $peer:ident,)*) => {$(
        #[test]
        #[ignore = "root"]
        fn $test() {
            holds(&peer::$peer);
        }
    )*};
}

peers! {
    redis_server: REDIS,
    nginx: NGINX,
    memcached: MEMCACHED,
    haproxy: HAPROXY,
    lighttpd: LIGHTTPD,
    node: NODE,
    cpython_asyncio: ASYNCIO,
    twisted: TWISTED,
    tornado: TORNADO,
    ruby_eventmachine: EVENTMACHINE,
    ruby_coolio: COOLIO,
    c_libev: LIBEV,
    c_libevent: LIBEVENT,
    c_libuv: LIBUV,
    c_glib: GLIB,
    c_poll: POLL,
    c_select: SELECT,
    java_nio: JAVA,
    tokio: TOKIO,
}

/// How long the load lasts.
fn load_time() -> Duration {
    let full = std::env::var_os("LOOPSCOPE_FULL").is_some();
    Duration::from_secs(if full { 20 } else { 2 })
}

/// What a server takes to end after its signal.
const END: Duration = Duration::from_secs(20);

fn holds(peer: &Peer) {
    peer.must_be_there();
    let alone = answers_alone(peer);

    let site = Site::new();
    let program = (peer.command)(&site);
    let watch = Watch::start(site.dir());
    let recording = site.path("peer.lscope");
    let mut record = loopscope();
    record.args(["record", "-o"]).arg(&recording).arg("--");
    let mut running = Running::start(record.args(watch.marked(&program)), site.dir());
    let up = site.wait_for_server(|| running.is_alive());
    up.unwrap_or_else(|why| panic!("{}: {why}\n{}", peer.name, running.said()));
    let watched = (peer.script)(&site);
    let replies = (peer.load)(&site, load_time());
    let server = server_below(running.child.id());
    let server = server.unwrap_or_else(|| panic!("{} is gone\n{}", peer.name, running.said()));
    wait_until_idle(server);
    running.stop(server, peer.stop);
    let kernel = watch.finish();

    if let Some(keep) = std::env::var_os("LOOPSCOPE_KEEP") {
        let name = peer.name.replace([' ', '(', ')'], "");
        let kept = PathBuf::from(keep).join(name).with_extension("lscope");
        fs::copy(&recording, kept).unwrap();
    }
    assert_eq!(watched, alone, "{}: alone it answered as right", peer.name);
    assert!(replies > 100, "{}: {replies} replies", peer.name);
    let recorded = Recorded::open(&recording);
    let ours = recorded.counts();
    let same = tell(peer, &kernel, &ours);
    assert!(
        same,
        "{}: the kernel {kernel:#?}\nours {ours:#?}\n{}",
        peer.name,
        running.said()
    );
    assert_eq!(
        recorded.reported(peer.kind),
        (kernel.waits[&peer.kind], kernel.ctl),
        "{}: the report (left) and the kernel (right)",
        peer.name
    );
    assert!(
        kernel.waits[&peer.kind].wakeups > 50,
        "{}: {kernel:?}",
        peer.name
    );
    // All of it was seen, so nothing may be called unseen while it ran.
    let said = running.said();
    assert!(!said.contains("cannot be seen"), "{}: {said}", peer.name);
    // Nothing is wrong with it, however busy the machine is.
    let alarms = recorded.alarms(peer.known);
    assert!(alarms.is_empty(), "{}: {alarms:#?}", peer.name);
    let nameless = recorded.nameless();
    assert!(nameless.is_empty(), "{}: {nameless:#?}", peer.name);
    let screen = recorded.screen(peer.kind);
    assert!(
        !screen.contains(" 0 level"),
        "{}: wants nothing:\n{screen}",
        peer.name
    );
    assert!(
        screen.contains("returned"),
        "{}: no batch on the screen:\n{screen}",
        peer.name
    );
}

/// What the server answers when nobody watches it.
fn answers_alone(peer: &Peer) -> String {
    let site = Site::new();
    let program = (peer.command)(&site);
    let mut command = Command::new(&program[0]);
    let mut running = Running::start(command.args(&program[1..]), site.dir());
    let up = site.wait_for_server(|| running.is_alive());
    up.unwrap_or_else(|why| panic!("{} alone: {why}\n{}", peer.name, running.said()));
    let answers = (peer.script)(&site);
    let server = running.child.id();
    running.stop(server, peer.stop);
    answers
}

/// One line of the table; whether both sides say the same.
fn tell(peer: &Peer, kernel: &Counts, ours: &Counts) -> bool {
    static HEAD: Once = Once::new();
    let mut table = String::new();
    HEAD.call_once(|| {
        table += &format!(
            "{:<16} {:<7} {:>9} {:>9} {:>9} {:>7}   each as kernel, then ours where it differs\n",
            "program", "waits", "calls", "wakeups", "ready", "ctl"
        );
    });
    for kind in Kind::ALL {
        let (k, o) = (kernel.waits[&kind], ours.waits[&kind]);
        if kind != peer.kind && k == o && k.calls == 0 {
            continue;
        }
        let figure = |kernel: u64, ours: u64| match kernel == ours {
            true => kernel.to_string(),
            false => format!("{kernel}≠{ours}"),
        };
        let ctl = match kind {
            Kind::Epoll => figure(kernel.ctl, ours.ctl),
            _ => String::new(),
        };
        table += &format!(
            "{:<16} {:<7} {:>9} {:>9} {:>9} {ctl:>7}\n",
            peer.name,
            kind.name(),
            figure(k.calls, o.calls),
            figure(k.wakeups, o.wakeups),
            figure(k.ready, o.ready),
        );
    }
    // Not eprint: the table is what this run is for, so it is shown for a test that passes, too.
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    kernel == ours
}

/// A program that runs in the background, its output in a file.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(command: &mut Command, dir: &Path) -> Running {
        let log = dir.join("output.log");
        let file = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Running { child, log }
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends the signal and waits for the end of what was started.
    fn stop(&mut self, server: u32, signal: libc::c_int) {
        // SAFETY: a signal to a process that runs below this one.
        unsafe { libc::kill(server as i32, signal) };
        let until = Instant::now() + END;
        while self.is_alive() {
            assert!(Instant::now() < until, "does not end:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The server is not our child when it is recorded: it has to go first.
        for pid in descendants(self.child.id()) {
            // SAFETY: a signal; these are the children of a child that is still there, or of none.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the server has finished with its clients. One that is killed in the instant in which a wait returns has
/// woken up for the kernel, and not for itself: that wait stays unfinished and its wakeup unknown to the program.
fn wait_until_idle(server: u32) {
    let asleep = || {
        let mut processes = descendants(server);
        processes.push(server);
        processes.into_iter().flat_map(threads).all(|thread| {
            let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
            // The state stands behind the name, which may hold anything.
            stat.rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with('S'))
        })
    };
    let until = Instant::now() + END;
    let mut quiet = 0;
    while quiet < 5 {
        assert!(Instant::now() < until, "busy long after its last client");
        std::thread::sleep(Duration::from_millis(20));
        quiet = if asleep() { quiet + 1 } else { 0 };
    }
}

/// The process that perf started: the one child of `perf stat` below this one.
fn server_below(root: u32) -> Option<u32> {
    let perf = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "perf")
    };
    let perf = descendants(root).into_iter().find(perf)?;
    children(perf).first().copied()
}

/// Where /proc tells of each thread.
fn threads(pid: u32) -> Vec<PathBuf> {
    let all = fs::read_dir(format!("/proc/{pid}/task"));
    let all = all.into_iter().flatten().flatten();
    all.map(|thread| thread.path()).collect()
}

fn children(pid: u32) -> Vec<u32> {
    let lists = threads(pid)
        .into_iter()
        .map(|thread| fs::read_to_string(thread.join("children")).unwrap_or_default());
    let all = lists.collect::<Vec<String>>().join(" ");
    let pids = all.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.collect()
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut all = children(pid);
    let mut next = 0;
    while next < all.len() {
        all.extend(children(all[next]));
        next += 1;
    }
    all
}
