//! The source at the line that runs: carried by a demo's recording, else the file that the program's debug information
//! names, if it is on this machine. Step: trace → model → **view**.

use super::App;
use crate::tui::player::Row;
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

/// Larger files are no source that anybody wrote.
const LARGEST: u64 = 4 << 20;

/// What a recording may have us open by its name: nothing but program text.
const ENDINGS: &[&str] = &[
    "c", "h", "cc", "hh", "cpp", "hpp", "cxx", "hxx", "inc", "inl", "ipp", "tcc", "rs", "go", "s",
    "S", "asm", "d", "zig", "f90", "m", "mm", "y", "l", "java", "py", "pyx", "swift", "nim", "pas",
    "adb", "ads",
];

/// A source file.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Its name: a path, or what a demo calls it.
    pub name: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// It is younger than the recording: its lines may be others by now.
    pub changed: bool,
}

/// Files of this machine, one at a time.
#[derive(Debug, Default)]
pub struct Files {
    /// The one shown.
    pub open: Option<Source>,
    missing: HashSet<String>,
}

impl Files {
    /// Opens a file, or keeps it open; false if that cannot be done.
    fn open(&mut self, path: &str, started: SystemTime) -> bool {
        if self.open.as_ref().is_some_and(|source| source.name == path) {
            return true;
        }
        if self.missing.contains(path) {
            return false;
        }
        match read(path, started) {
            Some(source) => {
                self.open = Some(source);
                true
            }
            None => {
                self.missing.insert(path.to_owned());
                false
            }
        }
    }
}

fn read(path: &str, started: SystemTime) -> Option<Source> {
    let ending = Path::new(path).extension()?.to_str()?;
    if !path.starts_with('/') || !ENDINGS.contains(&ending) {
        return None;
    }
    // A pipe or device would hold us up, or never end.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(Source {
        name: path.to_owned(),
        lines: text.lines().map(str::to_owned).collect(),
        changed: meta.modified().is_ok_and(|when| when > started),
    })
}

impl App {
    /// What is shown, and the line in it that runs.
    pub fn source(&self) -> Option<(&Source, Option<usize>)> {
        let source = self.source.as_ref().or(self.files.open.as_ref())?;
        let base = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let line = self
            .line
            .as_ref()
            .filter(|(file, _)| base(file) == base(&source.name));
        Some((source, line.map(|(_, line)| *line as usize)))
    }

    /// Finds the line that the latest of these events was called from; a file is opened for it if need be. Calls of
    /// libraries without a source here are passed over for what called before them.
    pub(super) fn find_line(&mut self, before: &[Row]) {
        let started = self.player.reader().meta().started_ns;
        let started = SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(started);
        self.line = None;
        // What the shown loop's threads called, before what any other did.
        let own: Vec<u32> = (self.the_loop().into_iter().flat_map(|l| &l.threads))
            .filter_map(|t| Some(self.model().threads().get(t.thread as usize)?.number))
            .collect();
        let placed = before.iter().rev().filter(|r| r.event.site != 0);
        let mine = |r: &&Row| own.contains(&r.event.thread);
        let rows: Vec<&Row> = (placed.clone().filter(mine))
            .chain(placed.filter(|r| !mine(r)))
            .collect();
        for row in rows {
            let threads = self.model().threads();
            let Some(thread) = threads.iter().find(|t| t.number == row.event.thread) else {
                continue;
            };
            let Some(place) = self.place(thread.process, row.event.site) else {
                continue;
            };
            let Some((file, line)) = place.line() else {
                continue;
            };
            if self.source.is_some() || self.files.open(file, started) {
                self.line = Some((file.to_owned(), line));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_program_text_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        let write = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let source = read(&write("a.c", b"one\ntwo \xff\n"), long_ago).unwrap();
        assert_eq!(source.lines, ["one", "two \u{fffd}"]);
        assert!(
            source.changed
                && !read(
                    &write("a.c", b""),
                    SystemTime::now() + std::time::Duration::from_secs(9)
                )
                .unwrap()
                .changed
        );
        assert!(read(&write("id_rsa", b"secret"), long_ago).is_none());
        assert!(read("relative.c", long_ago).is_none());
        let pipe = dir.path().join("pipe.c");
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        assert!(read(pipe.to_str().unwrap(), long_ago).is_none());
        let mut files = Files::default();
        assert!(!files.open("/no/such/file.c", long_ago) && files.open.is_none());
    }
}
