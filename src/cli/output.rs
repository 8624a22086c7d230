//! Where a command's result goes: stdout or a new file that is never written over by accident.
//! Step: view → **outside**.

use super::draft::{Draft, refused};
use super::error::Failure;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Something being written. Only [`Output::finish`] gives a file its name, and reports what buffered writes could not.
pub struct Output {
    to: BufWriter<Box<dyn Write>>,
    path: Option<PathBuf>,
    draft: Option<Draft>,
}

/// Whether stdout is a terminal.
pub fn stdout_is_tty() -> bool {
    io::stdout().is_terminal()
}

/// Whether there is somebody to show a screen to: a terminal both ways, and one that can place its cursor.
pub fn has_a_screen() -> bool {
    can_draw() && io::stdin().is_terminal()
}

/// Whether stdout is a terminal that can place its cursor; an editor's shell sets `TERM=dumb`.
pub fn can_draw() -> bool {
    stdout_is_tty() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// What takes bytes as they come and is nobody's file: `-`, a device such as /dev/null, a named pipe.
pub fn is_stream(path: &Path) -> bool {
    let kind = || std::fs::metadata(path).map(|m| m.file_type());
    path == Path::new("-")
        || kind().is_ok_and(|kind| kind.is_char_device() || kind.is_fifo() || kind.is_socket())
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        Output::new(Box::new(io::stdout()), None, None)
    }

    fn new(to: Box<dyn Write>, path: Option<&Path>, draft: Option<Draft>) -> Self {
        Output {
            to: BufWriter::with_capacity(1 << 16, to),
            path: path.map(Path::to_owned),
            draft,
        }
    }

    /// A file, or stdout for no path and for `-`.
    pub fn create(path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        Output::to(path, |path| Draft::create(path, force))
    }

    /// The same for what is no secret, and made to be handed out: not for its owner alone.
    pub fn shared(path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        Output::to(path, |path| Draft::shared(path, force))
    }

    fn to(
        path: Option<&Path>,
        draft: impl FnOnce(&Path) -> anyhow::Result<Draft>,
    ) -> anyhow::Result<Self> {
        match path {
            None => Ok(Self::stdout()),
            Some(path) if path == Path::new("-") => Ok(Self::stdout()),
            Some(path) if is_stream(path) => {
                let file = OpenOptions::new().write(true).open(path);
                let file = file.map_err(|e| refused(path, e))?;
                Ok(Output::new(Box::new(file), Some(path), None))
            }
            Some(path) => {
                let draft = draft(path)?;
                let file = draft.file().try_clone().map_err(|e| refused(path, e))?;
                Ok(Output::new(Box::new(file), Some(path), Some(draft)))
            }
        }
    }

    /// Flushes, the last chance to hear that the disk is full or the reader is gone, and names the file.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.to.flush().map_err(|e| self.failed(e))?;
        self.draft.take().map_or(Ok(()), Draft::keep)
    }

    /// A write error with the name of what was written.
    pub fn failed(&self, error: io::Error) -> anyhow::Error {
        failed(self.path.as_deref(), error)
    }

    /// Writes all of a file.
    pub fn copy(&mut self, from: &mut impl io::Read) -> anyhow::Result<()> {
        io::copy(from, &mut self.to)
            .map(drop)
            .map_err(|e| self.failed(e))
    }

    /// Writes a piece of text.
    pub fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.to.write_all(bytes).map_err(|e| self.failed(e))
    }
}

/// A write error with the name of what was written, none for stdout.
pub(super) fn failed(path: Option<&Path>, error: io::Error) -> anyhow::Error {
    let failure = match path {
        Some(path) => Failure::new(format!("cannot write {}", path.display())),
        None => Failure::new("cannot write to standard output"),
    };
    full(failure, &error).because(error).into()
}

/// Advice for what does not fit where it is written to.
pub(super) fn full(failure: Failure, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failure.hint("free some space or write elsewhere")
        }
        io::ErrorKind::FileTooLarge => {
            failure.hint("raise the limit on the size of files (ulimit -f) or write a smaller part")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_never_written_over_without_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut first = Output::create(Some(&path), false).unwrap();
        first.text("one").unwrap();
        first.finish().unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Output::create(Some(&path), false).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        Output::create(Some(&path), true).unwrap().finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_full_disk_is_said() {
        let mut out = Output::create(Some(Path::new("/dev/full")), false).unwrap();
        out.text("x").unwrap();
        let error = out.finish().unwrap_err();
        assert!(
            format!("{error:#}").contains("cannot write /dev/full"),
            "{error:#}"
        );
    }
}
