//! Threads that sleep in the call itself: each asks for one descriptor at a time, all others of its process's stand there
//! and nobody listens to them. Step: **model**.

use super::facts::{Fidelity, Id, Sink, Why};
use super::loops::LoopKind;
use super::process::Seat;
use super::registration::{IN, Kernel};
use super::states::{At, Birth};
use super::{Model, NONE};
use crate::record::event::{Event, Wait};

impl Model {
    /// What the wait of this event waits with, where that is no epoll, and whose loop it is: the thread's own, or the one
    /// of all threads of its process.
    pub(super) fn own_loop(thread: Id, process: Id, e: &Event) -> Option<(Id, LoopKind)> {
        match Wait::from_code(e.aux)? {
            Wait::Poll | Wait::Ppoll => Some((thread, LoopKind::Poll)),
            Wait::Select | Wait::Pselect => Some((thread, LoopKind::Select)),
            Wait::Read | Wait::Accept => Some((process, LoopKind::Threads)),
            _ => None,
        }
    }

    /// The thread goes to sleep in a call on one descriptor; what it asked for before it asks for no longer.
    pub(super) fn asks_for<S: Sink + ?Sized>(
        &mut self,
        seat: Seat,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let single = self.loops.get(seat.loop_id as usize);
        if single.is_none_or(|l| l.kind != LoopKind::Threads) {
            return;
        }
        let fd = i32::try_from(e.y).unwrap_or(-1);
        let before = self.seat(seat).and_then(|ts| ts.on.replace(fd));
        if let Some(before) = before.filter(|before| *before != fd) {
            let l = self.loops.get(seat.loop_id as usize);
            let others = l.is_some_and(|l| l.threads.iter().any(|ts| ts.on == Some(before)));
            let slot = self.keyed(seat.loop_id, process, before);
            if !others && let Some(reg) = self.regs.get_mut(slot) {
                reg.interest = 0;
                self.set_kernel(slot, Kernel::Muted);
                self.show(slot, at, Why::AskedOther, Fidelity::Measured, sink);
            }
        }
        let mut slot = self.keyed(seat.loop_id, process, fd);
        if slot == NONE {
            let Some((desc, generation)) = self.desc_at(process, fd) else {
                return;
            };
            let birth = Birth {
                loop_id: seat.loop_id,
                process,
                fd,
                generation,
                desc,
                interest: Some(IN),
                data: None,
                fidelity: Fidelity::Measured,
            };
            slot = self.birth(&birth, at, Why::Asked, sink);
        } else if let Some(reg) = self.regs.get_mut(slot) {
            reg.interest = IN;
            self.set_kernel(slot, Kernel::Armed);
        }
        self.show(slot, at, Why::Asked, Fidelity::Measured, sink);
    }
}
