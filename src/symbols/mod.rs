//! From a place in a program or library to the function, file and line it was compiled from, as far as symbols and debug
//! information say. Step: trace → … → **view**.
//!
//! | file | concept |
//! |---|---|
//! | `bytes` | a file that nobody trusts, read piece by piece and never too much of it |
//! | `find` | where a module's debug information lies: in it, by its build id, by its debug link |
//! | `function` | what a place of a stack is called |
//! | `jit` | the names that a program gave the code it made |
//! | `module` | one module: from offsets to places |
//! | `unwind` | from a place to its caller, by a module's unwind tables |
//! | `table` | the places of a recording: those it carries, those asked for in the background |
//!
//! The files are looked at where the recording is read, which may be another machine and another day: only a file with
//! the build id that was recorded counts. So that a recording can be read elsewhere, its collector looks the places up
//! when the program has ended, if that takes no time worth mentioning, and adds them as an attachment.

mod bytes;
mod find;
mod function;
pub mod jit;
mod module;
mod table;
pub mod unwind;

pub use find::Image;
pub use function::{functions, is_library};
pub use module::locate;
pub use table::{ATTACHMENT, Sites, attachment, lines};

/// A module as a recording names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Module {
    /// Its file, when the program ran.
    pub path: String,
    /// What identifies it: its build id in hexadecimal digits; of a file without one `m` and the instant it was last
    /// changed; empty if neither is known.
    pub identity: String,
}

impl Module {
    /// As the name of a module says it: `IDENTITY PATH`, `- PATH` without one.
    pub fn parse(name: &str) -> Option<Module> {
        let (id, path) = name.split_once(' ')?;
        let identity = match id {
            "-" => "",
            id => id,
        };
        let digits = identity.strip_prefix('m').unwrap_or(identity);
        let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
        (path.starts_with('/') && hexadecimal).then(|| Module {
            path: path.to_owned(),
            identity: identity.to_owned(),
        })
    }

    /// As [`Module::parse`] reads it.
    pub fn name(&self) -> String {
        let identity = match self.identity.as_str() {
            "" => "-",
            id => id,
        };
        format!("{identity} {}", self.path)
    }

    /// The build id, if it has one.
    fn build_id(&self) -> Option<&str> {
        let id = self.identity.as_str();
        (!id.is_empty() && !id.starts_with('m')).then_some(id)
    }
}

/// Where a call was compiled from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The functions at this place, the one whose line it is first, then those it was inlined into.
    pub frames: Vec<Frame>,
}

/// A function at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Its name; where there is no debug information, with the offset in it: `poll_loop+0x1c`. Empty: not known.
    pub function: String,
    /// Its source file; empty: not known.
    pub file: String,
    /// The line, from 1; 0: not known.
    pub line: u32,
}

impl Place {
    /// File and line, if they are known.
    pub fn line(&self) -> Option<(&str, u32)> {
        let frame = self.frames.first()?;
        (!frame.file.is_empty() && frame.line != 0).then_some((&frame.file, frame.line))
    }

    /// In a few words: `server.c:120 read_query`, or the function alone.
    pub fn short(&self) -> String {
        let Some(frame) = self.frames.first() else {
            return String::new();
        };
        let base = frame.file.rsplit('/').next().unwrap_or_default();
        match (base, frame.line, frame.function.as_str()) {
            ("", _, function) | (_, 0, function) => function.to_owned(),
            (base, line, "") => format!("{base}:{line}"),
            (base, line, function) => format!("{base}:{line} {function}"),
        }
    }
}

/// The module that the sites of a process call by this name, the last part of its path or all of it. `named` gives the
/// names of the process's modules, from 1 on; an empty one ends them.
pub fn module_called<'a>(name: &str, named: impl Fn(u32) -> &'a str) -> Option<Module> {
    let of = |module: &Module| module.path == name || module.path.rsplit('/').next() == Some(name);
    (1..)
        .map(named)
        .take_while(|told| !told.is_empty())
        .filter_map(Module::parse)
        .find(of)
}

/// Module and address of a place as its site is named: `redis-server+0x4a31f`.
pub fn parse_site(site: &str) -> Option<(&str, u64)> {
    let (module, offset) = site.rsplit_once("+0x")?;
    Some((module, u64::from_str_radix(offset, 16).ok()?))
}

/// A text whose places, named as [`parse_site`] reads them, are told as `place` knows them.
pub fn with_places(text: &str, mut place: impl FnMut(&str) -> Option<String>) -> String {
    let mut told = String::with_capacity(text.len());
    for word in text.split_inclusive(' ') {
        let site = word.trim_matches(['(', ')', ',', '.', ';', ':', ' ']);
        let known = parse_site(site).and_then(|_| place(site));
        match known.filter(|known| !known.is_empty()) {
            Some(known) => told.push_str(&word.replace(site, &known)),
            None => told.push_str(word),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_sentence_are_told() {
        let place = |site: &str| (site == "hw+0x262e").then(|| "hw.c:44 main".to_owned());
        let told = with_places("it slept (hw+0x262e), called at hw+0x262e. x+0x1", place);
        assert_eq!(
            told,
            "it slept (hw.c:44 main), called at hw.c:44 main. x+0x1"
        );
    }

    #[test]
    fn names_of_modules_and_sites_are_read_back() {
        let module = Module::parse("0123abcd /usr/bin/a b").unwrap();
        assert_eq!(
            (module.path.as_str(), module.identity.as_str()),
            ("/usr/bin/a b", "0123abcd")
        );
        assert_eq!(module.name(), "0123abcd /usr/bin/a b");
        assert_eq!(Module::parse("m12 /x").unwrap().build_id(), None);
        assert_eq!(Module::parse("- /bin/x").unwrap().identity, "");
        for wrong in ["", "/bin/x", "xyz /bin/x", "- relative", "0123abcd"] {
            assert_eq!(Module::parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse_site("a+0x+0x1f"), Some(("a+0x", 0x1f)));
        assert_eq!(parse_site("src/main.rs:1:2"), None);
        assert_eq!(parse_site("a+0xzz"), None);
    }

    #[test]
    fn a_place_in_a_few_words() {
        let place = |function: &str, file: &str, line| Place {
            frames: vec![Frame {
                function: function.to_owned(),
                file: file.to_owned(),
                line,
            }],
        };
        assert_eq!(place("f", "/src/x.c", 7).short(), "x.c:7 f");
        assert_eq!(place("", "/src/x.c", 7).short(), "x.c:7");
        assert_eq!(place("f+0x1", "", 0).short(), "f+0x1");
        assert_eq!(place("f", "x.c", 0).line(), None);
        assert_eq!(Place::default().short(), "");
    }
}
