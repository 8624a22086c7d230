//! Around a lane that has room, what an oscilloscope would show: how long the fd's event has waited, rising until it is
//! served, and the bytes its runs moved. One scale for all lanes, so that they can be compared. Step: model → **view**.

use super::lanes::Lane;
use crate::model::{Id, ItemState, Range, Run};
use crate::tui::app::App;
use crate::tui::player::{Cells, Window};
use crate::tui::theme;
use crate::tui::widget::bar;
use crate::tui::widget::pen::Pen;
use crate::tui::widget::text::{self, time};
use std::collections::HashMap;

/// The rows of a lane that has so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// How long it waits.
    pub wait: usize,
    /// What its runs moved.
    pub bytes: usize,
    /// Left empty under it.
    pub gap: usize,
}

/// Most rows of one lane.
const MOST: usize = 12;

impl Rows {
    /// How `lanes` lanes share `room` rows: every one has its states, then come the rest.
    pub fn of(lanes: usize, room: usize) -> Rows {
        let more = (room / lanes.max(1)).clamp(1, MOST) - 1;
        let gap = usize::from(more >= 4);
        let bytes = match more - gap {
            0..3 => 0,
            n => (n / 3).min(3),
        };
        Rows {
            wait: more - gap - bytes,
            bytes,
            gap,
        }
    }

    /// The lane's own rows, its states included.
    pub fn all(self) -> usize {
        1 + self.wait + self.bytes + self.gap
    }
}

/// What one lane did, column by column; in a summary parts of each column.
#[derive(Clone, Debug, Default)]
struct Heights {
    /// How long its event had waited by the column's end, for certain.
    wait: Vec<u64>,
    /// The same at most.
    maybe: Vec<u64>,
    /// The program had been told of it by then.
    told: Vec<bool>,
    /// Bytes of the runs that ended in the column; in a summary time in its handlers.
    moved: Vec<u64>,
    /// The longest wait that ended or went on in view.
    longest: Range,
}

/// All lanes, measured and scaled together.
pub struct Traces {
    lanes: Vec<Heights>,
    summary: bool,
    wait: u64,
    moved: u64,
}

/// An event's wait: from when, at the latest and at the earliest, told when, until when.
struct Wait {
    latest: u64,
    earliest: u64,
    told: u64,
    end: u64,
}

impl Heights {
    fn empty(cols: usize) -> Self {
        Heights {
            wait: vec![0; cols],
            maybe: vec![0; cols],
            told: vec![false; cols],
            moved: vec![0; cols],
            longest: Range { lo: 0, hi: 0 },
        }
    }

    fn waited(&mut self, cells: &Cells, w: &Wait) {
        let (from, width) = (cells.from(), cells.width);
        let (start, end) = (w.earliest.max(from), w.end.min(cells.to()));
        if w.earliest >= w.end || start >= end {
            return;
        }
        let first = ((start - from) / width) as usize;
        let last = ((end - 1 - from) / width) as usize;
        for col in first..=last.min(self.wait.len().saturating_sub(1)) {
            let at = (from + (col as u64 + 1) * width).min(w.end);
            let sure = at.saturating_sub(w.latest);
            if sure >= self.wait[col] {
                self.wait[col] = sure;
                self.told[col] = at > w.told;
            }
            self.maybe[col] = self.maybe[col].max(at - w.earliest);
        }
        let lasted = w.end - w.earliest;
        if lasted > self.longest.hi {
            self.longest = Range {
                lo: w.end.saturating_sub(w.latest),
                hi: lasted,
            };
        }
    }
}

fn of_run(run: &Run) -> Wait {
    let waited = run.waited();
    Wait {
        latest: run.start.saturating_sub(waited.lo),
        earliest: run.start.saturating_sub(waited.hi),
        told: run.wakeup,
        end: run.start,
    }
}

impl Traces {
    /// What the lanes did in view.
    pub fn measure(window: &Window, cells: &Cells, lanes: &[Lane]) -> Self {
        let cols = cells.cols;
        let mut all = vec![Heights::empty(cols); lanes.len()];
        let mut at: HashMap<Id, usize> = HashMap::new();
        for (i, lane) in lanes.iter().enumerate() {
            match lane {
                Lane::Fd(id) => _ = at.insert(*id, i),
                Lane::Many { members, .. } => at.extend(members.iter().map(|id| (*id, i))),
            }
        }
        if cells.is_summary() {
            for (i, lane) in lanes.iter().enumerate() {
                let row = match lane {
                    Lane::Fd(id) => cells.merged(&[*id]),
                    Lane::Many { members, .. } => cells.merged(members),
                };
                for (col, cell) in row.iter().enumerate() {
                    all[i].wait[col] = (cell.queue_ns + cell.notice_ns).min(cells.width);
                    all[i].told[col] = cell.queue_ns > cell.notice_ns;
                    all[i].moved[col] = cell.run_ns.min(cells.width);
                }
            }
            let (wait, moved) = (cells.width, cells.width);
            return Traces {
                lanes: all,
                summary: true,
                wait,
                moved,
            };
        }
        let (from, to) = (cells.from(), cells.to());
        let runs = window.facts.runs.iter();
        for run in runs.filter(|r| r.loop_id == cells.loop_id && r.end >= from) {
            let Some(heights) = at.get(&run.reg).map(|i| &mut all[*i]) else {
                continue;
            };
            heights.waited(cells, &of_run(run));
            if let Some(col) = cells.col(run.end.saturating_sub(1).max(run.start)) {
                heights.moved[col] += run.bytes_in + run.bytes_out;
            }
        }
        // Who still waits at the end of what is known.
        let model = window.model();
        let now = model.now().min(to);
        let threads = model.loops().get(cells.loop_id as usize);
        for thread in threads.into_iter().flat_map(|l| &l.threads) {
            for item in thread
                .batch
                .iter()
                .filter(|i| i.state == ItemState::Fetched)
            {
                let wakeup = thread.wakeup;
                let since = item.ready.unwrap_or(Range {
                    lo: wakeup,
                    hi: wakeup,
                });
                if let Some(i) = at.get(&item.reg) {
                    let wait = Wait {
                        latest: since.hi,
                        earliest: since.lo,
                        told: wakeup,
                        end: now,
                    };
                    all[*i].waited(cells, &wait);
                }
            }
        }
        for (reg, i) in &at {
            if let Some(since) = model.reg(*reg).and_then(|r| r.ready_since) {
                let wait = Wait {
                    latest: since.hi,
                    earliest: since.lo,
                    told: u64::MAX,
                    end: now,
                };
                all[*i].waited(cells, &wait);
            }
        }
        let most = |of: fn(&Heights) -> &Vec<u64>| {
            let all = all.iter().flat_map(|h| of(h).iter().copied());
            all.max().unwrap_or(0)
        };
        let (wait, moved) = (most(|h| &h.maybe), most(|h| &h.moved));
        Traces {
            summary: false,
            wait,
            moved,
            lanes: all,
        }
    }

    /// Nothing waited and nothing was moved.
    pub fn is_empty(&self) -> bool {
        let heights = |h: &Heights| {
            h.wait
                .iter()
                .chain(&h.maybe)
                .chain(&h.moved)
                .all(|v| *v == 0)
        };
        self.lanes.iter().all(heights)
    }

    /// What the heights mean, in one line of the legend.
    pub fn legend(&self, rows: Rows) -> String {
        match (self.summary, rows.bytes) {
            (true, 0) => "wait: the part of each cell it waited".to_owned(),
            (true, _) => "wait, run: the part of each cell it waited, and ran".to_owned(),
            (false, _) if self.wait == 0 => {
                "wait: how long its event has waited; nobody has in view".to_owned()
            }
            (false, 0) => format!(
                "wait: how long its event has waited, full height {}",
                time(self.wait)
            ),
            (false, _) => format!(
                "wait: how long its event has waited, full height {}   bytes: moved by runs, full height {}",
                time(self.wait),
                text::bytes(self.moved)
            ),
        }
    }

    /// Draws what stands over and under the states of lane `lane`, whose first row is `y`.
    pub fn draw(
        &self,
        pen: &mut Pen<'_>,
        app: &App,
        lane: usize,
        rows: Rows,
        (y, x0, cols, cursor): (usize, usize, usize, Option<usize>),
    ) {
        let Some(h) = self.lanes.get(lane) else {
            return;
        };
        let quiet = theme::quiet();
        for row in 0..rows.wait {
            for col in 0..cols.min(h.wait.len()) {
                let sure = bar::tall(h.wait[col], self.wait, row, rows.wait);
                let style = match h.told[col] {
                    true => theme::queued(),
                    false => theme::ready(),
                };
                let tip = |row| bar::tall(h.maybe[col], self.wait, row, rows.wait) != ' ';
                let is_tip = tip(row) && (row == 0 || !tip(row - 1));
                let c = match sure {
                    ' ' if is_tip && !self.summary => '~',
                    c => c,
                };
                match c == ' ' && cursor == Some(col) {
                    true => pen.glyph(x0 + col, y + row, '│', theme::cursor()),
                    false => pen.glyph(x0 + col, y + row, c, style),
                }
            }
        }
        for row in 0..rows.bytes {
            let y = y + rows.wait + 1 + row;
            for col in 0..cols.min(h.moved.len()) {
                let c = bar::tall(h.moved[col], self.moved, row, rows.bytes);
                let style = match self.summary {
                    true => theme::running(),
                    false => theme::plain(),
                };
                match c == ' ' && cursor == Some(col) {
                    true => pen.glyph(x0 + col, y, '│', theme::cursor()),
                    false => pen.glyph(x0 + col, y, c, style),
                }
            }
        }
        let label = x0.saturating_sub(2);
        let moved: u64 = h.moved.iter().sum();
        let part = |ns: u64| {
            let all = self.wait as f64 * cols as f64;
            format!("{:.1} %", ns as f64 * 100.0 / all.max(1.0))
        };
        let mark = app.mark();
        let waits = match self.summary {
            true => part(h.wait.iter().sum()),
            false if h.longest.hi == 0 => String::new(),
            false if text::is_narrow(h.longest) => format!("{mark}{}", time(h.longest.hi)),
            false => text::at_most(h.longest.lo, h.longest.hi),
        };
        let moves = match self.summary {
            true => part(moved),
            false if moved == 0 => String::new(),
            false => text::bytes(moved),
        };
        let second = if self.summary { "run" } else { "bytes" };
        if rows.wait > 0 {
            let y = y + rows.wait - 1;
            pen.put(1, y, &text::right("wait", label - 1), quiet);
            pen.put(x0 + cols + 1, y, &text::right(&waits, 9), quiet);
        }
        if rows.bytes > 0 {
            let y = y + rows.wait + rows.bytes;
            pen.put(1, y, &text::right(second, label - 1), quiet);
            pen.put(x0 + cols + 1, y, &text::right(&moves, 9), quiet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_lanes_share_the_room_and_many_keep_one_row() {
        for (lanes, room) in [
            (6, 40),
            (6, 20),
            (1, 40),
            (3, 8),
            (40, 40),
            (100, 40),
            (0, 9),
        ] {
            let rows = Rows::of(lanes, room);
            assert!(
                rows.all() <= (room / lanes.max(1)).max(1),
                "{lanes} in {room}: {rows:?}"
            );
            assert!(rows.all() <= MOST);
        }
        assert_eq!(Rows::of(40, 40).all(), 1);
        let six = Rows::of(6, 40);
        assert_eq!((six.wait, six.bytes, six.gap), (3, 1, 1));
    }

    #[test]
    fn a_wait_rises_until_it_is_served() {
        let cells = Cells::new(0, 10, 100, 4);
        let mut h = Heights::empty(4);
        let wait = Wait {
            latest: 1050,
            earliest: 950,
            told: 1250,
            end: 1310,
        };
        h.waited(&cells, &wait);
        assert_eq!(h.wait, [50, 150, 250, 260]);
        assert_eq!(h.maybe, [150, 250, 350, 360]);
        assert_eq!(h.told, [false, false, true, true]);
        assert_eq!((h.longest.lo, h.longest.hi), (260, 360));
    }
}
