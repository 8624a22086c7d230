//! Files that belong together, in one directory: none has its name before all are whole. Step: view → **outside**.

use super::draft::{Draft, refused};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// See the [module](self).
pub(super) struct Folder {
    path: PathBuf,
    force: bool,
    shared: bool,
    /// It was not there before.
    made: bool,
    drafts: Vec<Draft>,
}

impl Folder {
    /// A directory that is there or is made now; files in it are replaced only with `force`. Anybody may read what is `shared`.
    pub fn create(path: &Path, force: bool, shared: bool) -> anyhow::Result<Folder> {
        let made = match std::fs::create_dir(path) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => false,
            Err(e) => return Err(refused(path, e)),
        };
        Ok(Folder {
            path: path.to_owned(),
            force,
            shared,
            made,
            drafts: Vec::new(),
        })
    }

    /// One more file.
    pub fn add(&mut self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let draft = match self.shared {
            true => Draft::shared(&path, self.force)?,
            false => Draft::create(&path, self.force)?,
        };
        let written = draft.file().write_all(content);
        written.map_err(|e| super::output::failed(Some(&path), e))?;
        self.drafts.push(draft);
        Ok(())
    }

    /// All are whole: they get their names, in their order.
    pub fn keep(mut self) -> anyhow::Result<()> {
        self.drafts.drain(..).try_for_each(Draft::keep)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.drafts.clear();
        if self.made {
            // One that has files in it stays.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slides");
        let mut folder = Folder::create(&path, false, false).unwrap();
        folder.add("a", b"1").unwrap();
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
        drop(folder);
        assert!(!path.exists());

        let mut folder = Folder::create(&path, false, false).unwrap();
        folder.add("a", b"1").unwrap();
        folder.keep().unwrap();
        assert_eq!(std::fs::read(path.join("a")).unwrap(), b"1");

        // A directory that is there may have other files; those that would be replaced are told before any is written.
        let mut again = Folder::create(&path, false, false).unwrap();
        again.add("b", b"2").unwrap();
        let told = format!("{:#}", again.add("a", b"2").unwrap_err());
        assert!(told.contains("a exists"), "{told}");
        drop(again);
        assert!(!path.join("b").exists() && path.join("a").exists());
        let mut forced = Folder::create(&path, true, false).unwrap();
        forced.add("a", b"2").unwrap();
        forced.keep().unwrap();
        assert_eq!(std::fs::read(path.join("a")).unwrap(), b"2");
        assert!(Folder::create(&path.join("a"), false, false).is_err());
        assert!(Folder::create(&path.join("no/where"), false, false).is_err());
    }
}
