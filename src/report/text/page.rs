//! A page of plain text, 80 columns wide. Step: model → **view**.

use crate::report::words::glued;

pub(super) const WIDTH: usize = 80;

pub(super) struct Page(pub(super) String);

impl Page {
    pub(super) fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    /// A paragraph, its lines no longer than the page.
    pub(super) fn wrapped(&mut self, indent: &str, text: &str) {
        let mut line = indent.to_owned();
        for word in glued(text) {
            if line.len() > indent.len() && line.chars().count() + 1 + word.chars().count() > WIDTH
            {
                self.line(&line);
                line = indent.to_owned();
            }
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        self.line(&line);
    }
}
