//! What the timeline's glyphs mean. Step: model → **view**.

use crate::tui::theme;
use crate::tui::widget::pen::Pen;

/// Draws it in two rows; `unknown` is the glyph of what nothing is known of, and why; `arrows` the pointers that are in view.
pub fn draw(pen: &mut Pen<'_>, summed: bool, inferred: bool, unknown: (&str, &str), arrows: &str) {
    let wide = pen.width() >= 80;
    let quiet = theme::quiet();
    if summed {
        let line = "summary: what each of the most active fds did most of the time";
        pen.put(0, 0, line, quiet);
        pen.puts(
            0,
            1,
            &[
                ("+", theme::running()),
                (if inferred { " ~ran   " } else { " ran   " }, quiet),
                ("▒", theme::queued()),
                (
                    if inferred {
                        " ~was queued   "
                    } else {
                        " was queued   "
                    },
                    quiet,
                ),
                ("░", theme::ready()),
                (" was ready, not told   · not told apart here   ", quiet),
                ("w", theme::key()),
                (
                    if wide {
                        " zooms in to single runs"
                    } else {
                        " zooms"
                    },
                    quiet,
                ),
            ],
        );
        return;
    }
    pen.puts(
        0,
        0,
        &[
            ("─", quiet),
            (" armed   ", quiet),
            ("░", theme::ready()),
            (" ready, not told   ", quiet),
            ("▒", theme::queued()),
            (
                if inferred {
                    " told, ~queued   "
                } else {
                    " told, queued   "
                },
                quiet,
            ),
            ("█", theme::running()),
            (if inferred { " ~runs   " } else { " runs   " }, quiet),
            ("+", theme::running()),
            (" more: zoom in", quiet),
        ],
    );
    pen.puts(
        0,
        1,
        &[
            ("~", theme::ready()),
            (" maybe ready   ", quiet),
            ("=", theme::odd()),
            (" left over   ", quiet),
            (":", quiet),
            (" off   ", quiet),
            (unknown.0, quiet),
            (&format!(" {}   ", unknown.1), quiet),
            (arrows, theme::arrow()),
            (
                match inferred {
                    // What is seldom there needs its meaning more.
                    _ if !arrows.is_empty() => " on behalf of",
                    true => "~runs: inferred",
                    false if wide => "running: the fd's letter",
                    false => "letters: fds",
                },
                quiet,
            ),
        ],
    );
}
