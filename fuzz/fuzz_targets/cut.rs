//! Any bytes as a recording, cut, and written with a size limit: whatever the events say, restating them must work.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use loopscope::trace::{self, Events, Meta, Options, Reader, Writer};

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = Reader::from_file(support::memory_file(data), "fuzz") else { return };
    if reader.pages().len() > 16 {
        return;
    }
    let options = Options { max_size: Some(Options::LEAST_SIZE), ..Options::default() };
    let mut writer = Writer::unnamed("/dev/shm", &Meta::default(), options).expect("a file in memory");
    let mut events = Events::default();
    // Often enough around for segments to be dropped and said again.
    for _ in 0..3 {
        for page in 0..reader.pages().len() {
            reader.read_page(page, &mut events).expect("memory does not fail");
            events.iter().for_each(|(_, e, text)| writer.write(e, text));
        }
    }
    writer.seal();
    let mut back = Reader::from_file(writer.reopen().expect("the file"), "back").expect("what was written opens");
    assert!(back.verify().expect("memory does not fail").iter().all(|p| matches!(p, trace::Problem::Unfinished { .. })));
    let path = format!("/dev/shm/loopscope-fuzz-{}", std::process::id());
    let force = Options { force: true, ..Options::default() };
    let middle = reader.duration_ns() / 2;
    trace::cut(&mut reader, &path, force, middle, u64::MAX).expect("a cut");
    let mut part = Reader::open(&path).expect("what was cut opens");
    let problems = part.verify().expect("memory does not fail");
    assert!(problems.is_empty(), "{problems:?}");
    let _ = std::fs::remove_file(&path);
});
