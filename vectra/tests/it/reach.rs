//! Nobody gets lost: after any deletes, merges and compactions links lead to every row, and a deep check says so.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use vectra::seams::MemFs;
use vectra::{Builder, Index, Item, ItemId, Metric, Settings, VerifyReport};
use vectra_core::testing::oracle::Dice;

use crate::forge::{Folder, ROOT};

const DIM: usize = 4;
/// The role of the part with the graph, the graph's section in it, and where that keeps what: see docs/format.md.
const INDEX: u8 = 3;
const GRAPH: u16 = 34;
const HEADER: usize = 128;
const STRIDE: usize = 16 * 4;

/// What the vectors are like.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Uniform,
    /// Three of four items lie at one of three points.
    Duplicates,
    /// Nine of ten vectors are all zero.
    Zeros,
    /// Tight clusters far apart.
    Clustered,
}

fn vector(kind: Kind, key: u64) -> Vec<f32> {
    let mut dice = Dice::new(key ^ 0x5eac);
    let mut uniform = |scale: f32| (0..DIM).map(|_| scale * dice.uniform()).collect::<Vec<f32>>();
    match kind {
        Kind::Uniform => uniform(1.0),
        Kind::Duplicates if key.is_multiple_of(4) => uniform(2.0),
        Kind::Duplicates => vec![1.0 + (key % 3) as f32, 0.5, -1.0, 2.0],
        Kind::Zeros if key.is_multiple_of(10) => uniform(1.0),
        Kind::Zeros => vec![0.0; DIM],
        Kind::Clustered => uniform(0.01).iter().map(|x| x + (key % 7 * 10) as f32).collect(),
    }
}

fn settings(metric: Metric) -> Settings {
    Settings::new(DIM as u32).with_metric(metric).with_seal_rows(100).with_graph(4, 8)
}

fn created(fs: &Arc<MemFs>, settings: Settings) -> Index {
    Builder::new().fs(fs.clone()).create(ROOT, settings).expect("an empty disk")
}

fn insert(index: &Index, kind: Kind, keys: impl Iterator<Item = u64>) {
    index.insert_items(keys.map(|key| Item::new(key, vector(kind, key))).collect()).expect("new items");
}

fn checked(fs: &Arc<MemFs>) -> VerifyReport {
    Builder::new().fs(fs.clone()).verify_deep(ROOT).expect("an index")
}

/// A round of what happens to an index between two looks at it.
#[derive(Debug, Clone)]
struct Round {
    inserted: u64,
    /// Of a hundred items, so many die.
    deleted: u64,
    compacted: bool,
}

fn round() -> impl Strategy<Value = Round> {
    (0u64..350, 0u64..60, any::<bool>()).prop_map(|(inserted, deleted, compacted)| Round {
        inserted,
        deleted,
        compacted,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn after_any_churn_links_lead_to_every_row(
        kind in prop_oneof![
            Just(Kind::Uniform), Just(Kind::Duplicates), Just(Kind::Zeros), Just(Kind::Clustered),
        ],
        metric in prop_oneof![Just(Metric::L2), Just(Metric::Dot), Just(Metric::L1)],
        rounds in proptest::collection::vec(round(), 1..5),
        seed: u64,
    ) {
        let fs = Arc::new(MemFs::new());
        let index = created(&fs, settings(metric));
        let (mut live, mut next, mut dice) = (Vec::new(), 0, Dice::new(seed));
        for round in rounds {
            insert(&index, kind, next..next + round.inserted);
            live.extend(next..next + round.inserted);
            next += round.inserted;
            let (mut kept, mut dead) = (Vec::new(), Vec::new());
            for key in live {
                if (dice.below(100) as u64) < round.deleted { dead.push(ItemId::from(key)) } else { kept.push(key) }
            }
            live = kept;
            index.delete_items(dead).expect("they are there");
            if round.compacted {
                index.compact().expect("no faults");
            } else {
                index.wait_optimized().expect("no faults");
            }
            let report = checked(&fs);
            prop_assert_eq!((report.unreachable, report.findings), (0, vec![]));
        }
        prop_assert_eq!(index.stats().items, live.len() as u64);
        if metric == Metric::L2 {
            // Its own vector finds an item, or as many others at the same place.
            for key in live.iter().step_by(7) {
                let hits = index.query(&vector(kind, *key)).ef(1000).run().expect("answered");
                let found = hits.iter().any(|hit| hit.id == ItemId::from(*key));
                prop_assert!(found || hits.last().is_some_and(|hit| hit.distance <= 1e-6), "{key} of {live:?}");
            }
        }
    }
}

/// Takes a row out of the list of every other one, as nothing in this engine does.
fn unlink(folder: &mut Folder, row: u32) {
    let name = folder.part(INDEX);
    folder.forge_part(&name, |part| {
        let graph = part.section(GRAPH);
        let rows = u32::from_le_bytes(graph[12..16].try_into().expect("four bytes")) as usize;
        for list in graph[HEADER..HEADER + rows * STRIDE].chunks_exact_mut(STRIDE) {
            let links = list.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
            let mut kept: Vec<u32> = links.filter(|link| *link != row).collect();
            kept.resize(STRIDE / 4, u32::MAX);
            list.copy_from_slice(&kept.iter().flat_map(|link| link.to_le_bytes()).collect::<Vec<u8>>());
        }
    });
}

#[test]
fn a_deep_check_counts_what_no_link_leads_to_and_compaction_mends_it() {
    let fs = Arc::new(MemFs::new());
    let index = created(&fs, settings(Metric::L2));
    insert(&index, Kind::Uniform, 0..300);
    index.compact().expect("no faults");
    index.close().expect("no faults");
    assert_eq!(checked(&fs).unreachable, 0);
    let mut folder = Folder::read(&*fs);
    (40..43).for_each(|row| unlink(&mut folder, row));
    let fs = Arc::new(folder.to_fs());
    let report = checked(&fs);
    assert_eq!((report.unreachable, &*report.findings), (3, &[][..]), "they are counted, and no damage");
    let quick = Builder::new().fs(fs.clone()).verify(Path::new(ROOT)).expect("an index");
    assert_eq!((quick.unreachable, quick.findings), (0, vec![]), "a quick check does not look");
    let index = Builder::new().fs(fs.clone()).open(ROOT).expect("sound");
    index.delete_item(0_u64).expect("there");
    index.compact().expect("no faults");
    drop(index);
    let report = checked(&fs);
    assert_eq!((report.unreachable, report.findings), (0, vec![]), "a new graph has none");
}
