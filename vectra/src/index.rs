//! The public face of an open index.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vectra_core::{Filter, ItemId};
use vectra_wal::Durability;

use crate::builder::Builder;
use crate::engine::{Engine, append_error};
use crate::error::{Error, ErrorKind, Result};
use crate::item::{Item, ItemUpdate, Page};
#[cfg(feature = "remote")]
use crate::maintain::Spilled;
use crate::maintain::{Goal, Health, Wanted};
use crate::opened::OpenReport;
use crate::quantization::Quantization;
use crate::read::{QueryBatch, QueryBuilder, RecallReport, RecallSample, Snapshot};
use crate::settings::Settings;
use crate::stats::Stats;
use crate::write::batch::Receipt;
use crate::write::bulk::BulkLoader;
use crate::writer::Writer;

/// An open index: one folder, one writer, any number of readers.
///
/// Writes are visible to the next query as soon as they return. Sealing, merging and graph building happen in the
/// background; queries never wait for them. Share it between threads behind an `Arc` or by reference.
#[derive(Debug)]
pub struct Index {
    pub(crate) engine: Arc<Engine>,
}

impl Index {
    /// Makes an empty index in the folder `path`, which is created if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for settings outside their limits, [`ErrorKind::Conflict`] if the folder holds an index
    /// or other files already, [`ErrorKind::Io`].
    pub fn create(path: impl AsRef<Path>, settings: Settings) -> Result<Self> {
        Builder::new().create(path, settings)
    }

    /// Opens the index in the folder `path`, replaying what its log holds. [`Index::opened`] tells what was found.
    ///
    /// A damaged newest manifest loses nothing: the one before it and the log say the same. It is moved to
    /// `quarantine/` and reported. There is one writer at a time; a [`Reader`](crate::Reader) can read beside it. A
    /// process that is forked off this one must not use the index to write (and is refused where that is noticed).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::Conflict`] if another process has it open,
    /// [`ErrorKind::Corrupt`] if acknowledged data is damaged, [`ErrorKind::Unsupported`] if a newer program wrote it,
    /// [`ErrorKind::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Builder::new().open(path)
    }

    /// The folder it lives in.
    pub fn path(&self) -> &Path {
        &self.engine.root
    }

    /// What the index was created with.
    pub fn settings(&self) -> &Settings {
        &self.engine.settings
    }

    /// How vectors are encoded for search now, and how much memory [`Quantization::Auto`] may take for that.
    pub fn quantization(&self) -> (Quantization, Option<u64>) {
        let wanted = *self.engine.wanted.lock();
        (wanted.quantization, wanted.memory_budget_bytes)
    }

    /// Encodes vectors by `quantization` from now on, under [`Quantization::Auto`] in at most `memory_budget_bytes` with their
    /// graphs. The index remembers it; sealed segments are encoded anew in the background, one after the other, while
    /// queries go on with the codes that are there. [`wait_optimized`](Self::wait_optimized) waits for that.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the metric has no such codes, [`ErrorKind::Io`] or [`ErrorKind::Full`] if the manifest cannot
    /// be written, [`ErrorKind::Closed`].
    pub fn set_quantization(
        &self,
        quantization: Quantization,
        memory_budget_bytes: Option<u64>,
    ) -> Result<()> {
        self.engine.check_open()?;
        self.engine.set_wanted(Wanted { quantization, memory_budget_bytes })
    }

    /// What opening it found, and what it got over.
    pub fn opened(&self) -> &OpenReport {
        &self.engine.opened
    }

    /// Pins the present moment for reading.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { context: Arc::clone(&self.engine.context), state: self.engine.cell.load(), pin: None }
    }

    /// Starts a query for the nearest neighbours of `vector`.
    pub fn query<'v>(&self, vector: &'v [f32]) -> QueryBuilder<'v> {
        self.snapshot().query(vector)
    }

    /// Starts many queries at once, one for each of `vectors`, with the same options: answers are those of single queries,
    /// in the order of the vectors.
    pub fn query_batch<'v, V: AsRef<[f32]>>(&self, vectors: &'v [V]) -> QueryBatch<'v> {
        self.snapshot().query_batch(vectors)
    }

    /// Compares queries, those of `sample`, with an exact scan: [`Snapshot::measure_recall`].
    ///
    /// # Errors
    /// As [`Snapshot::measure_recall`].
    pub fn measure_recall(&self, sample: &RecallSample) -> Result<RecallReport> {
        self.snapshot().measure_recall(sample)
    }

    /// Writes with another durability than the index's own.
    pub fn with_durability(&self, durability: Durability) -> Writer<'_> {
        Writer { engine: &self.engine, durability }
    }

    fn writer(&self) -> Writer<'_> {
        self.with_durability(self.engine.settings.durability)
    }

    /// Starts a load of many items that bypasses the log: much faster than batches, all or nothing. See [`BulkLoader`].
    pub fn bulk_loader(&self) -> BulkLoader<'_> {
        BulkLoader::new(&self.engine)
    }

    /// Loads many items whose ids must be new, all or nothing: parts are written first, then one small frame of the log
    /// names them.
    ///
    /// # Errors
    /// As [`BulkLoader::push`] and [`BulkLoader::finish`]; nothing is loaded then.
    pub fn load_items(&self, items: impl IntoIterator<Item = Item>) -> Result<Receipt> {
        let mut loader = self.bulk_loader();
        items.into_iter().try_for_each(|item| loader.push(item))?;
        loader.finish()
    }

    /// Adds an item whose id must be new. See [`Writer::insert_items`].
    ///
    /// # Errors
    /// As [`Writer::insert_items`].
    pub fn insert_item(&self, item: Item) -> Result<Receipt> {
        self.writer().insert_items(vec![item])
    }

    /// Adds items whose ids must be new, all or none. See [`Writer::insert_items`].
    ///
    /// # Errors
    /// As [`Writer::insert_items`].
    pub fn insert_items(&self, items: Vec<Item>) -> Result<Receipt> {
        self.writer().insert_items(items)
    }

    /// Adds an item, replacing the one with the same id. See [`Writer::upsert_items`].
    ///
    /// # Errors
    /// As [`Writer::upsert_items`].
    pub fn upsert_item(&self, item: Item) -> Result<Receipt> {
        self.writer().upsert_items(vec![item])
    }

    /// Adds items, replacing those with the same ids, all or none. See [`Writer::upsert_items`].
    ///
    /// # Errors
    /// As [`Writer::upsert_items`].
    pub fn upsert_items(&self, items: Vec<Item>) -> Result<Receipt> {
        self.writer().upsert_items(items)
    }

    /// Replaces the metadata of items without sending their vectors again, all or none. See [`Writer::update_items`].
    ///
    /// # Errors
    /// As [`Writer::update_items`].
    pub fn update_items(&self, updates: Vec<ItemUpdate>) -> Result<Receipt> {
        self.writer().update_items(updates)
    }

    /// Removes an item; [`Receipt::items`] is 0 if there was none. See [`Writer::delete_items`].
    ///
    /// # Errors
    /// As [`Writer::delete_items`].
    pub fn delete_item(&self, id: impl Into<ItemId>) -> Result<Receipt> {
        self.writer().delete_items(vec![id.into()])
    }

    /// Removes items; ids that are not there are passed over. See [`Writer::delete_items`].
    ///
    /// # Errors
    /// As [`Writer::delete_items`].
    pub fn delete_items(&self, ids: Vec<ItemId>) -> Result<Receipt> {
        self.writer().delete_items(ids)
    }

    /// The item with this id.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if its stored bytes are damaged.
    pub fn get_item(&self, id: impl Into<ItemId>) -> Result<Option<Item>> {
        self.snapshot().get_item(id)
    }

    /// At most `limit` items in id order, beginning behind `after`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if stored bytes are damaged.
    pub fn list_items(&self, after: Option<&ItemId>, limit: usize) -> Result<Page> {
        self.snapshot().list_items(after, limit)
    }

    /// Makes every acknowledged write durable, whatever durability it was written with, and returns the last LSN.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Uncertain`] if the log cannot be synced.
    pub fn sync(&self) -> Result<u64> {
        self.engine.check_open()?;
        self.engine.sync_log()
    }

    /// The last LSN that is known to survive a power cut; everything before it does, too. See [`Durability`].
    pub fn durable_lsn(&self) -> u64 {
        self.engine.log.durable_lsn()
    }

    /// Returns once everything up to `lsn` survives a power cut, whatever durability it was written with: joins a sync
    /// that is under way, or makes one. Nothing is synced if it is durable already. See [`Receipt::wait_durable`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an LSN that no write has yet, [`ErrorKind::Io`], [`ErrorKind::Unavailable`] or
    /// [`ErrorKind::Uncertain`] if the log cannot be synced, [`ErrorKind::Closed`].
    pub fn wait_durable(&self, lsn: u64) -> Result<()> {
        self.engine.check_open()?;
        let last = self.engine.log.last_lsn();
        if lsn > last {
            return Err(Error::invalid(format!("there is no LSN {lsn} yet: the last write has {last}")));
        }
        self.engine.log.wait_durable(lsn, &|upto| self.engine.publish(upto)).map_err(append_error)
    }

    /// Seals everything written so far into parts, so that the log can shrink; waits until that is done. A write whose
    /// outcome is [`ErrorKind::Uncertain`] stays so until the index is opened again.
    ///
    /// # Errors
    /// Whatever stopped the background work.
    pub fn flush(&self) -> Result<()> {
        self.reach(Goal::Flushed)
    }

    /// Waits until everything written so far is sealed, merged and covered by graphs: queries are as fast as they get.
    /// Merges for which the disk has no room are left out, graphs are not. Nor is a large segment rewritten for the sake of
    /// less than a hundredth of its rows ([`Index::compact`] does that).
    ///
    /// # Errors
    /// [`ErrorKind::Full`] if there is no room for the graphs; whatever stopped the background work.
    pub fn wait_optimized(&self) -> Result<()> {
        self.reach(Goal::Optimized)
    }

    /// Like [`Index::wait_optimized`], whatever it costs, and nothing dead is left on disk.
    ///
    /// # Errors
    /// Whatever stopped the background work.
    pub fn compact(&self) -> Result<()> {
        self.reach(Goal::Compacted)
    }

    fn reach(&self, goal: Goal) -> Result<()> {
        self.engine.check_open()?;
        self.engine.reach(goal)
    }

    /// Moves every sealed segment that has its graph to the object store named by
    /// [`Builder::remote`](crate::Builder::remote), and frees its place in the folder. Queries go on, from copies in the
    /// folder `cache`, which are fetched again where they are missing when the index is opened.
    ///
    /// A segment counts as moved once every byte of it has been read back. After an error those that were moved before
    /// stay so.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if no store was named or it cannot be reached, [`ErrorKind::Conflict`] if it holds
    /// something else under a part's name, [`ErrorKind::Io`], [`ErrorKind::Corrupt`].
    #[cfg(feature = "remote")]
    pub fn spill_all(&self) -> Result<Spilled> {
        self.engine.check_open()?;
        let spilled = self.engine.spill(None)?;
        self.engine.settle()?;
        self.engine.kick();
        Ok(spilled)
    }

    /// As [`Index::spill_all`], for one segment, named by [`SegmentStats::id`](crate::SegmentStats::id). Its place in
    /// the folder is freed by a later commit. Nothing happens if it has no graph yet, or is in the store already.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such segment; as [`Index::spill_all`].
    #[cfg(feature = "remote")]
    pub fn spill_segment(&self, id: uuid::Uuid) -> Result<Spilled> {
        self.engine.check_open()?;
        let spilled = self.engine.spill(Some(id))?;
        self.engine.kick();
        Ok(spilled)
    }

    /// Brings a segment back into the folder; nothing happens if it is there. What lies in the object store stays until
    /// [`Index::sweep_remote`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such segment, [`ErrorKind::Unavailable`] if the store is needed and
    /// cannot be reached, [`ErrorKind::Io`], [`ErrorKind::Corrupt`].
    #[cfg(feature = "remote")]
    pub fn fetch_segment(&self, id: uuid::Uuid) -> Result<()> {
        self.engine.check_open()?;
        self.engine.fetch(id)?;
        self.engine.kick();
        Ok(())
    }

    /// Removes what this index has in the object store and neither of its two newest generations needs; returns how
    /// many objects those were. Backups and copies of the folder that name such objects lose them.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if no store was named or it cannot be reached.
    #[cfg(feature = "remote")]
    pub fn sweep_remote(&self) -> Result<u64> {
        self.engine.check_open()?;
        self.engine.sweep_remote()
    }

    /// Puts off merging and graph building until the returned guard is dropped: a bulk load is faster when each graph
    /// is built once, at its end. Queries work meanwhile, by scanning.
    pub fn defer_optimization(&self) -> DeferGuard<'_> {
        self.engine.deferred.fetch_add(1, Ordering::Relaxed);
        DeferGuard { engine: &self.engine }
    }

    /// Sizes and counts.
    pub fn stats(&self) -> Stats {
        Stats::collect(&self.engine)
    }

    /// How the background work is doing.
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// Syncs the log, leaves the folder tidy and gives up the lock. Snapshots stay readable.
    ///
    /// # Errors
    /// The first error that the background work or the last sync met; the index is closed all the same.
    pub fn close(self) -> Result<()> {
        let engine = &self.engine;
        engine.check_open()?;
        let synced = engine.sync_log().map(drop);
        engine.closed.store(true, Ordering::Release);
        engine.wait_for_step();
        let settled = synced.and_then(|()| engine.settle());
        let closed = engine.log.close().map_err(append_error);
        let health = match engine.health() {
            Health::Stopped { error } => Err(error),
            _ => Ok(()),
        };
        engine.lock.lock().take();
        settled.and(closed).and(health)
    }
}

/// Without [`Index::close`] nothing acknowledged is lost either: the next open replays the log, and a sync that
/// [`Durability::Interval`] still owes is done now.
impl Drop for Index {
    fn drop(&mut self) {
        self.engine.closed.store(true, Ordering::Release);
        self.engine.wait_for_step();
        self.engine.lock.lock().take();
    }
}

/// While it lives, merging and graph building wait; see [`Index::defer_optimization`].
#[derive(Debug)]
#[must_use = "optimization is put off only while the guard lives"]
pub struct DeferGuard<'a> {
    engine: &'a Arc<Engine>,
}

impl Drop for DeferGuard<'_> {
    fn drop(&mut self) {
        self.engine.deferred.fetch_sub(1, Ordering::Relaxed);
        self.engine.kick();
    }
}

/// Parses a filter in the Mongo-style dialect from JSON text, e.g. `{"year": {"$gte": 2020}}`.
///
/// # Errors
/// [`ErrorKind::Invalid`], naming what is not understood.
pub fn mongo(json: &str) -> Result<Filter> {
    let value = serde_json::from_str(json)
        .map_err(|e| Error::caused(ErrorKind::Invalid, "the filter is not valid JSON", e))?;
    mongo_json(&value)
}

/// Like [`mongo`], from JSON that is parsed already.
///
/// # Errors
/// [`ErrorKind::Invalid`], naming what is not understood.
pub fn mongo_json(json: &serde_json::Value) -> Result<Filter> {
    vectra_metadata::parse::mongo(json)
        .map_err(|e| Error::caused(ErrorKind::Invalid, "the filter is not understood", e))
}
