//! `t`: an instant typed by a person, looked up in the recording. Step: trace → **view**.

use super::player::Player;
use crate::record::event::{Kind, Space};
use crate::trace::Error;
use crate::when::{Question, When};

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// An instant.
    Time(u64),
    /// Behind this event.
    Event(u64),
}

/// Looks `text` up; the inner error is for the person.
pub fn resolve(player: &mut Player, text: &str) -> Result<Result<To, String>, Error> {
    let when: When = match text.parse() {
        Ok(when) => when,
        Err(error) => return Ok(Err(format!("{error}"))),
    };
    to(player, &when)
}

/// The same for an instant already parsed.
pub fn to(player: &mut Player, when: &When) -> Result<Result<To, String>, Error> {
    let (first, end) = (player.reader().first(), player.reader().end());
    if let When::Event(n) = when {
        return Ok(match (first..end).contains(n) {
            true => Ok(To::Event(*n)),
            false => Err(format!(
                "the recording has events {first} to {}",
                end.saturating_sub(1)
            )),
        });
    }
    let mut failed = None;
    let duration = player.reader().duration_ns();
    let found = when.resolve(duration, |question| {
        let answer = match question {
            Question::Iteration { loop_id, number } => player.turn_start(loop_id, number),
            Question::Mark(name) => mark(player, name),
            Question::Event(_) => Ok(None),
        };
        answer.unwrap_or_else(|error| {
            failed = Some(error);
            None
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(found.map(To::Time).map_err(|e| e.to_string())),
    }
}

/// The first mark or span of this name.
fn mark(player: &mut Player, name: &str) -> Result<Option<u64>, Error> {
    if let Some(stored) = player.first_mark(name) {
        return Ok(stored);
    }
    let mut ids = std::collections::HashSet::new();
    let mut cursor = player.reader_mut().events_from(0);
    while let Some((_, event, text)) = cursor.next()? {
        match event.kind {
            Kind::Name if event.aux == Space::Mark.code() && text == name.as_bytes() => {
                ids.insert(event.x);
            }
            Kind::Mark | Kind::SpanBegin if ids.contains(&event.x) => return Ok(Some(event.t)),
            _ => {}
        }
    }
    Ok(None)
}
