//! One connection's handler computes, everybody else waits behind it: each client's own stamps lie inside what the recording
//! of an unmodified Tokio server says of its connection, however many workers steal from each other.
#![cfg(feature = "cli")]

mod common;

use common::{Place, loopscope, recompute, run};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const QUICK: usize = 4;
const SLOW: usize = 6;

/// A request and its answer, on CLOCK_MONOTONIC.
struct Trip {
    port: u16,
    before: u64,
    sent: u64,
    received: u64,
}

fn now() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is writable and outlives the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    assert_eq!(result, 0);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The server, built as cargo builds the tests.
fn server() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "-q", "--locked", "--example", "tokio_echo"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().unwrap().success());
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_loopscope"));
    binary.with_file_name("examples").join("tokio_echo")
}

fn connect(port: u16) -> TcpStream {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(client) => return client,
            Err(e) => assert!(Instant::now() < patience, "the server does not listen: {e}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn trip(client: &mut TcpStream, first: u8) -> Trip {
    let port = client.local_addr().unwrap().port();
    let mut answer = [0; 20];
    let before = now();
    client.write_all(&[first; 20]).unwrap();
    let sent = now();
    client.read_exact(&mut answer).unwrap();
    Trip {
        port,
        before,
        sent,
        received: now(),
    }
}

/// The slow client's port, and the quick ones' trips but the first of each: that is served before it is registered.
fn drive(port: u16) -> (u16, Vec<Trip>) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let quick: Vec<_> = (0..QUICK)
            .map(|_| {
                scope.spawn(|| {
                    let (mut client, mut trips) = (connect(port), Vec::new());
                    while !stop.load(Ordering::Relaxed) {
                        trips.push(trip(&mut client, b'f'));
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    trips.split_off(1)
                })
            })
            .collect();
        let mut slow = connect(port);
        for _ in 0..SLOW {
            std::thread::sleep(Duration::from_millis(60));
            trip(&mut slow, b'S');
        }
        stop.store(true, Ordering::Relaxed);
        let trips = quick.into_iter().flat_map(|q| q.join().unwrap());
        (slow.local_addr().unwrap().port(), trips.collect())
    })
}

/// Ends the server, which the recorder passes the signal on to.
fn end(mut recorder: Child) {
    let pid = libc::pid_t::try_from(recorder.id()).unwrap();
    // SAFETY: sends a signal to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    recorder.wait().unwrap();
}

#[test]
fn every_request_lies_inside_what_is_told_of_its_connection() {
    let server = server();
    for workers in ["1", "2", "4"] {
        let place = Place::new();
        let file = place.arg("x.lscope");
        let port = {
            let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            free.local_addr().unwrap().port()
        };
        let recorder = loopscope()
            .args(["record", "-o", &file, "--"])
            .arg(&server)
            .args([port.to_string().as_str(), workers])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(connect(port));
        let (slow, trips) = drive(port);
        end(recorder);
        let said = recompute(&place, &file);
        assert!(said.contains(" 0 differences"), "{workers}: {said}");
        let told = run(&["export", &file, "--to", "dispatches"]).exits(0);
        let mut of_peer: HashMap<String, Vec<Value>> = HashMap::new();
        for line in told.stdout.lines() {
            let dispatch: Value = serde_json::from_str(line).unwrap();
            let addresses = dispatch["addresses"].as_str().unwrap_or("");
            let peer = addresses.rsplit(':').next().unwrap().to_owned();
            of_peer.entry(peer).or_default().push(dispatch);
        }
        let (mut late, mut blamed, mut missing) = (0, 0, 0);
        assert!(trips.len() > 40 * QUICK, "{}", trips.len());
        for trip in &trips {
            let at = |of: &Value, key: &str| {
                let clock = of["monotonic_ns"].as_u64().unwrap();
                of[key].as_u64().map_or(0, |ns| clock + ns)
            };
            let ready = |of: &Value| match of["ready_lo_ns"].is_null() {
                true => at(of, "told_ns"),
                false => at(of, "ready_lo_ns"),
            };
            let holds = |of: &&Value| {
                at(of, "begin_ns") <= trip.received
                    && trip.before <= at(of, "end_ns")
                    && of["bytes_in"] == 20
            };
            let all = of_peer.get(&trip.port.to_string());
            let found = all.and_then(|all| all.iter().find(holds));
            let Some(found) = found else {
                missing += 1;
                continue;
            };
            let waited = at(found, "end_ns") - trip.before;
            if waited > 5_000_000 {
                late += waited;
                // It was ready when the client's write had returned at the latest; the clocks are not quite the same.
                let since = ready(found).saturating_sub(trip.sent);
                assert!(since * 20 < waited, "{since} of {waited}: {found:#}");
                let behind = found["behind"].as_array().unwrap().iter();
                let mine = behind.filter(|of| {
                    let name = of["name"].as_str().unwrap_or("");
                    name.ends_with(&format!(":{slow}"))
                });
                let sum: u64 = mine.map(|of| of["hi_ns"].as_u64().unwrap()).sum();
                blamed += sum.min(waited);
            }
        }
        // A worker that has not waited on the loop yet serves what it steals unseen; a single one has always waited.
        let most = if workers == "1" { 0 } else { trips.len() / 40 };
        assert!(
            missing <= most,
            "{workers} workers: {missing} of {}",
            trips.len()
        );
        // Other workers serve whom they can; a single one keeps everybody waiting, and that is whose fault it is.
        if workers == "1" {
            assert!(late > 0 && blamed * 2 > late, "{blamed} of {late}");
        }
    }
}
