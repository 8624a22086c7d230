//! What can be turned while a demo runs: the screen's `c`, or a line typed to the demo, `budget=4`. The demo's threads look at it
//! whenever they use it; who finds it turned marks the moment in the recording. Step: **event** → ring.

use std::io::{self, BufRead};
use std::sync::atomic::{AtomicUsize, Ordering};

/// One knob: its name and the values it can be turned to.
#[derive(Debug)]
pub struct Dial {
    name: String,
    values: Vec<String>,
    /// The value it has been turned to. Values only: nothing else is published by these two, so `Relaxed` will do.
    turned: AtomicUsize,
    /// The value that the demo has heard of.
    heard: AtomicUsize,
}

impl Dial {
    /// A knob that stands at the value of this number.
    pub fn new(name: String, values: Vec<String>, at: usize) -> Dial {
        Dial {
            name,
            values,
            turned: AtomicUsize::new(at),
            heard: AtomicUsize::new(at),
        }
    }

    /// Where it stands now. Turned since it was last asked: a mark, at the moment from which on it counts.
    fn now(&self) -> &str {
        let at = self.turned.load(Ordering::Relaxed);
        let value = self.values.get(at).map_or("", String::as_str);
        if self.heard.swap(at, Ordering::Relaxed) != at {
            loopscope::mark("turned", &[(&self.name, value.into())]);
        }
        value
    }

    /// The place of a value.
    fn place(&self, value: &str) -> Option<usize> {
        self.values.iter().position(|v| v == value)
    }
}

/// All knobs of a demo.
#[derive(Debug, Default)]
pub struct Dials(pub Vec<Dial>);

impl Dials {
    /// What the knob of this name is turned to; nothing if there is none.
    pub fn word(&self, name: &str) -> &str {
        let dial = self.0.iter().find(|dial| dial.name == name);
        dial.map_or("", Dial::now)
    }

    /// The number that it begins with; a word (`all`) is more than any number.
    pub fn number(&self, name: &str) -> usize {
        let word = self.word(name);
        let end = word.find(|c: char| !c.is_ascii_digit());
        let digits = &word[..end.unwrap_or(word.len())];
        digits.parse().unwrap_or(usize::MAX)
    }

    /// The knob and the place of its value in `name=value`.
    fn find(&self, line: &str) -> Option<(&Dial, usize)> {
        let (name, value) = line.split_once('=')?;
        let dial = self.0.iter().find(|dial| dial.name == name.trim())?;
        Some((dial, dial.place(value.trim())?))
    }

    /// Turns what `name=value` says; false if there is no such thing.
    pub fn turn(&self, line: &str) -> bool {
        let found = self.find(line);
        if let Some((dial, at)) = found {
            dial.turned.store(at, Ordering::Relaxed);
        }
        found.is_some()
    }

    /// The same before the demo starts: nothing of it is in the recording.
    pub fn set(&self, line: &str) -> bool {
        let found = self.find(line);
        if let Some((dial, at)) = found {
            dial.heard.store(at, Ordering::Relaxed);
        }
        found.is_some() && self.turn(line)
    }

    /// Turns what is typed, until nobody can type any more.
    pub fn listen(&self) -> io::Result<()> {
        for line in io::stdin().lock().lines() {
            let line = line?;
            if !line.is_empty() && !self.turn(&line) {
                println!("there is no such knob or value");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knob_is_turned_to_what_it_has() {
        let values = ["1", "4 KiB", "all"].map(str::to_owned).to_vec();
        let dials = Dials(vec![Dial::new("budget".to_owned(), values, 2)]);
        assert_eq!(dials.number("budget"), usize::MAX);
        assert!(dials.turn("budget=4 KiB\r"));
        assert_eq!((dials.word("budget"), dials.number("budget")), ("4 KiB", 4));
        for wrong in ["budget=5", "budget", "greed=1", ""] {
            assert!(!dials.turn(wrong), "{wrong}");
        }
        assert_eq!((dials.number("budget"), dials.word("greed")), (4, ""));
    }
}
