//! Background work in an order that a seed decides.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Job, Spawner};
use crate::env::{Clock, Rng, SeededRng, SimClock};

/// Runs jobs only when told to, one at a time, in an order that the seed decides, in virtual time.
///
/// A delayed job runs when nothing else is ready; the clock then moves to its moment. Unlike with threads, a panic in
/// a job goes through to whoever called [`SimSpawner::step`], so that a test sees it.
pub struct SimSpawner {
    clock: Arc<SimClock>,
    rng: SeededRng,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    ready: Vec<(&'static str, Job)>,
    /// By due time, then by order of arrival.
    delayed: BTreeMap<(Duration, u64), (&'static str, Job)>,
    arrivals: u64,
    ran: Vec<&'static str>,
}

impl SimSpawner {
    /// A spawner whose order `seed` decides and whose delays are waited for on `clock`.
    pub fn new(seed: u64, clock: Arc<SimClock>) -> Self {
        Self { clock, rng: SeededRng::new(seed), queue: Mutex::default() }
    }

    /// Runs one of the ready jobs, or if there is none the next delayed one, on the calling thread; whether one ran.
    pub fn step(&self) -> bool {
        let (_, job) = {
            let mut queue = self.queue.lock();
            if queue.ready.is_empty()
                && let Some((&(due, _), _)) = queue.delayed.first_key_value()
            {
                self.clock.advance_to(due);
            }
            queue.ripen(self.clock.now());
            if queue.ready.is_empty() {
                return false;
            }
            let i = self.rng.below(queue.ready.len() as u64) as usize;
            let (name, job) = queue.ready.remove(i);
            queue.ran.push(name);
            (name, job)
        };
        job();
        true
    }

    /// Runs jobs until none is left, those they spawn included.
    pub fn run_all(&self) {
        while self.step() {}
    }

    /// How many jobs wait, delayed ones included.
    pub fn pending(&self) -> usize {
        let queue = self.queue.lock();
        queue.ready.len() + queue.delayed.len()
    }

    /// The names of the jobs that have begun, in order.
    pub fn history(&self) -> Vec<&'static str> {
        self.queue.lock().ran.clone()
    }
}

impl Queue {
    /// Makes the delayed jobs ready whose moment has come.
    fn ripen(&mut self, now: Duration) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                break;
            }
            self.ready.push(entry.remove());
        }
    }
}

impl Spawner for SimSpawner {
    fn spawn(&self, name: &'static str, job: Job) {
        self.queue.lock().ready.push((name, job));
    }

    fn spawn_after(&self, delay: Duration, name: &'static str, job: Job) {
        let due = self.clock.now().saturating_add(delay);
        let mut queue = self.queue.lock();
        queue.arrivals += 1;
        let arrival = queue.arrivals;
        queue.delayed.insert((due, arrival), (name, job));
    }

    fn help(&self) -> bool {
        self.step()
    }

    fn parallelism(&self) -> usize {
        1
    }
}

impl fmt::Debug for SimSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimSpawner").field("pending", &self.pending()).finish_non_exhaustive()
    }
}
