//! How to be the first client of a server: a command to type. Step: model → **view**, for every view.

use super::visible;

/// A command that connects to what listens at `127.0.0.1:7001`, `[::]:80` or a path.
pub fn command(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((host, port)) if !address.starts_with(['/', '@']) => {
            let host = match host {
                "0.0.0.0" => "127.0.0.1",
                "[::]" => "::1",
                host => host.trim_matches(['[', ']']),
            };
            format!("nc {} {}", visible(host), visible(port))
        }
        _ => format!("nc -U {}", quoted(address)),
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:,@%=".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", visible(word).replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_address_can_be_visited() {
        assert_eq!(command("127.0.0.1:7001"), "nc 127.0.0.1 7001");
        assert_eq!(command("0.0.0.0:80"), "nc 127.0.0.1 80");
        assert_eq!(command("[::]:80"), "nc ::1 80");
        assert_eq!(command("/run/a b.sock"), "nc -U '/run/a b.sock'");
    }

    #[test]
    fn a_word_survives_a_shell() {
        assert_eq!(quoted("a/b-1.lscope"), "a/b-1.lscope");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("a\nb"), "'a\\nb'");
        assert_eq!(quoted(""), "''");
    }
}
