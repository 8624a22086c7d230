//! A recording as a collector would have written it that was kept from the processor for long: some events came late.
#![allow(dead_code)] // each test binary uses its own part

use loopscope::record::event::{Event, Kind, flags};
use loopscope::trace::{Events, Options, Reader, Writer};
use std::path::Path;

/// One of so many events of a thread comes late.
const ONE_OF: u64 = 40;

/// Copies a recording, with some of its events late; the same ones for the same seed.
pub fn made_late(from: &Path, to: &Path, seed: u64) -> u64 {
    let mut reader = Reader::open(from).unwrap();
    let mut writer = Writer::create(to, &reader.meta().clone(), Options::default()).unwrap();
    let (mut events, mut late, mut dice) = (Events::default(), 0, seed | 1);
    let mut batch = false;
    for page in 0..reader.pages().len() {
        reader.read_page(page, &mut events).unwrap();
        for (_, e, text) in events.iter() {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            // A wakeup and what it reported are one record: they come together.
            let is = match e.kind {
                Kind::Ready => batch,
                _ => dice % ONE_OF == 0 && pushed(e),
            };
            if e.kind == Kind::WaitExit {
                batch = is;
            }
            late += u64::from(is);
            let flag = if is { flags::LATE } else { 0 };
            let flags = e.flags & !flags::LATE | flag;
            writer.write(&Event { flags, ..*e }, text);
        }
    }
    writer.finish().unwrap();
    late
}

/// A thread pushed it itself.
fn pushed(e: &Event) -> bool {
    use Kind::*;
    let own = [
        WaitEnter,
        WaitExit,
        CtlBegin,
        CtlEnd,
        RunBegin,
        RunEnd,
        Io,
        FdOpen,
        FdCloseBegin,
        FdCloseEnd,
        DupBegin,
        DupEnd,
        SupplyBegin,
        Supplied,
        TimerBegin,
        TimerEnd,
        TaskBegin,
        TaskEnd,
    ];
    own.contains(&e.kind)
}
