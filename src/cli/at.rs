//! `--at`, `--from` and `--until`: an instant as typed, looked up in a recording. Step: trace → model → **view**.

use super::error::Failure;
use super::progress::Progress;
use crate::derive::{self, Store};
use crate::model::{Model, Sink, Turn};
use crate::record::event::{Kind, Space};
use crate::trace::{Error, Events, Reader};
use crate::when::{Question, When};

/// The instant in nanoseconds since the recording's start. An instant the recording does not have is wrong usage.
pub fn resolve(reader: &mut Reader, when: &When) -> anyhow::Result<u64> {
    let duration = reader.duration_ns();
    let mut answer = Ok(None);
    let found = when.resolve(duration, |question| {
        answer = look_up(reader, question);
        answer.as_ref().ok().copied().flatten()
    });
    answer?;
    found.map_err(|e| Failure::usage(e.to_string()).into())
}

fn look_up(reader: &mut Reader, question: Question<'_>) -> Result<Option<u64>, Error> {
    match question {
        Question::Event(number) => event(reader, number),
        Question::Iteration { loop_id, number } => {
            let mut turns = Turns {
                loop_id,
                number,
                start: None,
            };
            let mut store = Store::of(reader);
            let before = store.before_turn(reader, loop_id, number);
            let from = store.load(reader, before).unwrap_or_default();
            scan(reader, from, &mut turns, |_, turns, _| turns.start)
        }
        Question::Mark(name) => {
            // A recording that is still written to may get more than what is stored.
            let stored = derive::marks(reader).filter(|_| reader.complete());
            if let Some(found) = stored.and_then(|marks| marks.find(name)) {
                return Ok(found);
            }
            let from = Default::default();
            scan(
                reader,
                from,
                &mut (),
                |model, (), (process, kind, id, t)| {
                    let named = matches!(kind, Kind::Mark | Kind::SpanBegin)
                        && model.name(process, Space::Mark, id) == name;
                    named.then_some(t)
                },
            )
        }
    }
}

fn event(reader: &mut Reader, number: u64) -> Result<Option<u64>, Error> {
    if !(reader.first()..reader.end()).contains(&number) {
        return Ok(None);
    }
    let mut events = Events::default();
    reader.read_page(reader.page_of(number), &mut events)?;
    let place = usize::try_from(number - events.first).unwrap_or(usize::MAX);
    // A damaged page is one event that stands for all of its numbers.
    let event = events.events.get(place).or(events.events.last());
    Ok(event.map(|e| e.t))
}

/// The start of one iteration.
struct Turns {
    loop_id: u32,
    number: u64,
    start: Option<u64>,
}

impl Sink for Turns {
    fn turn(&mut self, turn: &Turn) {
        if (turn.loop_id, turn.number) == (self.loop_id, self.number) {
            self.start = Some(turn.start);
        }
    }
}

/// Folds on from a model that has seen everything before an event, until `found` says where.
fn scan<S: Sink>(
    reader: &mut Reader,
    (mut model, next): (Model, u64),
    sink: &mut S,
    mut found: impl FnMut(&Model, &mut S, (u32, Kind, u32, u64)) -> Option<u64>,
) -> Result<Option<u64>, Error> {
    let mut events = Events::default();
    let mut progress = Progress::new("searching");
    let pages = reader.pages().len();
    let mut process_of = Vec::new();
    for page in reader.page_of(next)..pages {
        reader.read_page(page, &mut events)?;
        for (number, e, text) in events.iter().filter(|(number, ..)| *number >= next) {
            model.apply(number, e, text, sink);
            let process = process_of_thread(&model, e.thread, &mut process_of);
            if let Some(t) = found(&model, sink, (process, e.kind, e.x as u32, e.t)) {
                return Ok(Some(t));
            }
        }
        progress.show((page + 1) as f64 / pages as f64);
    }
    Ok(None)
}

/// The process of the thread with this number in the events; remembered, as threads do not change theirs.
fn process_of_thread(model: &Model, number: u32, known: &mut Vec<(u32, u32)>) -> u32 {
    if let Some((_, process)) = known.iter().rev().find(|(n, _)| *n == number) {
        return *process;
    }
    match model.threads().iter().find(|t| t.number == number) {
        Some(thread) => {
            known.push((number, thread.process));
            thread.process
        }
        None => 0,
    }
}
