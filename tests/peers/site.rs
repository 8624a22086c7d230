//! Where one run of a server takes place: a directory, ports nobody else has, files made from the templates.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// What a server may take until it answers: a JVM on a busy machine takes seconds.
const START: Duration = Duration::from_secs(60);

pub struct Site {
    dir: tempfile::TempDir,
    /// Where the server listens.
    pub port: u16,
    /// A second port, for a server that has two doors.
    pub second: u16,
    /// An echo server of the test's own, for a server that passes on.
    pub backend: u16,
}

impl Site {
    pub fn new() -> Site {
        let dir = tempfile::Builder::new().prefix("peer").tempdir().unwrap();
        // Workers that give up root read from here, too.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (port, second) = two_free_ports();
        let backend = echo_in_this_process();
        Site {
            dir,
            port,
            second,
            backend,
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// A template of tests/peers/programs with this run's ports and directory in it.
    pub fn config(&self, name: &str) -> PathBuf {
        let text = fs::read_to_string(programs().join(name)).unwrap();
        let text = text
            .replace("@PORT@", &self.port.to_string())
            .replace("@SECOND@", &self.second.to_string())
            .replace("@BACKEND@", &self.backend.to_string())
            .replace("@DIR@", self.dir().to_str().unwrap());
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A page to serve.
    pub fn page(&self) {
        let www = self.path("www");
        fs::create_dir_all(&www).unwrap();
        fs::write(www.join("index.html"), "hello\n").unwrap();
    }

    /// Waits until the server lets somebody in; `alive` says whether it still runs.
    pub fn wait_for_server(&self, mut alive: impl FnMut() -> bool) -> Result<(), String> {
        let until = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if !alive() {
                return Err("it ended before it listened".to_owned());
            }
            if Instant::now() > until {
                return Err(format!("it does not listen after {START:?}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Where the servers' sources lie.
pub fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/programs")
}

fn two_free_ports() -> (u16, u16) {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (one, two) = (listen(), listen());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    (port(&one), port(&two))
}

/// A thread for each connection; they end with their clients.
fn echo_in_this_process() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = |mut stream: TcpStream| {
        let mut piece = [0; 65536];
        while let Ok(n @ 1..) = stream.read(&mut piece) {
            if stream.write_all(&piece[..n]).is_err() {
                break;
            }
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(stream));
        }
    });
    port
}
