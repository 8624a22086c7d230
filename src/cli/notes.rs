//! `loopscope notes`: the speaker's notes, in a second terminal, step by step with the lecture in the first one; and the file
//! by which that one tells where it is. Step: model → **view**.

use super::demo;
use super::error::{Exit, Failure, Outcome};
use super::output::{Output, can_draw};
use crate::demos::{self, Demo};
use crate::lesson::{Lesson, Step};
use crate::tui::OnStep;
use crate::tui::widget::text::wrap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Show the speaker's notes of the lecture that runs in another terminal
///
/// They follow it step by step, until it ends. Into a pipe those of the step shown are printed once.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print all notes of this demo instead
    #[arg(value_name = "DEMO")]
    demo: Option<String>,
}

/// What a file that tells of a lecture is called, before the number of its process.
const PREFIX: &str = "loopscope-lecture-";
/// Bytes of such a file: padded, so that one write replaces what was there.
const LENGTH: usize = 128;
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(150);

/// Where a lecture is.
#[derive(Clone, Copy, Debug)]
struct Place {
    demo: &'static Demo,
    /// The repaired program.
    fixed: bool,
    /// From 1; 0 before the first.
    step: usize,
    /// The answer to its question is shown.
    revealed: bool,
}

/// Where a lecture tells of itself; it goes away with it.
pub(super) struct Lectern {
    path: PathBuf,
    file: Arc<File>,
}

impl Drop for Lectern {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = fs::remove_file(&self.path);
    }
}

impl Lectern {
    /// Nothing where it cannot be written: a lecture goes on without notes.
    pub fn open() -> Option<Lectern> {
        let path = directory().join(format!("{PREFIX}{}", std::process::id()));
        // What an earlier process of this number has left, if it was ours.
        let _ = fs::remove_file(&path);
        let mut options = File::options();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .ok()?;
        Some(Lectern {
            path,
            file: Arc::new(file),
        })
    }

    /// Tells that this demo begins; what is returned tells of each step.
    pub fn tells(&self, demo: &'static Demo, fixed: bool) -> OnStep {
        let file = self.file.clone();
        let tell = move |step: usize, revealed: bool| {
            let (fixed, revealed) = (u8::from(fixed), u8::from(revealed));
            let line = format!("{} {fixed} {step} {revealed}\n", demo.name);
            // A full disk leaves the notes behind, not the lecture.
            let _ = file.write_all_at(format!("{line:LENGTH$}").as_bytes(), 0);
        };
        tell(0, false);
        Arc::new(tell)
    }
}

/// The user's own directory for such things.
fn directory() -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    own.filter(|dir| dir.is_absolute() && dir.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}

pub(super) fn run(args: Args) -> Outcome {
    if let Some(name) = &args.demo {
        let demo = demos::find(name).ok_or_else(|| demo::unknown(name))?;
        let lesson = Lesson::parse(demo.lesson).unwrap_or_default();
        return print(&every(demo, &lesson));
    }
    let none = || {
        Failure::new("no lecture runs here")
            .hint("begin one in another terminal: loopscope lecture, or loopscope demo NAME")
    };
    let (path, mut place) = running().ok_or_else(none)?;
    if !can_draw() {
        return print(&page(place));
    }
    loop {
        // Clears the screen: our own words, nobody else's.
        print(&format!("\u{1b}[H\u{1b}[2J{}", page(place)))?;
        let shown = place;
        let all = |p: &Place| (p.demo.name, p.fixed, p.step, p.revealed);
        while all(&place) == all(&shown) {
            std::thread::sleep(LOOK);
            match read(&path) {
                Some(now) => place = now,
                // Between two demos the file is made anew.
                None if lives(&path) => {}
                None => return print("\nThe lecture has ended.\n"),
            }
        }
    }
}

fn print(text: &str) -> Outcome {
    let mut out = Output::stdout();
    out.text(text)?;
    out.finish()?;
    Ok(Exit::OK)
}

/// The lecture that was begun last, of those of this user that run.
fn running() -> Option<(PathBuf, Place)> {
    let entries = fs::read_dir(directory()).ok()?.flatten();
    let told = entries.filter_map(|entry| {
        let path = entry.path();
        let place = lives(&path).then(|| read(&path)).flatten()?;
        let changed = entry.metadata().and_then(|m| m.modified());
        Some((changed.unwrap_or(SystemTime::UNIX_EPOCH), path, place))
    });
    let last = told.max_by_key(|(changed, ..)| *changed)?;
    Some((last.1, last.2))
}

/// The process that such a file is named after runs.
fn lives(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let pid = name.and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
    pid.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
}

/// What such a file says, if it is this user's and says what there is.
fn read(path: &Path) -> Option<Place> {
    let about = fs::symlink_metadata(path).ok()?;
    // SAFETY: geteuid cannot fail.
    let me = unsafe { libc::geteuid() };
    if !about.is_file() || about.uid() != me || about.len() > LENGTH as u64 {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let mut words = text.split_whitespace();
    let demo = demos::find(words.next()?)?;
    let fixed = words.next()? == "1";
    let step = words.next()?.parse().ok()?;
    let revealed = words.next()? == "1";
    Some(Place {
        demo,
        fixed,
        step,
        revealed,
    })
}

/// Cells of a line of notes, at most.
const CELLS: usize = 76;

fn put(out: &mut String, label: &str, text: &str) {
    for (i, line) in wrap(text, CELLS - 8).iter().enumerate() {
        let label = if i == 0 { label } else { "" };
        out.push_str(&format!("{label:8}{line}\n"));
    }
}

/// A step as the speaker wants it: what stands there, what is asked, what to say.
fn told(out: &mut String, step: &Step, revealed: bool) {
    put(out, "shown", &step.caption);
    if let Some(question) = &step.question {
        put(out, "asked", &question.text);
        for (i, choice) in question.choices.iter().enumerate() {
            put(out, "", &format!("{}  {choice}", i + 1));
        }
        let label = if revealed { "told" } else { "answer" };
        let answer = format!("{}. {}", question.right + 1, question.why);
        put(out, label, &answer);
    }
    if !step.notes.is_empty() {
        put(out, "say", &step.notes);
    }
}

/// The notes of the step shown.
fn page(place: Place) -> String {
    let demo = place.demo;
    let lesson = match place.fixed {
        true => Lesson::repaired(demo.lesson),
        false => Lesson::parse(demo.lesson),
    };
    let lesson = lesson.unwrap_or_default();
    let steps = &lesson.steps;
    let side = if place.fixed { ", repaired" } else { "" };
    let mut out = format!("{}{side}: {}\n", demo.name, lesson.title);
    let shown = place.step.checked_sub(1).and_then(|at| steps.get(at));
    match shown {
        Some(step) => {
            let title = &step.title;
            out.push_str(&format!(
                "step {} of {}: {title}\n\n",
                place.step,
                steps.len()
            ));
            told(&mut out, step, place.revealed);
        }
        None => out.push_str("before the first step; PgDn begins\n"),
    }
    match steps.get(place.step) {
        Some(next) => out.push_str(&format!("\nnext    {}\n", next.title)),
        None if place.fixed => out.push_str("\nnext    r shows the broken program again\n"),
        None => out.push_str("\nnext    r shows the repaired program; PgDn ends this demo\n"),
    }
    out
}

/// The notes of all steps.
fn every(demo: &Demo, lesson: &Lesson) -> String {
    let mut out = format!("{}: {}\n", demo.name, lesson.title);
    for (at, step) in lesson.steps.iter().enumerate() {
        out.push_str(&format!("\n{}  {}\n", at + 1, step.title));
        told(&mut out, step, false);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_and_read() {
        let lectern = Lectern::open().unwrap();
        let demo = &demos::ALL[0];
        let tell = lectern.tells(demo, false);
        let place = read(&lectern.path).unwrap();
        assert_eq!((place.demo.name, place.step), (demo.name, 0));
        assert!(page(place).contains("PgDn begins"));
        tell(2, true);
        let place = read(&lectern.path).unwrap();
        assert_eq!((place.step, place.revealed), (2, true));
        let steps = Lesson::parse(demo.lesson).unwrap().steps;
        let said = page(place).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&steps[1].notes) && said.contains(&steps[1].caption));
        assert!(!said.contains(&steps[0].caption));
        tell(steps.len(), false);
        assert!(page(read(&lectern.path).unwrap()).contains("ends this demo"));
        // The repaired program has a step of its own.
        lectern.tells(demo, true)(1, false);
        let said = page(read(&lectern.path).unwrap());
        assert!(said.contains("step 1 of 1: Repaired"), "{said}");
        // What says nothing that is known is no lecture.
        fs::write(&lectern.path, "no-such-demo 0 1 0\n").unwrap();
        assert!(read(&lectern.path).is_none());
        let path = lectern.path.clone();
        drop(lectern);
        assert!(!path.exists());
    }
}
