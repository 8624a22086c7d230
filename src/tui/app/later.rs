//! What the program names later: a name belongs to the thing, not to a moment, so what is named a little after the cursor
//! (or in the window shown) is called by that name before, too. States and figures are never taken from later.
//! Step: model → **view**.

use super::App;
use crate::model::{Id, Model, Registration};
use crate::record::event::{FdKind, Space};
use crate::text::visible;
use crate::trace::Error;
use crate::tui::message::View;
use std::collections::HashSet;

/// It has a name that will not become a better one: of a connection both ends are known.
fn is_named(reg: &Registration) -> bool {
    let any = !reg.name.is_empty() || !reg.addr.is_empty() || reg.kind != FdKind::Unknown;
    any && !reg.is_half_named()
}

impl App {
    fn later(&self) -> impl Iterator<Item = &Model> {
        let window = self.player.window().map(|w| w.model());
        self.player.ahead().into_iter().chain(window)
    }

    /// The text of a name id, harmless; its number when nobody has named it.
    pub fn word(&self, process: Id, space: Space, id: u32) -> String {
        let all = std::iter::once(self.model()).chain(self.later());
        let mut named = all.map(|m| m.name(process, space, id));
        match named.find(|name| !name.is_empty()) {
            Some(name) => visible(name).into_owned(),
            None => format!("#{id}"),
        }
    }

    /// Labels for the fds of the loop shown: those at the cursor, and those that the window shows besides.
    pub(super) fn label(&mut self) -> Result<(), Error> {
        let window = self.player.window().map(|w| w.model());
        let shown = |r: &Registration| window.and_then(|m| m.reg(r.id)).is_some_and(is_named);
        let nameless = (self.regs_unsorted()).any(|r| r.is_live() && !is_named(r) && !shown(r));
        if nameless || self.view == View::Events {
            self.player.look_ahead()?;
        }
        let mut names = std::mem::take(&mut self.names);
        let named = |reg| {
            let find = || {
                self.later()
                    .filter_map(move |m| m.reg(reg))
                    .find(|r| is_named(r))
            };
            find()
        };
        let mut regs: Vec<_> = self.regs_unsorted().collect();
        let known: HashSet<Id> = regs.iter().map(|r| r.id).collect();
        for reg in &mut regs {
            if !is_named(reg) {
                *reg = named(reg.id).unwrap_or(reg);
            }
        }
        if let Some(window) = self.player.window() {
            let mine = window.model().regs().filter(|r| r.loop_id == self.loop_id);
            regs.extend(mine.filter(|r| !known.contains(&r.id)));
        }
        names.update(&regs);
        self.names = names;
        Ok(())
    }
}
