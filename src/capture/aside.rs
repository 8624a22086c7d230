//! The recording that a new one replaces, kept under a second name until the new one tells of something. Step: none of the pipeline.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Dropped, the old file has its own name back, if that is free.
#[derive(Debug)]
pub struct Aside {
    path: PathBuf,
    kept: PathBuf,
}

impl Aside {
    /// Of the file at `path`, if there is one; nothing on a file system without second names.
    pub fn of(path: &Path) -> Option<Aside> {
        let mut kept = path.as_os_str().to_owned();
        kept.push(format!(".{}.old", std::process::id()));
        let kept = PathBuf::from(kept);
        fs::hard_link(path, &kept).ok()?;
        let path = path.to_owned();
        Some(Aside { path, kept })
    }

    /// There is something to replace it.
    pub fn forget(self) {
        // What is left behind is the old file, and nobody would be helped by an error now.
        let _ = fs::remove_file(&self.kept);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // A new file that nobody has judged is not ours to throw away: both stay. Forgotten, there is nothing to link.
        let free = fs::hard_link(&self.kept, &self.path).is_ok();
        if free || is_same(&self.kept, &self.path) {
            let _ = fs::remove_file(&self.kept);
        }
    }
}

/// Two names of one file: nothing has replaced it.
fn is_same(a: &Path, b: &Path) -> bool {
    let file = |path: &Path| fs::symlink_metadata(path).ok().map(|m| (m.dev(), m.ino()));
    file(a).is_some() && file(a) == file(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let all = fs::read_dir(dir).unwrap();
        let mut all: Vec<_> = all
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn the_old_file_comes_back_unless_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert!(Aside::of(&path).is_none());
        fs::write(&path, "old").unwrap();
        // Nothing has replaced it.
        drop(Aside::of(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a"]);
        // Something has, and is gone.
        let replace = |text: &str| {
            fs::write(dir.path().join("b"), text).unwrap();
            fs::rename(dir.path().join("b"), &path).unwrap();
        };
        let aside = Aside::of(&path).unwrap();
        replace("new");
        fs::remove_file(&path).unwrap();
        drop(aside);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a"]);
        let aside = Aside::of(&path).unwrap();
        replace("new");
        aside.forget();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["a"]);
        // Nobody has said what the newest is worth.
        let aside = Aside::of(&path).unwrap();
        replace("newest");
        let kept = aside.kept.clone();
        drop(aside);
        assert_eq!(fs::read(&path).unwrap(), b"newest");
        assert_eq!(fs::read(kept).unwrap(), b"new");
    }
}
