//! Mutants with repaired checksums: whatever a file says, the outcome is an answer or a typed error.
//!
//! Never a panic, never a loop without an end, never more memory than the files have bytes and 64 MiB beside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::evidence::{Evidence, is_long, target};
use crate::forge::{Outcome, Road, exercise, large, mutate, small};

/// So long may one mutant take before it counts as a loop; a thousand times more than any does.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug, Default)]
struct Tally {
    mutants: AtomicU64,
    noticed: AtomicU64,
    opened: AtomicU64,
    errors: AtomicU64,
    memory: AtomicU64,
    broken: Mutex<Vec<String>>,
}

impl Tally {
    fn take(&self, seed: u64, what: &str, outcome: Outcome) {
        self.mutants.fetch_add(1, Ordering::Relaxed);
        self.noticed.fetch_add(outcome.noticed.into(), Ordering::Relaxed);
        self.opened.fetch_add(outcome.opened.into(), Ordering::Relaxed);
        self.errors.fetch_add((!outcome.errors.is_empty()).into(), Ordering::Relaxed);
        self.memory.fetch_max(outcome.memory, Ordering::Relaxed);
        if let Some(broken) = outcome.broken {
            self.broken.lock().push(format!("mutant {seed} ({what}): {broken}"));
        }
    }

    fn load(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// Ends the process with the name of a mutant that does not come to an end.
fn watched(seed: u64, heartbeat: &mpsc::Sender<u64>) {
    heartbeat.send(seed).expect("the watch outlives the mutants");
}

fn watch(beats: mpsc::Receiver<u64>) {
    let mut last = 0;
    loop {
        match beats.recv_timeout(PATIENCE) {
            Ok(seed) => last = seed,
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                eprintln!("mutant {last}, or one begun shortly before it, does not come to an end");
                std::process::abort();
            }
        }
    }
}

/// Makes and exercises one mutant. Every fiftieth walks a graph, which takes more rows than the others have.
fn look_at(seed: u64, tally: &Tally) {
    let (folder, road) = if seed % 50 == 49 { (large(), Road::Read) } else { (small(), Road::Write) };
    let (mutant, what) = mutate(&folder, seed);
    tally.take(seed, &what, exercise(&mutant, road));
}

/// Exercises the first `count` mutants, or those that the time is enough for; `VECTRA_MUTANT=N` looks at that one alone.
fn sweep(count: u64, tally: &Tally, evidence: &Evidence) {
    let only: Option<u64> = std::env::var("VECTRA_MUTANT").ok().and_then(|text| text.parse().ok());
    let next = AtomicU64::new(0);
    let threads = if is_long() { std::thread::available_parallelism().map_or(1, usize::from) } else { 1 };
    let (heartbeat, beats) = mpsc::channel();
    let hook = std::panic::take_hook();
    if only.is_none() {
        // A forged file may make thousands of them while a bug is looked for; each is told once, at the end.
        std::panic::set_hook(Box::new(|_| {}));
    }
    std::thread::scope(|scope| {
        scope.spawn(|| watch(beats));
        for heartbeat in vec![heartbeat; threads] {
            let next = &next;
            scope.spawn(move || {
                while !evidence.is_over() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        break;
                    }
                    if only.is_none_or(|only| only == seed) {
                        watched(seed, &heartbeat);
                        look_at(seed, tally);
                    }
                }
            });
        }
    });
    std::panic::set_hook(hook);
}

#[test]
fn mutants_with_right_sums_are_answered_or_refused() {
    let what = "structure-aware mutants with repaired checksums: an answer or a typed error, at most 64 MiB of memory beyond the files";
    let mut evidence = Evidence::begin("f2", "mutants", what);
    let tally = Tally::default();
    sweep(target(10_000, 1_000_000), &tally, &evidence);
    let broken = tally.broken.lock();
    assert!(broken.is_empty(), "{} mutants: {:#?}", broken.len(), &broken[..broken.len().min(40)]);
    let [mutants, opened, errors] = [&tally.mutants, &tally.opened, &tally.errors].map(Tally::load);
    for (name, n) in [
        ("seeds", mutants),
        ("mutants", mutants),
        ("noticed by verify", Tally::load(&tally.noticed)),
        ("opened", opened),
        ("with typed errors", errors),
        ("most bytes of memory at a time", Tally::load(&tally.memory)),
    ] {
        evidence.add(name, n);
    }
    if std::env::var_os("VECTRA_MUTANT").is_none() {
        // Otherwise the sums would not be right, or nothing would be looked at.
        assert!(opened > mutants / 4 && errors > mutants / 8, "{opened} opened, {errors} with errors");
    }
    evidence.end();
}
