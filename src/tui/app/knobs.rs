//! The knobs of a demo that runs: turned on the screen, told to the demo's process as a line on its terminal. It marks the moment in
//! its recording from which on the new value counts. Step: model → **view**.

use super::{App, Mode};
use crate::lesson::Knob;
use crate::trace::Error;
use crate::tui::Options;
use crate::tui::live::Live;

/// Where the knobs stand.
#[derive(Clone, Debug, Default)]
pub struct Knobs {
    /// The demo's knobs.
    pub all: Vec<Knob>,
    /// The value that each is turned to.
    pub at: Vec<usize>,
    /// The one that the arrows turn.
    pub chosen: usize,
}

impl Knobs {
    /// As the program starts.
    pub fn new(all: Vec<Knob>, options: &Options) -> Knobs {
        let at = |knob: &Knob| {
            let set = options.set.iter().rev().filter_map(|set| {
                let (_, value) = set.split_once('=').filter(|(name, _)| *name == knob.name)?;
                knob.place(value)
            });
            let start = knob.start[usize::from(options.fixed)];
            set.into_iter().next().unwrap_or(start)
        };
        Knobs {
            at: all.iter().map(at).collect(),
            all,
            chosen: 0,
        }
    }
}

impl App {
    /// There is something to turn, and a program to hear of it.
    pub fn can_turn(&self) -> bool {
        !self.knobs.all.is_empty() && self.live.as_ref().is_some_and(Live::takes_keys)
    }

    /// Opens the knobs, or closes them.
    pub(super) fn open_knobs(&mut self) {
        self.mode = match self.mode {
            Mode::Knobs => Mode::Normal,
            _ => Mode::Knobs,
        };
    }

    pub(super) fn choose_knob(&mut self, by: i64) {
        let last = self.knobs.all.len().saturating_sub(1);
        self.knobs.chosen = (self.knobs.chosen.saturating_add_signed(by as isize)).min(last);
    }

    /// Turns the chosen one; what comes of it is to be seen now, so the screen follows again.
    pub(super) fn turn_knob(&mut self, by: i64) -> Result<(), Error> {
        let chosen = self.knobs.chosen;
        let (Some(knob), Some(&at)) = (self.knobs.all.get(chosen), self.knobs.at.get(chosen))
        else {
            return Ok(());
        };
        let to = at.saturating_add_signed(by as isize);
        let Some(value) = knob.values.get(to).filter(|_| to != at) else {
            let (name, end) = (&knob.name, if by > 0 { "right" } else { "left" });
            let said = format!("{name} goes no further to the {end}");
            self.say(said);
            return Ok(());
        };
        let line = format!("{}={value}\n", knob.name);
        let heard = (self.live.as_ref()).is_some_and(|live| live.control.send(line.as_bytes()));
        if !heard {
            self.say("the demo has ended: nobody is there to hear of it".to_owned());
            return Ok(());
        }
        self.knobs.at[chosen] = to;
        if !self.following {
            self.last()?;
        }
        Ok(())
    }
}
