//! A recording made from the benches' synthetic stream, so that tests of the commands need no program to record.

#[path = "../../benches/common/synth.rs"]
#[allow(dead_code)]
mod synth;
#[path = "unmarked.rs"]
#[allow(dead_code)]
mod unmarked;

use loopscope::trace::{Meta, Options, Writer};
use std::path::Path;

/// 2026-01-01T00:00:00Z, so that nothing depends on when the tests run.
pub const STARTED_NS: u64 = 1_767_225_600_000_000_000;

pub fn meta() -> Meta {
    Meta {
        tool: "loopscope test".into(),
        source: "library".into(),
        command: vec!["synthetic-server".into(), "--evil=\u{1b}[2J\u{202e}".into()],
        cwd: "/srv".into(),
        pid: 4242,
        started_ns: STARTED_NS,
        kernel: "Linux 6.18".into(),
        cpu: "a processor".into(),
        cpus: 2,
        clock: "tsc".into(),
        clocksource: "tsc".into(),
        kernel_ready: "bounded".into(),
        handlers: "measured".into(),
        ..Meta::default()
    }
}

/// `turns` turns of a loop with up to 20 connections; the same bytes for the same seed. Returns the number of events.
pub fn write(path: &Path, seed: u64, turns: usize) -> u64 {
    let mut writer = Writer::create(path, &meta(), Options::default()).unwrap();
    let mut synth = synth::Synth::new(seed, 20);
    let mut emit = |event: &_, text: &[u8]| writer.write(event, text);
    synth.start(&mut emit);
    for _ in 0..turns {
        synth.turn(&mut emit);
    }
    writer.attach("lesson.md", b"# A lesson").unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!(summary.events, synth.emitted());
    summary.events
}

/// The same of a program that marks no handlers, up to its last entry into a wait; `late_writes` as in [`unmarked`].
#[allow(dead_code)]
pub fn write_unmarked(path: &Path, seed: u64, turns: usize, late_writes: bool) {
    let mut meta = meta();
    meta.source = "preload".into();
    meta.handlers = "inferred".into();
    let mut writer = Writer::create(path, &meta, Options::default()).unwrap();
    let mut synth = synth::Synth::new(seed, 20);
    let mut unmarked = unmarked::Unmarked::new(late_writes, |event: &_, text: &[u8]| {
        writer.write(event, text)
    });
    let mut emit = |event: &_, text: &[u8]| unmarked.push(event, text);
    synth.start(&mut emit);
    for _ in 0..turns {
        synth.turn(&mut emit);
    }
    writer.finish().unwrap();
}
