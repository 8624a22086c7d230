//! `loopscope export F --to cast|html|slides`: a recording as the UI shows it, for slides and homework. Step: view → **outside**.

use super::Failure;
use super::folder::Folder;
use super::output::{Output, is_stream};
use super::progress::Progress;
use super::snapshot::Size;
use super::walk::{Shown, Walk};
use crate::export::cast::Cast;
use crate::export::slides as deck;
use crate::export::{page, png, scene, svg};
use crate::lesson::Step;
use crate::tui::view::SMALLEST;
use crate::tui::{Look, Theme};
use std::path::Path;
use std::time::Duration;

/// Where to write, and screens of which size.
pub(super) struct To<'a> {
    pub path: Option<&'a Path>,
    pub force: bool,
    pub size: Size,
    pub theme: Theme,
}

impl To<'_> {
    /// What is made of a recording is its owner's, like the recording; what is made of one that ships is there to be handed out.
    fn output(&self, walk: &Walk) -> anyhow::Result<Output> {
        match walk.ships {
            true => Output::shared(self.path, self.force),
            false => Output::create(self.path, self.force),
        }
    }
}

/// Columns and rows of a screen, at most: nobody reads more, and a lesson may have 64 of them.
const LARGEST: (u16, u16) = (300, 100);

/// Columns that can be read on a phone.
const PHONE: u16 = SMALLEST.0;

/// How long a text stays on the screen: so much, and as long as it takes to read it.
const STAYS: Duration = Duration::from_secs(2);
const CHARACTER: Duration = Duration::from_millis(50);

/// The walk along a recording, where its screens fit.
fn walk(file: &Path, to: &To<'_>) -> anyhow::Result<Walk> {
    let Size(width, height) = to.size;
    let ((least_w, least_h), (most_w, most_h)) = (SMALLEST, LARGEST);
    if width < least_w || height < least_h || width > most_w || height > most_h {
        let failure = Failure::usage(format!("a screen of {width}x{height} cannot be drawn"));
        return Err(failure
            .hint(format!("from {least_w}x{least_h} to {most_w}x{most_h}"))
            .into());
    }
    let colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let look = Look {
        ascii: false,
        colour,
        theme: to.theme,
    };
    Walk::open(file, look)
}

/// Writes the replay as an asciicast.
pub(super) fn cast(file: &Path, to: &To<'_>) -> anyhow::Result<()> {
    let mut walk = walk(file, to)?;
    let mut out = to.output(&walk)?;
    let mut progress = Progress::new("exporting");
    let Size(width, height) = to.size;
    let steps = walk.lesson.steps.len();
    let (mut cast, header) = Cast::new(&walk.lesson.title, width, height);
    out.text(&header)?;
    walk.play((width, height), &mut |screen, shown| {
        let line = cast.show(screen)?;
        out.text(&line)?;
        match shown {
            Shown::Played(time) => cast.wait(time),
            Shown::Step(at, step) => {
                progress.show(at as f64 / steps as f64);
                let mark = cast.mark(&format!("{} of {steps}: {}", at + 1, step.title));
                out.text(&mark)?;
                cast.wait(reading(step));
            }
            Shown::Answer(at, step) => {
                let mark = cast.mark(&format!("{} of {steps}: the answer", at + 1));
                out.text(&mark)?;
                cast.wait(reading_answer(step));
            }
        }
        Ok(())
    })?;
    out.text(&cast.end()?)?;
    progress.clear();
    out.finish()?;
    walk.warn();
    Ok(())
}

/// Writes the steps as a page.
pub(super) fn html(file: &Path, to: &To<'_>) -> anyhow::Result<()> {
    let mut walk = walk(file, to)?;
    let mut out = to.output(&walk)?;
    let Size(width, height) = to.size;
    let sizes = match width {
        0..=PHONE => vec![(width, height)],
        _ => vec![(width, height), SMALLEST],
    };
    let mut progress = Progress::new("exporting");
    let scenes = walk.scenes(&sizes, &mut |done| progress.show(done))?;
    progress.clear();
    out.text(&page::to_html(&walk.lesson.title, &scenes))?;
    out.finish()?;
    walk.warn();
    Ok(())
}

/// Writes the steps as slides with their pictures.
pub(super) fn slides(file: &Path, to: &To<'_>) -> anyhow::Result<()> {
    let path = to.path.filter(|path| !is_stream(path)).ok_or_else(|| {
        Failure::usage("slides are several files").hint("name a directory for them with -o")
    })?;
    let mut walk = walk(file, to)?;
    let mut folder = Folder::create(path, to.force, walk.ships)?;
    let Size(width, height) = to.size;
    let mut progress = Progress::new("exporting");
    let scenes = walk.scenes(&[(width, height)], &mut |done| progress.show(done))?;
    let letters = png::Letters::new()?;
    for (at, scene) in scenes.iter().enumerate() {
        for screen in &scene.screens {
            let name = deck::name(at);
            folder.add(&format!("{name}.svg"), svg::to_svg(screen).as_bytes())?;
            folder.add(&format!("{name}.png"), &png::to_png(screen, &letters)?)?;
        }
    }
    // The last one: where it is, all are.
    let title = &walk.lesson.title;
    folder.add("slides.md", deck::to_markdown(title, &scenes).as_bytes())?;
    folder.keep()?;
    progress.clear();
    walk.warn();
    Ok(())
}

fn of(texts: &[&str]) -> Duration {
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    STAYS + CHARACTER * u32::try_from(characters).unwrap_or(u32::MAX / 100)
}

fn reading(step: &Step) -> Duration {
    let mut time = of(&[&step.caption]);
    if let Some(question) = &step.question {
        let choices: Vec<&str> = question.choices.iter().map(String::as_str).collect();
        time += of(&choices) + of(&[&question.text]);
    }
    time
}

fn reading_answer(step: &Step) -> Duration {
    let asked = step.question.as_ref();
    asked.map_or(STAYS, |asked| of(&[&scene::answer(asked), &asked.why]))
}
