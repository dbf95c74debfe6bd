//! A merge or a build under way, and whether it is to be finished.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::goal::{Goal, Task};
use super::policy::Choice;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::ShardState;

/// Work on some segments of a shard.
///
/// It goes on until it is done, unless the index is closed or the work is overtaken: begun because it was its turn, it
/// has not got far when somebody asks for everything to be merged, and what it makes would be merged again, or would
/// keep others from being merged with it. Then it is given up. What was begun for such a request is never overtaken, so
/// each request is met, however many there are.
#[derive(Debug)]
pub(crate) struct Attempt<'e> {
    engine: &'e Engine,
    shard: usize,
    /// Numbers of the segments worked on.
    inputs: Vec<u64>,
    can_be_overtaken: bool,
    /// The newest request that the work was weighed against.
    weighed: AtomicU64,
    overtaken: AtomicBool,
}

impl<'e> Attempt<'e> {
    /// Work on the segments at `positions` of `shard`, the `number`th, for `task`.
    pub(super) fn new(
        engine: &'e Engine,
        task: &Task,
        (number, shard): (usize, &ShardState),
        positions: &[usize],
    ) -> Self {
        Self {
            engine,
            shard: number,
            inputs: positions.iter().map(|position| shard.sealed[*position].segment.number).collect(),
            can_be_overtaken: task.request.goal < Goal::Optimized,
            weighed: AtomicU64::new(0),
            overtaken: AtomicBool::new(false),
        }
    }

    /// Work that nothing overtakes.
    #[cfg(test)]
    pub(crate) fn alone(engine: &'e Engine) -> Self {
        Self {
            engine,
            shard: 0,
            inputs: Vec::new(),
            can_be_overtaken: false,
            weighed: AtomicU64::new(0),
            overtaken: AtomicBool::new(false),
        }
    }

    /// Whether it is to go on, with `done` rows of the graph finished.
    pub(crate) fn goes_on(&self, done: u64) -> bool {
        let stopped = self.is_overtaken() || self.engine.closed.load(Ordering::Relaxed);
        if stopped || !self.can_be_overtaken {
            return !stopped;
        }
        let overtaken = self.weigh(done);
        if overtaken {
            tracing::debug!(done, "what is under way is begun again with more segments");
            self.overtaken.store(true, Ordering::Relaxed);
        }
        !overtaken
    }

    /// Fails if it is not to go on; before the graph is begun.
    pub(crate) fn check(&self) -> Result<()> {
        if self.goes_on(0) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, "a background job was given up"))
    }

    /// Whether it was given up for something better.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.overtaken.load(Ordering::Relaxed)
    }

    /// Compares it with what is asked for, once for each request; true if that is better.
    fn weigh(&self, done: u64) -> bool {
        let task = self.engine.maintenance.progress.lock().task();
        let known = self.weighed.load(Ordering::Relaxed) >= task.request.mark;
        if task.request.goal < Goal::Optimized || known || !self.engine.is_sealed(&task) {
            return false;
        }
        self.weighed.store(task.request.mark, Ordering::Relaxed);
        let state = self.engine.cell.load();
        let shard = &state.shards[self.shard];
        let instead = self.engine.instead(&task, shard, &self.inputs, done).map(Choice::Merge);
        // A larger merge that the disk has no room for would be put off.
        instead.is_some_and(|merge| {
            self.engine.affordable(&task, shard, merge.clone()).is_ok_and(|choice| choice == merge)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner};
    use vectra_core::io::sim::{CrashModel, SimFs};

    use super::*;
    use crate::builder::Builder;
    use crate::index::Index;
    use crate::item::Item;
    use crate::maintain::goal::Request;
    use crate::settings::Settings;

    /// An index of three bare segments and some rows that are not sealed yet; nothing is done by itself.
    fn three_and_a_bit(fs: &SimFs) -> Index {
        let clock = Arc::new(SimClock::new(1));
        let spawner = Arc::new(SimSpawner::new(1, Arc::clone(&clock)));
        let env = Env { clock, rng: Arc::new(SeededRng::new(7)), spawner };
        let settings = Settings::new(2).with_seal_rows(100).with_graph(4, 8);
        let index = Builder::new().fs(Arc::new(fs.clone())).env(env).create("/index", settings).expect("new");
        let deferred = index.defer_optimization();
        let item = |n: u64| Item::new(n, [n as f32 + 1.0, 2.0]);
        for first in [0, 100, 200] {
            index.insert_items((first..first + 100).map(item).collect()).expect("new ids");
        }
        index.flush().expect("a healthy disk");
        index.insert_items((300..310).map(item).collect()).expect("new ids");
        drop(deferred);
        index
    }

    fn task(index: &Index, goal: Goal) -> Task {
        let request =
            Request { goal, upto: index.engine.cell.load().visible_lsn, mark: index.engine.next_number() };
        Task { request, flushed: false, settle: false }
    }

    #[test]
    fn work_that_a_request_would_have_done_again_is_given_up_once_the_rest_is_sealed() {
        let index = three_and_a_bit(&SimFs::new(1, CrashModel::WeakPosix));
        let engine = &index.engine;
        let state = engine.cell.load();
        let shard = (0, &*state.shards[0]);
        let (merge, graph) = ([0, 1, 2], [1]);
        let background = task(&index, Goal::Background);
        let attempts = || [&merge[..], &graph].map(|inputs| Attempt::new(engine, &background, shard, inputs));
        let early = attempts();
        assert!(early.iter().all(|attempt| attempt.goes_on(0)), "nobody asks for anything");
        engine.maintenance.progress.lock().ask(task(&index, Goal::Flushed).request);
        assert!(early.iter().all(|attempt| attempt.goes_on(0)), "nobody asks for a merge");
        let asked = task(&index, Goal::Optimized);
        engine.maintenance.progress.lock().ask(asked.request);
        assert!(early.iter().all(|attempt| attempt.goes_on(0)), "it would not be begun yet");
        assert!(engine.freeze_upto(0, asked.request.upto).expect("open"));
        assert!(engine.seal_oldest(0, true).expect("a healthy disk"));
        for attempt in &early {
            assert!(!attempt.goes_on(5) && attempt.is_overtaken() && attempt.check().is_err());
            assert!(!attempt.goes_on(6), "for good");
        }
        let wanted = Attempt::new(engine, &asked, shard, &merge);
        assert!(wanted.goes_on(0) && wanted.check().is_ok(), "a request is not overtaken by another");
        let state = engine.cell.load();
        let whole = Attempt::new(engine, &background, (0, &*state.shards[0]), &[0, 1, 2, 3]);
        assert!(whole.goes_on(0), "that is what is asked for");
        engine.closed.store(true, Ordering::Release);
        assert!(!whole.goes_on(0) && !whole.is_overtaken() && !wanted.goes_on(0));
        engine.closed.store(false, Ordering::Release);
    }
}
