//! Any bytes as a recording: open, read every page, every stored page, every instant.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use loopscope::trace::{Events, Reader};

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = Reader::from_file(support::memory_file(data), "fuzz") else { return };
    let mut events = Events::default();
    let (mut next, mut said) = (reader.first(), 0);
    for page in 0..reader.pages().len().min(64) {
        reader.read_page(page, &mut events).expect("memory does not fail");
        for (number, event, text) in events.iter() {
            assert!(number >= reader.first() && text.len() <= 256);
            said += u64::from(event.kind.code() > 0);
        }
        let info = &reader.pages()[page];
        assert!(info.first_event == next && info.t_end >= info.t_last);
        next += info.count;
    }
    assert!(said > 0 || reader.is_empty() || next == reader.first());
    for number in [0, reader.first(), reader.end() / 2, reader.end().wrapping_sub(1), u64::MAX] {
        let mut cursor = reader.events_from(number);
        let _ = cursor.next().expect("memory does not fail");
    }
    for t in [0, reader.duration_ns() / 2, u64::MAX] {
        assert!(reader.event_at_time(t).expect("memory does not fail") <= reader.end());
    }
    let _ = reader.attachments().expect("memory does not fail");
    for derived in reader.derived(1, 1).iter().take(8) {
        let _ = reader.read_derived(derived);
    }
    if reader.pages().len() <= 64 {
        let _ = reader.verify().expect("memory does not fail");
    }
    let _ = reader.refresh().expect("memory does not fail");
});
