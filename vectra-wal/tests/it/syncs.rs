//! Every sync is needed: without any one of them the sweep finds a broken promise.

use std::collections::BTreeSet;

use vectra_core::io::sim::SyncSite;
use vectra_wal::Durability;

use crate::crash::{Depth, sweep};
use crate::world::{Ledger, MODELS, Step, World, script};

fn sites() -> BTreeSet<SyncSite> {
    let world = World::new(3, MODELS[0]);
    world.run(&mut Ledger::default(), &script()).expect("no fault, no failure");
    let own = |site: &SyncSite| site.file.contains("vectra-wal") && site.file.contains("src");
    world.fs.sync_sites().into_iter().filter(own).collect()
}

/// Only one call in it shows that a mark must not outrun what it vouches for, and only if the disk keeps the one whole and
/// loses the other: hence the many disks.
fn a_mark_behind_unsynced_frames() -> Vec<Step> {
    vec![Step::Append(20, 1, Durability::Sync), Step::Append(500, 1, Durability::None), Step::Tick]
}

#[test]
fn without_any_one_sync_the_sweep_fails() {
    let sites = sites();
    let sites_in = |file: &str| sites.iter().filter(|site| site.file.ends_with(file)).count();
    let found = ["file_log.rs", "log_file.rs", "group.rs", "writer.rs", "mark.rs"].map(sites_in);
    assert_eq!(found, [1, 3, 2, 1, 2], "the script must reach every sync: {sites:?}");
    for site in sites {
        let ignore = |fs: &vectra_core::io::sim::SimFs| fs.ignore_sync(site.file, site.line);
        let noticed = (0..10).any(|disk| {
            let depth = Depth { seeds: 12, in_recovery: false, ack_after_mark: false, disk };
            let steps = if disk == 0 { script() } else { a_mark_behind_unsynced_frames() };
            MODELS.iter().any(|model| sweep(*model, &steps, depth, &ignore).is_err())
        });
        assert!(noticed, "nobody misses the sync at {}:{}", site.file, site.line);
    }
}
