//! I/O results: bytes, EAGAIN, short reads and the end of file, and what they say about the receive queue.
//! Step: **model**.

use super::facts::{Fidelity, Id, Sink, Why};
use super::registration::{Kernel, OUT};
use super::states::At;
use super::{Drain, Model};
use crate::record::event::{Event, FdKind, Op};

/// −EAGAIN
const AGAIN: i32 = -11;
/// −EINPROGRESS and −EINTR: a connect goes on.
const IN_PROGRESS: i32 = -115;
const INTR: i32 = -4;

/// What a read or accept says about what is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Nothing was left.
    Empty,
    /// The end of the stream.
    End,
    /// Perhaps more.
    More,
    /// Nothing can be said.
    Nothing,
}

impl Model {
    pub(super) fn io<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let op = Op::from_code(e.aux);
        let reads = matches!(op, Some(Op::Read | Op::Recv | Op::Accept));
        let moved = matches!(op, Some(Op::Sendfile | Op::Splice));
        let writes = moved || matches!(op, Some(Op::Write | Op::Send | Op::Connect));
        let moves = moved || matches!(op, Some(Op::Read | Op::Recv | Op::Write | Op::Send));
        let bytes = if moves {
            u64::try_from(e.x).unwrap_or(0)
        } else {
            0
        };
        let desc = self.desc_seen(process, e.fd);
        let mut read = Read::Nothing;
        let (mut tracked, mut timer) = (false, false);
        let mut called = false;
        let accounts = !self.is_unsupplied();
        if let Some(d) = desc.and_then(|id| self.descs.get_mut(id)) {
            d.io_seen = true;
            called = op == Some(Op::Connect) && matches!(e.x, 0 | IN_PROGRESS | INTR) && d.calls();
            if reads {
                read = said(d.kind, op, e.x, e.arg);
                d.eof = read == Read::End || d.eof && read == Read::Nothing;
                d.read = d.read.saturating_add(bytes);
                d.read_at = at.t;
                timer = d.kind == FdKind::Timerfd && e.x > 0;
                tracked = d.sampled.is_some() || (accounts && d.account != super::NONE);
            }
        }
        if let Some(run) = self.open_run(thread) {
            let slot = run.slot;
            run.facts.ios = run.facts.ios.saturating_add(1);
            run.facts.in_call = run.facts.in_call.saturating_add(e.y);
            if reads {
                run.facts.bytes_in = run.facts.bytes_in.saturating_add(bytes);
            } else {
                run.facts.bytes_out = run.facts.bytes_out.saturating_add(bytes);
            }
            if run.own == at.t {
                run.now_sure();
            }
            let own = self.regs.get(slot).is_some_and(|r| Some(r.s.desc) == desc);
            if own && let Some(run) = self.open_run(thread) {
                if reads && read != Read::Nothing {
                    run.read |= read != Read::Empty || e.x > 0;
                    run.facts.drained = read != Read::More;
                    run.eof = read == Read::End;
                }
                if writes {
                    run.write_blocked = e.x == AGAIN;
                }
            }
        }
        let Some(desc) = desc else { return };
        if called {
            for slot in self.regs_of(desc) {
                self.name_from_desc(slot);
            }
        }
        if timer {
            self.timerfd_read(desc, at.t);
        }
        if tracked {
            self.bytes_read(desc, read == Read::Empty);
            self.refresh_unread(desc);
        }
        // The queue was empty at some instant of the call: at its begin at the earliest.
        let emptied = at.t.saturating_sub(e.y);
        for slot in self.regs_of(desc) {
            let Some(reg) = self.regs.get_mut(slot) else {
                continue;
            };
            if reads {
                reg.bytes_in = reg.bytes_in.saturating_add(bytes);
            } else {
                reg.bytes_out = reg.bytes_out.saturating_add(bytes);
            }
            if writes {
                let blocked = std::mem::replace(&mut reg.s.blocked_out, e.x == AGAIN);
                if blocked != reg.s.blocked_out && reg.s.running == 0 {
                    self.show(slot, at, Why::WriteBlocked, Fidelity::Measured, sink);
                }
                continue;
            }
            match read {
                Read::Empty => {
                    reg.s.emptied = reg.s.emptied.max(Some(emptied));
                    reg.s.drain = Drain::Drained;
                    if reg.s.running == 0 {
                        // Read outside its handler: by the program's own ready list, or another thread.
                        if reg.s.kernel == Kernel::Ready && reg.interest & OUT == 0 {
                            self.set_kernel(slot, Kernel::Armed);
                        }
                        self.show(slot, at, Why::Drained, Fidelity::Measured, sink);
                    }
                }
                Read::End => reg.s.drain = Drain::Drained,
                Read::More | Read::Nothing => {}
            }
        }
    }

    pub(super) fn unread<S: Sink + ?Sized>(
        &mut self,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let seen = at.t.saturating_sub(e.y);
        if e.y > 0 && self.slot(process, e.fd).since >= seen {
            // The number has come to mean something else, or nothing, since it was looked at.
            return;
        }
        let Some((desc, _)) = self.desc_at(process, e.fd) else {
            return;
        };
        if let Some(d) = self.descs.get_mut(desc) {
            if e.y > 0 && d.read_at >= seen {
                // Read since it was looked at: nobody knows how much of it was counted.
                return;
            }
            d.sampled = Some((e.arg, d.read));
        }
        self.refresh_unread(desc);
        if e.arg == 0 {
            return;
        }
        for slot in self.regs_of(desc) {
            let Some(reg) = self.regs.get_mut(slot) else {
                continue;
            };
            if reg.is_edge()
                && reg.s.kernel == Kernel::Armed
                && reg.s.running == 0
                && reg.s.fetched == 0
            {
                // Bytes wait, no report is on its way: they were left behind.
                reg.s.drain = Drain::Left;
                self.show(slot, at, Why::LeftData, Fidelity::Measured, sink);
            }
        }
    }
}

/// The call has shown that nothing was left to read or to accept.
pub fn drained(kind: FdKind, e: &Event) -> bool {
    let op = Op::from_code(e.aux);
    let reads = matches!(op, Some(Op::Read | Op::Recv | Op::Accept));
    reads && said(kind, op, e.x, e.arg) == Read::Empty
}

/// What one read-like call says, by kind of descriptor.
fn said(kind: FdKind, op: Option<Op>, result: i32, asked: u64) -> Read {
    match result {
        AGAIN => Read::Empty,
        ..0 => Read::Nothing,
        _ if op == Some(Op::Accept) => Read::More,
        0 => match kind {
            // An empty datagram is a datagram, and asking for nothing says nothing.
            FdKind::Udp | FdKind::UnixDatagram => Read::More,
            _ if asked == 0 => Read::Nothing,
            _ => Read::End,
        },
        n => match kind {
            // One read takes the whole counter.
            FdKind::Eventfd | FdKind::Timerfd => Read::Empty,
            FdKind::Udp | FdKind::UnixDatagram | FdKind::File => Read::More,
            _ if u64::from(n as u32) < asked => Read::Empty,
            _ => Read::More,
        },
    }
}
