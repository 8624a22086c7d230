//! What was found, as bytes: a search of a long recording is made once and kept in it. What is read back may come from
//! anywhere, so it is taken only if every view can show it as it is. Step: model → **view**.

use super::found::{Confidence, Evidence, Found, MOST_EVIDENCE, Period, Severity, Victims};
use super::{Code, MOST_NAMED, Outcome, book};
use crate::model::codec::{Codec, Cursor, codec, codec_enum};
use crate::text::is_hidden;

codec_enum!(Severity { 0 => Info, 1 => Warning, 2 => Error });
codec_enum!(Confidence { 0 => Measured, 1 => Inferred, 2 => Maybe });
codec!(Evidence { event, at_ns });
codec!(Period { ns, spread_ns });
codec!(Victims {
    count,
    worst_ns,
    worst,
});
codec!(Found {
    code,
    effects,
    severity,
    confidence,
    loop_id,
    process,
    thread,
    reg,
    role,
    fd,
    generation,
    first_ns,
    last_ns,
    at_ns,
    count,
    worst_ns,
    period,
    victims,
    summary,
    advice,
    evidence,
});
codec!(Outcome {
    found,
    omitted,
    checked,
    changed,
    named,
});

/// By its name, which is stable.
impl Codec for Code {
    fn put(&self, out: &mut Vec<u8>) {
        self.name().to_owned().put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        String::get(c)?.parse().ok()
    }
}

/// Bytes an outcome may have: a thousand findings with the longest names have half of that.
const MOST_BYTES: usize = 4 << 20;

impl Outcome {
    /// Appends itself to `out`.
    pub fn save(&self, out: &mut Vec<u8>) {
        self.put(out);
    }

    /// What [`save`](Self::save) wrote of a recording that ends before event `end`; nothing if it is none of ours.
    pub fn load(bytes: &[u8], end: u64) -> Option<Self> {
        if bytes.len() > MOST_BYTES {
            return None;
        }
        let mut c = Cursor::new(bytes);
        let outcome = Self::get(&mut c)?;
        let fits = c.is_empty()
            && outcome.found.len() <= book::MOST
            && outcome.named.len() <= MOST_NAMED
            && outcome.named.is_sorted_by_key(|(event, _)| *event)
            && outcome.changed.iter().all(|line| is_plain(line))
            && outcome.found.iter().all(|f| f.can_be_shown(end));
        fits.then_some(outcome)
    }
}

impl Found {
    /// It says what a rule could have said: events that are there, and no text that is more than text.
    fn can_be_shown(&self, end: u64) -> bool {
        let shown = 1..=MOST_EVIDENCE;
        shown.contains(&self.evidence.len())
            && self.evidence.iter().all(|e| e.event < end)
            && self.evidence.is_sorted_by_key(|e| e.event)
            && self.effects.len() <= Code::ALL.len()
            && self.first_ns <= self.last_ns
            && is_plain(&self.summary)
            && is_plain(&self.advice)
    }
}

/// Nothing in it moves a cursor or turns words round.
fn is_plain(text: &str) -> bool {
    !text.chars().any(is_hidden)
}
