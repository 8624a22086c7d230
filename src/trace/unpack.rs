//! A page of the file, read, checked, unpacked and decoded. Step: **trace** → model.

use std::fs::File;
use std::io;

use super::columns;
use super::decode::Decoder;
use super::events::Events;
use super::page::{HEADER, PageHeader};
use super::scan;
use super::table::PageInfo;

/// Does that for one file after the other; keeps its buffers from one page to the next.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    packed: Vec<u8>,
    /// What was unpacked last.
    pub raw: Vec<u8>,
    pub decoder: Decoder,
}

/// What came of a page of events.
pub(super) enum Unpacked {
    /// Its events, so many of them of a newer kind.
    Events(u64),
    /// Another page stands there, or none.
    Other,
    /// Its coding is a newer version's.
    Newer,
    /// It does not decode.
    Damaged,
}

impl Unpacker {
    /// Reads and unpacks the page at `at` of recording `id` into `self.raw`; nothing if it is damaged.
    pub fn payload(&mut self, file: &File, id: u64, at: u64) -> io::Result<Option<PageHeader>> {
        let len = file.metadata()?.len();
        let Some(header) = scan::header_at(file, at, len, id)?.map(|e| e.header) else {
            return Ok(None);
        };
        self.packed.resize(header.packed as usize, 0);
        let n = scan::read_at(file, &mut self.packed, at + HEADER as u64)?;
        let whole = n == self.packed.len() && header.unpack(&self.packed, &mut self.raw).is_some();
        Ok(whole.then_some(header))
    }

    /// Reads the events of the page that the page table tells of.
    pub fn page(
        &mut self,
        file: &File,
        id: u64,
        info: &PageInfo,
        out: &mut Events,
    ) -> io::Result<Unpacked> {
        let Some(header) = self.payload(file, id, info.at)? else {
            return Ok(Unpacked::Other);
        };
        let same = header.kind == info.kind as u8
            && header.segment == info.segment
            && header.first_event == info.first_event;
        if !same || (out.numbered && u64::from(header.count) != info.count) {
            return Ok(Unpacked::Other);
        }
        if header.version > columns::VERSION {
            return Ok(Unpacked::Newer);
        }
        let count = header.count as usize;
        let (events, text) = (&mut out.events, &mut out.text);
        Ok(match self.decoder.decode(&self.raw, count, events, text) {
            Some(newer) => Unpacked::Events(newer),
            None => Unpacked::Damaged,
        })
    }
}
