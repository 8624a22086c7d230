//! Programs of others, unmodified: which are installed, how each is started on an address of its own, and how it is asked for something
//! small and for something large. Nothing of them is written outside of one directory. Step: **event** → ring.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A large question has so many pieces.
pub const PIECES: u64 = 12;
/// Bytes of a piece of what nginx compresses.
const PIECE: u64 = 640 * 1024;
/// How long a program may take until it answers, and until it has gone.
const PATIENCE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(2);

/// A program that may be installed.
#[derive(Debug)]
pub struct Program {
    /// What people call it.
    pub name: &'static str,
    /// What is started.
    file: &'static str,
    /// How to install it.
    pub package: &'static str,
    /// How an interpreter is asked for its own file: what is found may be a script that looks for it.
    itself: &'static [&'static str],
    /// Its arguments, once its files are written.
    arguments: fn(&Path, SocketAddr) -> io::Result<Vec<String>>,
    /// Asks for so many pieces of work; for none it is the smallest question there is.
    question: fn(u64) -> String,
    /// What an answer ends with: to the smallest question, and to others.
    end: [&'static str; 2],
}

/// All of them: an interpreter of commands, a web server, two languages with a loop inside.
pub static ALL: [Program; 4] = [
    Program {
        name: "redis",
        file: "redis-server",
        package: "apt install redis-server, dnf install redis",
        itself: &[],
        arguments: |place, at| {
            let options = format!("--bind {} --port {} --appendonly no", at.ip(), at.port());
            let mut all: Vec<String> = options.split(' ').map(str::to_owned).collect();
            let place = place.to_string_lossy().into_owned();
            all.extend([
                "--save".to_owned(),
                String::new(),
                "--dir".to_owned(),
                place,
            ]);
            Ok(all)
        },
        question: |pieces| match pieces {
            0 => "PING\r\n".to_owned(),
            n => format!(
                "EVAL 'local x = 0 for i = 1, {n} * 330000 do x = x + i end return 0' 0\r\n"
            ),
        },
        end: ["\r\n", "\r\n"],
    },
    Program {
        name: "nginx",
        file: "nginx",
        package: "apt install nginx-light, dnf install nginx",
        itself: &[],
        arguments: |place, at| {
            for pieces in [1, PIECES] {
                // Zeroes, which take no room on the disk.
                std::fs::File::create(place.join(pieces.to_string()))?.set_len(pieces * PIECE)?;
            }
            let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let kept = kept
                .map(|what| format!("{what}_temp_path {what};"))
                .concat();
            let config = format!(
                "daemon off; master_process off; pid nginx.pid; events {{}} http {{ access_log off; {kept} gzip on; gzip_comp_level 9;\n\
                 default_type text/html; keepalive_requests 1000000; server {{ listen {at}; root {place:?};\n\
                 location = /0 {{ return 200 '.'; }} }} }}\n"
            );
            std::fs::write(place.join("nginx.conf"), config)?;
            let prefix = place.to_string_lossy().into_owned();
            Ok(["-e", "stderr", "-c", "nginx.conf", "-p", &prefix]
                .map(str::to_owned)
                .into())
        },
        question: |pieces| {
            format!("GET /{pieces} HTTP/1.1\r\nHost: demo\r\nAccept-Encoding: gzip\r\n\r\n")
        },
        end: ["\r\n\r\n.", "\r\n0\r\n\r\n"],
    },
    Program {
        name: "python",
        file: "python3",
        package: "apt install python3, dnf install python3",
        itself: &["-c", "import sys; print(sys.executable)"],
        arguments: |place, at| script(place, at, "server.py", include_str!("foreign/server.py")),
        question: |pieces| format!("{pieces}\n"),
        end: [".\n", ".\n"],
    },
    Program {
        name: "node",
        file: "node",
        package: "apt install nodejs, dnf install nodejs",
        itself: &["-p", "process.execPath"],
        arguments: |place, at| script(place, at, "server.js", include_str!("foreign/server.js")),
        question: |pieces| format!("{pieces}\n"),
        end: [".\n", ".\n"],
    },
];

/// The arguments of an interpreter: a script of ours, and where it listens.
fn script(place: &Path, at: SocketAddr, name: &str, text: &str) -> io::Result<Vec<String>> {
    std::fs::write(place.join(name), text)?;
    Ok(vec![
        name.to_owned(),
        at.ip().to_string(),
        at.port().to_string(),
    ])
}

/// All of them, and the files of those that are installed.
pub fn find() -> Vec<(&'static Program, Option<PathBuf>)> {
    thread::scope(|scope| {
        let asked = ALL.each_ref().map(|one| (one, scope.spawn(|| one.find())));
        let told = asked.map(|(one, file)| (one, file.join().ok().flatten()));
        told.into()
    })
}

impl Program {
    /// Its file, if it is installed.
    fn find(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Where servers are, and an ordinary user does not look.
        let more = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
        let file = (std::env::split_paths(&path).chain(more))
            .map(|folder| folder.join(self.file))
            .find(|file| file.is_file())?;
        if self.itself.is_empty() {
            return Some(file);
        }
        let said = Command::new(file).args(self.itself).output().ok()?.stdout;
        let own = PathBuf::from(String::from_utf8(said).ok()?.trim());
        own.is_file().then_some(own)
    }

    /// Starts it, recorded, and waits until it listens. The thread that starts it must outlive it.
    pub fn start(&'static self, file: &Path, place: &Path) -> io::Result<Server> {
        let place = place.join(self.name);
        std::fs::create_dir_all(&place)?;
        // It is told of its folder from within, where a relative name would be another.
        let place = place.canonicalize()?;
        let mut command = Command::new(file);
        command.args((self.arguments)(&place, self.address())?);
        command
            .current_dir(&place)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // The shim is for it, not for us.
        if let Some(shim) = std::env::var_os("LOOPSCOPE_SHIM") {
            command.env("LD_PRELOAD", shim).env_remove("LOOPSCOPE_SHIM");
        }
        // SAFETY: one system call with integers, which is allowed between fork and exec.
        unsafe {
            // However this thread ends, it ends as well.
            command.pre_exec(
                || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                },
            );
        }
        let mut server = Server {
            program: self,
            child: command.spawn()?,
        };
        let until = Instant::now() + PATIENCE;
        while let Err(error) = server.connect() {
            if Instant::now() >= until || server.child.try_wait()?.is_some() {
                let why = format!(
                    "{} does not listen on {}: {error}",
                    self.name,
                    self.address()
                );
                return Err(io::Error::other(why));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// An address for this process alone: its number names a host that is this one, and no connection has such a port by itself.
    fn address(&self) -> SocketAddr {
        let number = 0x7f00_0000 | 0x80_0000 | (std::process::id() & 0x7f_ffff);
        let at = ALL
            .iter()
            .position(|one| one.name == self.name)
            .unwrap_or(0);
        SocketAddr::from((Ipv4Addr::from(number), 20_701 + at as u16))
    }
}

/// One that runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    program: &'static Program,
    child: Child,
}

impl Server {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client of it.
    pub fn connect(&self) -> io::Result<Client> {
        let stream = TcpStream::connect(self.program.address())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client {
            program: self.program,
            stream,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: no memory is passed; a child that has not been waited for keeps its number.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let until = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        // One that is gone cannot be killed, and that is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to it.
#[derive(Debug)]
pub struct Client {
    program: &'static Program,
    stream: TcpStream,
}

impl Client {
    /// Asks for so many pieces of work.
    pub fn ask(&mut self, pieces: u64) -> io::Result<()> {
        self.stream
            .write_all((self.program.question)(pieces).as_bytes())
    }

    /// Waits for the answer to that.
    pub fn answer(&mut self, pieces: u64) -> io::Result<()> {
        let end = self.program.end[usize::from(pieces > 0)].as_bytes();
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while !all.ends_with(end) {
            match self.stream.read(&mut part)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                n => all.extend_from_slice(&part[..n]),
            }
        }
        Ok(())
    }
}
