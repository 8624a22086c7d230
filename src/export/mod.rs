//! What leaves loopscope for other tools: one exporter a file. Step: trace, model → **outside**.

pub mod cast;
mod cell;
mod columns;
pub mod dispatches;
pub mod ndjson;
pub mod page;
pub mod picture;
mod places;
pub mod png;
pub mod scene;
pub mod slides;
pub mod svg;
