//! A drawn screen as an SVG picture: what `snapshot -o X.svg` writes, for slides, docs and bug reports.
//!
//! Cell by cell, so that a picture is as wide as its screen whatever font the viewer has: backgrounds, blocks, shades
//! and box lines are shapes (no gaps between rows), other text is laid out in runs of fixed length. Colours are the 16
//! of a terminal in one dark palette. Step: view → **outside**.

use super::picture::line;
use crate::text::is_hidden;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

/// Width of a cell in pixels.
const CELL_W: f64 = 9.0;
/// Height of a cell in pixels.
const CELL_H: f64 = 20.0;
const FONT_SIZE: f64 = 15.0;
/// From a cell's top to its base line.
const BASE: f64 = 15.0;
/// Blank frame around the screen.
const MARGIN: f64 = 10.0;

const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d8dadf";
const PALETTE: [&str; 16] = [
    "#16181d", "#e5534b", "#57ab5a", "#d8a23a", "#539bf5", "#b083f0", "#39c5cf", "#d8dadf",
    "#767d88", "#ff7b72", "#7ee787", "#f2cc60", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff",
];

/// The look of a run of cells.
#[derive(Clone, PartialEq)]
struct Look {
    fg: String,
    bg: Option<String>,
    modifier: Modifier,
}

impl Look {
    fn of(cell: &Cell) -> Look {
        let (mut fg, mut bg) = (hex(cell.fg), hex(cell.bg));
        if cell.modifier.contains(Modifier::REVERSED) {
            std::mem::swap(&mut fg, &mut bg);
            fg.get_or_insert_with(|| BACKGROUND.to_owned());
            bg.get_or_insert_with(|| FOREGROUND.to_owned());
        }
        let fg = fg.unwrap_or_else(|| FOREGROUND.to_owned());
        Look {
            fg,
            bg,
            modifier: cell.modifier - Modifier::REVERSED,
        }
    }

    fn attributes(&self) -> String {
        let mut out = format!(" fill=\"{}\"", self.fg);
        for (modifier, text) in [
            (Modifier::BOLD, " font-weight=\"bold\""),
            (Modifier::ITALIC, " font-style=\"italic\""),
            (Modifier::DIM, " opacity=\"0.6\""),
            (Modifier::UNDERLINED, " text-decoration=\"underline\""),
            (Modifier::CROSSED_OUT, " text-decoration=\"line-through\""),
        ] {
            if self.modifier.contains(modifier) {
                out.push_str(text);
            }
        }
        out
    }
}

/// The colour, nothing for the terminal's own.
fn hex(color: Color) -> Option<String> {
    let index = match color {
        Color::Reset => return None,
        Color::Rgb(r, g, b) => return Some(format!("#{r:02x}{g:02x}{b:02x}")),
        Color::Indexed(n) => return Some(indexed(n)),
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
    };
    Some(PALETTE[index].to_owned())
}

/// xterm's 256 colours: 16 named, a 6×6×6 cube, 24 greys.
fn indexed(n: u8) -> String {
    let level = |v: u8| if v == 0 { 0 } else { 55 + 40 * v };
    match n {
        0..16 => PALETTE[n as usize].to_owned(),
        16..232 => {
            let n = n - 16;
            format!(
                "#{:02x}{:02x}{:02x}",
                level(n / 36),
                level(n / 6 % 6),
                level(n % 6)
            )
        }
        _ => {
            let grey = 8 + 10 * (n - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}

/// The screen as an SVG document.
pub fn to_svg(buffer: &Buffer) -> String {
    let mut out = Picture(String::new());
    let width = f64::from(buffer.area.width) * CELL_W + 2.0 * MARGIN;
    let height = f64::from(buffer.area.height) * CELL_H + 2.0 * MARGIN;
    out.push(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace\" font-size=\"{FONT_SIZE}\" \
         xml:space=\"preserve\" shape-rendering=\"crispEdges\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{BACKGROUND}\"/>\n"
    ));
    for y in buffer.area.top()..buffer.area.bottom() {
        let top = MARGIN + f64::from(y - buffer.area.top()) * CELL_H;
        out.backgrounds(buffer, y, top);
        out.foregrounds(buffer, y, top);
    }
    out.0.push_str("</svg>\n");
    out.0
}

struct Picture(String);

impl Picture {
    fn push(&mut self, piece: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(piece);
    }

    fn rect(&mut self, (x, y, w, h): (f64, f64, f64, f64), rest: &str) {
        self.push(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"{rest}/>\n"
        ));
    }

    fn backgrounds(&mut self, buffer: &Buffer, y: u16, top: f64) {
        let mut run: Option<(f64, f64, String)> = None;
        for (x, cell) in line(buffer, y) {
            let (left, width) = place(buffer, x, cell);
            let bg = Look::of(cell).bg;
            match (&mut run, bg) {
                (Some((_, end, color)), Some(bg)) if *color == bg => *end = left + width,
                (run, bg) => {
                    let next = bg.map(|bg| (left, left + width, bg));
                    if let Some((start, end, color)) = std::mem::replace(run, next) {
                        self.rect(
                            (start, top, end - start, CELL_H),
                            &format!(" fill=\"{color}\""),
                        );
                    }
                }
            }
        }
        if let Some((start, end, color)) = run {
            self.rect(
                (start, top, end - start, CELL_H),
                &format!(" fill=\"{color}\""),
            );
        }
    }

    fn foregrounds(&mut self, buffer: &Buffer, y: u16, top: f64) {
        let mut text = String::new();
        let mut run: Option<(f64, f64, Look)> = None;
        for (x, cell) in line(buffer, y) {
            let (left, width) = place(buffer, x, cell);
            let look = Look::of(cell);
            let symbol = cell.symbol();
            let blank = symbol.trim().is_empty()
                && !look
                    .modifier
                    .intersects(Modifier::UNDERLINED | Modifier::CROSSED_OUT);
            let shape = shape(symbol);
            let joins = run.as_ref().is_some_and(|(_, _, last)| *last == look);
            if blank || !shape.is_empty() || !joins {
                self.text(run.take(), &mut text, top);
            }
            for part in &shape {
                let (px, py, pw, ph) = part.at;
                let at = (
                    left + px * width,
                    top + py * CELL_H,
                    pw * width,
                    ph * CELL_H,
                );
                let at = if part.thin { thin(at) } else { at };
                let opacity = match part.opacity < 1.0 {
                    true => format!(" fill-opacity=\"{}\"", part.opacity),
                    false => String::new(),
                };
                self.rect(at, &format!("{}{opacity}", look.attributes()));
            }
            if shape.is_empty() && !blank {
                let (_, end, _) = run.get_or_insert((left, left, look));
                *end = left + width;
                symbol
                    .chars()
                    .filter(|c| !is_hidden(*c))
                    .for_each(|c| match c {
                        '&' => text.push_str("&amp;"),
                        '<' => text.push_str("&lt;"),
                        '>' => text.push_str("&gt;"),
                        c => text.push(c),
                    });
            }
        }
        self.text(run, &mut text, top);
    }

    fn text(&mut self, run: Option<(f64, f64, Look)>, text: &mut String, top: f64) {
        if let Some((start, end, look)) = run {
            let (length, base) = (end - start, top + BASE);
            let attributes = look.attributes();
            self.push(format_args!(
                "<text x=\"{start}\" y=\"{base}\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\"{attributes}>{text}</text>\n"
            ));
        }
        text.clear();
    }
}

fn place(buffer: &Buffer, x: u16, cell: &Cell) -> (f64, f64) {
    let left = MARGIN + f64::from(x - buffer.area.left()) * CELL_W;
    (left, cell.symbol().width().max(1) as f64 * CELL_W)
}

/// A line of box drawing is one pixel thick wherever it stands.
fn thin((x, y, w, h): (f64, f64, f64, f64)) -> (f64, f64, f64, f64) {
    match w == 0.0 {
        true => (x.floor(), y, 1.0, h),
        false => (x, y.floor(), w, 1.0),
    }
}

/// A piece of a glyph in parts of its cell.
struct Part {
    at: (f64, f64, f64, f64),
    opacity: f64,
    thin: bool,
}

/// The shapes of a block, shade or box glyph; none for a letter.
fn shape(symbol: &str) -> Vec<Part> {
    let block = |x, y, w, h| {
        vec![Part {
            at: (x, y, w, h),
            opacity: 1.0,
            thin: false,
        }]
    };
    let shade = |opacity| {
        vec![Part {
            at: (0.0, 0.0, 1.0, 1.0),
            opacity,
            thin: false,
        }]
    };
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else {
        return Vec::new();
    };
    match c {
        '█' => block(0.0, 0.0, 1.0, 1.0),
        '▀' => block(0.0, 0.0, 1.0, 0.5),
        '▁'..='▇' => {
            let eighths = f64::from(c as u32 - '▁' as u32 + 1) / 8.0;
            block(0.0, 1.0 - eighths, 1.0, eighths)
        }
        '▉'..='▏' => block(0.0, 0.0, f64::from('▏' as u32 - c as u32 + 1) / 8.0, 1.0),
        '▐' => block(0.5, 0.0, 0.5, 1.0),
        '░' => shade(0.28),
        '▒' => shade(0.5),
        '▓' => shade(0.75),
        _ => box_lines(c),
    }
}

/// Light box drawing as strokes from the cell's middle: up, right, down, left.
fn box_lines(c: char) -> Vec<Part> {
    let (up, right, down, left) = match c {
        '─' => (false, true, false, true),
        '│' => (true, false, true, false),
        '┌' | '╭' => (false, true, true, false),
        '┐' | '╮' => (false, false, true, true),
        '└' | '╰' => (true, true, false, false),
        '┘' | '╯' => (true, false, false, true),
        '├' => (true, true, true, false),
        '┤' => (true, false, true, true),
        '┬' => (false, true, true, true),
        '┴' => (true, true, false, true),
        '┼' => (true, true, true, true),
        '╴' => (false, false, false, true),
        '╵' => (true, false, false, false),
        '╶' => (false, true, false, false),
        '╷' => (false, false, true, false),
        _ => return Vec::new(),
    };
    let strokes = [
        (up, (0.5, 0.0, 0.0, 0.55)),
        (right, (0.5, 0.5, 0.5, 0.0)),
        (down, (0.5, 0.5, 0.0, 0.5)),
        (left, (0.0, 0.5, 0.5, 0.0)),
    ];
    let drawn = strokes.into_iter().filter(|(on, _)| *on);
    drawn
        .map(|(_, at)| Part {
            at,
            opacity: 1.0,
            thin: true,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    fn draw(text: &str, style: Style) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, text, style);
        to_svg(&buffer)
    }

    #[test]
    fn a_run_is_as_long_as_its_cells() {
        let svg = draw("a<&b", Style::new());
        assert!(svg.contains(">a&lt;&amp;b</text>"), "{svg}");
        assert!(svg.contains("textLength=\"36\""), "{svg}");
        let svg = draw("漢字", Style::new());
        assert!(
            svg.contains("textLength=\"36\"") && svg.contains(">漢字</text>"),
            "{svg}"
        );
    }

    #[test]
    fn blocks_and_boxes_are_shapes() {
        let svg = draw("█▒─", Style::new().fg(Color::Red));
        assert!(!svg.contains("<text"), "{svg}");
        assert!(
            svg.contains("<rect x=\"10\" y=\"10\" width=\"9\" height=\"20\" fill=\"#e5534b\"/>"),
            "{svg}"
        );
        assert!(svg.contains("fill-opacity=\"0.5\""), "{svg}");
        assert_eq!(svg.matches("height=\"1\"").count(), 2, "{svg}");
    }

    #[test]
    fn reverse_and_runs_of_background() {
        let svg = draw("ab", Style::new().add_modifier(Modifier::REVERSED));
        assert!(
            svg.contains(&format!("width=\"18\" height=\"20\" fill=\"{FOREGROUND}\"")),
            "{svg}"
        );
        assert!(
            svg.contains(&format!("fill=\"{BACKGROUND}\">ab</text>")),
            "{svg}"
        );
    }

    #[test]
    fn no_control_character_reaches_the_file() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 2, 1));
        buffer[(0, 0)].set_symbol("\u{1b}\u{202e}x");
        assert!(!to_svg(&buffer).chars().any(|c| c != '\n' && is_hidden(c)));
    }

    #[test]
    fn the_256_colours_are_xterms() {
        assert_eq!(hex(Color::Indexed(16)).unwrap(), "#000000");
        assert_eq!(hex(Color::Indexed(231)).unwrap(), "#ffffff");
        assert_eq!(hex(Color::Indexed(244)).unwrap(), "#808080");
        assert_eq!(hex(Color::Reset), None);
    }
}
