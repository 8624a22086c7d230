//! Call sites in words: function, file and line of what the program called from, as far as they are known or can be
//! found. What is not known yet is looked up beside the screen, which is drawn without it meanwhile.
//! Step: trace → model → **view**.

use super::App;
use crate::findings::meanwhile::Name;
use crate::model::{Id, Model};
use crate::record::event::Space;
use crate::symbols::{self, Frame, Module, Place, Sites, module_called, parse_site};
use crate::text::visible;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Functions of a stack that are shown.
const SHOWN: usize = 6;

type Key = (Module, u64);

/// The places of the recording that is shown.
#[derive(Debug, Default)]
pub struct Places {
    sites: Sites,
    /// What the last frame would have shown.
    wanted: RefCell<BTreeSet<Key>>,
}

impl Places {
    /// Takes over what the recording carries.
    pub fn read(&mut self, attachment: &[u8]) {
        self.sites.read(attachment);
    }

    /// Looks up here and now what the last frame was without; true if there was something.
    pub fn find(&mut self) -> bool {
        let wanted = std::mem::take(self.wanted.get_mut());
        let some = !wanted.is_empty();
        self.sites.look_up(wanted);
        some
    }

    /// Has it looked up; `done` is called by another thread when it is found.
    pub fn ask(&mut self, done: impl Fn() + Send + 'static) {
        let wanted = std::mem::take(self.wanted.get_mut());
        if !wanted.is_empty() {
            self.sites.ask(wanted, done);
        }
    }

    /// Takes over what was found; true if there was something.
    pub fn take(&mut self) -> bool {
        self.sites.take()
    }
}

impl App {
    /// Where a call site of a process lies, if that is known by now.
    pub fn place(&self, process: Id, site: u16) -> Option<Place> {
        let model = self.model();
        let name = model.name(process, Space::Site, u32::from(site));
        self.place_called(model, process, name)
    }

    fn place_called(&self, model: &Model, process: Id, name: &str) -> Option<Place> {
        let Some((module, offset)) = parse_site(name) else {
            return told(name);
        };
        let module = module_called(module, |n| model.name(process, Space::Module, n))?;
        match self.places.sites.get(&module, offset) {
            Some(found) => found.cloned(),
            None => {
                self.places.wanted.borrow_mut().insert((module, offset));
                None
            }
        }
    }

    /// A call site in a few words, `server.c:120 read_query` or `server+0x4a31`; nothing where none was recorded.
    pub fn site(&self, process: Id, site: u16) -> Option<String> {
        if site == 0 {
            return None;
        }
        let known = self.place(process, site).map(|place| place.short());
        let name = || {
            self.model()
                .name(process, Space::Site, u32::from(site))
                .to_owned()
        };
        let text = known.filter(|text| !text.is_empty()).unwrap_or_else(name);
        (!text.is_empty()).then(|| visible(&text).into_owned())
    }

    /// A sentence about a process, its call sites in the same words.
    pub fn with_places(&self, process: Id, text: &str) -> String {
        symbols::with_places(text, |site| {
            Some(self.place_called(self.model(), process, site)?.short())
        })
    }

    /// The functions of a stack, the innermost first: `parse_row`, or `[server]` where no more is known.
    pub fn stack(&self, process: Id, stack: u32) -> Vec<String> {
        let functions = self.functions(self.model(), process, stack).into_iter();
        let named = functions.map(|name| visible(&name.function).into_owned());
        named.take(SHOWN).collect()
    }

    /// The same of a stack that this model knows, as they are.
    pub(super) fn functions(&self, model: &Model, process: Id, stack: u32) -> Vec<Name> {
        let places = model.stack(process, stack).into_iter();
        let functions = places.flat_map(|name| {
            let place = self.place_called(model, process, name);
            let frames = symbols::functions(name, place.as_ref()).into_iter();
            frames.map(move |frame| Name {
                function: frame.function,
                library: symbols::is_library(name, &frame.file),
                file: frame.file,
            })
        });
        functions.collect()
    }
}

/// A site that the program itself told, through the library: `src/main.rs:12:9`.
fn told(name: &str) -> Option<Place> {
    let mut parts = name.rsplitn(3, ':');
    let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    let frame = Frame {
        function: String::new(),
        file: file.to_owned(),
        line: line.parse().ok()?,
    };
    Some(Place {
        frames: vec![frame],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_that_the_program_told_is_a_place() {
        let place = told("src/main.rs:12:9").unwrap();
        assert_eq!(place.line(), Some(("src/main.rs", 12)));
        assert_eq!(place.short(), "main.rs:12");
        for other in ["", "nonsense", "0x1234", "a:b:c"] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
