//! Spawners under load: who runs what, and what a busy thread must not hold up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use vectra_core::env::{Clock, OsClock, SimClock, SimSpawner, Spawner, ThreadSpawner, in_parallel};

const LONG: Duration = Duration::from_secs(20);

/// Lets time pass: nothing is ever sent.
fn rest(time: Duration) {
    let (_open, silent) = mpsc::channel::<()>();
    assert_eq!(silent.recv_timeout(time), Err(mpsc::RecvTimeoutError::Timeout));
}

/// Spawns `count` jobs at once that all wait for the last of them; whether each of them met it.
fn meet(spawner: &ThreadSpawner, count: usize) -> bool {
    let (done, is_done) = mpsc::channel();
    let mut waiting = Vec::new();
    for _ in 1..count {
        let (come, has_come) = mpsc::channel();
        waiting.push(come);
        let done = done.clone();
        let wait = move || {
            let met = has_come.recv_timeout(Duration::from_secs(2)).is_ok();
            done.send(met).expect("awaited");
        };
        spawner.spawn("waits", Box::new(wait));
    }
    let come = move || waiting.into_iter().for_each(|waiting| _ = waiting.send(()));
    spawner.spawn("comes", Box::new(come));
    (1..count).all(|_| is_done.recv_timeout(LONG) == Ok(true))
}

/// As many jobs at once as there may be threads, while some of the threads rest and others are still to be started:
/// a worker that was woken for one job is not counted on for the next.
#[test]
fn a_resting_worker_does_not_stand_for_two() {
    for round in 0..10 {
        let spawner = ThreadSpawner::new(4);
        assert!(meet(&spawner, 2), "round {round}: two threads start");
        // They go to rest right after; nothing can tell from outside, so give them a moment.
        rest(Duration::from_millis(10));
        assert!(meet(&spawner, 4), "round {round}: and two more");
    }
}

/// A worker that watches over a delayed job takes a long one: the delayed job still comes in time.
#[test]
fn a_long_job_does_not_hold_up_a_delayed_one() {
    let spawner = ThreadSpawner::new(2);
    let (late, came) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    spawner.spawn_after(
        Duration::from_millis(60),
        "delayed",
        Box::new(move || late.send(()).expect("awaited")),
    );
    // The one worker so far is waiting for the delay to pass.
    rest(Duration::from_millis(20));
    spawner.spawn("long", Box::new(move || _ = may_go.recv_timeout(Duration::from_secs(5))));
    let in_time = came.recv_timeout(Duration::from_secs(2));
    go.send(()).ok();
    assert_eq!(in_time, Ok(()), "there was a thread left for it");
}

#[test]
fn panics_of_many_jobs_leave_every_other_job_alone() {
    let spawner = ThreadSpawner::new(3);
    let (tx, rx) = mpsc::channel();
    for i in 0..60 {
        let tx = tx.clone();
        let job = move || {
            if i % 3 == 0 {
                std::panic::resume_unwind(Box::new("on purpose"));
            }
            tx.send(i).expect("awaited");
        };
        match i % 2 {
            0 => spawner.spawn("some", Box::new(job)),
            _ => spawner.spawn_after(Duration::from_millis(i % 7), "some", Box::new(job)),
        }
    }
    drop(tx);
    let mut seen: Vec<u64> = rx.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..60).filter(|i| i % 3 != 0).collect::<Vec<_>>());
}

#[test]
fn delays_are_kept_in_their_order_by_one_thread() {
    for threads in [0, 1] {
        let spawner = ThreadSpawner::new(threads);
        let (tx, rx) = mpsc::channel();
        let clock = OsClock::new();
        for ms in [40_u64, 10, 25] {
            let tx = tx.clone();
            spawner.spawn_after(
                Duration::from_millis(ms),
                "timed",
                Box::new(move || tx.send(ms).expect("awaited")),
            );
        }
        drop(tx);
        while spawner.help() {}
        assert_eq!(rx.iter().collect::<Vec<_>>(), [10, 25, 40], "{threads} threads");
        assert!(clock.now() >= Duration::from_millis(40), "{threads} threads");
    }
}

#[test]
fn without_threads_help_runs_one_job_at_a_time_and_survives_panics() {
    let spawner = ThreadSpawner::new(0);
    assert_eq!(spawner.parallelism(), 1);
    let count = Arc::new(AtomicUsize::new(0));
    for i in 0..6 {
        let count = Arc::clone(&count);
        spawner.spawn(
            "counted",
            Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
                if i % 2 == 0 {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
            }),
        );
    }
    for ran in 1..=6 {
        assert!(spawner.help());
        assert_eq!(count.load(Ordering::SeqCst), ran);
    }
    assert!(!spawner.help());
}

#[test]
fn an_endless_delay_is_no_overflow() {
    let dropped = Arc::new(());
    let held = Arc::clone(&dropped);
    let spawner = ThreadSpawner::new(1);
    spawner.spawn_after(Duration::MAX, "never", Box::new(move || drop(held)));
    let (tx, rx) = mpsc::channel();
    spawner.spawn("now", Box::new(move || tx.send(()).expect("awaited")));
    rx.recv_timeout(LONG).expect("others run meanwhile");
    drop(spawner);
    assert_eq!(Arc::strong_count(&dropped), 1, "dropped with the spawner, not run");
}

#[test]
fn a_simulated_panic_goes_to_the_test_and_the_rest_stays_queued() {
    let spawner = SimSpawner::new(1, Arc::new(SimClock::new(1)));
    spawner.spawn("bad", Box::new(|| std::panic::resume_unwind(Box::new("on purpose"))));
    let step = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| spawner.step()));
    assert!(step().is_err());
    spawner.spawn("good", Box::new(|| {}));
    assert_eq!(spawner.pending(), 1);
    assert!(matches!(step(), Ok(true)) && matches!(step(), Ok(false)));
    assert_eq!(spawner.history(), ["bad", "good"]);
}

#[test]
fn simulated_delays_of_one_moment_keep_to_time_and_leave_order_to_the_seed() {
    let order = |seed| {
        let clock = Arc::new(SimClock::new(7));
        let spawner = SimSpawner::new(seed, Arc::clone(&clock));
        let start = clock.now();
        for name in ["a", "b", "c", "d"] {
            spawner.spawn_after(Duration::from_secs(5), name, Box::new(|| {}));
        }
        spawner.spawn_after(Duration::from_secs(9), "last", Box::new(|| {}));
        spawner.run_all();
        assert_eq!(clock.now(), start + Duration::from_secs(9));
        spawner.history()
    };
    let orders: std::collections::BTreeSet<_> = (0..40).map(order).collect();
    assert!(orders.len() > 5 && orders.iter().all(|names| names[4] == "last"), "{orders:?}");
}

#[test]
fn parallel_work_reaches_every_number_once() {
    for threads in [1, 2, 5] {
        let hits: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        let doubled = in_parallel(threads, |i| {
            hits[i].fetch_add(1, Ordering::SeqCst);
            i * 2
        });
        assert_eq!(doubled, (0..threads).map(|i| i * 2).collect::<Vec<_>>());
        assert!(hits.iter().all(|hit| hit.load(Ordering::SeqCst) == 1));
    }
    let panicked = std::panic::catch_unwind(|| in_parallel(3, |i| assert_ne!(i, 0, "the caller's own part")));
    assert!(panicked.is_err());
}
