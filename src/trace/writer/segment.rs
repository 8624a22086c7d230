//! Where a writer's pages go: one segment after the other, each of which says again what it relies on; with a size limit
//! in places that are used in turn. Step: ring → **trace**.

use super::Writer;
use crate::record::event::Event;
use crate::trace::columns;
use crate::trace::header::Layout;
use crate::trace::page::{HEADER, MAX_RAW, PageHeader, PageKind};
use crate::trace::stored::attachment;

/// A segment of a file that just grows ends when it reaches this size.
const SEGMENT: u64 = 64 << 20;

impl Writer {
    pub(super) fn put_events(
        &mut self,
        kind: PageKind,
        events: &[Event],
        text: &[u8],
    ) -> std::io::Result<u64> {
        let mut header = PageHeader {
            kind: kind as u8,
            version: columns::VERSION,
            count: events.len() as u32,
            first_event: self.first,
            ..crate::trace::filter::ranges(events)
        };
        let mut raw = std::mem::take(&mut self.raw);
        self.encoder.encode(events, text, &mut raw);
        let done = match kind {
            PageKind::Events => self.put(&mut header, &raw),
            _ => self.put_here(&mut header, &raw),
        };
        self.raw = raw;
        done.map(|()| header.t_last)
    }

    /// Appends a page, in a new segment if the present one is full.
    pub(super) fn put(&mut self, header: &mut PageHeader, raw: &[u8]) -> std::io::Result<()> {
        let layout = self.pages.layout;
        let full = if layout.places == 0 {
            self.pages.at - self.segment_at >= SEGMENT
        } else {
            let room = layout.place_size - (self.pages.at - self.segment_at);
            // Packing never makes it longer; only a close call is worth packing twice.
            room < (HEADER + raw.len()) as u64 && room < self.pages.size_of(header, raw)
        };
        if full {
            self.next_segment(header.t_first)?;
        }
        self.put_here(header, raw)
    }

    fn put_here(&mut self, header: &mut PageHeader, raw: &[u8]) -> std::io::Result<()> {
        header.segment = self.segment;
        self.pages.put(header, raw)
    }

    fn next_segment(&mut self, t: u64) -> std::io::Result<()> {
        let Layout {
            places, place_size, ..
        } = self.pages.layout;
        let next = self.segment + 1;
        if places > 0 {
            let at = self.pages.start + u64::from(next % places) * place_size;
            if next >= places {
                self.pages.reuse(at)?;
                let oldest = next - places;
                let drop = self
                    .pages
                    .table
                    .iter()
                    .take_while(|e| e.header.segment <= oldest)
                    .count();
                let gone = self.pages.table.drain(..drop);
                self.dropped += gone
                    .filter(|e| e.header.kind == PageKind::Events as u8)
                    .map(|e| u64::from(e.header.count))
                    .sum::<u64>();
            }
            self.pages.at = at;
        }
        self.segment = next;
        self.segment_at = self.pages.at;
        let (mut events, mut text) = (Vec::new(), Vec::new());
        // Only readers that start here see it, and for them everything before is dropped.
        self.restater.say(t, self.first, &mut events, &mut text);
        let half = self.segment_at + place_size / 2;
        for page in events.chunks(self.most_events) {
            if places > 0 && self.pages.at > half {
                // A limit this small cannot hold more; what is not said again is unknown.
                break;
            }
            self.put_events(PageKind::Restated, page, &text)?;
        }
        for (name, bytes) in if places > 0 {
            std::mem::take(&mut self.attachments)
        } else {
            Vec::new()
        } {
            let (mut header, raw) = attachment(&name, &bytes, self.first);
            self.put_here(&mut header, &raw)?;
            self.attachments.push((name, bytes));
        }
        Ok(())
    }

    /// The most bytes a stored page may have: with a size limit, what leaves room for events in its place.
    pub(super) fn most_stored(&self) -> usize {
        match self.pages.layout {
            Layout { places: 0, .. } => MAX_RAW,
            Layout { place_size, .. } => usize::try_from(place_size / 8)
                .unwrap_or(MAX_RAW)
                .min(MAX_RAW),
        }
    }
}
