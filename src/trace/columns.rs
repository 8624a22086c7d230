//! The coding of events inside a page: lanes of like events, columns of like numbers. Step: **trace**.
//!
//! Events that agree in thread, kind, flags, site (and in the small enum in `aux`, and in a negative result) form a
//! *lane*. A page says once per lane what its events have in common; a stream of lane numbers gives their order; and what
//! differs inside a lane goes into one column per field. A loop repeats itself, so that the stream and most columns
//! all but vanish under LZ4, and what stays is the times, which are packed in as many bits as they need ([`bits`]).
//!
//! Data words and descriptors go through a dictionary of (word, fd) pairs: "ready 17", "runs 17", "reads fd 9" become the
//! same small number wherever they mean the same registration, and LZ4 sees the repetition.
//!
//! Decoding writes every event once from its lane's template and then fills one column at a time, without a branch per event.
//! `docs/FORMAT.md` has the bytes.

use foldhash::HashMap;

use super::bits::{self, Input, put_varint, unzigzag, zigzag};
use super::page::MAX_EVENTS;
use crate::record::event::{Cause, Ctl, Event, Kind, MAX_TEXT};

/// Version of this coding, in the page header.
pub(crate) const VERSION: u16 = 1;

/// The columns, in the order in which they are stored. `Y` comes after `T` because it may be told relative to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Arg,
    Fd,
    X,
    Aux,
    Len,
    T,
    Y,
}

const FIELDS: [Field; 7] = [
    Field::Arg,
    Field::Fd,
    Field::X,
    Field::Aux,
    Field::Len,
    Field::T,
    Field::Y,
];

impl Field {
    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The field's value; `step` is the time since the event before.
    fn get(self, e: &Event, step: u64) -> u64 {
        match self {
            Field::Arg => e.arg,
            Field::Fd => e.fd as u64,
            Field::X => e.x as u64,
            Field::Aux => u64::from(e.aux),
            Field::Len => u64::from(e.text.len),
            Field::T => step,
            Field::Y => e.y,
        }
    }

    fn set(self, e: &mut Event, value: u64) {
        match self {
            Field::Arg => e.arg = value,
            Field::Fd => e.fd = value as i32,
            Field::X => e.x = value as i32,
            Field::Aux => e.aux = value as u16,
            Field::Len => e.text.len = value as u16,
            Field::T => e.t = value,
            Field::Y => e.y = value,
        }
    }
}

/// How a column is stored; `base` is added to every value.
mod code {
    /// 1, 2, 4 or 8 bytes each: `FIXED + log2(bytes)`.
    pub const FIXED: u8 = 0;
    /// The first value, then the same for the step from each to the next.
    pub const DELTA: u8 = 4;
    /// A packed run.
    pub const PACKED: u8 = 8;
    /// A packed run of (time since the event before − value): a call's duration is most of the time since the last stamp.
    pub const PACKED_OF_STEP: u8 = 9;
    /// Places in the dictionary, in as many bytes each as its size needs.
    pub const PLACE: u8 = 10;
}

/// Whether `arg` holds a data word.
fn has_word(kind: Kind, aux: u16) -> bool {
    match kind {
        Kind::Ready | Kind::RunBegin | Kind::Handler => true,
        Kind::CtlBegin | Kind::CtlEnd => aux != Ctl::Del.code(),
        _ => false,
    }
}

/// Whether `fd` holds a loop's descriptor, which hardly changes inside a lane.
fn has_epfd(kind: Kind) -> bool {
    use Kind::*;
    matches!(
        kind,
        WaitEnter
            | WaitExit
            | Ready
            | RunBegin
            | RunEnd
            | Handler
            | TimerArm
            | TimerCancel
            | TimerBegin
            | TimerEnd
    ) || matches!(kind, TaskQueued | TaskBegin | TaskEnd)
}

/// What the events of a lane have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    thread: u32,
    x: i32,
    site: u16,
    aux: u16,
    kind: Kind,
    flags: u8,
}

impl Key {
    fn of(e: &Event) -> Key {
        let (aux, x) = match e.kind {
            // The place in the batch.
            Kind::Ready | Kind::RunBegin => (0, 0),
            // EAGAIN is another thing than 64 bytes.
            Kind::Io => (e.aux, e.x.min(0)),
            _ => (e.aux, 0),
        };
        Key {
            thread: e.thread,
            x,
            site: e.site,
            aux,
            kind: e.kind,
            flags: e.flags,
        }
    }
}

/// The pairs of data word and descriptor that stand for one registration each.
#[derive(Default)]
struct Dictionary {
    words: Vec<u64>,
    fds: Vec<i32>,
    has: Vec<(bool, bool)>,
    by_word: HashMap<u64, u32>,
    by_fd: HashMap<i32, u32>,
}

impl Dictionary {
    fn clear(&mut self) {
        self.words.clear();
        self.fds.clear();
        self.has.clear();
        self.by_word.clear();
        self.by_fd.clear();
    }

    fn push(&mut self, word: Option<u64>, fd: Option<i32>) -> u32 {
        let place = self.words.len() as u32;
        // A half that is not there repeats the one before, which costs one zero byte.
        self.words
            .push(word.unwrap_or(self.words.last().copied().unwrap_or(0)));
        self.fds
            .push(fd.unwrap_or(self.fds.last().copied().unwrap_or(0)));
        self.has.push((word.is_some(), fd.is_some()));
        if let Some(word) = word {
            self.by_word.insert(word, place);
        }
        if let Some(fd) = fd {
            self.by_fd.insert(fd, place);
        }
        place
    }

    fn word(&mut self, word: u64) -> u32 {
        match self.by_word.get(&word) {
            Some(&place) => place,
            None => self.push(Some(word), None),
        }
    }

    /// The place of a descriptor; a new one moves in with the registration at `host` if that has none yet.
    fn fd(&mut self, fd: i32, host: Option<u32>) -> u32 {
        if let Some(&place) = self.by_fd.get(&fd) {
            return place;
        }
        match host.filter(|&h| !self.has[h as usize].1) {
            Some(place) => {
                self.fds[place as usize] = fd;
                self.has[place as usize].1 = true;
                self.by_fd.insert(fd, place);
                place
            }
            None => self.push(None, Some(fd)),
        }
    }

    fn width(len: usize) -> usize {
        match len {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        }
    }
}

#[derive(Clone, Copy)]
struct Lane {
    key: Key,
    count: u32,
    start: u32,
    columns: u8,
}

/// Encodes pages; keeps its buffers from one to the next.
#[derive(Default)]
pub(crate) struct Encoder {
    lanes: Vec<Lane>,
    by_key: HashMap<Key, u16>,
    symbols: Vec<u16>,
    steps: Vec<u64>,
    positions: Vec<u16>,
    dictionary: Dictionary,
    word_places: Vec<u32>,
    fd_places: Vec<u32>,
    values: Vec<u64>,
    deltas: Vec<u64>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// Encodes at most [`MAX_EVENTS`] events whose texts lie in `text`.
    pub fn encode(&mut self, events: &[Event], text: &[u8], out: &mut Vec<u8>) {
        debug_assert!(events.len() <= MAX_EVENTS);
        out.clear();
        self.sort_into_lanes(events);
        for lane in 0..self.lanes.len() {
            self.lanes[lane].columns = self.varying(lane, events);
        }
        self.fill_dictionary(events);
        self.put_lanes(events, out);
        self.put_dictionary(out);
        match self.lanes.len() {
            0..=0x100 => out.extend(self.symbols.iter().map(|&s| s as u8)),
            _ => self
                .symbols
                .iter()
                .for_each(|s| out.extend_from_slice(&s.to_le_bytes())),
        }
        for field in FIELDS {
            for lane in 0..self.lanes.len() {
                if self.lanes[lane].columns & field.bit() != 0 {
                    self.put_column(lane, field, events, out);
                }
            }
        }
        for e in events.iter().filter(|e| e.text.len > 0) {
            out.extend_from_slice(e.text.of(text));
        }
    }

    fn sort_into_lanes(&mut self, events: &[Event]) {
        self.lanes.clear();
        self.by_key.clear();
        self.symbols.clear();
        self.steps.clear();
        let mut before = events.first().map_or(0, |e| e.t);
        for e in events {
            let key = Key::of(e);
            let symbol = *self.by_key.entry(key).or_insert_with(|| {
                self.lanes.push(Lane {
                    key,
                    count: 0,
                    start: 0,
                    columns: 0,
                });
                (self.lanes.len() - 1) as u16
            });
            self.lanes[usize::from(symbol)].count += 1;
            self.symbols.push(symbol);
            self.steps.push(e.t.wrapping_sub(before));
            before = e.t;
        }
        let mut start = 0;
        for lane in &mut self.lanes {
            lane.start = start;
            start += lane.count;
        }
        let mut next: Vec<u32> = self.lanes.iter().map(|l| l.start).collect();
        self.positions.clear();
        self.positions.resize(events.len(), 0);
        for (i, &symbol) in self.symbols.iter().enumerate() {
            let place = &mut next[usize::from(symbol)];
            self.positions[*place as usize] = i as u16;
            *place += 1;
        }
    }

    fn members(&self, lane: usize) -> &[u16] {
        let lane = &self.lanes[lane];
        &self.positions[lane.start as usize..][..lane.count as usize]
    }

    /// The fields that are not the same in all events of a lane.
    fn varying(&self, lane: usize, events: &[Event]) -> u8 {
        let members = self.members(lane);
        let first = usize::from(members[0]);
        let mut columns = 0;
        for field in FIELDS {
            let one = field.get(&events[first], self.steps[first]);
            let same =
                |&i: &u16| field.get(&events[usize::from(i)], self.steps[usize::from(i)]) == one;
            if !members.iter().all(same) {
                columns |= field.bit();
            }
        }
        columns
    }

    fn fill_dictionary(&mut self, events: &[Event]) {
        self.dictionary.clear();
        self.word_places.clear();
        self.fd_places.clear();
        let needs = |l: &Lane| {
            (l.columns & Field::Arg.bit() != 0 && has_word(l.key.kind, l.key.aux))
                || (l.columns & Field::Fd.bit() != 0 && !has_epfd(l.key.kind))
        };
        if !self.lanes.iter().any(needs) {
            return;
        }
        self.word_places.resize(events.len(), 0);
        self.fd_places.resize(events.len(), 0);
        // The registration whose handler each thread is in.
        let mut running: HashMap<u32, u32> = HashMap::default();
        let mut current = (u32::MAX, None);
        for (i, e) in events.iter().enumerate() {
            let lane = &self.lanes[usize::from(self.symbols[i])];
            if current.0 != e.thread {
                current = (e.thread, running.get(&e.thread).copied());
            }
            let mut host = current.1;
            let words = lane.columns & Field::Arg.bit() != 0
                || matches!(e.kind, Kind::RunBegin | Kind::CtlBegin | Kind::CtlEnd);
            if words && has_word(e.kind, e.aux) {
                let place = self.dictionary.word(e.arg);
                self.word_places[i] = place;
                host = Some(place);
                if e.kind == Kind::RunBegin {
                    running.insert(e.thread, place);
                    current.1 = host;
                }
            }
            if lane.columns & Field::Fd.bit() != 0 && !has_epfd(e.kind) {
                // Only these tell which descriptor a word stands for; an accept or a name may be about any.
                let pairs = matches!(e.kind, Kind::Io | Kind::CtlBegin | Kind::CtlEnd);
                self.fd_places[i] = self.dictionary.fd(e.fd, host.filter(|_| pairs));
            }
        }
    }

    fn put_lanes(&self, events: &[Event], out: &mut Vec<u8>) {
        put_varint(out, self.lanes.len() as u64);
        put_varint(out, events.first().map_or(0, |e| e.t));
        for (i, lane) in self.lanes.iter().enumerate() {
            let first = usize::from(self.members(i)[0]);
            let value = |field: Field| field.get(&events[first], self.steps[first]);
            let constants = FIELDS
                .iter()
                .filter(|f| lane.columns & f.bit() == 0 && value(**f) != 0);
            let mask = constants.clone().fold(0, |mask, f| mask | f.bit());
            out.extend_from_slice(&[lane.key.kind.code(), lane.key.flags, lane.columns, mask]);
            put_varint(out, u64::from(lane.key.thread));
            put_varint(out, u64::from(lane.key.site));
            put_varint(out, u64::from(lane.count));
            constants.for_each(|f| put_varint(out, zigzag(value(*f))));
        }
    }

    fn put_dictionary(&self, out: &mut Vec<u8>) {
        put_varint(out, self.dictionary.words.len() as u64);
        let mut before = 0u64;
        for &word in &self.dictionary.words {
            put_varint(out, zigzag(word.wrapping_sub(before)));
            before = word;
        }
        let mut before = 0u64;
        for &fd in &self.dictionary.fds {
            put_varint(out, zigzag((fd as u64).wrapping_sub(before)));
            before = fd as u64;
        }
    }

    fn put_column(&mut self, lane: usize, field: Field, events: &[Event], out: &mut Vec<u8>) {
        let Lane {
            key, start, count, ..
        } = self.lanes[lane];
        let members = &self.positions[start as usize..][..count as usize];
        let places = match field {
            Field::Arg if has_word(key.kind, key.aux) => Some(&self.word_places),
            Field::Fd if !has_epfd(key.kind) => Some(&self.fd_places),
            _ => None,
        };
        if let Some(places) = places {
            out.push(code::PLACE);
            let width = Dictionary::width(self.dictionary.words.len());
            members.iter().for_each(|&i| {
                out.extend_from_slice(&places[usize::from(i)].to_le_bytes()[..width])
            });
            return;
        }
        self.values.clear();
        self.values.extend(
            members
                .iter()
                .map(|&i| field.get(&events[usize::from(i)], self.steps[usize::from(i)])),
        );
        self.deltas.clear();
        match field {
            Field::T | Field::Y => {
                let (base, mut best) = rebase(&mut self.values);
                let mut choice = (code::PACKED, base);
                if field == Field::Y {
                    self.deltas.extend(members.iter().map(|&i| {
                        self.steps[usize::from(i)].wrapping_sub(events[usize::from(i)].y)
                    }));
                    let (base, other) = rebase(&mut self.deltas);
                    if other.1 < best.1 {
                        (choice, best) = ((code::PACKED_OF_STEP, base), other);
                        std::mem::swap(&mut self.values, &mut self.deltas);
                    }
                }
                out.push(choice.0);
                put_varint(out, zigzag(choice.1));
                bits::pack(&self.values, best.0, out);
            }
            _ => {
                let mut before = 0;
                self.deltas.extend(
                    self.values
                        .iter()
                        .map(|&v| v.wrapping_sub(std::mem::replace(&mut before, v))),
                );
                // The first has nothing before it: it is told by the base when all steps are alike, else by its width.
                let (plain, delta) = (fixed_width(&self.values), fixed_width(&self.deltas));
                let (values, kind, (base, width)) = if delta.1 < plain.1 {
                    (&self.deltas, code::DELTA, delta)
                } else {
                    (&self.values, code::FIXED, plain)
                };
                out.push(kind + width.trailing_zeros() as u8);
                put_varint(out, zigzag(base));
                values.iter().for_each(|v| {
                    out.extend_from_slice(&v.wrapping_sub(base).to_le_bytes()[..width])
                });
            }
        }
    }
}

/// Subtracts the least value (as signed numbers) from all; the base, and the best packing of the rest.
fn rebase(values: &mut [u64]) -> (u64, (usize, usize)) {
    let base = values.iter().map(|&v| v as i64).min().unwrap_or(0) as u64;
    values.iter_mut().for_each(|v| *v = v.wrapping_sub(base));
    (base, bits::width(values.iter().copied()))
}

/// The least value (as signed numbers) and the bytes that hold the distance of any other from it.
fn fixed_width(values: &[u64]) -> (u64, usize) {
    let base = values.iter().map(|&v| v as i64).min().unwrap_or(0) as u64;
    let most = values
        .iter()
        .map(|v| v.wrapping_sub(base))
        .max()
        .unwrap_or(0);
    // Without need of a base the bytes are the values themselves, and alike in lanes with different ranges.
    match most.max(base) {
        0..=0xff => (0, 1),
        0x100..=0xffff => (0, 2),
        _ => match most {
            0..=0xff => (base, 1),
            0x100..=0xffff => (base, 2),
            0x1_0000..=0xffff_ffff => (base, 4),
            _ => (base, 8),
        },
    }
}

/// Decodes pages; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    templates: Vec<Event>,
    lanes: Vec<(u32, u32, u8)>,
    next: Vec<u32>,
    positions: Vec<u16>,
    words: Vec<u64>,
    fds: Vec<u64>,
    values: Vec<u64>,
}

impl Decoder {
    /// Decodes `count` events; nothing if the bytes are no valid coding of them. Returns how many were of a newer kind:
    /// each reads as a [`Kind::Lost`] with cause [`Cause::Newer`].
    pub fn decode(
        &mut self,
        raw: &[u8],
        count: usize,
        events: &mut Vec<Event>,
        text: &mut Vec<u8>,
    ) -> Option<u64> {
        events.clear();
        text.clear();
        if count > MAX_EVENTS {
            return None;
        }
        let mut input = Input(raw);
        let lanes: usize = input.small()?;
        let base = input.varint()?;
        let newer = self.read_lanes(&mut input, lanes, count)?;
        self.read_dictionary(&mut input, count)?;
        match lanes {
            0..=0x100 => self.place(input.bytes(count)?.iter().map(|&s| usize::from(s)), events)?,
            _ => {
                let (pairs, _) = input.bytes(count * 2)?.as_chunks::<2>();
                self.place(
                    pairs.iter().map(|s| usize::from(u16::from_le_bytes(*s))),
                    events,
                )?;
            }
        }
        for field in FIELDS {
            for lane in 0..lanes {
                let (start, n, columns) = self.lanes[lane];
                if columns & field.bit() != 0 {
                    self.column(&mut input, field, start as usize, n as usize, events)?;
                }
            }
        }
        let mut t = base;
        let mut at = 0usize;
        for e in events.iter_mut() {
            t = t.wrapping_add(e.t);
            e.t = t;
            e.text.at = at as u32;
            at += usize::from(e.text.len);
        }
        if at != input.0.len() || events.iter().any(|e| usize::from(e.text.len) > MAX_TEXT) {
            return None;
        }
        text.extend_from_slice(input.0);
        if newer > 0 {
            self.blank_newer(events);
        }
        Some(newer)
    }

    fn read_lanes(&mut self, input: &mut Input<'_>, lanes: usize, count: usize) -> Option<u64> {
        self.templates.clear();
        self.lanes.clear();
        self.next.clear();
        if lanes > count {
            return None;
        }
        let (mut start, mut newer) = (0usize, 0);
        for _ in 0..lanes {
            let &[kind, flags, columns, mask] = input.bytes(4)?.first_chunk()?;
            let mut event = Event {
                flags,
                thread: input.small()?,
                site: input.small()?,
                ..Event::default()
            };
            let n: usize = input.small()?;
            for field in FIELDS {
                if mask & field.bit() != 0 {
                    field.set(&mut event, unzigzag(input.varint()?));
                }
            }
            match Kind::from_code(kind) {
                Some(kind) => event.kind = kind,
                None => {
                    newer += n as u64;
                    event.kind = Kind::Lost;
                    event.aux = Cause::Newer.code();
                    event.flags = NEWER;
                }
            }
            self.templates.push(event);
            self.lanes.push((start as u32, n as u32, columns));
            self.next.push(start as u32);
            start = start.checked_add(n).filter(|&s| s <= count)?;
        }
        (start == count).then_some(newer)
    }

    fn read_dictionary(&mut self, input: &mut Input<'_>, count: usize) -> Option<()> {
        let len: usize = input.small()?;
        self.words.clear();
        self.fds.clear();
        if len > 2 * count {
            return None;
        }
        for column in [&mut self.words, &mut self.fds] {
            let mut value = 0u64;
            for _ in 0..len {
                value = value.wrapping_add(unzigzag(input.varint()?));
                column.push(value);
            }
        }
        Some(())
    }

    /// Writes every event from its lane's template and notes where each lane's events stand.
    fn place(
        &mut self,
        symbols: impl ExactSizeIterator<Item = usize>,
        events: &mut Vec<Event>,
    ) -> Option<()> {
        self.positions.clear();
        self.positions.resize(symbols.len(), 0);
        for (i, symbol) in symbols.enumerate() {
            let next = self.next.get_mut(symbol)?;
            *self.positions.get_mut(*next as usize)? = i as u16;
            *next += 1;
            events.push(self.templates[symbol]);
        }
        // A lane with more events than it said has run into its neighbour.
        self.lanes
            .iter()
            .zip(&self.next)
            .all(|((start, n, _), next)| start + n == *next)
            .then_some(())
    }

    fn column(
        &mut self,
        input: &mut Input<'_>,
        field: Field,
        start: usize,
        n: usize,
        events: &mut [Event],
    ) -> Option<()> {
        let positions = &self.positions[start..start + n];
        let kind = input.byte()?;
        if kind == code::PLACE {
            let dictionary = if field == Field::Arg {
                &self.words
            } else {
                &self.fds
            };
            return match Dictionary::width(dictionary.len()) {
                1 => places::<1>(input, field, positions, dictionary, events),
                2 => places::<2>(input, field, positions, dictionary, events),
                _ => places::<4>(input, field, positions, dictionary, events),
            };
        }
        let base = unzigzag(input.varint()?);
        match kind {
            code::FIXED => fixed::<1>(input, field, positions, base, events),
            1 => fixed::<2>(input, field, positions, base, events),
            2 => fixed::<4>(input, field, positions, base, events),
            3 => fixed::<8>(input, field, positions, base, events),
            code::DELTA => delta::<1>(input, field, positions, base, events),
            5 => delta::<2>(input, field, positions, base, events),
            6 => delta::<4>(input, field, positions, base, events),
            7 => delta::<8>(input, field, positions, base, events),
            code::PACKED | code::PACKED_OF_STEP => {
                self.values.resize(n, 0);
                bits::unpack(input, &mut self.values)?;
                let values = self.values.iter().map(|v| v.wrapping_add(base));
                if kind == code::PACKED {
                    scatter(field, positions, values, events);
                } else {
                    for (&i, value) in positions.iter().zip(values) {
                        let e = events.get_mut(usize::from(i))?;
                        e.y = e.t.wrapping_sub(value);
                    }
                }
                Some(())
            }
            _ => None,
        }
    }

    /// A record of a kind that this version does not know keeps its number, its time and its thread.
    fn blank_newer(&self, events: &mut [Event]) {
        for e in events
            .iter_mut()
            .filter(|e| e.flags == NEWER && e.kind == Kind::Lost)
        {
            let blank = Event {
                t: e.t,
                thread: e.thread,
                kind: Kind::Lost,
                aux: Cause::Newer.code(),
                arg: 1,
                fd: -1,
                ..Event::default()
            };
            *e = blank;
        }
    }
}

/// Marks a lane of a newer kind while its page is decoded; no event carries all flags at once.
const NEWER: u8 = 0xff;

fn little<const W: usize>(bytes: &[u8; W]) -> u64 {
    let mut word = [0; 8];
    word[..W].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Fills one field of the events at `positions`.
fn scatter(
    field: Field,
    positions: &[u16],
    values: impl Iterator<Item = u64>,
    events: &mut [Event],
) {
    fn each(
        positions: &[u16],
        values: impl Iterator<Item = u64>,
        events: &mut [Event],
        set: impl Fn(&mut Event, u64),
    ) {
        for (&i, value) in positions.iter().zip(values) {
            if let Some(e) = events.get_mut(usize::from(i)) {
                set(e, value);
            }
        }
    }
    // One loop a field, so that the choice is made once a column and not once a value.
    match field {
        Field::Arg => each(positions, values, events, |e, v| Field::Arg.set(e, v)),
        Field::Fd => each(positions, values, events, |e, v| Field::Fd.set(e, v)),
        Field::X => each(positions, values, events, |e, v| Field::X.set(e, v)),
        Field::Aux => each(positions, values, events, |e, v| Field::Aux.set(e, v)),
        Field::Len => each(positions, values, events, |e, v| Field::Len.set(e, v)),
        Field::T => each(positions, values, events, |e, v| Field::T.set(e, v)),
        Field::Y => each(positions, values, events, |e, v| Field::Y.set(e, v)),
    }
}

fn fixed<const W: usize>(
    input: &mut Input<'_>,
    field: Field,
    positions: &[u16],
    base: u64,
    events: &mut [Event],
) -> Option<()> {
    let (values, _) = input.bytes(positions.len() * W)?.as_chunks::<W>();
    scatter(
        field,
        positions,
        values.iter().map(|v| little(v).wrapping_add(base)),
        events,
    );
    Some(())
}

fn delta<const W: usize>(
    input: &mut Input<'_>,
    field: Field,
    positions: &[u16],
    base: u64,
    events: &mut [Event],
) -> Option<()> {
    let first = unzigzag(input.varint()?);
    let (steps, _) = input
        .bytes(positions.len().saturating_sub(1) * W)?
        .as_chunks::<W>();
    let mut sum = first;
    let rest = steps.iter().map(|v| {
        sum = sum.wrapping_add(little(v).wrapping_add(base));
        sum
    });
    scatter(field, positions, std::iter::once(first).chain(rest), events);
    Some(())
}

fn places<const W: usize>(
    input: &mut Input<'_>,
    field: Field,
    positions: &[u16],
    dictionary: &[u64],
    events: &mut [Event],
) -> Option<()> {
    let (places, _) = input.bytes(positions.len() * W)?.as_chunks::<W>();
    let highest = places.iter().map(little).max().unwrap_or(0);
    if highest >= dictionary.len() as u64 {
        return None;
    }
    scatter(
        field,
        positions,
        places.iter().map(|p| dictionary[little(p) as usize]),
        events,
    );
    Some(())
}
