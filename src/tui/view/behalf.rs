//! Whom a handler run works for, by the program's word: in words, and on the timeline as an arrow from that fd's lane to the
//! run. Step: model → **view**.

use super::lanes::Lane;
use crate::model::{Behalf, Id, OnBehalf, Run};
use crate::tui::app::App;
use crate::tui::names;
use crate::tui::player::{Cells, Facts};
use crate::tui::theme::{self, ARMED};
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::plural;
use std::collections::HashMap;

/// An arrow's line; it points with [`DOWN`] or [`UP`].
const LINE: char = '┊';
/// To a run in a lane below.
pub const DOWN: char = '↓';
/// To a run in a lane above.
pub const UP: char = '↑';

/// Columns between two arrows over the same lanes, at least: more of them would make a fence of it.
const APART: usize = 2;

/// Who it is: its name, or the number of one that is on no loop.
fn who(app: &App, behalf: &Behalf) -> String {
    let known = app.model().reg(behalf.reg);
    match known.or_else(|| app.player.window()?.model().reg(behalf.reg)) {
        Some(reg) => names::told(reg),
        None => format!("fd {}", behalf.fd),
    }
}

/// `on behalf of bob`, of a run under way or over; nothing where nobody says so, or no longer.
pub fn of_run(app: &App, run: &Run) -> Option<String> {
    let behalf = run.behalf.filter(Behalf::is_on)?;
    Some(format!("on behalf of {}", who(app, &behalf)))
}

/// The same of a run that is over, with how many it had worked for before.
pub fn sentence(app: &App, run: &Run) -> Option<String> {
    let behalf = run.behalf?;
    let whom = match behalf.before {
        0 => String::new(),
        n => format!(", the last of {}", plural(u64::from(n) + 1, "fd")),
    };
    Some(format!("on behalf of {}{whom}", who(app, &behalf)))
}

/// What an fd's history says of it; nothing if it is about others.
pub fn in_history(app: &App, said: &OnBehalf, id: Id) -> Option<String> {
    if said.run == id {
        return Some(format!("runs on behalf of {}", who(app, &said.of)));
    }
    (said.of.reg == id).then(|| match app.model().reg(said.run) {
        Some(server) => format!("{}'s handler runs on its behalf", names::told(server)),
        None => "a handler runs on its behalf".to_owned(),
    })
}

/// A lane on the screen: which, and the row of its states.
pub type Placed<'a> = (&'a Lane, usize);

/// Where an arrow may be drawn: its column, and rows from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    col: usize,
    rows: (usize, usize),
    down: bool,
}

impl Way {
    /// From the row of whom it is for to the row next to the run's.
    fn new(col: usize, from: usize, to: usize) -> Option<Way> {
        let (rows, down) = match from.cmp(&to) {
            std::cmp::Ordering::Less => ((from, to - 1), true),
            std::cmp::Ordering::Greater => ((to + 1, from), false),
            std::cmp::Ordering::Equal => return None,
        };
        Some(Way { col, rows, down })
    }

    /// The row of the run.
    fn end(&self) -> usize {
        match self.down {
            true => self.rows.1 + 1,
            false => self.rows.0.saturating_sub(1),
        }
    }

    /// The rows where it can be seen, the pointer's first; none where the pointer would point to another lane.
    fn seen(&self, lanes: &[Placed<'_>], free: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut rows: Vec<usize> = (self.rows.0..=self.rows.1).filter(|y| free(*y)).collect();
        if self.down {
            rows.reverse();
        }
        let hides = |head: usize| {
            let between = head.min(self.end()) + 1..head.max(self.end());
            lanes.iter().any(|(_, y)| between.contains(y))
        };
        if rows.first().is_some_and(|head| hides(*head)) {
            rows.clear();
        }
        rows
    }

    /// Side by side, or over each other, nobody could follow the two.
    fn is_near(&self, other: &Way) -> bool {
        self.col.abs_diff(other.col) <= APART
            && self.rows.0 <= other.rows.1
            && other.rows.0 <= self.rows.1
    }
}

/// Arrows in view with the rows where they are seen, those first that begin first; `free` tells of a column and a row.
fn ways(
    facts: &Facts,
    cells: &Cells,
    cols: usize,
    lanes: &[Placed<'_>],
    free: impl Fn(usize, usize) -> bool,
) -> Vec<(Way, Vec<usize>)> {
    // A lane may stand for thousands of fds, and a window hold thousands of runs.
    let mut row: HashMap<Id, usize> = HashMap::new();
    for (lane, y) in lanes {
        match lane {
            Lane::Fd(id) => _ = row.insert(*id, *y),
            Lane::Many { members, .. } => row.extend(members.iter().map(|id| (*id, *y))),
        }
    }
    let mine = facts.behalf.iter().filter(|s| s.loop_id == cells.loop_id);
    let mut all: Vec<Way> = mine
        .filter_map(|said| {
            let col = cells.col(said.t).filter(|col| *col < cols)?;
            Way::new(col, *row.get(&said.of.reg)?, *row.get(&said.run)?)
        })
        .collect();
    all.sort_by_key(|way| way.col);
    let mut out: Vec<(Way, Vec<usize>)> = Vec::new();
    for way in all {
        let last = out.iter().rev().map(|(other, _)| other);
        // One of them may stand a column later than its run.
        let mut last = last.take_while(|other| other.col + APART + 1 >= way.col);
        if last.any(|other| other.is_near(&way)) {
            continue;
        }
        let rows = way.seen(lanes, |y| free(way.col, y));
        if !rows.is_empty() {
            out.push((way, rows));
        } else if let Some((way, rows)) = beside(way, cols, lanes, &free)
            && !out
                .iter()
                .rev()
                .take(APART)
                .any(|(other, _)| other.is_near(&way))
        {
            out.push((way, rows));
        }
    }
    out
}

/// The same arrow a column later or earlier, where other runs have its own: only next to a run that stands alone there, so that
/// no other can be meant.
fn beside(
    way: Way,
    cols: usize,
    lanes: &[Placed<'_>],
    free: impl Fn(usize, usize) -> bool,
) -> Option<(Way, Vec<usize>)> {
    let end = way.end();
    let empty = |col: Option<usize>| col.is_none_or(|col| col >= cols || free(col, end));
    let later = (way.col + 1 < cols && empty(Some(way.col + 1)) && empty(Some(way.col + 2)))
        .then_some(way.col + 1);
    let earlier = way.col.checked_sub(1);
    let earlier = earlier.filter(|col| empty(Some(*col)) && empty(col.checked_sub(1)));
    let tried = later.into_iter().chain(earlier).map(|col| {
        let way = Way { col, ..way };
        (way, way.seen(lanes, |y| free(col, y)))
    });
    let mut whole = tried.filter(|(_, rows)| !rows.is_empty());
    whole.next()
}

/// Draws the arrows over what the lanes show: only where that is nothing, so that no state of an fd is hidden. One that
/// comes too near to another is left out. Where other states hide it, it stands in the next column, if there is room next to its
/// run; else the events and the fd's history have it. The pointers that were drawn.
pub fn arrows(
    pen: &mut Pen<'_>,
    app: &App,
    cells: &Cells,
    lanes: &[Placed<'_>],
    (x0, cols): (usize, usize),
) -> String {
    let Some(window) = app.player.window() else {
        return String::new();
    };
    if window.facts.behalf.is_empty() {
        return String::new();
    }
    let found = ways(&window.facts, cells, cols, lanes, |col, row| {
        let there = pen.at(x0 + col, row);
        there == " " || there == "│" || there.chars().eq([ARMED])
    });
    let mut heads = (false, false);
    for (way, rows) in found {
        heads = (heads.0 | way.down, heads.1 | !way.down);
        let head = if way.down { DOWN } else { UP };
        for (i, row) in rows.iter().enumerate() {
            let glyph = if i == 0 { head } else { LINE };
            pen.glyph(x0 + way.col, *row, glyph, theme::arrow());
        }
    }
    let drawn = [(heads.0, DOWN), (heads.1, UP)];
    drawn.iter().filter(|d| d.0).map(|d| d.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(t: u64, run: Id, of: Id) -> OnBehalf {
        OnBehalf {
            event: 0,
            t,
            loop_id: 0,
            process: 0,
            run,
            of: Behalf {
                fd: 1,
                generation: 1,
                reg: of,
                since: t,
                before: 0,
            },
        }
    }

    #[test]
    fn arrows_keep_apart_and_need_two_lanes() {
        let cells = Cells::new(0, 0, 100, 20);
        let lanes = [Lane::Fd(1), Lane::Fd(2), Lane::Fd(3)];
        let others = Lane::Many {
            name: String::new(),
            members: vec![4, 5],
        };
        let mut placed: Vec<Placed<'_>> = lanes.iter().zip([3, 5, 7]).collect();
        placed.push((&others, 9));
        let mut facts = Facts::default();
        facts.behalf.extend([
            said(250, 3, 1),
            said(260, 3, 1),    // the same column
            said(350, 3, 2),    // beside it, over the same rows
            said(355, 5, 3),    // beside it, below them
            said(950, 1, 3),    // upwards
            said(1_250, 4, 5),  // in one lane
            said(1_450, 3, 77), // no lane
            said(1_650, 3, Id::MAX),
            said(2_150, 3, 1), // out of view
        ]);
        let way = |col, rows, down| Way { col, rows, down };
        let drawn = ways(&facts, &cells, 20, &placed, |_, _| true);
        assert_eq!(
            drawn,
            [
                (way(2, (3, 6), true), vec![6, 5, 4, 3]),
                (way(3, (7, 8), true), vec![8, 7]),
                (way(9, (4, 7), false), vec![4, 5, 6, 7])
            ]
        );
        // What fds did is not drawn over; where that leaves no room next to the run, it stands in the column beside.
        let states = |col: usize, row: usize| !matches!((col, row), (2, 4) | (9, 4..=5) | (3, 8));
        let drawn = ways(&facts, &cells, 20, &placed, states);
        assert_eq!(
            drawn,
            [
                (way(2, (3, 6), true), vec![6, 5, 3]),
                (way(3, (7, 8), true), vec![7]),
                (way(10, (4, 7), false), vec![4, 5, 6, 7])
            ]
        );
        // Not next to another run of that lane, to which it would seem to lead: earlier, or not at all.
        let states = |col: usize, row: usize| !matches!((col, row), (9, 4..=5) | (11, 3));
        let drawn = ways(&facts, &cells, 20, &placed, states);
        assert_eq!(drawn[2], (way(8, (4, 7), false), vec![4, 5, 6, 7]));
        let states = |col: usize, row: usize| !matches!((col, row), (9, 4..=5) | (7 | 11, 3));
        assert_eq!(ways(&facts, &cells, 20, &placed, states).len(), 2);
    }
}
