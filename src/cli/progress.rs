//! A progress bar on stderr for what takes longer than a moment; nothing where nobody watches.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Nothing is shown before this much time: most recordings are read at once.
const PATIENCE: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(100);
const WIDTH: usize = 40;

/// A bar that appears when it is needed and removes itself.
pub struct Progress {
    what: &'static str,
    started: Instant,
    shown: Option<Instant>,
    watched: bool,
}

impl Progress {
    /// A bar for an activity: "reading".
    pub fn new(what: &'static str) -> Self {
        let watched = std::io::stderr().is_terminal();
        Progress {
            what,
            started: Instant::now(),
            shown: None,
            watched,
        }
    }

    /// How much is done, 0 to 1.
    pub fn show(&mut self, done: f64) {
        let due = match self.shown {
            None => self.started.elapsed() >= PATIENCE,
            Some(last) => last.elapsed() >= BETWEEN,
        };
        if self.watched && due {
            self.shown = Some(Instant::now());
            let filled = (done.clamp(0.0, 1.0) * WIDTH as f64) as usize;
            let bar = "█".repeat(filled) + &"░".repeat(WIDTH - filled);
            self.write(&format!("\r{} {bar} {:3.0} %", self.what, done * 100.0));
        }
    }

    /// Removes the bar.
    pub fn clear(&mut self) {
        if self.shown.take().is_some() {
            self.write("\r\x1b[K");
        }
    }

    fn write(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // A bar that cannot be drawn is no reason to stop.
        let _ = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
