use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner};
use vectra_core::io::sim::{CrashModel, SimFs};

use super::*;
use crate::builder::Builder;
use crate::index::Index;
use crate::item::Item;

fn two_segments(fs: &SimFs) -> Index {
    let clock = Arc::new(SimClock::new(1));
    let spawner = Arc::new(SimSpawner::new(1, Arc::clone(&clock)));
    let env = Env { clock, rng: Arc::new(SeededRng::new(7)), spawner };
    let settings = Settings::new(8).with_seal_rows(100).with_graph(4, 8);
    let index = Builder::new().fs(Arc::new(fs.clone())).env(env).create("/index", settings).expect("new");
    let deferred = index.defer_optimization();
    for first in [0_u64, 100] {
        let item = |n: u64| Item::new(n, [n as f32 + 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        index.insert_items((first..first + 100).map(item).collect()).expect("new ids");
    }
    index.flush().expect("a healthy disk");
    drop(deferred);
    index
}

#[test]
fn what_a_merge_is_expected_to_write_is_about_what_it_writes() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let index = two_segments(&fs);
    index.delete_items((0..50_u64).map(vectra_core::ItemId::from).collect()).expect("a write");
    let engine = &index.engine;
    for graph in [false, true] {
        if graph {
            engine.build_graph(0, 0, &Attempt::alone(engine)).expect("room");
        }
        let state = engine.cell.load();
        let inputs: Vec<&SealedView> = state.shards[0].sealed.iter().collect();
        let expected = output_bytes(&inputs, &engine.settings);
        let positions: Vec<usize> = (0..inputs.len()).collect();
        engine.merge(0, &positions, &Attempt::alone(engine)).expect("room");
        let state = engine.cell.load();
        let entry = &state.shards[0].sealed[0].segment.entry;
        // The part with the graph comes beside the one with the codes alone.
        let codes = if graph { u64::from(engine.settings.dim) * u64::from(entry.rows) } else { 0 };
        let written = entry.parts().map(|part| part.length).sum::<u64>() + codes;
        // Small segments are mostly padding, of which two inputs have twice as much.
        assert!(
            written <= expected * 6 / 5 + (64 << 10) && expected <= 3 * written,
            "{expected} and {written}"
        );
    }
}
