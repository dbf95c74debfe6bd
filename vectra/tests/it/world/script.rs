//! What is done to an index while everything goes wrong.

use vectra_core::testing::oracle::Dice;

use super::Op;

/// Insert, batch, upsert, update and delete of sealed and unsealed rows, several seals, merges, graphs, compaction,
/// new log files, a kill and two closes.
pub(crate) fn script() -> Vec<Op> {
    use Op::{Close, Compact, Delete, Flush, Insert, Kill, Optimize, Steps, Update, Upsert};
    vec![
        Insert(vec![1]),
        Insert(vec![2, 3, 4, 5]),
        Upsert(vec![2]),
        Update(vec![3]),
        Delete(vec![4]),
        Steps(2),
        Insert(vec![6, 7, 8, 9]),
        Steps(1),
        Update(vec![1]),
        Delete(vec![2, 5]),
        Upsert(vec![3, 10]),
        Kill,
        Insert(vec![4, 11, 12, 13]),
        Update(vec![6, 11]),
        Steps(2),
        Delete(vec![7, 12]),
        Insert(vec![14, 15, 16, 17, 18, 19]),
        Steps(4),
        Upsert((1..9).collect()),
        Flush,
        Update(vec![8, 14, 15]),
        Close,
        Delete(vec![16]),
        Insert(vec![20, 21]),
        Upsert(vec![17, 20]),
        Optimize,
        Update(vec![17, 18]),
        Delete(vec![1, 19, 20]),
        Compact,
        Insert(vec![22, 23]),
        Close,
        Update(vec![22]),
        Upsert(vec![23, 24]),
    ]
}

/// The same with long stretches between syncs, and time for the syncs in the background.
pub(crate) fn lazy_script() -> Vec<Op> {
    use Op::{Delete, Insert, Steps, Sync, Update, Upsert};
    let mut ops = script();
    let more = [
        Steps(24),
        Insert(vec![26]),
        Upsert(vec![27, 28]),
        Steps(24),
        Insert(vec![29]),
        Sync,
        Delete(vec![27]),
    ];
    ops.splice(9..9, more);
    ops.extend((0..5).map(|i| Upsert((8 * i..8 * i + 8).collect())));
    ops.extend([Update(vec![1]), Steps(24), Delete(vec![2, 3]), Steps(3)]);
    ops
}

/// What a user does after a power cut.
pub(crate) fn aftermath() -> Vec<Op> {
    use Op::{Compact, Delete, Flush, Insert, Kill, Steps, Update, Upsert};
    vec![
        Insert(vec![30]),
        Upsert(vec![2, 31, 6]),
        Delete(vec![3, 30]),
        Flush,
        Insert(vec![32, 33, 34]),
        Update(vec![31, 32]),
        Steps(3),
        Kill,
        Upsert(vec![33, 35]),
        Compact,
        Delete(vec![34]),
    ]
}

/// Operations that `seed` decides, of every kind.
pub(crate) fn random_script(seed: u64, ops: usize) -> Vec<Op> {
    let mut dice = Dice::new(seed ^ 0x0005_c417);
    let keys = |dice: &mut Dice, most: usize| {
        let mut keys: Vec<u64> = (0..=dice.below(most)).map(|_| dice.below(36) as u64).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    };
    let op = |dice: &mut Dice| match dice.below(32) {
        0..5 => Op::Insert(keys(dice, 2)),
        5..13 => Op::Upsert(keys(dice, 5)),
        13..17 => Op::Update(keys(dice, 2)),
        17..21 => Op::Delete(keys(dice, 4)),
        21..26 => Op::Steps(1 + dice.below(4) as u32),
        26 => Op::Flush,
        27 => Op::Compact,
        28 => Op::Optimize,
        29 => Op::Sync,
        30 => Op::Kill,
        _ => Op::Close,
    };
    (0..ops).map(|_| op(&mut dice)).collect()
}
