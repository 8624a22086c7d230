//! Why a run was long: five handlers that take their time for five reasons are told apart, run by run, as an ordinary user at
//! perf_event_paranoid 2; the kernel's own books of the thread (schedstat) say how much of it was what.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use loopscope::model::{Model, Run, Sink, Spent};
use loopscope::record::event::{Kind, Op, Space};
use preload::{compiled, events};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

const ROUNDS: usize = 10;
/// They read what is on the disk, want a core for a neighbour, or are looked at while they are stopped: one after the other.
static ALONE: Mutex<()> = Mutex::new(());
const MS: u64 = 1_000_000;

/// What the program says of one of its handler runs.
struct Said {
    reason: String,
    fd: i32,
    wall: u64,
    cpu: u64,
    delay: u64,
}

impl Said {
    fn of(line: &str) -> Said {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap_or_else(|| panic!("{line}"));
        Said {
            reason: next().to_owned(),
            fd: next().parse().unwrap(),
            wall: next().parse().unwrap(),
            cpu: next().parse().unwrap(),
            delay: next().parse().unwrap(),
        }
    }

    /// Asleep, by the kernel's books.
    fn asleep(&self) -> u64 {
        self.wall.saturating_sub(self.cpu + self.delay)
    }
}

#[derive(Default)]
struct Runs(Vec<Run>);

impl Sink for Runs {
    fn run(&mut self, run: &Run) {
        assert_eq!(run.spent.total(), run.run());
        self.0.push(*run);
    }
}

/// Records the program as an ordinary user, with perf_event_open or without; what it said.
fn recorded(dir: &Path, file: &Path, perf: bool) -> Vec<Said> {
    let program = compiled(dir, "why", &[]);
    let tool = dir.join("loopscope");
    common::copy_of_the_binary(&tool);
    // SAFETY: takes nothing, returns an integer.
    let root = unsafe { libc::geteuid() } == 0;
    let mut command = match root {
        true => {
            let everybody = std::fs::Permissions::from_mode(0o777);
            std::fs::set_permissions(dir, everybody).unwrap();
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command
        }
        false => Command::new("env"),
    };
    if !perf {
        command.arg(compiled(dir, "refused", &["-DREFUSED=SYS_perf_event_open"]));
    }
    command.arg(&tool);
    command.args(["record", "-o"]).arg(file).arg("--");
    command.arg(&program).arg(dir.join("cold"));
    command
        .arg(ROUNDS.to_string())
        .env("TMPDIR", dir)
        .env_remove("XDG_RUNTIME_DIR");
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(Said::of).collect()
}

#[test]
fn five_reasons_are_told_apart_ten_times_out_of_ten() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // /tmp may be memory: nothing is ever cold there.
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = dir.path().join("why.lscope");
    let before = stolen();
    let said = recorded(dir.path(), &file, true);
    let stolen = stolen().saturating_sub(before);
    assert_eq!(said.len(), ROUNDS * 5);
    let all = events(&file);
    let setup = all.iter().filter(|s| s.event.kind == Kind::Setup);
    let mut told = setup.map(|s| String::from_utf8_lossy(&s.text));
    let refused = told.find(|told| told.starts_with("switch records"));
    let (mut model, mut runs) = (Model::default(), Runs::default());
    for (number, seen) in all.iter().enumerate() {
        model.apply(number as u64, &seen.event, &seen.text, &mut runs);
    }
    if let Some(told) = refused {
        eprintln!("not told apart on this machine: {told}");
        return;
    }
    for said in ["computes", "sleeps", "faults", "locks", "preempted"]
        .map(|reason| said.iter().filter(move |s| s.reason == reason))
    {
        let said: Vec<&Said> = said.collect();
        let fd = said.first().unwrap().fd;
        let of_fd = |run: &&Run| model.reg(run.reg).is_some_and(|r| r.fd == fd);
        let runs: Vec<&Run> = runs.0.iter().filter(of_fd).collect();
        assert_eq!((runs.len(), said.len()), (ROUNDS, ROUNDS));
        let mut judged = 0;
        for (run, said) in runs.iter().zip(&said) {
            // A collector that gets no CPU for long finds a full ring: that is said, and nothing is claimed then.
            if run.spent.unknown > 0 && model.switches_lost() > 0 {
                continue;
            }
            judge(run, said, stolen, &model);
            judged += 1;
        }
        assert!(judged == ROUNDS || model.switches_lost() > 0);
        assert!(judged > 0, "every {} lost records", said[0].reason);
        if said[0].reason == "faults" {
            let asleep: u64 = said.iter().map(|s| s.asleep()).sum();
            assert!(asleep > MS, "it never slept: is /var/tmp on a disk?");
        }
    }
}

/// In containers, and where perf_event_paranoid is 3, there are no switch records: what the kernel counts of a thread says how
/// it spent the middle of a long run, and nothing is claimed of its edges.
#[test]
fn what_the_kernel_counts_says_how_most_of_a_long_run_was_spent() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = dir.path().join("why.lscope");
    let said = recorded(dir.path(), &file, false);
    assert_eq!(said.len(), ROUNDS * 5);
    let all = events(&file);
    let setup = all.iter().filter(|s| s.event.kind == Kind::Setup);
    let mut told = setup.map(|s| String::from_utf8_lossy(&s.text));
    assert!(told.any(|told| told.starts_with("switch records") && told.contains("schedstat")));
    let (mut model, mut runs) = (Model::default(), Runs::default());
    for (number, seen) in all.iter().enumerate() {
        model.apply(number as u64, &seen.event, &seen.text, &mut runs);
    }
    for reason in ["computes", "sleeps", "locks", "preempted"] {
        let said: Vec<&Said> = said.iter().filter(|s| s.reason == reason).collect();
        let fd = said[0].fd;
        let of_fd = |run: &&Run| model.reg(run.reg).is_some_and(|r| r.fd == fd);
        let runs: Vec<&Run> = runs.0.iter().filter(of_fd).collect();
        assert_eq!((runs.len(), said.len()), (ROUNDS, ROUNDS));
        let mut known = 0;
        for (run, said) in runs.iter().zip(&said) {
            let spent = &run.spent;
            let asleep = spent.blocked + spent.waiting;
            let why = format!(
                "{reason}: {spent:?}, the clock {}, on CPU {}, waiting for one {}",
                said.wall, said.cpu, said.delay
            );
            // Never more than the kernel's books say of the whole; the counters grow in ticks of 10 ms at most.
            let tick = 10 * MS;
            assert!(spent.on_cpu <= said.cpu + tick, "{why}");
            assert!(spent.preempted <= said.delay + tick, "{why}");
            assert!(asleep <= said.asleep() + tick && spent.fault == 0, "{why}");
            known += spent.total() - spent.unknown;
            if spent.blocked > 0 && reason == "sleeps" {
                let call = run.blocked_in.unwrap();
                let process = model.process_of_thread(1);
                assert_eq!(model.name(process, Space::Call, call.name), "nanosleep");
            }
        }
        assert!(known > 0, "nothing of ten runs in which it {reason}");
    }
}

/// What the hypervisor has taken from all CPUs so far.
fn stolen() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat.split_whitespace().nth(8).and_then(|n| n.parse().ok());
    ticks.unwrap_or(0u64) * 10 * MS
}

/// The parts are what the reason says, and as large as the kernel's books say.
fn judge(run: &Run, said: &Said, stolen: u64, model: &Model) {
    let spent = &run.spent;
    let Spent {
        on_cpu,
        blocked,
        preempted,
        fault,
        waiting,
        unknown,
        ..
    } = *spent;
    let why = format!(
        "{}: {spent:?}, the clock {}, on CPU {}, waiting for one {}",
        said.reason, said.wall, said.cpu, said.delay
    );
    assert_eq!(unknown, 0, "{why}");
    // What the books do not count: time in an interrupt, and that from the wakeup to the CPU, which is part of a sleep here.
    let near =
        |a: u64, b: u64| a.abs_diff(b) <= a.max(b) / 10 + 2 * MS + said.delay_of_sleep(spent);
    // The program looks at its clocks before the run begins and after it has ended: others may have had the CPU there.
    let around = said.delay.saturating_sub(preempted);
    let total = on_cpu + preempted + blocked + fault + waiting;
    assert!(
        total <= said.wall + MS
            && near(
                total + around.min(said.wall.saturating_sub(total)),
                said.wall
            ),
        "{why}"
    );
    // Nor does the kernel notice where a hypervisor runs something else meanwhile: its books learn of that later.
    let had = (on_cpu.saturating_sub(stolen)).max(on_cpu.min(said.cpu));
    assert!(near(had, said.cpu), "{why}");
    let others = |mine: u64| (blocked + fault + waiting).saturating_sub(mine);
    match &*said.reason {
        "computes" => {
            assert!(on_cpu >= 45 * MS && others(0) <= 5 * MS, "{why}");
            assert!(preempted <= said.delay + said.delay / 10 + 2 * MS, "{why}");
        }
        "sleeps" => {
            let call = run.blocked_in.unwrap();
            let process = model.process_of_thread(1);
            assert_eq!(call.op, Some(Op::Named), "{why}");
            assert_eq!(model.name(process, Space::Call, call.name), "nanosleep");
            assert!(blocked >= 50 * MS && others(blocked) <= MS, "{why}");
        }
        "faults" => {
            // Where the hypervisor takes the CPU away between a sleep and the end of its fault, the two look unrelated. What it
            // takes otherwise is no sleep: to the records it is time on the CPU, to the books neither that nor waiting for one.
            let asleep = said
                .asleep()
                .saturating_sub(on_cpu.saturating_sub(said.cpu));
            assert!(fault >= asleep / 2, "{why}");
            // The largest part of its sleep; where the machine is slow more than 1 ms may lie between a sleep and its fault's end.
            assert!(others(fault) <= fault + MS, "{why}");
            assert!(spent.faults > 0, "{why}");
        }
        "locks" => assert!(waiting >= 45 * MS && others(waiting) <= MS, "{why}"),
        "preempted" => {
            assert!(preempted >= 25 * MS && others(0) <= 5 * MS, "{why}");
            assert!(preempted <= said.delay + said.delay / 10 + 2 * MS, "{why}");
        }
        other => panic!("{other}"),
    }
}

impl Said {
    /// A sleeper that has been woken waits for its CPU: the books have that with the waiting, the switch records with the sleep.
    fn delay_of_sleep(&self, spent: &Spent) -> u64 {
        match spent.blocked + spent.fault + spent.waiting {
            0 => 0,
            _ => self.delay.saturating_sub(spent.preempted),
        }
    }
}

/// Who is stopped (SIGSTOP, a debugger) does nothing, and nobody made others wait: that is told, and is no finding's.
#[test]
fn a_stop_is_nobodys_doing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "stopped", &[]);
    let file = dir.path().join("stopped.lscope");
    let mut record = common::loopscope();
    record.args(["record", "-o"]).arg(&file).arg("--");
    let output = record.arg(program).arg("5").output().unwrap();
    common::Ended::of(output).exits(0);
    let (mut model, mut runs) = (Model::default(), Runs::default());
    for (number, seen) in events(&file).iter().enumerate() {
        model.apply(number as u64, &seen.event, &seen.text, &mut runs);
    }
    let stopped = runs.0.iter().filter(|run| run.spent.stopped > 300 * MS);
    // What is over before anybody looks is a sleep like others.
    assert!(stopped.count() >= 3, "{:?}", runs.0);
    let slept = |run: &Run| run.spent.waiting + run.spent.blocked;
    assert!(
        runs.0.iter().all(|run| slept(run) < 100 * MS),
        "{:?}",
        runs.0
    );

    let report = common::run(&["report", "--json", file.to_str().unwrap()]).exits(0);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let grave = |found: &&serde_json::Value| found["severity"] != "info";
    let grave: Vec<_> = findings.iter().filter(grave).collect();
    assert!(grave.is_empty(), "{grave:#?}");
}

/// A handler that never comes back has no run, and who waits for it no finished wait: the report begins with them.
#[test]
fn who_waits_to_the_end_comes_first() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "never", &[]);
    let file = dir.path().join("never.lscope");
    let mut record = common::loopscope();
    record.args(["record", "-o"]).arg(&file).arg("--");
    // SIGALRM ends it.
    common::Ended::of(record.arg(&program).output().unwrap()).exits(128 + 14);
    let report = common::run(&["report", file.to_str().unwrap()]).exits(0);
    let told = report
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        told.contains("was still waiting when the recording ended, after 5")
            || told.contains("was still waiting when the recording ended, after 6"),
        "{told}"
    );
    assert!(
        told.contains("the handler that seems to serve pipe"),
        "{told}"
    );
    assert!(told.contains("the longest wait that ended"), "{told}");

    // Who leaves its loop keeps nobody waiting.
    let mut record = common::loopscope();
    record
        .args(["record", "--force", "-o"])
        .arg(&file)
        .arg("--");
    let output = record.arg(&program).arg("leaves").output().unwrap();
    common::Ended::of(output).exits(0);
    let report = common::run(&["report", file.to_str().unwrap()]).exits(0);
    assert!(
        !report.stdout.contains("still waiting"),
        "{}",
        report.stdout
    );
}
