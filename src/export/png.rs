//! A drawn screen as a PNG picture, for slides whose maker takes no SVG: the same picture, twice as large. Its letters come
//! along, so that it looks the same on every machine. Step: view → **outside**.

use super::cell::{DIM, Look, Rgb, ground, shape};
use super::picture::line;
use crate::text::is_hidden;
use ab_glyph::{Font, FontRef, PxScale, point};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Modifier;
use std::io;
use unicode_width::UnicodeWidthStr;

/// Width of a cell in pixels.
const CELL_W: usize = 18;
/// Height of a cell in pixels.
const CELL_H: usize = 40;
/// Of a letter's square: DejaVu Sans Mono is 0.602 of it wide.
const FONT_SIZE: f32 = 30.0;
/// From a cell's top to its base line.
const BASE: usize = 30;
/// Blank frame around the screen.
const MARGIN: usize = 20;
/// A line's thickness.
const LINE: usize = 2;

/// The letters.
pub struct Letters {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
}

impl Letters {
    /// DejaVu Sans Mono; it is part of the program.
    pub fn new() -> io::Result<Letters> {
        let read = |bytes| FontRef::try_from_slice(bytes).map_err(io::Error::other);
        Ok(Letters {
            regular: read(dejavu::sans_mono::regular())?,
            bold: read(dejavu::sans_mono::bold())?,
        })
    }
}

/// The screen as a PNG file.
pub fn to_png(buffer: &Buffer, letters: &Letters) -> io::Result<Vec<u8>> {
    let width = usize::from(buffer.area.width) * CELL_W + 2 * MARGIN;
    let height = usize::from(buffer.area.height) * CELL_H + 2 * MARGIN;
    let mut canvas = Canvas::new(width, height, ground(buffer));
    for y in buffer.area.top()..buffer.area.bottom() {
        let top = MARGIN + usize::from(y - buffer.area.top()) * CELL_H;
        for (x, cell) in line(buffer, y) {
            let left = MARGIN + usize::from(x - buffer.area.left()) * CELL_W;
            canvas.cell(cell, (left, top), letters);
        }
    }
    let side = |n| u32::try_from(n).map_err(io::Error::other);
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side(width)?, side(height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas.pixels)?;
    writer.finish()?;
    Ok(out)
}

struct Canvas {
    width: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize, Rgb(r, g, b): Rgb) -> Canvas {
        Canvas {
            width,
            pixels: [r, g, b].repeat(width * height),
        }
    }

    /// So much of a colour over what is there.
    fn mix(&mut self, x: usize, y: usize, colour: Rgb, part: f32) {
        if x >= self.width {
            return;
        }
        let at = (y * self.width + x) * 3;
        let Some(pixel) = self.pixels.get_mut(at..at + 3) else {
            return;
        };
        for (old, new) in pixel.iter_mut().zip([colour.0, colour.1, colour.2]) {
            let (from, to) = (f32::from(*old), f32::from(new));
            *old = (from + (to - from) * part.clamp(0.0, 1.0)).round() as u8;
        }
    }

    fn rect(&mut self, left: usize, top: usize, (w, h): (usize, usize), colour: Rgb, part: f32) {
        for y in top..top + h {
            for x in left..left + w {
                self.mix(x, y, colour, part);
            }
        }
    }

    fn cell(&mut self, cell: &Cell, (left, top): (usize, usize), letters: &Letters) {
        let symbol = cell.symbol();
        let width = symbol.width().max(1) * CELL_W;
        let look = Look::of(cell);
        if let Some(bg) = look.bg {
            self.rect(left, top, (width, CELL_H), bg, 1.0);
        }
        let has = |modifier| look.modifier.contains(modifier);
        let strength = if has(Modifier::DIM) { DIM as f32 } else { 1.0 };
        let shape = shape(symbol);
        for part in &shape {
            let (x, y, w, h) = part.at;
            let pixels = |side: f64, of: usize| (side * of as f64).round() as usize;
            let at = (left + pixels(x, width), top + pixels(y, CELL_H));
            let mut size = (pixels(w, width), pixels(h, CELL_H));
            if part.thin {
                size = (size.0.max(LINE), size.1.max(LINE));
            }
            let part = part.opacity as f32 * strength;
            self.rect(at.0, at.1, size, look.fg, part);
        }
        if shape.is_empty() {
            let font = if has(Modifier::BOLD) {
                &letters.bold
            } else {
                &letters.regular
            };
            for c in symbol.chars().filter(|c| !is_hidden(*c) && *c != ' ') {
                self.letter(font, c, (left, top + BASE), look.fg, strength);
            }
        }
        for (line, below) in [(Modifier::UNDERLINED, 34), (Modifier::CROSSED_OUT, 20)] {
            if has(line) {
                self.rect(left, top + below, (width, LINE), look.fg, strength);
            }
        }
    }

    fn letter(
        &mut self,
        font: &FontRef<'_>,
        c: char,
        (left, base): (usize, usize),
        colour: Rgb,
        strength: f32,
    ) {
        // Its scale is from the lowest to the highest point of any letter.
        let square = font.units_per_em().unwrap_or(1.0);
        let scale = PxScale::from(FONT_SIZE * font.height_unscaled() / square);
        let place = point(left as f32, base as f32);
        let glyph = font.glyph_id(c).with_scale_and_position(scale, place);
        let Some(outline) = font.outline_glyph(glyph) else {
            return;
        };
        let from = outline.px_bounds().min;
        outline.draw(|x, y, part| {
            let (x, y) = (from.x + x as f32, from.y + y as f32);
            if x >= 0.0 && y >= 0.0 {
                self.mix(x as usize, y as usize, colour, part * strength);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::BACKGROUND;
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::{Color, Style};

    /// The pixels of a picture by another reader's account, three bytes each, and how many are in a row.
    fn drawn(text: &str, style: Style) -> (Vec<u8>, usize) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, text, style);
        let file = to_png(&buffer, &Letters::new().unwrap()).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (12 * 18 + 40, 80));
        (pixels, info.width as usize)
    }

    /// How many pixels of a cell have this colour exactly.
    fn count((pixels, width): &(Vec<u8>, usize), cell: usize, Rgb(r, g, b): Rgb) -> usize {
        let mut all = 0;
        for y in MARGIN..MARGIN + CELL_H {
            for x in MARGIN + cell * CELL_W..MARGIN + (cell + 1) * CELL_W {
                let at = (y * width + x) * 3;
                all += usize::from(pixels[at..at + 3] == [r, g, b]);
            }
        }
        all
    }

    const RED: Rgb = Rgb(0xe5, 0x53, 0x4b);

    #[test]
    fn blocks_fill_their_cells_and_lines_meet() {
        let red = drawn("█▌▄ ─│", Style::new().fg(Color::Red));
        assert_eq!(count(&red, 0, RED), CELL_W * CELL_H);
        assert_eq!(count(&red, 1, RED), CELL_W * CELL_H / 2);
        assert_eq!(count(&red, 2, RED), CELL_W * CELL_H / 2);
        assert_eq!(count(&red, 3, BACKGROUND), CELL_W * CELL_H);
        assert_eq!(count(&red, 4, RED), CELL_W * LINE);
        assert_eq!(count(&red, 5, RED), CELL_H * LINE);
    }

    #[test]
    fn letters_stay_in_their_cells_and_bold_ones_are_darker() {
        let plain = drawn("H g", Style::new().fg(Color::Red));
        let bold = drawn(
            "H g",
            Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        );
        assert!(count(&plain, 0, RED) > 50);
        assert!(count(&bold, 0, RED) > count(&plain, 0, RED));
        assert_eq!(count(&plain, 1, BACKGROUND), CELL_W * CELL_H);
        assert!(count(&plain, 2, RED) > 30);
        let swapped = drawn("H", Style::new().add_modifier(Modifier::REVERSED));
        assert!(count(&swapped, 0, BACKGROUND) > 50);
    }

    /// Each sign that a screen is drawn with is a shape or has a letter: none is the box of what is not there.
    #[test]
    fn every_sign_of_the_screens_is_there() {
        let letters = Letters::new().unwrap();
        for c in "–→…←►↓↑·−÷µß≥√×—ö▼*~<=".chars() {
            assert_ne!(letters.regular.glyph_id(c).0, 0, "{c}");
            assert_ne!(letters.bold.glyph_id(c).0, 0, "{c}");
        }
    }

    #[test]
    fn whatever_a_cell_holds_is_drawn() {
        let evil = "\u{1b}[2J\u{202e}e\u{301}漢字\u{10ffff}👍";
        drawn(evil, Style::new().add_modifier(Modifier::all()));
    }
}
