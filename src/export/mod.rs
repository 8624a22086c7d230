//! What leaves loopscope for other tools: one exporter a file. Step: trace, model → **outside**.

mod columns;
pub mod ndjson;
pub mod picture;
mod places;
pub mod svg;
