//! Which lanes the timeline has: one an fd while all fit; else the fds that matter most in view and one lane for the
//! others; or one a role. Step: model → **view**.

use crate::model::{Id, Registration, RoleKind};
use crate::tui::app::App;
use crate::tui::player::Window;
use crate::tui::widget::text::count;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lane {
    /// One fd.
    Fd(Id),
    /// Several fds, drawn over each other.
    Many {
        /// What they are.
        name: String,
        /// Which they are.
        members: Vec<Id>,
    },
}

impl Lane {
    /// Its fd, if it is one's own.
    pub fn fd(&self) -> Option<Id> {
        match self {
            Lane::Fd(id) => Some(*id),
            Lane::Many { .. } => None,
        }
    }
}

/// The fds of the loop that were there at some time in view, by number.
pub fn there(app: &App) -> Vec<&Registration> {
    let Some(window) = app.player.window() else {
        return app.regs();
    };
    let (from, to) = window.span();
    let mine = |r: &&Registration| {
        r.loop_id == app.loop_id && r.registered_ns < to && r.closed_ns.is_none_or(|c| c >= from)
    };
    let mut regs: Vec<_> = window.model().regs().filter(mine).collect();
    if regs.is_empty() {
        regs = app.regs();
    }
    regs.sort_by_key(|r| (r.fd, r.id));
    regs
}

/// The lanes, at most `most`.
pub fn lanes(app: &App, most: usize) -> Vec<Lane> {
    let mut regs = there(app);
    if app.by_role {
        return roles(app, &regs, most);
    }
    let led = places(app, &regs);
    // Beside another recording in the order there; who is not there comes after.
    regs.sort_by_key(|r| led.get(&r.id).map_or(usize::MAX, |(_, place)| *place));
    if regs.len() <= most {
        return regs.iter().map(|r| Lane::Fd(r.id)).collect();
    }
    let first = important(app, &regs, &led, most.saturating_sub(1));
    let first: HashSet<Id> = first.into_iter().collect();
    let (shown, hidden): (Vec<&Registration>, Vec<&Registration>) =
        regs.iter().partition(|r| first.contains(&r.id));
    let mut lanes: Vec<Lane> = shown.iter().map(|r| Lane::Fd(r.id)).collect();
    lanes.push(many(&hidden, "others"));
    lanes
}

fn many(regs: &[&Registration], what: &str) -> Lane {
    Lane::Many {
        name: format!("{} {what}", count(regs.len() as u64)),
        members: regs.iter().map(|r| r.id).collect(),
    }
}

/// Whom another recording shows: the name, and of several that have it the how manieth; and its place among its fds.
pub type Named = ((Arc<str>, usize), usize);

/// Each with its name, and the how manieth of that name it is.
fn numbered<'a>(regs: &[&'a Registration]) -> Vec<(&'a Registration, (Arc<str>, usize))> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let named = regs.iter().filter(|r| !r.name.is_empty());
    let each = named.map(|r| {
        let nth = seen.entry(&r.name).or_default();
        *nth += 1;
        (*r, (r.name.clone(), *nth))
    });
    each.collect()
}

/// The names of those that matter most in view, the first of them first.
pub fn named(app: &App, most: usize) -> Vec<Named> {
    let regs = there(app);
    let mut all: HashMap<Id, Named> = HashMap::new();
    for (place, (reg, name)) in numbered(&regs).into_iter().enumerate() {
        all.insert(reg.id, (name, place));
    }
    let first = important(app, &regs, &HashMap::new(), most);
    first.iter().filter_map(|id| all.remove(id)).collect()
}

/// Of those whom the recording beside this one shows, too: how much each matters there, and its place.
fn places(app: &App, regs: &[&Registration]) -> HashMap<Id, (usize, usize)> {
    if app.led.names.is_empty() {
        return HashMap::new();
    }
    let names = app.led.names.iter().enumerate();
    let names: HashMap<_, _> = names
        .map(|(rank, (name, at))| (name, (rank, *at)))
        .collect();
    let all = numbered(regs).into_iter();
    all.filter_map(|(reg, name)| Some((reg.id, *names.get(&name)?)))
        .collect()
}

/// Whom the recording beside this one shows, the chosen fd, then in turns who waited longest and who ran most, in view.
fn important(
    app: &App,
    regs: &[&Registration],
    led: &HashMap<Id, (usize, usize)>,
    most: usize,
) -> Vec<Id> {
    let mut figures: HashMap<Id, (u64, u64)> = HashMap::new();
    if let Some(window) = app.player.window() {
        measure(window, regs, &mut figures);
    }
    let of = |r: &Registration| figures.get(&r.id).copied().unwrap_or_default();
    let ranked = |key: fn((u64, u64)) -> u64| {
        let mut order: Vec<_> = regs.to_vec();
        // What did neither in view goes by what it did before.
        order.sort_by_cached_key(|r| std::cmp::Reverse((key(of(r)), r.run_ns)));
        order
    };
    let (waited, ran) = (ranked(|f| f.0), ranked(|f| f.1));
    let chosen = regs.iter().find(|r| Some(r.id) == app.chosen);
    let turns = waited.iter().zip(&ran).flat_map(|(a, b)| [a, b]);
    let mut same: Vec<_> = regs.iter().filter(|r| led.contains_key(&r.id)).collect();
    same.sort_by_key(|r| led.get(&r.id));
    let (mut first, mut seen) = (Vec::new(), HashSet::new());
    for reg in same.into_iter().chain(chosen).chain(turns) {
        if first.len() >= most {
            break;
        }
        if seen.insert(reg.id) {
            first.push(reg.id);
        }
    }
    first
}

/// The longest wait and the time in handlers of each fd in view.
fn measure(window: &Window, regs: &[&Registration], figures: &mut HashMap<Id, (u64, u64)>) {
    if window.is_summary() {
        for reg in regs {
            let active = window.activity(reg.id);
            figures.insert(reg.id, (active, active));
        }
        return;
    }
    let (from, to) = window.span();
    let inside = window.facts.runs.iter();
    for run in inside.filter(|r| r.loop_id == window.key.loop_id && r.end >= from && r.start < to) {
        let (wait, ran) = figures.entry(run.reg).or_default();
        *wait = (*wait).max(run.waited().hi);
        *ran += run.run();
    }
    // Who is still waiting has waited, too.
    for reg in regs {
        if let Some(since) = reg.ready_since {
            let wait = &mut figures.entry(reg.id).or_default().0;
            *wait = (*wait).max(to.saturating_sub(since.hi));
        }
    }
}

/// One lane a role, those with the most run time first, and the chosen fd's own.
fn roles(app: &App, regs: &[&Registration], most: usize) -> Vec<Lane> {
    let mut of: HashMap<Id, Vec<&Registration>> = HashMap::new();
    for reg in regs {
        of.entry(reg.role).or_default().push(reg);
    }
    let model = app.player.window().map_or(app.model(), |w| w.model());
    let mut all: Vec<(Id, Vec<&Registration>)> = of.into_iter().collect();
    let ran = |regs: &[&Registration]| regs.iter().map(|r| r.run_ns).sum::<u64>();
    all.sort_by_cached_key(|(role, regs)| (std::cmp::Reverse(ran(regs)), *role));
    let mut lanes: Vec<Lane> = Vec::new();
    if let Some(reg) = regs.iter().find(|r| Some(r.id) == app.chosen) {
        lanes.push(Lane::Fd(reg.id));
    }
    let room = most.saturating_sub(lanes.len());
    let cut = if all.len() > room {
        room.saturating_sub(1)
    } else {
        all.len()
    };
    for (role, regs) in &all[..cut] {
        let role = model.roles().get(*role as usize);
        let text = role.map_or("", |r| &r.text);
        let text = crate::text::visible(text);
        let name = match role.map(|r| r.kind) {
            Some(RoleKind::Listener) => format!("of {}", crate::tui::names::listener(&text)),
            Some(RoleKind::Handler) => text.into_owned(),
            Some(RoleKind::Peer) => format!("from {text}"),
            Some(RoleKind::Kind) if !text.is_empty() => text.into_owned(),
            _ => "other".to_owned(),
        };
        lanes.push(many(regs, &name));
    }
    let rest: Vec<&Registration> = all[cut..]
        .iter()
        .flat_map(|(_, r)| r.iter().copied())
        .collect();
    if !rest.is_empty() {
        lanes.push(many(&rest, "of other roles"));
    }
    lanes
}
