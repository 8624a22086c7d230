//! A second reader, written from docs/FORMAT.md alone, which takes the offsets out of that page's tables, and the files of
//! every released format version, which must stay readable for ever. Step: **trace**.

mod trace_support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use loopscope::record::event::{Cause, Ctl, Event, FdKind, Kind, Op, Space, Wait};
use loopscope::trace::{Meta, Options, Reader, Writer};
use trace_support::{Stream, read_all, stream};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Offset and size of each field in the table under a heading of docs/FORMAT.md.
fn table(heading: &str) -> HashMap<String, (usize, usize)> {
    let text = fs::read_to_string(root().join("docs/FORMAT.md")).unwrap();
    let section = text
        .split(&format!("\n## {heading}\n"))
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let mut out = HashMap::new();
    for row in section.lines().filter(|l| l.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if let (Ok(offset), Ok(size)) = (cells[1].parse(), cells[2].parse()) {
            out.insert(cells[3].to_owned(), (offset, size));
        }
    }
    assert!(!out.is_empty());
    out
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u128::from(b))
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head
    }
    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }
    fn varint(&mut self) -> u64 {
        let (mut n, mut shift) = (0u64, 0);
        loop {
            let b = self.byte();
            n |= u64::from(b & 0x7f) << shift;
            shift += 7;
            if b < 0x80 {
                return n;
            }
        }
    }
    fn zigzag(&mut self) -> i64 {
        let n = self.varint();
        (n >> 1) as i64 ^ -((n & 1) as i64)
    }
    fn packed_run(&mut self, n: usize) -> Vec<i64> {
        let (width, exceptions) = (usize::from(self.byte()), self.varint());
        let bits = self.take((n * width).div_ceil(8));
        let bit = |i: usize| u64::from(bits[i / 8] >> (i % 8) & 1);
        let mut out: Vec<u64> = (0..n)
            .map(|i| (0..width).fold(0, |v, b| v | bit(i * width + b) << b))
            .collect();
        let mut at = 0;
        for _ in 0..exceptions {
            at += self.varint() as usize;
            out[at] |= self.varint() << width;
        }
        out.into_iter().map(|v| v as i64).collect()
    }
    fn column(&mut self, n: usize, steps: &[i64], dictionary: &[i64]) -> Vec<i64> {
        let code = self.byte();
        if code == 10 {
            let width = if dictionary.len() <= 256 {
                1
            } else if dictionary.len() <= 65_536 {
                2
            } else {
                4
            };
            return (0..n)
                .map(|_| dictionary[number(self.take(width)) as usize])
                .collect();
        }
        let base = self.zigzag();
        match code {
            0..=3 => (0..n)
                .map(|_| (number(self.take(1 << code)) as i64).wrapping_add(base))
                .collect(),
            4..=7 => {
                let mut value = self.zigzag();
                let mut out = vec![value];
                for _ in 1..n {
                    value = value.wrapping_add(
                        (number(self.take(1 << (code - 4))) as i64).wrapping_add(base),
                    );
                    out.push(value);
                }
                out
            }
            8 => self
                .packed_run(n)
                .into_iter()
                .map(|v| v.wrapping_add(base))
                .collect(),
            9 => self
                .packed_run(n)
                .into_iter()
                .zip(steps)
                .map(|(v, step)| step.wrapping_sub(v.wrapping_add(base)))
                .collect(),
            _ => panic!("column code {code} is not in the table"),
        }
    }
}

const ARG: usize = 0;
const FD: usize = 1;
const X: usize = 2;
const AUX: usize = 3;
const LEN: usize = 4;
const T: usize = 5;
const Y: usize = 6;

fn events(raw: &[u8], count: usize) -> Stream {
    let mut input = Bytes(raw);
    let (lanes, t0) = (input.varint() as usize, input.varint());
    // kind, flags, columns, thread, site, count, the seven fields
    let mut table = Vec::new();
    for _ in 0..lanes {
        let [kind, flags, columns, constants] = [0; 4].map(|_| input.byte());
        let [thread, site, n] = [0; 3].map(|_| input.varint());
        let mut fields = [0i64; 7];
        (0..7)
            .filter(|f| constants >> f & 1 == 1)
            .for_each(|f| fields[f] = input.zigzag());
        table.push((kind, flags, columns, thread, site, n as usize, fields));
    }
    let n = input.varint() as usize;
    let mut dictionary = || {
        let mut before = 0i64;
        (0..n)
            .map(|_| {
                before = before.wrapping_add(input.zigzag());
                before
            })
            .collect::<Vec<_>>()
    };
    let dictionaries = [dictionary(), dictionary()];
    let width = if lanes <= 256 { 1 } else { 2 };
    let symbols: Vec<usize> = (0..count)
        .map(|_| number(input.take(width)) as usize)
        .collect();
    let members: Vec<Vec<usize>> = (0..lanes)
        .map(|lane| (0..count).filter(|&i| symbols[i] == lane).collect())
        .collect();
    let mut rows: Vec<[i64; 7]> = symbols.iter().map(|&s| table[s].6).collect();
    for field in [ARG, FD, X, AUX, LEN, T, Y] {
        for lane in 0..lanes {
            assert_eq!(members[lane].len(), table[lane].5);
            if table[lane].2 >> field & 1 == 1 {
                let steps: Vec<i64> = members[lane].iter().map(|&i| rows[i][T]).collect();
                let dictionary = &dictionaries[field.min(1)];
                let values = input.column(members[lane].len(), &steps, dictionary);
                members[lane]
                    .iter()
                    .zip(values)
                    .for_each(|(&i, v)| rows[i][field] = v);
            }
        }
    }
    let mut t = t0;
    let mut out = Stream::new();
    for (row, &s) in rows.iter().zip(&symbols) {
        let (kind, flags, _, thread, site, ..) = table[s];
        t = t.wrapping_add(row[T] as u64);
        let event = Event {
            t,
            arg: row[ARG] as u64,
            y: row[Y] as u64,
            thread: thread as u32,
            fd: row[FD] as i32,
            x: row[X] as i32,
            site: site as u16,
            aux: row[AUX] as u16,
            kind: Kind::from_code(kind).unwrap(),
            flags,
            ..Event::default()
        };
        out.push((event, input.take(row[LEN] as usize).to_vec()));
    }
    assert!(input.0.is_empty());
    out
}

/// Reads a whole file that just grows, by the tables.
fn read(file: &[u8]) -> Stream {
    let (header, page) = (table("Header"), table("Page"));
    let field = |table: &HashMap<String, (usize, usize)>, at: usize, name: &str| {
        let (offset, size) = table[name];
        number(&file[at + offset..at + offset + size])
    };
    let fixed = 44;
    let body = field(&header, 0, "body_len") as usize;
    assert_eq!(
        field(&header, 0, "magic").to_le_bytes()[..8],
        *b"\x89LSCOPE\n"
    );
    let mut crc = crc32fast::Hasher::new();
    crc.update(&file[..header["crc"].0]);
    crc.update(&file[fixed..fixed + body]);
    assert_eq!(u128::from(crc.finalize()), field(&header, 0, "crc"));
    assert_eq!(
        [
            field(&header, 0, "copy"),
            field(&header, fixed + body, "copy")
        ],
        [1, 2]
    );
    let id = file[header["id"].0..][..8].to_vec();
    let mut at = 2 * (fixed + body);
    let mut out = Stream::new();
    loop {
        let get = |name: &str| field(&page, at, name) as usize;
        assert_eq!(get("sync"), 0x0d53_4cf1);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&file[at..at + page["crc"].0]);
        crc.update(&id);
        assert_eq!(crc.finalize() as usize, get("crc"));
        let payload = &file[at + 96..at + 96 + get("packed")];
        assert_eq!(crc32fast::hash(payload) as usize, get("payload_crc"));
        let raw = match get("codec") {
            0 => payload.to_vec(),
            _ => lz4_flex::block::decompress(payload, get("raw")).unwrap(),
        };
        assert_eq!(raw.len(), get("raw"));
        match get("kind") {
            1 => {
                assert_eq!(get("first_event"), out.len());
                let page = events(&raw, get("count"));
                assert_eq!(
                    page.iter().map(|(e, _)| e.t).min().unwrap() as usize,
                    get("t_first")
                );
                assert_eq!(
                    page.iter().map(|(e, _)| e.t).max().unwrap() as usize,
                    get("t_last")
                );
                out.extend(page);
            }
            6 => {
                assert_eq!(
                    (get("first_event"), field(&page, at, "words") as usize),
                    (out.len(), at)
                );
                assert_eq!(at + 96, file.len());
                return out;
            }
            _ => {}
        }
        at += 96 + payload.len();
    }
}

/// What `recordings/format/v1.lscope` holds: every kind, several threads, values at the edges, then some ordinary turns.
fn v1() -> Stream {
    let mut out = Stream::new();
    for (i, &kind) in Kind::ALL
        .iter()
        .filter(|k| k.code() <= Kind::Output.code())
        .enumerate()
    {
        let i = i as u64;
        let plain = Event {
            kind,
            t: i * 1_000,
            thread: 1 + (i % 3) as u32,
            fd: 3 + i as i32,
            site: 2,
            ..Event::default()
        };
        let edge = Event {
            arg: u64::MAX - i,
            y: i << 40,
            x: -(i as i32),
            aux: i as u16,
            flags: 0x40,
            ..plain
        };
        out.push((plain, Vec::new()));
        out.push((edge, format!("text {i}").into_bytes()));
    }
    for (codes, space) in [
        (
            Wait::ALL
                .iter()
                .map(|c| c.code())
                .filter(|&c| c <= Wait::Pselect.code())
                .collect::<Vec<_>>(),
            1u16,
        ),
        (Ctl::ALL.iter().map(|c| c.code()).collect(), 2),
        (
            Op::ALL
                .iter()
                .map(|c| c.code())
                .filter(|&c| c <= Op::SoError.code())
                .collect(),
            3,
        ),
        (
            FdKind::ALL
                .iter()
                .map(|c| c.code())
                .filter(|&c| c <= FdKind::Inotify.code())
                .collect(),
            4,
        ),
        (
            Space::ALL
                .iter()
                .map(|c| c.code())
                .filter(|&c| c <= Space::Loop.code())
                .collect(),
            5,
        ),
        (
            Cause::ALL
                .iter()
                .map(|c| c.code())
                .filter(|&c| c <= Cause::Newer.code())
                .collect(),
            6,
        ),
    ] {
        for aux in codes {
            out.push((
                Event {
                    kind: Kind::Mark,
                    t: 100_000,
                    aux,
                    site: space,
                    ..Event::default()
                },
                Vec::new(),
            ));
        }
    }
    // Not the generator of the other tests: this file stays when that one changes.
    let mut t = 200_000;
    for turn in 0..60u64 {
        let mut put = |step: u64, event: Event| {
            t += step;
            out.push((
                Event {
                    t,
                    thread: 1,
                    ..event
                },
                Vec::new(),
            ));
        };
        let wait = Event {
            fd: 4,
            aux: Wait::Epoll.code(),
            ..Event::default()
        };
        put(
            90 + turn % 7,
            Event {
                kind: Kind::WaitEnter,
                x: 64,
                arg: u64::MAX,
                site: 1,
                ..wait
            },
        );
        // Numbers that count up are told by their steps.
        let span = Event {
            kind: Kind::SpanBegin,
            fd: -1,
            x: 1,
            arg: (7 << 40) + turn * 3,
            y: turn,
            ..Event::default()
        };
        put(5, span);
        put(
            5,
            Event {
                kind: Kind::TimerCancel,
                arg: (1 << 50) + turn * turn * 900,
                ..span
            },
        );
        let n = 1 + turn % 4;
        put(
            1_000 + 37 * turn,
            Event {
                kind: Kind::WaitExit,
                x: n as i32,
                ..wait
            },
        );
        let word = |i: u64| 0x5000_0000_0000 + (turn * 7 + i * 3) % 11 * 64;
        for i in 0..n {
            put(
                0,
                Event {
                    kind: Kind::Ready,
                    fd: 4,
                    x: 1,
                    aux: i as u16,
                    arg: word(i),
                    ..Event::default()
                },
            );
        }
        for i in 0..n {
            let run = Event {
                kind: Kind::RunBegin,
                fd: 4,
                x: 1,
                aux: i as u16,
                arg: word(i),
                site: 2,
                ..Event::default()
            };
            put(60, run);
            let (fd, y) = (10 + (word(i) / 64 % 16) as i32, 700 + turn * 13 % 50);
            let read = Event {
                kind: Kind::Io,
                fd,
                aux: Op::Read.code(),
                x: 64,
                arg: 4_096,
                y,
                site: 3,
                ..Event::default()
            };
            put(y + 40, read);
            put(
                y / 2,
                Event {
                    x: -11,
                    y: y / 2 - 5,
                    ..read
                },
            );
        }
        put(
            50,
            Event {
                kind: Kind::RunEnd,
                fd: 4,
                ..Event::default()
            },
        );
    }
    out
}

fn write_v1(path: &Path) {
    let meta = Meta {
        tool: "loopscope 0.1.0".into(),
        source: "library".into(),
        command: vec!["server".into(), "--port=0".into()],
        title: "format 1".into(),
        started_ns: 1_800_000_000_000_000_000,
        ..Meta::default()
    };
    let mut writer = Writer::create(
        path,
        &meta,
        Options {
            force: true,
            ..Options::default()
        },
    )
    .unwrap();
    writer.attach("hello.txt", b"hello").unwrap();
    for (i, (event, text)) in v1().iter().enumerate() {
        writer.write(event, text);
        if i % 300 == 299 {
            writer
                .derived(1, 1, 0..writer.events(), b"derived")
                .unwrap();
        }
    }
    writer.finish().unwrap();
}

#[test]
fn version_1_is_readable_for_ever() {
    let path = root().join("recordings/format/v1.lscope");
    let mut reader = Reader::open(&path).unwrap();
    assert!(reader.verify().unwrap().is_empty() && reader.complete());
    assert_eq!(
        (reader.meta().title.as_str(), reader.meta().command.len()),
        ("format 1", 2)
    );
    assert_eq!(reader.attachment("hello.txt").unwrap().unwrap(), b"hello");
    let derived = reader.derived(1, 1);
    assert_eq!(
        (derived.len(), &derived[0].events),
        (v1().len() / 300, &(0..300))
    );
    assert!(read_all(&mut reader) == v1(), "events differ");
}

#[test]
fn the_tables_are_enough_to_read_a_recording() {
    let file = fs::read(root().join("recordings/format/v1.lscope")).unwrap();
    assert!(read(&file) == v1(), "events differ");
    // And a larger one, written now: wide columns, exceptions, a dictionary of more than 256.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let mut writer = Writer::create(&path, &Meta::default(), Options::default()).unwrap();
    let mut written = stream(1_500);
    for i in 0..600u64 {
        let e = Event {
            kind: Kind::Ready,
            t: 1 << 40,
            arg: i * 0x1_0000_0001,
            thread: 1,
            ..Event::default()
        };
        written.push((e, Vec::new()));
        let span = Event {
            kind: Kind::SpanBegin,
            t: (1 << 40) + i,
            arg: (7 << 40) + i,
            thread: 1,
            ..Event::default()
        };
        written.push((span, vec![b'x'; (i % 250) as usize]));
    }
    written.iter().for_each(|(e, text)| writer.write(e, text));
    writer.finish().unwrap();
    assert!(read(&fs::read(&path).unwrap()) == written, "events differ");
}

/// Made `recordings/format/v1.lscope`; not to be run again once that version is released.
#[test]
#[ignore = "writes recordings/format/v1.lscope: cargo test --test format_table -- --ignored make_v1"]
fn make_v1() {
    let path = root().join("recordings/format/v1.lscope");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_v1(&path);
}
