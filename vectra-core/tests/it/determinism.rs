//! A program that uses only the seams replays from one seed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner, Spawner};
use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, SimFs};

/// Jobs that write files of random content at random times, in random order; the disk's trace afterwards.
fn run(seed: u64) -> u64 {
    let clock = Arc::new(SimClock::new(seed));
    let spawner = Arc::new(SimSpawner::new(seed, Arc::clone(&clock)));
    let env =
        Env { clock, rng: Arc::new(SeededRng::new(seed)), spawner: Arc::clone(&spawner) as Arc<dyn Spawner> };
    let disk = SimFs::new(seed, CrashModel::WeakPosix);
    for i in 0..10 {
        let (job_env, disk) = (env.clone(), disk.clone());
        let job = move || {
            let fs: &dyn Fs = &disk;
            let file = fs.create_new(Path::new(&format!("{i}"))).expect("a new name");
            file.write_all_at(job_env.rng.uuid().as_bytes(), 0).expect("space");
            file.write_all_at(&job_env.clock.unix_ms().to_le_bytes(), 16).expect("space");
            file.sync_data().expect("no fault is planned");
        };
        let delay = Duration::from_millis(env.rng.below(3));
        env.spawner.spawn_after(delay, "write", Box::new(job));
    }
    spawner.run_all();
    assert_eq!(disk.calls(), 40);
    disk.trace_hash()
}

#[test]
fn one_seed_decides_everything() {
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
