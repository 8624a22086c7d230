//! Text that fits: widths in cells, numbers and times as a person reads them, wrapping. Step: model → **view**.

use crate::model::Range;
use crate::when::Duration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Cells a text covers.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Cut to at most `cells`, the cut shown by `~`… never inside a character.
pub fn cut(text: &str, cells: usize) -> String {
    if text.width() <= cells {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > cells {
            break;
        }
        used += w;
        out.push(c);
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// Cut, then filled with blanks on the right.
pub fn left(text: &str, cells: usize) -> String {
    let mut out = cut(text, cells);
    let used = out.width();
    out.extend(std::iter::repeat_n(' ', cells.saturating_sub(used)));
    out
}

/// A name in exactly `cells`; of one that ends with a port the port stays, it tells addresses apart: `li…:7500`.
pub fn name(name: &str, cells: usize) -> String {
    // Of a connection made from here the own port stays: others have the same far end.
    if let Some((near, _)) = name.split_once('→').filter(|_| name.width() > cells) {
        let arrow = if near.width() < cells { "→" } else { "" };
        return left(&format!("{near}{arrow}"), cells);
    }
    // What it is says more than half a word and its port, which the number beside it tells apart as well.
    if let Some((what, rest)) = name.split_once(' ')
        && ["listen", "client"].contains(&what)
        && name.width() > cells
    {
        let port = rest.rsplit_once(':').map_or(rest, |(_, port)| port);
        let brief = format!("{what} :{port}");
        return match () {
            _ if brief.width() <= cells => left(&brief, cells),
            _ if what.len() < cells => left(&format!("{what}…"), cells),
            _ => left(what, cells),
        };
    }
    let port = name.rsplit_once(':').map_or("", |(_, port)| port);
    let is_port = (1..6).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let tail = port.len() + 2;
    if name.width() <= cells || !is_port || tail >= cells {
        return left(name, cells);
    }
    let mut head = cut(name, cells - tail + 1);
    head.pop();
    left(&format!("{head}…:{port}"), cells)
}

/// Cut, then filled with blanks on the left.
pub fn right(text: &str, cells: usize) -> String {
    let text = cut(text, cells);
    let mut out = " ".repeat(cells.saturating_sub(text.width()));
    out.push_str(&text);
    out
}

/// A duration as a person reads it.
pub fn time(ns: u64) -> String {
    Duration(ns).to_string()
}

/// Both ends agree to two per cent, as those of a stamped send do: one figure says it.
pub fn is_narrow(r: Range) -> bool {
    r.hi.saturating_sub(r.lo) <= r.hi / 50
}

/// A range of nanoseconds: one figure when measured, `<= hi` from zero, else both ends.
pub fn range(r: Range) -> String {
    if is_narrow(r) {
        time(r.hi)
    } else if r.lo == 0 {
        format!("<= {}", time(r.hi))
    } else {
        format!("{} to {}", time(r.lo), time(r.hi))
    }
}

/// A figure of which only the upper end is shown: marked with `<=` where `range` would show two.
pub fn at_most(lo: u64, hi: u64) -> String {
    let mark = if is_narrow(Range { lo, hi }) {
        ""
    } else {
        "<="
    };
    format!("{mark}{}", time(hi))
}

/// 1234567 as `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The same in at most so many cells, five or more: `7.40 M` where the digits do not fit.
pub fn count_in(n: u64, cells: usize) -> String {
    let whole = count(n);
    if whole.len() <= cells {
        return whole;
    }
    let mut value = n as f64;
    let mut unit = ' ';
    for next in ['K', 'M', 'G', 'T', 'P', 'E'] {
        // What would be rounded to a thousand is one of the next.
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    match value {
        v if v < 9.995 && cells >= 6 => format!("{v:.2} {unit}"),
        v if v < 99.95 && cells >= 6 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

/// A number of bytes in at most six cells: `16 B`, `205 K`, `14 M`.
pub fn bytes(n: u64) -> String {
    match n {
        0..10_000 => format!("{n} B"),
        10_000..10_240_000 => format!("{} K", n / 1024),
        10_240_000..10_485_760_000 => format!("{} M", n >> 20),
        _ => format!("{} G", n >> 30),
    }
}

/// `n thing` or `n things`.
pub fn plural(n: u64, thing: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {thing}{s}", count(n))
}

/// `a`, `a and b`, `a, b and c`; above `most`, `a, b and 7 more`.
pub fn list(names: &[String], most: usize) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        _ if names.len() > most.max(2) => {
            let shown = most.max(2) - 1;
            format!(
                "{} and {} more",
                names[..shown].join(", "),
                names.len() - shown
            )
        }
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// A unit stays with its figure, a bound with what it bounds.
fn sticks(before: &str, word: &str) -> bool {
    const UNITS: [&str; 9] = ["ns", "us", "ms", "s", "%", "B", "K", "M", "G"];
    let unit = word.trim_end_matches([',', '.', ':', ';', ')']);
    before == "<=" || UNITS.contains(&unit) && before.ends_with(|c: char| c.is_ascii_digit())
}

/// Words wrapped into lines of at most `cells`.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut words = paragraph.split(' ').peekable();
        while let Some(first) = words.next() {
            let (mut last, mut word) = (first, first.to_owned());
            while let Some(next) = words.next_if(|next| sticks(last, next)) {
                if width(&word) + 1 + width(next) <= cells {
                    word = format!("{word} {next}");
                } else {
                    push_word(&mut lines, &mut line, &word, cells);
                    word = next.to_owned();
                }
                last = next;
            }
            push_word(&mut lines, &mut line, &word, cells);
        }
        lines.push(line);
    }
    lines
}

/// Adds what is not to be broken to the line, or begins the next one with it.
fn push_word(lines: &mut Vec<String>, line: &mut String, word: &str, cells: usize) {
    let word = cut(word, cells);
    if !line.is_empty() && line.width() + 1 + word.width() > cells {
        lines.push(std::mem::take(line));
    }
    if !line.is_empty() {
        line.push(' ');
    }
    line.push_str(&word);
}

/// The first `rows` of the lines; where there are more, the last ends in `…`.
pub fn first_lines(mut lines: Vec<String>, cells: usize, rows: usize) -> Vec<String> {
    if lines.len() > rows {
        lines.truncate(rows);
        if let Some(last) = lines.last_mut() {
            *last = match width(last) < cells {
                true => format!("{last}…"),
                false => cut(&format!("{last}…"), cells),
            };
        }
    }
    lines
}

/// Whole sentences, as many as fit into `rows` lines of `cells`; the first is cut rather than left out, and says so.
pub fn sentences(all: &[String], cells: usize, rows: usize) -> Vec<String> {
    let mut text = String::new();
    let mut fitting: Vec<String> = Vec::new();
    for sentence in all {
        let mut next = text.clone();
        if !next.is_empty() {
            next.push(' ');
        }
        next.push_str(sentence);
        let lines = wrap(&next, cells);
        if lines.len() > rows {
            if fitting.is_empty() {
                fitting = first_lines(lines, cells, rows);
            }
            break;
        }
        fitting = lines;
        text = next;
    }
    fitting
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_that_is_cut_keeps_its_port() {
        assert_eq!(name("listen :7500", 8), "listen… ");
        assert_eq!(name("listen [::]:7500", 14), "listen :7500  ");
        assert_eq!(name("client of :7500", 9), "client…  ");
        assert_eq!(name("client of 10.0.0.2:7500", 12), "client :7500");
        assert_eq!(name("listens :7500", 8), "li…:7500");
        assert_eq!(name("10.0.0.12:51234", 9), "10…:51234");
        assert_eq!(name("listen :7500", 14), "listen :7500  ");
        // Too narrow for it, and no port at all.
        assert_eq!(name("listen :7500", 6), "listen");
        assert_eq!(name("listens :7500", 6), "liste…");
        assert_eq!(name("a:very long name", 8), "a:very …");
        assert_eq!(name("ß…:x: 12:34", 7), "ß…:…:34");
    }

    use super::*;

    #[test]
    fn nothing_is_wider_than_asked() {
        for cells in 0..12 {
            for text in ["", "a", "漢字漢字", "flood and ann", "…………"] {
                assert!(width(&cut(text, cells)) <= cells, "{text} in {cells}");
                assert_eq!(
                    width(&left(text, cells)),
                    cells.max(width(&left(text, cells)))
                );
                assert_eq!(width(&right(text, cells)), cells);
            }
        }
    }

    #[test]
    fn numbers_read_like_numbers() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(3328), "3,328");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count_in(9_999_999, 9), "9,999,999");
        assert_eq!(count_in(7_403_788, 8), "7.40 M");
        assert_eq!(count_in(31_893_004, 8), "31.9 M");
        assert_eq!(count_in(999_999_999, 8), "1.00 G");
        assert_eq!(count_in(999_499_999, 8), "999 M");
        assert_eq!(count_in(12_345, 5), "12 K");
        assert!((0..20).all(|e| count_in(u64::MAX / 10u64.pow(e), 6).len() <= 6));
        assert_eq!(bytes(16), "16 B");
        assert_eq!(bytes(210_000), "205 K");
        assert_eq!(
            range(Range {
                lo: 0,
                hi: 5_790_000
            }),
            "<= 5.79 ms"
        );
        assert_eq!(range(Range { lo: 7, hi: 7 }), "7 ns");
        let close = Range {
            lo: 446_100_000,
            hi: 446_300_000,
        };
        assert_eq!(range(close), "446 ms");
        assert_eq!(at_most(close.lo, close.hi), "446 ms");
        assert_eq!(at_most(0, 446_300_000), "<=446 ms");
    }

    #[test]
    fn lists_and_wrapping() {
        let names = |n: usize| (0..n).map(|i| format!("n{i}")).collect::<Vec<_>>();
        assert_eq!(list(&names(1), 3), "n0");
        assert_eq!(list(&names(3), 3), "n0, n1 and n2");
        assert_eq!(list(&names(9), 3), "n0, n1 and 7 more");
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("it took 13.9 ms.", 14), ["it took", "13.9 ms."]);
        assert_eq!(
            wrap("x itself <= 6.85 us, y", 15),
            ["x itself", "<= 6.85 us, y"]
        );
        assert_eq!(wrap("<= 6.85 us", 5), ["<=", "6.85", "us"]);
        let all = ["First one.".to_owned(), "Second one is long.".to_owned()];
        assert_eq!(sentences(&all, 12, 1), ["First one."]);
        // A cut says that there is more.
        let long = ["One that goes on".to_owned()];
        assert_eq!(sentences(&long, 9, 1), ["One that…"]);
        assert_eq!(sentences(&long, 8, 1), ["One tha…"]);
        assert_eq!(sentences(&long, 8, 2), ["One that", "goes on"]);
        assert_eq!(first_lines(vec!["goes on".to_owned()], 7, 0), [""; 0]);
    }
}
