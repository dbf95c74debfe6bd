//! Searching one segment: candidates by code, then exact distances. Only exact distances leave a segment.

use std::cell::RefCell;

use vectra_core::admit::{All, Bits};
use vectra_core::index::{SearchCounts, SearchParams};
use vectra_core::memory::prefetch;
use vectra_core::near::{LOOK, any_within};
use vectra_core::query::{Profile, Query, QueryCtx};
use vectra_core::{Filter, Metric, Neighbor, TopK};
use vectra_tier::ReadBuf;

use super::plan::{Facts, Strategy, plan, scans_in_doubt};
use crate::error::Result;
use crate::segment::exact::ExactQuery;
use crate::segment::index::Scratch;
use crate::segment::sealed::SealedView;

thread_local! {
    /// Reused from query to query: the visited set and the pools of a walk are allocated once per thread.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Rows scored at a time by a scan: small enough to stay in the first-level cache.
const BLOCK: u32 = 256;

/// Candidates that are always compared exactly: from fewer one could not tell how far their codes are off.
pub(crate) const RERANK_MIN: usize = 10;
/// How many vectors ahead of the one being compared are asked for.
pub(crate) const ROWS_AHEAD: usize = 6;

/// How far codes are off, judged by the rows whose vectors were read so far.
#[derive(Debug)]
pub(crate) struct Doubt {
    least: f32,
    most: f32,
    is_coarse: bool,
}

impl Doubt {
    pub(crate) fn of(coarseness: usize) -> Self {
        Self { least: f32::INFINITY, most: f32::NEG_INFINITY, is_coarse: coarseness > 1 }
    }

    pub(crate) fn learn(&mut self, estimate: f32, exact: f32) {
        let error = exact - estimate;
        (self.least, self.most) = (self.least.min(error), self.most.max(error));
    }

    /// Whether a row at `estimate` by its code is too far to be within `bound`. The rows that were read may be those whose
    /// codes are the better ones, so it is by twice the largest error; coarse codes are all off by about the same, and
    /// there it is by half of the range of errors beyond it.
    pub(crate) fn rules_out(&self, estimate: f32, bound: f32) -> bool {
        let least = if self.is_coarse {
            self.least - 0.5 * (self.most - self.least)
        } else {
            -2.0 * self.least.abs().max(self.most.abs())
        };
        estimate + least > bound
    }
}

/// What is the same for all segments of one query.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) query: &'a Query,
    pub(crate) exact: ExactQuery,
    pub(crate) metric: Metric,
    pub(crate) ef_default: usize,
}

/// Which rows of a sealed segment may be answered.
pub(crate) enum Admitted {
    All,
    /// All but the dead.
    Live,
    These(Bits),
}

/// The best rows of a sealed segment with their exact distances, into `top`.
pub(crate) fn sealed(
    view: &SealedView,
    bound: &Bound<'_>,
    ctx: &mut QueryCtx,
    top: &mut TopK<Neighbor>,
) -> Result<()> {
    let admitted = admitted(view, bound.query.filter.as_deref(), &mut ctx.profile)?;
    among(view, &admitted, bound, ctx, top)
}

/// Which rows may be answered to queries with this filter.
pub(crate) fn admitted(
    view: &SealedView,
    filter: Option<&Filter>,
    profile: &mut Profile,
) -> Result<Admitted> {
    Ok(match filter {
        Some(filter) => {
            let (bits, evaluated) = view.matching(filter)?;
            profile.filter_evaluations += evaluated;
            Admitted::These(bits)
        }
        None if view.tombstones.count() == 0 => Admitted::All,
        None => Admitted::Live,
    })
}

/// The best of the admitted rows of a sealed segment with their exact distances, into `top`.
pub(crate) fn among(
    view: &SealedView,
    admitted: &Admitted,
    bound: &Bound<'_>,
    ctx: &mut QueryCtx,
    top: &mut TopK<Neighbor>,
) -> Result<()> {
    let count = match admitted {
        Admitted::These(bits) => bits.count(),
        _ => view.live(),
    };
    if count == 0 {
        return Ok(());
    }
    ctx.profile.segments += 1;
    let segment = &view.segment;
    let facts = Facts {
        rows: segment.rows(),
        admitted: count,
        has_codes: segment.index.is_some(),
        has_graph: segment.has_graph(),
        coarseness: coarseness(view),
        calibration: segment.index.as_ref().and_then(|index| index.calibration()),
        effort: bound.query.effort,
        k: bound.query.k,
        ef_default: bound.ef_default,
    };
    let strategy = plan(&facts);
    strategy.count(bound.query.effort, &mut ctx.profile);
    if strategy == Strategy::ExactScan {
        return exact_scan(view, admitted, bound, &mut ctx.profile, top);
    }
    let unverified = segment.index.as_ref().is_some_and(|index| !index.is_verified());
    ctx.profile.unverified += u64::from(unverified);
    let is_settled = SCRATCH.with_borrow_mut(|scratch| {
        let counts = candidates(view, strategy, admitted, bound, scratch);
        ctx.profile.distances += counts.distances;
        ctx.profile.hops += counts.hops;
        let Scratch { found, vectors, .. } = scratch;
        rerank(view, found, bound, vectors, &mut ctx.profile, top)
    })?;
    if is_settled || !scans_in_doubt(&facts, strategy) {
        return Ok(());
    }
    *top = TopK::new(bound.query.k);
    exact_scan(view, admitted, bound, &mut ctx.profile, top)
}

/// How far the codes of a segment misplace its rows.
fn coarseness(view: &SealedView) -> usize {
    view.segment.index.as_ref().map_or(1, |index| index.codes().coarseness())
}

/// Finds candidates by their codes; they are left in `scratch.found`.
fn candidates(
    view: &SealedView,
    strategy: Strategy,
    admitted: &Admitted,
    bound: &Bound<'_>,
    scratch: &mut Scratch,
) -> SearchCounts {
    let index = view.segment.index.as_ref().expect("the plan asks for codes only where there are any");
    let query = &bound.query.vector;
    match strategy {
        Strategy::GraphWalk { ef_search, rerank } => {
            let params = SearchParams::new(rerank, ef_search);
            match admitted {
                Admitted::All => index.walk(query, &params, &All, scratch),
                Admitted::Live => index.walk(query, &params, &view.tombstones, scratch),
                Admitted::These(bits) => index.walk(query, &params, bits, scratch),
            }
        }
        Strategy::CalibratedWalk { recall } => {
            let wanted = (bound.query.k, recall);
            match admitted {
                Admitted::All => index.walk_for(query, wanted, &All, scratch),
                Admitted::Live => index.walk_for(query, wanted, &view.tombstones, scratch),
                Admitted::These(bits) => index.walk_for(query, wanted, bits, scratch),
            }
        }
        Strategy::CodeScan { rerank } => match admitted {
            Admitted::These(bits) => index.scan(query, rerank, bits, scratch),
            _ => index.scan(query, rerank, &view.live_bits(), scratch),
        },
        Strategy::ExactScan => unreachable!("an exact scan asks no codes"),
    }
}

/// Offers the exact distances of the candidates that can be among the best to `top`; they come nearest first by their
/// codes. Once one is ruled out, those that follow, which are farther still, are not read.
///
/// Whether one was: otherwise rows that are no candidates may be as near as these.
fn rerank(
    view: &SealedView,
    candidates: &[Neighbor],
    bound: &Bound<'_>,
    buf: &mut ReadBuf,
    profile: &mut Profile,
    top: &mut TopK<Neighbor>,
) -> Result<bool> {
    let truth = &view.segment.truth;
    let surely = candidates.len().min(bound.query.k.max(RERANK_MIN));
    let mut doubt = Doubt::of(coarseness(view));
    candidates.iter().take(surely + ROWS_AHEAD).for_each(|next| truth.touch(next.slot));
    candidates.iter().take(ROWS_AHEAD).for_each(|next| truth.fetch(next.slot));
    for (i, candidate) in candidates.iter().enumerate() {
        if i >= surely && doubt.rules_out(candidate.distance, top.bound()) {
            return Ok(true);
        }
        if let Some(next) = candidates.get(i + ROWS_AHEAD) {
            truth.fetch(next.slot);
        }
        let distance = exact(view, candidate.slot, bound, buf, profile)?;
        doubt.learn(candidate.distance, distance);
        top.push(Neighbor { distance, slot: candidate.slot });
    }
    Ok(candidates.last().is_none_or(|last| doubt.rules_out(last.distance, top.bound())))
}

/// Offers the exact distances of all admitted rows to `top`.
fn exact_scan(
    view: &SealedView,
    admitted: &Admitted,
    bound: &Bound<'_>,
    profile: &mut Profile,
    top: &mut TopK<Neighbor>,
) -> Result<()> {
    match admitted {
        Admitted::These(bits) => exact_some(view, bits.iter(), bound, profile, top),
        _ => exact_live(view, bound, profile, top),
    }
}

/// Offers the exact distances of `slots` to `top`.
fn exact_some(
    view: &SealedView,
    slots: impl Iterator<Item = u32>,
    bound: &Bound<'_>,
    profile: &mut Profile,
    top: &mut TopK<Neighbor>,
) -> Result<()> {
    let mut buf = ReadBuf::default();
    for slot in slots {
        let distance = exact(view, slot, bound, &mut buf, profile)?;
        top.push(Neighbor { distance, slot });
    }
    Ok(())
}

/// The exact distance of one row.
fn exact(
    view: &SealedView,
    slot: u32,
    bound: &Bound<'_>,
    buf: &mut ReadBuf,
    profile: &mut Profile,
) -> Result<f32> {
    let truth = &view.segment.truth;
    profile.exact_reads += 1;
    Ok(bound.exact.distance(truth.vectors(slot, 1, buf)?, truth.inverse_norm(slot)?))
}

/// Compares with every live vector of the segment, in blocks, at the speed of memory.
fn exact_live(
    view: &SealedView,
    bound: &Bound<'_>,
    profile: &mut Profile,
    top: &mut TopK<Neighbor>,
) -> Result<()> {
    let truth = &view.segment.truth;
    let norms = truth.inverse_norms()?.unwrap_or_default();
    let (mut distances, mut buf) = ([0.0; BLOCK as usize], ReadBuf::default());
    for first in (0..truth.rows()).step_by(BLOCK as usize) {
        let count = BLOCK.min(truth.rows() - first);
        let out = &mut distances[..count as usize];
        let norms = norms_of_block(norms, first, count);
        bound.exact.scan(truth.vectors(first, count, &mut buf)?, norms, out);
        offer(first, out, top, |slot| !view.tombstones.contains(slot));
    }
    profile.exact_reads += u64::from(truth.rows());
    Ok(())
}

/// The norms of `count` rows from `first` on, if there are any. As many beyond them are asked for, so that the next block need
/// not wait for them.
pub(crate) fn norms_of_block(norms: &[f32], first: u32, count: u32) -> &[f32] {
    let (first, count) = (first as usize, count as usize);
    let (block, later) = norms.get(first..).unwrap_or_default().split_at_checked(count).unwrap_or_default();
    prefetch(&later[..later.len().min(count)]);
    block
}

/// Offers the admitted of neighbouring rows, the first of which stands in the slot `first`, to `top`.
pub(crate) fn offer(
    first: u32,
    distances: &[f32],
    top: &mut TopK<Neighbor>,
    mut admits: impl FnMut(u32) -> bool,
) {
    let mut worst = top.bound();
    for (slots, distances) in (first..).step_by(LOOK).zip(distances.chunks(LOOK)) {
        if any_within(distances, worst) {
            for (slot, distance) in (slots..).zip(distances) {
                if *distance <= worst && admits(slot) {
                    top.push(Neighbor { distance: *distance, slot });
                    worst = top.bound();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_norms_of_its_own_rows() {
        let norms = [1.0, 2.0, 3.0, 4.0, 5.0];
        for (first, expected) in [(0, &norms[..2]), (2, &norms[2..4]), (3, &norms[3..])] {
            assert_eq!(norms_of_block(&norms, first, 2), expected);
        }
        assert!(norms_of_block(&[], 0, 2).is_empty() && norms_of_block(&[], 2, 2).is_empty());
    }
}
