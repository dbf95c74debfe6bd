use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use super::*;
use crate::env::{Clock, SimClock};
use crate::testing::env::spawner_conformance;

const LONG: Duration = Duration::from_secs(20);

#[test]
fn all_conform() {
    for threads in [0, 1, 3] {
        let spawner: Arc<dyn Spawner> = Arc::new(ThreadSpawner::new(threads));
        spawner_conformance(&spawner);
    }
    for seed in 0..20 {
        let spawner: Arc<dyn Spawner> = Arc::new(SimSpawner::new(seed, Arc::new(SimClock::new(seed))));
        spawner_conformance(&spawner);
    }
}

#[test]
fn a_panic_ends_its_job_alone() {
    let spawner = ThreadSpawner::new(1);
    let (tx, rx) = mpsc::channel();
    spawner.spawn("bad", Box::new(|| std::panic::resume_unwind(Box::new("on purpose"))));
    spawner.spawn("good", Box::new(move || tx.send(()).expect("the test waits")));
    rx.recv_timeout(LONG).expect("the worker lives on");
}

#[test]
fn threads_run_at_the_same_time() {
    let spawner = ThreadSpawner::new(2);
    let (to_second, from_first) = mpsc::channel();
    let (to_first, from_second) = mpsc::channel();
    let (done, all_done) = mpsc::channel();
    let done2 = done.clone();
    // Each waits for the other: one thread alone would never finish.
    spawner.spawn(
        "first",
        Box::new(move || {
            to_second.send(()).expect("the other waits");
            from_second.recv_timeout(LONG).expect("the other runs");
            done.send(()).expect("the test waits");
        }),
    );
    spawner.spawn(
        "second",
        Box::new(move || {
            to_first.send(()).expect("the other waits");
            from_first.recv_timeout(LONG).expect("the other runs");
            done2.send(()).expect("the test waits");
        }),
    );
    for _ in 0..2 {
        all_done.recv_timeout(LONG).expect("both finish");
    }
}

#[test]
fn long_work_does_not_keep_other_work_waiting() {
    let spawner = ThreadSpawner::new(1);
    let (go, may_go) = mpsc::channel();
    let (done, both) = mpsc::channel();
    let done2 = done.clone();
    spawner.spawn_low(
        "long",
        Box::new(move || {
            may_go.recv_timeout(LONG).expect("the short one runs meanwhile");
            done.send("long").expect("the test waits");
        }),
    );
    spawner.spawn(
        "short",
        Box::new(move || {
            done2.send("short").expect("the test waits");
            go.send(()).expect("the long one waits");
        }),
    );
    assert_eq!(both.recv_timeout(LONG), Ok("short"));
    assert_eq!(both.recv_timeout(LONG), Ok("long"));
}

#[cfg(target_os = "linux")]
#[test]
fn long_work_runs_at_low_priority() {
    let spawner = ThreadSpawner::new(1);
    let (tx, rx) = mpsc::channel();
    // Raised by nothing: what the thread has is what it was given.
    let own = move |tx: &mpsc::Sender<i32>| tx.send(rustix::process::nice(0).expect("own priority"));
    let other = tx.clone();
    spawner.spawn_low("low", Box::new(move || own(&tx).expect("the test waits")));
    let low = rx.recv_timeout(LONG).expect("it runs");
    spawner.spawn("usual", Box::new(move || own(&other).expect("the test waits")));
    let usual = rx.recv_timeout(LONG).expect("it runs");
    assert!(low > usual || usual == 19, "{low} and {usual}");
}

#[test]
fn dropping_drops_what_has_not_begun_and_waits_for_what_has() {
    let spawner = ThreadSpawner::new(1);
    let finished = Arc::new(AtomicUsize::new(0));
    let (begun, has_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let count = Arc::clone(&finished);
    spawner.spawn(
        "running",
        Box::new(move || {
            begun.send(()).expect("the test waits");
            let _ = may_go.recv_timeout(Duration::from_millis(50));
            count.fetch_add(1, Ordering::SeqCst);
        }),
    );
    has_begun.recv_timeout(LONG).expect("it begins");
    let count = Arc::clone(&finished);
    spawner.spawn("queued", Box::new(move || _ = count.fetch_add(100, Ordering::SeqCst)));
    let count = Arc::clone(&finished);
    spawner.spawn_after(LONG, "delayed", Box::new(move || _ = count.fetch_add(100, Ordering::SeqCst)));
    drop(spawner);
    drop(go);
    assert_eq!(finished.load(Ordering::SeqCst), 1);
    assert_eq!(Arc::strong_count(&finished), 1, "the queued jobs are gone");
}

#[test]
fn a_job_may_drop_the_spawner() {
    let spawner = Arc::new(ThreadSpawner::new(1));
    let (go, may_go) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    let held = Arc::clone(&spawner);
    spawner.spawn(
        "last",
        Box::new(move || {
            may_go.recv_timeout(LONG).expect("the test lets go");
            drop(held);
            done.send(()).expect("the test waits");
        }),
    );
    drop(spawner);
    go.send(()).expect("the job waits");
    is_done.recv_timeout(LONG).expect("no deadlock");
}

#[test]
fn a_delayed_job_waits_while_others_pass() {
    let spawner = ThreadSpawner::new(1);
    let (tx, rx) = mpsc::channel();
    let (first, second) = (tx.clone(), tx);
    let start = crate::env::OsClock::new();
    spawner.spawn_after(Duration::from_millis(40), "late", Box::new(move || first.send(1).expect("awaited")));
    spawner.spawn("early", Box::new(move || second.send(2).expect("awaited")));
    assert_eq!(rx.recv_timeout(LONG), Ok(2));
    assert_eq!(rx.recv_timeout(LONG), Ok(1));
    assert!(start.now() >= Duration::from_millis(40));
}

#[test]
fn the_seed_decides_the_order() {
    let order = |seed| {
        let spawner = SimSpawner::new(seed, Arc::new(SimClock::new(0)));
        for name in ["a", "b", "c", "d", "e", "f"] {
            spawner.spawn(name, Box::new(|| {}));
        }
        spawner.run_all();
        spawner.history()
    };
    assert_eq!(order(1), order(1));
    let orders: std::collections::BTreeSet<_> = (0..20).map(order).collect();
    assert!(orders.len() > 10, "20 seeds gave only {} orders", orders.len());
}

#[test]
fn virtual_time_jumps_to_the_next_delayed_job() {
    let clock = Arc::new(SimClock::new(0));
    let start = clock.now();
    let spawner = SimSpawner::new(0, Arc::clone(&clock));
    let day = Duration::from_hours(24);
    spawner.spawn_after(day * 2, "late", Box::new(|| {}));
    spawner.spawn_after(day, "soon", Box::new(|| {}));
    spawner.spawn("now", Box::new(|| {}));
    assert_eq!(spawner.pending(), 3);
    assert!(spawner.step());
    assert_eq!(clock.now(), start);
    assert!(spawner.step());
    assert_eq!(clock.now(), start + day);
    assert!(spawner.step());
    assert_eq!(clock.now(), start + day * 2);
    assert!(!spawner.step());
    assert_eq!(spawner.history(), ["now", "soon", "late"]);
}

#[test]
fn parallel_results_come_in_order() {
    for threads in [0, 1, 2, 7] {
        assert_eq!(in_parallel(threads, |i| i * i), (0..threads).map(|i| i * i).collect::<Vec<_>>());
    }
    let here = thread::current().id();
    assert_eq!(in_parallel(1, |_| thread::current().id()), [here]);
    let names = in_parallel(2, |_| thread::current().name().map(str::to_owned));
    assert_eq!(names[1].as_deref(), Some("parallel-1"));
}

#[test]
#[should_panic(expected = "third")]
fn parallel_panics_propagate() {
    in_parallel(4, |i| assert!(i != 2, "third"));
}
