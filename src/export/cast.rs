//! Screens one after the other as an asciicast (v3), for asciinema and its player: a line of JSON an event, its time counted
//! from the event before it, a marker where the lesson has a step. Step: view → **outside**.

use crate::json::Json;
use crate::text::visible;
use ratatui::backend::{Backend, ClearType, CrosstermBackend};
use ratatui::buffer::Buffer;
use std::io;
use std::time::Duration;

/// A cast under way: what the terminal shows by now.
pub struct Cast {
    shown: Option<Buffer>,
    /// Passed since the last event.
    passed: Duration,
}

impl Cast {
    /// A cast of screens of this size, and its first line.
    pub fn new(title: &str, columns: u16, rows: u16) -> (Self, String) {
        let mut json = Json::new();
        json.braces(|j| {
            j.field("version", 3u32);
            j.object("term", |j| {
                j.field("cols", u32::from(columns));
                j.field("rows", u32::from(rows));
                j.field("type", "xterm-256color");
            });
            j.field("title", &*visible(title));
        });
        let cast = Cast {
            shown: None,
            passed: Duration::ZERO,
        };
        (cast, format!("{}\n", json.as_str()))
    }

    /// Time passes.
    pub fn wait(&mut self, time: Duration) {
        self.passed += time;
    }

    /// The screen is this one now. Empty where that is what it was.
    pub fn show(&mut self, screen: &Buffer) -> io::Result<String> {
        if self.shown.as_ref() == Some(screen) {
            return Ok(String::new());
        }
        let data = written(|terminal| match &self.shown {
            Some(shown) => terminal.draw(shown.diff(screen).into_iter()),
            None => {
                terminal.hide_cursor()?;
                terminal.clear_region(ClearType::All)?;
                let blank = Buffer::empty(screen.area);
                terminal.draw(blank.diff(screen).into_iter())
            }
        })?;
        self.shown = Some(screen.clone());
        Ok(self.event("o", &data))
    }

    /// A place that players can jump to, and pause at.
    pub fn mark(&mut self, label: &str) -> String {
        self.event("m", &visible(label))
    }

    /// The program has ended.
    pub fn end(mut self) -> io::Result<String> {
        let data = written(|terminal| terminal.show_cursor())?;
        Ok(self.event("o", &data) + &self.event("x", "0"))
    }

    fn event(&mut self, code: &str, data: &str) -> String {
        let passed = std::mem::take(&mut self.passed);
        let mut json = Json::new();
        json.element(code);
        json.element(data);
        format!(
            "[{}.{:03},{}]\n",
            passed.as_secs(),
            passed.subsec_millis(),
            json.as_str()
        )
    }
}

/// What is written to a terminal.
fn written(
    write: impl FnOnce(&mut CrosstermBackend<&mut Vec<u8>>) -> io::Result<()>,
) -> io::Result<String> {
    let mut bytes = Vec::new();
    write(&mut CrosstermBackend::new(&mut bytes))?;
    String::from_utf8(bytes).map_err(io::Error::other)
}
