//! How the report writes numbers, names and file names: aligned, at most so wide, nothing hidden in them.
//! Step: model → **view**.

use super::summary::LongRun;
use crate::model::Spent;
use crate::text::visible;
use crate::when::Duration;

pub(crate) fn known(word: &str) -> String {
    match word.is_empty() {
        true => "not known".to_owned(),
        false => visible(word).into_owned(),
    }
}

pub(crate) fn percent(part: f64) -> String {
    match part * 100.0 {
        p if p >= 99.95 => "100 %".to_owned(),
        p if (9.95..98.5).contains(&p) => format!("{p:.0} %"),
        p => format!("{p:.1} %"),
    }
}

/// Two bounds that three figures do not tell apart.
pub(crate) fn reads_alike(lo: u64, hi: u64) -> bool {
    Duration(lo).to_string() == Duration(hi).to_string()
}

/// Where a run began, if that is known.
pub(crate) fn began(at: &str) -> Option<String> {
    (!at.is_empty()).then(|| format!("its longest run began at {}", visible(at)))
}

/// How run time was spent, the largest part first; nothing that is less than a thousandth.
pub(crate) fn composition(spent: &Spent) -> String {
    let total = spent.total().max(1);
    let mut parts: Vec<(&str, u64)> = spent.parts().to_vec();
    parts.retain(|(_, ns)| *ns > total / 1000);
    parts.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    let told = parts.iter().map(|(word, ns)| {
        let guess = if *word == Spent::WAITING { "~" } else { "" };
        format!("{guess}{word} {}", percent(*ns as f64 / total as f64))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Why a run was long, the largest part first: `its longest run: 50.2 ms, blocked 50.1 ms (nanosleep), on CPU 0.1 ms`.
pub(crate) fn why_long(run: &LongRun) -> Option<String> {
    let spent = run.spent.as_ref()?;
    let mut parts: Vec<(&str, u64)> = spent.parts().to_vec();
    parts.retain(|(_, ns)| *ns > run.ns / 100);
    parts.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    let mut told = format!("its longest run: {}", Duration(run.ns));
    for (word, ns) in parts {
        let guess = if word == Spent::WAITING { "~" } else { "" };
        told.push_str(&format!(", {guess}{word} {}", Duration(ns)));
        if let ("blocked", Some(b)) = (word, &run.blocked_in) {
            let on = b.fd.map_or_else(String::new, |fd| format!(" on fd {fd}"));
            told.push_str(&format!(" ({}{on})", visible(&b.call)));
        }
    }
    if let Some(stolen) = run.stolen.filter(|ns| *ns > run.ns / 100) {
        told.push_str(&format!(
            ", up to {} of that the hypervisor's",
            Duration(stolen)
        ));
    }
    if spent.faults > 0 {
        told.push_str(&format!(", {} page faults", grouped(spent.faults)));
    }
    Some(told)
}

/// A descriptor's name as tables have room for it: of a connection only the far end, of that no loopback host; of one
/// that this side made its own port too, many have the same far end.
pub(crate) fn brief(name: &str) -> String {
    let name = visible(name);
    let bare = |host: &str| {
        let port = host.strip_prefix("127.0.0.1");
        port.or(host.strip_prefix("[::1]"))
            .unwrap_or(host)
            .to_owned()
    };
    if let Some((near, far)) = name.split_once(" → ") {
        return match near.rsplit_once(':') {
            Some((_, port)) => format!(":{port} → {}", bare(far)),
            None => format!("{near} → {}", bare(far)),
        };
    }
    let Some((near, far)) = name.split_once(" ← ") else {
        return name.into_owned();
    };
    format!("{} ← {}", near.split(' ').next().unwrap_or(near), bare(far))
}

/// A command without the folders its program lies in.
pub(crate) fn program(command: &str) -> String {
    let (path, rest) = command.split_at(command.find(' ').unwrap_or(command.len()));
    let name = path.rsplit('/').next().unwrap_or(path);
    visible(&format!("{name}{rest}")).into_owned()
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// At most `width` columns; what is cut is replaced by `…`.
pub(crate) fn short(text: &str, width: usize) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > width {
            break;
        }
        used += w;
        out.push(c);
    }
    out.push('…');
    out
}

/// Exactly `width` columns.
pub(crate) fn cell(text: &str, width: usize) -> String {
    use unicode_width::UnicodeWidthStr;
    let text = short(text, width);
    let blanks = width.saturating_sub(text.width());
    text + &" ".repeat(blanks)
}

/// The words of a text, a number and its unit as one.
pub fn glued(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let unit = matches!(
            word.trim_end_matches(['.', ',', ';', ':', ')']),
            "%" | "ns" | "us" | "ms" | "s" | "min" | "h"
        );
        match words.last_mut() {
            Some(last) if unit => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_parts_are_honest() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_000), grouped(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [
                percent(1.0),
                percent(0.9994),
                percent(0.985),
                percent(0.0069)
            ],
            ["100 %", "99.9 %", "98.5 %", "0.7 %"]
        );
    }

    #[test]
    fn a_connection_is_told_by_its_far_end() {
        assert_eq!(
            brief("tcp 127.0.0.1:7001 ← 127.0.0.1:51234"),
            "tcp ← :51234"
        );
        assert_eq!(
            brief("tcp 10.0.0.1:7001 ← 10.0.0.2:5\u{1b}"),
            "tcp ← 10.0.0.2:5\\x1b"
        );
        assert_eq!(
            brief("tcp 127.0.0.1:51234 → 127.0.0.1:7001"),
            ":51234 → :7001"
        );
        assert_eq!(brief("ann"), "ann");
        assert_eq!(program("/usr/bin/server --root /srv"), "server --root /srv");
    }

    #[test]
    fn columns_count_what_a_terminal_draws() {
        assert_eq!(cell("ab", 4), "ab  ");
        assert_eq!(cell("漢字漢", 5), "漢字…");
        assert_eq!(cell("漢字漢", 4), "漢… ");
    }
}
