//! The program's marks and spans: on the timeline at their instants, with their fields, and in words.
//! Step: model → **view**.

use crate::model::{Id, Mark, Marking, Span};
use crate::record::event::Space;
use crate::record::fields::{self, Value};
use crate::text::visible;
use crate::tui::app::App;
use crate::tui::player::Cells;
use crate::tui::theme::{self, MORE};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, time};

/// A mark on its lane.
const MARK: char = '*';
/// A span begins and ends.
const BEGIN: char = '[';
const END: char = ']';

/// `id=12 path="/index.html"`; harmless. What is no field (a newer or damaged one) is left out.
pub fn fields(bytes: &[u8]) -> String {
    let one = |(key, value): (&str, Value<'_>)| match value {
        Value::Str(text) => format!("{}={:?}", visible(key), visible(text)),
        other => format!("{}={other}", visible(key)),
    };
    fields::decode(bytes).map(one).collect::<Vec<_>>().join(" ")
}

/// Name and fields of a mark or span.
pub fn words(app: &App, process: Id, name: u32, bytes: &[u8]) -> String {
    let name = app.word(process, Space::Mark, name);
    match fields(bytes) {
        fields if fields.is_empty() => name,
        fields => format!("{name} {fields}"),
    }
}

/// A mark, or an end of a span, in words: the note after a jump, the line at the cursor.
pub fn sentence(app: &App, mark: &Mark, bytes: &[u8]) -> String {
    let words = words(app, mark.process, mark.name, bytes);
    match mark.what {
        Marking::Mark => format!("mark: {words}"),
        Marking::Begin { .. } => format!("span begins: {words}"),
        Marking::End {
            since: Some(since), ..
        } => format!(
            "span ends after {}: {words}",
            time(mark.t - since.min(mark.t))
        ),
        Marking::End { since: None, .. } => format!("span ends: {words}"),
    }
}

fn of_loop(app: &App, mark: &Mark) -> bool {
    mark.loop_id.is_none_or(|id| id == app.loop_id)
}

/// What the program said about the moment shown: the mark it has just made, and the spans that are open.
pub fn here(app: &App) -> Vec<String> {
    let mut out = Vec::new();
    let last = app.tail().marks.back();
    // Just made: nothing that takes time has happened since.
    if let Some((mark, bytes)) = last.filter(|(m, _)| of_loop(app, m) && m.t == app.t()) {
        out.push(sentence(app, mark, bytes));
    }
    let open = app.model().spans_on(app.loop_id);
    let told = |s: &&Span| {
        let since = time(app.t().saturating_sub(s.begin));
        format!(
            "in {} for {since}",
            words(app, s.process, s.name, &s.fields)
        )
    };
    out.extend(open.iter().rev().map(told));
    out
}

/// A mark and its fields.
type Told = (Mark, Box<[u8]>);

/// The two lanes: spans, and marks by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Begins and ends.
    Spans,
    /// Marks.
    Marks,
}

impl Lane {
    fn holds(self, mark: &Mark) -> bool {
        (mark.what == Marking::Mark) == (self == Lane::Marks)
    }
}

/// The window holds marks, or spans that begin or end in it, of the loop shown: the lane is drawn.
pub fn any(app: &App, lane: Lane) -> bool {
    let Some(window) = app.player.window() else {
        return false;
    };
    let (from, to) = window.span();
    let inside = |m: &Mark| m.t >= from && m.t < to && of_loop(app, m) && lane.holds(m);
    window.facts.marks.iter().any(|(m, _)| inside(m))
}

/// Draws a lane: a sign at the column of every mark or end of a span, and its words where there is room up to the next.
pub fn draw(
    pen: &mut Pen<'_>,
    app: &App,
    cells: &Cells,
    lane: Lane,
    y: usize,
    (x0, cols): (usize, usize),
) {
    let name = match lane {
        Lane::Spans => "spans",
        Lane::Marks => "marks",
    };
    pen.put(1, y, name, theme::strong());
    let Some(window) = app.player.window() else {
        return;
    };
    let all = window.facts.marks.iter();
    // Column and sign, and which one to put into words: an end says nothing that its begin does not.
    let mut signs: Vec<(usize, char, Option<&Told>)> = Vec::new();
    for marked in all.filter(|(m, _)| lane.holds(m) && of_loop(app, m)) {
        let Some(col) = cells.col(marked.0.t).filter(|c| *c < cols) else {
            continue;
        };
        let (sign, told) = match marked.0.what {
            Marking::Mark => (MARK, Some(marked)),
            Marking::Begin { .. } => (BEGIN, Some(marked)),
            Marking::End { .. } => (END, None),
        };
        match signs.last_mut() {
            Some(last) if last.0 == col => *last = (col, MORE, last.2.or(told)),
            _ => signs.push((col, sign, told)),
        }
    }
    let room = |i: usize| {
        let next = signs.get(i + 1).map_or(cols, |next| next.0);
        signs.get(i).map_or(0, |sign| next - sign.0 - 1)
    };
    // Words of a span too short for them: they stand behind its end if there is more room.
    let mut put_off: Option<String> = None;
    for (i, (col, sign, told)) in signs.iter().enumerate() {
        pen.glyph(x0 + col, y, *sign, theme::strong());
        let own = told.map(|(mark, bytes)| words(app, mark.process, mark.name, bytes));
        let Some(words) = own.or_else(|| put_off.take()) else {
            continue;
        };
        let ends = signs.get(i + 1).is_some_and(|next| next.1 == END);
        if ends && room(i) < text::width(&words) + 1 && room(i) < room(i + 1) {
            put_off = Some(words);
        } else if room(i) > 4 {
            let words = text::cut(&words, room(i) - 1);
            pen.put(x0 + col + 1, y, &words, theme::plain());
        }
    }
    let now = cells.col(app.t()).filter(|c| *c < cols);
    if let Some(col) = now.filter(|col| pen.at(x0 + col, y) == " ") {
        pen.glyph(x0 + col, y, '│', theme::cursor());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fields::Fields;

    #[test]
    fn fields_are_typed_and_harmless() {
        let given = Fields::of(&[
            ("id", Value::U64(12)),
            ("ok", Value::Bool(true)),
            ("path", Value::Str("/a\x1b[31mb\"")),
        ]);
        let shown = fields(given.bytes());
        assert!(shown.starts_with("id=12 ok=true path=\"/a"), "{shown}");
        assert!(!shown.contains('\x1b'));
        assert_eq!(fields(b"\xff\xff nonsense"), "");
    }
}
