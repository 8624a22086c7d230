//! How a run was spent: on its CPU, asleep and in what, or waiting for a CPU. Step: model → **view**.

use crate::model::{Registration, Run, Spent};
use crate::record::event::{Op, Space};
use crate::tui::app::App;
use crate::tui::widget::text::{time, width};
use std::cmp::Reverse;

/// Parts that are at least a `least`th of the whole, the largest first, with the mark of what is inferred.
fn parts(spent: &Spent, least: u64) -> Vec<(String, &'static str, u64)> {
    let total = spent.total();
    let mut parts: Vec<_> = (spent.parts().into_iter())
        .filter(|(_, ns)| *ns > total / least)
        .map(|(word, ns)| {
            let mark = if word == Spent::WAITING { "~" } else { "" };
            (format!("{mark}{word}"), word, ns)
        })
        .collect();
    parts.sort_by_key(|(.., ns)| Reverse(*ns));
    parts
}

/// `run 50.2 ms = blocked 50.1 ms in nanosleep + on CPU 0.1 ms`; nothing where nothing is known of it.
pub fn of_run(app: &App, run: &Run) -> Option<String> {
    if !run.spent.is_known() {
        return None;
    }
    let told = parts(&run.spent, 200).into_iter().map(|(shown, word, ns)| {
        let inside = match (word, run.blocked_in) {
            ("blocked", Some(b)) => {
                let process = app.model().threads().get(run.thread as usize);
                let process = process.map_or(0, |t| t.process);
                let call = match b.op {
                    Some(Op::Named) => app.word(process, Space::Call, b.name),
                    op => op.map_or("a call", Op::name).to_owned(),
                };
                match b.fd {
                    0.. => format!(" in {call}({})", b.fd),
                    _ => format!(" in {call}"),
                }
            }
            _ => String::new(),
        };
        format!("{shown} {}{inside}", time(ns))
    });
    let told: Vec<String> = told.collect();
    let faults = match run.spent.faults {
        0 => String::new(),
        1 => "; 1 page fault".to_owned(),
        n => format!("; {n} page faults"),
    };
    // Told up to a tenth of a second after the run: not known any earlier.
    let cpu = app.model().cpu_since(run.thread, run.start);
    let exposed = run.spent.exposed();
    let stolen = match app.model().stolen(cpu, run.start, run.end).min(exposed) {
        0 => String::new(),
        ns => format!("; hypervisor <= {}", time(ns)),
    };
    Some(format!(
        "run {} = {}{faults}{stolen}",
        time(run.run()),
        told.join(" + ")
    ))
}

/// `of run: on CPU 71 %, blocked 29 %`: the largest parts, as many as have room.
pub fn of_fd(reg: &Registration, room: usize) -> Option<String> {
    let total = reg.spent.total();
    if !reg.spent.is_known() || total == 0 {
        return None;
    }
    let told = parts(&reg.spent, 100).into_iter();
    let told: Vec<String> = told
        .map(|(shown, _, ns)| {
            format!(
                "{shown} {} %",
                (u128::from(ns) * 100 + u128::from(total) / 2) / u128::from(total)
            )
        })
        .collect();
    (1..=told.len())
        .rev()
        .map(|most| format!("of run: {}", told[..most].join(", ")))
        .find(|told| width(told) <= room)
}
