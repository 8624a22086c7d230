//! The filter a person has set: its text, its meaning, and the next run it means. Step: query → **view**.

use super::player::{Folder, Player, Until};
use crate::findings::{Code, Found};
use crate::model::{Id, Model, Registration, Run, Sink};
use crate::query::{Field, Query, Row};
use crate::trace::Error;

/// A filter that was understood.
#[derive(Clone, Debug)]
pub struct Filter {
    /// As typed.
    pub text: String,
    query: Query,
}

impl Filter {
    /// Understands a text, or says why not and from which column (from 0) on.
    pub fn parse(text: &str) -> Result<Filter, (String, usize)> {
        match Query::parse(text) {
            Ok(query) => {
                if let Some(message) = query.texts(Field::Finding).find_map(no_finding) {
                    return Err((message, 0));
                }
                Ok(Filter {
                    text: text.to_owned(),
                    query,
                })
            }
            Err(error) => Err((error.message, error.column.saturating_sub(1))),
        }
    }

    /// Why a text is no filter, if it is none.
    pub fn check(text: &str) -> Option<(String, usize)> {
        match text.trim().is_empty() {
            true => None,
            false => Filter::parse(text).err(),
        }
    }

    /// It can only be judged by who knows what was found in the whole recording.
    pub fn asks_for_findings(&self) -> bool {
        self.query.uses(Field::Finding)
    }

    /// Whether a run passes; `found` is what was found in the recording so far.
    pub fn matches(&self, model: &Model, run: &Run, found: &[Found]) -> bool {
        let mut codes: Vec<&str> = Vec::new();
        if self.asks_for_findings() {
            // One that is about its registration, or shows this very run.
            let named = found.iter().filter(|f| {
                f.reg == Some(run.reg) || f.evidence.iter().any(|e| e.event == run.event)
            });
            codes.extend(named.flat_map(|f| f.codes()).map(Code::name));
        }
        self.query.matches(&Row {
            run,
            model,
            findings: &codes,
        })
    }

    /// What stands beside an fd that passes, where colours are not seen as well.
    pub const MARK: char = '*';

    /// Whether a run of this registration known at the cursor passes.
    pub fn matches_reg(&self, app: &super::App, reg: &Registration) -> bool {
        app.tail()
            .runs_of(reg.id)
            .any(|run| self.matches(app.model(), run, app.findings()))
    }

    /// The next (1) or previous (−1) matching run from the cursor: its event and its fd.
    pub fn find(&self, player: &mut Player, by: i64) -> Result<Option<(u64, Id)>, Error> {
        let here = player.next();
        match by > 0 {
            true => {
                let mut folder = player.folder().clone();
                folder.rebase(player.reader());
                self.first(player, &mut folder, here)
            }
            false => {
                // Back by doubling stretches, each folded from its checkpoint.
                let first = player.reader().first();
                let mut back = 4_096;
                let mut until = here.saturating_sub(1);
                loop {
                    let from = until.saturating_sub(back).max(first);
                    let (mut folder, _) = player.glimpse(from)?;
                    let last = self.last(player, &mut folder, until)?;
                    if last.is_some() || from <= first {
                        return Ok(last);
                    }
                    until = from;
                    back *= 2;
                }
            }
        }
    }

    /// The first match whose run starts at or after event `from`.
    fn first(
        &self,
        player: &mut Player,
        folder: &mut Folder,
        from: u64,
    ) -> Result<Option<(u64, Id)>, Error> {
        let mut ended = Ended(Vec::new());
        let found = found_by(player);
        loop {
            let before = folder.next;
            let done = folder.run(player.reader_mut(), Until::event(u64::MAX), 64, &mut ended)?;
            let runs = std::mem::take(&mut ended.0);
            let mut hits = runs
                .iter()
                .filter(|r| r.event >= from && self.matches(&folder.model, r, &found));
            if let Some(run) = hits.next() {
                return Ok(Some((run.event, run.reg)));
            }
            if done || folder.next == before {
                return Ok(None);
            }
        }
    }

    /// The last match whose run starts before event `until`.
    fn last(
        &self,
        player: &mut Player,
        folder: &mut Folder,
        until: u64,
    ) -> Result<Option<(u64, Id)>, Error> {
        let mut ended = Ended(Vec::new());
        let found = found_by(player);
        let mut last = None;
        loop {
            // A run is told when it ends: up to one batch later.
            let done = folder.run(player.reader_mut(), Until::event(until), 64, &mut ended)?;
            for run in std::mem::take(&mut ended.0) {
                if run.event < until && self.matches(&folder.model, &run, &found) {
                    last = Some((run.event, run.reg));
                }
            }
            if done {
                return Ok(last);
            }
        }
    }
}

/// Why a text is no finding's code, if it is none.
fn no_finding(text: &str) -> Option<String> {
    let error = text.parse::<Code>().err()?;
    Some(error.to_string())
}

/// What the recording was found to hold; nothing while it is looked through.
fn found_by(player: &Player) -> Vec<Found> {
    player.found().map_or_else(Vec::new, |o| o.found.clone())
}

/// Runs as they end.
struct Ended(Vec<Run>);

impl Sink for Ended {
    fn run(&mut self, run: &Run) {
        self.0.push(*run);
    }
}
