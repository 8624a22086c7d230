//! What the recording says: its events, the report's counts of the program's loops, and the screen a person looks at.

use super::common;
use super::kernel::{Counts, Kind, Waits};
use serde_json::Value;
use std::path::Path;

/// A recording, told by the commands a person would use.
pub struct Recorded<'a> {
    path: &'a str,
    report: Value,
    /// Every call that waits, its return and its batch, and every epoll_ctl, of the program alone.
    events: Vec<Value>,
}

impl<'a> Recorded<'a> {
    pub fn open(path: &'a Path) -> Recorded<'a> {
        let path = path.to_str().unwrap();
        let report = common::run(&["report", "--json", "--top", "1000000", path])
            .exits(0)
            .stdout;
        let report: Value = serde_json::from_str(&report).unwrap();
        let export = common::run(&["export", path, "--to", "ndjson"]).exits(0);
        let wanted = ["wait-enter", "wait-exit", "ready", "ctl-begin"];
        let wanted = wanted.map(|kind| format!("\"kind\":\"{kind}\""));
        let lines = export.stdout.lines();
        let events = lines
            .filter(|line| wanted.iter().any(|kind| line.contains(kind)))
            .map(|line| serde_json::from_str(line).unwrap());
        // perf, which started the program, is recorded, too; what it calls is not the program's.
        let perf = Value::from(0);
        assert!(
            report["processes"][0]["name"]
                .as_str()
                .is_some_and(|name| name.starts_with("perf stat")),
            "{:#}",
            report["processes"]
        );
        let events = events.filter(|event: &Value| event["process"] != perf);
        Recorded {
            path,
            events: events.collect(),
            report,
        }
    }

    /// All calls of the program, by the events.
    pub fn counts(&self) -> Counts {
        let whole = &self.report["recording"];
        assert_eq!(whole["lost"], 0, "{whole:#}");
        assert_eq!(whole["complete"], true, "{whole:#}");
        let mut counts = Counts {
            waits: Kind::ALL.map(|kind| (kind, Waits::default())).into(),
            ctl: 0,
        };
        for event in &self.events {
            let waits = kind_of(event).and_then(|kind| counts.waits.get_mut(&kind));
            match (event["kind"].as_str(), waits) {
                // Each entered call leaves, or is left unfinished by a process that is killed; the kernel counts both.
                (Some("wait-enter"), Some(waits)) => waits.calls += 1,
                (Some("wait-exit"), Some(waits)) => {
                    let n = event["n"].as_u64().unwrap_or(0);
                    waits.wakeups += u64::from(n > 0);
                    waits.ready += n;
                }
                // Told again once its event could be read: the same call.
                (Some("ctl-begin"), _) => counts.ctl += u64::from(event["again"] != true),
                _ => {}
            }
        }
        counts
    }

    /// The report's counts, added up over the loops that wait this way.
    pub fn reported(&self, kind: Kind) -> (Waits, u64) {
        let (mut sum, mut changes) = (Waits::default(), 0);
        for one in self.report["loops"].as_array().unwrap() {
            if one["process"] == 0 || one["kind"] != kind.name() {
                continue;
            }
            let of = |name: &str| one[name].as_u64().unwrap();
            let returned = ["wakeups", "timeouts", "interrupted", "failed"].map(of);
            assert_eq!(of("waits"), returned.iter().sum::<u64>(), "{one:#}");
            sum.calls += of("waits") + of("unfinished");
            sum.wakeups += of("wakeups");
            sum.ready += of("ready");
            let ctl = ["add", "mod", "del", "failed"].map(|op| one["ctl"][op].as_u64().unwrap());
            changes += ctl.iter().sum::<u64>();
        }
        (sum, changes)
    }

    /// Registrations that only their data word is known of: each event is some descriptor's.
    pub fn nameless(&self) -> Vec<&Value> {
        let fds = self.report["fds"].as_array().unwrap().iter();
        fds.filter(|one| one["fd"].as_i64() < Some(0)).collect()
    }

    /// What was found that somebody should do something about, and is not known to be so.
    pub fn alarms(&self, known: &[&str]) -> Vec<&Value> {
        let all = self.report["findings"].as_array().unwrap().iter();
        let all = all.filter(|f| f["severity"] != "info");
        all.filter(|f| !known.iter().any(|code| f["code"] == *code))
            .collect()
    }

    /// The Loop screen, where the program has just been told of the middle batch of the recording.
    pub fn screen(&self, kind: Kind) -> String {
        let batches: Vec<&Value> = (self.events.iter())
            .filter(|event| event["kind"] == "wait-exit" && kind_of(event) == Some(kind))
            .filter(|event| event["n"].as_u64() > Some(0))
            .collect();
        let batch = batches[batches.len() / 2];
        let last = batch["event"].as_u64().unwrap() + batch["n"].as_u64().unwrap();
        let picture = Path::new(self.path).with_extension("txt");
        let at = format!("event:{last}");
        let args = ["snapshot", self.path, "--at", &at, "--view", "loop"];
        let to = ["--size", "120x40", "-o", picture.to_str().unwrap()];
        common::run(&[&args[..], &to].concat()).exits(0);
        std::fs::read_to_string(picture).unwrap()
    }
}

/// How the call of an event waits, by the name of libc's function; nothing if it is no wait.
fn kind_of(event: &Value) -> Option<Kind> {
    Some(match event["call"].as_str()? {
        "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => Kind::Epoll,
        "poll" | "ppoll" => Kind::Poll,
        "select" | "pselect" => Kind::Select,
        other => panic!("{other} is no call that waits"),
    })
}
