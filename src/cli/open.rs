//! Opening a recording for a command, and telling what is wrong with one that can be read all the same.
//! Step: **trace** → model.

use crate::text::visible;
use crate::trace::{self, Reader};
use std::io::Write;
use std::path::Path;

/// Opens a recording; what cannot be read at all is an error (exit code 125).
pub fn open(path: &Path) -> Result<Reader, trace::Error> {
    Reader::open(path)
}

/// A line on stderr for everything damaged or missing. Damage is data: the command goes on.
pub fn warn(reader: &Reader, path: &Path) {
    warn_of(path, reader.problems().iter().map(ToString::to_string));
}

/// The same for problems already put into words.
pub fn warn_of(path: &Path, problems: impl Iterator<Item = String>) {
    const MOST: usize = 10;
    let mut stderr = std::io::stderr().lock();
    let file = visible(&path.display().to_string()).into_owned();
    for (at, problem) in problems.enumerate() {
        // Nobody is left to tell when stderr fails.
        let _ = match at {
            0..MOST => writeln!(stderr, "warning: {file}: {}", visible(&problem)),
            MOST => writeln!(
                stderr,
                "warning: {file}: more of the kind; loopscope info lists all"
            ),
            _ => Ok(()),
        };
    }
}

/// A line on stderr that is no warning: what was made, what to type next.
pub fn note(text: &str) {
    // Nobody is left to tell when stderr fails.
    let _ = writeln!(std::io::stderr().lock(), "{}", visible(text));
}
