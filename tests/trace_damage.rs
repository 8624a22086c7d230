//! A damaged, cut or hostile recording: what is whole is read, what is not is reported, nothing panics. Step: **trace**.

mod trace_support;

use std::fs;

use loopscope::record::event::{Cause, Kind};
use loopscope::trace::{Error, Options, Problem, Reader, Writer};
use trace_support::{Random, bare, read_numbered, stream, write};

/// A finished recording with an attachment and derived pages between its events; 700 turns make about 64 KB.
fn sample(turns: usize) -> (tempfile::TempDir, Vec<u8>, trace_support::Stream) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    let written = stream(turns);
    let mut writer = Writer::create(&path, &Default::default(), Options::default()).unwrap();
    for (i, (event, text)) in written.iter().enumerate() {
        writer.write(event, text);
        if i % (turns * 3 / 4) == 0 {
            writer
                .derived(1, 1, 0..writer.events(), &[i as u8; 100])
                .unwrap();
        }
        if i == turns * 4 {
            writer.attach("source.rs", b"fn main() {}").unwrap();
        }
    }
    writer.finish().unwrap();
    let bytes = fs::read(&path).unwrap();
    (dir, bytes, written)
}

#[test]
fn every_prefix_that_holds_the_header_opens() {
    let (dir, bytes, written) = sample(700);
    let path = dir.path().join("prefix.lscope");
    // The first copy of the header ends where the second begins.
    let header = bytes[8..]
        .windows(8)
        .position(|w| w == &bytes[..8])
        .unwrap()
        + 8;
    let mut before = 0;
    // Longest first: truncating is cheaper than writing anew.
    fs::write(&path, &bytes).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut lens = Vec::new();
    for len in (0..bytes.len()).rev() {
        file.set_len(len as u64).unwrap();
        match Reader::open(&path) {
            Ok(mut reader) => {
                assert!(len >= header, "opened with {len} bytes");
                assert!(!reader.complete(), "complete with {len} bytes");
                assert!(
                    reader
                        .problems()
                        .iter()
                        .any(|p| matches!(p, Problem::Unfinished { .. })),
                    "{len}: {:?}",
                    reader.problems()
                );
                lens.push(reader.len());
                if len % 199 == 0 {
                    let got = read_numbered(&mut reader);
                    assert_eq!(got.len() as u64, reader.len());
                    assert!(
                        got.iter()
                            .zip(&written)
                            .all(|((_, e, text), (f, t))| e == f && text == t)
                    );
                }
            }
            Err(error) => {
                assert!(len < header, "{len} bytes: {error}");
                let text = error.to_string();
                match len {
                    0 => assert!(matches!(error, Error::Empty(_)), "{text}"),
                    _ => assert!(
                        matches!(error, Error::TooShort { .. } | Error::NotARecording(_)),
                        "{text}"
                    ),
                }
                assert!(
                    len < 8 || matches!(error, Error::TooShort { .. }),
                    "{len} bytes: {text}"
                );
                assert!(text.contains("; "), "no advice: {text}");
            }
        }
    }
    lens.reverse();
    for len in lens {
        assert!(len >= before, "a longer prefix has fewer events");
        before = len;
    }
    assert_eq!(before, written.len() as u64);
}

#[test]
fn every_bit_flip_is_noticed_and_the_rest_is_read() {
    let (dir, bytes, written) = sample(60);
    let path = dir.path().join("flipped.lscope");
    fs::write(&path, &bytes).unwrap();
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let pages: Vec<_> = Reader::open(&path).unwrap().pages().to_vec();
    let mut random = Random::new(11);
    let flips = if cfg!(debug_assertions) {
        4_000
    } else {
        20_000
    };
    for _ in 0..flips {
        let at = random.below(bytes.len() as u64) as usize;
        let bit = random.below(8);
        file.write_all_at(&[bytes[at] ^ 1 << bit], at as u64)
            .unwrap();
        let mut reader = Reader::open(&path).unwrap_or_else(|e| panic!("byte {at} bit {bit}: {e}"));
        reader.verify().unwrap();
        assert!(
            !reader.problems().is_empty(),
            "byte {at} bit {bit} went unnoticed"
        );
        assert!(!reader.complete());
        let hit = pages
            .iter()
            .find(|p| (p.at..p.at + p.size).contains(&(at as u64)));
        let spared = hit.map_or(0..0, |p| p.events());
        let got = read_numbered(&mut reader);
        let mut expected = written
            .iter()
            .enumerate()
            .filter(|(n, _)| !spared.contains(&(*n as u64)));
        for (number, event, text) in &got {
            if event.kind == Kind::Lost {
                assert_eq!(event.aux, Cause::Damaged.code());
                assert_eq!(
                    (*number, event.arg),
                    (spared.start, spared.end - spared.start),
                    "byte {at} bit {bit}"
                );
                continue;
            }
            let (n, (e, t)) = expected.next().expect("no more events than were written");
            assert_eq!(
                (*number, event, text),
                (n as u64, &bare(e), t),
                "byte {at} bit {bit}"
            );
        }
        assert_eq!(
            expected.count(),
            0,
            "byte {at} bit {bit}: events outside the damaged page are missing"
        );
        file.write_all_at(&[bytes[at]], at as u64).unwrap();
    }
    assert!(Reader::open(&path).unwrap().complete());
}

#[test]
fn damage_without_a_footer_is_resynchronised() {
    let (dir, mut bytes, written) = sample(700);
    let path = dir.path().join("cut.lscope");
    let whole = dir.path().join("a.lscope");
    let pages = Reader::open(&whole).unwrap().pages().to_vec();
    let (hit, last) = (&pages[2], &pages[pages.len() - 1]);
    bytes.truncate((last.at + last.size + 10) as usize);
    bytes[hit.at as usize + 20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.end(), written.len() as u64);
    let got = read_numbered(&mut reader);
    assert_eq!(got.len() as u64, written.len() as u64 - hit.count + 1);
    let lost = Problem::Page {
        kind: None,
        events: hit.events(),
        bytes: hit.at..hit.at + hit.size,
    };
    assert!(reader.problems().contains(&lost), "{:?}", reader.problems());
    assert!(reader.problems().contains(&Problem::Unfinished {
        at: last.at + last.size,
        stray: 10
    }));
}

/// The page before is read while another thread reads the next one: what is told of it is the same, damaged or not.
#[test]
fn reading_ahead_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    // Pages large enough for a thread to be worth it.
    write(&path, &stream(1_500), 10_000, Options::default()).unwrap();
    let pages = Reader::open(&path).unwrap().pages().to_vec();
    assert!(pages.len() > 4 && pages[2].count == 10_000, "{pages:?}");
    let mut bytes = fs::read(&path).unwrap();
    bytes[(pages[2].at + pages[2].size / 2) as usize] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let mut plain = Reader::open(&path).unwrap();
    let expected = read_numbered(&mut plain);
    let mut reader = Reader::open(&path).unwrap();
    let mut got = Vec::new();
    for page in 0..pages.len() {
        let events = reader.page(page).unwrap();
        let all = events
            .iter()
            .map(|(n, e, text)| (n, bare(e), text.to_vec()));
        reader.read_ahead(page + 1, || got.extend(all));
    }
    assert_eq!(got, expected);
    assert_eq!(reader.problems(), plain.problems());
    assert_eq!(reader.damaged(), 10_000);
}

#[test]
fn bad_files_are_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let refused = |name: &str| Reader::open(path(name)).expect_err(name);
    assert!(matches!(Reader::open(dir.path()), Err(Error::NotAFile(_))));
    assert!(matches!(refused("absent"), Error::Io { .. }));
    fs::write(path("empty"), b"").unwrap();
    assert!(matches!(refused("empty"), Error::Empty(_)));
    fs::write(
        path("garbage"),
        b"#!/bin/sh\necho this is no recording, it only looks at you\n",
    )
    .unwrap();
    assert!(matches!(refused("garbage"), Error::NotARecording(_)));
    let mut random = Random::new(3);
    let noise: Vec<u8> = (0..200_000).map(|_| random.bits() as u8).collect();
    fs::write(path("noise"), noise).unwrap();
    assert!(matches!(refused("noise"), Error::NotARecording(_)));
    write(&path("good"), &stream(3), 100, Options::default()).unwrap();
    let good = fs::read(path("good")).unwrap();
    // A later version: both copies say so, checksums right.
    let mut newer = good.clone();
    let second = good[8..].windows(8).position(|w| w == &good[..8]).unwrap() + 8;
    for start in [0, second] {
        newer[start + 8..start + 12].copy_from_slice(&[9, 0, 9, 0]);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&newer[start..start + 40]);
        crc.update(&newer[start + 44..start + second]);
        newer[start + 40..start + 44].copy_from_slice(&crc.finalize().to_le_bytes());
    }
    fs::write(path("newer"), newer).unwrap();
    assert!(matches!(refused("newer"), Error::Newer { version: 9, .. }));
    assert!(refused("newer").to_string().contains("update loopscope"));
    let mut both = good.clone();
    both[20] ^= 1;
    both[second + 20] ^= 1;
    fs::write(path("both"), both).unwrap();
    assert!(matches!(refused("both"), Error::HeaderDamaged(_)));
    for name in ["absent", "empty", "garbage", "newer", "both"] {
        let text = refused(name).to_string();
        assert!(text.contains("; ") && !text.ends_with('.'), "{text}");
    }
}

#[test]
fn the_writer_never_overwrites_or_follows_links_unasked() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.lscope");
    write(&path, &stream(1), 100, Options::default()).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(matches!(
        write(&path, &stream(1), 100, Options::default()),
        Err(Error::Exists(_))
    ));
    let force = Options {
        force: true,
        ..Options::default()
    };
    write(&path, &stream(1), 100, force).unwrap();
    let link = dir.path().join("link.lscope");
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
    assert!(matches!(
        write(&link, &stream(1), 100, Options::default()),
        Err(Error::Exists(_))
    ));
    assert!(matches!(
        write(&link, &stream(1), 100, force),
        Err(Error::NotAFile(_))
    ));
    assert!(!dir.path().join("elsewhere").exists());
    let nowhere = dir.path().join("no/such/folder.lscope");
    assert!(matches!(
        write(&nowhere, &stream(1), 100, force),
        Err(Error::Io { .. })
    ));
}

#[test]
fn random_bytes_after_the_header_never_panic() {
    let (dir, bytes, _) = sample(700);
    let path = dir.path().join("mutated.lscope");
    let mut random = Random::new(5);
    for _ in 0..300 {
        let mut mutated = bytes.clone();
        // 2% of the bytes, as Wireshark's fuzz test does it, and sometimes a cut.
        for _ in 0..mutated.len() / 50 {
            let at = 200 + random.below(mutated.len() as u64 - 200) as usize;
            mutated[at] = random.bits() as u8;
        }
        if random.below(4) == 0 {
            mutated.truncate(500 + random.below(bytes.len() as u64 - 500) as usize);
        }
        fs::write(&path, &mutated).unwrap();
        if let Ok(mut reader) = Reader::open(&path) {
            reader.verify().unwrap();
            let _ = reader.attachments().unwrap();
            assert!(read_numbered(&mut reader).len() as u64 <= reader.len().max(1));
        }
    }
}
