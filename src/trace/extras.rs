//! Reading what a recording holds beside its events, and checking all of it. Step: **trace**.

use std::ops::Range;

use super::columns;
use super::error::{Error, Problem};
use super::events::Events;
use super::page::PageKind;
use super::reader::Reader;
use super::scan::Entry;
use super::unpack::Unpacker;

/// A stored page of derived bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// What it is; the model's numbering.
    pub kind: u16,
    /// The model that computed it.
    pub model_version: u32,
    /// The event numbers it was computed from.
    pub events: Range<u64>,
    /// Its size in the file, in bytes.
    pub size: u64,
    at: u64,
}

impl Reader {
    /// The derived pages of this kind and model version, in the order they were written.
    pub fn derived(&self, kind: u16, model_version: u32) -> Vec<Derived> {
        let all = self
            .table
            .stored
            .iter()
            .filter(|e| e.header.kind == PageKind::Derived as u8);
        all.map(|e| Derived {
            kind: e.header.loops as u16,
            model_version: (e.header.loops >> 32) as u32,
            events: e.header.first_event..e.header.fds as u64,
            size: e.header.size(),
            at: e.at,
        })
        .filter(|d| d.kind == kind && d.model_version == model_version)
        .collect()
    }

    /// The bytes of a derived page.
    pub fn read_derived(&mut self, derived: &Derived) -> Result<Vec<u8>, Error> {
        match self
            .payload(derived.at)?
            .filter(|h| h.kind == PageKind::Derived as u8)
        {
            Some(_) => Ok(self.raw().to_vec()),
            None => Err(Error::Damaged(self.path.clone())),
        }
    }

    /// The attachment of this name, if the recording has one that is intact; the latest, if there are several.
    pub fn attachment(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self
            .attachments()?
            .into_iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, bytes)| bytes))
    }

    /// All intact attachments: name and bytes.
    pub fn attachments(&mut self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let places: Vec<u64> = self
            .table
            .stored
            .iter()
            .filter(|e| e.header.kind == PageKind::Attachment as u8)
            .map(|e| e.at)
            .collect();
        let mut out: Vec<(String, Vec<u8>)> = Vec::new();
        for at in places {
            if self
                .payload(at)?
                .is_none_or(|h| h.kind != PageKind::Attachment as u8)
            {
                continue;
            }
            let Some((len, rest)) = self.raw().split_first_chunk::<2>() else {
                continue;
            };
            let Some((name, bytes)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
            else {
                continue;
            };
            let name = String::from_utf8_lossy(name).into_owned();
            // With a size limit, every segment repeats them.
            out.retain(|(n, _)| *n != name);
            out.push((name, bytes.to_vec()));
        }
        Ok(out)
    }

    /// Reads every page and checks every checksum; what it finds is added to [`Reader::problems`]. From here on
    /// [`Reader::complete`] and [`Reader::damaged`] speak for the whole file. `progress` hears how much is done, 0 to 1.
    pub fn verify_with(&mut self, progress: &mut dyn FnMut(f64)) -> Result<&[Problem], Error> {
        let mut events = Events::default();
        let pages = self.table.pages.len();
        for index in 0..pages {
            self.read_page(index, &mut events)?;
            progress((index + 1) as f64 / pages as f64);
        }
        self.verify_rest()
    }

    /// [`Reader::verify_with`] where nobody watches.
    pub fn verify(&mut self) -> Result<&[Problem], Error> {
        self.verify_with(&mut |_| ())
    }

    /// The part of [`Reader::verify`] that is left to do for who has read every page of events.
    pub fn verify_rest(&mut self) -> Result<&[Problem], Error> {
        let mut events = Events::default();
        for i in 0..self.table.stored.len() {
            let Entry { at, header } = self.table.stored[i];
            let kind = PageKind::from_code(header.kind);
            let read = self.payload(at)?.filter(|h| h.kind == header.kind);
            let good = match (read, kind) {
                (Some(h), Some(PageKind::Restated)) if h.version <= columns::VERSION => {
                    let Unpacker { raw, decoder, .. } = &mut self.unpacker;
                    let (count, events, text) =
                        (h.count as usize, &mut events.events, &mut events.text);
                    decoder.decode(raw, count, events, text).is_some()
                }
                (read, _) => read.is_some(),
            };
            let bytes = at..at + header.size();
            let problem = Problem::Page {
                kind,
                events: self.table.end..self.table.end,
                bytes: bytes.clone(),
            };
            let known = self
                .table
                .problems
                .iter()
                .any(|p| matches!(p, Problem::Page { bytes: b, .. } if *b == bytes));
            if !good && !known {
                self.table.problems.push(problem);
            }
        }
        Ok(&self.table.problems)
    }
}
