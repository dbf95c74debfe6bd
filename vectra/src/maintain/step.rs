//! One step of the background worker: the most urgent thing there is to do.

use std::sync::atomic::Ordering;

use vectra_wal::Lsn;

use super::goal::Goal;
use super::policy::{Choice, CompactionPolicy, Everything, SegmentStats, SizeTiered};
use super::wait::BARE_ROWS_MAX;
use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::snapshot::ShardState;

/// Segments of a size that are merged together.
const FAN_IN: usize = 4;
/// Log files that unsealed rows may pin before they are sealed by force.
const LOG_FILES_MAX: u64 = 4;

impl Engine {
    /// Does the most urgent thing; whether there was anything to do.
    pub(super) fn step(&self, goal: Goal, upto: Lsn) -> Result<bool> {
        for number in 0..self.shards.len() {
            if self.seal_oldest(number)? {
                return Ok(true);
            }
        }
        let flush = if goal >= Goal::Flushed {
            Some(upto)
        } else {
            let forced = self.log.stats().files > LOG_FILES_MAX || self.bare_rows() > BARE_ROWS_MAX;
            forced.then(|| self.cell.load().visible_lsn)
        };
        if let Some(upto) = flush {
            for number in 0..self.shards.len() {
                if self.freeze_upto(number, upto)? {
                    return Ok(true);
                }
            }
        }
        for number in 0..self.shards.len() {
            let state = self.cell.load();
            match self.choose(goal, &state.shards[number]) {
                Choice::Nothing => {}
                Choice::Merge(positions) => {
                    return self.tend(&state.shards[number], &positions, || self.merge(number, &positions));
                }
                Choice::BuildGraph(position) => {
                    return self
                        .tend(&state.shards[number], &[position], || self.build_graph(number, position));
                }
            }
        }
        flush.map_or(Ok(false), |upto| self.finish(goal, upto))
    }

    /// Works on some segments of a shard. Damage met there sets them aside instead of stopping everything else.
    fn tend(
        &self,
        shard: &ShardState,
        positions: &[usize],
        work: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        match work() {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "damaged segments are left as they are");
                let numbers = positions.iter().map(|position| shard.sealed[*position].segment.number);
                self.maintenance.set_aside.lock().extend(numbers.map(|number| (number, error.clone())));
                Ok(true)
            }
            done => done.map(|()| true),
        }
    }

    fn choose(&self, goal: Goal, shard: &ShardState) -> Choice {
        let set_aside = self.maintenance.set_aside.lock();
        let tended =
            shard.sealed.iter().enumerate().filter(|(_, view)| !set_aside.contains_key(&view.segment.number));
        let (positions, stats): (Vec<usize>, Vec<SegmentStats>) = tended
            .map(|(position, view)| {
                let stats = SegmentStats {
                    rows: view.segment.rows(),
                    live: view.live(),
                    overlay: view.overlay.len() as u32,
                    has_graph: view.segment.has_graph(),
                };
                (position, stats)
            })
            .unzip();
        let rows_max = self.settings.segment_rows_max;
        let choice = match goal {
            Goal::Optimized => Everything { rows_max, drop_dead: false }.choose(&stats),
            Goal::Compacted => Everything { rows_max, drop_dead: true }.choose(&stats),
            Goal::Background | Goal::Flushed => {
                let defer_graphs = goal == Goal::Flushed || self.deferred.load(Ordering::Relaxed) > 0;
                SizeTiered { fan_in: FAN_IN, rows_max, defer_graphs }.choose(&stats)
            }
        };
        match choice {
            Choice::Nothing => Choice::Nothing,
            Choice::Merge(chosen) => Choice::Merge(chosen.into_iter().map(|i| positions[i]).collect()),
            Choice::BuildGraph(i) => Choice::BuildGraph(positions[i]),
        }
    }

    /// Commits what is left in memory only, then settles.
    fn finish(&self, goal: Goal, upto: Lsn) -> Result<bool> {
        for number in 0..self.shards.len() {
            // Everything up to `upto` is sealed by now, so a commit covers it: later writes do not keep a flush waiting.
            if self.committed.lock().newest.shards[number].covered_lsn < upto {
                self.commit(number, &|shard, _| shard.clone())?;
                return Ok(true);
            }
        }
        if goal == Goal::Compacted {
            self.settle()?;
        }
        Ok(false)
    }
}
