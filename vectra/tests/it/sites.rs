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
use crate::evidence::Evidence;
use crate::world::{MODELS, lazy_script, script, tiny};

/// Seeds after which a sync counts as unnecessary.
const SEEDS: u64 = 18;

/// Functions whose syncs are left out by other tests: file, function, package and test. `cargo xtask faults` runs them, too.
const ELSEWHERE: [(&str, &str, &str); 13] = [
    // Without it a damage is not provable, but no power cut loses anything.
    ("vectra-wal/src/mark.rs", "mark", "vectra-wal syncs::without_any_one_sync_the_sweep_fails"),
    // Only where a crash tore a seal.
    ("vectra-wal/src/seal.rs", "cut", "vectra-wal seals::what_was_cut_off_stays_so_by_its_sync"),
    ("vectra-tier/src/store/local.rs", "prepare", "vectra-tier crash::every_sync_is_needed"),
    // Only where parts move to an object store and back.
    (
        "vectra-tier/src/store/local.rs",
        "sync",
        "vectra-tier tiered_crash::every_sync_of_a_moving_part_is_needed",
    ),
    (
        "vectra-tier/src/store/local.rs",
        "copy_in",
        "vectra-tier tiered_crash::every_sync_of_a_moving_part_is_needed",
    ),
    // Only where somebody reads beside the writer, or a manifest is damaged.
    ("vectra-wal/src/follow.rs", "make_durable", "vectra-wal follow::what_is_shown_survives"),
    ("vectra/src/manifest/quarantine.rs", "quarantine", "vectradb fallback::what_is_set_aside_survives"),
    // Only where a backup is made, or restored.
    ("vectra/src/backup/bring.rs", "copy", BACKUPS),
    ("vectra/src/backup/folder.rs", "drop_note", BACKUPS),
    ("vectra/src/backup/folder.rs", "publish", "vectradb backup::regress_what_is_reused_is_durable"),
    ("vectra/src/backup/folder.rs", "prune", BACKUPS),
    ("vectra/src/backup/note.rs", "write", BACKUPS),
    ("vectra/src/manifest/store.rs", "withdraw", "vectradb backup_syncs::a_withdrawn_backup"),
];
const BACKUPS: &str = "vectradb backup_syncs::every_sync_of_a_backup_and_a_restore_is_needed";

/// A line of the source that asks for a sync.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: String,
    line: usize,
    function: String,
}

impl Place {
    fn of_caller(site: &SyncSite) -> Self {
        let function = "by the function that it calls".to_owned();
        Self { file: format!("/../{}", site.file), line: site.line as usize, function }
    }

    fn is(&self, site: &SyncSite) -> bool {
        self.line == site.line as usize && self.file.ends_with(&format!("/{}", site.file))
    }

    /// The test elsewhere that leaves it out.
    fn elsewhere(&self) -> Option<&'static str> {
        let mut found = ELSEWHERE.iter().filter(|(file, ..)| self.file.ends_with(&format!("/{file}")));
        found.find(|(_, function, _)| self.function == *function).map(|(.., test)| *test)
    }

    /// Its name in records.
    fn name(&self) -> String {
        let file = self.file.rsplit_once("/../").map_or(&*self.file, |(_, file)| file);
        format!("{file}:{} ({})", self.line, self.function)
    }
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

/// The lines below `folder` that ask for a sync themselves; a function that passes its caller's place on is no place of
/// its own.
fn asked_for(folder: &Path, found: &mut BTreeSet<Place>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let is_test = path.file_name().is_some_and(|name| name == "tests" || name == "tests.rs");
        if path.is_dir() && !is_test {
            asked_for(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            let text = std::fs::read_to_string(&path).expect("a source file");
            places(&path.display().to_string(), &text, found);
        }
    }
}

fn places(file: &str, text: &str, found: &mut BTreeSet<Place>) {
    let (mut function, mut passed_on) = (String::new(), false);
    let mut tracked = false;
    for (i, line) in text.lines().enumerate().take_while(|(_, line)| !line.contains("#[cfg(test)]")) {
        tracked |= line.contains("#[track_caller]");
        if let Some((_, name)) = line.split_once("fn ") {
            function = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            passed_on = std::mem::take(&mut tracked);
        }
        let asks =
            [".sync_data(", ".sync_all(", ".sync_dir(", "self.sync("].iter().any(|call| line.contains(call));
        if asks && !passed_on && !line.trim_start().starts_with("//") {
            found.insert(Place { file: file.to_owned(), line: i + 1, function: function.clone() });
        }
    }
}

/// Every line of the sources that asks for a sync, or passes its place on to one that is reached.
fn all_places(reached: &BTreeSet<SyncSite>) -> BTreeSet<Place> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut asked = BTreeSet::new();
    for source in ["vectra/src", "vectra-wal/src", "vectra-tier/src"] {
        asked_for(&root.join(source), &mut asked);
    }
    assert!(!asked.is_empty(), "the sources are where they were");
    let callers = reached.iter().filter(|site| !asked.iter().any(|place| place.is(site)));
    let callers: Vec<Place> = callers.map(Place::of_caller).collect();
    asked.extend(callers);
    asked
}

#[test]
fn leaving_out_any_one_sync_is_noticed() {
    let what = "each call site of a sync left out in turn: who notices";
    let mut evidence = Evidence::begin("m1", "sites", what);
    let reached: BTreeSet<SyncSite> = (0..3).flat_map(sites).collect();
    let asked = all_places(&reached);
    let (mut unreached, mut unnoticed) = (Vec::new(), Vec::new());
    for place in &asked {
        evidence.add("call sites", 1);
        if let Some(test) = place.elsewhere() {
            evidence.add("left out by a test of their own", 1);
            evidence.find(place.name(), format!("left out by {test}"));
            continue;
        }
        let Some(site) = reached.iter().find(|site| place.is(site)) else {
            unreached.push(place);
            continue;
        };
        match noticed(*site) {
            Some(broken) => {
                evidence.add("noticed by the sweep", 1);
                evidence.find(place.name(), broken);
            }
            None => unnoticed.push(site),
        }
    }
    assert!(
        unreached.is_empty(),
        "no scenario reaches {unreached:#?}: extend one, or leave them out in a test and name it in ELSEWHERE"
    );
    assert!(unnoticed.is_empty(), "nobody misses the syncs at {unnoticed:#?}");
    for (file, function, test) in ELSEWHERE {
        let exists = asked.iter().any(|place| place.elsewhere() == Some(test) && place.function == function);
        assert!(exists, "{function} in {file} asks for no sync any more: take it off the list");
    }
    evidence.end();
}
