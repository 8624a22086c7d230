//! From a recording to what a demo's claim needs. Step: trace → model → **view**.

use crate::demos::Seen;
use crate::demos::claim::Fd;
use crate::model::{Id, Model, Run, Sink, Transition, Word};
use crate::record::event::Kind;
use crate::trace::{Error, Events, Reader};
use std::collections::HashMap;

/// What one registration showed.
#[derive(Default)]
struct Reg {
    waits: Vec<(u64, u64)>,
    left_over_since: Option<u64>,
    left_over_ns: u64,
}

/// Listens to runs and to data left over.
#[derive(Default)]
struct Ear(HashMap<Id, Reg>);

impl Sink for Ear {
    fn run(&mut self, run: &Run) {
        // A run whose readiness is unknown (a hang-up, say) is no wait of the kind a claim is about.
        if let Some(wait) = run.wait() {
            self.0
                .entry(run.reg)
                .or_default()
                .waits
                .push((wait.lo, wait.hi));
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let reg = self.0.entry(transition.reg).or_default();
        if let Some(since) = reg.left_over_since.take() {
            reg.left_over_ns += transition.t.saturating_sub(since);
        }
        if transition.to == Word::Residual {
            reg.left_over_since = Some(transition.t);
        }
    }
}

/// Folds the whole recording.
pub(super) fn see(reader: &mut Reader) -> Result<Seen, Error> {
    let mut model = Model::default();
    let mut ear = Ear::default();
    // A demo's clients are threads that are called like their connections.
    let mut threads: HashMap<u32, String> = HashMap::new();
    let mut supplied: HashMap<String, u64> = HashMap::new();
    let mut events = Events::default();
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events)?;
        for (number, event, text) in events.iter() {
            match event.kind {
                Kind::ThreadStart => {
                    let name = String::from_utf8_lossy(text).into_owned();
                    threads.insert(event.thread, name);
                }
                Kind::Supplied => {
                    if let Some(name) = threads.get(&event.thread) {
                        *supplied.entry(name.clone()).or_default() += event.arg;
                    }
                }
                _ => {}
            }
            model.apply(number, event, text, &mut ear);
        }
    }
    let end = reader.duration_ns();
    let mut seen = Seen {
        duration_ns: end,
        fds: Vec::new(),
    };
    for reg in model.regs() {
        let index = match seen.fds.iter().position(|fd| *fd.name == *reg.name) {
            Some(index) => index,
            None => {
                seen.fds.push(Fd {
                    name: reg.name.to_string(),
                    supplied: supplied.get(&*reg.name).copied().unwrap_or(0),
                    ..Fd::default()
                });
                seen.fds.len() - 1
            }
        };
        let fd = &mut seen.fds[index];
        fd.run_ns += reg.run_ns;
        fd.bytes_in += reg.bytes_in;
        fd.bytes_out += reg.bytes_out;
        if let Some(heard) = ear.0.remove(&reg.id) {
            fd.waits_lo.extend(heard.waits.iter().map(|w| w.0));
            fd.waits_hi.extend(heard.waits.iter().map(|w| w.1));
            let open = heard
                .left_over_since
                .map_or(0, |since| end.saturating_sub(since));
            fd.left_over_ns += heard.left_over_ns + open;
        }
    }
    for fd in &mut seen.fds {
        fd.waits_lo.sort_unstable();
        fd.waits_hi.sort_unstable();
    }
    Ok(seen)
}
