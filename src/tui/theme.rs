//! How things look: what a glyph and a colour mean, and the fallbacks for terminals that have neither.
//!
//! Screens draw with the glyphs and styles named here; [`Look::finish`] then turns the finished frame into what the
//! terminal can show. Colour never carries a meaning alone: every style stands beside a letter, a word or a shape.
//! Step: model → **view**.

use super::palette::{self, Theme};
use crate::model::Word;
use crate::text::is_hidden;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// Armed: nothing to do.
pub const ARMED: char = '─';
/// Ready, the program not told (notice time).
pub const READY: char = '░';
/// Told, queued (queue time).
pub const QUEUED: char = '▒';
/// A handler runs.
pub const RUN: char = '█';
/// Running or playing.
pub const GO: char = '►';
/// More than one in this cell.
pub const MORE: char = '+';
/// Not known.
pub const ABSENT: char = '–';

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Only ASCII.
    pub ascii: bool,
    /// Colours; without them bold, reverse and underline stay.
    pub colour: bool,
    /// Whose colours.
    pub theme: Theme,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            ascii: false,
            colour: true,
            theme: Theme::Terminal,
        }
    }
}

impl Look {
    /// From the environment: `NO_COLOR`, `LOOPSCOPE_THEME`, the locale's character set, a Linux console.
    pub fn detect(ascii: bool, var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|v| !v.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|n| set(n));
        let utf8 = locale.is_some_and(|l| {
            let l = l.to_ascii_lowercase();
            l.contains("utf-8") || l.contains("utf8")
        });
        let term = set("TERM").unwrap_or_default();
        Look {
            ascii: ascii || !utf8 || term == "linux",
            colour: set("NO_COLOR").is_none() && term != "dumb",
            theme: (set("LOOPSCOPE_THEME").as_deref())
                .and_then(Theme::from_name)
                .unwrap_or_default(),
        }
    }

    /// Makes a finished frame fit the terminal, and harmless whatever was drawn into it; painted, if that is its theme.
    pub fn finish(self, buffer: &mut Buffer) {
        self.clean(buffer);
        if self.colour {
            palette::paint(buffer, self.theme, false);
        }
    }

    /// The same for a projector.
    pub fn finish_for_projector(self, buffer: &mut Buffer) {
        self.clean(buffer);
        if self.colour {
            palette::paint(buffer, self.theme, true);
        }
    }

    fn clean(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            if !self.colour {
                cell.fg = Color::Reset;
                cell.bg = Color::Reset;
            }
            let symbol = cell.symbol();
            if symbol.is_ascii() && symbol.len() == 1 && !symbol.as_bytes()[0].is_ascii_control() {
                continue;
            }
            if symbol.chars().any(is_hidden) {
                cell.set_char('?');
            } else if self.ascii && !symbol.is_ascii() {
                let c = symbol.chars().next().map_or(' ', ascii);
                cell.set_char(c);
            }
        }
    }
}

/// The nearest ASCII glyph, one meaning each.
fn ascii(c: char) -> char {
    match c {
        '─' | '–' | '—' | '…' => match c {
            '…' => '~',
            _ => '-',
        },
        '╴' | '╶' => '-',
        '│' | '╵' | '╷' => '|',
        '┊' => '!',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' => '+',
        '░' => '.',
        '▒' => 'o',
        '█' | '▉' | '▊' | '▋' => '#',
        '▌' | '▍' | '▎' | '▏' => '=',
        '▁' | '▂' => '_',
        '▃' | '▄' => '-',
        '▅' | '▆' => '=',
        '▇' => '#',
        '►' | '→' => '>',
        '←' => '<',
        '↑' => '^',
        '↓' | '▼' => 'v',
        '·' => '.',
        'µ' => 'u',
        _ => '?',
    }
}

/// Plain text.
pub fn plain() -> Style {
    Style::new()
}

/// Lines and what matters less.
pub fn quiet() -> Style {
    Style::new().fg(Color::DarkGray)
}

/// Titles and names.
pub fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The row or word under the cursor.
pub fn chosen() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// A handler runs.
pub fn running() -> Style {
    Style::new().fg(Color::Green).add_modifier(Modifier::BOLD)
}

/// Told, queued.
pub fn queued() -> Style {
    Style::new().fg(Color::Yellow)
}

/// Ready, not told.
pub fn ready() -> Style {
    Style::new().fg(Color::Cyan)
}

/// Something is wrong or lost.
pub fn alarm() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}

/// All right.
pub fn good() -> Style {
    Style::new().fg(Color::Green)
}

/// Left over, ghost, stale: states worth a look.
pub fn odd() -> Style {
    Style::new().fg(Color::Magenta).add_modifier(Modifier::BOLD)
}

/// The cursor in time.
pub fn cursor() -> Style {
    Style::new().fg(Color::Blue).add_modifier(Modifier::BOLD)
}

/// An arrow over lanes: the same all along, whatever it crosses.
pub fn arrow() -> Style {
    Style::new().fg(Color::Reset).add_modifier(Modifier::BOLD)
}

/// A key in the footer.
pub fn key() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The style of a state.
pub fn of(word: Word) -> Style {
    match word {
        Word::Running => running(),
        Word::Fetched => queued(),
        Word::Ready => ready(),
        Word::Stale | Word::Ghost | Word::Residual | Word::BlockedOut => odd(),
        Word::Disarmed | Word::Muted | Word::Gone | Word::Unknown => quiet(),
        Word::Armed => plain(),
    }
}

/// The word on screen for a state.
pub fn word(word: Word) -> &'static str {
    match word {
        Word::Stale => "stale",
        Word::Running => "RUNS",
        Word::Fetched => "queued",
        Word::Ghost => "ghost",
        Word::Residual => "left over",
        Word::Ready => "ready",
        Word::BlockedOut => "no room",
        Word::Disarmed => "off (one-shot)",
        Word::Muted => "muted",
        Word::Armed => "armed",
        Word::Gone => "gone",
        Word::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    fn look(vars: &[(&str, &str)]) -> Look {
        Look::detect(false, |name| {
            let found = vars.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn the_environment_decides() {
        assert!(!look(&[("LANG", "en_GB.UTF-8")]).ascii);
        assert!(look(&[("LANG", "C")]).ascii);
        assert!(look(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")]).ascii);
        assert!(look(&[("LANG", "C.utf8"), ("TERM", "linux")]).ascii);
        assert!(look(&[("LANG", "C.utf8")]).colour);
        assert!(!look(&[("NO_COLOR", "1")]).colour);
        assert!(look(&[("NO_COLOR", "")]).colour);
        assert_eq!(look(&[("LOOPSCOPE_THEME", "light")]).theme, Theme::Light);
        assert_eq!(look(&[("LOOPSCOPE_THEME", "pink")]).theme, Theme::Terminal);
    }

    #[test]
    fn ascii_means_ascii_and_no_colour_means_none() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "░▒█►─–…é漢", running());
        let look = Look {
            ascii: true,
            colour: false,
            ..Look::default()
        };
        look.finish(&mut buffer);
        assert!(buffer.content.iter().all(|c| c.symbol().is_ascii()));
        assert!(buffer.content.iter().all(|c| c.fg == Color::Reset));
        assert!(buffer.content[0].modifier.contains(Modifier::BOLD));
    }

    #[test]
    fn the_four_states_stay_apart_without_colour_and_in_ascii() {
        let glyphs =
            [ARMED, READY, QUEUED, RUN, MORE].map(|c| if c.is_ascii() { c } else { ascii(c) });
        for (i, a) in glyphs.iter().enumerate() {
            assert!(glyphs[i + 1..].iter().all(|b| a != b), "{glyphs:?}");
        }
    }
}
