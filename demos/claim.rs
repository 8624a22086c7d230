//! What a recording showed, as far as a demo's claim needs it. The command line fills it in from the model.

/// Everything seen of one descriptor name, all its registrations together.
#[derive(Clone, Debug, Default)]
pub struct Fd {
    /// The name.
    pub name: String,
    /// Time in its handler, nanoseconds.
    pub run_ns: u64,
    /// notice + queue of each run: at least this. Sorted.
    pub waits_lo: Vec<u64>,
    /// notice + queue of each run: at most this. Sorted.
    pub waits_hi: Vec<u64>,
    /// Bytes its peer is known to have sent.
    pub supplied: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Time during which data was left over that no event would ever tell of, nanoseconds.
    pub left_over_ns: u64,
}

/// Everything seen of a run.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Length of the recording, nanoseconds.
    pub duration_ns: u64,
    /// By name.
    pub fds: Vec<Fd>,
}

/// One sentence about the recordings, and whether it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The sentence.
    pub text: String,
    /// The figures that decide.
    pub figures: String,
    /// Whether it holds.
    pub holds: bool,
}

impl Seen {
    /// The descriptor of this name; all zero if there is none.
    pub fn fd(&self, name: &str) -> Fd {
        let found = self.fds.iter().find(|fd| fd.name == name);
        found.cloned().unwrap_or_default()
    }

    /// Its part of all handler time, 0 to 1.
    pub fn share(&self, name: &str) -> f64 {
        let all: u64 = self.fds.iter().map(|fd| fd.run_ns).sum();
        self.fd(name).run_ns as f64 / all.max(1) as f64
    }
}

impl Claim {
    /// A sentence, the figures that decide, and the verdict.
    pub fn new(text: impl Into<String>, figures: impl Into<String>, holds: bool) -> Claim {
        Claim {
            text: text.into(),
            figures: figures.into(),
            holds,
        }
    }
}

/// The value below which `part` of the sorted values lie; nothing when there are none.
pub fn quantile(sorted: &[u64], part: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * part) as usize).copied()
}

/// Milliseconds, as a person reads them.
pub fn ms(ns: u64) -> String {
    format!("{:.2} ms", ns as f64 / 1e6)
}
