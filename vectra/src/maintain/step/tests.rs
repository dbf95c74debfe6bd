use std::path::Path;
use std::sync::Arc;

use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner};
use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, SimFs};

use super::*;
use crate::builder::Builder;
use crate::index::Index;
use crate::item::Item;

/// An index of bare segments of a hundred rows on a disk without limits.
fn bare_segments(fs: &SimFs, count: u64) -> Index {
    let clock = Arc::new(SimClock::new(1));
    let spawner = Arc::new(SimSpawner::new(1, Arc::clone(&clock)));
    let env = Env { clock, rng: Arc::new(SeededRng::new(7)), spawner };
    let settings = crate::settings::Settings::new(64).with_seal_rows(100).with_graph(4, 8);
    let builder = Builder::new().fs(Arc::new(fs.clone())).env(env).disk_reserve(1).ballast(0);
    let index = builder.create("/index", settings).expect("new");
    let deferred = index.defer_optimization();
    for first in (0..count).map(|n| n * 100) {
        let item = |n: u64| Item::new(n, (0..64).map(|i| ((n * 64 + i) as f32).sin()).collect::<Vec<f32>>());
        index.insert_items((first..first + 100).map(item).collect()).expect("new ids");
    }
    index.flush().expect("a healthy disk");
    index.engine.settle().expect("a healthy disk");
    drop(deferred);
    index
}

/// Leaves `free` bytes of the disk.
fn leave(fs: &SimFs, free: u64) {
    fs.quota(1 << 40);
    let used = (1 << 40) - fs.free_space(Path::new("/index")).expect("asked");
    fs.quota(used + free);
}

fn asked(index: &Index) -> Task {
    let upto = index.engine.cell.load().visible_lsn;
    let request = Request { goal: Goal::Optimized, upto, mark: index.engine.next_number() };
    Task { request, flushed: true, settle: false }
}

/// What is chosen for four bare segments with so many bytes left, beside what any commit takes.
fn chosen(index: &Index, fs: &SimFs, free: u64) -> Result<Choice> {
    leave(fs, free + (64 << 10));
    let shard = Arc::clone(&index.engine.cell.load().shards[0]);
    index.engine.affordable(&asked(index), &shard, Choice::Merge(vec![0, 1, 2, 3]))
}

#[test]
fn what_does_not_fit_together_is_done_one_by_one() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let index = bare_segments(&fs, 4);
    let state = index.engine.cell.load();
    let inputs: Vec<_> = state.shards[0].sealed.iter().collect();
    let all = output_bytes(&inputs, &index.engine.settings) * 6 / 5;
    let graph = graph_bytes(100, &index.engine.settings) * 6 / 5;
    assert!(graph * 2 < all);
    assert_eq!(chosen(&index, &fs, all).expect("room"), Choice::Merge(vec![0, 1, 2, 3]));
    assert_eq!(chosen(&index, &fs, all - 1).expect("room for a graph"), Choice::BuildGraph(0));
    let error = chosen(&index, &fs, graph - 1).expect_err("no room for anything");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    // A dead row is worth rewriting its segment for.
    leave(&fs, 1 << 30);
    index.delete_item(150_u64).expect("a healthy disk");
    assert_eq!(chosen(&index, &fs, all / 2).expect("room for one"), Choice::Merge(vec![1]));
}

#[test]
fn graphs_are_built_although_no_merge_fits_and_nobody_is_told_all_is_well_without_them() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let index = bare_segments(&fs, 4);
    leave(&fs, 60 << 10);
    let error = index.wait_optimized().expect_err("no room for a single graph");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(index.engine.cell.load().shards[0].sealed.iter().all(|view| !view.segment.has_graph()));
    let all = {
        let state = index.engine.cell.load();
        let inputs: Vec<_> = state.shards[0].sealed.iter().collect();
        output_bytes(&inputs, &index.engine.settings) * 6 / 5
    };
    leave(&fs, all + (64 << 10) - 1);
    index.wait_optimized().expect("one by one");
    let state = index.engine.cell.load();
    assert!(state.shards[0].sealed.iter().all(|view| view.segment.has_graph()));
    assert_eq!(index.snapshot().len(), 400);
}
