//! The places of a recording: those that it carries, and those that are looked up while it is read, in the background and
//! once. Step: trace → **view**.

use super::{Frame, Module, Place, jit, locate};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What the attachment is called.
pub const ATTACHMENT: &str = "symbols";

/// Its first line.
const HEAD: &str = "loopscope symbols 1";

/// Places kept, and looked up at once: as many as a program has sites.
const MOST: usize = 65_536;

type Key = (Module, u64);
type Found = Vec<(Key, Option<Place>)>;

/// The places of a recording.
#[derive(Default)]
pub struct Sites {
    known: HashMap<Key, Option<Place>>,
    asked: HashSet<Key>,
    worker: Option<(Sender<Vec<Key>>, Receiver<Found>)>,
}

impl std::fmt::Debug for Sites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sites")
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

impl Sites {
    /// Takes over what a recording carries, as far as it makes sense.
    pub fn read(&mut self, attachment: &[u8]) {
        let text = String::from_utf8_lossy(attachment);
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return;
        }
        for line in lines.take(MOST) {
            let mut fields = line.split('\t');
            let key = || {
                let address = u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
                Some((Module::parse(fields.next()?)?, address))
            };
            let Some(key) = { key }() else { continue };
            let rest: Vec<&str> = fields.collect();
            let frames = rest.chunks_exact(3).filter_map(|frame| match frame {
                [function, file, line] => Some(Frame {
                    function: (*function).to_owned(),
                    file: (*file).to_owned(),
                    line: line.parse().ok()?,
                }),
                _ => None,
            });
            let frames: Vec<Frame> = frames.collect();
            if !frames.is_empty() {
                self.known.insert(key, Some(Place { frames }));
            }
        }
    }

    /// The place, if it has been looked up; `None` where that is still to be done.
    pub fn get(&self, module: &Module, address: u64) -> Option<Option<&Place>> {
        let found = self.known.get(&(module.clone(), address))?;
        Some(found.as_ref())
    }

    /// Looks these up here and now.
    pub fn look_up(&mut self, wanted: impl IntoIterator<Item = Key>) {
        let new: Vec<Key> = (wanted.into_iter())
            .filter(|key| !self.known.contains_key(key))
            .take(MOST)
            .collect();
        self.keep(all(new));
    }

    /// Has them looked up in the background; `done` is called there when they are.
    pub fn ask(&mut self, wanted: impl IntoIterator<Item = Key>, done: impl Fn() + Send + 'static) {
        let new: Vec<Key> = (wanted.into_iter())
            .filter(|key| !self.known.contains_key(key) && !self.asked.contains(key))
            .take(MOST.saturating_sub(self.asked.len()))
            .collect();
        if new.is_empty() {
            return;
        }
        if self.worker.is_none() {
            self.worker = start(done);
        }
        self.asked.extend(new.iter().cloned());
        if let Some((to, _)) = &self.worker {
            // It has gone: then they stay what they are called without it.
            let _ = to.send(new);
        }
    }

    /// Takes over what has been found meanwhile; true if there was something.
    pub fn take(&mut self) -> bool {
        let mut found = Vec::new();
        if let Some((_, from)) = &self.worker {
            found.extend(from.try_iter().flatten());
        }
        let some = !found.is_empty();
        for (key, _) in &found {
            self.asked.remove(key);
        }
        self.keep(found);
        some
    }

    fn keep(&mut self, found: Found) {
        let room = MOST.saturating_sub(self.known.len());
        self.known.extend(found.into_iter().take(room));
    }
}

fn start(done: impl Fn() + Send + 'static) -> Option<(Sender<Vec<Key>>, Receiver<Found>)> {
    let (to, wanted) = channel::<Vec<Key>>();
    let (found, from) = channel();
    let work = move || {
        for keys in wanted {
            if found.send(all(keys)).is_err() {
                return;
            }
            done();
        }
    };
    let thread = std::thread::Builder::new().name("symbols".to_owned());
    thread.spawn(work).ok()?;
    Some((to, from))
}

/// Every module is opened once.
fn all(mut keys: Vec<Key>) -> Found {
    keys.sort_unstable();
    keys.dedup();
    let mut out = Vec::with_capacity(keys.len());
    for same in keys.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((module, _)) = same.first() else {
            continue;
        };
        let addresses: Vec<u64> = same.iter().map(|(_, address)| *address).collect();
        out.extend(same.iter().cloned().zip(locate(module, &addresses)));
    }
    out
}

/// Looks up these addresses, module by module, and gives what the attachment says of each module as soon as it is known. What
/// nobody can look up later comes first: the names of code that the program made itself.
pub fn lines(wanted: &BTreeMap<Module, Vec<u64>>, each: &mut dyn FnMut(String)) {
    let one_line = |text: &str| text.replace(['\t', '\n', '\r'], " ");
    let (maps, files): (Vec<_>, Vec<_>) = wanted.iter().partition(|(m, _)| jit::is_map(&m.path));
    for (module, addresses) in maps.into_iter().chain(files) {
        let places = match jit::is_map(&module.path) {
            true => jit::locate(module, addresses),
            false => locate(module, addresses),
        };
        let mut out = String::new();
        for (address, place) in addresses.iter().zip(places) {
            let Some(place) = place else { continue };
            out.push_str(&format!("{address:#x}\t{}", one_line(&module.name())));
            for frame in &place.frames {
                let (function, file) = (one_line(&frame.function), one_line(&frame.file));
                out.push_str(&format!("\t{function}\t{file}\t{}", frame.line));
            }
            out.push('\n');
        }
        each(out);
    }
}

/// The attachment of such lines; nothing if there are none.
pub fn attachment(lines: &str) -> Option<Vec<u8>> {
    (!lines.is_empty()).then(|| format!("{HEAD}\n{lines}").into_bytes())
}
