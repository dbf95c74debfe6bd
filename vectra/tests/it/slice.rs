//! A slice of the recorded seeds, run again: the same calls with the same bytes, and the same bytes on the disk.
//!
//! Vectors are such that every distance is exact in single precision: the order of additions, which differs among
//! processors, changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vectra::{Durability, Metric};
use vectra_core::io::Fs;

use crate::crash::Sweep;
use crate::evidence::{Evidence, target};
use crate::world::{MODELS, lazy_script, random_script, tiny};

/// Set by `cargo xtask faults --bless-slice`.
const BLESS: &str = "VECTRA_FAULTS_BLESS";
const SEEDS: u64 = 24;

/// One run of those that the sweeps tear apart; what it did to the disk, and what it left there.
fn run(seed: u64) -> (u64, u64) {
    let durability = match seed % 3 {
        0 => Durability::Sync,
        1 => Durability::Interval(std::time::Duration::from_millis(5)),
        _ => Durability::None,
    };
    let settings = tiny(Metric::L2, 1 + (seed % 3) as u16).with_durability(durability);
    let sweep = Sweep::new(settings, MODELS[(seed / 3 % 3) as usize]);
    let script = match seed {
        0 => sweep.script.clone(),
        1 => lazy_script(),
        _ => random_script(seed, 40),
    };
    let world = Sweep { script, ..sweep }.calls(seed).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    let trace = world.fs.trace_hash();
    // Its text names the process, for people.
    (&world.fs as &dyn Fs).remove(Path::new("/index/LOCK")).expect("made at creation");
    (trace, world.fs.content_hash())
}

fn record() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/evidence/slice.json")
}

#[test]
fn the_recorded_slice_does_the_same_to_the_disk() {
    let now: BTreeMap<String, String> = (0..SEEDS)
        .map(|seed| {
            let (trace, store) = run(seed);
            (format!("{seed:02}"), format!("{trace:016x} {store:016x}"))
        })
        .collect();
    if std::env::var_os(BLESS).is_some() {
        let what = "seed: hash of all calls to the disk, hash of what they left";
        let text = format!("{:#}\n", json!({ "what": what, "seeds": now }));
        std::fs::write(record(), text).expect("the folder of evidence");
        return;
    }
    let text = std::fs::read_to_string(record()).expect("docs/evidence/slice.json is tracked");
    let then: Value = serde_json::from_str(&text).expect("it is JSON");
    let then: BTreeMap<String, String> =
        serde_json::from_value(then["seeds"].clone()).expect("hashes by seed");
    let differ: Vec<&String> = now.keys().filter(|seed| now.get(*seed) != then.get(*seed)).collect();
    assert!(
        differ.is_empty() && now.len() == then.len(),
        "the engine does other things to the disk than recorded, with seeds {differ:?}. If that is meant, run \
         `cargo xtask faults --bless-slice`; if not, something is not deterministic or a format changed"
    );
}

#[test]
fn a_seed_run_twice_leaves_the_same_bytes() {
    let what = "a seed run twice: the same calls, byte-identical stores";
    let mut evidence = Evidence::begin("d8", "twice", what);
    evidence.until("runs compared", target(200, 20_000), |evidence, seed| {
        let once = run(seed);
        assert_eq!(once, run(seed), "seed {seed}");
        evidence.trace(seed, once.0);
        evidence.add("runs compared", 1);
    });
    evidence.end();
}
