//! A launched program under the UI: what `run` and a live `demo` share. Step: trace → model → **view**, live.

use super::drawn::Drawn;
use super::error::{Exit, Outcome};
use super::output::Output;
use super::record::{self, exit_of, explain, tell};
use super::stage::Staged;
use crate::capture::control::ChildState;
use crate::capture::live::Live;
use crate::capture::pty::Size;
use crate::export::svg;
use crate::report::{self, text};
use crate::trace::Reader;
use crate::tui::{self, Source, View};
use signal_hook::consts::SIGHUP;
use std::fs::File;
use std::path::PathBuf;

/// How to show it.
pub(super) struct Watch {
    /// The recording's name on screen.
    pub name: String,
    /// Where it is recorded; nothing for a file without a name.
    pub path: Option<PathBuf>,
    /// The program's name, for errors.
    pub program: String,
    /// How it is drawn.
    pub drawn: Drawn,
    /// It is a demo.
    pub demo: Option<Staged>,
}

/// Shows a live recording until the person leaves, then completes it and keeps it if asked.
pub(super) fn watch(live: Live, watch: Watch) -> Outcome {
    Ok(watched(live, watch)?.0)
}

/// The same, and how it was left.
pub(super) fn watched(live: Live, watch: Watch) -> anyhow::Result<(Exit, tui::Outcome)> {
    let control = live.control().clone();
    let options = tui::Options {
        name: watch.name.clone(),
        view: (watch.demo.as_ref()).map_or_else(View::default, |demo| demo.how.view),
        ascii: watch.drawn.ascii,
        theme: watch.drawn.theme,
        picture: Some(svg::to_svg),
        demo: watch.demo.is_some(),
        fixed: watch.demo.as_ref().is_some_and(|demo| demo.fixed),
        set: (watch.demo.as_ref()).map_or_else(Vec::new, |demo| demo.how.set.clone()),
        lesson: watch.demo.as_ref().map(|demo| demo.lesson),
        lecture: watch.demo.as_ref().and_then(|demo| demo.how.lecture),
        lesson_at: watch.demo.as_ref().and_then(|demo| demo.how.lesson_at),
        stage: watch.demo.as_ref().is_some_and(|demo| demo.how.stage),
        beside: watch.demo.as_ref().map(|demo| demo.other.clone()),
        on_step: watch.demo.as_ref().and_then(|demo| demo.on_step.clone()),
        ..tui::Options::default()
    };
    let shown = tui::run(&Source::Live(control.clone()), options).map(|ended| ended.outcome);
    let running = || matches!(control.child(), ChildState::Running { .. });
    let teller = live.teller();
    match &shown {
        // Chosen before the recording's name was asked for.
        Ok(tui::Outcome::Left(_)) if running() && control.left() => teller.finish(),
        Ok(tui::Outcome::Left(_)) if running() => control.end(),
        Ok(tui::Outcome::Left(_)) => {}
        // A signal to us is one to the child, as without a UI; nobody is left to say another one.
        Ok(tui::Outcome::Signalled(signal)) => {
            control.signal(*signal);
            control.end();
        }
        Ok(tui::Outcome::HungUp) => {
            control.signal(SIGHUP);
            control.end();
        }
        Err(_) => control.end(),
    }
    let ended = live.join().map_err(explain)?;
    let shown = shown?;
    let saved = record::save(&ended.file, &ended.control)?;
    let exit = exit_of(&ended, &watch.program, watch.path.as_deref())?;
    if let Some(path) = saved.or(watch.path) {
        tell(&ended.outcome, &path, "replay");
    }
    let code = match shown {
        tui::Outcome::Left(_) => exit,
        tui::Outcome::Signalled(signal) => Exit(128 + signal as u8),
        tui::Outcome::HungUp => Exit(128 + SIGHUP as u8),
    };
    Ok((code, shown))
}

/// The text report of a recording that may have no name.
pub(super) fn print_report(file: File, kept: Option<&str>) -> anyhow::Result<()> {
    let mut reader = Reader::from_file(file, kept.unwrap_or("the recording"))?;
    let summary = report::fold(&mut reader, &Default::default(), &mut |_| ())?;
    let mut out = Output::stdout();
    let options = text::Options {
        top: super::report::TOP,
        file: kept,
    };
    out.text(&report::to_text(&summary, &options))?;
    out.finish()
}

/// The size a child's terminal starts with: that of the pane it will be drawn in.
pub(super) fn first_size() -> Size {
    let ours = crossterm::terminal::size();
    ours.map(|(cols, rows)| crate::tui::live::pane(cols, rows))
        .unwrap_or_default()
}
