//! Keeping the best of what several searchers found.

use vectra_core::query::Candidate;

/// The `k` nearest candidates seen so far and everything exactly as far as the k-th.
///
/// Not a heap of k: that would drop a tie at the k-th place when a nearer candidate displaces it, and the caller cuts
/// ties by id, which is not known here.
#[derive(Debug)]
pub(crate) struct Gather {
    k: usize,
    kept: Vec<Candidate>,
}

impl Gather {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, kept: Vec::new() }
    }

    pub(crate) fn offer(&mut self, found: Vec<Candidate>) {
        if self.k == 0 {
            return;
        }
        if self.kept.is_empty() {
            self.kept = found;
        } else {
            self.kept.extend(found);
        }
        self.kept.sort_unstable();
        if let Some(kth) = self.kept.get(self.k - 1).map(|kth| kth.distance) {
            // 0.0 and -0.0 are the same distance, which the total order does not know.
            let ends = |c: &Candidate| c.distance <= kth || c.distance.total_cmp(&kth).is_le();
            let end = self.k + self.kept[self.k..].partition_point(ends);
            self.kept.truncate(end);
        }
    }

    /// The distance of the k-th, or infinity while there are fewer.
    pub(crate) fn bound(&self) -> f32 {
        let kth =
            self.k.checked_sub(1).map_or(Some(f32::NEG_INFINITY), |at| Some(self.kept.get(at)?.distance));
        kth.unwrap_or(f32::INFINITY)
    }

    /// What was kept, nearest first, ties by place.
    pub(crate) fn into_sorted(self) -> Vec<Candidate> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use vectra_core::query::Place;

    use super::*;

    fn candidates(distances: &[f32]) -> Vec<Candidate> {
        let at = |slot: usize| Place { shard: 0, segment: 0, slot: slot as u32 };
        distances.iter().enumerate().map(|(slot, d)| Candidate { distance: *d, at: at(slot) }).collect()
    }

    fn distances(gather: Gather) -> Vec<f32> {
        gather.into_sorted().iter().map(|c| c.distance).collect()
    }

    #[test]
    fn ties_at_the_kth_place_survive_and_go_when_the_place_moves() {
        let mut gather = Gather::new(2);
        assert!(gather.bound().is_infinite());
        gather.offer(candidates(&[3.0]));
        assert!(gather.bound().is_infinite(), "one of two");
        gather.offer(candidates(&[2.0, 3.0, 3.0, 4.0]));
        assert_eq!(gather.bound().to_bits(), 3.0_f32.to_bits());
        assert_eq!(gather.kept.len(), 4, "2, 3, 3, 3");
        gather.offer(candidates(&[1.0]));
        assert_eq!(distances(gather), [1.0, 2.0]);
    }

    #[test]
    fn both_zeros_are_one_distance() {
        let mut gather = Gather::new(1);
        gather.offer(candidates(&[0.0, -0.0]));
        assert_eq!(distances(gather).len(), 2);
    }

    #[test]
    fn nothing_is_wanted_nothing_is_kept() {
        let mut gather = Gather::new(0);
        gather.offer(candidates(&[1.0]));
        assert!(gather.bound() < 0.0 && gather.into_sorted().is_empty());
    }
}
