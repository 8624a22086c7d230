//! Where marks and spans of each name are first made, and where the program's output stands, so that going to one and
//! showing the other needs no search. Step: trace → **model**.

use std::collections::BTreeMap;

use crate::model::Model;
use crate::model::codec::{Cursor, put};
use crate::record::event::{Event, Kind, Space, flags};

/// Names kept; with more of them, those that are missing have to be searched for.
const MOST: usize = 4_096;

/// The first instant of each name, and the pages with output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    first: BTreeMap<String, u64>,
    /// There were more than are kept.
    more: bool,
    /// The first events of pages that hold output.
    output: Vec<u64>,
}

impl Marks {
    /// Looks at an event that the model has just seen, on the page that starts with event `page`.
    pub(super) fn look(&mut self, model: &Model, e: &Event, page: u64) {
        if e.kind == Kind::Output && self.output.last() != Some(&page) {
            self.output.push(page);
        }
        if !matches!(e.kind, Kind::Mark | Kind::SpanBegin) || e.flags & flags::AGAIN != 0 {
            return;
        }
        let name = model.name(model.process_of_thread(e.thread), Space::Mark, e.x as u32);
        if name.is_empty() || self.first.contains_key(name) {
            return;
        }
        match self.first.len() < MOST {
            true => {
                self.first.insert(name.to_owned(), e.t);
            }
            false => self.more = true,
        }
    }

    /// The instant of the first mark or span of this name; nothing if only a search can tell.
    pub fn find(&self, name: &str) -> Option<Option<u64>> {
        match self.first.get(name) {
            Some(t) => Some(Some(*t)),
            None => (!self.more).then_some(None),
        }
    }

    /// The start of the first page with output from the page on that starts with event `page`; the largest number if
    /// none follows.
    pub fn output_from(&self, page: u64) -> u64 {
        let at = self.output.partition_point(|p| *p < page);
        self.output.get(at).copied().unwrap_or(u64::MAX)
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.more));
        put(out, self.first.len() as u64);
        for (name, t) in &self.first {
            put(out, name.len() as u64);
            out.extend(name.as_bytes());
            put(out, *t);
        }
        let mut last = 0;
        for page in &self.output {
            put(out, page - last);
            last = *page;
        }
    }

    pub(super) fn load(bytes: &[u8]) -> Option<Self> {
        let mut c = Cursor::new(bytes);
        let more = c.u64()? != 0;
        let mut first = BTreeMap::new();
        for _ in 0..c.u64()? {
            let len = usize::try_from(c.u64()?).ok()?;
            let name = std::str::from_utf8(c.bytes(len)?).ok()?.to_owned();
            first.insert(name, c.u64()?);
        }
        let (mut output, mut last) = (Vec::new(), 0u64);
        while !c.is_empty() {
            last = last.checked_add(c.u64()?)?;
            output.push(last);
        }
        Some(Self {
            first,
            more,
            output,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let first = [("a".to_owned(), 7), ("request 3".to_owned(), 1 << 40)];
        let marks = Marks {
            first: first.into(),
            more: false,
            output: vec![0, 70_000, 80_000],
        };
        let mut bytes = Vec::new();
        marks.save(&mut bytes);
        let back = Marks::load(&bytes).unwrap();
        assert_eq!(back, marks);
        assert_eq!(back.find("request 3"), Some(Some(1 << 40)));
        assert_eq!(back.find("b"), Some(None));
        let more = Marks {
            more: true,
            ..back.clone()
        };
        assert_eq!(more.find("b"), None);
        assert_eq!(back.output_from(0), 0);
        assert_eq!(back.output_from(1), 70_000);
        assert_eq!(back.output_from(80_001), u64::MAX);
        assert_eq!(Marks::load(&bytes[..3]), None);
    }
}
