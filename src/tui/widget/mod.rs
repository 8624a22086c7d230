//! Small pieces every screen is made of: boxes that join, text that fits, bars. Step: model → **view**.

pub mod bar;
pub mod boxes;
pub mod pen;
pub mod text;
