//! A world in which nothing is up to chance: files in memory, time that passes only when nothing else is to be done,
//! and background work one job after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vectra::seams::{Clock, Env, Job, MemFs, SeededRng, Spawner};
use vectra::{Builder, Mode};

use super::meter::{Meter, Traffic};

/// What an index of the gate lives in.
pub(super) struct World {
    fs: Arc<Meter>,
    turns: Arc<Turns>,
    env: Env,
}

impl World {
    /// Empty, with chance decided by `seed`.
    pub(super) fn new(seed: u64) -> Self {
        let turns = Arc::new(Turns::default());
        let clock: Arc<dyn Clock> = turns.clone();
        let env = Env { clock, rng: Arc::new(SeededRng::new(seed)), spawner: turns.clone() };
        Self { fs: Arc::new(Meter::new(Arc::new(MemFs::new()))), turns, env }
    }

    /// For an index in this world. Parts are read rather than mapped, so that every byte that is asked for counts.
    pub(super) fn builder(&self) -> Builder {
        Builder::new().fs(self.fs.clone()).env(self.env.clone()).mode(Mode::Read)
    }

    /// Lets the background do all that it has to do.
    pub(super) fn rest(&self) {
        while self.turns.help() {}
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.fs.traffic()
    }
}

/// Clock and background in one: jobs run one at a time, when somebody waits for them, in the order in which they are
/// due; the clock then moves to their moment.
#[derive(Default)]
struct Turns {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Duration,
    /// By due time, then by order of arrival.
    jobs: BTreeMap<(Duration, u64), Job>,
    arrivals: u64,
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        // No job runs under the lock, so that a panic of one leaves the state as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turns({} jobs)", self.state().jobs.len())
    }
}

impl Clock for Turns {
    fn now(&self) -> Duration {
        self.state().now
    }

    fn unix_ms(&self) -> u64 {
        // Some moment in 2026.
        1_782_864_000_000 + u64::try_from(self.now().as_millis()).unwrap_or(0)
    }
}

impl Spawner for Turns {
    fn spawn(&self, name: &'static str, job: Job) {
        self.spawn_after(Duration::ZERO, name, job);
    }

    fn spawn_after(&self, delay: Duration, _name: &'static str, job: Job) {
        let mut state = self.state();
        state.arrivals += 1;
        let at = (state.now.saturating_add(delay), state.arrivals);
        state.jobs.insert(at, job);
    }

    fn help(&self) -> bool {
        let job = {
            let mut state = self.state();
            let Some(((due, _), job)) = state.jobs.pop_first() else { return false };
            // Due times never lie in the past: what is due first runs first.
            state.now = due;
            job
        };
        job();
        true
    }

    fn parallelism(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vectra_core::testing::env::{clock_conformance, spawner_conformance};

    #[test]
    fn it_behaves_as_clock_and_spawner() {
        clock_conformance(&Turns::default());
        let spawner: Arc<dyn Spawner> = Arc::new(Turns::default());
        spawner_conformance(&spawner);
    }

    #[test]
    fn jobs_run_when_due_and_time_passes_for_them_alone() {
        let turns = Arc::new(Turns::default());
        let ran = Arc::new(Mutex::new(Vec::new()));
        for (ms, name) in [(30, "last"), (0, "first"), (10, "third"), (0, "second")] {
            let (ran, clock) = (Arc::clone(&ran), Arc::clone(&turns));
            let job = Box::new(move || ran.lock().expect("no panic").push((name, clock.now().as_millis())));
            turns.spawn_after(Duration::from_millis(ms), name, job);
        }
        assert_eq!(turns.now(), Duration::ZERO, "nobody helped");
        while turns.help() {}
        let ran = ran.lock().expect("no panic");
        assert_eq!(*ran, [("first", 0), ("second", 0), ("third", 10), ("last", 30)]);
    }
}
