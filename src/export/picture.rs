//! A drawn screen as plain text: what `snapshot -o X.txt` writes. Step: view → **outside**.

use crate::text::visible;
use ratatui::buffer::{Buffer, Cell};
use unicode_width::UnicodeWidthStr;

/// The cells of one line from left to right with their columns; the second half of a wide character is left out.
pub(super) fn line(buffer: &Buffer, y: u16) -> impl Iterator<Item = (u16, &Cell)> {
    let mut covered = 0;
    (buffer.area.left()..buffer.area.right()).filter_map(move |x| {
        let cell = &buffer[(x, y)];
        if x < covered {
            return None;
        }
        covered = x + (cell.symbol().width() as u16).max(1);
        Some((x, cell))
    })
}

/// The screen, a line feed after each line, trailing blanks cut.
pub fn to_text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let row: String = line(buffer, y)
            .map(|(_, cell)| visible(cell.symbol()))
            .collect();
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn wide_characters_and_trailing_blanks() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 2));
        buffer.set_string(0, 0, "漢字 a", Style::new());
        buffer.set_string(0, 1, "█ b", Style::new());
        assert_eq!(to_text(&buffer), "漢字 a\n█ b\n");
    }
}
