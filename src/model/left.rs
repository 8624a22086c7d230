//! What a handler run left behind: drained or not, and what that says about the kernel's side. Step: **model**.

use super::facts::{Fidelity, Range, Sink, Why};
use super::loops::OpenRun;
use super::process::Seat;
use super::registration::{IN, Kernel, OUT};
use super::states::At;
use super::{Drain, Model};

impl Model {
    /// What the run left behind: the drain side, and what it says about the kernel's side.
    pub(super) fn after_run<S: Sink + ?Sized>(
        &mut self,
        seat: Seat,
        open: &OpenRun,
        at: At,
        sink: &mut S,
    ) {
        let Some(reg) = self.regs.get_mut(open.slot) else {
            return;
        };
        let desc = self.descs.get(reg.s.desc);
        let io_seen = desc.is_some_and(|d| d.io_seen);
        let mask = open.facts.mask;
        let mut fidelity = Fidelity::Inferred;
        // A report for reading that nobody read leaves its data, if this program's reads are seen at all.
        let unread = reg
            .unread
            .filter(|_| reg.unread_fidelity == Fidelity::Measured);
        reg.s.drain = match unread {
            Some(0) if open.read || open.facts.drained => {
                fidelity = Fidelity::Measured;
                Drain::Drained
            }
            Some(bytes) if bytes > 0 => {
                fidelity = Fidelity::Measured;
                Drain::Left
            }
            _ if open.facts.drained => {
                fidelity = Fidelity::Measured;
                Drain::Drained
            }
            _ if open.read || (io_seen && mask & IN != 0) => Drain::Left,
            _ => reg.s.drain,
        };
        reg.s.blocked_out |= open.write_blocked;
        let drained = reg.s.drain == Drain::Drained && !open.eof;
        let level_ready = reg.s.kernel == Kernel::Ready && !reg.is_edge();
        // A level item stays on the ready list until a wait finds it empty; room to write is as lasting as data.
        let out_left = mask & OUT != 0 && reg.interest & OUT != 0 && !open.write_blocked;
        let why = if open.write_blocked {
            Why::WriteBlocked
        } else if drained {
            Why::Drained
        } else {
            Why::LeftData
        };
        if level_ready && !out_left && (drained || (open.write_blocked && mask & IN == 0)) {
            self.set_kernel(open.slot, Kernel::Armed);
        } else if level_ready {
            let lo = reg.s.reported.unwrap_or(at.t).min(at.t);
            reg.ready_since.get_or_insert(Range { lo, hi: at.t });
            let runs = self
                .loops
                .get(seat.loop_id as usize)
                .map_or(0, |l| l.runs_total);
            if reg.s.drain == Drain::Left || out_left {
                reg.s.ready_runs.get_or_insert(runs);
            }
        } else if reg.s.kernel == Kernel::Ready && drained {
            // A new edge, and its data, came during the run and were read by it: the re-check finds nothing.
            self.set_kernel(open.slot, Kernel::Armed);
        }
        let (why, fidelity) = match self.regs.get(open.slot).map(|r| r.s.kernel) {
            // Closed by its own handler, or by somebody while that ran; a ghost was reported, that is no guess.
            Some(Kernel::Gone) => (Why::Close, Fidelity::Measured),
            Some(Kernel::Ghost) => (Why::CloseWithAlias, Fidelity::Measured),
            _ => (why, fidelity),
        };
        self.show(open.slot, at, why, fidelity, sink);
        // Another thread of the loop may be asleep in a wait.
        self.doubt_from(seat.loop_id, at.t);
    }
}
