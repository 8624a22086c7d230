//! One step of a recording for people who were not there: the screen at its moment, and what is said and asked of it. The
//! exports for slides and homework are made of these. Step: view → **outside**.

use crate::lesson::Question;
use ratatui::buffer::Buffer;

/// See the [module](self).
pub struct Scene {
    /// Its name.
    pub title: String,
    /// What to see.
    pub caption: String,
    /// What to guess first.
    pub question: Option<Question>,
    /// For whoever speaks.
    pub notes: String,
    /// The screen at the sizes asked for.
    pub screens: Vec<Buffer>,
}

/// The answer as the screen says it: `2, when flood's handler has read everything`.
pub fn answer(question: &Question) -> String {
    let right = question.choices.get(question.right);
    let right = right.map_or("", String::as_str);
    format!("{}, {right}", question.right + 1)
}
