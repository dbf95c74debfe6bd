//! What a manifest vouches for was durable before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vectra::{Durability, Index, Metric};

use crate::world::{MODELS, World, item, tiny};

/// How many moments of the run are crashed, at most.
const MOMENTS: usize = 400;
/// Crashes tried at each of them.
const VARIANTS: u64 = 2;

/// Flushes while another thread writes without waiting for any sync.
fn flushes_beside_a_hasty_writer(index: &Index) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let hasty = index.with_durability(Durability::None);
            for version in 0..400 {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                hasty.upsert_items(vec![item(version % 16, version)]).expect("the disk is well");
            }
        });
        for version in 0..6 {
            index.upsert_items((20..24).map(|key| item(key, version)).collect()).expect("the disk is well");
            index.flush().expect("the disk is well");
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// A commit of one shard read how far the index was visible after it had synced the log; what another shard wrote without
/// a sync in between went into the manifest as durable, and a power cut then looked like damage.
#[test]
fn regress_a_commit_vouched_for_writes_that_nobody_had_synced() {
    let world = World::new(7, MODELS[0]);
    let settings = tiny(Metric::L2, 2);
    let index = world.builder().create("/index", settings).expect("a new folder");
    let ((), shots) = world.film(|| flushes_beside_a_hasty_writer(&index));
    drop(index);
    let stride = shots.len().div_ceil(MOMENTS);
    for (n, shot) in shots.iter().enumerate().step_by(stride) {
        for salt in 0..VARIANTS {
            let after = World::on(shot.crash(salt), salt);
            let opened = after.builder().open("/index");
            assert!(opened.is_ok(), "call {n} of {}, crash {salt}: {:?}", shots.len(), opened.err());
        }
    }
}
