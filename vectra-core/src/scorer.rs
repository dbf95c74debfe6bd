//! The seam between whatever holds vectors and whatever walks over them: bind the query once, score many slots.

use crate::admit::mask_of_len;
use crate::pool::Pool;
use crate::topk::Neighbor;

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

    /// Whether a graph is best built from groups of near rows: [`nearest_among`](Self::nearest_among) takes a small part of
    /// the time that as many single distances would take, and two rows near to a third are near to each other (which an
    /// inner product does not promise).
    fn forms_groups(&self) -> bool {
        false
    }

    /// The `k` nearest of `columns`, which are distinct, for each of `rows`, itself left out; `give` is called with the
    /// position in `rows`, ascending, and what is nearest to that row, nearest first. Equal distances come in the order of
    /// the slots after the row's own and then of those before it: rows that are all alike do not all take the same few. A
    /// distance that is not a number is never given.
    ///
    /// Distances are those of [`between`](Self::between), computed one after the other unless a store knows better.
    ///
    /// # Panics
    /// If a slot is out of range.
    fn nearest_among(
        &self,
        rows: &[u32],
        columns: &[u32],
        k: usize,
        give: &mut dyn FnMut(usize, &[Neighbor]),
    ) {
        by_scoring(self, rows, columns, k, give);
    }

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

    /// The distance to each of `slots`, into `out`.
    ///
    /// # Panics
    /// If a slot is out of range or `out` is not as long as `slots`.
    fn score_all(&mut self, slots: &[u32], out: &mut [f32]) {
        assert_eq!(slots.len(), out.len(), "one result for each slot");
        for (slot, out) in slots.iter().zip(out) {
            *out = self.score(*slot);
        }
    }

    /// Asks for the memory that [`expand`](Self::expand) will read, and does not wait for it.
    fn fetch(&self, expansion: &Expansion<'_>) {
        let _ = expansion;
    }

    /// Scores an expansion and offers those nearer than `bound` to `out`.
    ///
    /// A plain code store scores slot by slot; an inline-block store scores the node's whole block in one sequential
    /// scan and keeps the lanes asked for. Returns the exact distance of the node if it came for free.
    fn expand(&mut self, expansion: &Expansion<'_>, bound: f32, out: &mut Pool) -> Option<f32> {
        for slot in expansion.slots {
            let distance = self.score(*slot);
            if distance <= bound {
                out.insert(distance, *slot);
            }
        }
        None
    }
}

/// Of whatever store: for those whose walks need not be compiled for themselves. A walk asks for many slots at a time, so that
/// not knowing whom it asks costs little.
impl Scorer for Box<dyn Scorer + '_> {
    fn score(&mut self, slot: u32) -> f32 {
        (**self).score(slot)
    }

    fn score_all(&mut self, slots: &[u32], out: &mut [f32]) {
        (**self).score_all(slots, out);
    }

    fn fetch(&self, expansion: &Expansion<'_>) {
        (**self).fetch(expansion);
    }

    fn expand(&mut self, expansion: &Expansion<'_>, bound: f32, out: &mut Pool) -> Option<f32> {
        (**self).expand(expansion, bound, out)
    }
}

/// Neighbours of one node that are scored together.
#[derive(Debug, Clone, Copy)]
pub struct Expansion<'a> {
    /// The node from whose list they are.
    pub node: u32,
    /// Those to score, in the order of the list; at most 64.
    pub slots: &'a [u32],
    /// Their places in the list: as many bits as there are slots.
    pub lanes: u64,
}

impl<'a> Expansion<'a> {
    /// All of `slots`, as the whole list of `node`.
    ///
    /// # Panics
    /// If there are more than 64.
    pub fn whole(node: u32, slots: &'a [u32]) -> Self {
        assert!(slots.len() <= 64, "an expansion has at most 64 slots");
        Self { node, slots, lanes: mask_of_len(slots.len()) }
    }

    /// Those of `list`, the list of `node`, whose bits are set in `lanes`; written to `buffer` first.
    ///
    /// # Panics
    /// If a bit is set beyond the list.
    pub fn some(node: u32, list: &[u32], lanes: u64, buffer: &'a mut [u32; 64]) -> Self {
        let (mut count, mut left) = (0, lanes);
        while left != 0 {
            buffer[count] = list[left.trailing_zeros() as usize];
            count += 1;
            left &= left - 1;
        }
        Self { node, slots: &buffer[..count], lanes }
    }
}

/// [`VectorStore::nearest_among`] one row after the other.
pub fn by_scoring<V: VectorStore + ?Sized>(
    store: &V,
    rows: &[u32],
    columns: &[u32],
    k: usize,
    give: &mut dyn FnMut(usize, &[Neighbor]),
) {
    let (mut distances, mut nearest) = (vec![0.0; columns.len()], Vec::new());
    for (i, row) in rows.iter().enumerate() {
        store.bind_slot(*row).score_all(columns, &mut distances);
        nearest.clear();
        let pairs =
            columns.iter().zip(&distances).filter(|(slot, distance)| *slot != row && !distance.is_nan());
        nearest.extend(pairs.map(|(slot, distance)| Neighbor { distance: *distance, slot: *slot }));
        keep_nearest(*row, k, &mut nearest);
        give(i, &nearest);
    }
}

/// Keeps the `k` nearest to the row at `own` of those `found`, in the order of [`VectorStore::nearest_among`].
pub fn keep_nearest(own: u32, k: usize, found: &mut Vec<Neighbor>) {
    let order = |a: &Neighbor, b: &Neighbor| {
        let after = |near: &Neighbor| near.slot.wrapping_sub(own);
        a.distance.total_cmp(&b.distance).then_with(|| after(a).cmp(&after(b)))
    };
    // Few are sorted as quickly as they are divided.
    if k > 0 && found.len() > 4 * k {
        found.select_nth_unstable_by(k - 1, order);
        found.truncate(k);
    }
    found.sort_unstable_by(order);
    found.truncate(k);
}

/// [`Scorer::expand`] for stores that score many slots in one call: `gather` fills in the distances of the slots it is
/// given. Nothing is allocated.
///
/// # Panics
/// If the expansion has more than 64 slots.
#[inline]
pub fn expand_gathered(
    expansion: &Expansion<'_>,
    bound: f32,
    out: &mut Pool,
    gather: impl FnOnce(&[u32], &mut [f32]),
) {
    let mut distances = [0.0; 64];
    let distances = &mut distances[..expansion.slots.len()];
    gather(expansion.slots, distances);
    out.offer(expansion.slots, distances, bound);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expansion_holds_the_slots_of_its_lanes() {
        let mut buffer = [0; 64];
        let expansion = Expansion::some(7, &[30, 10, 20, 40], 0b1010, &mut buffer);
        assert_eq!((expansion.node, expansion.slots, expansion.lanes), (7, &[10, 40][..], 0b1010));
        assert_eq!(Expansion::whole(1, &[5, 6, 7]).lanes, 0b111);
        assert!(Expansion::some(0, &[], 0, &mut [0; 64]).slots.is_empty());
    }

    #[test]
    fn equal_distances_are_ordered_from_the_own_slot_on() {
        let at = |distance: f32, slot: u32| Neighbor { distance, slot };
        for count in [6, 40] {
            let mut found: Vec<Neighbor> = (0..count).map(|slot| at(1.0, slot)).collect();
            found.push(at(0.5, 90));
            keep_nearest(count - 2, 4, &mut found);
            assert_eq!(found, [at(0.5, 90), at(1.0, count - 2), at(1.0, count - 1), at(1.0, 0)]);
        }
        keep_nearest(3, 0, &mut vec![at(1.0, 2)]);
    }

    #[test]
    #[should_panic(expected = "at most 64 slots")]
    fn an_expansion_has_an_end() {
        let _too_many = Expansion::whole(0, &[0; 65]);
    }
}
