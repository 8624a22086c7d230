//! One module: from addresses in its file to places. Debug information first, with the functions a place was inlined into;
//! without it the symbol that the place lies in. Step: … → **view**.

use super::bytes::Bytes;
use super::find::{self, Elf};
use super::{Frame, Module, Place};
use addr2line::gimli::{self, DwarfSections, EndianSlice, LittleEndian, SectionId};
use addr2line::{Context, demangle_auto};
use object::{CompressionFormat, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::borrow::Cow;
use std::path::Path;

/// Functions kept of a place.
const FRAMES: usize = 8;
/// The longest name kept, in bytes: a C++ template's may be a page.
const NAME: usize = 160;
/// Our header's functions are inlined into the program's: it is the program's line that is wanted.
const OURS: &str = "loopscope.h";

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// The places of these addresses in a module's file, in their order: nothing where it is not known, nothing at all where the
/// file is gone or another one.
pub fn locate(module: &Module, addresses: &[u64]) -> Vec<Option<Place>> {
    try_locate(module, addresses).unwrap_or_else(|| vec![None; addresses.len()])
}

fn try_locate(module: &Module, addresses: &[u64]) -> Option<Vec<Option<Place>>> {
    let path = Path::new(&module.path);
    // The file itself. Its build id may lead to its debug information still when it is another one by now.
    let own = Bytes::open(path);
    let own = own.as_ref().and_then(|bytes| Elf::parse(bytes).ok());
    // Without anything to know it by, a file is nobody's.
    let own = own.filter(|elf| match module.build_id() {
        Some(id) => find::build_id(elf) == id,
        None => !module.identity.is_empty() && find::changed(path) == module.identity,
    });
    let beside = match &own {
        Some(elf) if has_debug(elf) => None,
        Some(elf) => find::debug(elf, path),
        None => module.build_id().and_then(find::debug_of),
    };
    let beside = beside.as_ref().and_then(|bytes| Elf::parse(bytes).ok());
    let debug = beside.as_ref().or(own.as_ref())?;
    let mut places = lines(debug, addresses);
    for elf in [Some(debug), own.as_ref()].into_iter().flatten() {
        if places.iter().any(Option::is_none) {
            symbols(elf, addresses, &mut places);
        }
    }
    Some(places)
}

fn has_debug(elf: &Elf<'_>) -> bool {
    elf.section_by_name(".debug_info").is_some() || elf.section_by_name(".zdebug_info").is_some()
}

/// A section's content, unpacked; nothing if it is not there or too large.
fn section<'a>(elf: &Elf<'a>, id: SectionId) -> Cow<'a, [u8]> {
    let content = || {
        let packed = elf.section_by_name(id.name())?.compressed_data().ok()?;
        if packed.format != CompressionFormat::None
            && !elf.data().may_hold(packed.uncompressed_size)
        {
            return None;
        }
        packed.decompress().ok()
    };
    content().unwrap_or_default()
}

fn sections<'a>(elf: &Elf<'a>) -> Option<DwarfSections<Cow<'a, [u8]>>> {
    DwarfSections::load(|id| Ok::<_, gimli::Error>(section(elf, id))).ok()
}

fn lines(elf: &Elf<'_>, addresses: &[u64]) -> Vec<Option<Place>> {
    with_context(elf, |context| {
        addresses.iter().map(|at| frames(context, *at)).collect()
    })
    .unwrap_or_else(|| vec![None; addresses.len()])
}

fn with_context<T>(elf: &Elf<'_>, ask: impl FnOnce(&Context<Reader<'_>>) -> T) -> Option<T> {
    if !has_debug(elf) {
        return None;
    }
    let own = sections(elf)?;
    let common = find::common(elf);
    let common = common.as_ref().and_then(|bytes| Elf::parse(bytes).ok());
    let common = common.as_ref().and_then(sections);
    let dwarf = own.borrow_with_sup(common.as_ref(), |bytes| {
        EndianSlice::new(bytes, LittleEndian)
    });
    Some(ask(&Context::from_dwarf(dwarf).ok()?))
}

/// A compiler made this name. C's own are no types of C++: a function `f` is not `float`.
fn is_mangled(name: &str) -> bool {
    ["_Z", "__Z", "_R", "__R"]
        .iter()
        .any(|made| name.starts_with(made))
}

fn frames(context: &Context<Reader<'_>>, address: u64) -> Option<Place> {
    let mut found = context.find_frames(address).skip_all_loads().ok()?;
    let mut place = Place::default();
    while place.frames.len() < FRAMES {
        let Ok(Some(frame)) = found.next() else { break };
        let function = frame.function.as_ref();
        let function = function.and_then(|f| match is_mangled(&f.raw_name().ok()?) {
            true => f.demangle().ok(),
            false => f.raw_name().ok(),
        });
        let function = function.map_or(String::new(), name);
        let location = frame.location;
        place.frames.push(Frame {
            function,
            file: location
                .as_ref()
                .and_then(|l| l.file)
                .unwrap_or_default()
                .to_owned(),
            line: location.and_then(|l| l.line).unwrap_or(0),
        });
    }
    while place.frames.len() > 1 && place.frames.first().is_some_and(|f| f.file.ends_with(OURS)) {
        place.frames.remove(0);
    }
    let known = |f: &Frame| !f.function.is_empty() || f.line != 0;
    place.frames.iter().any(known).then_some(place)
}

/// A name of bearable length.
fn name(text: Cow<'_, str>) -> String {
    match text.len() {
        ..=NAME => text.into_owned(),
        _ => {
            let end = text.floor_char_boundary(NAME);
            format!("{}…", text.get(..end).unwrap_or_default())
        }
    }
}

/// Fills in what lies in a function of the symbol tables.
fn symbols(elf: &Elf<'_>, addresses: &[u64], places: &mut [Option<Place>]) {
    // The nearest below each address; names are read of those only.
    let mut best: Vec<Option<(u64, object::SymbolIndex, bool)>> = vec![None; addresses.len()];
    let mut sorted: Vec<(u64, usize)> = addresses.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    for dynamic in [false, true] {
        let table = if dynamic {
            elf.dynamic_symbols()
        } else {
            elf.symbols()
        };
        for symbol in table.filter(|s| s.kind() == SymbolKind::Text && s.is_definition()) {
            let (start, size) = (symbol.address(), symbol.size());
            let end = start.saturating_add(size.max(1));
            let from = sorted.partition_point(|(at, _)| *at < start);
            for (_, which) in sorted.iter().skip(from).take_while(|(at, _)| *at < end) {
                if let Some(best) = best.get_mut(*which)
                    && best.is_none_or(|(before, ..)| before < start)
                {
                    *best = Some((start, symbol.index(), dynamic));
                }
            }
        }
    }
    for ((best, at), place) in best.iter().zip(addresses).zip(places) {
        let (Some((start, index, dynamic)), None) = (best, &place) else {
            continue;
        };
        let table = if *dynamic {
            elf.dynamic_symbol_table()
        } else {
            elf.symbol_table()
        };
        let symbol = table.and_then(|table| {
            use object::ObjectSymbolTable;
            table.symbol_by_index(*index).ok()
        });
        let Some(Ok(text)) = symbol.map(|s| s.name().map(str::to_owned)) else {
            continue;
        };
        if !text.is_empty() {
            let function = name(match is_mangled(&text) {
                true => demangle_auto(Cow::Owned(text), None),
                false => Cow::Owned(text),
            });
            *place = Some(Place {
                frames: vec![Frame {
                    function: format!("{function}+{:#x}", at - start),
                    ..Frame::default()
                }],
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_c_are_left_alone() {
        for name in ["f", "St", "w", "_start", "main", "Zebra"] {
            assert!(!super::is_mangled(name), "{name}");
        }
        for name in ["_ZN3foo3barEv", "_RNvC5crate3run", "__ZN3foo3barEv"] {
            assert!(super::is_mangled(name), "{name}");
        }
    }
}
