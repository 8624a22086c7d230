//! Checkpoints: the whole model as bytes, so that going back costs one checkpoint and the events after it.
//! Step: **model**.

use super::codec::{codec, codec_enum};
use super::facts::{Fidelity, Part, Range, Word};

codec!(Range { lo, hi });
codec_enum!(Fidelity { 0 => Measured, 1 => Bounded, 2 => Inferred, 3 => Absent });
codec_enum!(Word {
    0 => Stale, 1 => Running, 2 => Fetched, 3 => Ghost, 4 => Residual, 5 => Ready, 6 => BlockedOut,
    7 => Disarmed, 8 => Muted, 9 => Armed, 10 => Gone, 11 => Unknown,
});
codec_enum!(Part { 0 => Run(id), 1 => Timer(name), 2 => Task(name), 3 => Rest, 4 => Wait });
