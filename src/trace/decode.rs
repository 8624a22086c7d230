//! Lanes and columns back into events; [`columns`](super::columns) explains the coding. Step: **trace**.
//!
//! The bytes come from a file that anybody may have made: no length or place in them is trusted.
#![forbid(unsafe_code)]

use super::bits::{self, Input, unzigzag};
use super::columns::{FIELDS, Field, code, place_width};
use super::page::MAX_EVENTS;
use crate::record::event::{Cause, Event, Kind, MAX_TEXT};

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
            let n = input.small().filter(|&n: &usize| n <= count)?;
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
            return match place_width(dictionary.len()) {
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
