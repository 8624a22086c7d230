//! A recording to hand on: the same events, without whose they were. Step: **trace**.
//!
//! Hidden are hosts (not loopback's), Unix addresses, paths and names with a slash in them, command lines but for the
//! program's name, text fields of marks, what the program wrote to its terminal, and the machine's identity. Kept are
//! ports, descriptors, instants, the names that the program gives its handlers, loops and marks, and of source files and
//! modules the last part of their path: what is needed to tell what happened. One thing has one name throughout; the key
//! is made anew for each cut and kept nowhere, so that guesses cannot be tried.

use super::meta::Meta;
use crate::record::address;
use crate::record::event::{Event, Kind, MAX_TEXT, Space};
use crate::record::fields::{self, Value};
use crate::record::wire;
use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

/// Stands for what was left out.
const LEFT_OUT: &str = "…";

/// What stands for what is hidden; the module lists what that is.
#[derive(Debug, Default)]
pub struct Anonymous(RandomState);

impl Anonymous {
    /// What stands for these bytes.
    fn hash(&self, bytes: &[u8]) -> String {
        format!("h{:06x}", self.0.hash_one(bytes) & 0xff_ffff)
    }

    /// The text of an event as it may be known.
    pub(super) fn text<'a>(&self, e: &Event, text: &'a [u8]) -> Cow<'a, [u8]> {
        if text.is_empty() {
            return Cow::Borrowed(text);
        }
        let new = match e.kind {
            Kind::FdAddr | Kind::FdSeen if address::sides(text).is_some() => self.pair(text),
            Kind::FdName | Kind::FdSeen => self.name(text),
            Kind::Name if e.aux == Space::Pair.code() => self.pair(text),
            Kind::Name
                if [Space::Site, Space::Module, Space::Stack]
                    .map(Space::code)
                    .contains(&e.aux) =>
            {
                last_parts(text)
            }
            Kind::Name => self.words(text),
            Kind::ProcessStart | Kind::Exec => command(text),
            Kind::Mark | Kind::SpanBegin | Kind::SpanEnd => self.fields(text),
            Kind::Setup => self.words(text),
            Kind::Output => Vec::new(),
            // Clocks and thread names.
            Kind::Anchor | Kind::ThreadStart => return Cow::Borrowed(text),
            // What this version does not know to be harmless.
            _ => Vec::new(),
        };
        let new = match new.len() > MAX_TEXT {
            true => new[..wire::cut(&new, MAX_TEXT)].to_vec(),
            false => new,
        };
        Cow::Owned(new)
    }

    /// The header without whose it is.
    pub(super) fn meta(&self, mut meta: Meta) -> Meta {
        let arguments = meta.command.len() > 1;
        let program = meta.command.first().map(|p| command(p.as_bytes()));
        meta.command = program.map(lossy).into_iter().collect();
        if arguments {
            meta.command.push(LEFT_OUT.to_owned());
        }
        meta.cwd.clear();
        meta.boot_id.clear();
        meta.notes.clear();
        // `Linux version 6.1 (builder@host) …`
        if let Some((release, _)) = meta.kernel.split_once(" (") {
            meta.kernel = release.to_owned();
        }
        for setup in &mut meta.setup {
            for text in [&mut setup.missing, &mut setup.because, &mut setup.advice] {
                *text = lossy(self.words(text.as_bytes()));
            }
        }
        meta
    }

    /// An attachment as it may be known; nothing for one that is left out.
    pub(super) fn attachment(&self, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        // The only one that tells about code and not what it holds.
        (name == "symbols").then(|| last_parts(bytes))
    }

    /// `tcp local>peer`
    fn pair(&self, text: &[u8]) -> Vec<u8> {
        let Some([family, local, peer]) = address::sides(text) else {
            return self.name(text);
        };
        let side = |side: &[u8]| match family {
            b"unix " => self.unix(side),
            _ => self.host(side),
        };
        [family, &side(local), b">", &side(peer)].concat()
    }

    fn unix(&self, path: &[u8]) -> Vec<u8> {
        match path {
            [] => Vec::new(),
            [b'@', ..] => format!("@{}", self.hash(path)).into_bytes(),
            _ => format!("/{}", self.hash(path)).into_bytes(),
        }
    }

    /// `host:port`; a loopback address is everybody's.
    fn host(&self, side: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(side);
        match text.parse::<SocketAddr>() {
            _ if side.is_empty() => Vec::new(),
            Ok(a) if harmless(a.ip()) => side.to_vec(),
            Ok(a) => {
                format!("{}:{}", self.hash(a.ip().to_string().as_bytes()), a.port()).into_bytes()
            }
            Err(_) => self.hash(side).into_bytes(),
        }
    }

    /// A descriptor's name: a path is hidden but for its kind of file.
    fn name(&self, text: &[u8]) -> Vec<u8> {
        if !text.contains(&b'/') {
            return self.words(text);
        }
        let path = String::from_utf8_lossy(text);
        let file = path.rsplit('/').next().unwrap_or_default();
        let ending = file.rsplit_once('.').map(|(_, ending)| ending);
        let plain = |e: &&str| e.len() <= 5 && e.bytes().all(|b| b.is_ascii_alphanumeric());
        let ending = ending
            .filter(plain)
            .map_or(String::new(), |e| format!(".{e}"));
        format!("/{}{ending}", self.hash(text)).into_bytes()
    }

    /// Prose: words that are addresses or paths are hidden.
    fn words(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for piece in text.split_inclusive(|b| b.is_ascii_whitespace() || *b == 0) {
            let (word, end) = match piece.split_last() {
                Some((last, word)) if last.is_ascii_whitespace() || *last == 0 => {
                    (word, Some(*last))
                }
                _ => (piece, None),
            };
            let said = String::from_utf8_lossy(word);
            let bare =
                said.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '[' && c != ']');
            if bare.parse::<SocketAddr>().is_ok() {
                out.extend(self.host(bare.as_bytes()));
            } else if bare.parse::<IpAddr>().is_ok_and(|ip| !harmless(ip)) {
                out.extend(self.hash(bare.as_bytes()).into_bytes());
            } else if word.contains(&b'/') {
                out.extend(self.name(word));
            } else {
                out.extend(word);
            }
            out.extend(end);
        }
        out
    }

    /// The fields of a mark: numbers are kept, texts are not.
    fn fields(&self, text: &[u8]) -> Vec<u8> {
        let mut new = fields::Fields::of(&[]);
        for (key, value) in fields::decode(text) {
            match value {
                Value::Str(said) => new.add(key, Value::Str(&self.hash(said.as_bytes()))),
                other => new.add(key, other),
            }
        }
        new.bytes().to_vec()
    }
}

/// Everybody has it.
fn harmless(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

/// The program's name, and that there was more.
fn command(text: &[u8]) -> Vec<u8> {
    let mut words = text.split(|b| b.is_ascii_whitespace() || *b == 0);
    let program = last_parts(words.next().unwrap_or_default());
    match words.next() {
        Some(_) => [&program, b" ".as_slice(), LEFT_OUT.as_bytes()].concat(),
        None => program,
    }
}

/// Of every path the last part.
fn last_parts(text: &[u8]) -> Vec<u8> {
    let pieces = text.split_inclusive(|b| b.is_ascii_whitespace());
    let last = |piece: &[u8]| match piece.iter().rposition(|b| *b == b'/') {
        Some(at) => piece[at + 1..].to_vec(),
        None => piece.to_vec(),
    };
    pieces.flat_map(last).collect()
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hide: &Anonymous, kind: Kind, aux: u16, text: &str) -> String {
        let event = Event {
            kind,
            aux,
            ..Event::default()
        };
        lossy(hide.text(&event, text.as_bytes()).into_owned())
    }

    #[test]
    fn a_host_has_one_name_and_keeps_its_port() {
        let hide = Anonymous::default();
        let one = of(&hide, Kind::FdAddr, 0, "tcp 10.1.2.3:80>10.9.8.7:4711");
        let other = of(
            &hide,
            Kind::Name,
            Space::Pair.code(),
            "tcp 10.9.8.7:4711>10.1.2.3:80",
        );
        let [family, local, peer] = address::sides(one.as_bytes()).unwrap();
        assert_eq!(other, lossy([family, peer, b">", local].concat()));
        assert!(one.contains(":80>") && one.ends_with(":4711"), "{one}");
        assert!(!one.contains("10."), "{one}");
        // Another cut's names are others.
        assert_ne!(
            of(
                &Anonymous::default(),
                Kind::FdAddr,
                0,
                "tcp 10.1.2.3:80>10.9.8.7:4711"
            ),
            one
        );
        let same = "tcp 127.0.0.1:80>[::1]:9";
        assert_eq!(of(&hide, Kind::FdAddr, 0, same), same);
        assert_eq!(
            of(&hide, Kind::FdAddr, 0, "tcp 0.0.0.0:80>"),
            "tcp 0.0.0.0:80>"
        );
        let unix = of(&hide, Kind::FdSeen, 0, "unix /run/secret>@secret");
        assert!(
            !unix.contains("secret") && unix.starts_with("unix /h"),
            "{unix}"
        );
    }

    #[test]
    fn paths_and_words_are_hidden_and_code_is_told_by_its_last_part() {
        let hide = Anonymous::default();
        let file = of(&hide, Kind::FdName, 0, "/srv/joe/customers.db");
        assert!(
            file.starts_with("/h") && file.ends_with(".db") && !file.contains("joe"),
            "{file}"
        );
        assert_eq!(of(&hide, Kind::FdName, 0, "ann"), "ann");
        assert_eq!(
            of(&hide, Kind::Exec, 0, "/opt/joe/server --key X"),
            "server …"
        );
        let site = Space::Site.code();
        assert_eq!(
            of(&hide, Kind::Name, site, "/srv/joe/a/server.c:12:3"),
            "server.c:12:3"
        );
        assert_eq!(of(&hide, Kind::Output, 0, "password: x"), "");
        let setup = of(
            &hide,
            Kind::Setup,
            0,
            "it\0listens on 10.0.0.1:80, see /srv/joe/x\0wait",
        );
        assert!(
            !setup.contains("10.0.0.1") && !setup.contains("joe"),
            "{setup}"
        );
        assert_eq!(setup.matches('\0').count(), 2);
    }
}
