//! The clients: real load whose every reply is checked, and a script of requests whose replies are written down.

use super::site::Site;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A client that waits longer than this for a reply does not get one.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connections of a conversation.
const TALKERS: usize = 12;

/// What a conversation says in its `turn`th turn on its `talker`th connection, and what has to come back.
pub type Line = fn(talker: usize, turn: usize) -> (Vec<u8>, Vec<u8>);

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Talks on several connections at once, each now and then replaced by a new one; returns the number of right replies.
/// Panics at the first wrong one.
pub fn converse(port: u16, time: Duration, line: Line) -> u64 {
    let mut talkers: Vec<TcpStream> = (0..TALKERS).map(|_| connect(port)).collect();
    let until = Instant::now() + time;
    let mut right = 0;
    for turn in 0.. {
        // Some turns with one talker, most with several, so that batches of every size come about.
        let count = 1 + turn % TALKERS;
        for (talker, stream) in talkers.iter_mut().enumerate().take(count) {
            stream.write_all(&line(talker, turn).0).unwrap();
        }
        for (talker, stream) in talkers.iter_mut().enumerate().take(count) {
            let want = line(talker, turn).1;
            let mut got = vec![0; want.len()];
            stream.read_exact(&mut got).unwrap();
            assert!(
                got == want,
                "talker {talker}, turn {turn}: {:?} instead of {:?}",
                String::from_utf8_lossy(&got),
                String::from_utf8_lossy(&want)
            );
            right += 1;
        }
        if turn % 7 == 6 {
            let leaver = turn / 7 % TALKERS;
            talkers[leaver] = connect(port);
        }
        if Instant::now() >= until {
            break;
        }
    }
    for stream in talkers {
        ends(stream);
    }
    right
}

/// Says that nothing more comes, and waits for the server to say the same.
fn ends(mut stream: TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "{} bytes nobody asked for", rest.len());
}

/// What an echo server says to this is the same. From one byte to more than one read takes.
pub fn echo_line(talker: usize, turn: usize) -> (Vec<u8>, Vec<u8>) {
    let length = 1 + (turn * 37 + talker * 501) % 2_000 + if turn % 50 == 49 { 90_000 } else { 0 };
    let text = (0..length).map(|at| (at * 31 + turn * 7 + talker) as u8);
    let text: Vec<u8> = text.collect();
    (text.clone(), text)
}

/// Stores, reads and counts with redis's inline commands.
pub fn redis_line(talker: usize, turn: usize) -> (Vec<u8>, Vec<u8>) {
    let value = format!("value-{talker}-{turn}");
    let said = format!("SET key:{talker} {value}\r\nGET key:{talker}\r\nSTRLEN key:{talker}\r\n");
    let length = value.len();
    let reply = format!("+OK\r\n${length}\r\n{value}\r\n:{length}\r\n");
    (said.into(), reply.into())
}

/// Stores and reads with memcached's text commands.
pub fn memcached_line(talker: usize, turn: usize) -> (Vec<u8>, Vec<u8>) {
    let value = "x".repeat(1 + (turn * 13 + talker) % 3_000);
    let length = value.len();
    let said = format!("set key{talker} {turn} 0 {length}\r\n{value}\r\nget key{talker}\r\n");
    let reply = format!("STORED\r\nVALUE key{talker} {turn} {length}\r\n{value}\r\nEND\r\n");
    (said.into(), reply.into())
}

/// wrk on `/`, which has to answer `hello` every time; returns the number of right replies.
pub fn web(port: u16, time: Duration) -> u64 {
    let seconds = time.as_secs().max(1);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/programs/check.lua");
    let said = run(Command::new("wrk")
        .args(["-t1", "-c16", &format!("-d{seconds}s"), "-s"])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}/")));
    let line = said.lines().find_map(|l| l.strip_prefix("checked "));
    let words: Vec<&str> = line.unwrap_or(&said).split(' ').collect();
    let [right, "right", wrong, "wrong", errors, "errors"] = words[..] else {
        panic!("wrk said: {said}");
    };
    assert_eq!((wrong, errors), ("0", "0"), "{said}");
    right.parse().unwrap()
}

/// redis-benchmark, which says on stderr what went wrong; returns the number of requests.
pub fn redis_benchmark(port: u16, requests: u64) -> u64 {
    let port = port.to_string();
    let count = requests.to_string();
    let tests = ["set", "get", "lpush", "lrange_100", "mset"];
    for pipeline in ["1", "16"] {
        let said = run(Command::new("redis-benchmark")
            .args(["-p", &port, "-n", &count, "-c", "20", "-P", pipeline])
            .args(["-q", "-e", "--csv", "-t", &tests.join(",")]));
        assert!(!said.contains("Error"), "{said}");
        // A header and a line for each test; LRANGE needs a list first, which is one more.
        assert!(said.lines().count() > tests.len(), "{said}");
    }
    2 * requests * tests.len() as u64
}

/// Runs a client to its end; panics if it fails or complains.
fn run(command: &mut Command) -> String {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|e| panic!("{name}: {e}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}{wrong}");
    said + &wrong
}

/// What an echo server does, written down: sizes, order, and what follows the end of a client's stream.
pub fn echo_script(site: &Site) -> String {
    talk(
        site.port,
        &["a", "hello\n", &"0123456789".repeat(20_000), ""],
    )
}

/// What redis does, as far as it is the same every time; `maxclients` follows from the descriptors it can have.
pub fn redis_script(site: &Site) -> String {
    talk(
        site.port,
        &[
            "PING\r\n",
            "CONFIG GET maxclients\r\n",
            "SET a 1\r\nINCR a\r\nGET a\r\n",
            "MULTI\r\nINCR a\r\nEXEC\r\n",
            "NOSUCH\r\n",
            "DEL a\r\n",
            "QUIT\r\n",
        ],
    )
}

/// What memcached does, as far as it is the same every time.
pub fn memcached_script(site: &Site) -> String {
    talk(
        site.port,
        &[
            "version\r\n",
            "set a 1 0 5\r\nhello\r\n",
            "get a\r\n",
            "incr a 1\r\n",
            "nosuch\r\n",
            "delete a\r\n",
            "quit\r\n",
        ],
    )
}

/// Says each line, and writes down everything that comes back until 50 ms are silent, or the end.
fn talk(port: u16, lines: &[&str]) -> String {
    let mut stream = connect(port);
    let mut written = String::new();
    for line in lines {
        match line.is_empty() {
            true => stream.shutdown(Shutdown::Write).unwrap(),
            false => stream.write_all(line.as_bytes()).unwrap(),
        }
        let mut reply = Vec::new();
        let mut piece = [0; 65536];
        let end = loop {
            match stream.read(&mut piece) {
                Ok(0) => break "end of stream",
                Ok(n) => reply.extend(&piece[..n]),
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock) => break "",
                Err(e) => break Box::leak(e.to_string().into_boxed_str()),
            }
            // Once something came, what belongs to it follows soon.
            let soon = Duration::from_millis(50);
            stream.set_read_timeout(Some(soon)).unwrap();
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let text = String::from_utf8_lossy(&reply);
        written += &format!("{} bytes: {text}{end}\n", reply.len());
        if !end.is_empty() {
            break;
        }
    }
    written
}

/// What a web server says to curl: headers and bodies of several requests on one connection, without the date.
pub fn web_script(port: u16) -> String {
    let at = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let said = run(Command::new("curl")
        .args(["-s", "-i", "--max-time", "20"])
        .args([at("/"), at("/nosuch"), at("/?a=b"), at("/")]));
    let varies = ["date:", "etag:", "last-modified:"];
    let stays = |line: &&str| {
        let line = line.to_ascii_lowercase();
        !varies.iter().any(|header| line.starts_with(header))
    };
    said.lines().filter(stays).collect::<Vec<_>>().join("\n")
}

/// Posts a body of some size and compares what comes back.
pub fn web_echo(port: u16, path: &str) {
    let body = "0123456789abcdef".repeat(6_000);
    let said = run(Command::new("curl")
        .args(["-s", "--max-time", "20", "-H", "Expect:", "--data-binary"])
        .arg(&body)
        .arg(format!("http://127.0.0.1:{port}{path}")));
    assert!(
        said == body,
        "{} bytes instead of {}",
        said.len(),
        body.len()
    );
}
