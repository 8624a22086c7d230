//! Events into lanes and columns; [`columns`](super::columns) explains the coding. Step: **trace**.

use foldhash::HashMap;

use super::bits::{self, put_varint, zigzag};
use super::columns::{FIELDS, Field, code, has_epfd, has_word, place_width};
use super::dictionary::Dictionary;
use super::page::MAX_EVENTS;
use crate::record::event::{Event, Kind};

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

impl Key {
    /// The same in two words, to compare and to hash at a stroke.
    fn words(&self) -> [u64; 2] {
        [
            u64::from(self.thread) | u64::from(self.x as u32) << 32,
            u64::from(self.site)
                | u64::from(self.aux) << 16
                | u64::from(self.kind.code()) << 32
                | u64::from(self.flags) << 40,
        ]
    }
}

#[derive(Clone, Copy)]
struct Lane {
    key: Key,
    count: u32,
    start: u32,
    /// The fields that are not the same in all its events.
    columns: u8,
    /// Its first event, and that one's step.
    first: (Event, u64),
}

impl Lane {
    fn take(&mut self, e: &Event, step: u64) {
        self.count += 1;
        let (first, first_step) = &self.first;
        // No branch: which fields differ is hard to foresee.
        for field in FIELDS {
            let differs = field.get(e, step) != field.get(first, *first_step);
            self.columns |= u8::from(differs) * field.bit();
        }
    }
}

/// Lanes found lately, by a cheap hash of their keys: most events are of a few kinds.
struct Recent([([u64; 2], u16); 256]);

impl Recent {
    /// A key with bits that none has.
    const NONE: ([u64; 2], u16) = ([u64::MAX; 2], 0);

    fn place(words: [u64; 2]) -> usize {
        let mixed = words[0] ^ words[1].rotate_left(23);
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
    }
}

impl Default for Recent {
    fn default() -> Self {
        Recent([Self::NONE; 256])
    }
}

/// Encodes pages; keeps its buffers from one to the next.
#[derive(Default)]
pub(crate) struct Encoder {
    lanes: Vec<Lane>,
    by_key: HashMap<Key, u16>,
    recent: Recent,
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
        self.recent.0.fill(Recent::NONE);
        self.symbols.clear();
        self.steps.clear();
        let mut before = events.first().map_or(0, |e| e.t);
        for e in events {
            let step = e.t.wrapping_sub(before);
            let key = Key::of(e);
            let words = key.words();
            let recent = &mut self.recent.0[Recent::place(words)];
            if recent.0 != words {
                let symbol = *self.by_key.entry(key).or_insert_with(|| {
                    self.lanes.push(Lane {
                        key,
                        count: 0,
                        start: 0,
                        columns: 0,
                        first: (*e, step),
                    });
                    (self.lanes.len() - 1) as u16
                });
                *recent = (words, symbol);
            }
            let symbol = recent.1;
            self.lanes[usize::from(symbol)].take(e, step);
            self.symbols.push(symbol);
            self.steps.push(step);
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
            let width = place_width(self.dictionary.words.len());
            let places = members.iter().map(|&i| u64::from(places[usize::from(i)]));
            put_fixed(places, width, out);
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
                let steps = self.values.windows(2).map(|v| v[1].wrapping_sub(v[0]));
                self.deltas.extend(steps);
                let (plain, delta) = (fixed_width(&self.values), fixed_width(&self.deltas));
                let first = self.values.first().copied().unwrap_or(0);
                let (values, kind, (base, width)) = if delta.1 < plain.1 {
                    (&self.deltas, code::DELTA, delta)
                } else {
                    (&self.values, code::FIXED, plain)
                };
                out.push(kind + width.trailing_zeros() as u8);
                put_varint(out, zigzag(base));
                if kind == code::DELTA {
                    put_varint(out, zigzag(first));
                }
                put_fixed(values.iter().map(|v| v.wrapping_sub(base)), width, out);
            }
        }
    }
}

/// Appends numbers in 1, 2, 4 or 8 bytes each.
fn put_fixed(values: impl Iterator<Item = u64>, width: usize, out: &mut Vec<u8>) {
    match width {
        1 => out.extend(values.map(|v| v as u8)),
        2 => out.extend(values.flat_map(|v| (v as u16).to_le_bytes())),
        4 => out.extend(values.flat_map(|v| (v as u32).to_le_bytes())),
        _ => out.extend(values.flat_map(u64::to_le_bytes)),
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
    match base.saturating_add(most) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::decode::Decoder;

    #[test]
    fn a_column_of_steps_comes_back_whatever_it_starts_with() {
        for first in [0, 5, 127, 128, 1000, u64::MAX] {
            for step in [1, 200, u64::MAX] {
                let events: Vec<Event> = (0..2000)
                    .map(|i| Event {
                        kind: Kind::TaskQueued,
                        t: i,
                        arg: first.wrapping_add(step.wrapping_mul(i)),
                        ..Event::default()
                    })
                    .collect();
                let mut raw = Vec::new();
                Encoder::default().encode(&events, &[], &mut raw);
                let (mut back, mut text) = (Vec::new(), Vec::new());
                let newer = Decoder::default().decode(&raw, events.len(), &mut back, &mut text);
                assert_eq!(newer, Some(0));
                assert_eq!(back, events, "from {first} by {step}");
            }
        }
    }

    #[test]
    fn the_width_holds_the_largest_value_also_when_base_and_distance_each_fit_in_less() {
        // Found by steps of 1 after a first step of 256.
        assert_eq!(fixed_width(&[256, 1, 1, 1]), (0, 2));
        assert_eq!(fixed_width(&[255, 1]), (0, 1));
        assert_eq!(fixed_width(&[200, 300]), (0, 2));
        assert_eq!(fixed_width(&[0xffff, 0x1_0000]), (0xffff, 1));
        assert_eq!(fixed_width(&[0xfff0, 0x1_000f, 0x1_00ff]), (0xfff0, 2));
        assert_eq!(fixed_width(&[u64::MAX, 0]), (u64::MAX, 1)); // −1 and 0
    }
}
