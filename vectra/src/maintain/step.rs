//! One step of a lane: the most pressing thing there is to do.

use vectra_tier::PartRef;

use super::goal::{Goal, Lane, Request, Task};
use super::policy::{Choice, CompactionPolicy, Everything, SegmentStats, SizeTiered};
use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::snapshot::ShardState;

/// Segments of a size that are merged together.
const FAN_IN: usize = 4;
/// Log files that unsealed rows may pin before they are sealed by force.
const LOG_FILES_MAX: u64 = 4;
/// Bytes that the frame of a part takes, about.
const PART_OVERHEAD: u64 = 16 << 10;

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
        self.tend_ballast();
        for number in 0..self.shards.len() {
            match self.choose(task, &state.shards[number]) {
                Choice::Nothing => {}
                Choice::Merge(positions) => {
                    let shard = &state.shards[number];
                    let positions = self.affordable(task, shard, positions)?;
                    if !positions.is_empty() {
                        return self.tend(shard, &positions, || self.merge(number, &positions));
                    }
                }
                Choice::BuildGraph(position) => {
                    return self
                        .tend(&state.shards[number], &[position], || self.build_graph(number, position));
                }
            }
        }
        if self.verify_one()? {
            return Ok(true);
        }
        if task.settle || (task.flushed && task.request.goal == Goal::Compacted) {
            self.settle()?;
            self.maintenance.progress.lock().settle_due = false;
        }
        Ok(false)
    }

    /// What of a merge there is room for: all of it, or the one input that gives most for the least room. Nothing if it
    /// would give no room back: then it can wait.
    fn affordable(&self, task: &Task, shard: &ShardState, positions: Vec<usize>) -> Result<Vec<usize>> {
        let view = |position: usize| &shard.sealed[position];
        let needed = |position: usize| {
            let view = view(position);
            let live = f64::from(view.live()) / f64::from(view.segment.rows().max(1));
            // Without what every part takes however few rows it has.
            let bytes = |part: &PartRef| part.length.saturating_sub(PART_OVERHEAD);
            (view.segment.entry.parts().map(bytes).sum::<u64>() as f64 * live * 1.2) as u64
        };
        let worn = |position: usize| view(position).live() < view(position).segment.rows();
        let all = positions.iter().map(|position| needed(*position)).sum();
        let asked = task.request.goal > Goal::Background;
        match self.require_room(all, asked) {
            Err(error) if error.kind() == ErrorKind::Full => {
                tracing::warn!(%error, "a merge is put off");
                let single = positions.into_iter().filter(|position| worn(*position));
                let Some(cheapest) = single.min_by_key(|position| needed(*position)) else {
                    return Ok(Vec::new());
                };
                self.require_room(needed(cheapest), asked).map(|()| vec![cheapest])
            }
            room => room.map(|()| positions),
        }
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
