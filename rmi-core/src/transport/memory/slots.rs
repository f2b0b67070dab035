/// Values under keys that are not used again: a vector whose free places are taken first.
///
/// A key is a place and, above it, a serial number, so that an old key finds nothing where a younger value sits.
#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Vec<Option<(u32, T)>>,
    free: Vec<u32>,
    serial: u32,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { entries: Vec::new(), free: Vec::new(), serial: 0 }
    }
}

impl<T> Slots<T> {
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, value: T) -> u64 {
        self.serial = self.serial.wrapping_add(1);
        let entry = Some((self.serial, value));
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.entries.get_mut(place as usize) {
                    *free = entry;
                }
                place
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        u64::from(self.serial) << 32 | u64::from(place)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        match self.entries.get_mut(key as u32 as usize) {
            Some(Some((serial, value))) if *serial == (key >> 32) as u32 => Some(value),
            _ => None,
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<T> {
        self.get_mut(key)?;
        let (_, value) = self.entries.get_mut(key as u32 as usize)?.take()?;
        self.free.push(key as u32);
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten().map(|(_, value)| value)
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.entries.into_iter().flatten().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_its_old_key_is_not() {
        let mut slots = Slots::default();
        let first = slots.insert('a');
        let second = slots.insert('b');
        assert_eq!(slots.remove(first), Some('a'));
        assert_eq!(slots.remove(first), None);
        let third = slots.insert('c');
        assert_eq!(third as u32, first as u32);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!((slots.get_mut(second).copied(), slots.get_mut(third).copied()), (Some('b'), Some('c')));
        assert_eq!(slots.len(), 2);
        assert_eq!(slots.into_values().count(), 2);
    }
}
