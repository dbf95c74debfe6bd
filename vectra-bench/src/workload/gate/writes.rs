//! Items written, changed and deleted one by one, and what the folder takes for it.

use vectra::{Builder, Index, Item, ItemUpdate, Metric, Settings};

use super::record::Record;
use super::world::World;
use crate::Outcome;
use crate::data::Synthetic;

const DIM: usize = 16;

/// How many writes there are, and to what kind of index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writes {
    pub(super) inserts: u64,
    /// What the index is opened with beside the world it lives in.
    pub(super) with: fn(Builder) -> Builder,
}

/// One kind of write.
type Step = (&'static str, fn(&Index, u64) -> vectra::Result<()>);

/// Each finds the index as the one before left it.
const STEPS: [Step; 7] = [
    ("insert", |index, count| (0..count).try_for_each(|n| index.insert_item(item(n)).map(drop))),
    ("batch", |index, count| index.upsert_items((count / 2..count * 3).map(item).collect()).map(drop)),
    ("flush", |index, _| index.flush()),
    ("update", |index, count| (0..count / 4).try_for_each(|n| index.update_items(vec![update(n)]).map(drop))),
    ("delete", |index, count| (0..count / 4).try_for_each(|n| index.delete_item(n * 3).map(drop))),
    ("compact", |index, _| index.compact()),
    ("tail", |index, count| (0..count / 8).try_for_each(|n| index.upsert_item(item(n)).map(drop))),
];

fn item(n: u64) -> Item {
    let set = Synthetic { seed: 7, dim: DIM };
    Item::new(n, set.vector(n)).with_metadata([("n", n.into()), ("text", format!("the item {n}").into())])
}

fn update(n: u64) -> ItemUpdate {
    ItemUpdate::new(n * 2, [("n", n.into()), ("seen", true.into())])
}

impl Writes {
    /// Writes, every call durable when it returns; adds what each kind of write took to `record`, and what opening the
    /// index takes afterwards.
    pub(super) fn run(&self, record: &mut Record) -> Outcome<()> {
        let world = World::new(1);
        let settings = Settings::new(DIM as u32).with_metric(Metric::L2);
        let builder = || (self.with)(world.builder());
        let mut index = None;
        measure("create", &world, record, || {
            index = Some(builder().create("/index", settings)?);
            Ok(())
        })?;
        let index = index.ok_or("creating the index gave none")?;
        for (name, write) in STEPS {
            measure(name, &world, record, || write(&index, self.inserts))?;
        }
        measure("close", &world, record, || index.close())?;
        measure("reopen", &world, record, || builder().open("/index")?.close())
    }
}

fn measure(
    name: &str,
    world: &World,
    record: &mut Record,
    work: impl FnOnce() -> vectra::Result<()>,
) -> Outcome<()> {
    let begun = world.traffic();
    work()?;
    world.rest();
    let traffic = world.traffic().since(begun);
    record.count(format!("writes/{name}/syncs"), traffic.syncs);
    record.count(format!("writes/{name}/written_bytes"), traffic.written_bytes);
    record.count(format!("writes/{name}/read_bytes"), traffic.read_bytes);
    Ok(())
}
