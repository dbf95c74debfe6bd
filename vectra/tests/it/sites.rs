//! Every sync is needed: with any one of them left out, the sweep finds a broken promise.

use std::collections::BTreeSet;
use std::time::Duration;

use vectra::{Durability, Metric};
use vectra_core::io::sim::SyncSite;

use crate::crash::Sweep;
use crate::world::{MODELS, lazy_script, script, tiny};

/// Seeds after which a sync counts as unnecessary.
const SEEDS: u64 = 6;

fn sweep(seed: u64) -> Sweep {
    let durability = match seed % 3 {
        0 | 1 => Durability::Sync,
        _ => Durability::Interval(Duration::from_millis(5)),
    };
    let script = if durability == Durability::Sync { script() } else { lazy_script() };
    let settings = tiny(Metric::L2, 1).with_durability(durability);
    Sweep { variants: 4, script, ..Sweep::new(settings, MODELS[(seed % 2) as usize]) }
}

/// The syncs that the scenario of `seed` reaches, but for those of marks: they help against damage that comes later, of
/// which there is none here (the log's own sweep has some).
fn sites(seed: u64) -> BTreeSet<SyncSite> {
    let all = sweep(seed).calls(seed).unwrap_or_else(|e| panic!("{e}")).fs.sync_sites();
    all.into_iter().filter(|site| !site.file.ends_with("mark.rs")).collect()
}

/// The first broken promise without the sync at `site`.
fn noticed(site: SyncSite) -> Option<String> {
    let seeds = (0..SEEDS).filter(|seed| sites(*seed).contains(&site));
    seeds.into_iter().find_map(|seed| {
        let without = Sweep { ignored: Some(site), ..sweep(seed) };
        without.everywhere(seed).err()
    })
}

#[test]
fn leaving_out_any_one_sync_is_noticed() {
    let mut unnoticed = Vec::new();
    let all: BTreeSet<SyncSite> = (0..3).flat_map(sites).collect();
    for site in &all {
        match noticed(*site) {
            Some(what) => println!("{}:{} is missed: {what}", site.file, site.line),
            None => unnoticed.push(site),
        }
    }
    assert!(unnoticed.is_empty(), "nobody misses the syncs at {unnoticed:#?}");
    let in_file = |end: &str| all.iter().filter(|site| site.file.ends_with(end)).count();
    let found = ["recover.rs", "manifest/store.rs", "store/local.rs", "container/writer.rs"].map(in_file);
    assert_eq!(found, [2, 2, 1, 1], "the scenario reaches every sync of the engine: {all:#?}");
    assert!(
        all.iter().filter(|site| site.file.starts_with("vectra-wal")).count() >= 7,
        "and of its log: {all:#?}"
    );
}
