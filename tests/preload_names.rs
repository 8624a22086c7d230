//! Unmodified programs: their sockets have names from the call on that says an address, before anybody looks at /proc.
#![cfg(feature = "cli")]

mod common;
#[path = "common/preload.rs"]
mod preload;

use loopscope::record::event::{FdKind, Kind};
use preload::{compiled, events, record};

#[test]
fn sockets_are_named_by_the_calls_that_say_their_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "names", &[]);
    let (file, path) = (dir.path().join("x.lscope"), dir.path().join("s"));
    let path = path.to_str().unwrap();
    let output = record(&file, &program, &[path]);
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let ports: Vec<&str> = (said.lines())
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    let [listener, a, b, c, d] = ports[..] else {
        panic!("{said}");
    };
    let told: Vec<String> = (events(&file).iter())
        .filter(|seen| seen.event.kind == Kind::FdAddr)
        .map(|seen| {
            let kind = FdKind::from_code(seen.event.aux).unwrap();
            let text = String::from_utf8_lossy(&seen.text);
            format!("{} {text}", kind.name())
        })
        .collect();
    let here = |port: &str| format!("127.0.0.1:{port}");
    let l = here(listener);
    let mut want = vec![
        "tcp-listen tcp >".to_owned(),
        format!("tcp-listen tcp {l}>"),
    ];
    for (i, client) in [a, b, c, d].into_iter().enumerate() {
        want.push(format!("tcp tcp >{l}"));
        want.push(format!("tcp tcp {}>", here(client)));
        // Without a place for it, or with too little room, nothing is known.
        if i < 2 {
            want.push(format!("tcp tcp >{}", here(client)));
        }
    }
    want.push("udp udp >127.0.0.1:1".to_owned());
    want.push("udp udp >127.0.0.1:2".to_owned());
    want.push(format!("unix unix {path}>"));
    want.push("unix-listen unix >".to_owned());
    want.push(format!("unix unix >{path}"));
    want.push("unix unix >".to_owned());
    assert_eq!(told, want);

    // What a person reads: connections that were open for less than an instant.
    let report = common::run(&["report", "--json", "--top", "20", file.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let names: Vec<&str> = (report["fds"].as_array().unwrap().iter())
        .map(|fd| fd["name"].as_str().unwrap())
        .collect();
    for name in [
        format!("tcp {l} ← {}", here(a)),
        format!("tcp {l} ← {}", here(b)),
        // Who called is told by its own port: the other end is the same for all.
        format!("tcp {} → {l}", here(a)),
        format!("tcp {} → {l}", here(d)),
        format!("unix {path}"),
    ] {
        assert!(names.contains(&name.as_str()), "{name} is not in {names:?}");
    }
}
