//! A drawn screen as an SVG picture: what `snapshot -o X.svg` writes, for slides, docs and bug reports.
//!
//! Cell by cell, so that a picture looks the same whatever font the viewer has, and in viewers that know little of SVG:
//! backgrounds, blocks, shades and box lines are shapes (no gaps between rows), of other text each letter has its place.
//! Step: view → **outside**.

use super::cell::{DIM, FOREGROUND, Look, Part, Rgb, ground, shape};
use super::picture::line;
use crate::text::is_hidden;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Modifier;
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

/// The attributes that a look gives to a shape; those of the whole picture are left out.
fn paint(look: &Look) -> String {
    let mut out = match look.fg {
        FOREGROUND => String::new(),
        fg => format!(" fill=\"{fg}\""),
    };
    if look.modifier.contains(Modifier::DIM) {
        out.push_str(&format!(" opacity=\"{DIM}\""));
    }
    out
}

/// And to a text.
fn attributes(look: &Look) -> String {
    let mut out = paint(look);
    for (modifier, text) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::ITALIC, " font-style=\"italic\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
        (Modifier::CROSSED_OUT, " text-decoration=\"line-through\""),
    ] {
        if look.modifier.contains(modifier) {
            out.push_str(text);
        }
    }
    out
}

/// The screen as an SVG document.
pub fn to_svg(buffer: &Buffer) -> String {
    let mut out = Picture::default();
    let width = f64::from(buffer.area.width) * CELL_W + 2.0 * MARGIN;
    let height = f64::from(buffer.area.height) * CELL_H + 2.0 * MARGIN;
    let ground = ground(buffer);
    out.push(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace\" font-size=\"{FONT_SIZE}\" \
         fill=\"{FOREGROUND}\" xml:space=\"preserve\" shape-rendering=\"crispEdges\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>\n"
    ));
    for y in buffer.area.top()..buffer.area.bottom() {
        let top = MARGIN + f64::from(y - buffer.area.top()) * CELL_H;
        out.backgrounds(buffer, y, top);
        out.foregrounds(buffer, y, top);
    }
    out.out.push_str("</svg>\n");
    out.out
}

type Place = (f64, f64, f64, f64);

#[derive(Default)]
struct Picture {
    out: String,
    /// A shape that the next one may go on.
    shape: Option<(Place, String)>,
}

impl Picture {
    fn push(&mut self, piece: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(piece);
    }

    fn rect(&mut self, (x, y, w, h): Place, rest: &str) {
        self.push(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"{rest}/>\n"
        ));
    }

    /// A rectangle, as one with the last one where it begins at that one's end.
    fn shape(&mut self, at: Place, rest: String) {
        if let Some(((x, y, w, h), last)) = &mut self.shape
            && *last == rest
            && (*y, *h) == (at.1, at.3)
            && (*x + *w - at.0).abs() < 1e-9
        {
            *w += at.2;
            return;
        }
        self.flush();
        self.shape = Some((at, rest));
    }

    fn flush(&mut self) {
        if let Some((at, rest)) = self.shape.take() {
            self.rect(at, &rest);
        }
    }

    fn backgrounds(&mut self, buffer: &Buffer, y: u16, top: f64) {
        let mut run: Option<(f64, f64, Rgb)> = None;
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
        let mut run = Run::default();
        for (x, cell) in line(buffer, y) {
            let (left, width) = place(buffer, x, cell);
            let look = Look::of(cell);
            let symbol = cell.symbol();
            let lined = Modifier::UNDERLINED | Modifier::CROSSED_OUT;
            let blank = symbol.trim().is_empty() && !look.modifier.intersects(lined);
            let shape = shape(symbol);
            if blank || !shape.is_empty() {
                self.text(&mut run, top);
                for part in &shape {
                    let mut rest = paint(&look);
                    if part.opacity < 1.0 {
                        rest.push_str(&format!(" fill-opacity=\"{}\"", part.opacity));
                    }
                    self.shape(in_cell(part, (left, top), width), rest);
                }
                continue;
            }
            // A letter with marks on it is one letter, and has one place: nothing follows it.
            let alone = symbol.chars().nth(1).is_some();
            if run.look != Some(look) || alone {
                self.text(&mut run, top);
            }
            run.look = Some(look);
            run.at.push(left);
            let shown = symbol.chars().filter(|c| !is_hidden(*c));
            shown.for_each(|c| match c {
                '&' => run.text.push_str("&amp;"),
                '<' => run.text.push_str("&lt;"),
                '>' => run.text.push_str("&gt;"),
                c => run.text.push(c),
            });
            if alone {
                self.text(&mut run, top);
            }
        }
        self.text(&mut run, top);
        self.flush();
    }

    fn text(&mut self, run: &mut Run, top: f64) {
        let Run { look, at, text } = std::mem::take(run);
        let Some(look) = look else { return };
        let at: Vec<String> = at.iter().map(f64::to_string).collect();
        let (at, base, attributes) = (at.join(" "), top + BASE, attributes(&look));
        self.push(format_args!(
            "<text x=\"{at}\" y=\"{base}\"{attributes}>{text}</text>\n"
        ));
    }
}

/// Letters of one look beside each other, each with its place.
#[derive(Default)]
struct Run {
    look: Option<Look>,
    at: Vec<f64>,
    text: String,
}

/// Where a part of a glyph stands in the picture.
fn in_cell(part: &Part, (left, top): (f64, f64), width: f64) -> Place {
    let (x, y, w, h) = part.at;
    let at = (left + x * width, top + y * CELL_H, w * width, h * CELL_H);
    if part.thin { thin(at) } else { at }
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

#[cfg(test)]
mod tests {
    use super::super::cell::BACKGROUND;
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Color;
    use ratatui::style::Style;

    fn draw(text: &str, style: Style) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, text, style);
        to_svg(&buffer)
    }

    #[test]
    fn each_letter_has_its_place() {
        let svg = draw("a<&b", Style::new());
        let want = "<text x=\"10 19 28 37\" y=\"25\">a&lt;&amp;b</text>";
        assert!(svg.contains(want), "{svg}");
        let svg = draw("漢字", Style::new());
        assert!(
            svg.contains("<text x=\"10 28\" y=\"25\">漢字</text>"),
            "{svg}"
        );
        // An accent of its own stands on its letter, whatever is beside it.
        let svg = draw("ae\u{301}b", Style::new());
        assert_eq!(svg.matches("<text").count(), 3, "{svg}");
        assert!(
            svg.contains("<text x=\"19\" y=\"25\">e\u{301}</text>"),
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
        assert_eq!(svg.matches("height=\"1\"").count(), 1, "{svg}");
    }

    #[test]
    fn what_goes_on_is_one_shape() {
        let svg = draw("████──", Style::new());
        assert!(svg.contains("<rect x=\"10\" y=\"10\" width=\"36\" height=\"20\"/>"));
        assert!(svg.contains("<rect x=\"46\" y=\"20\" width=\"18\" height=\"1\"/>"));
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
}
