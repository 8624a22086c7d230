//! The coding of events inside a page. Step: **trace**.

use super::page::MAX_EVENTS;
use crate::record::event::{Cause, Event, Kind, MAX_TEXT, Text};

/// Version of this coding, in the page header.
pub(crate) const VERSION: u16 = 1;

const ROW: usize = 44;

/// Encodes events whose texts lie in `text`.
pub(crate) fn encode(events: &[Event], text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for e in events {
        out.extend_from_slice(&e.t.to_le_bytes());
        out.extend_from_slice(&e.arg.to_le_bytes());
        out.extend_from_slice(&e.y.to_le_bytes());
        out.extend_from_slice(&e.thread.to_le_bytes());
        out.extend_from_slice(&e.fd.to_le_bytes());
        out.extend_from_slice(&e.x.to_le_bytes());
        out.extend_from_slice(&e.site.to_le_bytes());
        out.extend_from_slice(&e.aux.to_le_bytes());
        out.extend_from_slice(&[e.kind.code(), e.flags]);
        out.extend_from_slice(&e.text.len.to_le_bytes());
    }
    for e in events {
        out.extend_from_slice(e.text.of(text));
    }
}

/// Decodes `count` events; nothing if the bytes are no valid coding of them. Returns how many were of a newer kind.
pub(crate) fn decode(
    raw: &[u8],
    count: usize,
    events: &mut Vec<Event>,
    text: &mut Vec<u8>,
) -> Option<u64> {
    if count > MAX_EVENTS {
        return None;
    }
    let (rows, texts) = raw.split_at_checked(count * ROW)?;
    let mut newer = 0;
    let mut at = 0usize;
    for row in rows.chunks_exact(ROW) {
        let (t, rest) = row.split_first_chunk()?;
        let (arg, rest) = rest.split_first_chunk()?;
        let (y, rest) = rest.split_first_chunk()?;
        let (thread, rest) = rest.split_first_chunk()?;
        let (fd, rest) = rest.split_first_chunk()?;
        let (x, rest) = rest.split_first_chunk()?;
        let (site, rest) = rest.split_first_chunk()?;
        let (aux, rest) = rest.split_first_chunk()?;
        let len = u16::from_le_bytes([rest[2], rest[3]]);
        if usize::from(len) > MAX_TEXT {
            return None;
        }
        let event = Event {
            t: u64::from_le_bytes(*t),
            arg: u64::from_le_bytes(*arg),
            y: u64::from_le_bytes(*y),
            thread: u32::from_le_bytes(*thread),
            fd: i32::from_le_bytes(*fd),
            x: i32::from_le_bytes(*x),
            site: u16::from_le_bytes(*site),
            aux: u16::from_le_bytes(*aux),
            kind: Kind::Lost,
            flags: rest[1],
            text: Text { at: at as u32, len },
        };
        at += usize::from(len);
        events.push(match Kind::from_code(rest[0]) {
            Some(kind) => Event { kind, ..event },
            None => {
                newer += 1;
                Event {
                    t: event.t,
                    thread: event.thread,
                    kind: Kind::Lost,
                    aux: Cause::Newer.code(),
                    arg: 1,
                    fd: -1,
                    ..Event::default()
                }
            }
        });
    }
    if at != texts.len() {
        return None;
    }
    text.extend_from_slice(texts);
    Some(newer)
}
