//! Writers wait while too many rows lack a graph: what counts, what does not, and what happens when there is no room for
//! graphs.

use std::path::Path;

use vectra::{Durability, ErrorKind, Health, Index, Item, ItemId, Settings};
use vectra_core::io::Fs;

use crate::world::{MODELS, World};

/// More rows than may lack a graph.
const ROWS: u64 = 132_000;

fn items(range: std::ops::Range<u64>) -> impl Iterator<Item = Item> {
    range.map(|n| Item::new(n, [1.0 + (n % 977) as f32, (n % 83) as f32]))
}

fn create(world: &World) -> Index {
    let settings = Settings::new(2).with_seal_rows(12_000).with_graph(4, 8).with_durability(Durability::None);
    world.builder().disk_reserve(64 << 10).ballast(0).create("/index", settings).expect("an empty disk")
}

fn free(world: &World) -> u64 {
    world.fs.free_space(Path::new("/index")).expect("asked")
}

#[test]
fn writers_are_told_when_no_graph_fits_on_the_disk_and_deletes_go_on() {
    let world = World::new(1, MODELS[0]);
    world.fs.quota(1 << 30);
    let index = create(&world);
    let deferred = index.defer_optimization();
    for first in (0..ROWS).step_by(6000) {
        index.insert_items(items(first..first + 6000).collect()).expect("new ids");
    }
    index.flush().expect("a healthy disk");
    world.fs.quota((1 << 30) - free(&world) + (256 << 10));
    drop(deferred);
    world.spawner.run_all();
    assert!(matches!(index.health(), Health::Degraded { .. }), "{:?}", index.health());
    let error = index.insert_items(items(ROWS..ROWS + 10).collect()).expect_err("no room for graphs");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let ids = (0..100_u64).map(ItemId::from).collect();
    assert_eq!(index.delete_items(ids).expect("deletes go on").items, 100);
    let error = index.wait_optimized().expect_err("no room for graphs");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
}

#[test]
fn what_a_load_brought_in_keeps_no_writer_waiting() {
    let world = World::new(2, MODELS[0]);
    let index = create(&world);
    index.load_items(items(0..ROWS)).expect("new ids");
    index.insert_items(items(ROWS..ROWS + 10).collect()).expect("a healthy disk");
    let shards = index.stats().shards;
    assert_eq!(shards[0].unsealed_rows, 10, "nor is anything sealed for it");
    assert!(shards[0].segments.iter().all(|segment| !segment.has_graph), "nobody had to wait for a graph");
}
