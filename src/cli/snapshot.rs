//! `loopscope snapshot F`: one frame of the UI without a terminal, as a picture or as text. Step: view → **outside**.

use super::open::warn;
use super::output::{Output, is_stream};
use super::{Exit, Failure, Outcome, look};
use crate::export::{picture, svg};
use crate::tui::{self, Look};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Draw one frame of the UI to a file
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recording
    file: PathBuf,
    #[command(flatten)]
    look: look::Look,
    /// Columns and rows
    #[arg(long, value_name = "WxH", default_value = "80x24")]
    size: Size,
    /// Write here: NAME.svg is a picture, NAME.txt text; - is text on stdout
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

/// A screen's size in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub u16, pub u16);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once(['x', 'X', '×']);
        let sides = sides.and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        match sides {
            Some((w @ 1..=1000, h @ 1..=1000)) => Ok(Size(w, h)),
            _ => Err("write columns and rows, at most 1000 each, as in 120x40".to_owned()),
        }
    }
}

/// What the file's name asks for.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Text,
    Svg,
}

fn form(path: &Path) -> Result<Form, Failure> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("svg") => Ok(Form::Svg),
        Some("txt") => Ok(Form::Text),
        _ if is_stream(path) => Ok(Form::Text),
        _ => Err(Failure::usage(format!(
            "{} is neither a picture nor a text",
            path.display()
        ))
        .hint("end its name with .svg or .txt")),
    }
}

pub(super) fn run(args: Args) -> Outcome {
    let form = form(&args.output)?;
    let ascii = args.look.drawn.ascii;
    let colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let mut app = args.look.app(
        &args.file,
        args.look.options(&args.file),
        Look {
            ascii,
            colour,
            ..Look::detect(ascii, |name| std::env::var(name).ok())
        },
    )?;
    let Size(width, height) = args.size;
    let buffer = tui::frame(&mut app, width, height)?;
    let drawn = match form {
        Form::Text => picture::to_text(&buffer),
        Form::Svg => svg::to_svg(&buffer),
    };
    let mut out = Output::create(Some(&args.output), args.force)?;
    out.text(&drawn)?;
    out.finish()?;
    warn(app.player.reader(), &args.file);
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("120x40".parse(), Ok(Size(120, 40)));
        for wrong in ["", "80", "x", "80x", "0x24", "80x99999", "-1x5", "80x24x2"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_name_says_the_form() {
        assert!(form(Path::new("a.svg")).is_ok_and(|f| f == Form::Svg));
        assert!(form(Path::new("-")).is_ok_and(|f| f == Form::Text));
        assert!(form(Path::new("/dev/null")).is_ok_and(|f| f == Form::Text));
        assert!(form(Path::new("a.png")).is_err());
    }
}
