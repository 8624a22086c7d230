//! Themes: a finished frame painted in colours of its own, whatever the terminal's are. The colours are of the fixed part of the
//! palette, which no terminal's setting changes. Step: model → **view**.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

/// Where colours come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's own sixteen.
    #[default]
    Terminal,
    /// Dark on white, for a bright room.
    Light,
    /// Light on dark, and what matters less is grey.
    Dark,
    /// Bright on black, and nothing dim: lecture mode's, where no other is asked for.
    HighContrast,
    /// Colours that stay apart whichever kind of colour blindness looks at them.
    ColourBlind,
}

/// The colours of a theme, numbers of the 256.
struct Palette {
    paper: u8,
    ink: u8,
    /// Lines and what matters less.
    quiet: u8,
    red: u8,
    green: u8,
    yellow: u8,
    blue: u8,
    magenta: u8,
    cyan: u8,
}

const LIGHT: Palette = Palette {
    paper: 231,
    ink: 235,
    quiet: 241,
    red: 160,
    green: 22,
    yellow: 94,
    blue: 19,
    magenta: 90,
    cyan: 24,
};

const DARK: Palette = Palette {
    paper: 234,
    ink: 252,
    quiet: 246,
    red: 203,
    green: 114,
    yellow: 221,
    blue: 111,
    magenta: 176,
    cyan: 116,
};

const HIGH_CONTRAST: Palette = Palette {
    paper: 16,
    ink: 231,
    quiet: 231,
    red: 203,
    green: 83,
    yellow: 227,
    blue: 117,
    magenta: 213,
    cyan: 87,
};

const COLOUR_BLIND: Palette = Palette {
    paper: 234,
    ink: 252,
    quiet: 246,
    red: 202,
    green: 33,
    yellow: 220,
    blue: 231,
    magenta: 169,
    cyan: 81,
};

impl Theme {
    /// All themes, in the order in which the key goes through them.
    pub const ALL: [Theme; 5] = [
        Theme::Terminal,
        Theme::Light,
        Theme::Dark,
        Theme::HighContrast,
        Theme::ColourBlind,
    ];

    /// What `--theme` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Theme::Terminal => "terminal",
            Theme::Light => "light",
            Theme::Dark => "dark",
            Theme::HighContrast => "high-contrast",
            Theme::ColourBlind => "colour-blind",
        }
    }

    /// The theme of this name.
    pub fn from_name(name: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.name() == name)
    }

    /// The next one.
    pub fn next(self) -> Theme {
        let all = Theme::ALL;
        let at = all.iter().position(|theme| *theme == self).unwrap_or(0);
        all[(at + 1) % all.len()]
    }

    fn palette(self) -> Option<&'static Palette> {
        match self {
            Theme::Terminal => None,
            Theme::Light => Some(&LIGHT),
            Theme::Dark => Some(&DARK),
            Theme::HighContrast => Some(&HIGH_CONTRAST),
            Theme::ColourBlind => Some(&COLOUR_BLIND),
        }
    }
}

/// Paints a finished frame. For a projector it is painted in any case, and nothing on it is dim.
pub fn paint(buffer: &mut Buffer, theme: Theme, projector: bool) {
    let palette = match (theme.palette(), projector) {
        (Some(palette), _) => palette,
        (None, true) => &HIGH_CONTRAST,
        (None, false) => return,
    };
    let quiet = if projector {
        palette.ink
    } else {
        palette.quiet
    };
    for cell in &mut buffer.content {
        cell.fg = Color::Indexed(palette.of(cell.fg, quiet).unwrap_or(palette.ink));
        cell.bg = Color::Indexed(palette.of(cell.bg, palette.paper).unwrap_or(palette.paper));
        // How dim is up to the terminal: here the colour says it.
        cell.modifier.remove(Modifier::DIM);
    }
}

impl Palette {
    /// The colour for one of the sixteen; grey is `grey`. Nothing for what is the terminal's own, black or white.
    fn of(&self, color: Color, grey: u8) -> Option<u8> {
        Some(match color {
            Color::Red | Color::LightRed => self.red,
            Color::Green | Color::LightGreen => self.green,
            Color::Yellow | Color::LightYellow => self.yellow,
            Color::Blue | Color::LightBlue => self.blue,
            Color::Magenta | Color::LightMagenta => self.magenta,
            Color::Cyan | Color::LightCyan => self.cyan,
            Color::Gray | Color::DarkGray => grey,
            Color::Indexed(n) => n,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::{alarm, odd, plain, queued, quiet, ready, running};
    use ratatui::layout::Rect;

    /// Light of the three colours, 0 to 1, as a screen gives it.
    fn light(n: u8) -> [f64; 3] {
        let level = |v: u8| {
            if v == 0 {
                0.0
            } else {
                55.0 + 40.0 * f64::from(v)
            }
        };
        let rgb = match n {
            232.. => [8.0 + 10.0 * f64::from(n - 232); 3],
            _ => [(n - 16) / 36, (n - 16) / 6 % 6, (n - 16) % 6].map(level),
        };
        rgb.map(|c| match c / 255.0 {
            c if c <= 0.04045 => c / 12.92,
            c => ((c + 0.055) / 1.055).powf(2.4),
        })
    }

    fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// Contrast of two colours as WCAG 2 has it.
    fn contrast(a: u8, b: u8) -> f64 {
        let [a, b] = [a, b].map(|n| dot([0.2126, 0.7152, 0.0722], light(n)) + 0.05);
        a.max(b) / a.min(b)
    }

    /// CIE L*a*b* of a light.
    fn lab(l: [f64; 3]) -> [f64; 3] {
        let f = |t: f64| match t.max(0.0) {
            t if t > 0.008856 => t.cbrt(),
            t => 7.787 * t + 16.0 / 116.0,
        };
        let x = f(dot([0.4124, 0.3576, 0.1805], l) / 0.9505);
        let y = f(dot([0.2126, 0.7152, 0.0722], l));
        let z = f(dot([0.0193, 0.1192, 0.9505], l) / 1.089);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    /// What the three kinds of colour blindness make of a light (Machado, Oliveira and Fernandes 2009, complete), and nobody's.
    const EYES: [[[f64; 3]; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ];

    /// How far apart two colours look to these eyes; 2 can just be told, 20 at a glance.
    fn apart(a: u8, b: u8, eyes: &[[f64; 3]; 3]) -> f64 {
        let [a, b] = [a, b].map(|n| lab(eyes.map(|row| dot(row, light(n)))));
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>()
            .sqrt()
    }

    fn states(palette: &Palette) -> [u8; 5] {
        let Palette {
            red,
            green,
            yellow,
            magenta,
            cyan,
            ..
        } = *palette;
        [red, green, yellow, magenta, cyan]
    }

    #[test]
    fn every_text_has_the_contrast_that_reading_needs() {
        for theme in Theme::ALL {
            let Some(palette) = theme.palette() else {
                continue;
            };
            let inks = [palette.ink, palette.quiet, palette.blue];
            for ink in inks.into_iter().chain(states(palette)) {
                let contrast = contrast(ink, palette.paper);
                let least = if theme == Theme::HighContrast {
                    7.0
                } else {
                    4.5
                };
                assert!(contrast >= least, "{}: {ink}: {contrast}", theme.name());
            }
        }
    }

    #[test]
    fn states_stay_apart_for_everybody() {
        for (kind, eyes) in EYES.iter().enumerate() {
            let inks = states(&COLOUR_BLIND);
            for (i, a) in inks.iter().enumerate() {
                for b in inks[i + 1..].iter().chain([&COLOUR_BLIND.ink]) {
                    let apart = apart(*a, *b, eyes);
                    assert!(apart >= 20.0, "{kind}: {a} and {b}: {apart}");
                }
            }
        }
    }

    #[test]
    fn a_painted_frame_has_no_colour_of_the_terminals() {
        let styles = [
            plain(),
            quiet(),
            running(),
            queued(),
            ready(),
            alarm(),
            odd(),
        ];
        for theme in Theme::ALL {
            for projector in [false, true] {
                let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 1));
                for (x, style) in styles.into_iter().enumerate() {
                    buffer.set_string(x as u16, 0, "x", style);
                }
                let before = buffer.clone();
                paint(&mut buffer, theme, projector);
                if theme == Theme::Terminal && !projector {
                    assert_eq!(buffer, before);
                    continue;
                }
                let paper = buffer.content[19].bg;
                assert!(buffer.content.iter().all(|c| c.bg == paper));
                let inks = buffer
                    .content
                    .iter()
                    .take(styles.len())
                    .map(|c| match c.fg {
                        Color::Indexed(n) => n,
                        other => panic!("{other:?}"),
                    });
                let mut inks: Vec<u8> = inks.collect();
                // Nothing dim for a projector; what a state's colour tells apart stays apart.
                assert!(!projector || inks[0] == inks[1]);
                inks.sort_unstable();
                inks.dedup();
                assert!(inks.len() >= styles.len() - 1, "{inks:?}");
            }
        }
    }

    #[test]
    fn names_lead_back() {
        let mut theme = Theme::default();
        for _ in Theme::ALL {
            assert_eq!(Theme::from_name(theme.name()), Some(theme));
            theme = theme.next();
        }
        assert_eq!(theme, Theme::default());
        assert_eq!(Theme::from_name("pink"), None);
    }
}
