//! What the tests of the command line share: running the binary with pipes or in a real pty, and a temporary place.
#![allow(dead_code)] // each test binary uses its own part

pub mod late;
pub mod recording;
pub mod screen;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary under test, with an environment that does not depend on who runs the tests.
pub fn loopscope() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopscope"));
    command.stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "LOOPSCOPE_SESSION", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end with pipes for stdout and stderr.
pub fn run(args: &[&str]) -> Ended {
    Ended::of(loopscope().args(args).output().unwrap())
}

/// Copies the binary, by a process of its own: a descriptor of ours that writes to it would be inherited by whatever another
/// test's thread is about to start, and until that has begun nobody can run the copy.
pub fn copy_of_the_binary(to: &Path) {
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_loopscope")).arg(to);
    assert!(copy.status().unwrap().success());
}

/// How a run ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = output
            .status
            .code()
            .unwrap_or_else(|| 128 + output.status.signal().unwrap());
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        Ended {
            code,
            stdout,
            stderr,
        }
    }

    /// Asserts the exit code and shows everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\nstdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    /// Asserts that it failed with an `error:` that contains a piece and with a `hint:`.
    #[track_caller]
    pub fn fails(self, code: i32, piece: &str) -> Self {
        let ended = self.exits(code);
        let error = ended.stderr.lines().find(|l| l.starts_with("error: "));
        assert!(error.is_some(), "no error line:\n{}", ended.stderr);
        assert!(
            ended.stderr.contains(piece),
            "`{piece}` is not in:\n{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("hint: ") || code == 2,
            "no hint:\n{}",
            ended.stderr
        );
        ended
    }
}

/// `loopscope demo` with these arguments (`--force` among them where a file is kept), again as long as it says itself that the
/// machine left nobody able to tell whether its claim holds; and told each time, past the harness that keeps a test's words.
pub fn judged(args: &[&str]) -> Ended {
    use std::io::Write;
    let mut left = 9;
    loop {
        let ended = run(&[&["demo"], args].concat());
        if ended.code != 3 || left == 0 {
            return ended;
        }
        left -= 1;
        let why = ended.stdout.lines().last().unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "demo {}, once more:{why}",
            args.join(" ")
        );
    }
}

/// A directory that goes away with the test.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with this content, as a command line argument.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.arg(name)
    }

    /// A copy of the binary that anybody may run, for tests that give up root.
    pub fn public_binary(&self) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let copy = self.path("loopscope");
        copy_of_the_binary(&copy);
        for path in [self.0.path(), &copy] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        copy
    }

    pub fn arg(&self, name: &str) -> String {
        text(&self.path(name))
    }
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A recording of 2,000 turns, as a command line argument.
pub fn recorded(place: &Place, name: &str) -> String {
    recording::write(&place.path(name), 7, 2_000);
    place.arg(name)
}

/// A recording that says it was made by a version nobody has written yet, as a command line argument.
pub fn newer(place: &Place, name: &str) -> String {
    let file = recorded(place, name);
    let mut bytes = std::fs::read(&file).unwrap();
    // docs/FORMAT.md: version and oldest reader at 8 and 10, the body's length at 12, the checksum at 40.
    bytes[8..12].fill(0x7f);
    let body = 44 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[..40]);
    sum.update(&bytes[44..body]);
    bytes[40..44].copy_from_slice(&sum.finalize().to_le_bytes());
    place.file(name, bytes)
}

/// Exports, reports, and lets the script compare them; returns what it said.
pub fn recompute(place: &Place, recording: &str) -> String {
    let export = run(&["export", recording, "--to", "ndjson"])
        .exits(0)
        .stdout;
    let report = run(&["report", recording, "--json", "--top", "1000000"])
        .exits(0)
        .stdout;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recompute.py");
    let files = [
        place.file("events.ndjson", export),
        place.file("report.json", report),
    ];
    let output = Command::new("python3").arg(script).args(files).output();
    let output =
        output.unwrap_or_else(|e| panic!("python3: {e}; tests/run installs what the tests need"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{recording}:\n{said}");
    said
}
