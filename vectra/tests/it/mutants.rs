//! Mutants with repaired checksums: whatever a file says, the outcome is an answer or a typed error.
//!
//! Never a panic, never a loop without an end, never more memory than the files have bytes and 64 MiB beside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::forge::{Evidence, Folder, Outcome, Road, exercise, is_long, large, mutate, small};

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

/// Exercises the mutants `seeds` of `folder`; `VECTRA_MUTANT=N` looks at that one alone.
fn sweep(folder: &Folder, road: Road, seeds: std::ops::Range<u64>, tally: &Tally) {
    let only: Option<u64> = std::env::var("VECTRA_MUTANT").ok().and_then(|text| text.parse().ok());
    let next = AtomicU64::new(seeds.start);
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
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end)
                {
                    if only.is_none_or(|only| only == seed) {
                        watched(seed, &heartbeat);
                        let (mutant, what) = mutate(folder, seed);
                        tally.take(seed, &what, exercise(&mutant, road));
                    }
                }
            });
        }
    });
    std::panic::set_hook(hook);
}

/// A fiftieth of them walks a graph, which takes more rows than the others have.
#[test]
fn mutants_with_right_sums_are_answered_or_refused() {
    let what =
        "structure-aware mutants with repaired checksums: an answer or a typed error, memory within bounds";
    let test = "mutants::mutants_with_right_sums_are_answered_or_refused";
    let evidence = Evidence::begin("f2", what, test);
    let count = if is_long() { 1_000_000 } else { 10_000 };
    let walkers = count / 50;
    let tally = Tally::default();
    sweep(&small(), Road::Write, 0..count - walkers, &tally);
    sweep(&large(), Road::Read, count - walkers..count, &tally);
    let broken = tally.broken.lock();
    let counts = [
        ("mutants", Tally::load(&tally.mutants)),
        ("noticed by verify", Tally::load(&tally.noticed)),
        ("opened", Tally::load(&tally.opened)),
        ("with typed errors", Tally::load(&tally.errors)),
        ("most bytes of memory", Tally::load(&tally.memory)),
    ];
    evidence.end((0, count - 1), &counts, broken.len() as u64);
    assert!(broken.is_empty(), "{} mutants: {:#?}", broken.len(), &broken[..broken.len().min(40)]);
    if std::env::var_os("VECTRA_MUTANT").is_none() {
        // Otherwise the sums would not be right, or nothing would be looked at.
        assert!(counts[2].1 > count / 4 && counts[3].1 > count / 8, "{counts:?}");
    }
}
