//! Routing by hash: even shards whatever the ids look like.

use std::num::NonZeroU16;

use xxhash_rust::xxh3::xxh3_64;

use crate::router::Router;

/// Spreads items evenly by the hash of their id.
///
/// The shard is `(xxh3_64(id) * shards) >> 64`: the hash read as a fraction of 2^64, scaled to the number of shards.
/// There is no bias worth mentioning (at most one part in 2^48) and no division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashRouter {
    shards: NonZeroU16,
}

impl HashRouter {
    /// Routes to `shards` shards.
    pub fn new(shards: NonZeroU16) -> Self {
        Self { shards }
    }
}

impl Router for HashRouter {
    fn route(&self, encoded_id: &[u8]) -> u16 {
        let scaled = u128::from(xxh3_64(encoded_id)) * u128::from(self.shards.get());
        (scaled >> 64) as u16
    }

    fn shards(&self) -> u16 {
        self.shards.get()
    }
}

#[cfg(test)]
mod tests {
    use vectra_core::ItemId;

    use super::*;

    fn router(shards: u16) -> HashRouter {
        HashRouter::new(NonZeroU16::new(shards).expect("not zero"))
    }

    /// Answers of the first version; they hold for ever.
    #[test]
    fn known_answers() {
        let ids = [
            ItemId::from(0),
            ItemId::from(1),
            ItemId::from(42),
            ItemId::from(u64::MAX),
            uuid(0),
            uuid(u128::MAX),
            ItemId::from("vim"),
            ItemId::from("a longer id, such as a path or an address might be"),
        ];
        let answers = |shards| ids.each_ref().map(|id| router(shards).route(&id.encode()));
        assert_eq!(answers(1), [0; 8]);
        assert_eq!(answers(16), KNOWN_16);
        assert_eq!(answers(u16::MAX), KNOWN_MAX);
        assert_eq!(router(1000).route(b""), KNOWN_EMPTY);
    }

    const KNOWN_16: [u16; 8] = [3, 9, 4, 5, 12, 6, 0, 8];
    const KNOWN_MAX: [u16; 8] = [12_603, 38_977, 18_107, 21_413, 51_227, 28_243, 832, 36_355];
    /// The published XXH3 of nothing is `2d06_8005_38d3_94c2`, which is 0.1758 of 2^64.
    const KNOWN_EMPTY: u16 = 175;

    fn uuid(n: u128) -> ItemId {
        let mut encoded = vec![2];
        encoded.extend_from_slice(&n.to_be_bytes());
        ItemId::decode(&encoded).expect("tag 2 and sixteen bytes are a uuid")
    }

    #[test]
    fn shards_are_even() {
        let (router, ids) = (router(10), 100_000_u64);
        let mut counts = [0_u64; 10];
        for id in 0..ids {
            counts[usize::from(router.route(&ItemId::from(id).encode()))] += 1;
        }
        // Five standard deviations of a binomial with p = 1/10.
        let slack = 5 * 95;
        assert!(counts.iter().all(|count| count.abs_diff(ids / 10) < slack), "{counts:?}");
    }
}
