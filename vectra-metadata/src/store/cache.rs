//! The last few decompressed blocks.

use std::sync::{Arc, Mutex, PoisonError};

/// How many blocks are kept: 8 x 64 KiB at most, but for blocks of one large row.
const BLOCKS: usize = 8;

/// Decompressed blocks, most recently used first.
#[derive(Debug, Default)]
pub(super) struct BlockCache {
    // A panic while the lock is held leaves a list of whole entries, so poisoning means nothing here.
    blocks: Mutex<Vec<(usize, Arc<Vec<u8>>)>>,
}

impl BlockCache {
    pub(super) fn get(&self, block: usize) -> Option<Arc<Vec<u8>>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let at = blocks.iter().position(|(number, _)| *number == block)?;
        blocks[..=at].rotate_right(1);
        blocks.first().map(|(_, bytes)| Arc::clone(bytes))
    }

    pub(super) fn put(&self, block: usize, bytes: &Arc<Vec<u8>>) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.retain(|(number, _)| *number != block);
        blocks.truncate(BLOCKS - 1);
        blocks.insert(0, (block, Arc::clone(bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = BlockCache::default();
        for block in 0..BLOCKS {
            cache.put(block, &Arc::new(vec![block as u8]));
        }
        assert_eq!(cache.get(0).as_deref(), Some(&vec![0]));
        cache.put(100, &Arc::new(vec![100]));
        assert!(cache.get(1).is_none(), "the oldest");
        for block in [0, 2, BLOCKS - 1, 100] {
            assert_eq!(cache.get(block).as_deref(), Some(&vec![block as u8]), "{block}");
        }
    }
}
