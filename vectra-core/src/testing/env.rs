//! What every clock, source of chance and spawner must do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::env::{Clock, OsClock, Rng, Spawner};

/// A clock never goes back and is usable through a trait object.
pub fn clock_conformance(clock: &dyn Clock) {
    let mut last = clock.now();
    for _ in 0..1000 {
        let now = clock.now();
        assert!(now >= last, "monotonic time went back from {last:?} to {now:?}");
        last = now;
    }
    // The year 2200: a unit other than milliseconds would be far off.
    assert!(clock.unix_ms() < 7_258_118_400_000, "{} ms is not a plausible date", clock.unix_ms());
}

/// A source of chance looks uniform, keeps to its bounds and makes well-formed UUIDs.
pub fn rng_conformance(rng: &dyn Rng) {
    bits_are_balanced(rng);
    below_is_uniform(rng);
    below_reaches_the_extremes(rng);
    uuids_are_random_ones(rng);
}

fn bits_are_balanced(rng: &dyn Rng) {
    const DRAWS: u32 = 4096;
    let mut ones = [0u32; 64];
    for _ in 0..DRAWS {
        let x = rng.next_u64();
        for (bit, ones) in ones.iter_mut().enumerate() {
            *ones += (x >> bit & 1) as u32;
        }
    }
    // The standard deviation is 32: 8 of them are never exceeded by chance.
    for (bit, ones) in ones.iter().enumerate() {
        assert!(ones.abs_diff(DRAWS / 2) < 256, "bit {bit} was set {ones} times in {DRAWS}");
    }
}

fn below_is_uniform(rng: &dyn Rng) {
    let mut hits = [0u32; 7];
    for _ in 0..7000 {
        hits[rng.below(7) as usize] += 1;
    }
    // The standard deviation is about 29.
    for (value, hits) in hits.iter().enumerate() {
        assert!(hits.abs_diff(1000) < 240, "{value} came {hits} times in 7000");
    }
}

fn below_reaches_the_extremes(rng: &dyn Rng) {
    assert_eq!(rng.below(1), 0);
    let large = (0..64).map(|_| rng.below(u64::MAX)).max();
    assert!(large > Some(u64::MAX / 2), "64 draws all fell in the lower half");
    // More than half of all draws would be biased without rejection.
    let n = (1 << 63) + 1;
    for _ in 0..64 {
        assert!(rng.below(n) < n);
    }
}

fn uuids_are_random_ones(rng: &dyn Rng) {
    let mut seen = BTreeSet::new();
    for _ in 0..1000 {
        let id = rng.uuid();
        assert_eq!(id.get_version_num(), 4);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert!(seen.insert(id), "{id} came twice");
    }
}

/// A spawner runs every job exactly once, those spawned by jobs and delayed ones included, for a waiter who helps.
pub fn spawner_conformance(spawner: &Arc<dyn Spawner>) {
    assert!(spawner.parallelism() >= 1);
    every_job_runs_once(&**spawner);
    delayed_jobs_run(&**spawner);
    jobs_may_spawn_jobs(spawner);
    an_idle_spawner_has_nothing_to_help_with(&**spawner);
}

/// Waits as callers do: helping, and resting when there is nothing to help with.
fn wait_for(spawner: &dyn Spawner, count: &AtomicUsize, expected: usize) {
    let clock = OsClock::new();
    while count.load(Ordering::SeqCst) < expected {
        if !spawner.help() {
            std::thread::yield_now();
        }
        let count = count.load(Ordering::SeqCst);
        assert!(clock.now() < Duration::from_secs(30), "only {count} of {expected} jobs ran in 30 s");
    }
}

fn counting(count: &Arc<AtomicUsize>) -> Box<dyn FnOnce() + Send> {
    let count = Arc::clone(count);
    Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    })
}

fn every_job_runs_once(spawner: &dyn Spawner) {
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        spawner.spawn("counted", counting(&count));
    }
    wait_for(spawner, &count, 100);
    assert_eq!(count.load(Ordering::SeqCst), 100);
}

fn delayed_jobs_run(spawner: &dyn Spawner) {
    let count = Arc::new(AtomicUsize::new(0));
    for ms in [3, 1, 0, 2] {
        spawner.spawn_after(Duration::from_millis(ms), "delayed", counting(&count));
    }
    wait_for(spawner, &count, 4);
}

fn jobs_may_spawn_jobs(spawner: &Arc<dyn Spawner>) {
    let count = Arc::new(AtomicUsize::new(0));
    let (inner_spawner, inner) = (Arc::clone(spawner), counting(&count));
    spawner.spawn("outer", Box::new(move || inner_spawner.spawn("inner", inner)));
    wait_for(&**spawner, &count, 1);
}

fn an_idle_spawner_has_nothing_to_help_with(spawner: &dyn Spawner) {
    assert!(!spawner.help(), "all jobs have run");
}
