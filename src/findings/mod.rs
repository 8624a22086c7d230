//! Findings: what is wrong, who did it, whom it made wait, and which change cures it; silence where nothing is wrong.
//!
//! [`Findings::apply`] folds an event into the model, looks up what rules ask of it, and hands it to those [`rules`] that
//! want to hear of it. A rule is a small type: when it fires, what it says, what cures it. What they find is kept in a
//! [`Book`](book::Book), one entry a rule and cause, however often it happens. Nothing here reads a clock or a file,
//! memory is bounded, and lost events make a rule forget what it has counted. Step: model → **view**.
#![forbid(unsafe_code)]

mod asleep;
mod blame;
pub mod book;
mod code;
mod crowd;
pub mod facts;
mod found;
mod looked;
pub mod meanwhile;
mod pending;
pub mod rules;
mod seams;
mod stored;
mod stuck;
mod thresholds;
pub mod track;

pub use code::{Code, NoSuchCode, explained};
pub use found::{Confidence, Evidence, Found, MOST_EVIDENCE, Period, Severity, Victims};
pub use thresholds::{BadThreshold, Thresholds};

use crate::model::{Fired, Id, Model, Run, Sink, Transition, Turn, Word};
use crate::record::event::{Cause as Loss, Event, Kind, flags};
use blame::Blame;
use book::Book;
use crowd::Crowd;
use facts::{Cx, Hook, Rule};
use seams::Seams;
use track::Tracks;

/// What came of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The findings, the worst first.
    pub found: Vec<Found>,
    /// Findings there was no room for.
    pub omitted: u64,
    /// Codes that were looked for.
    pub checked: Vec<Code>,
    /// Thresholds that were not the defaults, as `name = value`.
    pub changed: Vec<String>,
    /// Registrations that findings named, and the event from which on: who folds the same events again keeps them there
    /// ([`Model::keep`]) and has the model that the rules had.
    pub named: Vec<(u64, Id)>,
}

/// Registrations in [`Outcome::named`] at most; the model keeps later ones all the same.
const MOST_NAMED: usize = 16_384;

/// A run that is cut off by the end of its thread and has lasted this long was stuck.
const STUCK: u64 = 1_000_000_000;

/// From one tick of the rules to the next.
const TICK: u64 = 250_000_000;

/// The fold from events to findings. It carries the model's own fold along, for the rules ask the model.
pub struct Findings {
    limits: Thresholds,
    rules: Vec<Box<dyn Rule>>,
    /// Which rules want to hear of what.
    wants: [Vec<u8>; Hook::COUNT],
    tracks: Tracks,
    crowd: Crowd,
    book: Book,
    seams: Seams,
    blame: Blame,
    heard: Heard,
    named: Vec<(u64, Id)>,
    /// Calls that took less are of no interest to rules about long ones.
    slow: u64,
    /// The number of the last event.
    last: u64,
    tick: u64,
    blind: bool,
}

/// Facts the model told while it folded in one event, as far as rules want to hear them.
#[derive(Default)]
struct Heard {
    all: Vec<Fact>,
}

enum Fact {
    Run(Run),
    Turn(Turn),
    Transition(Transition),
    Fired(Fired),
}

impl Sink for Heard {
    fn run(&mut self, run: &Run) {
        self.all.push(Fact::Run(*run));
    }
    fn turn(&mut self, turn: &Turn) {
        self.all.push(Fact::Turn(*turn));
    }
    fn transition(&mut self, t: &Transition) {
        let rare = |w| {
            matches!(
                w,
                Word::Stale | Word::Residual | Word::Disarmed | Word::Gone
            )
        };
        if rare(t.from) || rare(t.to) {
            self.all.push(Fact::Transition(*t));
        }
    }
    fn timer(&mut self, fired: &Fired) {
        self.all.push(Fact::Fired(*fired));
    }
}

impl Default for Findings {
    fn default() -> Self {
        Self::new(Thresholds::default())
    }
}

/// Everything that is handed to rules at one event.
macro_rules! tell {
    ($self:ident, $model:ident, $at:ident, $hook:ident, $method:ident $(, $argument:expr)*) => {{
        let mut cx = Cx {
            model: $model,
            tracks: &$self.tracks,
            crowd: &$self.crowd,
            limits: &$self.limits,
            book: &mut $self.book,
            now: $at.0,
            event: $at.1,
            blind: $self.blind,
            over: $at.2,
        };
        for index in &$self.wants[Hook::$hook as usize] {
            if let Some(rule) = $self.rules.get_mut(usize::from(*index)) {
                rule.$method(&mut cx $(, $argument)*);
            }
        }
    }};
}
use tell;

impl Findings {
    /// The version of the rules. What another one found is searched for anew, so it goes up with every change of what
    /// a rule finds or says, or of a default threshold.
    pub const VERSION: u16 = 7;

    /// Rules that have seen nothing.
    pub fn new(limits: Thresholds) -> Self {
        let rules = rules::all();
        let mut wants: [Vec<u8>; Hook::COUNT] = Default::default();
        for (index, rule) in rules.iter().enumerate() {
            for hook in rule.hooks() {
                wants[*hook as usize].push(u8::try_from(index).unwrap_or(u8::MAX));
            }
        }
        Self {
            slow: rules::least_slow(&limits),
            limits,
            rules,
            wants,
            tracks: Tracks::default(),
            crowd: Crowd::default(),
            book: Book::default(),
            seams: Seams::default(),
            blame: Blame::default(),
            heard: Heard::default(),
            named: Vec::new(),
            last: 0,
            tick: TICK,
            blind: false,
        }
    }

    /// What it takes to fire.
    pub fn limits(&self) -> &Thresholds {
        &self.limits
    }

    /// Some calls of the program are not seen: rules about what was not done are less sure.
    pub fn doubt(&mut self) {
        self.blind = true;
    }

    /// Folds in the next event: into the model, and into the findings.
    pub fn apply<S: Sink + ?Sized>(
        &mut self,
        model: &mut Model,
        number: u64,
        e: &Event,
        text: &[u8],
        sink: &mut S,
    ) {
        self.last = number;
        let before = self.seams.before(model, number, e);
        if matches!(e.kind, Kind::ThreadEnd | Kind::ProcessEnd) {
            self.ending(model, number, e);
        }
        model.apply(number, e, text, &mut (sink, &mut self.heard));
        let at = (model.now(), number, false);
        if self.book.pending.is_due(at.0) {
            self.book.judge_due(model, &self.limits, false);
        }
        if at.0 >= self.tick {
            self.tick = (at.0 / TICK + 1).saturating_mul(TICK);
            let model = &*model;
            tell!(self, model, at, Tick, tick);
        }
        let ends = matches!(e.kind, Kind::ThreadEnd | Kind::ProcessEnd | Kind::Exec);
        self.told(model, at, ends);
        match e.kind {
            // Switch records are of no event of the program: how runs were spent turns unknown by itself.
            Kind::Lost
                if matches!(
                    Loss::from_code(e.aux),
                    Some(Loss::Newer | Loss::Switches | Loss::Samples)
                ) => {}
            Kind::Lost => self.lost(),
            Kind::Setup => self.blind |= hides_calls(model, text),
            Kind::Steal => self.crowd.stolen(at.0, e.arg),
            _ => self.event(model, at, number, e, before),
        }
        if e.flags & flags::LATE != 0 {
            self.late(model, e);
        }
        self.keep_named(model, number);
    }

    /// What findings name stays in the model whatever becomes of it.
    fn keep_named(&mut self, model: &mut Model, number: u64) {
        for reg in self.book.keep.drain(..) {
            model.keep(reg);
            if self.named.len() < MOST_NAMED {
                self.named.push((number, reg));
            }
        }
    }

    /// Tells of an end before it takes everything with it.
    fn ending(&mut self, model: &Model, number: u64, e: &Event) {
        let at = (model.now().max(e.t), number, false);
        let (process, thread) = match e.kind {
            Kind::ThreadEnd => {
                let thread = model.thread_numbered(e.thread);
                (thread.map(|id| process_of(model, id)), thread)
            }
            _ => {
                let mut all = model.processes().iter().rev();
                let ended = all.find(|p| p.number == Some(e.arg) && p.end.is_none());
                (ended.map(|p| p.id), None)
            }
        };
        if let Some(process) = process {
            tell!(self, model, at, Ending, ending, process, thread);
        }
    }

    /// Hands on what the model has told. Of a thread that ends, what it was in the middle of held nobody up any more, unless it
    /// had lasted for very long.
    fn told(&mut self, model: &Model, at: (u64, u64, bool), ends: bool) {
        if self.heard.all.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.heard.all);
        for fact in &all {
            match fact {
                Fact::Run(run) if ends && run.run() < STUCK => {}
                Fact::Turn(_) if ends => {}
                Fact::Run(run) => {
                    tell!(self, model, at, Run, run, run);
                    self.blame.run(model, &self.limits, &mut self.book, run);
                }
                Fact::Turn(turn) => tell!(self, model, at, Turn, turn, turn),
                Fact::Fired(fired) => tell!(self, model, at, Fired, fired, fired),
                Fact::Transition(t) => {
                    tell!(self, model, at, Transition, transition, t);
                    if t.to == Word::Gone {
                        self.tracks.ended(t.reg);
                    }
                }
            }
        }
        all.clear();
        self.heard.all = all;
    }

    /// Events are missing.
    fn lost(&mut self) {
        self.tracks.forget();
        self.crowd.forget();
        self.seams.forget();
        self.blame.forget();
        for rule in &mut self.rules {
            rule.lost();
        }
    }

    /// An event came after its place in the order: what was not done is in doubt for what it touches.
    fn late(&mut self, model: &Model, e: &Event) {
        let Some(thread) = model.thread_numbered(e.thread) else {
            return;
        };
        let Some(process) = model.threads().get(thread as usize).map(|t| t.process) else {
            return;
        };
        if let Some(number) = model.number(process, e.fd) {
            for reg in model.registrations(number.desc) {
                self.tracks.ended(reg.id);
            }
        }
        self.tracks.closed(process, e.fd);
    }

    /// The recording is over: what is found, the worst first.
    pub fn finish(mut self, model: &mut Model) -> Outcome {
        // What is only found at the end is shown by the last event there is.
        let last = self.last;
        let at = (model.now(), last, true);
        {
            let model = &*model;
            for call in self.seams.unfinished(model) {
                tell!(self, model, at, Call, call, &call);
            }
            self.book.judge_due(model, &self.limits, true);
            tell!(self, model, at, Tick, tick);
        }
        self.keep_named(model, last);
        self.blame.settle(&self.limits, &mut self.book);
        let mut found: Vec<Found> = Vec::new();
        let omitted = self.book.omitted();
        for entry in self.book.entries() {
            let code = entry.worst.code;
            let Some(rule) = self.rules.iter().find(|r| r.code() == code) else {
                continue;
            };
            let mut words = rule.words(model, entry);
            words.summary += &blame::sequel(entry);
            found.push(entry.found(self.blame.effects(entry), words.summary, words.advice));
        }
        let weight = |f: &Found| {
            (
                f.victims.as_ref().map_or(0, |v| v.count),
                f.worst_ns,
                f.count,
            )
        };
        found.sort_by(|a, b| {
            (b.severity.cmp(&a.severity))
                .then_with(|| weight(b).cmp(&weight(a)))
                .then_with(|| (a.first_ns, a.code).cmp(&(b.first_ns, b.code)))
        });
        Outcome {
            found,
            omitted,
            checked: Self::checked(model),
            changed: self.limits.changed(),
            named: self.named,
        }
    }

    /// Codes that are looked for in a recording like this one.
    fn checked(model: &Model) -> Vec<Code> {
        let handlers = model.loops().iter().any(|l| l.has_handlers());
        let all = Code::ALL.iter().copied();
        all.filter(|code| handlers || !needs_handlers(*code))
            .collect()
    }
}

/// Rules that judge runs: where nobody is seen to serve anything they cannot fire, and say so.
fn needs_handlers(code: Code) -> bool {
    matches!(
        code,
        Code::ComputingHandler
            | Code::PageFaultStall
            | Code::PreemptedHandler
            | Code::LongHandler
            | Code::Starvation
            | Code::GreedyHandler
            | Code::StaleEvent
    )
}

/// What the capture says it cannot see are calls of a process that it sees otherwise: "the waits of process 9 (x)".
fn hides_calls(model: &Model, said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    let missing = said.split('\0').next().unwrap_or_default();
    let hidden = missing.starts_with("the waits") || missing.starts_with("what process");
    let pid = missing.split("process ").nth(1);
    let pid = pid.and_then(|rest| rest.split(' ').next()?.parse::<i32>().ok());
    hidden
        && pid.is_none_or(|pid| {
            let mut all = model.processes().iter();
            all.any(|p| p.pid == pid && p.number.is_some())
        })
}

/// The process of a thread.
fn process_of(model: &Model, thread: Id) -> Id {
    let t = model.threads().get(thread as usize);
    t.map_or(0, |t| t.process)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fuzz::{Stream, bytes};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn any_events_are_judged(data in bytes()) {
            let eager = "long_run = \"1us\"\nblocking_warning = \"1us\"\nstarved = \"1us\"\nspin_reports = 2\n\
                         unheard = \"1us\"\nleft_behind = \"1us\"\nshares_of = 1\nchurn_of = 1\ngrace = 0\n";
            let limits = Thresholds::default().overridden(&eager.replace("= 0", "= \"0ns\"")).unwrap();
            let (mut model, mut plain) = (Model::default(), Model::default());
            let mut findings = Findings::new(limits);
            let mut stream = Stream::new(&data);
            let mut number = 0;
            while let Some((e, text)) = stream.event() {
                findings.apply(&mut model, number, &e, &text, &mut ());
                plain.apply(number, &e, &text, &mut ());
                number += 1;
            }
            prop_assert_eq!(model.regs_len() >= plain.regs_len(), true);
            let outcome = findings.finish(&mut model);
            prop_assert!(outcome.found.is_sorted_by(|a, b| a.severity >= b.severity));
            for f in &outcome.found {
                prop_assert!(!f.evidence.is_empty() && f.evidence.len() <= MOST_EVIDENCE);
                prop_assert!(f.evidence.iter().all(|e| e.event < number.max(1)));
                prop_assert!(f.first_ns <= f.last_ns && f.count > 0);
                prop_assert!(f.confidence != Confidence::Maybe || f.severity == Severity::Info);
                prop_assert!(!f.summary.contains(|c: char| c.is_control()));
            }
            let mut stored = Vec::new();
            outcome.save(&mut stored);
            prop_assert_eq!(Outcome::load(&stored, number.max(1)), Some(outcome));
            // The same damaged, and any bytes: something that can be shown, or nothing.
            for at in (0..stored.len()).step_by(1 + stored.len() / 64) {
                let mut damaged = stored.clone();
                damaged[at] ^= 1 << (at % 8);
                let _ = Outcome::load(&damaged, number);
                let _ = Outcome::load(&stored[..at], number);
            }
            let _ = Outcome::load(&data, number);
        }
    }
}
