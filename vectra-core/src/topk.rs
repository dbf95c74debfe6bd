//! The k best of a stream, under a total order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A slot and its distance. Order: by distance (`total_cmp`), ties by slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Smaller is nearer.
    pub distance: f32,
    /// Position in the segment.
    pub slot: u32,
}

impl Eq for Neighbor {}

impl Ord for Neighbor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.slot.cmp(&other.slot))
    }
}

impl PartialOrd for Neighbor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The distance as an integer that sorts as `total_cmp` does, in far less time.
#[inline]
pub fn sortable(distance: f32) -> u32 {
    let bits = distance.to_bits();
    // All bits of a negative number are turned over, of any other only the sign.
    bits ^ ((bits.cast_signed() >> 31).cast_unsigned() | 1 << 31)
}

/// The distance that [`sortable`] made an integer of.
#[inline]
pub fn of_sortable(sortable: u32) -> f32 {
    f32::from_bits(sortable ^ ((!sortable.cast_signed() >> 31).cast_unsigned() | 1 << 31))
}

/// Things with a distance, for [`TopK::bound`].
pub trait Ranked: Ord {
    /// Smaller is nearer.
    fn distance(&self) -> f32;
}

impl Ranked for Neighbor {
    fn distance(&self) -> f32 {
        self.distance
    }
}

/// Keeps the `k` smallest things pushed.
#[derive(Debug, Clone)]
pub struct TopK<T: Ranked> {
    k: usize,
    heap: BinaryHeap<T>,
}

impl<T: Ranked> TopK<T> {
    /// Room for the `k` best. `k = 0` keeps nothing.
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k.min(4096) + 1) }
    }

    /// How many it keeps at most.
    pub fn k(&self) -> usize {
        self.k
    }

    /// How many it holds.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The distance a newcomer has to reach: that of the k-th best, or infinity while there are fewer than k.
    pub fn bound(&self) -> f32 {
        if self.heap.len() < self.k {
            f32::INFINITY
        } else {
            self.heap.peek().map_or(f32::NEG_INFINITY, T::distance)
        }
    }

    /// Offers `item`; whether it is kept.
    pub fn push(&mut self, item: T) -> bool {
        if self.heap.len() < self.k {
            self.heap.push(item);
            return true;
        }
        match self.heap.peek_mut() {
            Some(mut worst) if item < *worst => {
                *worst = item;
                true
            }
            _ => false,
        }
    }

    /// Offers everything that `other` holds.
    pub fn merge(&mut self, other: Self) {
        for item in other.heap {
            self.push(item);
        }
    }

    /// The kept things, best first.
    pub fn into_sorted(self) -> Vec<T> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_sort_and_truncate(items in proptest::collection::vec((-5i8..5, 0u32..50), 0..80), k in 0usize..20, cut in 0usize..80) {
            let items: Vec<Neighbor> =
                items.into_iter().map(|(d, slot)| Neighbor { distance: f32::from(d), slot }).collect();
            let cut = cut.min(items.len());
            let (mut a, mut b) = (TopK::new(k), TopK::new(k));
            items[..cut].iter().for_each(|n| _ = a.push(*n));
            items[cut..].iter().for_each(|n| _ = b.push(*n));
            a.merge(b);
            let mut expected = items;
            expected.sort();
            expected.truncate(k);
            if k > 0 && expected.len() == k { prop_assert_eq!(a.bound().to_bits(), expected[k - 1].distance.to_bits()); }
            prop_assert_eq!(a.into_sorted(), expected);
        }

        /// Since Rust 1.81 sorting by an order that contradicts itself panics. This one is total over every bit
        /// pattern, NaN included, and so is what is built on it.
        #[test]
        fn regress_rust_1_81_the_order_of_neighbours_never_contradicts_itself(
            bits in proptest::collection::vec((prop_oneof![any::<u32>(), 0x7f80_0000_u32..0x7f80_0008, Just(0x8000_0000), Just(0), Just(0xffc0_0001)], 0u32..3), 0..120),
        ) {
            let mut items: Vec<Neighbor> =
                bits.into_iter().map(|(bits, slot)| Neighbor { distance: f32::from_bits(bits), slot }).collect();
            for window in items.windows(3) {
                let [a, b, c] = [window[0], window[1], window[2]];
                prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
                prop_assert!(!(a <= b && b <= c) || a <= c);
            }
            let mut top = TopK::new(7);
            items.iter().for_each(|item| _ = top.push(*item));
            items.sort();
            prop_assert!(items.is_sorted());
            let key = |item: &Neighbor| (item.distance.to_bits(), item.slot);
            let best: Vec<_> = top.into_sorted().iter().map(key).collect();
            prop_assert_eq!(best, items.iter().take(7).map(key).collect::<Vec<_>>());
        }
    }
}
