//! The recording (`.lscope`): the file between the rings and everything that looks. Step: ring → **trace** → model.
//!
//! A file is a header (twice), then pages: checksummed, compressed, each readable on its own, grouped in segments that
//! restate the names and descriptors they rely on. The footer makes it complete and holds the page table; without it
//! (the writer was killed, the file was cut) the table is rebuilt by walking the pages. `docs/FORMAT.md` describes every byte.

mod anonymous;
mod append;
mod bits;
mod columns;
mod counts;
mod cut;
mod decode;
mod dictionary;
mod encode;
mod error;
mod events;
mod extras;
mod file;
mod filter;
mod follow;
mod header;
mod index;
mod inside;
pub mod merge;
mod meta;
mod page;
mod reader;
mod recent;
mod restate;
mod roster;
mod scan;
mod stored;
mod sys;
mod table;
mod unpack;
mod writer;

pub use anonymous::Anonymous;
pub use append::Appender;
pub use cut::{cut, cut_into};
pub use error::{Error, Problem};
pub use events::{Cursor, Events};
pub use extras::Derived;
pub use follow::Progress;
pub use header::VERSION;
pub use meta::{CutFrom, Meta, Setup};
pub use page::PageKind;
pub use reader::Reader;
pub use stored::{Options, Summary};
pub use table::{PageInfo, State};
pub use writer::Writer;

/// Decodes any bytes as the payload of a page; for fuzz/.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_page(data: &[u8]) {
    let Some((count, raw)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (mut events, mut text) = (Vec::new(), Vec::new());
    let count = usize::from(u16::from_le_bytes(*count));
    let mut decoder = decode::Decoder::default();
    if decoder.decode(raw, count, &mut events, &mut text).is_some() {
        assert_eq!(events.len(), count);
        // What decodes can be said again, and is the same then.
        let (mut again, mut more, mut others) = (Vec::new(), Vec::new(), Vec::new());
        encode::Encoder::default().encode(&events, &text, &mut again);
        let read = decoder.decode(&again, count, &mut more, &mut others);
        assert!(read.is_some() && more.len() == count);
        for (a, b) in events.iter().zip(&more) {
            // Texts of newer kinds are not handed out: what follows stands elsewhere then.
            assert_eq!(a.text.of(&text), b.text.of(&others));
            assert_eq!(*a, crate::record::event::Event { text: a.text, ..*b });
        }
    }
}
