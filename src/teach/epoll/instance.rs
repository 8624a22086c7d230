//! One epoll instance: its interest list, its ready list, epoll_ctl and epoll_wait.

use super::belief::Belief;
use super::call::{Answer, Ctl, Errno, Fd, Ready, bits};
use super::file::File;
use super::rule::Rule;
use super::world::{Id, World};
use std::collections::VecDeque;

/// How many links a chain of epoll descriptors may have (EP_MAX_NESTS).
const NESTS: usize = 4;

/// What EPOLLEXCLUSIVE may be asked for together with.
const EXCLUSIVE_OK: u32 = bits::IN
    | bits::OUT
    | bits::ERR
    | bits::HUP
    | bits::ET
    | bits::EXCLUSIVE
    | libc::EPOLLWAKEUP as u32;

/// One registration.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: u32,
    pub(super) file: Id,
    fd: Fd,
    pub(super) mask: u32,
    pub(super) data: u64,
    /// What only wrong beliefs look at: reported and not drained since, what changed since the last report and how often,
    /// and what was ready when it was queued.
    pub(super) told: bool,
    pub(super) changed: u32,
    pub(super) changes: u32,
    queued_as: u32,
}

/// The interest list and the ready list.
#[derive(Clone, Debug, Default)]
pub(super) struct Instance {
    pub(super) items: Vec<Item>,
    ready: VecDeque<u32>,
    /// What wrong beliefs expect of items that are gone.
    phantoms: Vec<Ready>,
}

fn failed(errno: i32) -> Answer {
    Answer::Failed(Errno(errno))
}

impl Instance {
    fn item(&mut self, id: u32) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id == id)
    }
}

impl World {
    pub(super) fn instance(&mut self, id: Id) -> Option<&mut Instance> {
        match self.files.get_mut(id) {
            Some(File::Epoll(instance)) => Some(instance),
            _ => None,
        }
    }

    /// The data words of the ready list, in order. What is in it may turn out not to be ready when it is fetched.
    pub fn ready_list(&self, epfd: Fd) -> Vec<u64> {
        let Some(File::Epoll(ep)) = self.numbers.get(&epfd).map(|id| &self.files[*id]) else {
            return Vec::new();
        };
        let item = |id: &u32| ep.items.iter().find(|i| i.id == *id).map(|i| i.data);
        ep.ready.iter().filter_map(item).collect()
    }

    /// epoll_ctl(2), its checks in the kernel's order.
    pub(super) fn ctl(&mut self, epfd: Fd, ctl: Ctl, fd: Fd, mask: u32, data: u64) -> Answer {
        let (Some(&epoll), Some(&file)) = (self.numbers.get(&epfd), self.numbers.get(&fd)) else {
            return self.refuse(Rule::NotOpen, libc::EBADF);
        };
        if matches!(self.files[file], File::Regular { .. }) {
            return self.refuse(Rule::NotPollable, libc::EPERM);
        }
        if epoll == file || self.instance(epoll).is_none() {
            return self.refuse(Rule::Invalid, libc::EINVAL);
        }
        let nested = matches!(self.files[file], File::Epoll(_));
        let exclusive = mask & bits::EXCLUSIVE != 0;
        let terms = match ctl {
            Ctl::Add => !exclusive || !nested && mask & !EXCLUSIVE_OK == 0,
            Ctl::Mod => !exclusive,
            Ctl::Del | Ctl::Other(_) => true,
        };
        if !terms {
            return self.refuse(Rule::ExclusiveTerms, libc::EINVAL);
        }
        if ctl == Ctl::Add && nested && self.too_deep(epoll, file) {
            return self.refuse(Rule::Loop, libc::ELOOP);
        }
        let same = self.believes(Belief::DupIsSame);
        let found = (self.instance(epoll))
            .and_then(|ep| (ep.items.iter()).find(|i| i.file == file && (i.fd == fd || same)))
            .map(|item| (item.id, item.mask));
        match (ctl, found) {
            (Ctl::Add, Some(_)) => self.refuse(Rule::Exists, libc::EEXIST),
            (Ctl::Add, None) => self.insert(epoll, file, fd, mask, data),
            (Ctl::Del, Some((item, _))) => {
                self.remove(epoll, item);
                Answer::Done
            }
            (Ctl::Mod, Some((_, old))) if old & bits::EXCLUSIVE != 0 => {
                self.refuse(Rule::ExclusiveTerms, libc::EINVAL)
            }
            (Ctl::Mod, Some((item, _))) => self.modify(epoll, item, mask, data),
            (Ctl::Mod | Ctl::Del, None) => {
                let by_file = |i: &Item| i.file == file;
                let dup = (self.instance(epoll)).is_some_and(|ep| ep.items.iter().any(by_file));
                if dup {
                    self.note(Rule::Key, None);
                }
                self.refuse(Rule::Missing, libc::ENOENT)
            }
            (Ctl::Other(_), _) => self.refuse(Rule::Invalid, libc::EINVAL),
        }
    }

    fn refuse(&mut self, rule: Rule, errno: i32) -> Answer {
        self.note(rule, None);
        failed(errno)
    }

    /// The mask with what the kernel adds to it.
    fn asked(&self, mask: u32) -> u32 {
        match self.believes(Belief::HupAsked) {
            true => mask,
            false => mask | bits::ERR | bits::HUP,
        }
    }

    fn insert(&mut self, epoll: Id, file: Id, fd: Fd, mask: u32, data: u64) -> Answer {
        let id = self.next_item;
        self.next_item += 1;
        let mask = self.asked(mask);
        let item = Item {
            id,
            file,
            fd,
            mask,
            data,
            told: false,
            changed: u32::MAX,
            changes: 0,
            queued_as: 0,
        };
        let mut dup = false;
        if let Some(instance) = self.instance(epoll) {
            dup = instance.items.iter().any(|i| i.file == file);
            instance.items.push(item);
        }
        if dup {
            self.note(Rule::Key, Some(data));
        }
        self.watch(file, epoll, id, mask);
        if self.ready_now(epoll, id) != 0 && !self.believes(Belief::AddSilent) {
            self.note(Rule::AddLooks, Some(data));
            self.enqueue(epoll, id);
            self.wake_outer(epoll);
        }
        Answer::Done
    }

    fn modify(&mut self, epoll: Id, id: u32, mask: u32, data: u64) -> Answer {
        let mask = self.asked(mask);
        let Some(item) = self.instance(epoll).and_then(|ep| ep.item(id)) else {
            return failed(libc::ENOENT);
        };
        (item.mask, item.data) = (mask, data);
        (item.told, item.changed, item.changes) = (false, u32::MAX, 0);
        let silent = self.believes(Belief::ModSilent);
        if self.ready_now(epoll, id) != 0 && !silent {
            if self.enqueue(epoll, id) {
                self.note(Rule::ModLooks, Some(data));
                self.wake_outer(epoll);
            } else {
                self.note(Rule::ModKeepsPlace, Some(data));
                if self.believes(Belief::ModMoves) {
                    self.requeue(epoll, id);
                }
            }
        }
        Answer::Done
    }

    /// Takes an item off everything.
    pub(super) fn remove(&mut self, epoll: Id, id: u32) {
        let leaves = self.believes(Belief::DelLeaves);
        let now = if leaves { self.ready_now(epoll, id) } else { 0 };
        let Some(instance) = self.instance(epoll) else {
            return;
        };
        let Some(at) = instance.items.iter().position(|i| i.id == id) else {
            return;
        };
        let item = instance.items.remove(at);
        let queued = instance.ready.contains(&id);
        instance.ready.retain(|i| *i != id);
        if leaves && queued && now != 0 {
            let (data, mask) = (item.data, now);
            instance.phantoms.push(Ready { data, mask });
        }
        if queued {
            self.note(Rule::DelUnqueues, Some(item.data));
        }
        self.unwatch(item.file, epoll, id);
    }

    /// The last number of a description is closed: its items go, wherever they are registered.
    pub(super) fn forget(&mut self, file: Id) {
        for epoll in 0..self.files.len() {
            self.forget_in(epoll, |item| item.file == file);
        }
    }

    /// What who believes that a close always removes expects of this number.
    pub(super) fn forget_number(&mut self, file: Id, fd: Fd) {
        for epoll in 0..self.files.len() {
            self.forget_in(epoll, |item| item.file == file && item.fd == fd);
        }
    }

    /// Whether an item is registered under this number.
    pub(super) fn is_watched(&self, file: Id, fd: Fd) -> bool {
        let here = |item: &Item| item.file == file && item.fd == fd;
        (self.files.iter()).any(|f| matches!(f, File::Epoll(ep) if ep.items.iter().any(here)))
    }

    fn forget_in(&mut self, epoll: Id, which: impl Fn(&Item) -> bool) {
        let tells = self.believes(Belief::CloseTells);
        let Some(instance) = self.instance(epoll) else {
            return;
        };
        let gone: Vec<(u32, u64)> = (instance.items.iter().filter(|i| which(i)))
            .map(|i| (i.id, i.data))
            .collect();
        for (id, data) in gone {
            if tells && let Some(instance) = self.instance(epoll) {
                let mask = bits::HUP;
                instance.phantoms.push(Ready { data, mask });
            }
            self.note(Rule::LastClose, Some(data));
            self.remove(epoll, id);
        }
    }

    /// Puts an item at the end of the ready list; false if it is in it already.
    pub(super) fn enqueue(&mut self, epoll: Id, id: u32) -> bool {
        if self.believes(Belief::NoRecheck) {
            let now = self.ready_now(epoll, id);
            if let Some(item) = self.instance(epoll).and_then(|ep| ep.item(id)) {
                item.queued_as = now;
            }
        }
        let Some(instance) = self.instance(epoll) else {
            return false;
        };
        let linked = instance.ready.contains(&id);
        if !linked {
            instance.ready.push_back(id);
        }
        !linked
    }

    pub(super) fn requeue(&mut self, epoll: Id, id: u32) {
        if let Some(instance) = self.instance(epoll) {
            instance.ready.retain(|i| *i != id);
            instance.ready.push_back(id);
        }
    }

    /// What is ready of what an item asks for (ep_item_poll).
    fn ready_now(&mut self, epoll: Id, id: u32) -> u32 {
        let Some(item) = self.instance(epoll).and_then(|ep| ep.item(id)) else {
            return 0;
        };
        let (file, mask) = (item.file, item.mask);
        let polled = self.poll(file);
        let unasked = match self.believes(Belief::RdhupUnasked) && mask & !bits::MODES != 0 {
            true => bits::RDHUP,
            false => 0,
        };
        if polled & bits::RDHUP & !mask != 0 {
            self.note(Rule::RdhupAsked, None);
        }
        polled & (mask | unasked)
    }

    /// What an epoll descriptor says when it is polled: ready while an item is; those before it that are not are dropped.
    pub(super) fn poll_instance(&mut self, epoll: Id) -> u32 {
        loop {
            let first = self
                .instance(epoll)
                .and_then(|ep| ep.ready.front().copied());
            let Some(id) = first else { return 0 };
            if self.ready_now(epoll, id) != 0 {
                self.note(Rule::NestedReady, None);
                return bits::IN | bits::RDNORM;
            }
            if let Some(instance) = self.instance(epoll) {
                instance.ready.pop_front();
            }
        }
    }

    /// epoll_wait(2) with the time-out 0.
    pub(super) fn wait(&mut self, epfd: Fd, max: i32) -> Answer {
        let Some(&epoll) = self.numbers.get(&epfd) else {
            return self.refuse(Rule::NotOpen, libc::EBADF);
        };
        if max <= 0 {
            return self.refuse(Rule::MaxeventsRange, libc::EINVAL);
        }
        let Some(instance) = self.instance(epoll) else {
            return self.refuse(Rule::Invalid, libc::EINVAL);
        };
        let (mut list, phantoms) = (
            std::mem::take(&mut instance.ready),
            std::mem::take(&mut instance.phantoms),
        );
        let max = max as usize;
        self.sort(epoll, &mut list);
        let (mut batch, mut again) = (phantoms, VecDeque::new());
        while let Some(id) = list.pop_front() {
            if batch.len() >= max {
                self.note(Rule::MaxeventsRest, None);
                list.push_front(id);
                break;
            }
            if self.report(epoll, id, max, &mut batch) {
                again.push_back(id);
            }
        }
        if self.believes(Belief::MaxeventsDrops) {
            list.retain(|id| {
                let item = self.instance(epoll).and_then(|ep| ep.item(*id));
                item.is_some_and(|item| item.mask & bits::ET == 0)
            });
        }
        // What did not fit comes before what was just reported.
        match self.believes(Belief::NoRotation) {
            true => again.extend(list),
            false => {
                list.extend(again);
                again = list;
            }
        }
        if let Some(instance) = self.instance(epoll) {
            instance.ready = again;
        }
        batch.truncate(max);
        Answer::Batch(batch)
    }

    fn sort(&mut self, epoll: Id, list: &mut VecDeque<u32>) {
        if self.believes(Belief::AddOrder) {
            list.make_contiguous().sort_unstable();
        }
        if self.believes(Belief::NumberOrder)
            && let Some(instance) = self.instance(epoll)
        {
            let number = |id: &u32| (instance.items.iter()).find(|i| i.id == *id).map(|i| i.fd);
            list.make_contiguous().sort_by_key(number);
        }
    }

    /// Asks an item again and reports it if it is ready; whether it stays in the ready list.
    fn report(&mut self, epoll: Id, id: u32, max: usize, batch: &mut Vec<Ready>) -> bool {
        let mut mask = self.ready_now(epoll, id);
        let wrong = self.belief;
        let Some(item) = self.instance(epoll).and_then(|ep| ep.item(id)) else {
            return false;
        };
        let (data, asked) = (item.data, item.mask);
        if mask == 0 && wrong == Some(Belief::NoRecheck) {
            mask = item.queued_as & asked;
        }
        let edge = asked & bits::ET != 0;
        if edge && wrong == Some(Belief::OnlyWhatChanged) {
            mask &= item.changed;
        }
        let times = match wrong {
            Some(Belief::EventPerChange) => item.changes.max(1) as usize,
            _ => 1,
        };
        (item.changed, item.changes) = (0, 0);
        if mask == 0 {
            self.note(Rule::RecheckFailed, Some(data));
            return false;
        }
        item.told = edge;
        item.queued_as = mask;
        for _ in 0..times.min(max - batch.len()) {
            batch.push(Ready { data, mask });
        }
        self.after(epoll, id, asked, data, mask)
    }

    /// What becomes of an item that was reported.
    fn after(&mut self, epoll: Id, id: u32, asked: u32, data: u64, mask: u32) -> bool {
        self.note(Rule::Recheck, Some(data));
        if mask & (bits::ERR | bits::HUP) != 0 {
            self.note(Rule::ErrHupUnasked, Some(data));
        }
        if mask.count_ones() > 1 {
            self.note(Rule::WholeMask, Some(data));
        }
        if asked & bits::ONESHOT != 0 && !self.believes(Belief::OneshotStays) {
            self.note(Rule::Oneshot, Some(data));
            if self.believes(Belief::OneshotRemoves) {
                self.remove(epoll, id);
                return false;
            }
            let hup = match self.believes(Belief::OneshotTellsHup) {
                true => bits::ERR | bits::HUP,
                false => 0,
            };
            if let Some(item) = self.instance(epoll).and_then(|ep| ep.item(id)) {
                item.mask = asked & bits::MODES | hup;
            }
            return false;
        }
        if asked & bits::ET != 0 {
            self.note(Rule::Edge, Some(data));
            return self.believes(Belief::EdgeRepeats);
        }
        self.note(Rule::Level, Some(data));
        !self.believes(Belief::LevelOnce)
    }

    /// After a read: what wrong beliefs of edges take from it.
    pub(super) fn was_read(&mut self, file: Id) {
        let (drained, partial) = (
            self.believes(Belief::EdgeNeedsDrain),
            self.believes(Belief::PartialReadIsEdge),
        );
        if !drained && !partial {
            return;
        }
        let left = self.poll(file) & bits::IN != 0;
        for epoll in 0..self.files.len() {
            let Some(instance) = self.instance(epoll) else {
                continue;
            };
            let mut edges = Vec::new();
            for item in instance.items.iter_mut().filter(|i| i.file == file) {
                item.told &= left;
                if left && item.mask & bits::ET != 0 {
                    edges.push(item.id);
                }
            }
            for id in edges.into_iter().filter(|_| partial) {
                self.enqueue(epoll, id);
            }
        }
    }

    /// ep_loop_check: whether a link from `epoll` to `target` makes a circle or a chain of more than [`NESTS`] links.
    fn too_deep(&mut self, epoll: Id, target: Id) -> bool {
        match self.depth_below(target, epoll) {
            Some(below) => below + 1 + self.depth_above(epoll) > NESTS,
            None => true,
        }
    }

    /// Links below an instance; nothing if there are too many or `except` is among them.
    fn depth_below(&self, epoll: Id, except: Id) -> Option<usize> {
        let File::Epoll(instance) = &self.files[epoll] else {
            return Some(0);
        };
        let mut deepest = 0;
        for item in &instance.items {
            if item.file == except {
                return None;
            }
            if matches!(self.files[item.file], File::Epoll(_)) {
                deepest = deepest.max(self.depth_below(item.file, except)? + 1);
            }
        }
        (deepest <= NESTS).then_some(deepest)
    }

    fn depth_above(&self, epoll: Id) -> usize {
        let watches = |file: &File| matches!(file, File::Epoll(ep) if ep.items.iter().any(|i| i.file == epoll));
        (0..self.files.len())
            .filter(|id| watches(&self.files[*id]))
            .map(|id| self.depth_above(id) + 1)
            .max()
            .unwrap_or(0)
    }
}
