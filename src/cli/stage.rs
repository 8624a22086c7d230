//! A demo on the screen, live or from the recording that ships, and with `r` its other side: what `demo` and `lecture` share.
//! Step: event → … → **view**.

use super::demo::{LIVE, start, title, unnamed_file};
use super::error::Exit;
use super::run::unnamed;
use super::watch::{Watch, first_size, watched};
use crate::capture::session::Target;
use crate::demos::Demo;
use crate::export::svg;
use crate::tui;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// How demos are shown on the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    /// What was recorded earlier, not a program that runs.
    pub recorded: bool,
    /// Where the load's random numbers start.
    pub seed: u64,
    /// Only ASCII.
    pub ascii: bool,
    /// One of several.
    pub lecture: bool,
}

/// On the screen: this side, and with `r` the other one, until the person leaves.
pub(super) fn show(
    demo: &'static Demo,
    mut fixed: bool,
    mut target: Option<(PathBuf, Target)>,
    how: Show,
) -> anyhow::Result<(Exit, tui::Outcome)> {
    loop {
        let (exit, left) = match how.recorded {
            true => replay(demo, fixed, how)?,
            false => live(demo, fixed, target.take(), how)?,
        };
        if left != tui::Outcome::Left(tui::Leave::Other) {
            return Ok((exit, left));
        }
        fixed = !fixed;
    }
}

/// As it happens.
fn live(
    demo: &'static Demo,
    fixed: bool,
    target: Option<(PathBuf, Target)>,
    how: Show,
) -> anyhow::Result<(Exit, tui::Outcome)> {
    let (path, target) = target.map_or((None, unnamed()), |(path, to)| (Some(path), to));
    let live = start(demo, how.seed, fixed, target, LIVE, first_size())?;
    watched(
        live,
        Watch {
            name: title(demo, fixed),
            path,
            program: "the demo".to_owned(),
            ascii: how.ascii,
            demo: Some((demo.lesson, how.lecture)),
        },
    )
}

/// From the recording that ships.
fn replay(demo: &'static Demo, fixed: bool, how: Show) -> anyhow::Result<(Exit, tui::Outcome)> {
    let [broken, repaired] = demo.recorded;
    let file = unnamed_file(if fixed { repaired } else { broken })?;
    let options = tui::Options {
        name: title(demo, fixed),
        ascii: how.ascii,
        picture: Some(svg::to_svg),
        demo: true,
        lesson: Some(demo.lesson),
        lecture: how.lecture,
        ..tui::Options::default()
    };
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let source = tui::Source::Replay {
        path,
        follow: false,
    };
    let left = tui::run(&source, options)?.outcome;
    Ok((super::replay::exit_of(left), left))
}
