//! Any bytes as a stream of events: what the property tests feed the fold. Step: **model**.

use super::{Base, Config, Ended, Model, OnBehalf, Run, Segment, Sink, Transition, Turn, Written};
use crate::record::event::{Event, Kind, flags};
use proptest::prelude::*;

/// Reads bytes as events, mostly small and plausible ones, so that they meet each other.
pub(crate) struct Stream<'a> {
    bytes: &'a [u8],
    t: u64,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Stream { bytes, t: 0 }
    }
}

impl Stream<'_> {
    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    /// Small most of the time, anything now and then.
    fn number(&mut self) -> u64 {
        match self.byte() {
            255 => u64::MAX - u64::from(self.byte()),
            254 => u64::from_le_bytes([0; 8].map(|_: u8| self.byte())),
            b => u64::from(b % 12),
        }
    }

    pub(crate) fn event(&mut self) -> Option<(Event, Vec<u8>)> {
        if self.bytes.is_empty() {
            return None;
        }
        let kind = Kind::ALL[usize::from(self.byte()) % Kind::ALL.len()];
        let head = self.byte();
        self.t = match head & 0x30 {
            0x30 if head & 0x0c == 0x0c => self.number(),
            _ => self.t.wrapping_add(u64::from(head & 0x3c) * 1_000),
        };
        let x = self.number();
        let mut e = Event {
            t: self.t,
            kind,
            thread: u32::from(head & 3),
            fd: self.number() as i32,
            x: if head & 0x80 != 0 {
                -(x as i32 & 0xf)
            } else {
                x as i32
            },
            arg: self.number(),
            aux: self.number() as u16,
            ..Event::default()
        };
        match kind {
            Kind::CtlBegin | Kind::CtlEnd => {
                e.y = u64::from(self.byte() % 3);
                e.aux = u16::from(self.byte() % 4);
                if kind == Kind::CtlBegin {
                    e.x = (u32::from(self.byte() & 5) | u32::from(self.byte()) << 24) as i32;
                } else {
                    e.x = e.x.min(0);
                }
            }
            Kind::WaitEnter | Kind::WaitExit | Kind::Ready | Kind::RunBegin | Kind::RunEnd => {
                if e.fd > 2 && head & 0x40 == 0 {
                    e.fd %= 3;
                }
                e.aux = if kind == Kind::RunBegin {
                    e.aux
                } else {
                    1 + e.aux % 8
                };
                e.flags = if head & 0x40 != 0 { flags::LEFT } else { 0 };
            }
            Kind::Io
            | Kind::Supplied
            | Kind::Lost
            | Kind::InCall
            | Kind::TimerArm
            | Kind::TimerfdSet
            | Kind::Fault => e.y = self.number(),
            _ => {}
        }
        if head == 0x7f {
            e.flags |= flags::LATE;
        }
        let text = match kind {
            Kind::FdAddr => format!("tcp 1:{}>2:{}", e.fd & 7, self.byte() & 3).into_bytes(),
            Kind::Name => format!("tcp 2:{}>1:{}", self.byte() & 3, e.x & 7).into_bytes(),
            Kind::FdName | Kind::ProcessStart | Kind::ThreadStart => vec![b'a', self.byte()],
            _ => Vec::new(),
        };
        Some((e, text))
    }
}

/// Checks what must hold whatever the events say.
#[derive(Default)]
struct Checks {
    runs: u64,
    ends: super::Map<(u32, u32), u64>,
    facts: Vec<String>,
    keep: bool,
}

impl Sink for Checks {
    fn run(&mut self, run: &Run) {
        assert!(run.wakeup <= run.start && run.start <= run.end, "{run:?}");
        if let Some(ready) = run.ready {
            assert!(ready.lo <= ready.hi && ready.hi <= run.wakeup, "{run:?}");
        }
        assert_eq!(run.spent.total(), run.run(), "{run:?}");
        self.runs += 1;
        if self.keep {
            self.facts.push(format!("{run:?}"));
        }
    }
    fn turn(&mut self, turn: &Turn) {
        let named = turn.run_ns + turn.timer_ns + turn.task_ns + turn.tail_ns;
        let parts = named + turn.rest_ns();
        assert!(
            turn.start <= turn.end && parts >= turn.end - turn.start,
            "{turn:?}"
        );
        assert_eq!(turn.spent.total(), turn.end - turn.start, "{turn:?}");
        if self.keep {
            self.facts.push(format!("{turn:?}"));
        }
    }
    fn segment(&mut self, segment: &Segment) {
        assert!(segment.start < segment.end, "{segment:?}");
        let end = self
            .ends
            .entry((segment.loop_id, segment.thread))
            .or_default();
        assert!(
            *end <= segment.start || segment.start == 0,
            "{segment:?} after {end}"
        );
        *end = segment.end;
        if self.keep {
            self.facts.push(format!("{segment:?}"));
        }
    }
    fn behalf(&mut self, said: &OnBehalf) {
        assert!(said.of.is_on() && said.of.since == said.t, "{said:?}");
        if self.keep {
            self.facts.push(format!("{said:?}"));
        }
    }
    fn transition(&mut self, transition: &Transition) {
        assert!(transition.from != transition.to, "{transition:?}");
        if self.keep {
            self.facts.push(format!("{transition:?}"));
        }
    }
}

/// Folds any bytes, saves and loads on the way; panics if the fold does or if what it says is impossible.
fn fuzz_model(data: &[u8]) {
    let mut stream = Stream { bytes: data, t: 0 };
    let mut model = Model::new(Config { keep_closed: 5 });
    let mut checks = Checks::default();
    let mut number = 0;
    while let Some((e, text)) = stream.event() {
        model.apply(number, &e, &text, &mut checks);
        number += 1;
    }
    let mut saved = Vec::new();
    model.save(&mut saved);
    assert!(
        Model::load(&saved).is_some(),
        "a checkpoint of ours is refused"
    );
    model.settle();
    for l in model.loops() {
        assert_eq!(l.waits, l.wakeups + l.timeouts + l.interrupted + l.failed);
        if let Some(index) = model.fairness(l.id) {
            assert!((0.0..=1.0).contains(&index));
        }
    }
    // The input as a checkpoint: refused, or a model that can go on.
    if let Some(mut model) = Model::load(data) {
        let mut stream = Stream { bytes: data, t: 0 };
        while let Some((e, text)) = stream.event() {
            model.apply(number, &e, &text, &mut ());
            number += 1;
        }
    }
}

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..6_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_events_fold(data in bytes()) {
        fuzz_model(&data);
    }

    #[test]
    fn going_on_from_a_checkpoint_is_never_having_stopped(data in bytes(), cut in 0usize..400) {
        let mut stream = Stream { bytes: &data, t: 0 };
        let mut whole = Model::new(Config { keep_closed: 5 });
        let mut resumed = whole.clone();
        let nothing = |model: &Model| model.save_beside(&Written::default(), None, 0, &mut Vec::new());
        let (mut base, mut read) = (nothing(&whole), nothing(&whole));
        let mut after = Checks { keep: true, ..Checks::default() };
        let mut resumed_after = Checks { keep: true, ..Checks::default() };
        let mut number = 0;
        while let Some((e, text)) = stream.event() {
            if number < cut {
                // A base, and one that has that as its base.
                for (at, stands_on) in [(cut / 2, false), (cut * 3 / 4, true)] {
                    if number == at {
                        let (mut saved, n) = (Vec::new(), number as u64);
                        let written = Written::default();
                        fn on(known: &Base, stands_on: bool) -> Option<&Base> {
                            Some(known).filter(|_| stands_on)
                        }
                        base = whole.save_beside(&written, on(&base, stands_on), n, &mut saved);
                        read = Base::read(&saved, n, on(&read, stands_on)).expect("our own base");
                    }
                }
                whole.apply(number as u64, &e, &text, &mut ());
            } else {
                if number == cut {
                    let (mut saved, mut written) = (Vec::new(), Written::default());
                    // Some that have ended stand beside the checkpoint, the later ones in it.
                    let mut ended = Ended::default();
                    if data.len() % 3 > 0 {
                        written.add(&whole, &mut saved);
                        ended.add(Ended::read(&saved).expect("our own page"), 1);
                        saved.clear();
                    }
                    // Every other has a base.
                    let (base, read) = match data.len() % 2 {
                        0 => (Some(&base), Some(&read)),
                        _ => (None, None),
                    };
                    whole.save_beside(&written, base, number as u64, &mut saved);
                    resumed = Model::load_beside(&saved, read, |slot| ended.get(slot, 1))
                        .expect("our own checkpoint");
                }
                whole.apply(number as u64, &e, &text, &mut after);
                resumed.apply(number as u64, &e, &text, &mut resumed_after);
            }
            number += 1;
        }
        if number > cut {
            prop_assert_eq!(after.facts, resumed_after.facts);
            let (mut one, mut two) = (Vec::new(), Vec::new());
            whole.save(&mut one);
            resumed.save(&mut two);
            prop_assert_eq!(one, two);
        }
    }
}
