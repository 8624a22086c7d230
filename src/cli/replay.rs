//! `loopscope replay F`: stand at any instant of a recording. Step: trace → model → **view**.

use super::open::warn_of;
use super::output::can_draw;
use super::{Exit, Outcome, index, look, report};
use crate::tui::{self, Source};
use std::path::PathBuf;

/// Look at a recording, at any instant, forwards and backwards
///
/// Where standard output is no terminal, the text report is printed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recording
    file: PathBuf,
    /// Stay at the end while the recording grows
    #[arg(long, conflicts_with = "at")]
    follow: bool,
    /// How fast to play: 1:100, 0.01 or 2
    #[arg(long, value_name = "X", value_parser = speed)]
    speed: Option<f64>,
    #[command(flatten)]
    look: look::Look,
}

pub(super) fn run(args: Args) -> Outcome {
    let mut options = args.look.options(&args.file);
    options.speed = args.speed;
    let screen = can_draw();
    if screen && !args.follow {
        index::index(&args.file);
        args.look.beside.iter().for_each(|file| index::index(file));
    }
    let look = &args.look;
    let asked =
        look.at.is_some() || look.fd.is_some() || look.filter.is_some() || look.beside.is_some();
    if asked {
        // Looked up once before the terminal is taken, so that a wrong instant is an error message and not a flash; and
        // where there is none, so that a script hears of it too.
        args.look
            .app(&args.file, options.clone(), tui::Look::default())?;
    }
    if !screen {
        return report::print_text(&args.file, report::TOP);
    }
    let source = Source::Replay {
        path: args.file.clone(),
        follow: args.follow,
    };
    let ended = tui::run(&source, options)?;
    warn_of(&args.file, ended.problems.iter().map(ToString::to_string));
    Ok(exit_of(ended.outcome))
}

/// How leaving the UI ends the command: as a shell would say it for a signal.
pub(super) fn exit_of(outcome: tui::Outcome) -> Exit {
    match outcome {
        tui::Outcome::Left(_) => Exit::OK,
        tui::Outcome::Signalled(signal) => Exit(128 + signal as u8),
        tui::Outcome::HungUp => Exit(128 + libc::SIGHUP as u8),
    }
}

/// `1:100`, `0.01`, `2`, `2x`
fn speed(text: &str) -> Result<f64, String> {
    let number = |s: &str| s.trim().parse::<f64>().ok();
    let factor = match text.split_once(':') {
        Some((shown, recorded)) => number(shown).zip(number(recorded)).map(|(s, r)| s / r),
        None => number(text.strip_suffix('x').unwrap_or(text)),
    };
    match factor {
        Some(f) if f.is_finite() && f > 0.0 => Ok(f),
        _ => Err("write 1:100 (a hundred times slower), 0.01 or 2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::speed;

    #[test]
    fn speeds_as_people_write_them() {
        assert_eq!(speed("1:100"), Ok(0.01));
        assert_eq!(speed("2x"), Ok(2.0));
        assert_eq!(speed("0.5"), Ok(0.5));
        for wrong in ["", "0", "-1", "1:0", "fast", "inf", "NaN"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
