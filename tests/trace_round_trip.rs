//! Any events of any kind come back as they were; nothing about a page's content is taken for granted. Step: **trace**.

mod trace_support;

use loopscope::record::event::{Event, Kind, MAX_TEXT, flags};
use loopscope::trace::{Meta, Options, Reader, Writer};
use proptest::prelude::*;
use trace_support::{bare, read_all};

/// Values as they occur (small, repeated), at the edges of their types, and anywhere.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..20, 2 => any::<u32>().prop_map(u64::from), 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn event() -> impl Strategy<Value = (Event, Vec<u8>)> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let text = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(any::<u8>(), 0..MAX_TEXT + 50)];
    let flags = prop_oneof![4 => Just(0), 1 => any::<u8>().prop_map(|f| f & 0xfe)];
    (
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
        (number(), number()),
        kind,
        flags,
        text,
    )
        .prop_map(
            |(t, arg, y, thread, fd, x, (site, aux), kind, flags, text)| {
                let (thread, fd, x) = (thread as u32, fd as i32, x as i32);
                let event = Event {
                    t,
                    arg,
                    y,
                    thread,
                    fd,
                    x,
                    site: site as u16,
                    aux: aux as u16,
                    kind,
                    flags,
                    ..Event::default()
                };
                (event, text)
            },
        )
}

fn round_trip(written: &[(Event, Vec<u8>)], page: usize) {
    let mut writer =
        Writer::unnamed(std::env::temp_dir(), &Meta::default(), Options::default()).unwrap();
    for (i, (event, text)) in written.iter().enumerate() {
        writer.write(event, text);
        if (i + 1) % page == 0 {
            writer.seal();
        }
    }
    writer.seal();
    let mut reader = Reader::from_file(writer.reopen().unwrap(), "unnamed").unwrap();
    let got = read_all(&mut reader);
    assert_eq!(got.len(), written.len());
    for ((a, a_text), (b, b_text)) in written.iter().zip(&got) {
        let cut = if a_text.len() > MAX_TEXT {
            flags::CUT
        } else {
            0
        };
        assert_eq!(
            (
                Event {
                    flags: a.flags | cut,
                    ..bare(a)
                },
                &a_text[..a_text.len().min(MAX_TEXT)]
            ),
            (*b, &b_text[..])
        );
    }
    assert!(reader.verify().unwrap().is_empty());
}

proptest! {
    #[test]
    fn any_events_round_trip(written in prop::collection::vec(event(), 1..400), page in 1usize..400) {
        round_trip(&written, page);
    }

    /// Columns with a shape: a base, a step, a little noise, one field at a time; each has a width and a coding of its own.
    #[test]
    fn shaped_columns_round_trip(
        base in number(), step in number(), noise in prop::sample::select(vec![1u64, 2, 200, 256, 300, 60_000, 1 << 33]),
        draws in prop::collection::vec(any::<u64>(), 1..200), field in 0usize..6, kind in prop::sample::select(Kind::ALL.to_vec()),
    ) {
        let written: Vec<_> = draws.iter().zip(0u64..).map(|(draw, i)| {
            let value = base.wrapping_add(step.wrapping_mul(i)).wrapping_add(draw % noise);
            let mut e = Event { kind, ..Event::default() };
            match field {
                0 => e.arg = value,
                1 => e.y = value,
                2 => e.fd = value as i32,
                3 => e.x = value as i32,
                4 => e.t = value,
                _ => e.aux = value as u16,
            }
            (e, Vec::new())
        }).collect();
        round_trip(&written, usize::MAX);
    }

    #[test]
    fn any_meta_round_trips(command in prop::collection::vec(".{0,40}", 0..20), title in ".{0,20}", started_ns: u64) {
        let meta = Meta { command, title, started_ns, ..Meta::default() };
        let writer = Writer::unnamed(std::env::temp_dir(), &meta, Options::default()).unwrap();
        let reader = Reader::from_file(writer.reopen().unwrap(), "unnamed").unwrap();
        prop_assert_eq!(reader.meta(), &meta);
    }
}

#[test]
fn every_kind_alone_round_trips() {
    for &kind in Kind::ALL {
        let event = Event {
            kind,
            t: 9,
            arg: 8,
            y: 7,
            thread: 6,
            fd: 5,
            x: -4,
            site: 3,
            aux: 2,
            flags: flags::LATE,
            ..Event::default()
        };
        round_trip(
            &[
                (event, b"text".to_vec()),
                (event, Vec::new()),
                (
                    Event {
                        kind,
                        ..Event::default()
                    },
                    vec![0],
                ),
            ],
            2,
        );
    }
}

#[test]
fn a_page_with_a_lane_for_every_event_round_trips() {
    // 65,536 threads at once: more lanes than a byte can name, and more descriptors.
    let written: Vec<_> = (0..70_000u32)
        .map(|i| {
            let kind = if i % 2 == 0 { Kind::Io } else { Kind::RunBegin };
            (
                Event {
                    kind,
                    thread: i,
                    fd: i as i32,
                    arg: u64::from(i) << 20,
                    t: u64::from(i),
                    y: 3,
                    ..Event::default()
                },
                Vec::new(),
            )
        })
        .collect();
    round_trip(&written, usize::MAX);
    // One lane, more than 65,536 registrations over two pages.
    let written: Vec<_> = (0..70_000u32)
        .map(|i| {
            (
                Event {
                    kind: Kind::Io,
                    fd: i as i32,
                    arg: u64::from(i) * 7,
                    t: u64::from(i),
                    ..Event::default()
                },
                Vec::new(),
            )
        })
        .collect();
    round_trip(&written, usize::MAX);
}
