//! Makes an unmarked program of the synthetic one: the same calls, no handler begin or end, as the preload shim would tell.

use loopscope::record::event::{Event, Kind, Op};
use loopscope::record::handshake::Source;

/// What the events pass through. Like redis, the program may write to all clients only after it has read them all, the last
/// one first.
pub struct Unmarked<F: FnMut(&Event, &[u8])> {
    emit: F,
    late_writes: bool,
    /// The turn so far: time since the event before, event, text.
    turn: Vec<(u64, Event, Vec<u8>)>,
    came: u64,
    told: u64,
}

impl<F: FnMut(&Event, &[u8])> Unmarked<F> {
    pub fn new(late_writes: bool, emit: F) -> Self {
        Self {
            emit,
            late_writes,
            turn: Vec::new(),
            came: 0,
            told: 0,
        }
    }

    pub fn push(&mut self, e: &Event, text: &[u8]) {
        let step = e.t - self.came;
        self.came = e.t;
        self.turn.push((step, *e, text.to_vec()));
        if e.kind == Kind::WaitEnter {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let (mut before, mut writes) = (Vec::new(), Vec::new());
        let wait = self.turn.pop();
        for event in self.turn.drain(..) {
            let write = event.1.kind == Kind::Io && event.1.aux == Op::Write.code();
            if write && self.late_writes {
                writes.push(event);
            } else {
                before.push(event);
            }
        }
        let all = before.into_iter().chain(writes.into_iter().rev());
        for (step, mut e, text) in all.chain(wait) {
            self.told += step;
            e.t = self.told;
            if e.kind == Kind::ProcessStart {
                e.aux = Source::Preload as u16;
            }
            if !matches!(e.kind, Kind::RunBegin | Kind::RunEnd | Kind::Handler) {
                (self.emit)(&e, &text);
            }
        }
    }
}
