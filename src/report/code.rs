//! Which function ran, and who waited meanwhile: samples under the names that symbols give their places.
//! Step: trace → model → **view**.

use crate::findings::meanwhile::{Name, own};
use crate::model::hot::{Heat, Hot};
use crate::model::{Id, Model};
use crate::record::event::Space;
use crate::symbols::{ATTACHMENT, Module, Sites, functions, is_library, module_called, parse_site};
use crate::text::visible;
use crate::trace::{Error, Events, Reader};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Functions told of.
const MOST: usize = 200;

/// A function and what it did.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Its name; of what has none, the file it lies in.
    pub name: String,
    /// Its source file, if known.
    pub file: String,
    /// It was running itself, or asleep in a call of its own.
    pub own: Heat,
    /// It or what it called was.
    pub all: Heat,
    /// Who called it, in the stack of its own that others waited for longest, from the inside out.
    pub callers: Vec<String>,
}

/// All that samples say.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Everything together.
    pub total: Heat,
    /// Samples the kernel had no room for.
    pub lost: u64,
    /// The functions, those first that most was waited for while they ran themselves.
    pub functions: Vec<Function>,
    /// Functions that are not told of.
    pub omitted: u64,
}

/// What a flame graph's widths are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Time on the CPU, in microseconds.
    Cpu,
    /// Time that events waited meanwhile, each by itself and at most, in microseconds.
    Waiting,
}

/// The stacks of a recording, outermost function first, each with its process and whether its thread slept there.
struct Stacks {
    all: Vec<(Id, Vec<Name>, bool, Heat)>,
}

/// The functions of a recording; nothing when it has no samples.
pub(super) fn code(reader: &mut Reader, model: &Model, hot: Hot) -> Result<Option<Code>, Error> {
    let stacks = stacks(reader, model, hot)?;
    if stacks.all.is_empty() {
        return Ok(None);
    }
    let mut code = Code {
        lost: model.samples_lost(),
        ..Code::default()
    };
    let mut functions: BTreeMap<&Name, (Heat, Heat, u64, &[Name])> = BTreeMap::new();
    for (_, names, asleep, heat) in &stacks.all {
        code.total.add(heat);
        let Some((own, callers)) = own(names, *asleep) else {
            continue;
        };
        let function = functions.entry(own).or_default();
        function.0.add(heat);
        let weight = heat.waiting_ns.1.max(1);
        if weight > function.2 {
            (function.2, function.3) = (weight, callers);
        }
        // A function that calls itself is there once.
        let mut once: Vec<&Name> = names.iter().collect();
        once.sort_unstable();
        once.dedup();
        for name in once {
            functions.entry(name).or_default().1.add(heat);
        }
    }
    let total = functions.len();
    let mut all: Vec<Function> = (functions.into_iter())
        .map(|(name, (own, all, _, callers))| Function {
            name: name.function.clone(),
            file: name.file.clone(),
            own,
            all,
            callers: callers.iter().rev().map(|n| n.function.clone()).collect(),
        })
        .collect();
    all.sort_by_key(|f| {
        let by = |heat: &Heat| (heat.waiting_ns.1, heat.cpu_ns);
        (Reverse(by(&f.own)), Reverse(by(&f.all)))
    });
    all.truncate(MOST);
    code.omitted = (total - all.len()) as u64;
    code.functions = all;
    Ok(Some(code))
}

/// The stacks of a recording as lines for flame graph tools: functions from the outside in, semicolons between, a weight.
///
/// # Errors
/// When the file cannot be read, and those of `line`.
pub fn to_folded<E: From<Error>>(
    reader: &mut Reader,
    weight: Weight,
    progress: &mut dyn FnMut(f64),
    line: &mut dyn FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let (mut model, mut hot, mut events) = (Model::default(), Hot::default(), Events::default());
    let pages = reader.pages().len();
    for page in 0..pages {
        reader.read_page(page, &mut events)?;
        for (number, event, text) in events.iter() {
            model.apply(number, event, text, &mut hot);
        }
        progress((page + 1) as f64 / pages as f64);
    }
    let stacks = stacks(reader, &model, hot)?;
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for (process, names, asleep, heat) in &stacks.all {
        let name = (model.processes().get(*process as usize)).map_or("", |p| p.name.as_ref());
        let mut text = plain(super::words::program(name).as_ref());
        for name in names {
            text.push(';');
            text.push_str(&plain(&name.function));
        }
        if *asleep {
            text.push_str(";[asleep]");
        }
        let ns = match weight {
            Weight::Cpu => heat.cpu_ns,
            Weight::Waiting => heat.waiting_ns.1,
        };
        *lines.entry(text).or_default() += ns;
    }
    for (text, ns) in lines {
        if ns >= 1_000 {
            line(&format!("{text} {}\n", ns / 1_000))?;
        }
    }
    Ok(())
}

/// A name in which nothing reads as something else.
fn plain(name: &str) -> String {
    visible(name).replace(';', ":")
}

fn stacks(reader: &mut Reader, model: &Model, hot: Hot) -> Result<Stacks, Error> {
    let found = hot.finish();
    let wanted = found
        .iter()
        .map(|((process, stack, _), _)| (*process, *stack));
    let names = names(reader, model, wanted)?;
    let mut all: BTreeMap<(Id, Vec<Name>, bool), Heat> = BTreeMap::new();
    for ((process, stack, asleep), heat) in found {
        let names = names.get(&(process, stack)).cloned().unwrap_or_default();
        all.entry((process, names, asleep)).or_default().add(&heat);
    }
    let all = all
        .into_iter()
        .map(|((process, names, asleep), heat)| (process, names, asleep, heat));
    Ok(Stacks { all: all.collect() })
}

/// The functions of these stacks, each given with its process, from the outside in.
pub(super) fn names(
    reader: &mut Reader,
    model: &Model,
    wanted: impl Iterator<Item = (Id, u32)>,
) -> Result<HashMap<(Id, u32), Vec<Name>>, Error> {
    let chains: HashMap<(Id, u32), Vec<&str>> = wanted
        .map(|(process, stack)| ((process, stack), model.stack(process, stack)))
        .collect();
    let mut sites = Sites::default();
    if !chains.is_empty()
        && let Some(bytes) = reader.attachment(ATTACHMENT)?
    {
        sites.read(&bytes);
    }
    let mut modules: HashMap<(Id, &str), Option<Module>> = HashMap::new();
    let mut key = |process: Id, place| -> Option<(Module, u64)> {
        let (name, address) = parse_site(place)?;
        let module = (modules.entry((process, name)))
            .or_insert_with(|| module_called(name, |n| model.name(process, Space::Module, n)));
        Some((module.clone()?, address))
    };
    let places = (chains.iter())
        .flat_map(|((process, _), chain)| chain.iter().map(|place| (*process, *place)));
    let keys: HashMap<(Id, &str), (Module, u64)> = places
        .filter_map(|(process, place)| Some(((process, place), key(process, place)?)))
        .collect();
    sites.look_up(keys.values().cloned());
    let named = chains.into_iter().map(|((process, stack), chain)| {
        let mut names: Vec<Name> = Vec::new();
        for place in chain {
            let found = keys.get(&(process, place));
            let found = found.and_then(|(module, address)| sites.get(module, *address)?);
            names.extend(functions(place, found).into_iter().map(|frame| Name {
                function: frame.function,
                library: is_library(place, &frame.file),
                file: frame.file,
            }));
        }
        if names.is_empty() {
            names.push(Name::unknown());
        }
        names.reverse();
        ((process, stack), names)
    });
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_nothing_else() {
        assert_eq!(plain("operator;\u{1b}x"), "operator:\\x1bx");
    }
}
