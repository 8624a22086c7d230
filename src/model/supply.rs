//! Load generators say when they sent: stamps before and after each send, matched to the receiving descriptor by
//! its reversed address pair. They give measured notice times and the bytes waiting unread. Step: **model**.
//!
//! A send wakes its receiver, which may be served before the sender's call has returned. The stamp before it is told by
//! an event of its own, so that a report during the call is measured all the same: ready between the stamp and the
//! wakeup.

use std::collections::VecDeque;
use std::sync::Arc;

use super::codec::codec;
use super::columns::columns;
use super::facts::{Fidelity, Id, Range, Sink, Why};
use super::loops::Item;
use super::registration::{IN, Kernel};
use super::states::At;
use super::{Model, NONE, names};
use crate::record::event::{Event, flags};

/// Address pairs and accounts at most; what comes after stays unmatched.
const MAX_ACCOUNTS: usize = 131_072;
/// Stamps kept per account; more recent ones join the last.
const MAX_STAMPS: usize = 64;
/// Threads that send through one pair at once, at most; others tell when their call has returned.
const MAX_SENDING: usize = 8;

/// One send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Bytes sent up to and including this one.
    end: u64,
    t0: u64,
    t1: u64,
}

codec!(Stamp { end, t0, t1 });

/// Bytes sent towards one descriptor.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// `proto local>peer` as the receiver sees it.
    pub key: Arc<str>,
    /// The receiving description, `NONE` while unknown.
    desc: u32,
    supplied: u64,
    stamps: VecDeque<Stamp>,
    /// Sends that have begun and not returned: the thread, since when.
    sending: Vec<(Id, u64)>,
    /// Losses counted when it was last known to be complete.
    epoch: u64,
    /// It was complete from the first byte, not made so by an empty queue.
    whole: bool,
}

/// What a table of accounts holds elsewhere.
pub(super) struct AccountKey {
    pub key: Arc<str>,
}

columns!(Account {
    plain: [supplied, stamps, sending, epoch, whole],
    steps: [desc],
    times: [],
    numbers: [],
    births: [],
    rest: AccountKey { key },
});

impl Model {
    /// A load generator names a pair, as its own side sees it.
    pub(super) fn pair_named(&mut self, process: Id, id: u32, text: &str) {
        let Some(key) = reversed(text) else { return };
        if self.pairs.len() >= MAX_ACCOUNTS && !self.pairs.contains_key(&(process, id)) {
            // The oldest pairs are the least likely to send again.
            if let Some(old) = self.pair_order.pop_front() {
                self.pairs.remove(&old);
            }
        }
        let key: Arc<str> = key.into();
        if self.pairs.insert((process, id), key.clone()).is_none() {
            self.pair_order.push_back((process, id));
        }
        self.account(&key);
    }

    fn account(&mut self, key: &Arc<str>) -> u32 {
        if let Some(at) = self.account_of.get(key) {
            return *at;
        }
        if self.accounts.len() >= MAX_ACCOUNTS {
            return NONE;
        }
        let at = self.accounts.insert(Account {
            key: key.clone(),
            desc: NONE,
            supplied: 0,
            stamps: VecDeque::new(),
            sending: Vec::new(),
            epoch: self.losses,
            whole: true,
        });
        self.account_of.insert(key.clone(), at);
        at
    }

    /// A descriptor's addresses are known: it receives what was sent to them.
    pub(super) fn match_address(&mut self, desc: u32) {
        let addr = self.descs.get(desc).map(|d| d.addr.clone());
        // One side alone is no pair: others have it too.
        if let Some(addr) = addr.filter(|addr| names::sides_known(addr) == 2) {
            self.match_account(desc, &addr);
        }
    }

    fn match_account(&mut self, desc: u32, addr: &str) {
        let Some(at) = self.account_of.get(addr).copied() else {
            // The sender may name the pair later.
            let key: Arc<str> = addr.into();
            let at = if addr.contains('>') {
                self.account(&key)
            } else {
                NONE
            };
            self.join_account(desc, at);
            return;
        };
        self.join_account(desc, at);
    }

    fn join_account(&mut self, desc: u32, at: u32) {
        let Some(account) = self.accounts.get_mut(at) else {
            return;
        };
        let before = std::mem::replace(&mut account.desc, desc);
        if before == desc {
            return;
        }
        if before != NONE {
            // The addresses were used again: what was sent before belongs to the old connection.
            account.supplied = 0;
            account.stamps.clear();
            account.sending.clear();
            if let Some(old) = self.descs.get_mut(before) {
                old.account = NONE;
            }
        }
        if let Some(d) = self.descs.get_mut(desc) {
            let old = std::mem::replace(&mut d.account, at);
            if old != NONE && old != at {
                self.drop_account(old);
            }
        }
        self.refresh_unread(desc);
    }

    /// The receiving description is known by another number from now on.
    pub(super) fn move_account(&mut self, at: u32, desc: u32) {
        if let Some(account) = self.accounts.get_mut(at) {
            account.desc = desc;
        }
    }

    pub(super) fn drop_account(&mut self, at: u32) {
        if let Some(account) = self.accounts.remove(at) {
            self.account_of.remove(&account.key);
        }
    }

    /// The description has ended.
    pub(super) fn close_account(&mut self, desc: u32) {
        let at = self.descs.get(desc).map_or(NONE, |d| d.account);
        if at != NONE {
            self.drop_account(at);
        }
    }

    /// The account of the pair a load generator names.
    fn account_named(&self, process: Id, e: &Event) -> Option<u32> {
        let key = self.pairs.get(&(process, e.x as u32))?;
        self.account_of.get(key).copied()
    }

    /// When the send under way began that an event will end.
    pub fn sending_since(&self, e: &Event) -> Option<u64> {
        let process = self.process_of_thread(e.thread);
        let account = self.accounts.get(self.account_named(process, e)?)?;
        let thread = self.thread_seen(e.thread)?;
        let mut sending = account.sending.iter();
        sending.find_map(|(by, since)| (*by == thread).then_some(*since))
    }

    /// What is sent arrives from now on. A late one says so too late.
    pub(super) fn supply_begin(&mut self, thread: Id, process: Id, e: &Event, at: At) {
        let Some(id) = self.account_named(process, e) else {
            return;
        };
        if let Some(account) = self.accounts.get_mut(id) {
            account.sent(thread);
            if e.flags & flags::LATE == 0 && account.sending.len() < MAX_SENDING {
                account.sending.push((thread, at.t));
            }
        }
    }

    pub(super) fn supplied<S: Sink + ?Sized>(
        &mut self,
        thread: Id,
        process: Id,
        e: &Event,
        at: At,
        sink: &mut S,
    ) {
        let late = e.flags & flags::LATE != 0;
        let id = self.account_named(process, e);
        let Some(account) = id.and_then(|id| self.accounts.get_mut(id)) else {
            self.unmatched += 1;
            return;
        };
        // Two conversions of one reading of the clock may differ by a nanosecond: what was told first stands.
        let begun = account.sent(thread);
        if e.arg == 0 {
            return;
        }
        account.supplied = account.supplied.saturating_add(e.arg);
        let stamp = Stamp {
            end: account.supplied,
            t0: begun.unwrap_or(at.t.saturating_sub(e.y)),
            t1: at.t,
        };
        let desc = account.desc;
        let read = self.descs.get(desc).map(|d| d.read);
        if late || account.epoch != self.losses {
            // When it was sent is not known, nor what has been since.
            account.stamps.clear();
            account.epoch = u64::MAX;
            self.unmatched += u64::from(read.is_none());
            self.refresh_unread(desc);
            return;
        }
        let Some(read) = read else {
            // Sent before the receiver accepted: keep it for when it does.
            account.push(stamp);
            self.unmatched += 1;
            return;
        };
        let unread = stamp.end > read;
        if unread {
            account.push(stamp);
        }
        self.refresh_unread(desc);
        for slot in self.regs_of(desc) {
            self.stamp_report(slot, stamp);
            if unread {
                self.made_ready(slot, stamp, at, sink);
            }
        }
    }

    /// The receiver was told before the sender's call had returned: the stamp still belongs to that report.
    fn stamp_report(&mut self, slot: u32, stamp: Stamp) {
        let Some(reg) = self.regs.get(slot) else {
            return;
        };
        if reg.s.fetched + reg.s.running == 0 {
            return;
        }
        let Some(wakeup) = reg.s.reported else { return };
        let (seat, index) = reg.s.item;
        let item = self
            .loops
            .get_mut(reg.loop_id as usize)
            .and_then(|l| l.threads.get_mut(seat as usize))
            .and_then(|ts| ts.batch.get_mut(index as usize))
            .filter(|item| item.slot == slot && item.fidelity == Fidelity::Bounded);
        if let Some(item) = item
            && stamp.t0 <= wakeup
        {
            let floor = item.ready.map_or(0, |r| r.lo);
            if stamp.t1 >= floor {
                set_measured(item, stamp, wakeup);
            }
        }
    }

    /// Bytes came in: the kernel makes it ready unless it is off.
    fn made_ready<S: Sink + ?Sized>(&mut self, slot: u32, stamp: Stamp, at: At, sink: &mut S) {
        let Some(reg) = self.regs.get_mut(slot) else {
            return;
        };
        // What began to be sent before the last report may be what was reported; that makes no second edge, however
        // long the handler has been through when the sender is heard of again.
        let served = reg.s.fetched + reg.s.running > 0;
        let told = (served || reg.is_edge()) && reg.s.reported.map_or(served, |t| stamp.t0 < t);
        if reg.s.kernel != Kernel::Armed || reg.interest & IN == 0 || told {
            return;
        }
        let runs = self
            .loops
            .get(reg.loop_id as usize)
            .map_or(0, |l| l.runs_total);
        reg.ready_since = Some(Range {
            lo: stamp.t0,
            hi: stamp.t1,
        });
        reg.s.ready_runs = Some(runs);
        self.set_kernel(slot, Kernel::Ready);
        self.show(slot, at, Why::Supplied, Fidelity::Measured, sink);
    }

    /// At a report: the first stamp after the last drain opens the ready span.
    pub(super) fn stamped(
        &mut self,
        slot: u32,
        item: &mut Item,
        wakeup: u64,
        previous: Option<u64>,
        drained: bool,
    ) {
        if self.pairs.is_empty() {
            // No load generator, no stamps.
            return;
        }
        let Some(reg) = self.regs.get(slot) else {
            return;
        };
        let Some(desc) = self.descs.get(reg.s.desc) else {
            return;
        };
        let Some(account) = self.accounts.get(desc.account) else {
            return;
        };
        if account.epoch != self.losses || item.mask & IN == 0 {
            return;
        }
        let mut unread = account.stamps.iter().filter(|s| s.end > desc.read);
        let stamp = if reg.is_edge() {
            // What was left behind makes no edge: only what came after the last report does.
            unread.find(|s| previous.is_none_or(|t| s.t1 > t))
        } else {
            unread.next()
        };
        let Some(stamp) = stamp.copied() else {
            // Sent by a call that has not returned. If that began before the proof it says nothing new: the report may
            // be of a part of it, the proof of another.
            let began = account.sending.iter().map(|(_, t)| *t).min();
            let floor = item.ready.map_or(0, |r| r.lo);
            if let Some(lo) = began.filter(|t| (floor..=wakeup).contains(t)) {
                item.ready = Some(Range { lo, hi: wakeup });
                item.fidelity = Fidelity::Measured;
            }
            return;
        };
        // A send under way at an edge's last report may have made that edge or this one: it says nothing new.
        let spans = reg.is_edge() && previous.is_some_and(|t| stamp.t0 < t);
        if stamp.t0 > wakeup || spans {
            return;
        }
        let room = self
            .loops
            .get(reg.loop_id as usize)
            .and_then(|l| l.room_exit);
        let proof = room.max(reg.s.emptied);
        let registered = reg.s.proven.is_none_or(|t| stamp.t1 >= t);
        if drained && registered && proof.is_some_and(|t| stamp.t1 < t) {
            self.contradicted += 1;
        }
        set_measured(item, stamp, wakeup);
    }

    /// No load generator has said anything, and nothing was lost: there is nothing to keep accounts of.
    #[inline]
    pub(super) fn is_unsupplied(&self) -> bool {
        self.pairs.is_empty() && self.losses == 0
    }

    /// Forgets the stamps of bytes that have been read.
    pub(super) fn bytes_read(&mut self, desc: u32, empty: bool) {
        let Some(d) = self.descs.get(desc) else {
            return;
        };
        let (read, losses) = (d.read, self.losses);
        let Some(account) = self.accounts.get_mut(d.account) else {
            return;
        };
        if empty && account.epoch != losses {
            // Nothing is left: whatever was lost, sent and read are equal now.
            account.supplied = read;
            account.stamps.clear();
            account.sending.clear();
            account.epoch = losses;
            account.whole = false;
        }
        while account.stamps.front().is_some_and(|s| s.end <= read) {
            account.stamps.pop_front();
        }
    }

    /// Works out the bytes waiting in the receive queue.
    pub(super) fn refresh_unread(&mut self, desc: u32) {
        let Some(d) = self.descs.get(desc) else {
            return;
        };
        let account = self
            .accounts
            .get(d.account)
            .filter(|a| a.epoch == self.losses && a.supplied > 0);
        let (unread, fidelity) = match (account, d.sampled) {
            (Some(a), _) if a.supplied >= d.read => {
                let fidelity = if a.whole {
                    Fidelity::Measured
                } else {
                    Fidelity::Inferred
                };
                (Some(a.supplied - d.read), fidelity)
            }
            (_, Some((bytes, read))) if read == d.read => (Some(bytes), Fidelity::Measured),
            (_, Some((bytes, read))) => (
                Some(bytes.saturating_sub(d.read - read)),
                Fidelity::Inferred,
            ),
            _ => (None, Fidelity::Absent),
        };
        for slot in self.regs_of(desc) {
            if let Some(reg) = self.regs.get_mut(slot) {
                reg.unread = unread;
                reg.unread_fidelity = fidelity;
            }
        }
    }
}

impl Account {
    /// The thread's send is over; when it began, if it said so.
    fn sent(&mut self, thread: Id) -> Option<u64> {
        let at = self.sending.iter().position(|(by, _)| *by == thread)?;
        Some(self.sending.remove(at).1)
    }

    fn push(&mut self, stamp: Stamp) {
        if self.stamps.len() < MAX_STAMPS {
            self.stamps.push_back(stamp);
        } else if let Some(last) = self.stamps.back_mut() {
            last.end = stamp.end;
        }
    }
}

/// Notice is measured: ready in the sender's bracket, as far as the report leaves room for it.
fn set_measured(item: &mut Item, stamp: Stamp, wakeup: u64) {
    let floor = item.ready.map_or(0, |r| r.lo);
    let lo = stamp.t0.max(floor).min(wakeup);
    item.ready = Some(Range {
        lo,
        hi: stamp.t1.min(wakeup).max(lo),
    });
    item.fidelity = Fidelity::Measured;
}

/// `tcp a>b` as the other side sees it: `tcp b>a`.
pub fn reversed(pair: &str) -> Option<String> {
    let (proto, ends) = pair.split_once(' ')?;
    let (local, peer) = ends.split_once('>')?;
    Some(format!("{proto} {peer}>{local}"))
}
