//! What the kernel counted while one program ran: perf counts its calls, bpftrace adds up what they returned.
//!
//! perf stat starts the program and follows its children. bpftrace follows the same tree by itself, from the exec of a
//! path that nothing else has ([`Watch::marked`]); it counts the calls too, and where the two disagree the comparison is void.
//! Both counters are exact: neither passes events through a buffer that can overflow.

use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// How a loop waits, as the report names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Epoll,
    Poll,
    Select,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Epoll, Kind::Poll, Kind::Select];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Epoll => "epoll",
            Kind::Poll => "poll",
            Kind::Select => "select",
        }
    }

    /// The system calls that wait this way; which of them a libc uses is its own business.
    fn calls(self) -> &'static [&'static str] {
        match self {
            Kind::Epoll => &["epoll_wait", "epoll_pwait", "epoll_pwait2"],
            Kind::Poll => &["poll", "ppoll"],
            Kind::Select => &["select", "pselect6"],
        }
    }
}

/// The name of a program whose start tells bpftrace to print what it has.
const OVER: &str = "over";

/// Calls that wait, those of them that returned something, and how much in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    pub calls: u64,
    pub wakeups: u64,
    pub ready: u64,
}

/// What the program did, as one side tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub waits: BTreeMap<Kind, Waits>,
    pub ctl: u64,
}

/// Two counters of the kernel, armed for one program.
pub struct Watch {
    dir: PathBuf,
    bpftrace: Child,
    said: BufReader<ChildStdout>,
}

impl Watch {
    /// Arms bpftrace and returns when all its probes are attached.
    pub fn start(dir: &Path) -> Watch {
        let marked = dir.join("counted");
        // env(1) only executes what follows; what counts is that its path is ours alone.
        symlink("/usr/bin/env", &marked).unwrap();
        symlink("/bin/true", dir.join(OVER)).unwrap();
        // bpftrace compares no more than that.
        assert!(marked.as_os_str().len() < 64, "{}", marked.display());
        let script = dir.join("counts.bt");
        fs::write(&script, program(&marked, &dir.join(OVER))).unwrap();
        let log = fs::File::create(dir.join("bpftrace.log")).unwrap();
        let mut bpftrace = Command::new("bpftrace")
            .args(["-f", "json"])
            .arg(&script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("bpftrace: {e}; apt-get install bpftrace"));
        let mut said = BufReader::new(bpftrace.stdout.take().unwrap());
        let mut line = String::new();
        // The first and the last probe of the script speak, in whichever order it attaches them.
        let mut silent = vec!["first", "last"];
        while !silent.is_empty() {
            line.clear();
            if said.read_line(&mut line).unwrap() == 0 {
                panic!("bpftrace ended: {}", log_of(dir));
            }
            silent.retain(|name| !line.contains(name));
        }
        Watch {
            dir: dir.to_owned(),
            bpftrace,
            said,
        }
    }

    /// The command line that runs `program` under perf stat and in the tree that bpftrace follows.
    pub fn marked(&self, program: &[OsString]) -> Vec<OsString> {
        let mut line: Vec<OsString> = ["perf", "stat", "-x,", "-o"].map(Into::into).into();
        line.push(self.dir.join("perf.csv").into());
        for call in Kind::ALL.iter().flat_map(|kind| kind.calls()) {
            let event = format!("syscalls:sys_exit_{call}");
            for arg in ["-e", &event, "-e", &event, "--filter", "ret > 0"] {
                line.push(arg.into());
            }
        }
        line.extend(["-e", "syscalls:sys_enter_epoll_ctl", "--"].map(Into::into));
        line.push(self.dir.join("counted").into());
        line.extend(program.iter().cloned());
        line
    }

    /// What the kernel counted, when the whole tree has ended. Panics if the two counters disagree.
    pub fn finish(mut self) -> Counts {
        // A signal can come between bpftrace's look at its flag and its wait, and is then forgotten.
        Command::new(self.dir.join(OVER)).status().unwrap();
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        let status = self.bpftrace.wait().unwrap();
        assert!(
            status.success(),
            "bpftrace: {status}: {}",
            log_of(&self.dir)
        );
        let summed = summed(&said);
        let counted = counted(&fs::read_to_string(self.dir.join("perf.csv")).unwrap());
        let mut known = summed.clone();
        for waits in known.waits.values_mut() {
            waits.ready = 0; // perf cannot know
        }
        assert_eq!(
            counted, known,
            "perf (left) and bpftrace (right) did not count the same processes"
        );
        summed
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.bpftrace.kill();
        let _ = self.bpftrace.wait();
    }
}

fn log_of(dir: &Path) -> String {
    fs::read_to_string(dir.join("bpftrace.log")).unwrap_or_default()
}

/// The bpftrace program: a set of thread ids that forks extend, and three figures for each call.
fn program(marked: &Path, over: &Path) -> String {
    let exits: Vec<String> = (Kind::ALL.iter().flat_map(|kind| kind.calls()))
        .map(|call| format!("tracepoint:syscalls:sys_exit_{call}"))
        .collect();
    format!(
        r#"interval:ms:20 /@attached[0] == 0/ {{ @attached[0] = 1; printf("first\n"); }}
tracepoint:sched:sched_process_exec /str(args->filename) == "{marked}"/ {{ @tree[tid] = 1; }}
tracepoint:sched:sched_process_exec /str(args->filename) == "{over}"/ {{ exit(); }}
tracepoint:sched:sched_process_exec /@tree[args->old_pid]/ {{ @tree[args->pid] = 1; }}
tracepoint:sched:sched_process_fork /@tree[args->parent_pid]/ {{ @tree[args->child_pid] = 1; }}
tracepoint:sched:sched_process_exit /@tree[tid]/ {{ delete(@tree[tid]); }}
tracepoint:syscalls:sys_enter_epoll_ctl /@tree[tid]/ {{ @calls[probe] = count(); }}
{exits}
/@tree[tid]/ {{
    @calls[probe] = count();
    if (args->ret > 0) {{ @wakeups[probe] = count(); @ready[probe] = sum(args->ret); }}
}}
interval:ms:20 /@attached[1] == 0/ {{ @attached[1] = 1; printf("last\n"); }}
END {{ clear(@tree); clear(@attached); }}
"#,
        marked = marked.display(),
        over = over.display(),
        exits = exits.join(",\n"),
    )
}

/// perf's lines `count,unit,event,…`: each call stands there twice, all of its exits and then those with a filter.
fn counted(csv: &str) -> Counts {
    let mut lines: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for line in csv.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let Some(event) = fields.get(2).and_then(|e| e.strip_prefix("syscalls:")) else {
            continue;
        };
        let count = fields[0].parse();
        lines
            .entry(event)
            .or_default()
            .push(count.unwrap_or_else(|_| panic!("perf did not count: {line}")));
    }
    let waits = |kind: Kind| {
        let mut sum = Waits::default();
        for call in kind.calls() {
            let [all, woken] = lines[format!("sys_exit_{call}").as_str()][..] else {
                panic!("perf's output: {csv}");
            };
            sum.calls += all;
            sum.wakeups += woken;
        }
        (kind, sum)
    };
    Counts {
        waits: Kind::ALL.into_iter().map(waits).collect(),
        ctl: lines["sys_enter_epoll_ctl"].iter().sum(),
    }
}

/// bpftrace's lines `{"type":"map","data":{"@calls":{probe:count,…}}}`; a probe that never fired is not there.
fn summed(json: &str) -> Counts {
    let mut maps: BTreeMap<String, Value> = BTreeMap::new();
    for line in json.lines().filter(|line| line.contains("\"map\"")) {
        let line: Value = serde_json::from_str(line).unwrap();
        let data = line["data"].as_object().unwrap().clone();
        maps.extend(data);
    }
    let of = |map: &str, probe: String| {
        let probe = format!("tracepoint:syscalls:{probe}");
        let count = maps.get(map).map(|map| &map[probe.as_str()]);
        count.and_then(Value::as_u64).unwrap_or(0)
    };
    let waits = |kind: Kind| {
        let sum = |map: &str| {
            let calls = kind.calls().iter();
            calls.map(|call| of(map, format!("sys_exit_{call}"))).sum()
        };
        let waits = Waits {
            calls: sum("@calls"),
            wakeups: sum("@wakeups"),
            ready: sum("@ready"),
        };
        (kind, waits)
    };
    Counts {
        waits: Kind::ALL.into_iter().map(waits).collect(),
        ctl: of("@calls", "sys_enter_epoll_ctl".to_owned()),
    }
}
