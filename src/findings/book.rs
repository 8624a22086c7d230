//! What has been found so far: one entry a rule and cause, with count, worst time, beat and bounded evidence.
//! Step: model → **view**.

use super::Code;
use super::found::{Confidence, Evidence, Found, MOST_EVIDENCE, Period, Severity, Victims};
use super::pending::Pending;
use crate::model::{Id, Model};
use crate::text::names::descriptor;
use std::collections::BTreeMap;

/// Findings at most; later ones are counted only.
pub(super) const MOST: usize = 1_000;
/// A beat is told from this many times on, …
const BEAT_TIMES: u64 = 4;
/// … of at least this length, …
const BEAT_LENGTH: u64 = 20_000_000;
/// … and if no distance is off by more than this part of it.
const BEAT_SPREAD: u64 = 4;

/// What a finding is about: its cause, so that a thousand connections with one mistake are one finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The loop itself.
    Loop,
    /// Registrations of one role.
    Role(Id),
    /// One registration.
    Reg(Id),
    /// A number of a process, and its generation.
    Number(i32, u32),
    /// A named call of a process, by its name id, and the role of whose handler made it.
    Call(u32, Id),
    /// A thread.
    Thread(Id),
    /// A process.
    Process(Id),
    /// An error number.
    Errno(i32),
}

/// One occurrence, as a rule tells it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which rule's.
    pub code: Code,
    /// The loop, where it is one's.
    pub loop_id: Option<Id>,
    /// The process.
    pub process: Id,
    /// The thread.
    pub thread: Option<Id>,
    /// What it is about.
    pub cause: Cause,
    /// The registration.
    pub reg: Option<Id>,
    /// The descriptor, −1 none.
    pub fd: i32,
    /// Its generation.
    pub generation: u32,
    /// When.
    pub at: u64,
    /// The event that shows it.
    pub event: u64,
    /// How long it lasted, or what else makes one time worse than another.
    pub worst: u64,
    /// How many times this stands for.
    pub times: u64,
    /// How much it matters.
    pub severity: Severity,
    /// How well it is founded.
    pub confidence: Confidence,
    /// What the rule wants to tell of the worst time.
    pub detail: Detail,
}

impl Seen {
    pub(super) fn key(&self) -> Key {
        (self.code, self.loop_id, self.process, self.cause)
    }
}

/// What a rule keeps of the worst time to make its sentence of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Means what the rule says it means.
    pub a: u64,
    /// The same.
    pub b: u64,
    /// The same.
    pub c: u64,
}

/// All that was found of one cause.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The worst time; `times` is their number.
    pub worst: Seen,
    /// The descriptor's name at that time.
    pub name: String,
    /// Its role the first time.
    pub role: String,
    /// The first time.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// Gaps between them: how many, their sum, the shortest, the longest.
    gaps: (u64, u64, u64, u64),
    firsts: Vec<Evidence>,
    worsts: Vec<(u64, Evidence)>,
    /// Descriptors it was seen on, at most so many as are told apart.
    pub fds: Vec<(i32, u32)>,
    victims: Option<Victims>,
}

/// Which rule found it, on which loop, of which process, about what.
pub(super) type Key = (Code, Option<Id>, Id, Cause);

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: BTreeMap<Key, Entry>,
    omitted: u64,
    /// What is not judged yet.
    pub(super) pending: Pending,
    /// Registrations to be kept by name.
    pub(super) keep: Vec<Id>,
    /// Times that may have held others up: whose, on which loop and thread, of which registration, from, to.
    pub(super) stalls: Vec<Stalled>,
}

type Stalled = (Key, Id, Id, Option<Id>, u64, u64);

/// Such times kept until the next run ends.
const MOST_STALLS: usize = 256;

/// Descriptors told apart in one finding.
const MOST_FDS: usize = 16;

impl Book {
    /// Notes one occurrence.
    pub fn note(&mut self, model: &Model, mut seen: Seen) {
        if seen.confidence == Confidence::Maybe {
            seen.severity = Severity::Info;
        }
        let key = seen.key();
        let shown = Evidence {
            event: seen.event,
            at_ns: seen.at,
        };
        let Some(entry) = self.entries.get_mut(&key) else {
            if self.entries.len() >= MOST {
                self.omitted += 1;
                return;
            }
            self.keep.extend(seen.reg);
            let reg = seen.reg.and_then(|id| model.reg(id));
            let role = reg.and_then(|r| model.roles().get(r.role as usize));
            let entry = Entry {
                name: name_of(model, &seen),
                role: role.map_or_else(String::new, |r| r.text.to_string()),
                first: seen.at,
                last: seen.at,
                gaps: (0, 0, u64::MAX, 0),
                firsts: vec![shown],
                worsts: vec![(seen.worst, shown)],
                fds: vec![(seen.fd, seen.generation)],
                victims: None,
                worst: seen,
            };
            self.entries.insert(key, entry);
            return;
        };
        let gap = seen.at.saturating_sub(entry.last);
        let (n, sum, least, most) = entry.gaps;
        entry.gaps = (
            n + 1,
            sum.saturating_add(gap),
            least.min(gap),
            most.max(gap),
        );
        entry.last = entry.last.max(seen.at);
        if entry.firsts.len() < MOST_EVIDENCE / 2 {
            entry.firsts.push(shown);
        }
        let least = entry.worsts.iter().map(|w| w.0).min().unwrap_or(0);
        if entry.worsts.len() < MOST_EVIDENCE / 2 {
            entry.worsts.push((seen.worst, shown));
        } else if seen.worst > least
            && let Some(slot) = entry.worsts.iter_mut().find(|w| w.0 == least)
        {
            *slot = (seen.worst, shown);
        }
        let number = (seen.fd, seen.generation);
        if entry.fds.len() < MOST_FDS && !entry.fds.contains(&number) {
            entry.fds.push(number);
        }
        let severity = entry.worst.severity.max(seen.severity);
        let confidence = entry.worst.confidence.min(seen.confidence);
        let times = entry.worst.times.saturating_add(seen.times);
        // What takes no time is told as its gravest.
        if (seen.worst, seen.severity) > (entry.worst.worst, entry.worst.severity) {
            if entry.worst.reg != seen.reg {
                self.keep.extend(seen.reg);
                entry.name = name_of(model, &seen);
            }
            entry.worst = seen;
        }
        entry.worst.severity = severity;
        entry.worst.confidence = confidence;
        entry.worst.times = times;
    }

    /// How often this has been seen.
    pub fn times(&self, code: Code, loop_id: Option<Id>, process: Id, cause: Cause) -> u64 {
        let entry = self.entries.get(&(code, loop_id, process, cause));
        entry.map_or(0, |e| e.worst.times)
    }

    /// Somebody may have waited for this occurrence, which held up a thread of a loop for a while.
    pub fn held_up(&mut self, seen: &Seen, start: u64, end: u64) {
        let key = seen.key();
        if let (Some(loop_id), Some(thread)) = (seen.loop_id, seen.thread)
            && self.stalls.len() < MOST_STALLS
        {
            self.stalls
                .push((key, loop_id, thread, seen.reg, start, end.max(start)));
        }
    }

    /// The last occurrence goes on, and this is what it has come to; it is noted if there is none.
    pub fn go_on(&mut self, model: &Model, at: u64, seen: Seen) {
        let Some(entry) = self.entries.get_mut(&seen.key()) else {
            return self.note(model, seen);
        };
        entry.last = entry.last.max(at);
        let number = (seen.fd, seen.generation);
        if entry.fds.len() < MOST_FDS && !entry.fds.contains(&number) {
            entry.fds.push(number);
        }
        let w = &mut entry.worst;
        let sure = seen.confidence != Confidence::Maybe;
        let severity = w
            .severity
            .max(if sure { seen.severity } else { Severity::Info });
        let confidence = w.confidence.min(seen.confidence);
        if seen.worst > w.worst {
            if w.reg != seen.reg {
                self.keep.extend(seen.reg);
                entry.name = name_of(model, &seen);
            }
            let times = w.times;
            *w = Seen { times, ..seen };
        }
        (w.severity, w.confidence) = (severity, confidence);
    }

    /// The last occurrence goes on, has lasted this long by now, and stands for so many more.
    pub fn extend(&mut self, key: (Code, Option<Id>, Id, Cause), at: u64, lasted: u64, more: u64) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.worst.times = entry.worst.times.saturating_add(more);
            entry.last = entry.last.max(at);
            entry.worst.worst = entry.worst.worst.max(lasted);
        }
    }

    /// Takes back one occurrence: nobody can have suffered from it.
    pub fn retract(&mut self, key: (Code, Option<Id>, Id, Cause)) {
        if self.pending.retract(key) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.worst.times = entry.worst.times.saturating_sub(1);
            if entry.worst.times == 0 {
                self.entries.remove(&key);
            }
        }
    }

    /// Runs that waited for what held a thread up from then on.
    pub(super) fn suffered(&mut self, key: Key, from: u64, victims: Victims) {
        if !self.pending.suffered(key, from, &victims)
            && let Some(entry) = self.entries.get_mut(&key)
        {
            entry.suffered(victims);
        }
    }

    /// Something was found of this cause.
    pub(super) fn has(&self, key: Key) -> bool {
        self.entries.contains_key(&key)
    }

    /// Makes it matter more: it has come often enough.
    pub fn raise(&mut self, key: (Code, Option<Id>, Id, Cause), severity: Severity) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.worst.confidence != Confidence::Maybe
        {
            entry.worst.severity = entry.worst.severity.max(severity);
        }
    }

    /// Takes back what has turned out to be the effect of something else; false if there was none.
    pub fn take_back(&mut self, mut which: impl FnMut(&Entry) -> bool) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, entry| !which(entry));
        before != self.entries.len()
    }

    /// All entries, by code.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// All entries, to add to them.
    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    /// Findings that there was no room for.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }
}

/// What a descriptor is called in a sentence: `ann (fd 5)`, `fd 5`.
pub(super) fn called(name: &str, fd: i32) -> String {
    let name = crate::text::visible(name);
    match (name.is_empty(), fd) {
        (true, ..0) => "the loop".to_owned(),
        (true, fd) => format!("fd {fd}"),
        (false, ..0) => name.into_owned(),
        (false, fd) => format!("{name} (fd {fd})"),
    }
}

fn name_of(model: &Model, seen: &Seen) -> String {
    let reg = seen.reg.and_then(|id| model.reg(id));
    reg.map_or_else(String::new, |r| descriptor(&r.name, r.kind).to_owned())
}

impl Entry {
    /// What its descriptor is called, and of how many it is one.
    pub fn who(&self) -> String {
        let who = called(&self.name, self.worst.fd);
        match self.fds.len() {
            0 | 1 => who,
            MOST_FDS.. => format!("{who} and {}+ others", MOST_FDS - 1),
            2 => format!("{who} and one other"),
            n => format!("{who} and {} others", n - 1),
        }
    }

    /// It comes on a beat.
    pub fn period(&self) -> Option<Period> {
        let (n, sum, least, most) = self.gaps;
        let mean = sum.checked_div(n)?;
        let off = most.saturating_sub(mean).max(mean.saturating_sub(least));
        (n + 1 >= BEAT_TIMES && mean >= BEAT_LENGTH && off <= mean / BEAT_SPREAD).then_some(
            Period {
                ns: mean,
                spread_ns: off,
            },
        )
    }

    /// Runs that waited for what this is about.
    pub(super) fn suffered(&mut self, victims: Victims) {
        match &mut self.victims {
            Some(known) => {
                known.count = known.count.saturating_add(victims.count);
                if victims.worst_ns > known.worst_ns {
                    known.worst_ns = victims.worst_ns;
                    known.worst = victims.worst;
                }
            }
            None => self.victims = Some(victims),
        }
    }

    /// Who waited, as far as known.
    pub fn victims(&self) -> Option<&Victims> {
        self.victims.as_ref()
    }

    /// The finding, with its sentence and cure.
    pub(super) fn found(&self, effects: Vec<Code>, summary: String, advice: String) -> Found {
        let w = &self.worst;
        let all = self.firsts.iter().chain(self.worsts.iter().map(|(_, e)| e));
        let mut evidence: Vec<Evidence> = all.copied().collect();
        evidence.sort_by_key(|e| e.event);
        evidence.dedup();
        Found {
            code: w.code,
            effects,
            severity: w.severity,
            confidence: w.confidence,
            loop_id: w.loop_id,
            process: w.process,
            thread: w.thread,
            reg: w.reg,
            role: self.role.clone(),
            fd: w.fd,
            generation: w.generation,
            first_ns: self.first,
            last_ns: self.last,
            at_ns: w.at,
            count: w.times,
            worst_ns: w.worst,
            period: self.period(),
            victims: self.victims.clone(),
            summary,
            advice,
            evidence,
        }
    }
}
