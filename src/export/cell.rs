//! How a cell of a screen looks in a picture: its colours, and the shape of what is no letter. Pictures have the 16 colours of a
//! terminal in one dark palette. Step: view → **outside**.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::fmt;

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

const fn rgb(hex: u32) -> Rgb {
    Rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// The terminal's own background.
pub const BACKGROUND: Rgb = rgb(0x16181d);
/// And foreground.
pub const FOREGROUND: Rgb = rgb(0xd8dadf);
const PALETTE: [Rgb; 16] = [
    rgb(0x16181d),
    rgb(0xe5534b),
    rgb(0x57ab5a),
    rgb(0xd8a23a),
    rgb(0x539bf5),
    rgb(0xb083f0),
    rgb(0x39c5cf),
    rgb(0xd8dadf),
    rgb(0x767d88),
    rgb(0xff7b72),
    rgb(0x7ee787),
    rgb(0xf2cc60),
    rgb(0x79c0ff),
    rgb(0xd2a8ff),
    rgb(0x56d4dd),
    rgb(0xffffff),
];

/// What is dim is mixed with its background: so much of it.
pub const DIM: f64 = 0.6;

/// The look of a cell.
#[derive(Clone, Copy, PartialEq)]
pub struct Look {
    /// Of letters and shapes.
    pub fg: Rgb,
    /// Nothing: the picture's.
    pub bg: Option<Rgb>,
    /// Never reversed: the colours are.
    pub modifier: Modifier,
}

impl Look {
    /// Of this cell.
    pub fn of(cell: &Cell) -> Look {
        let (mut fg, mut bg) = (colour(cell.fg), colour(cell.bg));
        if cell.modifier.contains(Modifier::REVERSED) {
            std::mem::swap(&mut fg, &mut bg);
            fg.get_or_insert(BACKGROUND);
            bg.get_or_insert(FOREGROUND);
        }
        Look {
            fg: fg.unwrap_or(FOREGROUND),
            bg,
            modifier: cell.modifier - Modifier::REVERSED,
        }
    }
}

/// What lies behind a screen: the colour of its last cell.
pub fn ground(buffer: &Buffer) -> Rgb {
    let last = buffer.content.last();
    last.and_then(|cell| Look::of(cell).bg)
        .unwrap_or(BACKGROUND)
}

/// The colour, nothing for the terminal's own.
fn colour(color: Color) -> Option<Rgb> {
    let index = match color {
        Color::Reset => return None,
        Color::Rgb(r, g, b) => return Some(Rgb(r, g, b)),
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
    Some(PALETTE[index])
}

/// xterm's 256 colours: 16 named, a 6×6×6 cube, 24 greys.
fn indexed(n: u8) -> Rgb {
    let level = |v: u8| if v == 0 { 0 } else { 55 + 40 * v };
    match n {
        0..16 => PALETTE[n as usize],
        16..232 => {
            let n = n - 16;
            Rgb(level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        _ => {
            let grey = 8 + 10 * (n - 232);
            Rgb(grey, grey, grey)
        }
    }
}

/// A piece of a glyph in parts of its cell.
pub struct Part {
    /// Left, top, width, height.
    pub at: (f64, f64, f64, f64),
    /// How much of the colour.
    pub opacity: f64,
    /// A stroke: as thin as it can be, across the side that is 0.
    pub thin: bool,
}

/// The shapes of a block, shade or box glyph; none for a letter.
pub fn shape(symbol: &str) -> Vec<Part> {
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
        (down, (0.5, 0.5, 0.0, 0.5)),
        (left, (0.0, 0.5, 0.5, 0.0)),
        (right, (0.5, 0.5, 0.5, 0.0)),
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

    #[test]
    fn the_256_colours_are_xterms() {
        let of = |n| colour(Color::Indexed(n)).map(|c| c.to_string());
        assert_eq!(of(16).as_deref(), Some("#000000"));
        assert_eq!(of(231).as_deref(), Some("#ffffff"));
        assert_eq!(of(244).as_deref(), Some("#808080"));
        assert_eq!(colour(Color::Reset), None);
    }
}
