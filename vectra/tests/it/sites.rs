//! Every sync is needed: with any one of them left out, the sweep finds a broken promise.
//!
//! The syncs are found by themselves: those that the scenarios reach are left out one after the other, and one that the
//! source asks for but no scenario reaches is a failure, too.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use vectra::{Durability, Metric};
use vectra_core::io::sim::SyncSite;

use crate::crash::Sweep;
use crate::world::{MODELS, lazy_script, script, tiny};

/// Seeds after which a sync counts as unnecessary.
const SEEDS: u64 = 6;

/// Source files whose syncs are left out by other tests, and which; every other one must be reached and missed here.
const ELSEWHERE: [(&str, &str); 1] = [
    // Without it a damage is not provable, but nothing is lost by a power cut.
    ("vectra-wal/src/mark.rs", "vectra-wal::it syncs"),
];

fn is_elsewhere(file: &str) -> bool {
    ELSEWHERE.iter().any(|(elsewhere, _)| file.contains(elsewhere))
}

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

/// The lines below `folder` that ask for a sync themselves, as `file:line`; a function that passes its caller's place
/// on is no place of its own.
fn asked_for(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let is_test = path.file_name().is_some_and(|name| name == "tests" || name == "tests.rs");
        if path.is_dir() && !is_test {
            asked_for(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let lines: Vec<&str> = text.lines().take_while(|line| !line.contains("#[cfg(test)]")).collect();
            for (i, line) in lines.iter().enumerate() {
                let asks = [".sync_data(", ".sync_all(", ".sync_dir("].iter().any(|call| line.contains(call));
                let passed_on = || lines[i.saturating_sub(6)..i].iter().any(|l| l.contains("track_caller"));
                if asks && !line.trim_start().starts_with("//") && !passed_on() {
                    found.insert(format!("{}:{}", path.display(), i + 1));
                }
            }
        }
    }
}

#[test]
fn leaving_out_any_one_sync_is_noticed() {
    let mut unnoticed = Vec::new();
    let all: BTreeSet<SyncSite> = (0..3).flat_map(sites).collect();
    for site in &all {
        match noticed(*site) {
            Some(what) => println!("{}:{} is missed: {what}", site.file, site.line),
            None if is_elsewhere(site.file) => {}
            None => unnoticed.push(site),
        }
    }
    assert!(unnoticed.is_empty(), "nobody misses the syncs at {unnoticed:#?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut asked = BTreeSet::new();
    for source in ["vectra/src", "vectra-wal/src", "vectra-tier/src"] {
        asked_for(&root.join(source), &mut asked);
    }
    let reached = |place: &String| {
        all.iter().any(|site| place.ends_with(&format!("/{}:{}", site.file, site.line)))
            || is_elsewhere(place)
    };
    let unreached: Vec<&String> = asked.iter().filter(|place| !reached(place)).collect();
    assert!(!asked.is_empty(), "the sources are where they were");
    assert!(
        unreached.is_empty(),
        "no scenario reaches {unreached:#?}: extend one, or name the test that does in ELSEWHERE; reached: {all:#?}"
    );
}
