//! The seam between whatever holds vectors and whatever walks over them: bind the query once, score many slots.

use crate::pool::Pool;

/// Holds one vector (or code) per slot and can score them against a query.
///
/// Implemented by dense stores, growing chunks, quantized code stores and inline-neighbour blocks. The graph knows no
/// other way to a vector.
pub trait VectorStore: Sync {
    /// A query bound to this store.
    type Scorer<'a>: Scorer
    where
        Self: 'a;

    /// How many slots there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Components per vector.
    fn dim(&self) -> usize;

    /// Prepares `query` (length [`VectorStore::dim`], already normalised where the metric asks for it).
    ///
    /// # Panics
    /// If the length is wrong.
    fn bind<'a>(&'a self, query: &'a [f32]) -> Self::Scorer<'a>;

    /// Prepares the stored vector at `slot` as the query.
    ///
    /// # Panics
    /// If `slot` is out of range.
    fn bind_slot(&self, slot: u32) -> Self::Scorer<'_>;

    /// The distance between two stored vectors.
    ///
    /// # Panics
    /// If a slot is out of range.
    fn between(&self, a: u32, b: u32) -> f32 {
        self.bind_slot(a).score(b)
    }
}

/// A bound query: gives distances (smaller = nearer, total order) from it to slots.
pub trait Scorer {
    /// The distance to `slot`.
    ///
    /// # Panics
    /// If `slot` is out of range.
    fn score(&mut self, slot: u32) -> f32;

    /// Scores the neighbours of `node` whose bit is set in `keep` and offers those nearer than `bound` to `out`.
    ///
    /// At most 64 `neighbours`; bit i of `keep` stands for `neighbours[i]`. A plain code store walks the bits with
    /// prefetch; an inline-block store scores the node's whole block in one sequential scan and masks. Returns the
    /// exact distance of `node` if it came for free.
    fn expand(
        &mut self,
        node: u32,
        neighbours: &[u32],
        keep: u64,
        bound: f32,
        out: &mut Pool,
    ) -> Option<f32> {
        let _ = node;
        debug_assert!(neighbours.len() <= 64, "a node has at most 64 neighbours");
        let mut left = keep;
        while left != 0 {
            let slot = neighbours[left.trailing_zeros() as usize];
            left &= left - 1;
            let distance = self.score(slot);
            if distance <= bound {
                out.insert(distance, slot);
            }
        }
        None
    }
}

/// [`Scorer::expand`] for stores that score many slots in one call: `gather` fills in the distances of the slots it is
/// given. Nothing is allocated.
///
/// # Panics
/// If there are more than 64 `neighbours`, or `keep` has bits beyond them.
#[inline]
pub fn expand_gathered(
    neighbours: &[u32],
    keep: u64,
    bound: f32,
    out: &mut Pool,
    gather: impl FnOnce(&[u32], &mut [f32]),
) {
    let (mut slots, mut distances) = ([0; 64], [0.0; 64]);
    let (mut count, mut left) = (0, keep);
    while left != 0 {
        slots[count] = neighbours[left.trailing_zeros() as usize];
        count += 1;
        left &= left - 1;
    }
    let (slots, distances) = (&slots[..count], &mut distances[..count]);
    gather(slots, distances);
    for (slot, distance) in slots.iter().zip(distances) {
        if *distance <= bound {
            out.insert(*distance, *slot);
        }
    }
}
