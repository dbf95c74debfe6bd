//! Background work on threads of its own.

#![allow(
    clippy::disallowed_methods,
    reason = "this is the one place that starts background threads, by name"
)]

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{Job, Spawner};
use crate::env::{Clock, OsClock};

/// Runs jobs on up to a given number of threads, started as jobs come; long work on one more, whose priority is low on
/// Linux (elsewhere a thread cannot be told apart from its process).
///
/// A panic in a job ends that job alone. Dropping the spawner drops the jobs that have not begun and waits for those
/// that have, except when a job itself drops it. With no threads at all, jobs run inside [`Spawner::help`], which
/// sleeps until a delayed one is due.
pub struct ThreadSpawner {
    threads: usize,
    shared: Arc<Shared>,
    /// A thread of its own, of low priority, for [`Spawner::spawn_low`].
    low: Arc<Shared>,
}

struct Shared {
    clock: OsClock,
    low: bool,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Job>,
    /// By due time, then by order of arrival.
    delayed: BTreeMap<(Duration, u64), Job>,
    arrivals: u64,
    workers: Vec<JoinHandle<()>>,
    idle: usize,
    closed: bool,
}

enum Next {
    Run(Job),
    Wait(Option<Duration>),
}

impl Queue {
    fn next(&mut self, now: Duration) -> Next {
        if let Some((&key, _)) = self.delayed.first_key_value()
            && key.0 <= now
        {
            let job = self.delayed.remove(&key).expect("the key was just seen under this lock");
            return Next::Run(job);
        }
        match self.ready.pop_front() {
            Some(job) => Next::Run(job),
            None => Next::Wait(self.delayed.keys().next().map(|key| key.0.saturating_sub(now))),
        }
    }
}

impl Shared {
    fn new(low: bool) -> Arc<Self> {
        Arc::new(Self { clock: OsClock::new(), low, queue: Mutex::default(), wake: Condvar::new() })
    }

    fn work(&self) {
        if self.low {
            lower_priority();
        }
        let mut queue = self.queue.lock();
        while !queue.closed {
            match queue.next(self.clock.now()) {
                Next::Run(job) => {
                    drop(queue);
                    run(job);
                    queue = self.queue.lock();
                }
                Next::Wait(limit) => {
                    queue.idle += 1;
                    match limit {
                        Some(limit) => {
                            self.wake.wait_for(&mut queue, limit);
                        }
                        None => self.wake.wait(&mut queue),
                    }
                    queue.idle -= 1;
                }
            }
        }
    }
}

/// Makes way for other threads. Those that this one starts inherit it; a system that refuses changes nothing.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    let _as_it_was = rustix::process::nice(NICE);
}

/// How far a thread of low priority steps back, on the scale of `nice`.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Runs a job; the panic hook has reported its panic, if any, and the worker lives on.
fn run(job: Job) {
    let _ = catch_unwind(AssertUnwindSafe(job));
}

impl ThreadSpawner {
    /// A spawner with up to `threads` threads; none starts before the first job.
    pub fn new(threads: usize) -> Self {
        Self { threads, shared: Shared::new(false), low: Shared::new(true) }
    }

    /// Starts another worker if there may be more and too few are idle, then wakes one.
    fn wake(shared: &Arc<Shared>, queue: &mut Queue, threads: usize) {
        // One that was woken for an earlier job counts as idle until it runs; and one has to watch the delayed jobs.
        let wanted = queue.ready.len() + usize::from(!queue.delayed.is_empty());
        if queue.idle < wanted && queue.workers.len() < threads {
            let name = format!("{}-{}", if shared.low { "low" } else { "background" }, queue.workers.len());
            let worker = Arc::clone(shared);
            // A thread that cannot be started is not needed as long as there is another, and `help` runs jobs if not.
            if let Ok(worker) = thread::Builder::new().name(name).spawn(move || worker.work()) {
                queue.workers.push(worker);
            }
        }
        shared.wake.notify_one();
    }
}

impl Spawner for ThreadSpawner {
    fn spawn(&self, _name: &'static str, job: Job) {
        let mut queue = self.shared.queue.lock();
        queue.ready.push_back(job);
        Self::wake(&self.shared, &mut queue, self.threads);
    }

    fn spawn_low(&self, _name: &'static str, job: Job) {
        let mut queue = self.low.queue.lock();
        queue.ready.push_back(job);
        Self::wake(&self.low, &mut queue, self.threads.min(1));
    }

    fn spawn_after(&self, delay: Duration, _name: &'static str, job: Job) {
        let due = self.shared.clock.now().saturating_add(delay);
        let mut queue = self.shared.queue.lock();
        queue.arrivals += 1;
        let arrival = queue.arrivals;
        queue.delayed.insert((due, arrival), job);
        Self::wake(&self.shared, &mut queue, self.threads);
    }

    fn help(&self) -> bool {
        let mut queue = self.shared.queue.lock();
        let mut low = self.low.queue.lock();
        if !queue.workers.is_empty() || !low.workers.is_empty() {
            return false;
        }
        let (job, delay) = match queue.next(self.shared.clock.now()) {
            Next::Run(job) => (job, Duration::ZERO),
            Next::Wait(_) => match (low.ready.pop_front(), queue.delayed.first_entry()) {
                (Some(job), _) => (job, Duration::ZERO),
                (None, Some(entry)) => {
                    let due = entry.key().0;
                    (entry.remove(), due.saturating_sub(self.shared.clock.now()))
                }
                (None, None) => return false,
            },
        };
        // The job may spawn others.
        drop((queue, low));
        if !delay.is_zero() && !cfg!(target_family = "wasm") {
            thread::sleep(delay);
        }
        run(job);
        true
    }

    fn parallelism(&self) -> usize {
        self.threads.max(1)
    }
}

impl fmt::Debug for ThreadSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.shared.queue.lock();
        f.debug_struct("ThreadSpawner")
            .field("threads", &self.threads)
            .field("started", &queue.workers.len())
            .field("queued", &(queue.ready.len() + queue.delayed.len()))
            .finish_non_exhaustive()
    }
}

impl Drop for ThreadSpawner {
    fn drop(&mut self) {
        let mut workers = Vec::new();
        for shared in [&self.shared, &self.low] {
            let mut queue = shared.queue.lock();
            queue.closed = true;
            let rest = (std::mem::take(&mut queue.ready), std::mem::take(&mut queue.delayed));
            workers.append(&mut queue.workers);
            drop(queue);
            shared.wake.notify_all();
            // Outside the lock: what a job holds may spawn or drop anything.
            drop(rest);
        }
        let here = thread::current().id();
        if workers.iter().all(|w| w.thread().id() != here) {
            for worker in workers {
                // Workers catch panics; there is nothing to learn from the result.
                let _ = worker.join();
            }
        }
    }
}
