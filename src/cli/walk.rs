//! A recording from step to step, as the UI shows it: along its lesson or, where it has none, along what was found in it. The
//! exports for slides and homework are made of this. Step: view → **outside**.

use super::demo::unnamed_file;
use super::{Failure, open};
use crate::demos;
use crate::export::scene::Scene;
use crate::lesson::{Lesson, Step, Until};
use crate::model::Id;
use crate::trace::Reader;
use crate::tui::app::SPEEDS;
use crate::tui::app::lesson::Lecture;
use crate::tui::{self, App, Look, Message, Source, View};
use ratatui::buffer::Buffer;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Findings told, the worst ones.
const FINDINGS: usize = 20;
/// How long the recording plays from one step to the next, at most.
const PLAYED: Duration = Duration::from_secs(4);
/// From one screen to the next while it plays.
const FRAME: Duration = Duration::from_millis(100);

/// See the [module](self).
pub(super) struct Walk {
    app: App,
    /// Along which it goes.
    pub lesson: Lesson,
    /// The loop and the descriptor that each step is about, where the lesson names none.
    about: Vec<About>,
    /// A recording that ships: it holds nobody's secrets.
    pub ships: bool,
    file: PathBuf,
}

type About = (Option<Id>, Option<Id>);

/// What a walk shows.
pub(super) enum Shown<'a> {
    /// It plays: this screen for so long.
    Played(Duration),
    /// A step of the lesson, the first is 0.
    Step(usize, &'a Step),
    /// Its answer.
    Answer(usize, &'a Step),
}

impl Walk {
    /// A recording, or the one that ships with the demo of this name.
    pub fn open(file: &Path, look: Look) -> anyhow::Result<Walk> {
        let demo = file.to_str().and_then(demos::find);
        let demo = demo.filter(|_| !file.exists());
        let kept = demo
            .map(|demo| unnamed_file(demo.recorded[0]))
            .transpose()?;
        let path = match &kept {
            Some(kept) => PathBuf::from(format!("/proc/self/fd/{}", kept.as_raw_fd())),
            None => file.to_owned(),
        };
        let source = Source::Replay {
            path,
            follow: false,
        };
        let options = tui::Options {
            name: file.display().to_string(),
            ascii: look.ascii,
            lesson: demo.map(|demo| demo.lesson),
            ..tui::Options::default()
        };
        let mut app = App::open(&source, options, look)?.map_err(Failure::usage)?;
        let (lesson, about) = match &app.lecture {
            Some(lecture) => (lecture.lesson.clone(), Vec::new()),
            None => found(&mut app)?,
        };
        app.lecture = Some(Lecture::new(lesson.clone()));
        Ok(Walk {
            app,
            lesson,
            about,
            ships: demo.is_some(),
            file: file.to_owned(),
        })
    }

    /// The recording.
    pub fn reader(&self) -> &Reader {
        self.app.player.reader()
    }

    /// Tells what is damaged in the recording.
    pub fn warn(&self) {
        open::warn(self.reader(), &self.file);
    }

    /// The steps with their screens at these sizes. The screen alone, without the caption and without the row of keys: who looks
    /// at a picture cannot press them.
    pub fn scenes(
        &mut self,
        sizes: &[(u16, u16)],
        progress: &mut dyn FnMut(f64),
    ) -> anyhow::Result<Vec<Scene>> {
        let steps = self.lesson.steps.clone();
        let mut scenes = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            progress(at as f64 / self.lesson.steps.len() as f64);
            self.go_on()?;
            let lecture = self.app.lecture.take();
            let screens: Result<Vec<Buffer>, _> = sizes
                .iter()
                .map(|&(width, height)| {
                    let frame = tui::frame(&mut self.app, width, height)?;
                    Ok::<_, anyhow::Error>(without_keys(frame))
                })
                .collect();
            self.app.lecture = lecture;
            scenes.push(Scene {
                title: step.title,
                caption: step.caption,
                question: step.question,
                notes: step.notes,
                screens: screens?,
            });
        }
        Ok(scenes)
    }

    /// Plays from the first moment to the last step: each screen and what it is, in their order.
    pub fn play(
        &mut self,
        (width, height): (u16, u16),
        show: &mut dyn FnMut(&Buffer, Shown<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let steps = self.lesson.steps.clone();
        let opened = (self.app.loop_id, self.app.chosen);
        let mut instants = Vec::new();
        for _ in &steps {
            self.go_on()?;
            self.app.player.finish()?;
            instants.push(self.app.t());
        }
        let Walk {
            app, lesson, about, ..
        } = self;
        app.lecture = Some(Lecture::new(lesson.clone()));
        app.update(Message::First)?;
        (app.loop_id, app.chosen) = opened;
        app.before.clear();
        let first = steps.first().and_then(|step| step.screen.as_deref());
        app.view = first.and_then(View::from_name).unwrap_or_default();
        for (at, (step, until)) in steps.iter().zip(instants).enumerate() {
            app.speed = speed(until.saturating_sub(app.t()));
            for _ in 0..PLAYED.as_millis() / FRAME.as_millis() {
                app.playing = true;
                let frame = tui::frame(app, width, height)?;
                show(&frame, Shown::Played(FRAME))?;
                app.tick(FRAME.as_nanos() as u64)?;
                app.player.finish()?;
                if app.t() >= until || !app.playing {
                    break;
                }
            }
            app.playing = false;
            self::go_on(app, about)?;
            let frame = tui::frame(app, width, height)?;
            show(&frame, Shown::Step(at, step))?;
            if app.lecture.as_ref().is_some_and(|l| l.open() > 0) {
                app.update(Message::Lesson(1))?;
                let frame = tui::frame(app, width, height)?;
                show(&frame, Shown::Answer(at, step))?;
            }
        }
        Ok(())
    }

    fn go_on(&mut self) -> anyhow::Result<()> {
        go_on(&mut self.app, &self.about)
    }
}

/// To the next step, also from an open question.
fn go_on(app: &mut App, about: &[About]) -> anyhow::Result<()> {
    if let Some(lecture) = &mut app.lecture {
        lecture.revealed = true;
    }
    app.update(Message::Lesson(1))?;
    let at = app.lecture.as_ref().and_then(|lecture| lecture.at);
    if let Some((loop_id, reg)) = at.and_then(|at| about.get(at)) {
        app.loop_id = loop_id.unwrap_or(app.loop_id);
        app.chosen = reg.or(app.chosen);
    }
    Ok(())
}

/// The slowest speed at which so much of a recording is played in time.
fn speed(ns: u64) -> usize {
    let fits = |&(recorded, shown): &(u64, u64)| {
        u128::from(ns) * u128::from(shown) <= PLAYED.as_nanos() * u128::from(recorded)
    };
    SPEEDS.iter().position(fits).unwrap_or(SPEEDS.len() - 1)
}

/// All but the last row.
fn without_keys(frame: Buffer) -> Buffer {
    let mut area = frame.area;
    area.height = area.height.saturating_sub(1);
    let mut content = frame.content;
    content.truncate(usize::from(area.width) * usize::from(area.height));
    Buffer { area, content }
}

/// A recording that is no lesson's: where it opens, what was found in it in the order of time, and who had the loop.
fn found(app: &mut App) -> anyhow::Result<(Lesson, Vec<About>)> {
    let waited = app.go_to_worst(None)?;
    app.note = None;
    let caption = match waited {
        Some(waited) => format!("The longest wait of the recording: {waited}."),
        None => "Nobody waited in this recording.".to_owned(),
    };
    let first = step(app.t(), "Where the recording opens", "loop", caption);
    let mut steps = vec![(first, (Some(app.loop_id), app.chosen))];
    // Looks through the recording.
    app.view = View::Findings;
    tui::frame(app, 80, 24)?;
    for found in app.findings().iter().take(FINDINGS) {
        let title = format!("{} ({})", found.code.title(), found.code);
        let caption = format!("{} Cure: {}", found.summary, found.advice);
        let step = step(found.at_ns, &title, "timeline", caption);
        steps.push((step, (found.loop_id, found.reg)));
    }
    steps.sort_by_key(|(step, _)| match step.until {
        Until::Time(t) => t,
        _ => 0,
    });
    let mut last = step(
        0,
        "Who had the loop",
        "fairness",
        "At the end: who was served how often, for how long, and whom it made wait.".to_owned(),
    );
    last.until = Until::End;
    steps.push((last, (None, None)));
    let (steps, about) = steps.into_iter().unzip();
    let title = app.player.reader().meta().title.clone();
    let title = match title.is_empty() {
        true => app.options.name.rsplit('/').next().unwrap_or("").to_owned(),
        false => title,
    };
    let knobs = Vec::new();
    Ok((
        Lesson {
            title,
            steps,
            knobs,
        },
        about,
    ))
}

fn step(at: u64, title: &str, screen: &str, caption: String) -> Step {
    Step {
        title: title.to_owned(),
        until: Until::Time(at),
        screen: Some(screen.to_owned()),
        fd: None,
        caption,
        question: None,
        notes: String::new(),
    }
}
