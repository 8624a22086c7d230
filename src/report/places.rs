//! Where in the program the longest runs began: the code to look at. Step: trace → model → **view**.

use crate::findings::Outcome;
use crate::model::{BlockedIn, Id, Model, Registration, Run, Spent};
use crate::record::event::Space;
use crate::symbols::{ATTACHMENT, Module, Place, Sites, module_called, parse_site, with_places};
use crate::trace::{Error, Reader};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Registrations told of: those that cost others most.
const MOST: usize = 64;
/// Registrations followed before those that have ended are let go of.
const FOLLOWED: usize = 16_384;

/// What is kept of a longest run.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub ns: u64,
    pub start: u64,
    pub thread: Id,
    pub spent: Spent,
    pub blocked_in: Option<BlockedIn>,
    /// The most that the hypervisor took of it.
    pub stolen: u64,
    site: u16,
}

/// The longest run of each registration.
#[derive(Default)]
pub(super) struct Longest(HashMap<Id, Kept, foldhash::fast::FixedState>);

impl Longest {
    pub fn note(&mut self, run: &Run) {
        let kept = Kept {
            ns: run.run(),
            start: run.start,
            thread: run.thread,
            spent: run.spent,
            blocked_in: run.blocked_in,
            stolen: 0,
            site: run.site,
        };
        let longest = self.0.entry(run.reg).or_insert(kept);
        if kept.ns >= longest.ns {
            *longest = kept;
        }
    }

    /// It has been told what the hypervisor took of a CPU since this instant.
    pub fn stolen(&mut self, model: &Model, since: u64) {
        let lately = self.0.values_mut();
        for kept in lately.filter(|k| k.start.saturating_add(k.ns) > since) {
            let cpu = model.cpu_since(kept.thread, kept.start);
            let exposed = kept.spent.exposed();
            let stolen = model.stolen(cpu, kept.start, kept.start.saturating_add(kept.ns));
            kept.stolen = stolen.min(exposed);
        }
    }

    /// The longest run of a registration.
    pub fn of(&self, reg: Id) -> Option<&Kept> {
        self.0.get(&reg)
    }

    /// Memory stays constant however long the recording is.
    pub fn forget(&mut self, model: &Model) {
        if self.0.len() > FOLLOWED {
            self.0
                .retain(|id, _| model.reg(*id).is_some_and(Registration::is_live));
        }
    }
}

/// Function, file and line where the longest runs began, by registration, as far as they are known here.
pub(super) fn told(
    reader: &mut Reader,
    model: &Model,
    longest: &Longest,
) -> Result<HashMap<Id, String>, Error> {
    let mut regs: Vec<&Registration> = model.regs().filter(|r| r.dispatched > 0).collect();
    regs.sort_by_key(|r| (Reverse((r.caused_hi, r.run_ns)), r.id));
    let site = |r: &Registration| {
        let site = longest.of(r.id)?.site;
        let name = model.name(r.process, Space::Site, u32::from(site));
        (!name.is_empty()).then_some(name)
    };
    let all: Vec<(&Registration, &str)> = (regs.into_iter().take(MOST))
        .filter_map(|r| Some((r, site(r)?)))
        .collect();
    let keys = |(r, name): &(&Registration, &str)| key(model, r.process, name);
    let sites = known(reader, all.iter().filter_map(keys))?;
    let told = all.iter().map(|(r, name)| {
        let text = place(&sites, model, r.process, name).filter(|text| !text.is_empty());
        (r.id, text.unwrap_or_else(|| (*name).to_owned()))
    });
    Ok(told.collect())
}

/// Tells the places in the findings' sentences as function, file and line, as far as they are known here.
pub(super) fn tell(reader: &mut Reader, model: &Model, outcome: &mut Outcome) -> Result<(), Error> {
    let mut wanted = Vec::new();
    for found in &outcome.found {
        with_places(&found.summary, |site| {
            wanted.extend(key(model, found.process, site));
            None
        });
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let sites = known(reader, wanted)?;
    for found in &mut outcome.found {
        let told = |site: &str| place(&sites, model, found.process, site);
        found.summary = with_places(&found.summary, told);
    }
    Ok(())
}

/// The module and the address in it that a site of a process is named after.
fn key(model: &Model, process: Id, name: &str) -> Option<(Module, u64)> {
    let (module, offset) = parse_site(name)?;
    let module = module_called(module, |n| model.name(process, Space::Module, n))?;
    Some((module, offset))
}

/// What the recording carries of places, and what can be looked up here of those that are wanted.
fn known(
    reader: &mut Reader,
    wanted: impl IntoIterator<Item = (Module, u64)>,
) -> Result<Sites, Error> {
    let mut sites = Sites::default();
    if let Some(bytes) = reader.attachment(ATTACHMENT)? {
        sites.read(&bytes);
    }
    sites.look_up(wanted);
    Ok(sites)
}

fn place(sites: &Sites, model: &Model, process: Id, name: &str) -> Option<String> {
    let (module, offset) = key(model, process, name)?;
    sites.get(&module, offset)?.map(Place::short)
}
