//! A demo on the screen, live or from the recording that ships, and with `r` its other side: what `demo` and `lecture` share.
//! Step: event → … → **view**.

use super::demo::{LIVE, unnamed_file};
use super::drawn::Drawn;
use super::error::Exit;
use super::notes::Lectern;
use super::place::Place;
use super::run::unnamed;
use super::side::Side;
use super::watch::{Watch, first_size, watched};
use crate::capture::session::Target;
use crate::demos::Demo;
use crate::export::svg;
use crate::tui;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

/// How demos are shown on the screen.
#[derive(Clone, Debug)]
pub(super) struct Show {
    /// What was recorded earlier, not a program that runs.
    pub recorded: bool,
    /// Where the load's random numbers start.
    pub seed: u64,
    /// Knobs turned from the start, `name=value`.
    pub set: Vec<String>,
    /// How it is drawn.
    pub drawn: Drawn,
    /// One of several.
    pub lecture: Option<tui::Among>,
    /// Where its lesson goes on.
    pub lesson_at: Option<tui::LessonAt>,
    /// For a projector from the beginning.
    pub stage: bool,
    /// The first screen.
    pub view: tui::View,
    /// Both sides from the beginning.
    pub both: bool,
}

impl Show {
    /// As the one before it was when it was left.
    pub fn as_before(&mut self, shown: tui::Shown) {
        self.stage = shown.stage;
        self.drawn.theme = Some(shown.theme);
    }
}

/// What a demo on the screen has besides the recording.
pub(super) struct Staged {
    /// Its lesson, Markdown.
    pub lesson: &'static str,
    /// The repaired program.
    pub fixed: bool,
    /// How it is shown.
    pub how: Show,
    /// Hears of each step.
    pub on_step: Option<tui::OnStep>,
    /// Its other side, as it was recorded.
    pub other: tui::Other,
}

/// On the screen: this side, and with `r` the other one, until the person leaves.
pub(super) fn show(
    demo: &'static Demo,
    mut fixed: bool,
    mut target: Option<(PathBuf, Target)>,
    mut how: Show,
) -> anyhow::Result<(Exit, tui::Outcome)> {
    let lectern = Lectern::open();
    // Where the broken program's lesson was left.
    let mut broken = how.lesson_at;
    loop {
        how.lesson_at = match fixed {
            false => broken,
            // Its one step, on the screen to compare with.
            true => broken.map(|left| tui::LessonAt {
                step: 0,
                chosen: None,
                revealed: false,
                ..left
            }),
        };
        let staged = Staged {
            lesson: demo.lesson,
            fixed,
            how: how.clone(),
            on_step: lectern.as_ref().map(|lectern| lectern.tells(demo, fixed)),
            other: other(demo, fixed, how.both)?,
        };
        let (exit, left) = match how.recorded {
            true => replay(demo, staged)?,
            false => live(demo, target.take(), staged)?,
        };
        let tui::Outcome::Left(tui::Leave::Other(shown)) = left else {
            return Ok((exit, left));
        };
        if !fixed {
            broken = shown.lesson;
        }
        fixed = !fixed;
        how.as_before(shown);
        (how.view, how.both) = (shown.view, shown.beside);
    }
}

/// The other side, from the recording that ships. The broken one stands above.
fn other(demo: &'static Demo, fixed: bool, shown: bool) -> anyhow::Result<tui::Other> {
    let file = unnamed_file(demo.recorded[usize::from(!fixed)])?;
    let side = if fixed { "broken" } else { "fixed" };
    Ok(tui::Other {
        name: format!("{} {side}", demo.name),
        path: PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())),
        above: fixed,
        shown,
        keep: Some(Arc::new(file)),
    })
}

/// As it happens.
fn live(
    demo: &'static Demo,
    target: Option<(PathBuf, Target)>,
    staged: Staged,
) -> anyhow::Result<(Exit, tui::Outcome)> {
    let (path, target) = target.map_or((None, unnamed()), |(path, to)| (Some(path), to));
    let how = staged.how.clone();
    let side = Side {
        demo,
        fixed: staged.fixed,
        seed: how.seed,
        set: &how.set,
    };
    let place = Place::new()?;
    watched(
        side.start(target, &place, LIVE, first_size())?,
        Watch {
            name: side.title(),
            path,
            program: "the demo".to_owned(),
            drawn: how.drawn,
            demo: Some(staged),
        },
    )
}

/// From the recording that ships.
fn replay(demo: &'static Demo, staged: Staged) -> anyhow::Result<(Exit, tui::Outcome)> {
    let (how, fixed) = (staged.how, staged.fixed);
    let side = Side {
        demo,
        fixed,
        seed: how.seed,
        set: &[],
    };
    let file = unnamed_file(demo.recorded[usize::from(fixed)])?;
    let options = tui::Options {
        name: side.title(),
        fixed,
        view: how.view,
        ascii: how.drawn.ascii,
        theme: how.drawn.theme,
        picture: Some(svg::to_svg),
        demo: true,
        lesson: Some(staged.lesson),
        lecture: how.lecture,
        lesson_at: how.lesson_at,
        stage: how.stage,
        beside: Some(staged.other),
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
