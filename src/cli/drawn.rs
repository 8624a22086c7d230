//! How screens are drawn, whatever is on them: what every command with a UI lets one choose. Step: model → **view**.

use crate::tui::Theme;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// How to draw.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct Drawn {
    /// Draw with ASCII only
    #[arg(long)]
    pub ascii: bool,
    /// Whose colours; F6 goes through them [default: LOOPSCOPE_THEME, or the terminal's own]
    #[arg(long, value_name = "NAME", value_parser = themes())]
    pub theme: Option<Theme>,
}

/// The themes there are.
pub(super) fn themes() -> impl TypedValueParser<Value = Theme> {
    PossibleValuesParser::new(Theme::ALL.map(Theme::name))
        .map(|name| Theme::from_name(&name).unwrap_or_default())
}
