//! Routing by order: neighbours in id order share a shard.

use crate::router::Router;

/// Splits the ordered ids at given points: shard `i` has the ids from split `i - 1` (inclusive) to split `i`
/// (exclusive), in the order of their encodings.
///
/// For ids whose order means something (tenants, dates) and whose ranges are known; a hot range makes a hot shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRouter {
    /// Strictly ascending, fewer than 2^16 - 1.
    splits: Vec<Box<[u8]>>,
}

/// Why split points are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// They are not in strictly ascending order.
    #[error("split point {at} is not greater than the one before it")]
    Order {
        /// The first that is not greater than its predecessor, counted from 0.
        at: usize,
    },
    /// They make more than 65,535 shards.
    #[error("{splits} split points make more than 65535 shards")]
    TooMany {
        /// How many there are.
        splits: usize,
    },
}

impl RangeRouter {
    /// Routes to one shard more than there are `splits`: encoded ids in strictly ascending order.
    pub fn new(splits: Vec<Box<[u8]>>) -> Result<Self, SplitError> {
        if splits.len() >= usize::from(u16::MAX) {
            return Err(SplitError::TooMany { splits: splits.len() });
        }
        match splits.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(at) => Err(SplitError::Order { at: at + 1 }),
            None => Ok(Self { splits }),
        }
    }

    /// The split points, in ascending order.
    pub fn splits(&self) -> &[Box<[u8]>] {
        &self.splits
    }
}

impl Router for RangeRouter {
    fn route(&self, encoded_id: &[u8]) -> u16 {
        self.splits.partition_point(|split| **split <= *encoded_id) as u16
    }

    fn shards(&self) -> u16 {
        self.splits.len() as u16 + 1
    }
}

#[cfg(test)]
mod tests {
    use vectra_core::ItemId;

    use super::*;

    fn split(id: impl Into<ItemId>) -> Box<[u8]> {
        id.into().encode().into()
    }

    #[test]
    fn a_split_point_begins_its_shard() {
        let router = RangeRouter::new(vec![split(100), split(200), split("m")]).expect("ascending");
        let route = |id: ItemId| router.route(&id.encode());
        assert_eq!(router.shards(), 4);
        assert_eq!([0, 99, 100, 199, 200, u64::MAX].map(|id| route(id.into())), [0, 0, 1, 1, 2, 2]);
        assert_eq!(["a", "lzzz", "m", "z"].map(|id| route(id.into())), [2, 2, 3, 3]);
    }

    #[test]
    fn without_splits_there_is_one_shard() {
        let router = RangeRouter::new(Vec::new()).expect("nothing to refuse");
        assert_eq!((router.shards(), router.route(b""), router.route(&[0xff; 20])), (1, 0, 0));
    }

    #[test]
    fn splits_out_of_order_or_too_many_are_refused() {
        assert_eq!(RangeRouter::new(vec![split(1), split(2), split(2)]), Err(SplitError::Order { at: 2 }));
        assert_eq!(RangeRouter::new(vec![split("b"), split("a")]), Err(SplitError::Order { at: 1 }));
        let many = |n: u64| RangeRouter::new((0..n).map(split).collect());
        assert_eq!(many(65_534).map(|router| router.shards()), Ok(u16::MAX));
        assert_eq!(many(65_535), Err(SplitError::TooMany { splits: 65_535 }));
    }
}
