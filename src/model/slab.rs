//! A vector whose places are used again: dense numbers for things that come and go. Step: **model**.

use super::codec::{Codec, Cursor};

/// No place.
pub(super) const NONE: u32 = u32::MAX;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub fn insert(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.places[at as usize] = Some(value);
                at
            }
            None => {
                self.places.push(Some(value));
                (self.places.len() - 1) as u32
            }
        }
    }

    pub fn remove(&mut self, at: u32) -> Option<T> {
        let value = self.places.get_mut(at as usize)?.take();
        if value.is_some() {
            self.free.push(at);
        }
        value
    }

    #[inline]
    pub fn get(&self, at: u32) -> Option<&T> {
        self.places.get(at as usize)?.as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.places.get_mut(at as usize)?.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    /// Every taken place with its number.
    pub fn places(&self) -> impl Iterator<Item = (u32, &T)> {
        let all = self.places.iter().enumerate();
        all.filter_map(|(at, place)| Some((at as u32, place.as_ref()?)))
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T: Codec> Codec for Slab<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.places.put(out);
        self.free.put(out);
    }
    fn get(c: &mut Cursor<'_>) -> Option<Self> {
        let places: Vec<Option<T>> = Vec::get(c)?;
        let free: Vec<u32> = Vec::get(c)?;
        // A free list that names a taken place, or one twice, would hand it out twice.
        let mut seen = vec![false; places.len()];
        for at in &free {
            let taken = places.get(*at as usize)?.is_some();
            if taken || std::mem::replace(&mut seen[*at as usize], true) {
                return None;
            }
        }
        if free.len() != places.iter().filter(|p| p.is_none()).count() {
            return None;
        }
        Some(Self { places, free })
    }
}
