//! Things kept in place under a small key that is not given out again soon.

use crate::prefetch;

/// Where a thing lies, and which of those that lay there it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// For tables beside the slab.
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}

/// A growing table with holes.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
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
    pub(crate) fn insert(&mut self, thing: T) -> Key {
        if let Some(index) = self.free.pop()
            && let Some((generation, place)) = self.places.get_mut(index as usize)
        {
            *generation = generation.wrapping_add(1);
            *place = Some(thing);
            return Key {
                index,
                generation: *generation,
            };
        }
        let index = u32::try_from(self.places.len()).expect("fewer than 2^32 things");
        self.places.push((0, Some(thing)));
        Key {
            index,
            generation: 0,
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let (generation, place) = self.places.get_mut(key.index())?;
        if *generation != key.generation {
            return None;
        }
        let thing = place.take()?;
        self.free.push(key.index);
        Some(thing)
    }

    /// Asks for the memory of a thing, if one is there.
    pub(crate) fn fetch(&self, key: Key) {
        if let Some(place) = self.places.get(key.index()) {
            prefetch::fetch(place);
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let (generation, place) = self.places.get(key.index())?;
        place.as_ref().filter(|_| *generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (generation, place) = self.places.get_mut(key.index())?;
        place.as_mut().filter(|_| *generation == key.generation)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(index, (generation, place))| {
                let index = u32::try_from(index).ok()?;
                Some((
                    Key {
                        index,
                        generation: *generation,
                    },
                    place.as_ref()?,
                ))
            })
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.places
            .iter_mut()
            .enumerate()
            .filter_map(|(index, (generation, place))| {
                let index = u32::try_from(index).ok()?;
                Some((
                    Key {
                        index,
                        generation: *generation,
                    },
                    place.as_mut()?,
                ))
            })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_what_was_removed_finds_nothing() {
        let mut slab = Slab::default();
        let first = slab.insert("ana");
        assert_eq!(slab.remove(first), Some("ana"));
        let second = slab.insert("ben");
        assert_eq!((first.index(), slab.len()), (second.index(), 1));
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&"ben")));
        assert_eq!(slab.remove(first), None);
    }
}
