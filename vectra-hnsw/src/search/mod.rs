//! Searching a graph (Malkov and Yashunin 2018, algorithms 2 and 5): greedy down the layers, then a beam on layer 0.

pub(crate) mod beam;
pub(crate) mod descend;
mod filtered;

use vectra_core::Neighbor;
use vectra_core::admit::Admit;
use vectra_core::index::{SearchCounts, SearchParams};
use vectra_core::scorer::Scorer;

use crate::graph::Links;
use crate::scratch::Scratch;

/// The search behind both implementations of `AnnIndex`.
pub(crate) fn search<L: Links, S: Scorer, A: Admit>(
    links: &L,
    scorer: &mut S,
    params: &SearchParams,
    admit: &A,
    scratch: &mut Scratch,
    out: &mut Vec<Neighbor>,
) -> SearchCounts {
    out.clear();
    let mut counts = SearchCounts::default();
    let Some(entry) = links.entry() else { return counts };
    if params.k == 0 {
        return counts;
    }
    let rows = links.rows() as usize;
    let ef = params.ef_search.max(params.k).min(rows);
    scratch.pool.reset(ef);
    scratch.visited.reset(rows);
    if admit.admits_all() {
        for start in descend::descend(links, entry, scorer, scratch, &mut counts) {
            if scratch.visited.insert(start.slot) {
                scratch.pool.insert(start.distance, start.slot);
            }
        }
        beam::beam(links, scorer, scratch, &mut counts);
    } else {
        filtered::filtered(links, scorer, ef, admit, scratch, &mut counts);
    }
    let near = scratch.pool.iter().take(params.k).take_while(|n| n.distance <= params.bound);
    out.extend(near);
    counts
}
