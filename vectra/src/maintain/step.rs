//! One step of a lane: the most pressing thing there is to do.

use super::goal::{Goal, Lane, Request, Task};
use super::policy::{Choice, CompactionPolicy, Everything, SegmentStats, SizeTiered};
use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::snapshot::ShardState;

/// Segments of a size that are merged together.
const FAN_IN: usize = 4;
/// Log files that unsealed rows may pin before they are sealed by force.
const LOG_FILES_MAX: u64 = 4;

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Something was done; there may be more.
    Done,
    /// There was nothing to do.
    Nothing,
    /// The index is closed.
    Closed,
}

impl Engine {
    /// Does what is most pressing in a lane.
    pub(super) fn step(&self, lane: Lane, task: &Task) -> Result<Step> {
        let done = match lane {
            Lane::Urgent => self.urgent_step(task)?,
            Lane::Heavy => self.heavy_step(task)?,
        };
        Ok(if done { Step::Done } else { Step::Nothing })
    }

    /// Seals, freezes or commits something; whether there was anything.
    fn urgent_step(&self, task: &Task) -> Result<bool> {
        for number in 0..self.shards.len() {
            if self.seal_oldest(number)? {
                return Ok(true);
            }
        }
        let asked = task.request.goal >= Goal::Flushed && !task.flushed;
        let Some(upto) = (if asked {
            Some(task.request.upto)
        } else {
            let forced = self.log.stats().files > LOG_FILES_MAX || self.is_crowded();
            forced.then(|| self.cell.load().visible_lsn)
        }) else {
            return Ok(false);
        };
        for number in 0..self.shards.len() {
            if self.freeze_upto(number, upto)? {
                return Ok(true);
            }
        }
        for number in 0..self.shards.len() {
            // Everything up to `upto` is sealed by now, so a commit covers it: later writes do not keep a flush waiting.
            if self.summary().covered[number] < upto {
                self.commit(number, &|shard, _| shard.clone())?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Merges, builds a graph or settles; whether there is more to look for.
    fn heavy_step(&self, task: &Task) -> Result<bool> {
        let state = self.cell.load();
        if self.name_loads(&state)? {
            return Ok(true);
        }
        for number in 0..self.shards.len() {
            match self.choose(task, &state.shards[number]) {
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
        if task.settle || (task.flushed && task.request.goal == Goal::Compacted) {
            self.settle()?;
            self.maintenance.progress.lock().settle_due = false;
        }
        Ok(false)
    }

    /// Whether there are segments that a request is not about.
    pub(super) fn holds_more_than(&self, request: &Request) -> bool {
        self.cell.load().shards.iter().flat_map(|shard| &shard.sealed).any(|view| !request.concerns(view))
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

    fn choose(&self, task: &Task, shard: &ShardState) -> Choice {
        let request = &task.request;
        let all = request.goal > Goal::Flushed;
        let set_aside = self.maintenance.set_aside.lock();
        // What came later than the request is left for later, so that the request ends however much is written.
        let tended = shard.sealed.iter().enumerate().filter(|(_, view)| {
            !set_aside.contains_key(&view.segment.number) && (!all || request.concerns(view))
        });
        let (positions, stats): (Vec<usize>, Vec<SegmentStats>) = tended
            .map(|(position, view)| {
                let stats = SegmentStats {
                    number: view.segment.number,
                    rows: view.segment.rows(),
                    live: view.live(),
                    overlay: view.overlay.len() as u32,
                    has_graph: view.segment.has_graph(),
                };
                (position, stats)
            })
            .unzip();
        let rows_max = self.settings.segment_rows_max;
        let choice = match request.goal {
            Goal::Optimized => Everything { rows_max, drop_dead_below: 0 }.choose(&stats),
            Goal::Compacted => Everything { rows_max, drop_dead_below: request.mark }.choose(&stats),
            Goal::Background | Goal::Flushed => {
                SizeTiered { fan_in: FAN_IN, rows_max, defer_graphs: self.is_deferred() }.choose(&stats)
            }
        };
        match choice {
            Choice::Nothing => Choice::Nothing,
            Choice::Merge(chosen) => Choice::Merge(chosen.into_iter().map(|i| positions[i]).collect()),
            Choice::BuildGraph(i) => Choice::BuildGraph(positions[i]),
        }
    }
}
