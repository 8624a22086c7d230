//! What a recording says about itself: who was recorded, where, when and how. Step: **trace**.
//!
//! Stored as tagged fields (tag u16, length u32, bytes), so that fields can be added: a reader skips tags it does not
//! know and leaves absent ones at their default.

/// Something the capture could not do, in three plain clauses (DESIGN, `report --json`, `setup`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// What is missing from the recording.
    pub missing: String,
    /// Why.
    pub because: String,
    /// What to do about it.
    pub advice: String,
}

/// A cut's place in the recording that it was taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutFrom {
    /// The cut's start, in nanoseconds since the original's start.
    pub from: u64,
    /// The cut's end.
    pub until: u64,
    /// The original's number of the first event that is not restated.
    pub first_event: u64,
    /// How many events at the cut's start restate what came before it (flag `AGAIN`).
    pub restated: u64,
}

/// The header's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The program that wrote the file, with its version: "loopscope 0.1.0".
    pub tool: String,
    /// What captured the events: "library", "preload", …
    pub source: String,
    /// The recorded command line.
    pub command: Vec<String>,
    /// Its working directory.
    pub cwd: String,
    /// The first recorded process.
    pub pid: u32,
    /// The recording's start, nanoseconds since 1970-01-01 UTC.
    pub started_ns: u64,
    /// The recording's start on CLOCK_MONOTONIC, nanoseconds.
    pub monotonic_ns: u64,
    /// Kernel release and version.
    pub kernel: String,
    /// Processor model.
    pub cpu: String,
    /// Processors online.
    pub cpus: u32,
    /// /proc/sys/kernel/random/boot_id
    pub boot_id: String,
    /// The clock of the rings: "tsc" or "monotonic".
    pub clock: String,
    /// Its ticks a second; 0 unknown.
    pub ticks_per_second: u64,
    /// The kernel's clocksource.
    pub clocksource: String,
    /// Size of the shared memory that holds the rings, in bytes.
    pub ring_bytes: u64,
    /// How well the instant of kernel readiness is known: "measured" or "bounded".
    pub kernel_ready: String,
    /// How handler runs are known: "measured" or "inferred".
    pub handlers: String,
    /// A name for people: the demo's, or empty.
    pub title: String,
    /// What the capture could not do.
    pub setup: Vec<Setup>,
    /// Set when this recording is a cut of another one.
    pub cut: Option<CutFrom>,
    /// Anything else, as pairs of name and value, in order.
    pub notes: Vec<(String, String)>,
}

/// The most bytes a list or text field may take, so that a header stays small.
pub(crate) const MAX_BODY: usize = 64 * 1024;

mod tag {
    pub const TOOL: u16 = 1;
    pub const SOURCE: u16 = 2;
    pub const ARGUMENT: u16 = 3;
    pub const CWD: u16 = 4;
    pub const PID: u16 = 5;
    pub const STARTED: u16 = 6;
    pub const MONOTONIC: u16 = 7;
    pub const KERNEL: u16 = 8;
    pub const CPU: u16 = 9;
    pub const CPUS: u16 = 10;
    pub const BOOT_ID: u16 = 11;
    pub const CLOCK: u16 = 12;
    pub const TICKS: u16 = 13;
    pub const CLOCKSOURCE: u16 = 14;
    pub const RING_BYTES: u16 = 15;
    pub const KERNEL_READY: u16 = 16;
    pub const HANDLERS: u16 = 17;
    pub const TITLE: u16 = 18;
    pub const SETUP: u16 = 19;
    pub const CUT: u16 = 20;
    pub const NOTE: u16 = 21;
}

impl Meta {
    /// The tagged fields, at most 64 KiB: what does not fit (a very long command line) is cut at a field's boundary.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut put = |tag: u16, bytes: &[u8]| {
            // A single field never takes more than a quarter, so that one huge argument cannot push out the rest.
            let bytes = &bytes[..bytes.len().min(MAX_BODY / 4)];
            if !bytes.is_empty() && out.len() + 6 + bytes.len() <= MAX_BODY {
                out.extend_from_slice(&tag.to_le_bytes());
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(bytes);
            }
        };
        put(tag::TOOL, self.tool.as_bytes());
        put(tag::SOURCE, self.source.as_bytes());
        put(tag::PID, &self.pid.to_le_bytes());
        put(tag::STARTED, &self.started_ns.to_le_bytes());
        put(tag::MONOTONIC, &self.monotonic_ns.to_le_bytes());
        put(tag::CPUS, &self.cpus.to_le_bytes());
        put(tag::TICKS, &self.ticks_per_second.to_le_bytes());
        put(tag::RING_BYTES, &self.ring_bytes.to_le_bytes());
        for (tag, text) in [
            (tag::CWD, &self.cwd),
            (tag::KERNEL, &self.kernel),
            (tag::CPU, &self.cpu),
            (tag::BOOT_ID, &self.boot_id),
            (tag::CLOCK, &self.clock),
            (tag::CLOCKSOURCE, &self.clocksource),
            (tag::KERNEL_READY, &self.kernel_ready),
            (tag::HANDLERS, &self.handlers),
            (tag::TITLE, &self.title),
        ] {
            put(tag, text.as_bytes());
        }
        if let Some(cut) = self.cut {
            let words = [cut.from, cut.until, cut.first_event, cut.restated];
            put(tag::CUT, &words.map(u64::to_le_bytes).concat());
        }
        for setup in &self.setup {
            put(
                tag::SETUP,
                &strings(&[&setup.missing, &setup.because, &setup.advice]),
            );
        }
        for (name, value) in &self.notes {
            put(tag::NOTE, &strings(&[name, value]));
        }
        for argument in &self.command {
            // The length prefix keeps an empty argument.
            put(tag::ARGUMENT, &strings(&[argument]));
        }
        out
    }

    /// Reads tagged fields; unknown tags and fields of an unexpected length are skipped.
    pub(crate) fn decode(mut body: &[u8]) -> Meta {
        let mut meta = Meta::default();
        while let Some((tag, bytes, rest)) = field(body) {
            body = rest;
            let text = || String::from_utf8_lossy(bytes).into_owned();
            match tag {
                tag::TOOL => meta.tool = text(),
                tag::SOURCE => meta.source = text(),
                tag::ARGUMENT => meta.command.extend(split(bytes).into_iter().next()),
                tag::CWD => meta.cwd = text(),
                tag::PID => set32(&mut meta.pid, bytes),
                tag::STARTED => set64(&mut meta.started_ns, bytes),
                tag::MONOTONIC => set64(&mut meta.monotonic_ns, bytes),
                tag::KERNEL => meta.kernel = text(),
                tag::CPU => meta.cpu = text(),
                tag::CPUS => set32(&mut meta.cpus, bytes),
                tag::BOOT_ID => meta.boot_id = text(),
                tag::CLOCK => meta.clock = text(),
                tag::TICKS => set64(&mut meta.ticks_per_second, bytes),
                tag::CLOCKSOURCE => meta.clocksource = text(),
                tag::RING_BYTES => set64(&mut meta.ring_bytes, bytes),
                tag::KERNEL_READY => meta.kernel_ready = text(),
                tag::HANDLERS => meta.handlers = text(),
                tag::TITLE => meta.title = text(),
                tag::SETUP => {
                    if let Ok([missing, because, advice]) = <[String; 3]>::try_from(split(bytes)) {
                        meta.setup.push(Setup {
                            missing,
                            because,
                            advice,
                        });
                    }
                }
                tag::CUT => {
                    if let [a, b, c, d, ..] =
                        bytes.chunks_exact(8).map(le64).collect::<Vec<_>>()[..]
                    {
                        meta.cut = Some(CutFrom {
                            from: a,
                            until: b,
                            first_event: c,
                            restated: d,
                        });
                    }
                }
                tag::NOTE => {
                    if let Ok([name, value]) = <[String; 2]>::try_from(split(bytes)) {
                        meta.notes.push((name, value));
                    }
                }
                _ => {}
            }
        }
        meta
    }

    /// The value of a note.
    pub fn note(&self, name: &str) -> Option<&str> {
        self.notes
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

fn le64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

fn set32(place: &mut u32, bytes: &[u8]) {
    if let Ok(bytes) = bytes.try_into() {
        *place = u32::from_le_bytes(bytes);
    }
}

fn set64(place: &mut u64, bytes: &[u8]) {
    if let Ok(bytes) = bytes.try_into() {
        *place = u64::from_le_bytes(bytes);
    }
}

fn field(body: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (head, rest) = body.split_at_checked(6)?;
    let tag = u16::from_le_bytes([head[0], head[1]]);
    let len = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
    let (bytes, rest) = rest.split_at_checked(len)?;
    Some((tag, bytes, rest))
}

/// Several texts in one field, each with its length (u32) before it.
fn strings(texts: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

fn split(mut bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        // A text whose length runs past the field (cut by the writer) keeps what is there.
        let (text, rest) = rest.split_at(rest.len().min(u32::from_le_bytes(*len) as usize));
        out.push(String::from_utf8_lossy(text).into_owned());
        bytes = rest;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_round_trips() {
        let meta = Meta {
            tool: "loopscope 0.1.0".into(),
            source: "library".into(),
            command: vec!["server".into(), String::new(), "--port=0".into()],
            cwd: "/srv".into(),
            pid: 42,
            started_ns: 1_700_000_000_000_000_000,
            monotonic_ns: 5,
            kernel: "Linux 6.18".into(),
            cpu: "EPYC".into(),
            cpus: 2,
            boot_id: "b".into(),
            clock: "tsc".into(),
            ticks_per_second: 2_600_000_000,
            clocksource: "kvm-clock".into(),
            ring_bytes: 1 << 24,
            kernel_ready: "bounded".into(),
            handlers: "measured".into(),
            title: "greedy-fd".into(),
            setup: vec![Setup {
                missing: "a".into(),
                because: "b".into(),
                advice: "c".into(),
            }],
            cut: Some(CutFrom {
                from: 1,
                until: 2,
                first_event: 3,
                restated: 4,
            }),
            notes: vec![("seed".into(), "7".into())],
        };
        assert_eq!(Meta::decode(&meta.encode()), meta);
        assert_eq!(meta.note("seed"), Some("7"));
    }

    #[test]
    fn unknown_and_broken_fields_are_skipped() {
        let mut body = vec![0xee, 0xee, 2, 0, 0, 0, 1, 2];
        body.extend(
            Meta {
                tool: "t".into(),
                ..Meta::default()
            }
            .encode(),
        );
        body.extend([1, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(Meta::decode(&body).tool, "t");
    }

    #[test]
    fn a_huge_command_line_is_cut_not_refused() {
        let meta = Meta {
            command: vec!["x".repeat(1 << 20); 9],
            tool: "t".into(),
            ..Meta::default()
        };
        let body = meta.encode();
        assert!(body.len() <= MAX_BODY);
        assert_eq!(Meta::decode(&body).tool, "t");
        assert!(!Meta::decode(&body).command.is_empty());
    }
}
