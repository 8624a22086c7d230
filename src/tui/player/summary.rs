//! Columns of a wide window from the stored pyramid: what would take seconds to fold is read in milliseconds, without
//! single runs and with only the most active fds of every stretch told apart. Step: **model** → view.

use super::cell::Cell;
use super::cells::Cells;
use crate::model::pyramid::{self, Pyramid};
use crate::model::{Id, Model};
use std::collections::HashMap;

/// What a window of summaries says besides its cells.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Time in handlers of all fds in the window.
    pub run_ns: u64,
    /// Per column: something is known, and Jain's index over what is told apart.
    pub columns: Vec<Option<Option<f64>>>,
    /// Each fd's share of the run time, between the checkpoints next to the window's ends.
    shares: HashMap<Id, f64>,
}

impl Summary {
    /// The share of run time of an fd.
    pub fn share(&self, reg: Id) -> f64 {
        self.shares.get(&reg).copied().unwrap_or(0.0)
    }
}

/// Run and queue time of a role in a column.
type Sums = HashMap<Id, (u64, u64)>;

/// Fills empty columns. `before` and `after` are models as close to the window's ends as there are.
pub fn fill(cells: &mut Cells, pyramid: &mut Pyramid, before: Option<&Model>, after: &Model) {
    let (from, to) = (cells.from(), cells.to());
    let mut level = Pyramid::level_within(cells.width);
    while level + 1 < pyramid::LEVELS && pyramid.since(level) > from {
        level += 1;
    }
    let width = pyramid::width(level);
    let loop_id = cells.loop_id;
    let mut roles: Vec<Option<Sums>> = vec![None; cells.cols];
    let mut run_ns = 0;
    for (at, bucket) in pyramid.buckets(level, from, to) {
        let Some((a, b)) = cells.touches(at, at + width) else {
            continue;
        };
        let mine = bucket.spectra.iter().find(|(id, _)| *id == loop_id);
        if let Some((col, (_, spectrum))) = cells.col(at.max(from)).zip(mine) {
            cells.spectra[col].merge(spectrum);
        }
        for col in a..=b {
            let start = at.max(col * cells.width);
            let inside = (at + width).min((col + 1) * cells.width) - start;
            let part = |ns: u64| (u128::from(ns) * u128::from(inside) / u128::from(width)) as u64;
            let col = (col - cells.first) as usize;
            for (_, l) in bucket.loops.iter().filter(|l| l.0 == loop_id) {
                let busy = l.run_ns + l.timer_ns + l.task_ns + l.rest_ns + l.tail_ns;
                cells.turns[col].0 += part(busy);
                cells.turns[col].1 += part(l.wait_ns);
            }
            let sums = roles[col].get_or_insert_default();
            for ((_, role), c) in bucket.roles.iter().filter(|r| r.0.0 == loop_id) {
                let sum = sums.entry(*role).or_default();
                sum.0 += part(c.run_ns);
                sum.1 += part(c.queue_ns);
                run_ns += part(c.run_ns);
            }
            for ((_, reg), c) in bucket.regs.iter().filter(|r| r.0.0 == loop_id) {
                let Some(row) = cells.row(*reg) else { continue };
                add(&mut row[col], c, part);
            }
        }
    }
    let columns = (0..cells.cols)
        .map(|col| Some(fairness(cells, col, roles[col].take()?, after)))
        .collect();
    for (reg, row) in &cells.rows {
        for (col, cell) in row.iter().enumerate() {
            if cell.run_ns > cells.who[col].1 {
                cells.who[col] = (*reg, cell.run_ns);
            }
        }
    }
    cells.summary = Some(Summary {
        run_ns,
        columns,
        shares: shares(loop_id, before, after),
    });
}

fn add(cell: &mut Cell, c: &pyramid::Cell, part: impl Fn(u64) -> u64) {
    cell.run_ns += part(c.run_ns);
    cell.queue_ns += part(c.queue_ns);
    cell.notice_ns += part(c.notice_ns);
    let runs = u16::try_from(c.runs).unwrap_or(u16::MAX);
    cell.runs = cell.runs.saturating_add(runs);
    cell.queued |= c.queue_ns > 0;
    cell.ready |= c.notice_ns > 0;
}

/// Jain's index over the fds told apart in a column and, per role, all others taken together.
fn fairness(cells: &Cells, col: usize, mut rest: Sums, model: &Model) -> Option<f64> {
    let mut all = Vec::new();
    for (reg, row) in &cells.rows {
        let cell = row[col];
        if cell.run_ns == 0 && cell.queue_ns == 0 {
            continue;
        }
        all.push((cell.run_ns, cell.queue_ns));
        if let Some(sum) = model.reg(*reg).and_then(|r| rest.get_mut(&r.role)) {
            sum.0 = sum.0.saturating_sub(cell.run_ns);
            sum.1 = sum.1.saturating_sub(cell.queue_ns);
        }
    }
    all.extend(rest.values().filter(|s| **s != (0, 0)));
    super::cells::jain(all.into_iter())
}

fn shares(loop_id: Id, before: Option<&Model>, after: &Model) -> HashMap<Id, f64> {
    let mine = after.regs().filter(|r| r.loop_id == loop_id);
    let ran: Vec<(Id, u64)> = mine
        .map(|r| {
            let then = before.and_then(|m| m.reg(r.id)).map_or(0, |r| r.run_ns);
            (r.id, r.run_ns.saturating_sub(then))
        })
        .collect();
    let total_of = |m: &Model| m.loops().get(loop_id as usize).map_or(0, |l| l.run_ns);
    let total = total_of(after).saturating_sub(before.map_or(0, total_of));
    let share = |ns: u64| ns as f64 / total.max(1) as f64;
    ran.into_iter().map(|(id, ns)| (id, share(ns))).collect()
}
