//! The states an fd went through before the cursor: how often it was in each, for how long, and where it went from there.
//! Step: model → **view**.

use crate::model::{Fidelity, Transition, Word};
use crate::tui::theme::{self, GO};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, count, time};

/// The order in which an event's life goes through them; what is odd comes last.
const ORDER: [Word; 12] = [
    Word::Armed,
    Word::Ready,
    Word::Fetched,
    Word::Running,
    Word::Residual,
    Word::BlockedOut,
    Word::Disarmed,
    Word::Muted,
    Word::Stale,
    Word::Ghost,
    Word::Unknown,
    Word::Gone,
];

/// One state of an fd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Which.
    pub word: Word,
    /// How often it came there.
    pub times: u64,
    /// At least once that follows from a rule, not from a record.
    pub inferred: bool,
    /// For how long in all, up to now.
    pub ns: u64,
    /// Where it went from there, the most frequent first.
    pub then: Vec<(Word, u64)>,
}

/// The states that these changes, in order, led to.
pub fn of(changes: &[&Transition], now: u64) -> Vec<State> {
    let mut all: Vec<State> = Vec::new();
    for (i, change) in changes.iter().enumerate() {
        let next = changes.get(i + 1);
        let at = match all.iter().position(|s| s.word == change.to) {
            Some(at) => at,
            None => {
                all.push(State {
                    word: change.to,
                    times: 0,
                    inferred: false,
                    ns: 0,
                    then: Vec::new(),
                });
                all.len() - 1
            }
        };
        let state = &mut all[at];
        state.times += 1;
        state.inferred |= change.fidelity == Fidelity::Inferred;
        state.ns += next.map_or(now, |n| n.t).saturating_sub(change.t);
        if let Some(next) = next {
            match state.then.iter_mut().find(|(word, _)| *word == next.to) {
                Some((_, n)) => *n += 1,
                None => state.then.push((next.to, 1)),
            }
        }
    }
    for state in &mut all {
        state.then.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    }
    all.sort_by_key(|s| ORDER.iter().position(|word| *word == s.word));
    all
}

/// Draws them, a row each; `here` is the state at the cursor.
pub fn draw(pen: &mut Pen<'_>, states: &[State], here: Word) {
    let w = pen.width();
    let columns = |pen: &mut Pen<'_>, y, cells: [&str; 3], style| {
        let x = pen.put(12, y, &text::right(cells[0], 6), style);
        let x = pen.put(x + 1, y, &text::right(cells[1], 9), style);
        pen.put(
            x + 2,
            y,
            &text::cut(cells[2], w.saturating_sub(x + 2)),
            style,
        );
    };
    pen.put(1, 0, "state", theme::quiet());
    columns(pen, 0, ["times", "in all", "then"], theme::quiet());
    for (i, state) in states
        .iter()
        .take(pen.height().saturating_sub(1))
        .enumerate()
    {
        let y = i + 1;
        if state.word == here {
            pen.glyph(0, y, GO, theme::cursor());
        }
        let guess = |word: Word| match states.iter().any(|s| s.word == word && s.inferred) {
            true => "~",
            false => "",
        };
        let mark = guess(state.word);
        let name = text::left(&format!("{mark}{}", theme::word(state.word)), 11);
        pen.put(1, y, &name, theme::of(state.word));
        let then: Vec<String> = (state.then.iter())
            .map(|(word, n)| format!("{}{} {}", guess(*word), theme::word(*word), count(*n)))
            .collect();
        let in_all = format!("{mark}{}", time(state.ns));
        let cells = [count(state.times), in_all, then.join(", ")];
        columns(pen, y, [&cells[0], &cells[1], &cells[2]], theme::plain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Why;

    #[test]
    fn dwell_times_add_up_to_what_was_seen() {
        let change = |t, to| Transition {
            t,
            event: t,
            reg: 0,
            from: Word::Unknown,
            to,
            why: Why::Start,
            fidelity: Fidelity::Measured,
            site: 0,
        };
        let all = [
            change(10, Word::Armed),
            change(30, Word::Ready),
            change(35, Word::Running),
            change(40, Word::Ready),
            change(70, Word::Armed),
        ];
        let states = of(&all.iter().collect::<Vec<_>>(), 100);
        let words: Vec<Word> = states.iter().map(|s| s.word).collect();
        assert_eq!(words, [Word::Armed, Word::Ready, Word::Running]);
        assert_eq!(states.iter().map(|s| s.ns).sum::<u64>(), 90);
        assert_eq!((states[1].times, states[1].ns), (2, 35));
        assert_eq!(states[1].then, [(Word::Running, 1), (Word::Armed, 1)]);
        assert!(of(&[], 5).is_empty());
    }
}
