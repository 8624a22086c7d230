//! A recording read back whole, with the questions the instrument's tests ask of it.
#![allow(dead_code)] // each test uses some

use loopscope::record::event::{Cause, Event, Kind, Space};
use loopscope::trace::Reader;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

pub struct Recorded {
    pub events: Vec<Event>,
    texts: Vec<Vec<u8>>,
    pub complete: bool,
    problems: Vec<String>,
}

impl Recorded {
    pub fn open(path: &Path) -> Recorded {
        let recorded = Recorded::open_growing(path);
        assert!(recorded.problems.is_empty(), "{:?}", recorded.problems);
        recorded
    }

    /// The same of a file that is still being written, or whose writer was killed.
    pub fn open_growing(path: &Path) -> Recorded {
        let mut reader = Reader::open(path).unwrap();
        let complete = reader.complete();
        let mut page = loopscope::trace::Events::default();
        let (mut events, mut texts) = (Vec::new(), Vec::new());
        for i in 0..reader.pages().len() {
            reader.read_page(i, &mut page).unwrap();
            for event in &page.events {
                events.push(*event);
                texts.push(event.text.of(&page.text).to_vec());
            }
        }
        let problems = reader.problems().iter().map(|p| format!("{p:?}")).collect();
        Recorded {
            events,
            texts,
            complete,
            problems,
        }
    }

    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |e| e.kind == kind)
    }

    pub fn count(&self, kind: Kind) -> u64 {
        self.all(kind).count() as u64
    }

    pub fn texts(&self, kind: Kind) -> Vec<String> {
        let texts = self
            .events
            .iter()
            .zip(&self.texts)
            .filter(|(e, _)| e.kind == kind);
        texts
            .map(|(_, t)| String::from_utf8_lossy(t).into_owned())
            .collect()
    }

    pub fn text_bytes(&self, kind: Kind) -> Vec<&[u8]> {
        let texts = self
            .events
            .iter()
            .zip(&self.texts)
            .filter(|(e, _)| e.kind == kind);
        texts.map(|(_, t)| t.as_slice()).collect()
    }

    /// The names of a space by id; a name told twice must be the same.
    pub fn names(&self, space: Space) -> BTreeMap<u32, String> {
        let mut names = BTreeMap::new();
        for (event, text) in self.events.iter().zip(&self.texts) {
            if event.kind == Kind::Name && event.aux == space.code() {
                let text = String::from_utf8_lossy(text).into_owned();
                let before = names.insert(event.x as u32, text.clone());
                assert!(before.is_none_or(|before| before == text));
            }
        }
        names
    }

    /// Events of the program's lost, as the recording says. What the kernel had no room for is none of them.
    pub fn lost(&self) -> u64 {
        self.all(Kind::Lost)
            .filter(|e| !Cause::from_code(e.aux).is_some_and(Cause::is_the_kernels))
            .map(|e| e.arg)
            .sum()
    }

    /// Threads by the recording's number: tid, process number.
    pub fn threads(&self) -> HashMap<u32, (i32, u64)> {
        self.all(Kind::ThreadStart)
            .map(|e| (e.thread, (e.x, e.arg)))
            .collect()
    }

    /// Whether time never runs backwards, late events apart.
    pub fn in_order(&self) -> bool {
        let punctual = self
            .events
            .iter()
            .filter(|e| e.flags & loopscope::record::flags::LATE == 0);
        punctual.map(|e| e.t).is_sorted()
    }
}

/// One recorder a process: tests of one program take turns.
pub fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Records what `f` does and reads it back; nothing may be lost.
pub fn record<T>(f: impl FnOnce() -> T) -> (T, Recorded) {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.lscope");
    let recorder = loopscope::Recorder::to_file(&path).unwrap();
    let result = f();
    let summary = recorder.finish().unwrap();
    let recorded = Recorded::open(&path);
    assert!(recorded.complete && recorded.in_order());
    assert_eq!(
        (summary.events, summary.lost),
        (recorded.events.len() as u64, recorded.lost())
    );
    (result, recorded)
}
