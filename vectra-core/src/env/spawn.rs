//! Background work.

#[cfg(any(test, feature = "testing"))]
mod sim;
mod threads;

use std::fmt::Debug;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

#[cfg(any(test, feature = "testing"))]
pub use sim::SimSpawner;
pub use threads::ThreadSpawner;

/// A piece of background work.
pub type Job = Box<dyn FnOnce() + Send + 'static>;

/// Runs jobs in the background.
pub trait Spawner: Debug + Send + Sync {
    /// Queues `job`; `name` is for people.
    fn spawn(&self, name: &'static str, job: Job);

    /// Queues long work that gives way to everything else where the platform lets it; otherwise like `spawn`.
    fn spawn_low(&self, name: &'static str, job: Job) {
        self.spawn(name, job);
    }

    /// Queues `job` to run once `delay` has passed.
    fn spawn_after(&self, delay: Duration, name: &'static str, job: Job);

    /// Runs one queued job on the calling thread if this spawner has no threads of its own to do it; whether one ran.
    ///
    /// Whoever waits for a job calls it in his loop. A delayed job counts as runnable here.
    fn help(&self) -> bool;

    /// How many jobs can make progress at once (at least 1).
    fn parallelism(&self) -> usize;
}

/// Runs `work(0)` to `work(threads - 1)` at the same time and returns their results in this order.
///
/// `work(0)` runs on the caller's thread, so that one thread alone means no thread at all; where no thread can be
/// started (wasm), all do, one after the other.
///
/// # Panics
/// With the panic of any of them.
#[allow(clippy::disallowed_methods, reason = "this is the one place that starts scoped threads, by name")]
pub fn in_parallel<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    if threads <= 1 {
        return (0..threads).map(work).collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map(|i| {
                thread::Builder::new().name(format!("parallel-{i}")).spawn_scoped(scope, move || work(i))
            })
            .collect();
        let mut results = vec![work(0)];
        for (i, other) in (1..threads).zip(others) {
            results.push(match other {
                Ok(handle) => handle.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => work(i),
            });
        }
        results
    })
}

#[cfg(test)]
mod tests;
