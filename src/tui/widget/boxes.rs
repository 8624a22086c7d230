//! Boxes whose lines join where they meet, with titles in the line. Step: model → **view**.

use super::pen::Pen;
use super::text;
use ratatui::style::Style;

/// Which of its four neighbours a box glyph reaches: up, right, down, left.
const GLYPHS: [(&str, u8); 15] = [
    ("╴", 0b0001),
    ("╵", 0b1000),
    ("╶", 0b0100),
    ("╷", 0b0010),
    ("─", 0b0101),
    ("│", 0b1010),
    ("┌", 0b0110),
    ("┐", 0b0011),
    ("└", 0b1100),
    ("┘", 0b1001),
    ("├", 0b1110),
    ("┤", 0b1011),
    ("┬", 0b0111),
    ("┴", 0b1101),
    ("┼", 0b1111),
];
const UP: u8 = 8;
const RIGHT: u8 = 4;
const DOWN: u8 = 2;
const LEFT: u8 = 1;

fn join(pen: &mut Pen<'_>, x: usize, y: usize, arms: u8, style: Style) {
    let there = pen.at(x, y);
    let bits = GLYPHS.iter().find(|g| g.0 == there).map_or(0, |g| g.1) | arms;
    let glyph = GLYPHS
        .iter()
        .find(|g| g.1 == bits)
        .map_or('─', |g| g.0.chars().next().unwrap_or('─'));
    pen.glyph(x, y, glyph, style);
}

/// A line from the left edge to the right edge at row `y`, joined to what it meets.
pub fn across(pen: &mut Pen<'_>, y: usize, style: Style) {
    stretch(pen, 0, pen.width().saturating_sub(1), y, style);
}

/// A line from column `from` to column `to`, joined at both ends.
pub fn stretch(pen: &mut Pen<'_>, from: usize, to: usize, y: usize, style: Style) {
    for x in from..=to {
        let left = if x > from { LEFT } else { 0 };
        let right = if x < to { RIGHT } else { 0 };
        join(pen, x, y, left | right, style);
    }
}

/// A line from row `from` to row `to` at column `x`, joined at both ends.
pub fn down(pen: &mut Pen<'_>, x: usize, from: usize, to: usize, style: Style) {
    for y in from..=to {
        let up = if y > from { UP } else { 0 };
        let under = if y < to { DOWN } else { 0 };
        join(pen, x, y, up | under, style);
    }
}

/// The outline of the pen's area.
pub fn outline(pen: &mut Pen<'_>, style: Style) {
    let (w, h) = (pen.width(), pen.height());
    if w < 2 || h < 2 {
        return;
    }
    across(pen, 0, style);
    across(pen, h - 1, style);
    down(pen, 0, 0, h - 1, style);
    down(pen, w - 1, 0, h - 1, style);
}

/// A title in a horizontal line, with a blank on either side; never longer than `room`.
pub fn title(pen: &mut Pen<'_>, x: usize, y: usize, room: usize, what: &str, style: Style) {
    if room >= 5 {
        pen.put(x, y, &format!(" {} ", text::cut(what, room - 2)), style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    #[test]
    fn lines_join_where_they_meet() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 5, 5));
        let mut pen = Pen::new(&mut buffer, Rect::new(0, 0, 5, 5));
        outline(&mut pen, Style::new());
        across(&mut pen, 2, Style::new());
        down(&mut pen, 2, 0, 4, Style::new());
        let row = |y: usize| {
            (0..5)
                .map(|x| buffer[(x, y as u16)].symbol())
                .collect::<String>()
        };
        assert_eq!([row(0), row(2), row(4)], ["┌─┬─┐", "├─┼─┤", "└─┴─┘"]);
    }
}
