//! The engine against a map and a look at everything, over random operations.

use std::sync::Arc;

use vectra::{ElementKind, Metric, Settings, Snapshot};
use vectra_core::testing::oracle::Dice;

use crate::world::{MODELS, Model, Op, Run, World, check, sweep_factor, tiny};

const KEYS: usize = 40;

fn keys(dice: &mut Dice, most: usize) -> Vec<u64> {
    let mut keys: Vec<u64> = (0..=dice.below(most)).map(|_| dice.below(KEYS) as u64).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn random_op(dice: &mut Dice, model: &Model) -> Op {
    match dice.below(32) {
        0..5 => Op::Insert(vec![dice.below(KEYS) as u64]),
        // Mostly ids that are free, so that most batches go in.
        5..9 => {
            let free = keys(dice, 5).into_iter().filter(|key| !model.contains_key(&crate::world::id(*key)));
            Op::Insert(free.collect())
        }
        9..13 => Op::Upsert(keys(dice, 4)),
        13..16 => Op::Update(vec![dice.below(KEYS) as u64]),
        16..18 => {
            let there = keys(dice, 5).into_iter().filter(|key| model.contains_key(&crate::world::id(*key)));
            Op::Update(there.collect())
        }
        18..20 => Op::Delete(vec![dice.below(KEYS) as u64]),
        20..22 => Op::Delete(keys(dice, 4)),
        22..27 => Op::Steps(1 + dice.below(4) as u32),
        27 => Op::Flush,
        28 => Op::Compact,
        29 => Op::Optimize,
        30 => Op::Kill,
        _ => Op::Close,
    }
}

/// Runs `ops` random operations of `seed`; after each, and for two old snapshots, every answer is compared.
fn run(settings: &Settings, seed: u64, ops: usize) -> u64 {
    let world = World::new(seed, MODELS[0]);
    let mut dice = Dice::new(seed);
    let (mut run, created) = Run::create(&world, settings);
    created.expect("an empty disk without faults");
    let mut kept: Vec<(Snapshot, Arc<Model>)> = Vec::new();
    for step in 0..ops {
        let op = random_op(&mut dice, &run.ledger.now);
        let context = format!("seed {seed}, step {step}, {op:?}, {:?}", settings.metric);
        run.step(&op).unwrap_or_else(|e| panic!("{context}: {e}"));
        let snapshot = run.index().snapshot();
        check(&snapshot, &run.ledger.now, settings.metric, dice.bits())
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        if dice.below(6) == 0 {
            kept.push((snapshot, run.ledger.now.clone()));
        }
        if kept.len() > 2 {
            kept.remove(dice.below(2));
        }
        for (old, model) in &kept {
            check(old, model, settings.metric, dice.bits())
                .unwrap_or_else(|e| panic!("{context}: an old snapshot (LSN {}): {e}", old.lsn()));
        }
    }
    drop(kept);
    run.index.take().expect("open").close().expect("no faults");
    let report = world.builder().verify_deep("/index").expect("an index is there");
    assert!(report.findings.is_empty(), "seed {seed}: {:?}", report.findings);
    world.fs.trace_hash()
}

fn runs(settings: &Settings, seeds: std::ops::Range<u64>) {
    for seed in seeds.start..seeds.start + (seeds.end - seeds.start) * sweep_factor() {
        run(settings, seed, 120);
    }
}

#[test]
fn one_shard_cosine_f32_agrees_with_the_model() {
    runs(&tiny(Metric::Cosine, 1), 0..8);
}

#[test]
fn three_shards_l2_f16_agree_with_the_model() {
    runs(&tiny(Metric::L2, 3).with_element(ElementKind::F16), 1000..1008);
}

#[test]
fn other_mixtures_agree_with_the_model() {
    runs(&tiny(Metric::Dot, 2), 2000..2002);
    runs(&tiny(Metric::L1, 1).with_element(ElementKind::F16), 3000..3002);
    runs(&tiny(Metric::Cosine, 3).with_element(ElementKind::F16), 4000..4002);
}

#[test]
fn a_seed_run_twice_does_the_same_to_the_disk() {
    for seed in 0..3 {
        let settings = tiny(Metric::Cosine, 1 + (seed % 2) as u16);
        assert_eq!(run(&settings, seed, 80), run(&settings, seed, 80), "seed {seed}");
    }
}
