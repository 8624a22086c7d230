//! How each part of the model is written: every struct of it, field by field. Step: **model**.

use crate::model::behalf::Behalf;
use crate::model::codec::{Codec, Cursor, codec, codec_enum, put};
use crate::model::counted::{Counted, Counters};
use crate::model::cpu::{Cpu, Off, Span, Why};
use crate::model::data::DataMap;
use crate::model::facts::{Fidelity, Part, Range, Run, Word};
use crate::model::looked::Looked;
use crate::model::loops::{
    Caused, CtlCounts, Item, ItemState, Loop, LoopKind, OpenRun, Phase, ThreadState, TurnParts,
};
use crate::model::process::{InCall, Process, Seat, Thread, Work};
use crate::model::registration::{Drain, Kernel, Link};
use crate::model::roles::{Role, RoleKind};
use crate::model::side::Call;
use crate::model::spent::{BlockedIn, Spent};
use crate::model::{Config, Map};
use crate::record::event::Op;

codec!(Range { lo, hi });
codec_enum!(Fidelity { 0 => Measured, 1 => Bounded, 2 => Inferred, 3 => Absent });
codec_enum!(Word {
    0 => Stale, 1 => Running, 2 => Fetched, 3 => Ghost, 4 => Residual, 5 => Ready, 6 => BlockedOut,
    7 => Disarmed, 8 => Muted, 9 => Armed, 10 => Gone, 11 => Unknown,
});
codec_enum!(Part { 0 => Run(id), 1 => Timer(name), 2 => Task(name), 3 => Rest, 4 => Wait, 5 => More(id), 6 => Tail(id) });
codec_enum!(Kernel { 0 => Armed, 1 => Ready, 2 => Disarmed, 3 => Muted, 4 => Ghost, 5 => Gone });
codec_enum!(Drain { 0 => Unknown, 1 => Drained, 2 => Left });
codec_enum!(LoopKind { 0 => Epoll, 1 => Poll, 2 => Select, 3 => Threads });
codec_enum!(ItemState { 0 => Fetched, 1 => Running, 2 => Done, 3 => Skipped, 4 => Stale, 5 => Unmarked, 6 => HandedOver(thread) });
codec_enum!(RoleKind { 0 => Other, 1 => Listener, 2 => Handler, 3 => Peer, 4 => Kind });
codec_enum!(Phase {
    0 => Unknown,
    1 => Waiting { since, timeout },
    2 => Running { reg, since },
    3 => Timer { name, since },
    4 => Task { name, since },
    5 => Rest { since },
    6 => Ended,
    7 => Elsewhere { since },
    8 => Closed,
});
codec!(Behalf {
    fd,
    generation,
    reg,
    since,
    before
});
codec!(BlockedIn { op, name, fd, ns });
codec!(Off { since, why });
codec!(Span { from, to, off, why });
codec!(Cpu {
    off,
    spans,
    switched,
    seen,
    told,
    faults,
    place,
    moved,
    counted,
});
codec!(Counters {
    t,
    ran,
    waited,
    runnable
});
codec!(Counted {
    first,
    last,
    over,
    calls,
    longest
});
codec_enum!(Why { 0 => Unknown, 1 => Preempted, 2 => Slept, 3 => Call(op, name, fd), 4 => Fault, 5 => Counted(preempted), 6 => CountedIn(preempted, op, name, fd), 7 => CountedSomewhere(preempted), 8 => Stopped, 9 => InCall });
codec!(Looked { preempted, back });
codec!(Config { keep_closed });
codec!(Seat { loop_id, at });
codec!(InCall {
    op,
    fd,
    name,
    since,
    site
});
codec!(Call {
    name,
    fd,
    site,
    since
});
codec!(CtlCounts {
    add,
    modify,
    del,
    failed
});
codec!(Caused {
    timers,
    tasks,
    rest,
    wait,
    tail
});
codec!(TurnParts {
    runs,
    skipped,
    run_ns,
    timer_ns,
    task_ns,
    tail_ns,
    longest
});
codec!(Item {
    reg,
    mask,
    data,
    state,
    ready,
    fidelity,
    told,
    told_by,
    noticed,
    slot,
    runs_at,
    stale,
    served
});
codec!(OpenRun {
    facts,
    slot,
    item,
    read,
    eof,
    write_blocked,
    piece,
    own,
    inside,
    fd,
    generation,
    served,
    noticed,
    sure
});
codec!(Run {
    event,
    loop_id,
    reg,
    role,
    thread,
    turn,
    index,
    batch,
    mask,
    wakeup,
    start,
    end,
    more,
    fidelity,
    ready,
    notice,
    notice_fidelity,
    asleep,
    handler,
    site,
    bytes_in,
    bytes_out,
    ios,
    in_call,
    spent,
    blocked_in,
    drained,
    bypassed,
    behalf,
});
codec!(Role {
    kind,
    text,
    folded,
    ready,
    dispatched,
    skipped,
    bytes_in,
    bytes_out,
    run_ns,
    notice_lo,
    notice_hi,
    queue,
    run,
    caused_lo,
    caused_hi,
});
impl Codec for Op {
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Op::from_code(u16::get(c)?)
    }
}

/// Most are of a recording without switch records.
impl Codec for Spent {
    fn put(&self, out: &mut Vec<u8>) {
        let none = *self == Spent::default();
        none.put(out);
        if !none {
            let of = self;
            let parts = [of.on_cpu, of.blocked, of.preempted, of.fault, of.waiting];
            (parts, [of.stopped, of.unknown], of.faults).put(out);
        }
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        if bool::get(c)? {
            return Some(Spent::default());
        }
        let ([on_cpu, blocked, preempted, fault, waiting], [stopped, unknown], faults) =
            Codec::get(c)?;
        Some(Spent {
            on_cpu,
            blocked,
            preempted,
            fault,
            waiting,
            stopped,
            unknown,
            faults,
        })
    }
}

/// Only the way on is written; the way back follows from it. Most links are `NONE`, the largest number: shifted by one
/// it takes a byte.
impl Codec for Link {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.next.wrapping_add(1)));
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            next: u32::get(c)?.wrapping_sub(1),
            ..Self::default()
        })
    }
}

/// Writes a [`Codec`] for a struct some of whose fields are worked out again.
macro_rules! codec_some {
    ($name:ident { $($field:ident),* $(,)? } else { $($other:ident: $value:expr),* $(,)? }) => {
        impl Codec for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }
            fn get(c: &mut Cursor<'_>) -> Option<Self> {
                $(let $field = Codec::get(c)?;)*
                Some(Self { $($field,)* $($other: $value),* })
            }
        }
    };
}

codec_some!(Work { open, last, seats, ctl, close, dup, nested_poll, call, timers, cpu, looked, clock } else { cached: None });
codec!(Thread {
    id,
    number,
    tid,
    process,
    name,
    started,
    ended,
    in_call,
    work
});
codec!(Process {
    id,
    number,
    pid,
    parent,
    name,
    start,
    end,
    status,
    execs,
    silent,
    forked,
    visited,
    infers,
    earlier,
    fds,
    loops,
    dirty,
    queue,
});
codec_some!(ThreadState {
    thread, phase, call, batch, batch_len, maxevents, turn, wakeup, wakeup_event, waits, entered, looked, lay_down, carried_since, timeout, on, slept, awaited,
    exit_had_room, run, next_item, depth, parts, in_turn, begun, segment, retained, marks, inferred, served,
} else { room: None });
codec_some!(Loop {
    id, process, kind, epfds, name, threads, since, ended, waits, wakeups, timeouts, interrupted, failed,
    unfinished, ready, max_batch, saturated, ctl, nested_polls, wait_ns, busy_ns, run_ns, timer_ns, task_ns, tail_ns, spent, handed, turns,
    dispatched, skipped, iteration, notice_lo, notice_hi, queue, run, timers, tasks, caused, caused_clipped, procs, marked, inferred,
    room_exit, believed, doubtful, known, known_live, dirty, turns_begun, head, runs_total, ended_lately, fair, window,
} else { seats: Map::default(), data: DataMap::default() });
