//! Which slots may be answered: everything, or a bitmap already merged from filter, tombstones and visibility.

/// Decides whether a slot may appear in a result. Implemented by [`All`] and [`Bits`]; searches are generic over it.
pub trait Admit: Sync {
    /// Whether `slot` may be answered.
    fn admits(&self, slot: u32) -> bool;

    /// Whether every slot is admitted, so that the caller can skip asking.
    fn admits_all(&self) -> bool {
        false
    }

    /// The bit mask of the admitted among at most 64 `slots` (bit i = `slots[i]`).
    fn mask(&self, slots: &[u32]) -> u64 {
        debug_assert!(slots.len() <= 64, "a mask has 64 bits");
        slots.iter().enumerate().fold(0, |mask, (i, slot)| mask | u64::from(self.admits(*slot)) << i)
    }
}

/// Admits every slot.
#[derive(Debug, Clone, Copy, Default)]
pub struct All;

impl Admit for All {
    fn admits(&self, _slot: u32) -> bool {
        true
    }

    fn admits_all(&self) -> bool {
        true
    }

    fn mask(&self, slots: &[u32]) -> u64 {
        mask_of_len(slots.len())
    }
}

/// The lowest `len` bits set.
///
/// # Panics
/// In debug builds if `len > 64`.
pub fn mask_of_len(len: usize) -> u64 {
    debug_assert!(len <= 64, "a mask has 64 bits");
    if len == 64 { u64::MAX } else { (1 << len) - 1 }
}

/// A set of slots as a plain bitmap over `0..len`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits {
    words: Vec<u64>,
    len: u32,
}

impl Bits {
    /// An empty set over `0..len`.
    pub fn none(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len }
    }

    /// The full set over `0..len`.
    pub fn all(len: u32) -> Self {
        let mut bits = Self { words: vec![u64::MAX; len.div_ceil(64) as usize], len };
        bits.clear_tail();
        bits
    }

    /// The set of `slots` over `0..len`.
    ///
    /// # Panics
    /// If a slot is not below `len`.
    pub fn from_slots(len: u32, slots: impl IntoIterator<Item = u32>) -> Self {
        let mut bits = Self::none(len);
        slots.into_iter().for_each(|slot| bits.insert(slot));
        bits
    }

    fn clear_tail(&mut self) {
        if let Some(last) = self.words.last_mut() {
            *last &= u64::MAX >> ((64 - self.len % 64) % 64);
        }
    }

    /// The universe is `0..len`.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether the universe is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many slots are in the set.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|w| w.count_ones()).sum()
    }

    /// Whether `slot` is in the set; false beyond the universe.
    pub fn contains(&self, slot: u32) -> bool {
        self.words.get((slot / 64) as usize).is_some_and(|w| w >> (slot % 64) & 1 == 1)
    }

    /// Adds `slot`.
    ///
    /// # Panics
    /// If it is not below `len`.
    pub fn insert(&mut self, slot: u32) {
        assert!(slot < self.len, "slot {slot} is outside 0..{}", self.len);
        self.words[(slot / 64) as usize] |= 1 << (slot % 64);
    }

    /// Removes `slot` if it is there.
    pub fn remove(&mut self, slot: u32) {
        if let Some(w) = self.words.get_mut((slot / 64) as usize) {
            *w &= !(1 << (slot % 64));
        }
    }

    /// Keeps what is also in `other`.
    ///
    /// # Panics
    /// If the universes differ.
    pub fn and(&mut self, other: &Self) {
        self.zip(other, |a, b| a & b);
    }

    /// Adds what is in `other`.
    ///
    /// # Panics
    /// If the universes differ.
    pub fn or(&mut self, other: &Self) {
        self.zip(other, |a, b| a | b);
    }

    /// Removes what is in `other`.
    ///
    /// # Panics
    /// If the universes differ.
    pub fn and_not(&mut self, other: &Self) {
        self.zip(other, |a, b| a & !b);
    }

    fn zip(&mut self, other: &Self, f: impl Fn(u64, u64) -> u64) {
        assert_eq!(self.len, other.len, "both sets are over one universe");
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a = f(*a, *b));
    }

    /// The complement within the universe.
    pub fn invert(&mut self) {
        self.words.iter_mut().for_each(|w| *w = !*w);
        self.clear_tail();
    }

    /// The slots in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                (left != 0).then(|| {
                    left &= left - 1;
                    i as u32 * 64 + bit
                })
            })
        })
    }

    /// The 64-slot words, lowest slots first; bits beyond `len` are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

impl Admit for Bits {
    fn admits(&self, slot: u32) -> bool {
        self.contains(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_set(len in 0u32..200, a in proptest::collection::btree_set(0u32..200, 0..60), b in proptest::collection::btree_set(0u32..200, 0..60)) {
            let cut = |s: &BTreeSet<u32>| s.iter().copied().filter(|x| *x < len).collect::<BTreeSet<_>>();
            let (a, b) = (cut(&a), cut(&b));
            let bits = |s: &BTreeSet<u32>| Bits::from_slots(len, s.iter().copied());
            let slots = |b: &Bits| b.iter().collect::<BTreeSet<_>>();
            let mut x = bits(&a);
            x.and(&bits(&b));
            prop_assert_eq!(slots(&x), &a & &b);
            let mut x = bits(&a);
            x.or(&bits(&b));
            prop_assert_eq!(slots(&x), &a | &b);
            let mut x = bits(&a);
            x.and_not(&bits(&b));
            prop_assert_eq!(slots(&x), &a - &b);
            let mut x = bits(&a);
            x.invert();
            prop_assert_eq!(x.count() as usize, len as usize - a.len());
            prop_assert_eq!(Bits::all(len).count(), len);
            for slot in 0..220 { prop_assert_eq!(bits(&a).admits(slot), a.contains(&slot)); }
        }
    }

    #[test]
    fn masks() {
        assert_eq!(All.mask(&[1, 2, 3]), 0b111);
        assert_eq!(All.mask(&[0; 64]), u64::MAX);
        assert_eq!(Bits::from_slots(10, [1, 3]).mask(&[3, 2, 1]), 0b101);
        assert!(All.admits_all() && !Bits::all(3).admits_all());
    }
}
