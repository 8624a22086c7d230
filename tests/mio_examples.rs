//! The mirror's promise, kept on mio's own examples: taken from the sources this crate depends on, with only the path
//! changed, they compile, run, serve, and are recorded.
//!
//! The sources are read from cargo's registry at test time, the programs built by cargo in a package of their own.
#![cfg(feature = "mio")]

use loopscope::record::event::{Kind, Op};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

mod recorded;
use recorded::Recorded;

const EXAMPLES: [&str; 3] = ["tcp_server", "udp_server", "tcp_listenfd_server"];

/// Nobody waits so long: it bounds a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command
        .arg("--offline")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Where the sources of the mio we depend on lie.
fn mio_sources() -> PathBuf {
    let version = String::from_utf8(cargo().arg("-vV").output().unwrap().stdout).unwrap();
    let host = version
        .lines()
        .find_map(|l| l.strip_prefix("host: "))
        .unwrap();
    // Without the filter cargo wants what other systems need, too.
    let out = cargo()
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--filter-platform",
            host,
        ])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let metadata = String::from_utf8(out.stdout).unwrap();
    let at = metadata.find("/mio-1.").expect("mio is a dependency");
    let start = metadata[..at].rfind('"').unwrap() + 1;
    let end = at + 1 + metadata[at + 1..].find('/').unwrap();
    PathBuf::from(&metadata[start..end])
}

/// A package with mio's examples as its programs. What they use besides mio is a logger, for which an empty one will do.
fn package(at: &Path) {
    let ours = env!("CARGO_MANIFEST_DIR");
    let manifest = format!(
        "[package]\nname = \"examples-of-mio\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [dependencies]\nloopscope = {{ path = {ours:?}, default-features = false, features = [\"mio\"] }}\n\
         env_logger = {{ path = \"env_logger\" }}\nlog = {{ path = \"log\" }}\n"
    );
    write(&at.join("Cargo.toml"), &manifest);
    fs::copy(Path::new(ours).join("Cargo.lock"), at.join("Cargo.lock")).unwrap();
    stand_in(at, "env_logger", "pub fn init() {}\n");
    // mio itself may use the real `log`; the examples' `warn!` is this one.
    stand_in(
        at,
        "log",
        "#[macro_export]\nmacro_rules! warn { ($($t:tt)*) => { eprintln!($($t)*) } }\n",
    );
    let sources = mio_sources().join("examples");
    for name in EXAMPLES {
        let source = fs::read_to_string(sources.join(name).with_extension("rs")).unwrap();
        assert!(source.contains("use mio::"), "{name} names mio");
        // Whose loop it is comes from the environment: the one line a program adds to be recorded.
        let changed = source.replace("mio::", "loopscope::mio::").replace(
            "env_logger::init();",
            "env_logger::init(); let _recorder = std::env::var(\"RECORD\").map(loopscope::Recorder::to_file).unwrap().unwrap();",
        );
        write(
            &at.join("src/bin").join(name).with_extension("rs"),
            &changed.replace("127.0.0.1:9000", "127.0.0.1:0"),
        );
        // And as it is, with only the path changed.
        let only = format!("{name}_unrecorded.rs");
        write(
            &at.join("src/bin").join(only),
            &source.replace("mio::", "loopscope::mio::"),
        );
    }
}

fn stand_in(at: &Path, name: &str, source: &str) {
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.4.99\"\nedition = \"2021\"\n");
    write(&at.join(name).join("Cargo.toml"), &manifest);
    write(&at.join(name).join("src/lib.rs"), source);
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// An example that runs.
struct Example {
    child: Child,
    out: BufReader<ChildStdout>,
    recording: PathBuf,
}

impl Example {
    fn start(mut command: Command, recording: PathBuf) -> Example {
        let mut child = command
            .env("RECORD", &recording)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Example {
            child,
            out,
            recording,
        }
    }

    fn wait_for(&mut self, said: &str) {
        let mut line = String::new();
        while !line.contains(said) {
            line.clear();
            assert_ne!(
                self.out.read_line(&mut line).unwrap(),
                0,
                "it ended before it said {said:?}"
            );
        }
    }

    /// The local port of its socket of this kind, from /proc.
    fn port(&self, table: &str) -> u16 {
        let pid = self.child.id();
        let own: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
            .map(|link| {
                link.to_string_lossy()
                    .replace("socket:[", "")
                    .replace(']', "")
            })
            .collect();
        let sockets = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap();
        let port = sockets.lines().skip(1).find_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let port = columns.get(1)?.rsplit(':').next()?;
            own.iter()
                .any(|inode| inode == columns[9])
                .then(|| u16::from_str_radix(port, 16).unwrap())
        });
        port.expect("a bound socket")
    }

    /// Kills it, as a server usually ends, and reads what it recorded until `enough`.
    fn recorded(mut self, enough: impl Fn(&Recorded) -> bool) -> Recorded {
        let complete = loop {
            if self.recording.exists() {
                let so_far = Recorded::open_growing(&self.recording);
                if enough(&so_far) {
                    break so_far;
                }
            }
            std::thread::yield_now();
        };
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        complete
    }
}

fn received(r: &Recorded) -> i64 {
    r.all(Kind::Io)
        .filter(|e| e.aux == Op::Recv.code() && e.x > 0)
        .map(|e| i64::from(e.x))
        .sum()
}

fn talk_tcp(port: u16) {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut welcome = [0; 13];
    client.read_exact(&mut welcome).unwrap();
    assert_eq!(&welcome, b"Hello world!\n");
    client.write_all(b"nine here").unwrap();
}

fn check_tcp(mut example: Example) {
    example.wait_for("Received data: nine here");
    let r = example.recorded(|r| received(r) == 9 && r.count(Kind::FdCloseEnd) > 0);
    assert!(
        r.all(Kind::Io)
            .any(|e| e.aux == Op::Send.code() && e.x == 13)
    );
    assert!(
        r.all(Kind::Io)
            .any(|e| e.aux == Op::Accept.code() && e.x > 0)
    );
    assert!(
        r.all(Kind::Io)
            .any(|e| e.aux == Op::Accept.code() && e.x == -libc::EAGAIN)
    );
    assert!(r.count(Kind::RunBegin) >= 3 && r.count(Kind::RunBegin) <= r.count(Kind::Ready));
}

#[test]
fn they_compile_run_serve_and_are_recorded() {
    let dir = tempfile::tempdir().unwrap();
    package(dir.path());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples-of-mio");
    let built = cargo()
        .args(["build", "--bins", "--manifest-path"])
        .arg(dir.path().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let program = |name: &str| Command::new(target.join("debug").join(name));

    let mut tcp = Example::start(program("tcp_server"), dir.path().join("tcp.lscope"));
    tcp.wait_for("anything you type");
    talk_tcp(tcp.port("tcp"));
    check_tcp(tcp);

    let mut udp = Example::start(program("udp_server"), dir.path().join("udp.lscope"));
    udp.wait_for("echoed back");
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
        .send_to(b"five!", ("127.0.0.1", udp.port("udp")))
        .unwrap();
    let mut echo = [0; 64];
    assert_eq!(client.recv(&mut echo).unwrap(), 5);
    let r = udp.recorded(|r| received(r) == 5);
    assert!(r.all(Kind::Ready).all(|e| e.x & libc::EPOLLIN != 0));

    // Given its listener as descriptor 3, as a service manager does.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = listener.as_raw_fd();
    let mut command = program("tcp_listenfd_server");
    command.env("LISTEN_FDS", "1");
    // SAFETY: dup2 is async-signal-safe and touches the child's descriptors only.
    unsafe {
        command.pre_exec(move || match libc::dup2(fd, 3) {
            3 => {
                // dup2 to the same number would keep it close-on-exec.
                libc::fcntl(3, libc::F_SETFD, 0);
                Ok(())
            }
            _ => Err(std::io::Error::last_os_error()),
        })
    };
    let mut listenfd = Example::start(command, dir.path().join("listenfd.lscope"));
    listenfd.wait_for("anything you type");
    talk_tcp(listener.local_addr().unwrap().port());
    check_tcp(listenfd);
}
