//! Many insertions at once: threads take the next slot from a counter.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use vectra_core::env::in_parallel;
use vectra_core::scorer::VectorStore;

use crate::build::BuildError;
use crate::build::insert::{InsertScratch, insert};
use crate::graph::{Graph, Links};

/// How many slots are inserted by one thread before the others join: nodes inserted at the same time do not see each
/// other, which must stay rare.
const FIRST: u32 = 256;

/// Progress is told once in this many insertions.
const STEP: u64 = 256;

/// Links all rows of a graph without links, the entry being the first row of the highest level.
pub(crate) fn insert_all<V: VectorStore>(
    graph: &mut Graph,
    store: &V,
    threads: usize,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<(), BuildError> {
    let rows = graph.rows();
    let Some(entry) = graph.highest() else { return Ok(()) };
    graph.entry = Some(entry);
    let graph = &*graph;
    let (next, done, stopped) = (AtomicU32::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let work = |until: u32| {
        let mut scratch = InsertScratch::default();
        while !stopped.load(Relaxed) {
            let slot = next.fetch_add(1, Relaxed);
            if slot >= until {
                break;
            }
            if slot != entry.slot {
                insert(graph, store, entry, slot, &mut scratch);
            }
            let count = done.fetch_add(1, Relaxed) + 1;
            if (count % STEP == 0 || count == u64::from(rows)) && !progress(count) {
                stopped.store(true, Relaxed);
            }
        }
    };
    let first = rows.min(FIRST);
    work(first);
    next.store(first, Relaxed);
    in_parallel(threads.max(1), |_| work(rows));
    if stopped.load(Relaxed) { Err(BuildError::Stopped(done.load(Relaxed))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::graph::NONE;
    use crate::store::clustered;

    #[test]
    fn the_entry_is_the_first_of_the_highest_and_everybody_has_links() {
        let store = clustered(1500, 5, 8, 4);
        for threads in [0, 1, 4] {
            let mut graph = Graph::new(Params { m: 6, ef_construction: 30, seed: 5 });
            graph.grow(1500);
            insert_all(&mut graph, &store, threads, &|_| true).expect("not stopped");
            let entry = graph.entry.expect("rows");
            let levels = (0..1500).map(|slot| graph.entry_at(slot).level);
            let highest = levels.clone().max().expect("rows");
            assert_eq!(
                (entry.level, Some(entry.slot as usize)),
                (highest, levels.clone().position(|l| l == highest))
            );
            for slot in 0..1500 {
                let mut buffer = [NONE; 64];
                let links = graph.read(0, slot, &mut buffer);
                let distinct = (1..links.len()).all(|i| !links[..i].contains(&links[i]));
                assert!(!links.is_empty() && distinct && !links.contains(&slot), "{slot}: {links:?}");
            }
        }
    }

    #[test]
    fn a_stop_leaves_the_rest_unlinked() {
        let store = clustered(2000, 5, 8, 4);
        let mut graph = Graph::new(Params::default());
        graph.grow(2000);
        let stopped = insert_all(&mut graph, &store, 2, &|_| false);
        assert!(matches!(stopped, Err(BuildError::Stopped(256))), "at the first report: {stopped:?}");
        assert!(graph.read(0, 1999, &mut [NONE; 64]).is_empty());
    }
}
