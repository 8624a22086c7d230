//! One event at a time: which part of the model an event kind belongs to, and what is said about processes,
//! threads and names. Step: **model**.

use super::facts::{Id, Sink};
use super::fds::FdTable;
use super::process::{InCall, Process, Thread, UNKNOWN, Work};
use super::states::At;
use super::{Model, NONE, Phase, names};
use crate::record::event::{Event, Kind, Op, flags};
use crate::record::handshake::Source;

/// Later instants are taken for this one (36 years): sums of times cannot overflow then.
const MAX_T: u64 = 1 << 60;
/// Threads and processes at most; events of further ones are ignored.
const MAX_THREADS: usize = 131_072;
const MAX_PROCESSES: usize = 65_536;
/// Forked children that never said hello whose tables are followed.
const MAX_SILENT: usize = 64;

impl Model {
    /// Folds in the next event of the recording. `number` is its position in the file; `text` is the event's own
    /// text (its `text` field is not looked at).
    pub fn apply<S: Sink + ?Sized>(&mut self, number: u64, e: &Event, text: &[u8], sink: &mut S) {
        if e.t > MAX_T {
            let e = Event { t: MAX_T, ..*e };
            return self.apply(number, &e, text, sink);
        }
        self.applied += 1;
        self.now = self.now.max(e.t);
        let at = At {
            t: e.t,
            number,
            site: e.site,
        };
        self.pass(e.t, number, sink);
        match e.kind {
            Kind::Lost => return self.events_lost(e, at, sink),
            Kind::Anchor | Kind::Output => return,
            Kind::Setup => return self.setup_told(text),
            Kind::Steal => return self.stolen_told(e),
            Kind::ProcessStart => return self.process_start(e, text),
            Kind::ProcessEnd => return self.process_end(e, at, sink),
            Kind::ThreadStart => return self.thread_start(e, text),
            _ => {}
        }
        let Some(thread) = self.thread(e.thread, e.t) else {
            self.ignored += 1;
            return;
        };
        let t = &mut self.threads[thread as usize];
        let process = t.process;
        // A thread's own events never go back in time; hostile ones are held to it.
        t.work.clock = t.work.clock.max(e.t);
        let at = At {
            t: t.work.clock,
            number,
            site: e.site,
        };
        let before = t.work.cpu.seen;
        if !says_nothing_of_a_call(e.kind) {
            t.in_call = None;
            if e.flags & flags::LATE == 0 {
                t.work.cpu.ran(at.t, !t.work.seats.is_empty());
            }
        }
        match e.kind {
            Kind::WaitEnter => self.wait_enter(thread, process, e, at, sink),
            Kind::WaitExit => self.wait_exit(thread, process, e, at, sink),
            Kind::Ready => self.ready(thread, process, e, at, sink),
            Kind::RunBegin => self.run_begin(thread, process, e, at, sink),
            Kind::RunEnd => self.run_end(thread, process, e, at, sink),
            Kind::SwitchOut | Kind::SwitchIn | Kind::Fault => self.switched(thread, e, at),
            Kind::Sched => self.counted(process, e, at),
            Kind::Sample => self.sampled(thread, process, e, at, sink),
            Kind::Io => {
                let call = (Op::from_code(e.aux), 0, e.fd);
                self.slept_in(thread, at.t.saturating_sub(e.y), at.t, call);
                self.touched(thread, process, e, at, sink);
                self.io(thread, process, e, at, sink);
            }
            Kind::CtlBegin => {
                self.touched(thread, process, e, at, sink);
                self.ctl_begin(thread, process, e, at, sink);
            }
            // These begin with the event before of their thread.
            Kind::CtlEnd => {
                self.slept_in(thread, before, at.t, (Some(Op::Ctl), 0, e.fd));
                self.touch_ends(thread, at);
                self.ctl_end(thread, process, e, at, sink);
            }
            Kind::Handler => self.handler_named(process, e),
            Kind::FdOpen => self.fd_open(process, e, at, sink),
            Kind::FdCloseBegin => {
                self.touched(thread, process, e, at, sink);
                self.close_begin(thread, process, e, at, sink);
            }
            Kind::FdCloseEnd => {
                self.slept_in(thread, before, at.t, (Some(Op::Close), 0, e.fd));
                self.touch_ends(thread, at);
                self.close_end(thread, process, e, at, sink);
            }
            Kind::DupBegin => {
                self.touched(thread, process, e, at, sink);
                self.dup_begin(thread, process, e, at, sink);
            }
            Kind::DupEnd => {
                self.slept_in(thread, before, at.t, (Some(Op::Close), 0, e.fd));
                self.touch_ends(thread, at);
                self.dup_end(thread, process, e, at, sink);
            }
            Kind::FdName => self.fd_named(process, e, text),
            Kind::FdAddr => self.fd_addressed(process, e, text),
            Kind::Unread => self.unread(process, e, at, sink),
            Kind::FdSeen => self.fd_seen(process, e, text, at, sink),
            Kind::FdGone => self.fd_gone(process, e, at, sink),
            Kind::RegSeen => self.reg_seen(process, e, at, sink),
            Kind::RegGone => self.reg_gone(process, e, at, sink),
            Kind::SupplyBegin => self.supply_begin(thread, process, e, at),
            Kind::Supplied => self.supplied(thread, process, e, at, sink),
            Kind::Name => self.named(process, e, text),
            Kind::Mark => self.marked(thread, process, e, text, at, sink),
            Kind::OnBehalf => self.on_behalf(thread, process, e, at, sink),
            Kind::SpanBegin => self.span_begin(thread, process, e, text, at, sink),
            Kind::SpanEnd => self.span_end(thread, process, e, at, sink),
            Kind::TimerArm => self.timer_arm(thread, process, e, at),
            Kind::TimerfdSet => self.timerfd_set(process, e, at),
            Kind::TimerCancel => self.timer_cancel(thread, process, e),
            Kind::TimerBegin => {
                self.timer_fires(thread, process, e, at, sink);
                self.side_begin(thread, process, e, at, sink);
            }
            Kind::TaskQueued => self.task_queued(thread, process, e, at),
            Kind::TaskBegin => {
                self.task_begins(thread, process, e, at);
                self.side_begin(thread, process, e, at, sink);
            }
            Kind::TimerEnd | Kind::TaskEnd => self.side_end(thread, process, e, at, sink),
            Kind::CallBegin => self.call_begin(thread, e, at),
            Kind::CallEnd => self.call_end(thread, at),
            Kind::Fork => self.forked(process, e, at, sink),
            Kind::Reaped => self.reaped(process, e, at, sink),
            Kind::Exec => {
                self.exec(process, at, sink);
                self.drop_timers(process);
                self.drop_tasks(process);
                self.drop_spans(process);
                if let Some(p) = self.processes.get_mut(process as usize) {
                    if e.aux != 0 {
                        p.infers = e.aux == Source::Preload as u16;
                    }
                    if !text.is_empty() {
                        p.name = names::text(text);
                    }
                }
            }
            Kind::ThreadEnd => self.thread_end(thread, at, sink),
            Kind::InCall => {
                if let Some(t) = self.threads.get_mut(thread as usize) {
                    t.in_call = Some(InCall {
                        op: Op::from_code(e.aux),
                        fd: e.fd,
                        name: e.x as u32,
                        since: e.t.saturating_sub(e.y),
                        site: e.site,
                    });
                }
            }
            _ => {}
        }
        if e.flags & flags::LATE != 0 {
            self.late += 1;
            self.doubt(thread, process, e, at, sink);
        }
    }

    /// The model's id of a thread number that has been heard of.
    #[inline]
    pub(super) fn thread_seen(&self, number: u32) -> Option<Id> {
        let id = self.thread_of.get(u64::from(number));
        (id != NONE).then_some(id)
    }

    #[inline]
    fn thread(&mut self, number: u32, t: u64) -> Option<Id> {
        match self.thread_seen(number) {
            Some(id) => Some(id),
            None => self.new_thread(number, t),
        }
    }

    /// A thread nobody introduced: of the first process, as far as anybody can tell.
    #[cold]
    fn new_thread(&mut self, number: u32, t: u64) -> Option<Id> {
        if self.threads.len() >= MAX_THREADS {
            return None;
        }
        let process = if self.processes.is_empty() {
            self.new_process(None, t)?
        } else {
            0
        };
        let id = self.threads.len() as Id;
        self.threads.push(Thread {
            id,
            number,
            tid: 0,
            process,
            name: "".into(),
            started: t,
            ended: None,
            in_call: None,
            work: Work::default(),
        });
        self.thread_of.set(u64::from(number), id);
        Some(id)
    }

    fn new_process(&mut self, number: Option<u64>, t: u64) -> Option<Id> {
        if self.processes.len() >= MAX_PROCESSES {
            self.ignored += 1;
            return None;
        }
        let id = self.processes.len() as Id;
        self.processes.push(Process {
            id,
            number,
            pid: 0,
            parent: None,
            name: "".into(),
            start: t,
            end: None,
            status: None,
            execs: 0,
            silent: false,
            forked: false,
            visited: false,
            infers: false,
            earlier: false,
            fds: FdTable::default(),
            loops: Vec::new(),
            dirty: Vec::new(),
            queue: super::tasks::Queue::default(),
        });
        if let Some(number) = number {
            self.process_of.insert(number, id);
        }
        Some(id)
    }

    fn process(&mut self, number: u64, t: u64) -> Option<Id> {
        if let Some(id) = self.process_of.get(&number) {
            return Some(*id);
        }
        // The process made up for a thread without introduction turns out to be this one.
        let nameless = self
            .processes
            .iter()
            .take(1)
            .find(|p| p.number.is_none() && !p.is_silent() && p.pid == 0);
        if let Some(id) = nameless.map(|p| p.id) {
            self.processes[id as usize].number = Some(number);
            self.process_of.insert(number, id);
            return Some(id);
        }
        self.new_process(Some(number), t)
    }

    /// The last process with this pid that has not ended.
    fn by_pid(&self, pid: i32) -> Option<Id> {
        let mut all = self
            .processes
            .iter()
            .rev()
            .filter(|p| p.pid == pid && p.end.is_none());
        all.next().map(|p| p.id)
    }

    fn process_start(&mut self, e: &Event, text: &[u8]) {
        let silent = self.silent.iter().position(|id| {
            self.processes
                .get(*id as usize)
                .is_some_and(|p| p.pid == e.x && !self.process_of.contains_key(&e.arg))
        });
        let id = match silent.and_then(|at| self.silent.remove(at)) {
            Some(id) => {
                self.unsilence(id);
                self.process_of.insert(e.arg, id);
                id
            }
            None => {
                let Some(id) = self.process(e.arg, e.t) else {
                    return;
                };
                // Its parent's fork has not been told yet, but must have been.
                let parent = i32::try_from(e.y)
                    .ok()
                    .filter(|pid| *pid > 0)
                    .and_then(|pid| self.by_pid(pid));
                if let Some(parent) = parent.filter(|parent| *parent != id)
                    && self.processes[id as usize].fds.len() == 0
                {
                    self.processes[id as usize].parent = Some(parent);
                    self.copy_table(parent, id);
                }
                id
            }
        };
        let Some(p) = self.processes.get_mut(id as usize) else {
            return;
        };
        p.silent = false;
        p.number = Some(e.arg);
        p.pid = e.x;
        p.infers = e.aux == Source::Preload as u16;
        p.earlier = e.flags & flags::AGAIN != 0;
        if !text.is_empty() {
            p.name = names::text(text);
        }
    }

    fn forked<S: Sink + ?Sized>(&mut self, parent: Id, e: &Event, at: At, sink: &mut S) {
        if e.x <= 0 {
            return;
        }
        // The child may have told its story before its parent was told of it, or even have ended; by then its parent may
        // be another one.
        let last = self.processes.iter_mut().rev().find(|p| p.pid == e.x);
        if let Some(child) = last.filter(|p| !p.silent)
            && (child.end.is_none() || !child.forked)
        {
            child.forked = true;
            return;
        }
        if self.silent.len() >= MAX_SILENT
            && let Some(old) = self.silent.pop_front()
        {
            self.drop_table(old, at, sink);
        }
        let Some(child) = self.new_process(None, e.t) else {
            return;
        };
        let (name, infers) = {
            let p = &self.processes[parent as usize];
            (p.name.clone(), p.infers)
        };
        let c = &mut self.processes[child as usize];
        (c.silent, c.forked) = (true, true);
        c.pid = e.x;
        c.parent = Some(parent);
        c.name = name;
        c.infers = infers;
        self.silent.push_back(child);
        self.copy_table(parent, child);
    }

    fn process_end<S: Sink + ?Sized>(&mut self, e: &Event, at: At, sink: &mut S) {
        let Some(id) = self.process(e.arg, e.t) else {
            return;
        };
        let p = &mut self.processes[id as usize];
        if p.end.is_some() {
            return;
        }
        p.end = Some(e.t);
        // Who waited for it may have said before.
        if e.x != UNKNOWN || p.status.is_none() {
            p.status = Some(e.x);
        }
        self.drop_timers(id);
        self.drop_tasks(id);
        self.drop_spans(id);
        self.drop_table(id, at, sink);
    }

    fn thread_start(&mut self, e: &Event, text: &[u8]) {
        let Some(id) = self.thread(e.thread, e.t) else {
            return;
        };
        let Some(process) = self.process(e.arg, e.t) else {
            return;
        };
        let t = &mut self.threads[id as usize];
        t.tid = e.x;
        t.process = process;
        t.work.cached = None;
        if !text.is_empty() {
            t.name = names::text(text);
        }
    }

    fn thread_end<S: Sink + ?Sized>(&mut self, thread: Id, at: At, sink: &mut S) {
        self.ctl_cut_off(thread, at);
        let t = &mut self.threads[thread as usize];
        t.ended = Some(at.t);
        for seat in std::mem::take(&mut t.work.seats) {
            if matches!(self.seat(seat), Some(ts) if matches!(ts.phase, Phase::Running { .. })) {
                self.close_runs(thread, seat, at, sink);
            }
            self.end_turn(seat, at, sink);
            self.give_blame(seat, 0, true);
            self.abandon(seat, at, sink);
            if let Some(ts) = self.seat(seat) {
                ts.phase = Phase::Ended;
            }
        }
        let work = &mut self.threads[thread as usize].work;
        self.timers_used = (self.timers_used).saturating_sub(work.timers.len() as u64);
        *work = Work {
            clock: work.clock,
            ..Work::default()
        };
    }
}

/// What is told of a thread while it is inside of a call: by the collector, and its end. The names of what a sample found are
/// the collector's; those that a thread gives itself come with an event that uses them.
pub(crate) fn says_nothing_of_a_call(kind: Kind) -> bool {
    use Kind::{
        Fault, FdGone, FdSeen, InCall, Name, RegGone, RegSeen, Sample, Sched, Signals, SwitchIn,
        SwitchOut, ThreadEnd, Unread,
    };
    matches!(
        kind,
        InCall
            | ThreadEnd
            | FdSeen
            | FdGone
            | RegSeen
            | RegGone
            | Unread
            | Signals
            | Sched
            | SwitchOut
            | SwitchIn
            | Fault
            | Sample
            | Name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_collector_tells_of_a_thread_does_not_end_the_call_that_it_is_in() {
        let event = |t: u64, kind: Kind| Event {
            t,
            kind,
            thread: 1,
            fd: 6,
            aux: Op::Write.code(),
            ..Event::default()
        };
        let mut model = Model::default();
        let told = [
            Kind::InCall,
            Kind::SwitchIn,
            Kind::Name,
            Kind::Name,
            Kind::Sample,
            Kind::SwitchOut,
        ];
        for (number, kind) in (0..).zip(told) {
            model.apply(number, &event(1_000 + number, kind), b"x", &mut ());
        }
        let thread = &model.threads()[0];
        assert_eq!(
            thread.in_call.map(|c| (c.op, c.fd)),
            Some((Some(Op::Write), 6))
        );
        assert_eq!(thread.work.cpu.seen, 0, "it has said nothing itself");
        model.apply(9, &event(2_000, Kind::Io), b"", &mut ());
        let thread = &model.threads()[0];
        assert_eq!((thread.in_call, thread.work.cpu.seen), (None, 2_000));
    }
}
