//! Who is the same in two recordings: not the descriptor with the same number, but who plays the same part. Step:
//! model → **view**.

use crate::findings::Found;
use crate::model::{Id, Model, Registration, RoleKind, Run};
use crate::record::event::FdKind;
use std::fmt;

/// A part that somebody plays in a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role {
    /// What makes it: "loop", "name", "handler", "listener", "peer", "kind" or "process".
    pub kind: &'static str,
    /// Which one; untrusted text.
    pub text: String,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            "name" | "loop" | "process" => f.write_str(&self.text),
            "kind" => write!(f, "every {}", self.text),
            "peer" => write!(f, "peers at {}", self.text),
            "listener" => write!(f, "clients of {}", self.text),
            kind => write!(f, "{kind} {}", self.text),
        }
    }
}

fn role(kind: &'static str, text: impl Into<String>) -> Role {
    Role {
        kind,
        text: text.into(),
    }
}

/// Who a run served.
pub(super) fn of_run(model: &Model, run: &Run) -> Role {
    let named = model.reg(run.reg).and_then(of_reg);
    named.unwrap_or_else(|| by_number(model, run.role))
}

fn by_number(model: &Model, number: Id) -> Role {
    let Some(found) = model.roles().get(number as usize) else {
        return role("kind", "other");
    };
    let kind = match found.kind {
        RoleKind::Handler => "handler",
        RoleKind::Listener => "listener",
        RoleKind::Peer => "peer",
        RoleKind::Kind => "kind",
        RoleKind::Other => return role("kind", "other"),
    };
    role(kind, found.text.to_string())
}

/// A descriptor that stands for itself: one the program has named (what is made from its addresses has a colon or a
/// slash in it), or a listener.
fn of_reg(reg: &Registration) -> Option<Role> {
    let listens = matches!(reg.kind, FdKind::TcpListener | FdKind::UnixListener);
    if listens {
        return Some(role("kind", "listening socket"));
    }
    let given = !reg.name.is_empty() && !reg.name.contains([':', '/', '[']);
    given.then(|| role("name", reg.name.to_string()))
}

/// A loop, by its name or its process's and its place among that process's loops of its kind.
pub(super) fn of_loop(model: &Model, id: Id) -> Role {
    let Some(found) = model.loops().get(id as usize) else {
        return role("loop", "a loop");
    };
    if !found.name.is_empty() {
        return role("loop", format!("loop \"{}\"", found.name));
    }
    let name_of = |process: Id| (model.processes().get(process as usize)).map_or("", |p| &p.name);
    let name = name_of(found.process);
    let before = &model.loops()[..id as usize];
    let earlier = before
        .iter()
        .filter(|l| l.kind == found.kind && name_of(l.process) == name)
        .count();
    let program = crate::report::words::program(name);
    role(
        "loop",
        format!("{} loop {} of {program}", found.kind.name(), earlier + 1),
    )
}

/// Whom a finding is about.
pub(super) fn of_finding(model: &Model, f: &Found) -> Role {
    let reg = f.reg.and_then(|id| model.reg(id));
    if let Some(reg) = reg {
        return of_reg(reg).unwrap_or_else(|| by_number(model, reg.role));
    }
    match f.loop_id {
        Some(id) => of_loop(model, id),
        None => {
            let process = model.processes().get(f.process as usize);
            role(
                "process",
                process.map_or(String::new(), |p| crate::report::words::program(&p.name)),
            )
        }
    }
}
