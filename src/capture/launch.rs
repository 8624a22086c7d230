//! Starts the program to record, in our own terminal or in a pty of its own, and watches its life.
//! Step: none of the pipeline; it makes the process whose events enter the rings.

use super::pty::{self, Pty};
use super::{inherited, preload, procfs};
use crate::record::handshake;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// What ld.so loads before anything else.
pub const LD_PRELOAD: &str = "LD_PRELOAD";
/// Where a program of ours finds what is to stand there for those that it starts.
pub const SHIM: &str = "LOOPSCOPE_SHIM";

/// Where the child's standard streams go.
#[derive(Clone, Copy, Debug)]
pub enum Streams {
    /// Ours.
    Inherit,
    /// Ours, but its stdout goes to our stderr: our stdout carries the recording.
    StdoutToStderr,
    /// A pty of its own with this many rows and columns.
    Pty(pty::Size),
}

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such program: exit code 127.
    #[error("cannot start {0}: no such program; check the name or give its path")]
    NotFound(String),
    /// It is there, and what it names as its interpreter is not: exit code 127.
    #[error(
        "cannot start {0}: the interpreter it names does not exist; a script names one in its first line, of a binary `file` tells it"
    )]
    NoInterpreter(String),
    /// It is a directory: exit code 126.
    #[error("cannot start {0}: it is a directory; name a program in it")]
    Directory(String),
    /// It is no program: exit code 126.
    #[error("cannot start {0}: it is not executable; chmod +x it, or put its interpreter in front")]
    NotExecutable(String),
    /// Something else.
    #[error("cannot start {0}")]
    Other(String, #[source] io::Error),
}

/// A started program.
#[derive(Debug)]
pub struct Launched {
    /// To wait for.
    pub child: Child,
    /// To signal it without the risk of meeting a process that reused its number.
    pub pidfd: OwnedFd,
    /// Its terminal.
    pub pty: Option<Pty>,
}

/// Starts `argv` with the session's socket in its environment, and the preload shim if there is one: in which
/// variable, and its file.
pub fn launch(
    argv: &[OsString],
    session: &Path,
    shim: Option<(&str, &Path)>,
    streams: Streams,
) -> Result<Launched, Error> {
    let name = argv.first().cloned().unwrap_or_default();
    let shown = crate::text::visible(&name.to_string_lossy()).into_owned();
    let file = || std::fs::metadata(preload::program(&name)?).ok();
    let explain = |error: io::Error| match error.raw_os_error() {
        Some(libc::ENOENT) if file().is_some() => Error::NoInterpreter(shown.clone()),
        Some(libc::ENOENT) => Error::NotFound(shown.clone()),
        Some(libc::EACCES) if file().is_some_and(|f| f.is_dir()) => Error::Directory(shown.clone()),
        Some(libc::EACCES | libc::ENOEXEC | libc::EISDIR) => Error::NotExecutable(shown.clone()),
        _ => Error::Other(shown.clone(), error),
    };
    let mut command = Command::new(&name);
    command.args(argv.iter().skip(1));
    let preloaded = shim.map(|(variable, shim)| {
        let (program, existing) = (preload::program(&name), std::env::var_os(LD_PRELOAD));
        let value = preload::variable(shim, program.as_deref(), existing.as_deref());
        (variable, value)
    });
    let mut variables = vec![(handshake::ENV, session.as_os_str())];
    variables.extend(
        preloaded
            .as_ref()
            .map(|(name, value)| (*name, value.as_os_str())),
    );
    let ours = match streams {
        Streams::Inherit => inherited::ALL,
        Streams::StdoutToStderr => inherited::ALL & !inherited::STDOUT,
        Streams::Pty(_) => inherited::NONE,
    };
    inherited::pass_on(&mut command, &variables, ours).map_err(explain)?;
    let (child, pty) = match streams {
        Streams::Inherit => (command.spawn().map_err(explain)?, None),
        Streams::StdoutToStderr => {
            let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(explain)?;
            let child = command.stdout(Stdio::from(stderr)).spawn();
            (child.map_err(explain)?, None)
        }
        Streams::Pty(size) => {
            let (child, pty) = pty::spawn(command, size).map_err(explain)?;
            (child, Some(pty))
        }
    };
    let pidfd = pidfd_open(child.id() as i32).map_err(|e| Error::Other(shown.clone(), e))?;
    Ok(Launched { child, pidfd, pty })
}

/// A descriptor that is readable once the process has ended.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new close-on-exec descriptor or −1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `struct pidfd_info` of linux/pidfd.h, as far as every kernel that tells of exits has it.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    /// pid, tgid, ppid, and the eight ids of users and groups.
    ids: [u32; 11],
    exit_code: i32,
}

/// PIDFD_INFO_EXIT, asked for and answered.
const INFO_EXIT: u64 = 1 << 3;
/// PIDFD_GET_INFO: `_IOWR(0xff, 11, struct pidfd_info)`.
const GET_INFO: libc::c_ulong =
    3 << 30 | (size_of::<PidfdInfo>() as libc::c_ulong) << 16 | 0xff << 8 | 11;

/// The wait status of a process of whoever's that has ended. Nothing where it has been waited for and the kernel is older
/// than 6.15, or where we may not know.
pub fn status_of(pid: i32, pidfd: &OwnedFd) -> Option<i32> {
    // It may be waited for while we ask.
    told_by(pidfd)
        .or_else(|| procfs::exit_status(pid))
        .or_else(|| told_by(pidfd))
}

/// What the kernel keeps of a process that has been waited for.
fn told_by(pidfd: &OwnedFd) -> Option<i32> {
    let mut info = PidfdInfo {
        mask: INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: a live descriptor, and room for what the request's own number says is written.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (done == 0 && info.mask & INFO_EXIT != 0).then_some(info.exit_code)
}

/// Sends a signal to the very process a pidfd stands for; an error if it is gone.
pub fn signal(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    // SAFETY: a live descriptor, an integer and a null siginfo, which the call permits.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A wait status as waitpid(2) gives it, for `ProcessEnd`.
pub fn wait_status(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.into_raw()
}

/// Lets a child that must outlive us keep its terminal: a process of its own (this binary's hidden `keep-pty`)
/// reads what it writes until it ends, because the child would be hung up if the last master closed.
pub fn keep_pty(pty: &Pty) -> io::Result<()> {
    let master: File = File::from(pty.master().try_clone()?);
    let mut keeper = Command::new("/proc/self/exe");
    keeper
        .arg("keep-pty")
        .stdin(Stdio::from(master))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    use std::os::unix::process::CommandExt;
    // A group of its own: the terminal's ^C is not for it.
    keeper.process_group(0).spawn()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(argv: &[&str]) -> Result<Launched, Error> {
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        launch(&argv, Path::new("/nowhere/socket"), None, Streams::Inherit)
    }

    #[test]
    fn a_missing_program_and_a_plain_file_are_told_apart() {
        assert!(matches!(
            run(&["/nonexistent/program"]),
            Err(Error::NotFound(_))
        ));
        assert!(matches!(
            run(&["no-such-program-anywhere"]),
            Err(Error::NotFound(_))
        ));
        assert!(matches!(
            run(&["/etc/passwd"]),
            Err(Error::NotExecutable(_))
        ));
        assert!(matches!(run(&["/etc"]), Err(Error::Directory(_))));
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
        let may_run = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&script, may_run).unwrap();
        assert!(matches!(
            run(&[script.to_str().unwrap()]),
            Err(Error::NoInterpreter(_))
        ));
    }

    #[test]
    fn the_child_sees_the_session_and_its_status_comes_back() {
        let mut launched = run(&[
            "sh",
            "-c",
            r#"test "$LOOPSCOPE_SESSION" = /nowhere/socket && exit 7"#,
        ])
        .unwrap();
        assert_eq!(launched.child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn who_was_waited_for_by_others_tells_how_it_ended() {
        // A shell waits for it, not we; it ends once there is nothing more to read.
        let script = "exec 3<&0; (read x; exit 7) <&3 & echo $!; wait";
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let (end, mut words) = (shell.stdin.take(), shell.stdout.take().unwrap());
        let mut line = [0; 16];
        let n = io::Read::read(&mut words, &mut line).unwrap();
        let pid = std::str::from_utf8(&line[..n]).unwrap().trim().parse();
        let pid = pid.unwrap();
        let pidfd = pidfd_open(pid).unwrap();
        assert_eq!(status_of(pid, &pidfd), None);
        drop(end);
        shell.wait().unwrap();
        // Older kernels do not tell.
        let status = status_of(pid, &pidfd);
        assert!(matches!(status, Some(0x700) | None), "{status:x?}");
    }

    #[test]
    fn who_has_ended_tells_how_before_anybody_waits_for_it() {
        let mut launched = run(&["sh", "-c", "exit 5"]).unwrap();
        let pid = launched.child.id() as i32;
        let mut end = libc::pollfd {
            fd: launched.pidfd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one live pollfd.
        assert_eq!(unsafe { libc::poll(&mut end, 1, -1) }, 1);
        assert_eq!(status_of(pid, &launched.pidfd), Some(0x500));
        launched.child.wait().unwrap();
    }

    #[test]
    fn a_signal_reaches_the_process_and_nobody_once_it_is_gone() {
        let mut launched = run(&["sleep", "100"]).unwrap();
        signal(&launched.pidfd, libc::SIGKILL).unwrap();
        let status = launched.child.wait().unwrap();
        assert_eq!(wait_status(status), libc::SIGKILL);
        assert_eq!(
            signal(&launched.pidfd, libc::SIGKILL)
                .unwrap_err()
                .raw_os_error(),
            Some(libc::ESRCH)
        );
    }
}
