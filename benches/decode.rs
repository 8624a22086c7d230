//! Events decoded a second on one core, file read, checksum and decompression included: `cargo bench --bench decode`.
//!
//! The aim is 60 million (docs/PERFORMANCE.md).

#[path = "common/synth.rs"]
#[allow(dead_code)]
mod synth;

use std::time::Instant;

use loopscope::trace::{Events, Meta, Options, Reader, Writer};
use synth::Synth;

fn main() {
    const EVENTS: u64 = 8_000_000;
    println!(
        "{:>10} {:>12} {:>12} {:>10}",
        "page", "decode M/s", "encode M/s", "bytes"
    );
    for page in [4 << 10, 16 << 10, 64 << 10] {
        let mut writer =
            Writer::unnamed(std::env::temp_dir(), &Meta::default(), Options::default())
                .expect("a temporary file");
        let mut synth = Synth::new(1, 1000);
        let mut count = 0u64;
        let mut batch = Vec::new();
        let mut encoding = std::time::Duration::ZERO;
        synth.start(&mut |e, text| batch.push((*e, text.to_vec())));
        while count < EVENTS {
            while batch.len() < page {
                synth.turn(&mut |e, text| batch.push((*e, text.to_vec())));
            }
            count += batch.len() as u64;
            let start = Instant::now();
            batch.iter().for_each(|(e, text)| writer.write(e, text));
            writer.seal();
            encoding += start.elapsed();
            batch.clear();
        }
        let mut reader =
            Reader::from_file(writer.reopen().expect("the file"), "bench").expect("a recording");
        let mut events = Events::default();
        let mut best = f64::MAX;
        let mut sum = 0u64;
        for _ in 0..5 {
            let start = Instant::now();
            for index in 0..reader.pages().len() {
                reader.read_page(index, &mut events).expect("a page");
                sum = sum.wrapping_add(events.events.last().map_or(0, |e| e.t));
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        std::hint::black_box(sum);
        let bytes = writer.bytes() as f64 / count as f64;
        let (decode, encode) = (
            count as f64 / best / 1e6,
            count as f64 / encoding.as_secs_f64() / 1e6,
        );
        println!("{page:>10} {decode:>12.1} {encode:>12.1} {bytes:>10.2}");
    }
}
