//! The report: one pass over a whole recording, told as text or as JSON. Step: trace → model → **view**.

pub mod diff;
mod findings;
mod fold;
mod json;
mod places;
pub mod summary;
pub mod text;
pub mod words;

pub use fold::{Listener, fold, fold_with};
pub use json::to_json;
pub use summary::Summary;
pub use text::to_text;
