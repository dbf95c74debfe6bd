//! Searching a graph (Malkov and Yashunin 2018, algorithms 2 and 5): greedy down the layers, then a beam on layer 0.

pub(crate) mod beam;
pub(crate) mod descend;
mod filtered;
pub(crate) mod watch;

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
    let mut counts = SearchCounts::default();
    run(links, scorer, params, None, admit, scratch, &mut counts, out);
    counts
}

/// The same, with parameters that depend on the distance at which the descent ends.
pub(crate) fn search_chosen<L: Links, S: Scorer, A: Admit>(
    links: &L,
    scorer: &mut S,
    choose: impl FnOnce(f32) -> SearchParams,
    admit: &A,
    scratch: &mut Scratch,
    out: &mut Vec<Neighbor>,
) -> SearchCounts {
    out.clear();
    let mut counts = SearchCounts::default();
    let Some(entry) = links.entry() else { return counts };
    let starts = descend::descend(links, entry, scorer, scratch, &mut counts);
    let params = choose(starts[0].distance);
    run(links, scorer, &params, Some(starts), admit, scratch, &mut counts, out);
    counts
}

/// Searches, from `starts` where the descent was made already.
#[allow(clippy::too_many_arguments, reason = "one place for both searches, inlined into them")]
#[inline]
fn run<L: Links, S: Scorer, A: Admit>(
    links: &L,
    scorer: &mut S,
    params: &SearchParams,
    starts: Option<[Neighbor; 2]>,
    admit: &A,
    scratch: &mut Scratch,
    counts: &mut SearchCounts,
    out: &mut Vec<Neighbor>,
) {
    out.clear();
    let Some(entry) = links.entry() else { return };
    if params.k == 0 {
        return;
    }
    let rows = links.rows() as usize;
    let ef = params.ef_search.max(params.k).min(rows);
    scratch.pool.reset(ef);
    scratch.visited.reset(rows);
    let end = beam::End { wanted: params.wanted, slack: params.slack };
    if admit.admits_all() {
        let starts = starts.unwrap_or_else(|| descend::descend(links, entry, scorer, scratch, counts));
        for start in starts {
            if scratch.visited.insert(start.slot) {
                scratch.pool.insert(start.distance, start.slot);
            }
        }
        beam::beam_until(links, scorer, end, scratch, counts, &mut watch::Nobody);
    } else {
        filtered::filtered(links, scorer, ef, end, starts, admit, scratch, counts);
    }
    let near = scratch.pool.iter().take(params.k).take_while(|n| n.distance <= params.bound);
    out.extend(near);
}
