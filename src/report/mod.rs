//! The report: one pass over a whole recording, told as text or as JSON. Step: trace → model → **view**.

mod baseline;
pub mod code;
pub mod diff;
mod findings;
mod fold;
mod formats;
mod json;
mod limit;
mod listen;
mod meanwhile;
mod places;
mod rules;
mod still;
mod suggest;
pub mod summary;
pub mod text;
pub mod words;
mod worst;

pub use baseline::Baseline;
pub use fold::{fold, fold_judged, fold_with};
pub use formats::{to_baseline, to_junit, to_markdown, to_sarif};
pub use json::to_json;
pub use limit::{Judged, Limit, Verdict};
pub use listen::Listener;
pub use suggest::suggested;
pub use summary::Summary;
pub use text::to_text;
