//! The peers: servers that people run, and small ones on the libraries that people write servers with.

use super::clients;
use super::kernel::Kind;
use super::site::{Site, programs};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A server, how to start and stop it, and what its clients do.
pub struct Peer {
    pub name: &'static str,
    /// What has to be installed for it.
    package: &'static str,
    /// A command that fails when it is not.
    probe: &'static [&'static str],
    /// How its loop waits.
    pub kind: Kind,
    /// The command line, after whatever has to be built or written first.
    pub command: fn(&Site) -> Vec<OsString>,
    /// What it answers to a few requests, the same every time.
    pub script: fn(&Site) -> String,
    /// Load for about this long; the number of replies, all of them right.
    pub load: fn(&Site, Duration) -> u64,
    /// The signal that ends it.
    pub stop: libc::c_int,
    /// What may be found of it, because it is so.
    pub known: &'static [&'static str],
}

const PYTHON: &str = "/usr/bin/python3";

/// Requests of each of redis-benchmark's tests for a second of load.
const BENCHMARK: u64 = 2_000;

impl Peer {
    /// Panics with the package's name if it is not installed.
    pub fn must_be_there(&self) {
        let there = Command::new(self.probe[0]).args(&self.probe[1..]).output();
        let there = there.is_ok_and(|output| output.status.success());
        assert!(there, "{} is missing: install {}", self.name, self.package);
    }
}

pub const REDIS: Peer = Peer {
    name: "redis-server",
    package: "redis-server and redis-tools",
    probe: &["sh", "-c", "command -v redis-server redis-benchmark"],
    kind: Kind::Epoll,
    command: |site| line(&["redis-server", text(&site.config("redis.conf"))]),
    script: clients::redis_script,
    load: |site, time| {
        let talked = clients::converse(site.port, time / 2, clients::redis_line);
        talked + clients::redis_benchmark(site.port, BENCHMARK * time.as_secs())
    },
    stop: libc::SIGTERM,
    known: &[],
};

pub const NGINX: Peer = Peer {
    name: "nginx",
    package: "nginx-light, wrk and curl",
    probe: &["sh", "-c", "command -v nginx wrk curl"],
    kind: Kind::Epoll,
    command: |site| {
        site.page();
        let config = site.config("nginx.conf");
        line(&["nginx", "-e", "stderr", "-c", text(&config)])
    },
    script: |site| clients::web_script(site.port),
    load: |site, time| clients::web(site.port, time),
    stop: libc::SIGTERM,
    known: &[],
};

pub const MEMCACHED: Peer = Peer {
    name: "memcached",
    package: "memcached",
    probe: &["sh", "-c", "command -v memcached"],
    kind: Kind::Epoll,
    command: |site| {
        let port = site.port.to_string();
        // It does not run as root unless told so.
        let args = ["memcached", "-l", "127.0.0.1", "-p", &port, "-t", "4"];
        line(&[&args[..], &["-u", "root"]].concat())
    },
    script: clients::memcached_script,
    load: |site, time| clients::converse(site.port, time, clients::memcached_line),
    stop: libc::SIGTERM,
    known: &[],
};

pub const HAPROXY: Peer = Peer {
    name: "haproxy",
    package: "haproxy, wrk and curl",
    probe: &["sh", "-c", "command -v haproxy wrk curl"],
    kind: Kind::Epoll,
    command: |site| line(&["haproxy", "-f", text(&site.config("haproxy.cfg"))]),
    script: |site| clients::echo_script(site) + &clients::web_script(site.second),
    load: |site, time| {
        let talked = clients::converse(site.port, time / 2, clients::echo_line);
        talked + clients::web(site.second, time / 2)
    },
    stop: libc::SIGTERM,
    known: &[],
};

pub const LIGHTTPD: Peer = Peer {
    name: "lighttpd",
    package: "lighttpd, wrk and curl",
    probe: &["sh", "-c", "command -v lighttpd wrk curl"],
    kind: Kind::Epoll,
    command: |site| {
        site.page();
        line(&["lighttpd", "-D", "-f", text(&site.config("lighttpd.conf"))])
    },
    script: |site| clients::web_script(site.port),
    load: |site, time| clients::web(site.port, time),
    stop: libc::SIGTERM,
    // While a client on a connection that is kept asks soon enough, it is served before the others of the batch.
    known: &["greedy-handler"],
};

pub const NODE: Peer = Peer {
    name: "node 20",
    package: "the npm package node@20, wrk and curl",
    probe: &[
        "sh",
        "-c",
        "command -v wrk curl && node -e 'process.exit(+(parseInt(process.versions.node) < 20))'",
    ],
    kind: Kind::Epoll,
    command: |site| script("node", "node_http.js", site),
    script: |site| clients::web_script(site.port),
    load: |site, time| {
        clients::web_echo(site.port, "/");
        clients::web(site.port, time)
    },
    stop: libc::SIGTERM,
    known: &[],
};

pub const ASYNCIO: Peer = Peer {
    name: "CPython asyncio",
    package: "python3",
    probe: &[PYTHON, "-c", "import asyncio"],
    command: |site| script(PYTHON, "asyncio_echo.py", site),
    ..ECHO
};

pub const TWISTED: Peer = Peer {
    name: "Twisted",
    package: "python3-twisted",
    probe: &[PYTHON, "-c", "import twisted"],
    command: |site| script(PYTHON, "twisted_echo.py", site),
    ..ECHO
};

pub const TORNADO: Peer = Peer {
    name: "Tornado",
    package: "python3-tornado, wrk and curl",
    probe: &[PYTHON, "-c", "import tornado"],
    command: |site| script(PYTHON, "tornado_http.py", site),
    script: |site| clients::web_script(site.port),
    load: |site, time| {
        clients::web_echo(site.port, "/echo");
        clients::web(site.port, time)
    },
    ..ECHO
};

pub const EVENTMACHINE: Peer = Peer {
    name: "EventMachine",
    package: "ruby-eventmachine",
    probe: &["ruby", "-e", "require 'eventmachine'"],
    command: |site| script("ruby", "eventmachine_echo.rb", site),
    ..ECHO
};

pub const COOLIO: Peer = Peer {
    name: "cool.io",
    package: "ruby-cool.io",
    probe: &["ruby", "-e", "require 'cool.io'"],
    command: |site| script("ruby", "coolio_echo.rb", site),
    ..ECHO
};

pub const LIBEV: Peer = Peer {
    name: "libev",
    package: "libev-dev and gcc",
    probe: &["sh", "-c", "echo '#include <ev.h>' | gcc -E -"],
    command: |site| compiled("libev_echo.c", &["-lev"], site),
    ..ECHO
};

pub const LIBEVENT: Peer = Peer {
    name: "libevent",
    package: "libevent-dev and gcc",
    probe: &["sh", "-c", "echo '#include <event2/event.h>' | gcc -E -"],
    command: |site| compiled("libevent_echo.c", &["-levent"], site),
    ..ECHO
};

pub const LIBUV: Peer = Peer {
    name: "libuv",
    package: "libuv1-dev and gcc",
    probe: &["sh", "-c", "echo '#include <uv.h>' | gcc -E -"],
    command: |site| compiled("libuv_echo.c", &["-luv"], site),
    ..ECHO
};

pub const GLIB: Peer = Peer {
    name: "GLib main loop",
    package: "libglib2.0-dev, pkg-config and gcc",
    probe: &["sh", "-c", "command -v gcc && pkg-config glib-2.0"],
    kind: Kind::Poll,
    command: |site| {
        let flags = Command::new("pkg-config")
            .args(["--cflags", "--libs", "glib-2.0"])
            .output();
        let flags = String::from_utf8(flags.unwrap().stdout).unwrap();
        let flags: Vec<&str> = flags.split_whitespace().collect();
        compiled("glib_echo.c", &flags, site)
    },
    ..ECHO
};

pub const POLL: Peer = Peer {
    name: "poll()",
    package: "gcc",
    probe: &["gcc", "--version"],
    kind: Kind::Poll,
    command: |site| compiled("poll_echo.c", &[], site),
    ..ECHO
};

pub const SELECT: Peer = Peer {
    name: "select()",
    package: "gcc",
    probe: &["gcc", "--version"],
    kind: Kind::Select,
    command: |site| compiled("select_echo.c", &[], site),
    ..ECHO
};

pub const JAVA: Peer = Peer {
    name: "Java NIO",
    package: "default-jdk-headless",
    probe: &["sh", "-c", "command -v java javac"],
    command: |site| {
        let source = programs().join("NioEcho.java");
        builds(Command::new("javac").arg("-d").arg(site.dir()).arg(source));
        let port = site.port.to_string();
        line(&["java", "-cp", text(site.dir()), "NioEcho", &port])
    },
    ..ECHO
};

pub const TOKIO: Peer = Peer {
    name: "Tokio",
    package: "cargo",
    probe: &[env!("CARGO"), "--version"],
    command: |site| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "-q", "--locked", "--example", "tokio_echo"])
            .args((!cfg!(debug_assertions)).then_some("--release"))
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        builds(&mut cargo);
        let port = site.port.to_string();
        line(&[text(&beside_the_tests("examples/tokio_echo")), &port])
    },
    ..ECHO
};

/// What all echo servers on epoll have in common.
const ECHO: Peer = Peer {
    name: "",
    package: "",
    probe: &[],
    kind: Kind::Epoll,
    command: |_| Vec::new(),
    script: clients::echo_script,
    load: |site, time| clients::converse(site.port, time, clients::echo_line),
    stop: libc::SIGTERM,
    known: &[],
};

fn line(words: &[&str]) -> Vec<OsString> {
    words.iter().map(Into::into).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An interpreter, one of our programs, and the port.
fn script(interpreter: &str, program: &str, site: &Site) -> Vec<OsString> {
    let port = site.port.to_string();
    line(&[interpreter, text(&programs().join(program)), &port])
}

fn compiled(source: &str, libraries: &[&str], site: &Site) -> Vec<OsString> {
    let program = site.path(source.trim_end_matches(".c"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o", text(&program)]);
    builds(gcc.arg(programs().join(source)).args(libraries));
    line(&[text(&program), &site.port.to_string()])
}

fn builds(compiler: &mut Command) {
    let output = compiler.output().unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?}: {wrong}");
}

/// A file of cargo's target directory, which this test lies in.
fn beside_the_tests(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join(name)
}
