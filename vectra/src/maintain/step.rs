//! One step of a lane: the most pressing thing there is to do.

use super::attempt::Attempt;
use super::compact::{graph_bytes, output_bytes};
use super::goal::{Goal, Health, Lane, Request, Task};
use super::policy::{Choice, CompactionPolicy, Everything, SegmentStats, SizeTiered};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::segment::sealed::{SealedSegment, SealedView};
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

/// Why a segment is read, but never merged.
fn must_stay(segment: &SealedSegment) -> Error {
    let text = format!(
        "the segment {} was written by a newer program, which alone may rewrite it; it is read, and left as it is",
        segment.entry.rows_part.id
    );
    Error::new(ErrorKind::Unsupported, text)
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
        let wanted = task.request.goal > Goal::Background;
        for number in 0..self.shards.len() {
            if self.seal_oldest(number, wanted)? {
                return Ok(true);
            }
        }
        let asked = task.request.goal >= Goal::Flushed && !task.flushed;
        let Some(upto) = (if asked {
            Some(task.request.upto)
        } else {
            let forced = self.pins_much_log() || self.is_crowded();
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

    /// Whether what is not in parts yet keeps many files of the log. What readers keep of it does not count: no seal gives
    /// that back.
    fn pins_much_log(&self) -> bool {
        let covered = self.summary().covered.into_iter().min().unwrap_or(0);
        self.log.stats().files > LOG_FILES_MAX && self.log.files_from(covered + 1) > LOG_FILES_MAX
    }

    /// Merges, builds a graph or settles; whether there is more to look for.
    fn heavy_step(&self, task: &Task) -> Result<bool> {
        let state = self.cell.load();
        if self.name_loads(&state)? {
            return Ok(true);
        }
        self.tend_ballast();
        if self.awaits_seals(task) {
            return Ok(false);
        }
        let mut refused = None;
        for (number, shard) in state.shards.iter().enumerate() {
            let choice = self.choose(task, shard);
            match self.affordable(task, shard, choice) {
                Ok(Choice::Nothing) => {}
                Ok(Choice::Merge(positions)) => {
                    let attempt = Attempt::new(self, task, (number, shard), &positions);
                    return self
                        .tend(shard, &positions, &attempt, || self.merge(number, &positions, &attempt));
                }
                Ok(Choice::BuildGraph(position)) => {
                    let attempt = Attempt::new(self, task, (number, shard), &[position]);
                    return self
                        .tend(shard, &[position], &attempt, || self.build_graph(number, position, &attempt));
                }
                Ok(Choice::Encode(position)) => {
                    let attempt = Attempt::new(self, task, (number, shard), &[position]);
                    return self
                        .tend(shard, &[position], &attempt, || self.encode(number, position, &attempt));
                }
                // There may be room for what another shard needs, and tidying up gives some back.
                Err(error) if error.kind() == ErrorKind::Full => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        if self.verify_one()? {
            return Ok(true);
        }
        if task.settle || (task.flushed && task.request.goal == Goal::Compacted) {
            self.settle()?;
            self.maintenance.progress.lock().settle_due = false;
        }
        refused.map_or(Ok(false), Err)
    }

    /// Whether a merge of everything waits for rows that are about to be sealed: it takes them along. If the other lane
    /// is in trouble, it does not.
    fn awaits_seals(&self, task: &Task) -> bool {
        let sealing = || matches!(self.maintenance.progress.lock().lane(Lane::Urgent).health, Health::Good);
        task.request.goal >= Goal::Optimized && !self.is_sealed(task) && sealing()
    }

    /// Whether every row that a request is about is in a sealed segment.
    pub(super) fn is_sealed(&self, task: &Task) -> bool {
        let unsealed = |shard: &ShardState| {
            let mut ranges = shard.unsealed().filter_map(|segment| segment.lsn_range());
            ranges.any(|(first, _)| first <= task.request.upto)
        };
        task.flushed || !self.cell.load().shards.iter().any(|shard| unsealed(shard))
    }

    /// What of a choice there is room for. A merge that does not fit gives way to the one input whose rewriting gives
    /// room back for the least, and that to the one graph that takes the least. A merge that can wait is put off; where
    /// something is dead or lacks its graph, and nothing fits, it is an error.
    pub(super) fn affordable(&self, task: &Task, shard: &ShardState, choice: Choice) -> Result<Choice> {
        let asked = task.request.goal > Goal::Background;
        let has_room = |bytes: u64| self.require_room(bytes.saturating_add(bytes / 5), asked);
        let view = |position: usize| &shard.sealed[position];
        let merged = |positions: &[usize]| {
            let inputs: Vec<_> = positions.iter().map(|position| view(*position)).collect();
            output_bytes(&inputs, &self.settings)
        };
        let built = |position: usize| graph_bytes(view(position).segment.rows().into(), &self.settings);
        let positions = match choice {
            Choice::Nothing => return Ok(choice),
            Choice::BuildGraph(position) | Choice::Encode(position) => {
                return has_room(built(position)).map(|()| choice);
            }
            Choice::Merge(positions) => positions,
        };
        match has_room(merged(&positions)) {
            Err(error) if error.kind() == ErrorKind::Full => tracing::warn!(%error, "a merge is put off"),
            room => return room.map(|()| Choice::Merge(positions)),
        }
        let worn = positions.iter().copied().filter(|i| view(*i).live() < view(*i).segment.rows());
        let worn = worn.min_by_key(|position| merged(&[*position]));
        let bare = self.tended(task, shard).into_iter().filter(|i| !view(*i).segment.has_graph());
        let bare = bare.min_by_key(|position| built(*position));
        let rewritten =
            worn.map(|position| has_room(merged(&[position])).map(|()| Choice::Merge(vec![position])));
        match (rewritten, bare) {
            (Some(Err(error)), Some(position)) if error.kind() == ErrorKind::Full => {
                has_room(built(position)).map(|()| Choice::BuildGraph(position))
            }
            (Some(choice), _) => choice,
            (None, Some(position)) => has_room(built(position)).map(|()| Choice::BuildGraph(position)),
            (None, None) => Ok(Choice::Nothing),
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
        attempt: &Attempt<'_>,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        match work() {
            // There is something better to do.
            Err(_) if attempt.is_overtaken() => Ok(true),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "damaged segments are left as they are");
                let numbers = positions.iter().map(|position| shard.sealed[*position].segment.number);
                self.maintenance.set_aside.lock().extend(numbers.map(|number| (number, error.clone())));
                Ok(true)
            }
            done => done.map(|()| true),
        }
    }

    /// The positions of the segments that a step may work on.
    fn tended(&self, task: &Task, shard: &ShardState) -> Vec<usize> {
        let request = &task.request;
        let all = request.goal > Goal::Flushed;
        let mut set_aside = self.maintenance.set_aside.lock();
        for segment in shard.sealed.iter().map(|view| &view.segment).filter(|s| !s.truth.is_rewritable()) {
            set_aside.entry(segment.number).or_insert_with(|| must_stay(segment));
        }
        // What came later than the request is left for later, so that the request ends however much is written.
        let tended = shard.sealed.iter().enumerate().filter(|(_, view)| {
            !set_aside.contains_key(&view.segment.number) && (!all || request.concerns(view))
        });
        tended.map(|(position, _)| position).collect()
    }

    fn choose(&self, task: &Task, shard: &ShardState) -> Choice {
        let positions = self.tended(task, shard);
        let stats = self.statistics(shard, &positions);
        let choice = match task.request.goal {
            Goal::Optimized | Goal::Compacted => self.everything(&task.request).choose(&stats),
            Goal::Background | Goal::Flushed => {
                let (rows_max, defer_graphs) = (self.settings.segment_rows_max, self.is_deferred());
                SizeTiered { fan_in: FAN_IN, rows_max, defer_graphs }.choose(&stats)
            }
        };
        match choice {
            Choice::Nothing => Choice::Nothing,
            Choice::Merge(chosen) => Choice::Merge(chosen.into_iter().map(|i| positions[i]).collect()),
            Choice::BuildGraph(i) => Choice::BuildGraph(positions[i]),
            Choice::Encode(i) => Choice::Encode(positions[i]),
        }
    }

    /// The policy for a request to merge everything.
    fn everything(&self, request: &Request) -> Everything {
        let compacted = request.goal == Goal::Compacted;
        let drop_dead_below = if compacted { request.mark } else { 0 };
        Everything { rows_max: self.settings.segment_rows_max, drop_dead_below, thrifty: !compacted }
    }

    /// The positions of the segments to be merged instead of finishing work on the segments `numbers`, which did `done`
    /// rows of a graph.
    pub(super) fn instead(
        &self,
        task: &Task,
        shard: &ShardState,
        numbers: &[u64],
        done: u64,
    ) -> Option<Vec<usize>> {
        let positions = self.tended(task, shard);
        let is_input = |i: &usize| numbers.contains(&shard.sealed[positions[*i]].segment.number);
        let inputs: Vec<usize> = (0..positions.len()).filter(is_input).collect();
        if inputs.len() < numbers.len() {
            // The request is not about some of them.
            return None;
        }
        let group =
            self.everything(&task.request).instead(&self.statistics(shard, &positions), &inputs, done)?;
        Some(group.into_iter().map(|i| positions[i]).collect())
    }

    /// What a policy looks at.
    fn statistics(&self, shard: &ShardState, positions: &[usize]) -> Vec<SegmentStats> {
        let views = positions.iter().map(|position| &shard.sealed[*position]);
        let of = |view: &SealedView| SegmentStats {
            number: view.segment.number,
            rows: view.segment.rows(),
            live: view.live(),
            overlay: view.overlay.len() as u32,
            has_graph: view.segment.has_graph(),
            is_encoded: self.is_encoded(view),
        };
        views.map(of).collect()
    }
}

#[cfg(test)]
mod tests;
