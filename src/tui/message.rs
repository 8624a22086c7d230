//! What a key means: the only way the UI's state changes is [`App::update`](super::app::App::update) with one of
//! these. Step: none of the pipeline; it moves the view.

use super::palette::Theme;

/// A screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// The batch theatre.
    #[default]
    Loop,
    /// One lane an fd.
    Timeline,
    /// Who waited, sorted.
    Fairness,
    /// How long it took, over time.
    Latency,
    /// One fd's states, history and blame.
    Fd,
    /// What is wrong, and its cure.
    Findings,
    /// The raw log.
    Events,
    /// The child's terminal, or the source at the line that runs.
    Code,
}

impl View {
    /// All screens that exist, with the digit that opens them.
    pub const ALL: [(View, char); 8] = [
        (View::Loop, '1'),
        (View::Timeline, '2'),
        (View::Fairness, '3'),
        (View::Latency, '4'),
        (View::Fd, '5'),
        (View::Findings, '6'),
        (View::Events, '7'),
        (View::Code, '8'),
    ];

    /// Its name in `--view` and, with a capital, in the tabs.
    pub fn name(self) -> &'static str {
        match self {
            View::Loop => "loop",
            View::Timeline => "timeline",
            View::Fairness => "fairness",
            View::Latency => "latency",
            View::Fd => "fd",
            View::Findings => "findings",
            View::Events => "events",
            View::Code => "code",
        }
    }

    /// The screen of this name.
    pub fn from_name(name: &str) -> Option<View> {
        let mut all = View::ALL.iter();
        all.find(|(v, _)| v.name() == name).map(|(v, _)| *v)
    }
}

/// What play follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Recorded time times the speed.
    #[default]
    Clock,
    /// So many events a second.
    Event,
    /// Recorded time, with the idle stretches left out.
    Skip,
}

impl Pace {
    /// The word in the header.
    pub fn name(self) -> &'static str {
        match self {
            Pace::Clock => "clock",
            Pace::Event => "by event",
            Pace::Skip => "skip idle",
        }
    }

    /// The next one.
    pub fn next(self) -> Pace {
        match self {
            Pace::Clock => Pace::Event,
            Pace::Event => Pace::Skip,
            Pace::Skip => Pace::Clock,
        }
    }
}

/// A question that stands over the screen and takes a line of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `/`
    Filter,
    /// `t`
    Time,
    /// `:`
    Palette,
    /// Where to keep the recording, before quitting.
    Save,
}

/// One change of the UI's state.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Freeze or play; live: freeze or follow.
    Play,
    /// So many events on (back when negative).
    Step(i64),
    /// So many turns of the shown loop on (back when negative).
    Turn(i64),
    /// The next (1) or previous (−1) dispatch that matches the filter.
    Match(i64),
    /// To the first moment.
    First,
    /// To the last moment; live: now, and follow.
    Last,
    /// Slower (−1) or faster (1).
    Speed(i32),
    /// The next pace.
    Pace,
    /// Remember this moment.
    Mark,
    /// To the next (1) or previous (−1) mark: the person's, or one the program made.
    NextMark(i64),
    /// Another screen.
    Show(View),
    /// The next (1) or previous (−1) pane of this screen.
    Pane(i32),
    /// Rows down (up when negative).
    Row(i64),
    /// Pages down (up when negative).
    Page(i64),
    /// The next (1) or previous (−1) step of the lesson.
    Lesson(i64),
    /// Open the knobs of the demo that runs, or close them.
    Knobs,
    /// The knob so many rows down (up when negative).
    ChooseKnob(i64),
    /// Turn the chosen knob so many values on (back when negative).
    TurnKnob(i64),
    /// This choice of the open question, from 0.
    Choose(usize),
    /// The other side of a demo: repaired instead of broken.
    Other,
    /// The other recording on the timeline's clock, or no longer.
    Beside,
    /// For a projector: painted, few regions; or as before.
    Stage,
    /// The next theme.
    Theme,
    /// Open the chosen row.
    Open,
    /// One step back.
    Back,
    /// Sort by the next (1) or previous (−1) column.
    Sort(i32),
    /// The next (1) or previous (−1) loop.
    Loop(i32),
    /// Zoom in (1) or out (−1).
    Zoom(i32),
    /// Pan right (1) or left (−1).
    Pan(i32),
    /// Begin to select a stretch of the timeline at the cursor, or end it.
    Select,
    /// One lane an fd, or one a role.
    Group,
    /// Fit around the cursor; again: everything.
    Fit,
    /// What ran before this.
    Blame,
    /// To the worst wait in view.
    Worst,
    /// What is this? In one sentence.
    Explain,
    /// All keys.
    Help,
    /// Ask for a line.
    Ask(Ask),
    /// The line was edited by this key.
    Edit(crossterm::event::KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The line is done.
    Answer,
    /// Copy the command that shows this view.
    CopyCommand,
    /// Save this view as a picture.
    SavePicture,
    /// The child's terminal takes the keys (true) or gives them back.
    Focus(bool),
    /// A key for the child.
    Type(crossterm::event::KeyEvent),
    /// Draw everything again.
    Redraw,
    /// Stop loopscope as ^Z does.
    Suspend,
    /// Leave; asks when a program still runs or the recording has no name.
    Quit,
    /// An answer to the question on leaving.
    Leave(Leave),
}

/// Answers when a program still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The program goes on without us.
    Leave,
    /// End it.
    End,
    /// Stay.
    Cancel,
    /// Nothing to ask any more: go.
    Now,
    /// To the other side of the demo, shown as this one was.
    Other(Shown),
    /// To the next demo of the lecture, shown as this one was.
    Next(Shown),
    /// To the one before it.
    Previous(Shown),
}

/// How a screen is shown, whatever is on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// For a projector.
    pub stage: bool,
    /// In whose colours.
    pub theme: Theme,
    /// Where its lesson was, if it was under way.
    pub lesson: Option<LessonAt>,
    /// Which screen.
    pub view: View,
    /// The other recording was shown beside it.
    pub beside: bool,
}

/// Where a lesson is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LessonAt {
    /// The step shown, from 0; the last one if there are fewer.
    pub step: usize,
    /// It is the last one.
    pub is_last: bool,
    /// What was chosen of its question.
    pub chosen: Option<usize>,
    /// Its answer is shown.
    pub revealed: bool,
    /// The screen that is shown; the step's own when absent.
    pub view: Option<View>,
}

impl LessonAt {
    /// The last step, whose answer was given.
    pub const END: LessonAt = LessonAt {
        step: usize::MAX,
        is_last: true,
        chosen: None,
        revealed: true,
        view: None,
    };
}

/// Which of a lecture's demos it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Among {
    /// One comes before it.
    pub before: bool,
    /// One comes after it.
    pub after: bool,
}
