//! Where a command's result goes: stdout or a new file that is never written over by accident.
//! Step: view → **outside**.

use super::error::Failure;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Something being written. [`Output::finish`] reports what buffered writes could not.
pub struct Output {
    to: BufWriter<Box<dyn Write>>,
    path: Option<PathBuf>,
}

/// Whether stdout is a terminal.
pub fn stdout_is_tty() -> bool {
    io::stdout().is_terminal()
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        let to: Box<dyn Write> = Box::new(io::stdout());
        Output {
            to: BufWriter::with_capacity(1 << 16, to),
            path: None,
        }
    }

    /// A file, or stdout for no path and for `-`.
    pub fn create(path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        match path {
            None => Ok(Self::stdout()),
            Some(path) if path == Path::new("-") => Ok(Self::stdout()),
            Some(path) => {
                let to: Box<dyn Write> = Box::new(create_file(path, force)?);
                Ok(Output {
                    to: BufWriter::with_capacity(1 << 16, to),
                    path: Some(path.to_owned()),
                })
            }
        }
    }

    /// Flushes; the last chance to hear that the disk is full or the reader is gone.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.to.flush().map_err(|e| self.failed(e))
    }

    /// A write error with the name of what was written.
    pub fn failed(&self, error: io::Error) -> anyhow::Error {
        let failure = match &self.path {
            Some(path) => Failure::new(format!("cannot write {}", path.display())),
            None => Failure::new("cannot write to standard output"),
        };
        let failure = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                failure.hint("free some space or write elsewhere")
            }
            io::ErrorKind::FileTooLarge => failure.hint("raise the file size limit (ulimit -f)"),
            _ => failure,
        };
        failure.because(error).into()
    }

    /// Writes all of a file.
    pub fn copy(&mut self, from: &mut File) -> anyhow::Result<()> {
        io::copy(from, &mut self.to)
            .map(drop)
            .map_err(|e| self.failed(e))
    }

    /// Writes a piece of text.
    pub fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.to
            .write_all(text.as_bytes())
            .map_err(|e| self.failed(e))
    }
}

/// Creates a file only its owner can read: recordings and what is made from them can hold secrets.
pub fn create_file(path: &Path, force: bool) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_CLOEXEC);
    match force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    options.open(path).map_err(|error| {
        let failure = Failure::new(format!("cannot create {}", path.display()));
        let failure = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                failure.hint("choose another name with -o, or pass --force to replace it")
            }
            io::ErrorKind::NotFound => failure.hint("create the directory first"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                failure.hint("choose a place you can write to with -o")
            }
            _ => failure,
        };
        failure.because(error).into()
    })
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
        let mut out = Output::create(Some(Path::new("/dev/full")), true).unwrap();
        out.text("x").unwrap();
        let error = out.finish().unwrap_err();
        assert!(
            format!("{error:#}").contains("cannot write /dev/full"),
            "{error:#}"
        );
    }
}
