//! What group commit gains: threads that each write one durable frame after the other, once as they come and once with
//! a lock around each write, so that each leads a group of its own.
//!
//! `cargo run --release -p vectra-wal --example group_commit -- [threads 64] [bytes 512] [rounds 5] [ms 1000] [folder]`
//!
//! The rounds alternate; the medians and their ratio are printed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use vectra_core::env::{Clock, Env, OsClock, in_parallel};
use vectra_core::io::{Fs, OsFs};
use vectra_wal::{Durability, FileLog, Log, Options};

struct Plan {
    threads: usize,
    bytes: usize,
    rounds: usize,
    time: Duration,
}

/// What a round achieved.
#[derive(Clone, Copy)]
struct Round {
    writes_per_second: f64,
    writes_per_sync: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |text| text.parse());
    let plan = Plan {
        threads: number(0, 64)? as usize,
        bytes: number(1, 512)? as usize,
        rounds: number(2, 5)? as usize,
        time: Duration::from_millis(number(3, 1000)?),
    };
    let root = args.get(4).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(root)?;
    let (mut grouped, mut alone) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let dir = |kind| folder.path().join(format!("{kind}{round}"));
        grouped.push(run(&plan, &dir("grouped"), false)?);
        alone.push(run(&plan, &dir("alone"), true)?);
    }
    let (grouped, alone) = (median(&mut grouped), median(&mut alone));
    let Plan { threads, bytes, rounds, .. } = plan;
    println!("{threads} threads, {bytes} B frames, {rounds} rounds each, medians");
    println!(
        "group commit        {:>10.0} writes/s, {:.1} writes per sync",
        grouped.writes_per_second, grouped.writes_per_sync
    );
    println!(
        "one sync per write  {:>10.0} writes/s, {:.1} writes per sync",
        alone.writes_per_second, alone.writes_per_sync
    );
    println!("ratio               {:>10.1}", grouped.writes_per_second / alone.writes_per_second);
    Ok(())
}

fn run(plan: &Plan, dir: &Path, serialized: bool) -> Result<Round, Box<dyn Error>> {
    let fs: Arc<dyn Fs> = Arc::new(OsFs::new());
    let env = Env::os(1);
    let log = FileLog::create(fs, dir, &env, Options::new([1; 16]))?;
    let (one_at_a_time, writes, clock) = (Mutex::new(()), AtomicU64::new(0), OsClock::new());
    let start = clock.now();
    in_parallel(plan.threads, |_| {
        while clock.now().saturating_sub(start) < plan.time {
            let _alone = serialized.then(|| one_at_a_time.lock());
            let ticket = log.enqueue(1, 1, vec![7; plan.bytes]).expect("the log is open");
            log.commit(&ticket, Durability::Sync, &|_| ()).expect("the disk works");
            writes.fetch_add(1, Ordering::Relaxed);
        }
    });
    let seconds = clock.now().saturating_sub(start).as_secs_f64();
    let (writes, syncs) = (writes.into_inner() as f64, log.stats().syncs.max(1) as f64);
    Ok(Round { writes_per_second: writes / seconds, writes_per_sync: writes / syncs })
}

fn median(rounds: &mut [Round]) -> Round {
    rounds.sort_by(|a, b| a.writes_per_second.total_cmp(&b.writes_per_second));
    rounds[rounds.len() / 2]
}
