//! A vector whose places are used again: dense numbers for things that come and go. Step: **model**.

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

    /// Every taken place with its number.
    pub fn places(&self) -> impl Iterator<Item = (u32, &T)> {
        let all = self.places.iter().enumerate();
        all.filter_map(|(at, place)| Some((at as u32, place.as_ref()?)))
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// For each place: 1 if it is taken, else 0.
    pub fn taken(&self) -> Vec<u8> {
        self.places.iter().map(|p| u8::from(p.is_some())).collect()
    }

    /// The free places; the last is taken next.
    pub fn free(&self) -> &[u32] {
        &self.free
    }

    /// A slab with these places taken (not 0) by these values, one each. `free` names every other place once.
    pub fn from_parts(taken: &[u8], free: Vec<u32>, values: Vec<T>) -> Option<Self> {
        let mut values = values.into_iter();
        let mut places = Vec::new();
        for place in taken {
            places.push(match place {
                0 => None,
                _ => Some(values.next()?),
            });
        }
        values.next().is_none().then_some(Self { places, free })
    }
}
