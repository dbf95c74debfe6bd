//! Writes that arrive while a segment is being sealed, merged, indexed or committed.

use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use vectra::{Index, Metric, Snapshot};
use vectra_core::env::SimSpawner;
use vectra_core::testing::oracle::Dice;

use crate::world::{Ledger, MODELS, Meddler, Model, Op, Run, World, ask, check, expect, sweep_factor, tiny};

/// Who writes, and what should be there.
#[derive(Debug)]
struct Writer {
    dice: Dice,
    model: Model,
    version: u64,
    /// Writes in the middle of background work.
    meddled: u64,
}

impl Writer {
    fn random_write(&mut self) -> Op {
        let mut keys: Vec<u64> = (0..=self.dice.below(3)).map(|_| self.dice.below(40) as u64).collect();
        keys.sort_unstable();
        keys.dedup();
        match self.dice.below(8) {
            0..3 => Op::Upsert(keys),
            3 => Op::Insert(keys),
            4 | 5 => Op::Update(keys),
            _ => Op::Delete(keys),
        }
    }

    fn write(&mut self, index: &Index) {
        let op = self.random_write();
        self.version += 1;
        match (ask(index, &op, self.version), expect(&self.model, &op, self.version)) {
            (Ok(_), Ok(next)) => self.model = next,
            (Err(error), Err(kind)) if error.kind() == kind => {}
            (got, due) => panic!("{op:?} gave {got:?}, due was {:?}", due.map(drop)),
        }
    }
}

/// Steps that run beside the main thread.
#[derive(Debug, Clone, Default)]
struct Beside(Arc<Mutex<Vec<JoinHandle<()>>>>);

impl Beside {
    /// Does a step of the other lane while this one is in the middle of its own: it may have to wait for a commit that
    /// is under way, so it is waited for only a moment.
    fn step(&self, spawner: &Arc<SimSpawner>) {
        let spawner = Arc::clone(spawner);
        let (done, is_done) = mpsc::channel();
        self.0.lock().push(thread::spawn(move || {
            spawner.step();
            // Nobody listens any more if it took long.
            let _late = done.send(());
        }));
        let _goes_on_beside = is_done.recv_timeout(Duration::from_millis(5));
    }

    fn join(&self) {
        loop {
            // One at a time: the steps may begin others.
            let Some(thread) = self.0.lock().pop() else { return };
            thread.join().expect("background steps do not panic");
        }
    }
}

/// Random writes, every third of them in the middle of something; everything is compared after each round, and after
/// a power cut at the end.
fn run(seed: u64, shards: u16) -> u64 {
    let settings = tiny(Metric::L2, shards);
    let world = World::new(seed, MODELS[0]);
    let meddler = Meddler::new(world.fs.clone());
    let index = world.builder().fs(Arc::new(meddler.clone())).create("/index", settings.clone());
    let index = Arc::new(index.expect("an empty disk without faults"));
    let writer = Writer { dice: Dice::new(seed), model: Model::new(), version: 0, meddled: 0 };
    let writer = Arc::new(Mutex::new(writer));
    let (weak, shared) = (Arc::downgrade(&index), Arc::clone(&writer));
    let (spawner, beside) = (Arc::clone(&world.spawner), Beside::default());
    let steps = beside.clone();
    meddler.set(move || {
        let Some(index) = weak.upgrade() else { return };
        let choice = {
            let mut writer = shared.lock();
            let choice = writer.dice.below(6);
            if choice < 2 {
                writer.meddled += 1;
                writer.write(&index);
            }
            choice
        };
        if choice == 2 {
            steps.step(&spawner);
        }
    });
    let mut kept: Vec<(Snapshot, Model)> = Vec::new();
    for round in 0..60 {
        let choice = {
            let mut writer = writer.lock();
            (0..3).for_each(|_| writer.write(&index));
            writer.dice.below(8)
        };
        match choice {
            0 => index.flush().expect("no faults"),
            1 => index.wait_optimized().expect("no faults"),
            2 => index.compact().expect("no faults"),
            _ => _ = (0..choice - 2).take_while(|_| world.spawner.step()).count(),
        }
        beside.join();
        let model = writer.lock().model.clone();
        let compared = check(&index.snapshot(), &model, settings.metric, round);
        compared.unwrap_or_else(|e| panic!("seed {seed}, round {round}: {e}"));
        kept.push((index.snapshot(), model));
        let (old, model) = kept.swap_remove(round as usize % kept.len());
        let compared = check(&old, &model, settings.metric, round);
        compared.unwrap_or_else(|e| panic!("seed {seed}, round {round}, an old snapshot: {e}"));
        kept.truncate(3);
    }
    let ledger = Ledger::certain(writer.lock().model.clone());
    drop((kept, index));
    let after = World::on(world.fs.crash(seed), seed);
    Run::recover(&after, &settings, &ledger)
        .unwrap_or_else(|e| panic!("seed {seed}, after a power cut: {e}"));
    writer.lock().meddled
}

/// Deletes, updates and replacements made during a merge or seal are not undone by it.
#[test]
fn regress_lance_6653_writes_during_background_work_are_carried_over() {
    let meddled: u64 = (0..12 * sweep_factor()).map(|seed| run(seed, 1 + (seed % 2) as u16)).sum();
    println!("{meddled} writes in the middle of background work");
    assert!(meddled > 100, "only {meddled} writes met background work");
}
