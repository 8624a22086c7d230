//! What leaves loopscope for other tools: one exporter a file. Step: trace, model → **outside**.

pub mod picture;
pub mod svg;
