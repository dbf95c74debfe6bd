//! Searching one segment for queries that differ in their vectors alone: what they have in common is done once.

use std::slice::{from_mut, from_ref};

use vectra_core::memory::prefetch;
use vectra_core::near::Near;
use vectra_core::query::{Effort, Profile, QueryCtx};
use vectra_core::{Neighbor, TopK};
use vectra_quant::{Codec, Sq8, Sq8Query};
use vectra_tier::ReadBuf;
use vectra_wal::Lsn;

use super::execute::{
    Admitted, Bound, Doubt, RERANK_MIN, ROWS_AHEAD, admitted, among, norms_of_block, offer,
};
use crate::error::Result;
use crate::segment::exact::{ExactQueries, ExactQuery, Vectors};
use crate::segment::mutable::MutableSegment;
use crate::segment::sealed::SealedView;

/// Bytes of vectors that are compared with one query after the other: they stay in the second-level cache.
const BLOCK_BYTES: usize = 128 << 10;
/// The most rows of such a block.
const BLOCK_ROWS_MAX: usize = 256;
/// Mutable rows up to which their vectors are compared without asking the codes first.
const EXACT_ROWS_MAX: u32 = 256;

/// The best rows of a sealed segment for each query, into `tops`: as [`sealed`](super::execute::sealed) gives them.
///
/// There is at least one query, and as many contexts and tops as queries.
pub(crate) fn sealed_together(
    view: &SealedView,
    bounds: &[Bound<'_>],
    contexts: &mut [QueryCtx],
    tops: &mut [TopK<Neighbor>],
) -> Result<()> {
    let query = bounds[0].query;
    let admitted = admitted(view, query.filter.as_deref(), &mut contexts[0].profile)?;
    if query.effort == Effort::Exact && !matches!(admitted, Admitted::These(_)) && view.live() > 0 {
        return exact_scan(view, bounds, contexts, tops);
    }
    for ((bound, ctx), top) in bounds.iter().zip(contexts).zip(tops) {
        among(view, &admitted, bound, ctx, top)?;
    }
    Ok(())
}

/// Compares every query with every live vector of the segment, block by block.
fn exact_scan(
    view: &SealedView,
    bounds: &[Bound<'_>],
    contexts: &mut [QueryCtx],
    tops: &mut [TopK<Neighbor>],
) -> Result<()> {
    let truth = &view.segment.truth;
    let norms = truth.inverse_norms()?.unwrap_or_default();
    let (mut scan, mut buf) = (ExactScan::new(bounds), ReadBuf::default());
    let block = (BLOCK_BYTES / truth.row_bytes()).clamp(4, BLOCK_ROWS_MAX);
    for first in (0..truth.rows()).step_by(block) {
        let count = truth.rows().min(first + block as u32) - first;
        let norms = norms_of_block(norms, first, count);
        let live = |slot| !view.tombstones.contains(slot);
        scan.block(first, truth.vectors(first, count, &mut buf)?, norms, live, tops);
    }
    for ctx in contexts {
        ctx.profile.segments += 1;
        ctx.profile.exact_reads += u64::from(truth.rows());
    }
    Ok(())
}

/// An exact scan for some queries.
struct ExactScan<'a> {
    first: &'a ExactQuery,
    /// Unless the first is the only one.
    all: Option<ExactQueries>,
    distances: Vec<f32>,
}

impl<'a> ExactScan<'a> {
    fn new(bounds: &'a [Bound<'_>]) -> Self {
        let all = (bounds.len() > 1).then(|| ExactQueries::new(bounds.iter().map(|bound| &bound.exact)));
        Self { first: &bounds[0].exact, all, distances: Vec::new() }
    }

    /// Offers the rows of a block, the first of which stands in the slot `first`, to `tops`.
    fn block(
        &mut self,
        first: u32,
        rows: Vectors<'_>,
        inverse_norms: &[f32],
        mut admits: impl FnMut(u32) -> bool,
        tops: &mut [TopK<Neighbor>],
    ) {
        let count = rows.len() / self.first.dim();
        self.distances.resize(tops.len() * count, 0.0);
        match &self.all {
            Some(all) => all.scan(rows, inverse_norms, &mut self.distances),
            None => self.first.scan(rows, inverse_norms, &mut self.distances),
        }
        for (distances, top) in self.distances.chunks_exact(count).zip(tops) {
            offer(first, distances, top, &mut admits);
        }
    }
}

/// The best visible rows of an unsealed segment with their exact distances for each query, into `tops`.
///
/// There is at least one query, and as many contexts and tops as queries.
pub(crate) fn unsealed(
    segment: &MutableSegment,
    visible_lsn: Lsn,
    bounds: &[Bound<'_>],
    contexts: &mut [QueryCtx],
    tops: &mut [TopK<Neighbor>],
) {
    let len = segment.len();
    if len == 0 {
        return;
    }
    let query = bounds[0].query;
    let mut evaluated = 0;
    let visible = |slot: u32| segment.row(slot).visible_at(visible_lsn);
    // Asked last, only for rows near enough: a filter on raw metadata is the dearest test.
    let mut admits = |slot: u32| {
        visible(slot)
            && query.filter.as_deref().is_none_or(|filter| {
                evaluated += 1;
                vectra_metadata::matches(filter, &segment.row(slot).metadata)
            })
    };
    contexts.iter_mut().for_each(|ctx| ctx.profile.segments += 1);
    if query.effort == Effort::Exact || len <= EXACT_ROWS_MAX {
        scan_vectors(segment, len, bounds, &mut admits, contexts, tops);
    } else {
        let nears = nearest(segment, len, bounds, &mut admits);
        for (i, (candidates, everything)) in nears.into_iter().enumerate() {
            let (bound, ctx, top) = (&bounds[i], &mut contexts[i], &mut tops[i]);
            ctx.profile.distances += u64::from(len);
            if !rerank(segment, &candidates, visible, bound, &mut ctx.profile, top) && !everything {
                *top = TopK::new(query.k);
                scan_vectors(segment, len, from_ref(bound), &mut admits, from_mut(ctx), from_mut(top));
            }
        }
    }
    contexts[0].profile.filter_evaluations += evaluated;
}

/// The rows that are nearest by their codes, for each query, and whether those are all that may be answered.
///
/// Rows that a filter does not admit would crowd out those that it does, so they are asked before they are kept. Without
/// one, most rows may be answered: a few more are kept, and asked once it is known which are nearest.
fn nearest(
    segment: &MutableSegment,
    len: u32,
    bounds: &[Bound<'_>],
    mut admits: impl FnMut(u32) -> bool,
) -> Vec<(Vec<Neighbor>, bool)> {
    let Bound { query, .. } = bounds[0];
    let wanted = 4 * query.k + 32;
    if query.filter.is_some() {
        let mut nears: Vec<_> = bounds.iter().map(|_| TopK::new(wanted)).collect();
        let ask = |first, estimates: &[f32], near: &mut TopK<_>| offer(first, estimates, near, &mut admits);
        scan_codes(segment, len, bounds, ask, &mut nears);
        let finish = |near: TopK<Neighbor>| {
            let everything = near.len() < wanted;
            (near.into_sorted(), everything)
        };
        return nears.into_iter().map(finish).collect();
    }
    let mut nears: Vec<Near> = bounds.iter().map(|_| Near::new(wanted + wanted / 2)).collect();
    scan_codes(segment, len, bounds, |first, estimates, near| near.offer(first, estimates), &mut nears);
    let finish = |near: Near| {
        let everything = near.is_everything();
        (near.into_sorted(), everything)
    };
    nears.into_iter().map(finish).collect()
}

/// Offers the exact distances of the admitted among `candidates`, which come nearest first by their codes, to `top`; whether
/// all rows that follow are ruled out. Those that are, are not read.
fn rerank(
    segment: &MutableSegment,
    candidates: &[Neighbor],
    admits: impl Fn(u32) -> bool,
    bound: &Bound<'_>,
    profile: &mut Profile,
    top: &mut TopK<Neighbor>,
) -> bool {
    let surely = bound.query.k.max(RERANK_MIN);
    let (mut read, mut doubt) = (0, Doubt::of(1));
    let fetch = |next: &Neighbor| {
        prefetch(segment.vector(next.slot).as_bytes());
        prefetch(from_ref(segment.row(next.slot)));
    };
    candidates.iter().take(ROWS_AHEAD).for_each(fetch);
    for (i, candidate) in candidates.iter().enumerate() {
        if read >= surely && doubt.rules_out(candidate.distance, top.bound()) {
            return true;
        }
        candidates.get(i + ROWS_AHEAD).into_iter().for_each(fetch);
        let slot = candidate.slot;
        if admits(slot) {
            let distance = bound.exact.distance(segment.vector(slot), segment.inverse_norm(slot));
            doubt.learn(candidate.distance, distance);
            top.push(Neighbor { distance, slot });
            profile.exact_reads += 1;
            read += 1;
        }
    }
    candidates.last().is_none_or(|last| doubt.rules_out(last.distance, top.bound()))
}

/// Compares all rows.
fn scan_vectors(
    segment: &MutableSegment,
    len: u32,
    bounds: &[Bound<'_>],
    admits: &mut impl FnMut(u32) -> bool,
    contexts: &mut [QueryCtx],
    tops: &mut [TopK<Neighbor>],
) {
    contexts.iter_mut().for_each(|ctx| ctx.profile.exact_reads += u64::from(len));
    let mut scan = ExactScan::new(bounds);
    for (first, vectors, norms) in segment.vector_runs(len) {
        scan.block(first, vectors, norms, &mut *admits, tops);
    }
}

/// Estimates the distances of all rows by their codes and gives them to `take`, run by run, for each query.
fn scan_codes<N>(
    segment: &MutableSegment,
    len: u32,
    bounds: &[Bound<'_>],
    mut take: impl FnMut(u32, &[f32], &mut N),
    nears: &mut [N],
) {
    let codec = Sq8::new(bounds[0].query.vector.len(), bounds[0].metric);
    let queries: Vec<Sq8Query> = bounds.iter().map(|bound| codec.bind(&bound.query.vector)).collect();
    let mut estimates = Vec::new();
    for (first, codes, factors) in segment.code_runs(len) {
        estimates.resize(factors.len(), 0.0);
        for (query, near) in queries.iter().zip(&mut *nears) {
            query.scan_apart(codes, factors, &mut estimates);
            take(first, &estimates, near);
        }
    }
}
