//! Any bytes as the payload of a page of events.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| loopscope::trace::fuzz_page(data));
