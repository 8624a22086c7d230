//! What an fd is called on screen: one letter in strips, one short name in tables. Step: model → **view**.

use crate::model::{Id, Registration, SameSocket};
use crate::record::event::FdKind;
use crate::text::visible;
use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

/// Letters there are.
const LETTERS: usize = 52;

/// Letters and names of a loop's fds; a letter stays with its fd.
#[derive(Clone, Debug, Default)]
pub struct Names {
    of: HashMap<Id, (char, String)>,
    taken: HashMap<char, Id>,
    /// Those that had ended when they were last looked at: their names stay.
    ended: HashSet<Id>,
    /// What their names were made of, as a hash: with a thousand fds to make them takes longer than to draw a frame.
    made_of: HashMap<Id, u64>,
    hasher: foldhash::fast::RandomState,
    /// Of those that are only called what they are, the name with their number.
    told: HashMap<Id, String>,
    /// Digits of the largest number.
    digits: usize,
}

impl Names {
    /// Takes over what the model says about these registrations.
    pub fn update(&mut self, regs: &[&Registration]) {
        let alive = LazyCell::new(|| {
            let live = regs.iter().filter(|r| r.is_live());
            live.map(|r| r.id).collect::<HashSet<Id>>()
        });
        let known = |r: &&Registration| !r.is_live() && self.ended.contains(&r.id);
        let parts = |r: &Registration| {
            let parts = (r.fd, r.kind, r.is_live(), &*r.name, &*r.addr);
            self.hasher.hash_one(parts)
        };
        let news = regs.iter().filter(|r| !known(r)).map(|r| (*r, parts(r)));
        let mut by_age: Vec<_> = news
            .filter(|(r, parts)| self.made_of.get(&r.id) != Some(parts))
            .collect();
        by_age.sort_by_key(|(r, _)| r.id);
        let same = match by_age.iter().any(|(r, _)| r.is_half_named()) {
            true => SameSocket::of(regs),
            false => SameSocket::default(),
        };
        for (reg, parts) in by_age {
            // What the name of a half-named one is made of, others know.
            if reg.is_half_named() {
                self.made_of.remove(&reg.id);
            } else {
                self.made_of.insert(reg.id, parts);
            }
            if reg.is_live() {
                self.ended.remove(&reg.id);
            } else if !reg.is_half_named() {
                self.ended.insert(reg.id);
            }
            let name = called(reg, same.name(reg));
            let digits = reg.fd.checked_ilog10().map_or(1, |log| log as usize + 1);
            self.digits = self.digits.max(digits);
            if name == reg.kind.name() {
                self.told.insert(reg.id, format!("{name} {}", reg.fd));
            } else {
                self.told.remove(&reg.id);
            }
            match self.of.get_mut(&reg.id) {
                Some(known) if known.1 == name => {}
                Some(known) if known.0 != '*' && known.1.starts_with("fd ") => {
                    // It had no name before: let it choose its letter again.
                    self.taken.remove(&known.0);
                    self.of.remove(&reg.id);
                    self.give(reg.id, name, |id| alive.contains(&id));
                }
                Some(known) => known.1 = name,
                None => self.give(reg.id, name, |id| alive.contains(&id)),
            }
        }
    }

    fn give(&mut self, id: Id, name: String, is_live: impl Fn(Id) -> bool) {
        let own = name
            .chars()
            .filter(char::is_ascii_alphabetic)
            .map(|c| c.to_ascii_lowercase());
        let rest = ('a'..='z').chain('A'..='Z');
        let free = |c: &char| !self.taken.contains_key(c);
        // A letter of its own name, then any, then one whose fd has ended.
        let gone = |c: &char| self.taken.get(c).is_some_and(|id| !is_live(*id));
        // Letters of ended fds are for live ones; with very many fds nearly all go without.
        let full = self.taken.len() >= LETTERS;
        if full && !(is_live(id) && rest.clone().any(|c| gone(&c))) {
            self.of.insert(id, ('*', name));
            return;
        }
        let letter = own
            .clone()
            .find(free)
            .or_else(|| rest.clone().find(free))
            .or_else(|| rest.clone().find(gone))
            .unwrap_or('*');
        if letter != '*'
            && let Some(old) = self.taken.insert(letter, id)
            && let Some(known) = self.of.get_mut(&old)
        {
            known.0 = '*';
        }
        self.of.insert(id, (letter, name));
    }

    /// With more fds than letters, those shown get one: from an fd that is not.
    pub fn prefer(&mut self, shown: &[Id]) {
        for id in shown {
            if self.of.get(id).is_none_or(|known| known.0 != '*') {
                continue;
            }
            let mut letters = ('a'..='z').chain('A'..='Z');
            let free = letters.find(|c| self.taken.get(c).is_none_or(|id| !shown.contains(id)));
            let Some(letter) = free else { return };
            if let Some(old) = self.taken.insert(letter, *id)
                && let Some(known) = self.of.get_mut(&old)
            {
                known.0 = '*';
            }
            if let Some(known) = self.of.get_mut(id) {
                known.0 = letter;
            }
        }
    }

    /// None has been named yet.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The letter of an fd; `*` for one that has none.
    pub fn letter(&self, id: Id) -> char {
        self.of.get(&id).map_or('*', |n| n.0)
    }

    /// The short name of an fd, beside its number.
    pub fn name(&self, id: Id) -> &str {
        self.of.get(&id).map_or("?", |n| &n.1)
    }

    /// The same where its number does not stand: ten pipes are told apart by it.
    pub fn told(&self, id: Id) -> &str {
        match self.told.get(&id) {
            Some(name) => name,
            None => self.name(id),
        }
    }

    /// Cells for the largest number, at least two.
    pub fn digits(&self) -> usize {
        self.digits.max(2)
    }
}

/// The short name of a registration: given, or made from its addresses, its kind or its number; harmless.
pub fn name(reg: &Registration) -> String {
    called(reg, &reg.name)
}

/// The same in a sentence: one that is only called what it is has its number there.
pub fn told(reg: &Registration) -> String {
    let name = name(reg);
    match name == reg.kind.name() {
        true => format!("{name} {}", reg.fd),
        false => name,
    }
}

/// The same of one whose socket is known by this name.
fn called(reg: &Registration, name: &str) -> String {
    let raw = if !name.is_empty() {
        given(&visible(name), reg.kind)
    } else if !reg.addr.is_empty() {
        of_kind(&visible(&reg.addr), reg.kind)
    } else if reg.kind != FdKind::Unknown {
        reg.kind.name().to_owned()
    } else {
        format!("fd {}", reg.fd)
    };
    raw.trim().to_owned()
}

/// A connection whose far side nobody knows any more is none that listens.
fn of_kind(addr: &str, kind: FdKind) -> String {
    match addr.strip_suffix('>') {
        Some(local) if matches!(kind, FdKind::Tcp | FdKind::Unix) => {
            format!("client of {}", listener(local))
        }
        _ => address(addr),
    }
}

/// A name as given, unless it was made of addresses: `tcp 127.0.0.1:7001 ← 127.0.0.1:51234` is `:51234`, the client's
/// `tcp 127.0.0.1:51234 → 127.0.0.1:7001` is `:51234→:7001`, a listener's `tcp 127.0.0.1:7001` is `listen :7001`.
fn given(name: &str, kind: FdKind) -> String {
    let is_address = |a: &str| {
        a.rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    };
    // A connection this side made is one of several to the same port: its own port is what tells it apart.
    if let Some((local, peer)) = name.split_once(" → ")
        && is_address(peer)
        && (is_address(local) || local == "tcp")
    {
        let own = local.rsplit_once(':').map_or("", |(_, port)| port);
        let colon = if own.is_empty() { "" } else { ":" };
        return format!("{colon}{own}→{}", short(peer));
    }
    match name.split_once(" ← ") {
        // The near end alone may not be known: `tcp ← 127.0.0.1:45856`.
        Some((local, peer)) if is_address(peer) && (is_address(local) || local == "tcp") => {
            short(peer)
        }
        None if kind == FdKind::TcpListener && is_address(name) => {
            format!("listen {}", short(name.rsplit(' ').next().unwrap_or(name)))
        }
        _ => name.to_owned(),
    }
}

/// An address without this machine's own host.
fn short(a: &str) -> String {
    let own = ["127.0.0.1:", "[::1]:"];
    if let Some(port) = own.iter().find_map(|host| a.strip_prefix(host)) {
        return format!(":{port}");
    }
    match a.strip_prefix("0.0.0.0:") {
        Some(port) => format!("*:{port}"),
        None => a.to_owned(),
    }
}

/// What a listener is called where its connections are meant: its address.
pub fn listener(text: &str) -> String {
    let bare = text.split_once(' ').map_or(text, |(_, address)| address);
    short(bare.trim_end_matches('>'))
}

/// `tcp 127.0.0.1:7001>127.0.0.1:51234` as `:51234`, a listener as `listen :7001`; other hosts in full.
pub fn address(text: &str) -> String {
    let (proto, pair) = text.split_once(' ').unwrap_or(("", text));
    let (local, peer) = pair.split_once('>').unwrap_or((pair, ""));
    match peer {
        "" if proto.is_empty() => short(local),
        "" => format!("listen {}", short(local)),
        peer => short(peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_short() {
        assert_eq!(address("tcp 127.0.0.1:7001>127.0.0.1:51234"), ":51234");
        assert_eq!(
            address("tcp 10.0.0.1:7001>10.0.0.2:51234"),
            "10.0.0.2:51234"
        );
        assert_eq!(address("tcp-listen 127.0.0.1:7001>"), "listen :7001");
        let of = |kind| of_kind("tcp 127.0.0.1:7001>", kind);
        assert_eq!(of(FdKind::Tcp), "client of :7001");
        assert_eq!(of(FdKind::TcpListener), "listen :7001");
    }

    #[test]
    fn names_made_of_addresses_are_short_and_given_ones_stay() {
        let of = |name| given(name, FdKind::TcpListener);
        assert_eq!(of("tcp 127.0.0.1:7017 ← 127.0.0.1:57282"), ":57282");
        assert_eq!(of("tcp 10.0.0.1:80 ← 10.0.0.2:9"), "10.0.0.2:9");
        assert_eq!(of("tcp 127.0.0.1:51234 → 127.0.0.1:7017"), ":51234→:7017");
        assert_eq!(of("tcp 10.0.0.9:51234 → 10.0.0.2:80"), ":51234→10.0.0.2:80");
        assert_eq!(of("tcp → 10.0.0.2:80"), "→10.0.0.2:80");
        assert_eq!(of("tcp 127.0.0.1:7017"), "listen :7017");
        assert_eq!(of("a ← b"), "a ← b");
        assert_eq!(of("tcp ← 127.0.0.1:45856"), ":45856");
        assert_eq!(of("tcp 0.0.0.0:7500"), "listen *:7500");
        assert_eq!(of("tcp [::]:7500"), "listen [::]:7500");
        assert_eq!(of("shard 7"), "shard 7");
        assert_eq!(listener("tcp 127.0.0.1:7017"), ":7017");
    }

    #[test]
    fn who_is_shown_has_a_letter() {
        let mut names = Names::default();
        for id in 0..100 {
            names.give(id, format!("{id}"), |_| false);
        }
        assert_eq!((names.letter(3), names.letter(90)), ('d', '*'));
        names.prefer(&[3, 90, 91]);
        assert_eq!(names.letter(3), 'd');
        assert!(names.letter(90) != '*' && names.letter(91) != '*');
        assert_ne!(names.letter(90), names.letter(91));
    }

    #[test]
    fn letters_come_from_the_names_and_stay() {
        let mut names = Names::default();
        for (id, name) in [(1, "flood"), (2, "ann"), (3, "frank"), (4, "5")] {
            names.give(id, name.to_owned(), |_| false);
        }
        let letters: String = (1..=4).map(|id| names.letter(id)).collect();
        assert_eq!(letters, "farb");
    }
}
