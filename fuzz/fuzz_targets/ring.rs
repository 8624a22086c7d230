//! Any bytes as ring memory, drained and merged by the collector.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| loopscope::capture::hostile::fuzz_ring(data));
