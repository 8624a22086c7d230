//! Registrations by slot. Live ones stand in place; one that has ended is shared, so that copies of the model and
//! checkpoints that know it cost a pointer each. Step: **model**.

use std::sync::Arc;

use super::registration::Registration;

/// A slot.
#[derive(Clone, Debug, Default)]
pub(super) enum Place {
    #[default]
    Free,
    Live(Box<Registration>),
    /// Hardly ever changes any more.
    Ended(Arc<Registration>),
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Regs {
    places: Vec<Place>,
    free: Vec<u32>,
}

impl Regs {
    pub fn insert(&mut self, reg: Registration) -> u32 {
        let place = Place::Live(Box::new(reg));
        match self.free.pop() {
            Some(at) => {
                self.places[at as usize] = place;
                at
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1) as u32
            }
        }
    }

    pub fn remove(&mut self, at: u32) -> Option<Arc<Registration>> {
        let place = std::mem::take(self.places.get_mut(at as usize)?);
        let reg = match place {
            Place::Free => return None,
            Place::Live(reg) => Arc::new(*reg),
            Place::Ended(reg) => reg,
        };
        self.free.push(at);
        Some(reg)
    }

    #[inline]
    pub fn get(&self, at: u32) -> Option<&Registration> {
        match self.places.get(at as usize)? {
            Place::Live(reg) => Some(reg),
            Place::Ended(reg) => Some(reg),
            Place::Free => None,
        }
    }

    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut Registration> {
        match self.places.get_mut(at as usize)? {
            Place::Live(reg) => Some(reg),
            Place::Ended(reg) => Some(Arc::make_mut(reg)),
            Place::Free => None,
        }
    }

    /// It has ended: from now on it is shared.
    pub fn end(&mut self, at: u32) {
        if let Some(place) = self.places.get_mut(at as usize) {
            *place = match std::mem::take(place) {
                Place::Live(reg) => Place::Ended(Arc::new(*reg)),
                other => other,
            };
        }
    }

    /// The registration in a slot, if it has ended.
    pub fn ended(&self, at: u32) -> Option<&Arc<Registration>> {
        match self.places.get(at as usize)? {
            Place::Ended(reg) => Some(reg),
            _ => None,
        }
    }

    /// `free` names every free place once.
    pub fn from_parts(places: Vec<Place>, free: Vec<u32>) -> Self {
        Self { places, free }
    }

    /// The free slots; the last is taken next.
    pub fn free(&self) -> &[u32] {
        &self.free
    }

    /// How many slots there are, free ones too.
    pub fn slots(&self) -> usize {
        self.places.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.places().map(|(_, reg)| reg)
    }

    /// Every taken slot.
    pub fn places(&self) -> impl Iterator<Item = (u32, &Registration)> {
        (0..self.places.len() as u32).filter_map(|at| Some((at, self.get(at)?)))
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
