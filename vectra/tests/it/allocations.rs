//! How often a query takes memory from the allocator: a fixed number of times, however far it walks.

use std::sync::Arc;

use vectra::seams::MemFs;
use vectra::{Builder, Index, Item, Settings};
use vectra_core::testing::oracle::clustered;

const DIM: usize = 24;
const ROWS: usize = 3000;
const K: usize = 10;

/// What a query of one sealed segment takes. Nothing of it grows with the rows that are looked at:
///
/// - the query, prepared for its metric and shared with every shard (1)
/// - the shard as a searcher, and the set of such (2)
/// - its codes, and the same codes with a sign, for the kernels (2)
/// - the best of the segment, and the best of the shard, which become the candidates of the set (2)
/// - the hits (1)
const SEALED: u64 = 7;

/// What rows in memory add while they are few: the best of them, the list of their runs of contiguous vectors, and the
/// distances of a run.
const UNSEALED: u64 = 3;

/// How often asking takes memory.
fn count(index: &Index, query: &[f32], ef: usize) -> u64 {
    let mut hits = Vec::new();
    let measured = allocation_counter::measure(|| {
        hits = index.query(query).top_k(K).ef(ef).without_metadata().run().expect("answered");
    });
    assert_eq!(hits.len(), K);
    measured.count_total
}

#[test]
fn a_query_takes_memory_a_fixed_number_of_times() {
    let vectors = clustered(ROWS, DIM, 30, 0.6, 5);
    let rows: Vec<&[f32]> = vectors.chunks_exact(DIM).collect();
    let builder = Builder::new().fs(Arc::new(MemFs::new())).threads(1);
    let index = builder.create("/index", Settings::new(DIM as u32)).expect("a new folder");
    let items = rows.iter().enumerate().map(|(n, row)| Item::new(n as u64, *row));
    index.insert_items(items.collect()).expect("valid items");
    index.wait_optimized().expect("background work");
    let (_, profile) = index.query(rows[0]).ef(200).run_profiled().expect("answered");
    assert!(profile.hops >= 200, "the graph is walked, and the memory of a walk is there now: {profile:?}");
    for n in (0..ROWS).step_by(61) {
        for ef in [16, 64, 200] {
            assert_eq!(count(&index, rows[n], ef), SEALED, "row {n}, ef {ef}");
        }
    }
    index.insert_item(Item::new(ROWS as u64, rows[0])).expect("a new item");
    for n in (0..ROWS).step_by(61) {
        assert_eq!(count(&index, rows[n], 64), SEALED + UNSEALED, "row {n}, with a row in memory");
    }
}
