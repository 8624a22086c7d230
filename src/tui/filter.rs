//! The filter a person has set: its text and its meaning. Step: query → **view**.

use super::player::Player;
use crate::model::Id;
use crate::trace::Error;

/// The filter language is part of this build.
pub const AVAILABLE: bool = false;

/// A filter that was understood.
#[derive(Clone, Debug)]
pub struct Filter {
    /// As typed.
    pub text: String,
}

impl Filter {
    /// Understands a text, or says why not and from which column on.
    pub fn parse(_text: &str) -> Result<Filter, (String, usize)> {
        Err((String::new(), 0))
    }

    /// Why a text is no filter, if it is none.
    pub fn check(text: &str) -> Option<(String, usize)> {
        Filter::parse(text).err()
    }

    /// The next (1) or previous (−1) matching run: its event and its fd.
    pub fn find(&self, _player: &mut Player, _by: i64) -> Result<Option<(u64, Id)>, Error> {
        Ok(None)
    }

    /// Whether any run of this registration may match.
    pub fn matches_reg(&self, _app: &super::App, _reg: &crate::model::Registration) -> bool {
        true
    }
}
