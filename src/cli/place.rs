//! A directory of ours under the one for temporary files, that goes away again: for what a program that we start needs to read or
//! leaves behind. Step: none of the pipeline.

use super::error::Failure;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The directory.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Place {
    /// A new one, which only we may look into.
    pub fn new() -> anyhow::Result<Place> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let name = format!(
            "loopscope-{}-{}",
            std::process::id(),
            now.unwrap_or_default().as_nanos()
        );
        let dir = std::env::temp_dir().join(name);
        // Fails if somebody was faster.
        (std::fs::DirBuilder::new().mode(0o700).create(&dir))
            .map_err(|e| Failure::new(format!("cannot make {}", dir.display())).because(e))?;
        Ok(Place(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    pub fn put(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let file = self.0.join(name);
        std::fs::write(&file, text)
            .map_err(|e| Failure::new(format!("cannot write {}", file.display())).because(e))?;
        Ok(file)
    }
}
