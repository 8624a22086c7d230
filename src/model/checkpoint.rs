//! Checkpoints: the whole model as bytes, so that going back costs one checkpoint and the events after it.
//!
//! Folding on from a loaded checkpoint gives the same facts and figures as never having stopped. What can be worked
//! out again (look-up tables, names a description has) is left out, so a live registration takes about 100 bytes
//! plus its histograms. Reading trusts nothing: what would let the fold loop or go astray is refused.
//! Step: **model**.

use std::sync::Arc;

use super::codec::{Codec, Cursor, codec, codec_enum, put};
use super::facts::{Fidelity, Part, Range, Run, Word};
use super::loops::{
    Call, Caused, CtlCounts, Item, ItemState, Loop, LoopKind, OpenRun, Phase, ThreadState,
    TurnParts,
};
use super::process::{InCall, Process, Seat, Thread, Work};
use super::registration::{Drain, Kernel, Link, Registration, State};
use super::roles::{Role, RoleKind};
use super::{Config, Histogram, Map, Model, NONE, data::DataMap};
use crate::record::event::{FdKind, Op};

codec!(Range { lo, hi });
codec_enum!(Fidelity { 0 => Measured, 1 => Bounded, 2 => Inferred, 3 => Absent });
codec_enum!(Word {
    0 => Stale, 1 => Running, 2 => Fetched, 3 => Ghost, 4 => Residual, 5 => Ready, 6 => BlockedOut,
    7 => Disarmed, 8 => Muted, 9 => Armed, 10 => Gone, 11 => Unknown,
});
codec_enum!(Part { 0 => Run(id), 1 => Timer(name), 2 => Task(name), 3 => Rest, 4 => Wait });
codec_enum!(Kernel { 0 => Armed, 1 => Ready, 2 => Disarmed, 3 => Muted, 4 => Ghost, 5 => Gone });
codec_enum!(Drain { 0 => Unknown, 1 => Drained, 2 => Left });
codec_enum!(LoopKind { 0 => Epoll, 1 => Poll, 2 => Select });
codec_enum!(ItemState { 0 => Fetched, 1 => Running, 2 => Done, 3 => Skipped, 4 => Stale, 5 => Unmarked });
codec_enum!(RoleKind { 0 => Other, 1 => Listener, 2 => Handler, 3 => Peer, 4 => Kind });
codec_enum!(Phase {
    0 => Unknown,
    1 => Waiting { since, timeout },
    2 => Running { reg, since },
    3 => Timer { name, since },
    4 => Task { name, since },
    5 => Rest { since },
    6 => Ended,
});
codec!(Config { keep_closed });
codec!(Seat { loop_id, at });
codec!(InCall {
    op,
    fd,
    name,
    since
});
codec!(Call { name, fd, since });
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
    wait
});
codec!(TurnParts {
    runs,
    skipped,
    run_ns,
    timer_ns,
    task_ns,
    longest
});
codec!(Item {
    reg,
    mask,
    data,
    state,
    ready,
    fidelity,
    slot,
    runs_at,
    stale
});
codec!(OpenRun {
    facts,
    slot,
    item,
    read,
    eof,
    write_blocked
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
    drained,
    bypassed,
});
codec!(State {
    slot,
    desc,
    kernel,
    drain,
    blocked_out,
    unknown,
    data_known,
    interest_known,
    fetched,
    running,
    stale,
    pins,
    keep,
    reported,
    reported_by,
    emptied,
    proven,
    ready_runs,
    believed_at,
    listed,
    before,
    item,
    lingering,
    kept_wait,
    last_run,
    of_loop,
    of_desc,
    of_data,
    window,
    window_run,
    window_queue,
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
/// Name, addresses, kind.
type Own = (Arc<str>, (Arc<str>, FdKind));

/// Its name, addresses and kind are its description's as long as it has one, and then written there only.
impl Codec for Registration {
    fn put(&self, out: &mut Vec<u8>) {
        let own =
            (self.s.desc == NONE).then(|| (self.name.clone(), (self.addr.clone(), self.kind)));
        own.put(out);
        self.id.put(out);
        self.loop_id.put(out);
        self.process.put(out);
        self.fd.put(out);
        self.generation.put(out);
        self.role.put(out);
        self.interest.put(out);
        self.data.put(out);
        self.word.put(out);
        self.fidelity.put(out);
        self.since.put(out);
        self.registered_ns.put(out);
        self.closed_ns.put(out);
        self.ready.put(out);
        self.skipped.put(out);
        self.stale.put(out);
        self.bytes_in.put(out);
        self.bytes_out.put(out);
        self.notice_lo.put(out);
        self.notice_hi.put(out);
        self.queue.put(out);
        self.run.put(out);
        self.tail.put(out);
        self.bypassed_max.put(out);
        self.caused_lo.put(out);
        self.caused_hi.put(out);
        self.unread.put(out);
        self.unread_fidelity.put(out);
        self.ready_since.put(out);
        self.handler.put(out);
        self.handler_process.put(out);
        self.wait_max.put(out);
        self.waited.put(out);
        self.waited_max.put(out);
        self.s.put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let own: Option<Own> = Codec::get(c)?;
        let (name, (addr, kind)) = own.unwrap_or_else(|| ("".into(), ("".into(), FdKind::Unknown)));
        let id = Codec::get(c)?;
        let loop_id = Codec::get(c)?;
        let process = Codec::get(c)?;
        let fd = Codec::get(c)?;
        let generation = Codec::get(c)?;
        let role = Codec::get(c)?;
        let interest = Codec::get(c)?;
        let data = Codec::get(c)?;
        let word = Codec::get(c)?;
        let fidelity = Codec::get(c)?;
        let since = Codec::get(c)?;
        let registered_ns = Codec::get(c)?;
        let closed_ns = Codec::get(c)?;
        let ready = Codec::get(c)?;
        let skipped = Codec::get(c)?;
        let stale = Codec::get(c)?;
        let bytes_in = Codec::get(c)?;
        let bytes_out = Codec::get(c)?;
        let notice_lo = Codec::get(c)?;
        let notice_hi = Codec::get(c)?;
        let queue = Codec::get(c)?;
        let run: Histogram = Codec::get(c)?;
        let (run_ns, dispatched) = (run.sum(), run.count());
        let tail = Codec::get(c)?;
        let bypassed_max = Codec::get(c)?;
        let caused_lo = Codec::get(c)?;
        let caused_hi = Codec::get(c)?;
        let unread = Codec::get(c)?;
        let unread_fidelity = Codec::get(c)?;
        let ready_since = Codec::get(c)?;
        let handler = Codec::get(c)?;
        let handler_process = Codec::get(c)?;
        let wait_max = Codec::get(c)?;
        let waited = Codec::get(c)?;
        let waited_max = Codec::get(c)?;
        let s = Codec::get(c)?;
        Some(Self {
            name,
            addr,
            kind,
            id,
            loop_id,
            process,
            fd,
            generation,
            role,
            interest,
            data,
            word,
            fidelity,
            since,
            registered_ns,
            closed_ns,
            ready,
            dispatched,
            skipped,
            stale,
            bytes_in,
            bytes_out,
            run_ns,
            notice_lo,
            notice_hi,
            queue,
            run,
            tail,
            bypassed_max,
            caused_lo,
            caused_hi,
            unread,
            unread_fidelity,
            ready_since,
            handler,
            handler_process,
            wait_max,
            waited,
            waited_max,
            s,
        })
    }
}

impl Codec for Op {
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Op::from_code(u16::get(c)?)
    }
}

/// Most links are `NONE`, the largest number: shifted by one it takes a byte.
impl Codec for Link {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.prev.wrapping_add(1)));
        put(out, u64::from(self.next.wrapping_add(1)));
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            prev: u32::get(c)?.wrapping_sub(1),
            next: u32::get(c)?.wrapping_sub(1),
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

codec_some!(Work { open, last, seats, ctl, close, dup, nested_poll, call, timers, clock } else { cached: None });
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
    fds,
    loops,
    dirty,
    queue,
});
codec!(ThreadState {
    thread,
    phase,
    call,
    batch,
    batch_len,
    maxevents,
    turn,
    wakeup,
    wakeup_event,
    waits,
    entered,
    timeout,
    awaited,
    exit_had_room,
    run,
    next_item,
    depth,
    parts,
    in_turn,
    begun,
    segment,
    retained,
});
codec_some!(Loop {
    id, process, kind, epfds, name, threads, since, ended, waits, wakeups, timeouts, interrupted, failed,
    unfinished, ready, max_batch, saturated, ctl, nested_polls, wait_ns, busy_ns, run_ns, timer_ns, task_ns, turns,
    dispatched, skipped, iteration, notice_lo, notice_hi, queue, run, timers, tasks, caused, caused_clipped, procs, marked,
    room_exit, believed, known, known_live, dirty, turns_begun, head, runs_total, fair, window,
} else { seats: Map::default(), data: DataMap::default() });
codec_some!(Model {
    config, now, applied, processes, process_of, threads, loops, poll_loops, regs, next_reg, descs, names, roles,
    kept, lost_by_cause, late, ignored, slots_used, seats_used, timers_used, tasks_used, silent, accounts, pairs, pair_order, losses,
    unmatched, contradicted,
} else {
    thread_of: DataMap::default(),
    by_id: Map::default(),
    keys: Map::default(),
    role_of: Map::default(),
    account_of: Map::default(),
    epoch: 0,
});

impl Model {
    /// Appends a checkpoint: everything needed to fold on from here.
    pub fn save(&self, out: &mut Vec<u8>) {
        put(out, u64::from(Self::VERSION));
        self.put(out);
    }

    /// Reads what [`save`](Self::save) wrote; `None` when it is damaged or another version's.
    pub fn load(bytes: &[u8]) -> Option<Self> {
        let mut c = Cursor::new(bytes);
        if c.u64()? != u64::from(Self::VERSION) {
            return None;
        }
        let mut model = Self::get(&mut c)?;
        (c.is_empty() && model.index() && model.is_sound()).then_some(model)
    }

    /// Works the look-up tables out again.
    fn index(&mut self) -> bool {
        for (at, thread) in self.threads.iter().enumerate() {
            self.thread_of.set(u64::from(thread.number), at as u32);
        }
        for (at, role) in self.roles.iter().enumerate().skip(1) {
            self.role_of
                .insert((role.kind as u8, role.text.clone()), at as u32);
        }
        for l in &mut self.loops {
            for (at, ts) in l.threads.iter().enumerate() {
                l.seats.insert(ts.thread, at as u32);
            }
        }
        for (at, account) in self.accounts.places() {
            self.account_of.insert(account.key.clone(), at);
        }
        let (regs, descs) = (&mut self.regs, &self.descs);
        for reg in regs.iter_mut() {
            if let Some(desc) = descs.get(reg.s.desc) {
                reg.name = desc.name.clone();
                reg.addr = desc.addr.clone();
                reg.kind = desc.kind;
            }
        }
        for (slot, reg) in self.regs.places() {
            if reg.s.slot != slot || self.by_id.insert(reg.id, slot).is_some() {
                return false;
            }
            if reg.s.desc != NONE
                && self
                    .keys
                    .insert((reg.loop_id, reg.s.desc, reg.fd), slot)
                    .is_some()
            {
                return false;
            }
            if reg.s.data_known && reg.s.of_data.prev == NONE {
                let Some(l) = self.loops.get_mut(reg.loop_id as usize) else {
                    return false;
                };
                if l.data.get(reg.data) != NONE {
                    return false;
                }
                l.data.set(reg.data, slot);
            }
        }
        true
    }

    /// Ids are positions, and chains have neither loops nor loose ends: walking them comes to an end.
    fn is_sound(&self) -> bool {
        let chained = |link: fn(&State) -> &Link| {
            self.regs.places().all(|(slot, reg)| {
                let Link { prev, next } = *link(&reg.s);
                let back =
                    next == NONE || self.regs.get(next).is_some_and(|r| link(&r.s).prev == slot);
                let forth =
                    prev == NONE || self.regs.get(prev).is_some_and(|r| link(&r.s).next == slot);
                back && forth
            })
        };
        let head = |slot: u32, link: fn(&State) -> &Link| {
            slot == NONE || self.regs.get(slot).is_some_and(|r| link(&r.s).prev == NONE)
        };
        let listed = self.regs.iter().filter(|r| r.s.believed_at != 0).count();
        let believed = self.loops.iter().map(|l| l.believed.len()).sum::<usize>();
        chained(|s| &s.of_loop)
            && chained(|s| &s.of_desc)
            && chained(|s| &s.of_data)
            && listed == believed
            && self.descs.iter().all(|d| head(d.head, |s| &s.of_desc))
            && self.loops.iter().enumerate().all(|(at, l)| {
                l.id as usize == at
                    && head(l.head, |s| &s.of_loop)
                    && l.believed.iter().enumerate().all(|(i, slot)| {
                        let reg = self.regs.get(*slot);
                        reg.is_some_and(|r| r.s.believed_at as usize == i + 1 && r.loop_id == l.id)
                    })
            })
            && self
                .processes
                .iter()
                .enumerate()
                .all(|(at, p)| p.id as usize == at)
            && self
                .process_of
                .values()
                .all(|id| (*id as usize) < self.processes.len())
            && self
                .silent
                .iter()
                .all(|id| (*id as usize) < self.processes.len())
            && self
                .threads
                .iter()
                .enumerate()
                .all(|(at, t)| t.id as usize == at && (t.process as usize) < self.processes.len())
            && !self.roles.is_empty()
    }
}
