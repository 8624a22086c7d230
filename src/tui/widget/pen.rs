//! A pen over a part of the screen: puts text at a place and never leaves its area. Step: model → **view**.

use super::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Draws into one area; coordinates count from its corner.
pub struct Pen<'a> {
    buf: &'a mut Buffer,
    /// Where it may draw.
    pub area: Rect,
}

impl<'a> Pen<'a> {
    /// A pen for `area`, clipped to the buffer.
    pub fn new(buf: &'a mut Buffer, area: Rect) -> Self {
        let area = area.intersection(buf.area);
        Pen { buf, area }
    }

    /// Cells a line.
    pub fn width(&self) -> usize {
        self.area.width as usize
    }

    /// Lines.
    pub fn height(&self) -> usize {
        self.area.height as usize
    }

    /// A pen for a part of this one's area.
    pub fn part(&mut self, x: usize, y: usize, width: usize, height: usize) -> Pen<'_> {
        let area = Rect {
            x: self.area.x + (x.min(self.width())) as u16,
            y: self.area.y + (y.min(self.height())) as u16,
            width: width.min(self.width().saturating_sub(x)) as u16,
            height: height.min(self.height().saturating_sub(y)) as u16,
        };
        Pen {
            buf: self.buf,
            area,
        }
    }

    /// Text at a place, cut at the area's edge; returns the column after it.
    pub fn put(&mut self, x: usize, y: usize, what: &str, style: Style) -> usize {
        if y >= self.height() || x >= self.width() {
            return x;
        }
        let room = self.width() - x;
        let shown = text::cut(what, room);
        self.buf.set_stringn(
            self.area.x + x as u16,
            self.area.y + y as u16,
            &shown,
            room,
            style,
        );
        x + text::width(&shown)
    }

    /// Text that ends at the area's right edge.
    pub fn put_right(&mut self, y: usize, what: &str, style: Style) {
        let shown = text::cut(what, self.width());
        let x = self.width() - text::width(&shown);
        self.put(x, y, &shown, style);
    }

    /// Pieces one after the other, each in its style; returns the column after them.
    pub fn puts(&mut self, x: usize, y: usize, pieces: &[(&str, Style)]) -> usize {
        pieces
            .iter()
            .fold(x, |x, (what, style)| self.put(x, y, what, *style))
    }

    /// One glyph.
    pub fn glyph(&mut self, x: usize, y: usize, c: char, style: Style) {
        if x < self.width() && y < self.height() {
            let cell = &mut self.buf[(self.area.x + x as u16, self.area.y + y as u16)];
            cell.set_char(c).set_style(style);
        }
    }

    /// A style over a stretch of cells that keeps their text.
    pub fn paint(&mut self, x: usize, y: usize, cells: usize, style: Style) {
        let part = self.part(x, y, cells, 1).area;
        self.buf.set_style(part, style);
    }

    /// Blanks over the whole area.
    pub fn clear(&mut self) {
        for y in self.area.top()..self.area.bottom() {
            for x in self.area.left()..self.area.right() {
                self.buf[(x, y)].reset();
            }
        }
    }

    /// The symbol at a place.
    pub fn at(&self, x: usize, y: usize) -> &str {
        match x < self.width() && y < self.height() {
            true => self.buf[(self.area.x + x as u16, self.area.y + y as u16)].symbol(),
            false => "",
        }
    }
}
