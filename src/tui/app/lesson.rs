//! The lesson of a demo's recording: from step to step, with a question to be answered before the answer is shown.
//! Step: model → **view**.

use super::{App, Mode};
use crate::lesson::{Lesson, Step, Until};
use crate::model::{Id, Mark, Model, Registration, Run, Sink};
use crate::record::event::Space;
use crate::trace::Error;
use crate::tui::filter::Filter;
use crate::tui::message::{Among, Leave, LessonAt, View};
use crate::tui::player::{self, Folder, Player};
use crate::tui::view::marks;

/// Where a step stands in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Behind this event.
    Event(u64),
    /// At this instant.
    Time(u64),
    /// At the end.
    End,
}

/// What a step has found: its place, and the registration and loop of the run that it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    place: Place,
    run: Option<(Id, Id)>,
}

impl From<Place> for Found {
    fn from(place: Place) -> Found {
        Found { place, run: None }
    }
}

/// A lesson under way.
pub struct Lecture {
    /// The lesson.
    pub lesson: Lesson,
    /// The step shown, none before the first.
    pub at: Option<usize>,
    /// What was chosen of the step's question.
    pub chosen: Option<usize>,
    /// The answer is shown.
    pub revealed: bool,
    /// The step's moment has not come yet.
    pub waits: bool,
    /// It goes on where it was left: through the steps before, each of which is looked for behind another.
    resumes: bool,
    /// It was said that the lecture is over.
    over: bool,
    /// Where the steps shown so far stand, and the event behind which the next one is looked for.
    places: Vec<(Found, u64)>,
}

impl Lecture {
    /// Before its first step.
    pub fn new(lesson: Lesson) -> Self {
        Lecture {
            lesson,
            at: None,
            chosen: None,
            revealed: false,
            waits: false,
            resumes: false,
            over: false,
            places: Vec::new(),
        }
    }

    /// The step shown.
    pub fn step(&self) -> Option<&Step> {
        self.lesson.steps.get(self.at?)
    }

    /// How many choices wait for one to be chosen; 0 when no question is open.
    pub fn open(&self) -> usize {
        let question = self.step().and_then(|step| step.question.as_ref());
        match question {
            Some(question) if !self.revealed && !self.waits => question.choices.len(),
            _ => 0,
        }
    }
}

impl App {
    /// The lesson of this text, of the side that the recording is of; one that cannot be read is none.
    pub(super) fn lesson_of(&self, text: &str) -> Option<Lecture> {
        let lesson = match self.is_repaired() {
            true => Lesson::repaired(text),
            false => Lesson::parse(text),
        };
        lesson.ok().map(Lecture::new)
    }

    /// The repaired side of a demo, also when it is a file that is replayed.
    fn is_repaired(&self) -> bool {
        let command = &self.player.reader().meta().command;
        let demo = command.get(..2).is_some_and(|c| c == ["loopscope", "demo"]);
        self.options.fixed || demo && command.iter().any(|arg| arg == "--fixed")
    }

    /// A question is open and nothing stands in its place.
    pub fn question_is_seen(&self) -> bool {
        self.mode != Mode::Knobs && self.lecture.as_ref().is_some_and(|l| l.open() > 0)
    }

    /// A question is open, here or in what this stands beside.
    pub fn asks(&self) -> bool {
        self.led.asks || self.question_is_seen()
    }

    /// What lies behind this instant is not shown: it is what an open question asks for.
    pub fn curtain(&self) -> u64 {
        match self.asks() {
            true => self.t(),
            false => u64::MAX,
        }
    }

    /// Where the lesson is, once it has begun.
    pub(super) fn lesson_at(&self) -> Option<LessonAt> {
        let lecture = self.lecture.as_ref()?;
        let step = lecture.at?;
        Some(LessonAt {
            step,
            is_last: step + 1 == lecture.lesson.steps.len(),
            chosen: lecture.chosen,
            revealed: lecture.revealed,
            view: Some(self.view),
        })
    }

    /// Goes on where it was left; of a program that began anew, when that moment comes.
    pub(in crate::tui) fn resume_lesson(&mut self) -> Result<(), Error> {
        let steps = self.lecture.as_ref().map_or(0, |l| l.lesson.steps.len());
        let (Some(left), Some(last)) = (self.options.lesson_at, steps.checked_sub(1)) else {
            return Ok(());
        };
        if let Some(lecture) = &mut self.lecture {
            lecture.resumes = true;
            lecture.at = Some(left.step.min(last));
            (lecture.chosen, lecture.revealed) = (left.chosen, left.revealed);
        }
        self.go_to_step()?;
        self.before.clear();
        if let Some(view) = left.view {
            self.view = view;
        }
        if self.options.fixed && self.view == View::Loop && self.player.ended() {
            // At the end the loop is gone: there is more to compare where somebody waited longest.
            self.go_to_worst(None)?;
        }
        self.note = None;
        self.tell_step();
        Ok(())
    }

    /// PgDn and PgUp: the answer, the next step, the one before.
    pub(super) fn lesson_step(&mut self, by: i64) -> Result<(), Error> {
        // First the question is seen again.
        if self.mode == Mode::Knobs && self.lecture.as_ref().is_some_and(|l| l.open() > 0) {
            self.mode = Mode::Normal;
            return Ok(());
        }
        let done = self.step_by(by);
        self.tell_step();
        done
    }

    /// Says where the lesson is to whoever shows its notes.
    fn tell_step(&self) {
        if let (Some(tell), Some(lecture)) = (&self.options.on_step, &self.lecture) {
            tell(lecture.at.map_or(0, |at| at + 1), lecture.revealed);
        }
    }

    fn step_by(&mut self, by: i64) -> Result<(), Error> {
        let repaired = self.options.fixed;
        let Some(lecture) = &mut self.lecture else {
            return Ok(());
        };
        lecture.resumes = false;
        let was_over = std::mem::take(&mut lecture.over);
        if by > 0 && lecture.open() > 0 {
            lecture.revealed = true;
            return Ok(());
        }
        let to = match (lecture.at, by > 0) {
            (None, true) => 0,
            (Some(at), true) => at + 1,
            (Some(at), false) if at > 0 => at - 1,
            (None, false) if !repaired && self.options.lecture.is_some_and(|l| l.before) => {
                self.left_with = Some(Leave::Previous(self.as_shown()));
                return Ok(());
            }
            _ => {
                lecture.at = None;
                lecture.waits = false;
                return Ok(());
            }
        };
        if to >= lecture.lesson.steps.len() {
            self.past_the_last(was_over);
            return Ok(());
        }
        lecture.at = Some(to);
        lecture.chosen = None;
        lecture.revealed = false;
        self.go_to_step()
    }

    /// After the last step; of a lecture's last demo a second time.
    fn past_the_last(&mut self, again: bool) {
        // The other side's lesson may have steps left.
        let halfway = self.options.fixed && !self.options.lesson_at.is_some_and(|l| l.is_last);
        let said = match self.options.lecture {
            None => "Done.  r repaired / broken   B both   g again   PgUp back   q quit",
            Some(_) if halfway => "r goes back to the broken program and its lesson",
            Some(Among { after: false, .. }) if !again => {
                if let Some(lecture) = &mut self.lecture {
                    lecture.over = true;
                }
                "Done.  PgDn ends the lecture   PgUp back"
            }
            Some(_) => {
                self.left_with = Some(Leave::Next(self.as_shown()));
                return;
            }
        };
        self.say(said.to_owned());
    }

    /// A choice of the open question.
    pub(super) fn lesson_answer(&mut self, choice: usize) {
        if let Some(lecture) = &mut self.lecture
            && choice < lecture.open()
        {
            lecture.chosen = Some(choice);
            lecture.revealed = true;
        }
        self.tell_step();
    }

    /// To the moment of the step shown, if it has come.
    pub(super) fn go_to_step(&mut self) -> Result<(), Error> {
        let Some(lecture) = &self.lecture else {
            return Ok(());
        };
        let Some(at) = lecture.at else { return Ok(()) };
        let first = match lecture.resumes {
            true => lecture.places.len().min(at),
            false => at,
        };
        for step in first..=at {
            if let Some(lecture) = &mut self.lecture {
                lecture.at = Some(step);
            }
            self.go_to_this_step()?;
            if self.lecture.as_ref().is_some_and(|l| l.waits) {
                break;
            }
        }
        if let Some(lecture) = &mut self.lecture {
            lecture.at = Some(at);
        }
        Ok(())
    }

    fn go_to_this_step(&mut self) -> Result<(), Error> {
        let Some(lecture) = &self.lecture else {
            return Ok(());
        };
        let (Some(at), Some(step)) = (lecture.at, lecture.step().cloned()) else {
            return Ok(());
        };
        let known = lecture.places.get(at).copied();
        let before = at.checked_sub(1).and_then(|at| lecture.places.get(at));
        let from = before.map_or(0, |(_, next)| *next);
        let found = match known {
            Some((found, _)) => Some(found),
            None => find(&mut self.player, &step.until, from)?,
        };
        let ended = self.player.ended();
        let Some(lecture) = &mut self.lecture else {
            return Ok(());
        };
        lecture.waits = found.is_none() && !ended;
        // A recording without this moment shows its end: the caption is there all the same.
        let found = match found {
            Some(found) => found,
            None if ended => Place::End.into(),
            None => {
                self.playing = false;
                self.held = None;
                if !self.following {
                    self.following = true;
                    self.player.follow()?;
                }
                return Ok(());
            }
        };
        if let Some(view) = step.screen.as_deref().and_then(View::from_name) {
            self.show(view);
        }
        self.travel(|player| match found.place {
            Place::Event(event) => player.seek_event(event.saturating_add(1)),
            Place::Time(t) => player.seek(t),
            Place::End => player.seek_end(),
        })?;
        self.player.finish()?;
        self.left = None;
        let next = self.player.next();
        if let Some(lecture) = &mut self.lecture
            && lecture.places.len() == at
        {
            lecture.places.push((found, next));
        }
        let name = step.fd.as_deref();
        let named = |reg: &&Registration| Some(&*reg.name) == name;
        let all: Vec<_> = self.model().regs().filter(named).collect();
        let chosen = all.iter().rev().find(|reg| reg.is_live()).or(all.last());
        // A run of another loop than the one shown brings its own.
        let other = found.run.filter(|run| run.1 != self.loop_id);
        if let Some((id, loop_id)) = chosen.map(|reg| (reg.id, reg.loop_id)).or(other) {
            (self.chosen, self.loop_id) = (Some(id), loop_id);
        }
        Ok(())
    }
}

/// The first place at or behind event `from` that a step waits for; nothing while there is none.
fn find(player: &mut Player, until: &Until, from: u64) -> Result<Option<Found>, Error> {
    let end = player.reader().end();
    match until {
        Until::Start => return Ok(Some(Place::Event(player.reader().first()).into())),
        Until::End => return Ok(player.ended().then_some(Place::End.into())),
        Until::Time(t) => {
            let there = player.duration() >= *t || player.ended();
            return Ok(there.then_some(Place::Time(*t).into()));
        }
        Until::Mark(..) | Until::Run(..) => {}
    }
    let filter = match until {
        Until::Run(text, _) => Filter::parse(text).ok(),
        _ => None,
    };
    let mut folder = Folder::start();
    let mut heard = Heard::default();
    loop {
        let before = folder.next;
        let done = folder.run(
            player.reader_mut(),
            player::Until::event(end),
            64,
            &mut heard,
        )?;
        for run in std::mem::take(&mut heard.runs) {
            if run.event >= from
                && let (Some(filter), Until::Run(_, after)) = (&filter, until)
                && filter.matches(&folder.model, &run, &[])
            {
                let place = match after {
                    0 => Place::Event(run.event),
                    _ => Place::Time(run.start.saturating_add(*after)),
                };
                let run = Some((run.reg, run.loop_id));
                return Ok(Some(Found { place, run }));
            }
        }
        for (mark, fields) in std::mem::take(&mut heard.marks) {
            if mark.event >= from && is_mark(&folder.model, &mark, &fields, until) {
                let place = match until {
                    Until::Mark(_, _, after @ 1..) => Place::Time(mark.t.saturating_add(*after)),
                    _ => Place::Event(mark.event),
                };
                return Ok(Some(place.into()));
            }
        }
        if done || folder.next == before {
            return Ok(None);
        }
    }
}

fn is_mark(model: &Model, mark: &Mark, fields: &str, until: &Until) -> bool {
    let Until::Mark(name, wanted, _) = until else {
        return false;
    };
    model.name(mark.process, Space::Mark, mark.name) == name && fields.contains(wanted.as_str())
}

/// Runs and marks as they are told.
#[derive(Default)]
struct Heard {
    runs: Vec<Run>,
    marks: Vec<(Mark, String)>,
}

impl Sink for Heard {
    fn run(&mut self, run: &Run) {
        self.runs.push(*run);
    }
    fn mark(&mut self, mark: &Mark, fields: &[u8]) {
        self.marks.push((*mark, marks::fields(fields)));
    }
}
