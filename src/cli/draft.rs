//! A file in the making: it gets its name when it is whole, so that a full disk, an error or ^C leaves nothing behind
//! that looks like a result or stands in the way of the next try. Step: view → **outside**.

use super::error::Failure;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file not under its name yet. Only its owner can read it (recordings and what is made from them can hold secrets), unless
/// it is [`Draft::shared`].
pub struct Draft {
    file: File,
    path: PathBuf,
    force: bool,
    /// Where it stands meanwhile; nothing: it has no name, and goes away with us however we end.
    beside: Option<PathBuf>,
}

impl Draft {
    /// Starts a file that is to be named `path`. One that is there already is replaced only with `force`, and only
    /// when this one is whole.
    pub fn create(path: &Path, force: bool) -> anyhow::Result<Draft> {
        Draft::of_mode(path, force, 0o600)
    }

    /// The same of what is no secret, and made to be handed out. Who may read it is for the umask to say.
    pub fn shared(path: &Path, force: bool) -> anyhow::Result<Draft> {
        Draft::of_mode(path, force, 0o666)
    }

    fn of_mode(path: &Path, force: bool, mode: u32) -> anyhow::Result<Draft> {
        let failed = |e| refused(path, e);
        match std::fs::symlink_metadata(path) {
            Ok(old) if old.is_dir() => {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            Ok(_) if !force => return Err(failed(io::ErrorKind::AlreadyExists.into())),
            _ => {}
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut open = OpenOptions::new();
        open.read(true).write(true).mode(mode);
        let unnamed = open
            .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
            .open(folder);
        let (file, beside) = match unnamed {
            Ok(file) => (file, None),
            Err(e) if is_final(&e) => return Err(failed(e)),
            // Not every file system has files without a name.
            Err(_) => {
                let beside = neighbour(folder, path);
                let named = open
                    .custom_flags(libc::O_CLOEXEC)
                    .create_new(true)
                    .open(&beside);
                (named.map_err(failed)?, Some(beside))
            }
        };
        Ok(Draft {
            file,
            path: path.to_owned(),
            force,
            beside,
        })
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What it is to be called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It is whole: gives it its name.
    pub fn keep(mut self) -> anyhow::Result<()> {
        let path = self.path.clone();
        self.name().map_err(|e| refused(&path, e))
    }

    fn name(&mut self) -> io::Result<()> {
        if self.beside.is_none() {
            let to = match self.force {
                false => self.path.clone(),
                // A link never replaces a file; renaming does.
                true => neighbour(self.path.parent().unwrap_or(Path::new("")), &self.path),
            };
            link(&self.file, &to)?;
            if !self.force {
                return Ok(());
            }
            self.beside = Some(to);
        }
        let Some(beside) = &self.beside else {
            return Ok(());
        };
        if self.force {
            std::fs::rename(beside, &self.path)?;
            self.beside = None;
        } else {
            std::fs::hard_link(beside, &self.path)?;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // What cannot be removed is hidden, and says by its name what it was.
            let _ = std::fs::remove_file(beside);
        }
    }
}

/// A hidden name beside the one wanted.
fn neighbour(folder: &Path, path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    // A name may have 255 bytes; ours adds a few.
    let wanted = path.file_name().unwrap_or_default().as_bytes();
    name.push(std::ffi::OsStr::from_bytes(
        &wanted[..wanted.len().min(200)],
    ));
    name.push(format!(".{}.part", std::process::id()));
    folder.join(name)
}

/// Errors that a named file would meet just as well.
fn is_final(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    // A kernel or file system without O_TMPFILE sees a directory opened for writing.
    matches!(
        error.kind(),
        NotFound | PermissionDenied | ReadOnlyFilesystem | io::ErrorKind::NotADirectory
    )
}

fn link(file: &File, to: &Path) -> io::Result<()> {
    let from = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let to = CString::new(to.as_os_str().as_bytes())?;
    // SAFETY: two terminated strings that live through the call.
    let done = unsafe {
        libc::linkat(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Why a file of this name cannot be made, and what to do.
pub(super) fn refused(path: &Path, error: io::Error) -> anyhow::Error {
    let failure = Failure::new(format!("cannot create {}", path.display()));
    let failure = match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let exists = Failure::new(format!("{} exists", path.display()));
            return exists
                .hint("choose another name with -o, or overwrite it with --force")
                .into();
        }
        io::ErrorKind::IsADirectory => failure.hint("name a file in it"),
        io::ErrorKind::NotFound => failure.hint("create the directory first"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.hint("choose a place you can write to with -o")
        }
        _ => super::output::full(failure, &error),
    };
    failure.because(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(folder: &Path) -> Vec<String> {
        let all = std::fs::read_dir(folder).unwrap();
        all.map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for beside in [None, Some(dir.path().join(".x.part"))] {
            let mut draft = Draft::create(&path, false).unwrap();
            if let Some(beside) = beside {
                draft.file = File::create_new(&beside).unwrap();
                draft.beside = Some(beside);
            }
            draft.file().write_all(b"half").unwrap();
            assert!(!path.exists());
            drop(draft);
            assert!(names(dir.path()).is_empty());
        }
    }

    #[test]
    fn the_old_file_stands_until_the_new_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "old").unwrap();
        for (round, beside) in [None, Some(dir.path().join(".x.part"))]
            .into_iter()
            .enumerate()
        {
            let mut draft = Draft::create(&path, true).unwrap();
            if let Some(beside) = beside {
                draft.file = File::create_new(&beside).unwrap();
                draft.beside = Some(beside);
            }
            let text = format!("new {round}");
            draft.file().write_all(text.as_bytes()).unwrap();
            assert_ne!(std::fs::read_to_string(&path).unwrap(), text);
            draft.keep().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(names(dir.path()), ["x"]);
        }
    }

    #[test]
    fn what_is_made_to_be_handed_out_is_as_open_as_any_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let (plain, shared, own) = (
            dir.path().join("p"),
            dir.path().join("s"),
            dir.path().join("o"),
        );
        std::fs::write(&plain, "").unwrap();
        Draft::shared(&shared, false).unwrap().keep().unwrap();
        Draft::create(&own, false).unwrap().keep().unwrap();
        assert_eq!(mode(&shared), mode(&plain));
        assert_eq!(mode(&own), 0o600);
    }

    #[test]
    fn a_file_that_came_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let draft = Draft::create(&path, false).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        let error = format!("{:#}", draft.keep().unwrap_err());
        assert!(error.contains("x exists"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(names(dir.path()), ["x"]);
    }
}
