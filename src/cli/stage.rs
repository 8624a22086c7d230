//! A demo on the screen, live or from the recording that ships, and with `r` its other side: what `demo` and `lecture` share.
//! Step: event → … → **view**.

use super::demo::{LIVE, start, title, unnamed_file};
use super::error::Exit;
use super::notes::Lectern;
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
    /// For a projector from the beginning.
    pub stage: bool,
}

/// What a demo on the screen has besides the recording.
pub(super) struct Staged {
    /// Its lesson, Markdown.
    pub lesson: &'static str,
    /// How it is shown.
    pub how: Show,
    /// Hears of each step.
    pub on_step: Option<tui::OnStep>,
}

/// On the screen: this side, and with `r` the other one, until the person leaves.
pub(super) fn show(
    demo: &'static Demo,
    mut fixed: bool,
    mut target: Option<(PathBuf, Target)>,
    mut how: Show,
) -> anyhow::Result<(Exit, tui::Outcome)> {
    let lectern = Lectern::open();
    loop {
        let staged = Staged {
            lesson: demo.lesson,
            how,
            on_step: lectern.as_ref().map(|lectern| lectern.tells(demo)),
        };
        let (exit, left) = match how.recorded {
            true => replay(demo, fixed, staged)?,
            false => live(demo, fixed, target.take(), staged)?,
        };
        let tui::Outcome::Left(tui::Leave::Other(stage)) = left else {
            return Ok((exit, left));
        };
        (fixed, how.stage) = (!fixed, stage);
    }
}

/// As it happens.
fn live(
    demo: &'static Demo,
    fixed: bool,
    target: Option<(PathBuf, Target)>,
    staged: Staged,
) -> anyhow::Result<(Exit, tui::Outcome)> {
    let (path, target) = target.map_or((None, unnamed()), |(path, to)| (Some(path), to));
    let how = staged.how;
    let live = start(demo, how.seed, fixed, target, LIVE, first_size())?;
    watched(
        live,
        Watch {
            name: title(demo, fixed),
            path,
            program: "the demo".to_owned(),
            ascii: how.ascii,
            demo: Some(staged),
        },
    )
}

/// From the recording that ships.
fn replay(
    demo: &'static Demo,
    fixed: bool,
    staged: Staged,
) -> anyhow::Result<(Exit, tui::Outcome)> {
    let how = staged.how;
    let [broken, repaired] = demo.recorded;
    let file = unnamed_file(if fixed { repaired } else { broken })?;
    let options = tui::Options {
        name: title(demo, fixed),
        ascii: how.ascii,
        picture: Some(svg::to_svg),
        demo: true,
        lesson: Some(staged.lesson),
        lecture: how.lecture,
        stage: how.stage,
        on_step: staged.on_step,
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
