//! What an fd is called on screen: one letter in strips, one short name in tables. Step: model → **view**.

use crate::model::{Id, Registration};
use crate::record::event::FdKind;
use crate::text::visible;
use std::collections::HashMap;

/// Letters and names of a loop's fds; a letter stays with its fd.
#[derive(Clone, Debug, Default)]
pub struct Names {
    of: HashMap<Id, (char, String)>,
    taken: HashMap<char, Id>,
}

impl Names {
    /// Takes over what the model says about these registrations.
    pub fn update(&mut self, regs: &[Registration]) {
        let alive: HashMap<Id, bool> = regs.iter().map(|r| (r.id, r.is_live())).collect();
        let mut by_age: Vec<&Registration> = regs.iter().collect();
        by_age.sort_by_key(|r| r.id);
        for reg in by_age {
            let name = name(reg);
            match self.of.get_mut(&reg.id) {
                Some(known) if known.1 == name => {}
                Some(known) if known.0 != '*' && known.1.starts_with("fd ") => {
                    // It had no name before: let it choose its letter again.
                    self.taken.remove(&known.0);
                    self.of.remove(&reg.id);
                    self.give(reg.id, name, &alive);
                }
                Some(known) => known.1 = name,
                None => self.give(reg.id, name, &alive),
            }
        }
    }

    fn give(&mut self, id: Id, name: String, alive: &HashMap<Id, bool>) {
        let own = name
            .chars()
            .filter(char::is_ascii_alphabetic)
            .map(|c| c.to_ascii_lowercase());
        let rest = ('a'..='z').chain('A'..='Z');
        let free = |c: &char| !self.taken.contains_key(c);
        // A letter of its own name, then any, then one whose fd has ended.
        let gone = |c: &char| {
            self.taken
                .get(c)
                .is_some_and(|id| !alive.get(id).copied().unwrap_or(false))
        };
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

    /// It has been given a name.
    pub fn knows(&self, id: Id) -> bool {
        self.of.contains_key(&id)
    }

    /// The letter of an fd; `*` for one that has none.
    pub fn letter(&self, id: Id) -> char {
        self.of.get(&id).map_or('*', |n| n.0)
    }

    /// The short name of an fd.
    pub fn name(&self, id: Id) -> &str {
        self.of.get(&id).map_or("?", |n| &n.1)
    }
}

/// The short name of a registration: given, or made from its addresses, its kind or its number; harmless.
pub fn name(reg: &Registration) -> String {
    let raw = if !reg.name.is_empty() {
        visible(&reg.name).into_owned()
    } else if !reg.addr.is_empty() {
        address(&visible(&reg.addr))
    } else if reg.kind != FdKind::Unknown {
        reg.kind.name().to_owned()
    } else {
        format!("fd {}", reg.fd)
    };
    raw.trim().to_owned()
}

/// `tcp 127.0.0.1:7001>127.0.0.1:51234` as `:51234`, a listener as `listen :7001`; other hosts in full.
pub fn address(text: &str) -> String {
    let (proto, pair) = text.split_once(' ').unwrap_or(("", text));
    let (local, peer) = pair.split_once('>').unwrap_or((pair, ""));
    let short = |a: &str| match a.strip_prefix("127.0.0.1").or(a.strip_prefix("[::1]")) {
        Some(port) if port.starts_with(':') => port.to_owned(),
        _ => a.to_owned(),
    };
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
    }

    #[test]
    fn letters_come_from_the_names_and_stay() {
        let mut names = Names::default();
        let alive = HashMap::new();
        for (id, name) in [(1, "flood"), (2, "ann"), (3, "frank"), (4, "5")] {
            names.give(id, name.to_owned(), &alive);
        }
        let letters: String = (1..=4).map(|id| names.letter(id)).collect();
        assert_eq!(letters, "farb");
    }
}
