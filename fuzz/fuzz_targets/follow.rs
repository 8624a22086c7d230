//! A recording that grows, shrinks and is overwritten while it is followed.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use loopscope::trace::{Events, Reader};
use std::os::unix::fs::FileExt;

fuzz_target!(|data: &[u8]| {
    let Some((steps, data)) = data.split_at_checked(16) else { return };
    let cut = |step: u8| data.len() * usize::from(step) / 255;
    let file = support::memory_file(&data[..cut(steps[0])]);
    let writer = file.try_clone().expect("a descriptor");
    let Ok(mut reader) = Reader::from_file(file, "fuzz") else { return };
    let mut events = Events::default();
    for step in steps[1..].chunks(3) {
        let (from, to) = (cut(step[0]), cut(step[1]));
        match step.get(2).copied().unwrap_or(0) % 4 {
            // Grow or overwrite with what belongs there, or with what belongs elsewhere, or shorten.
            0 | 1 => drop(writer.write_all_at(&data[from.min(to)..from.max(to)], from.min(to) as u64)),
            2 => drop(writer.write_all_at(&data[from.min(to)..from.max(to)], 100)),
            _ => drop(writer.set_len(from as u64)),
        }
        reader.refresh().expect("memory does not fail");
        let pages = reader.pages().len();
        for page in (0..pages).rev().take(4) {
            reader.read_page(page, &mut events).expect("memory does not fail");
        }
        assert!(reader.first() <= reader.end());
    }
});
