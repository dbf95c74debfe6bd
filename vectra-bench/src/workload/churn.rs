//! Generations of replaced items and compactions: whether recall rots, whether anybody gets lost, what stays on disk.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use vectra::{Builder, Durability, ElementKind, Hit, Index, Item, ItemId, ItemUpdate, Settings, Value};

use super::EF_MAX;
use super::progress::Progress;
use super::query::Queries;
use crate::Outcome;
use crate::args::ChurnArgs;
use crate::data::{Array, Dtype};
use crate::measure;

/// Rows written at a time.
const BATCH_ROWS: usize = 1000;
/// Of a hundred rows, so many are replaced per generation.
const REPLACED_PERCENT: usize = 2;

/// What was measured. Times are seconds, sizes bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ChurnReport {
    pub(crate) rows: usize,
    pub(crate) generations: usize,
    pub(crate) replaced: usize,
    /// Replacing and compacting, per generation.
    pub(crate) generation_s: Vec<f64>,
    /// With default effort, against the exact answers of the same index.
    pub(crate) recall_churned: f64,
    /// The same items in an index that never held others.
    pub(crate) recall_fresh: f64,
    /// Whether anybody got lost, in both indexes.
    pub(crate) lost_churned: Lost,
    pub(crate) lost_fresh: Lost,
    /// Items whose metadata was updated, and what that wrote.
    pub(crate) updated: usize,
    pub(crate) update_log_bytes: u64,
    pub(crate) update_overlay_bytes: u64,
    pub(crate) update_other_bytes: u64,
    /// The folder, then after deleting nine tenths and compacting, then that of a fresh index of what is left.
    pub(crate) folder_bytes: u64,
    pub(crate) folder_bytes_after: u64,
    pub(crate) folder_bytes_fresh: u64,
}

/// Live items that are hard to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Lost {
    /// To which no links of the graph lead.
    pub(crate) unreachable: u64,
    /// That a query with their own vector misses, though the exact answer has them and they are nearer than what was
    /// found last.
    pub(crate) missed: usize,
    /// Of those, the ones that the widest search allowed for ten hits misses, too.
    pub(crate) missed_widest: usize,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { unreachable, missed, missed_widest } = self;
        write!(
            f,
            "{unreachable} unreachable, {missed} missed by their own vector ({missed_widest} however wide)"
        )
    }
}

impl ChurnReport {
    /// The report as text.
    pub(crate) fn table(&self) -> String {
        let shrunk = self.folder_bytes_after as f64 / self.folder_bytes_fresh as f64;
        let seconds: f64 = self.generation_s.iter().sum();
        format!(
            "{} rows, {} generations of {} replaced, {seconds:.1} s\n\
             recall@10 {:.4} churned, {:.4} fresh\n\
             live items churned: {}\n\
             live items fresh: {}\n\
             {} metadata updates wrote {} bytes of log, {} of overlay, {} of anything else\n\
             folder {} bytes; {} after deleting nine tenths, {} built afresh: {shrunk:.2} times that\n",
            self.rows,
            self.generations,
            self.replaced,
            self.recall_churned,
            self.recall_fresh,
            self.lost_churned,
            self.lost_fresh,
            self.updated,
            self.update_log_bytes,
            self.update_overlay_bytes,
            self.update_other_bytes,
            self.folder_bytes,
            self.folder_bytes_after,
            self.folder_bytes_fresh,
        )
    }
}

/// Where the vectors come from, and what the indexes are like.
struct Source<'a> {
    args: &'a ChurnArgs,
    vectors: Vec<f32>,
    dim: usize,
    settings: Settings,
}

impl Source<'_> {
    fn item(&self, n: usize) -> Item {
        let metadata = [("row", Value::from(n as u64))];
        Item::new(n as u64, &self.vectors[n * self.dim..][..self.dim]).with_metadata(metadata)
    }

    /// An index of these rows, compacted.
    fn index(&self, name: &str, rows: &[usize]) -> Outcome<Index> {
        let _progress = Progress::new(format!("building {name}"));
        let folder = self.args.folder.join(name);
        let index = Builder::new().threads(self.args.threads).create(folder, self.settings.clone())?;
        let deferred = index.defer_optimization();
        let writer = index.with_durability(Durability::None);
        for rows in rows.chunks(BATCH_ROWS) {
            writer.insert_items(rows.iter().map(|n| self.item(*n)).collect())?;
        }
        drop(deferred);
        index.compact()?;
        Ok(index)
    }
}

/// Runs the workload; its two indexes stay in the folder for whoever wants to look at them.
pub(crate) fn churn(args: &ChurnArgs) -> Outcome<ChurnReport> {
    let mut base = Array::open(&args.base)?;
    let element = match base.dtype() {
        Dtype::F16 => ElementKind::F16,
        Dtype::F32 => ElementKind::F32,
        other => return Err(format!("the base holds {other:?}; needed are f16 or f32 vectors").into()),
    };
    let (all, dim) = (base.rows(), base.columns());
    let live = all * 100 / (100 + REPLACED_PERCENT * args.generations);
    let replaced = live * REPLACED_PERCENT / 100;
    if replaced == 0 {
        return Err("the base has too few rows for that many generations".into());
    }
    std::fs::create_dir_all(&args.folder)?;
    let settings = Settings::new(u32::try_from(dim)?).with_metric(args.metric).with_element(element);
    let source = Source { args, vectors: base.vectors(0, all)?, dim, settings };
    let queries = Queries::read(&args.queries, 0, args.queries_max)?;
    let queries = queries.all();
    let mut rows: Vec<usize> = (0..live).collect();
    let index = source.index("churned", &rows)?;
    let mut generation_s = Vec::new();
    for generation in 0..args.generations {
        let _progress = Progress::new(format!("generation {generation}"));
        let start = Instant::now();
        replace(&source, &index, &mut rows, generation, replaced)?;
        index.compact()?;
        generation_s.push(start.elapsed().as_secs_f64());
    }
    let recall_churned = recall(&index, &queries)?;
    let lost_churned = lost(&source, &index, &rows)?;
    let fresh = source.index("fresh", &rows)?;
    let recall_fresh = recall(&fresh, &queries)?;
    let lost_fresh = lost(&source, &fresh, &rows)?;
    fresh.close()?;
    let (updated, written) = update(&index, &rows)?;
    let (folder_bytes, folder_bytes_after, folder_bytes_fresh) = reclaim(&source, index, &rows)?;
    Ok(ChurnReport {
        rows: live,
        generations: args.generations,
        replaced,
        generation_s,
        recall_churned,
        recall_fresh,
        lost_churned,
        lost_fresh,
        updated,
        update_log_bytes: written[0],
        update_overlay_bytes: written[1],
        update_other_bytes: written[2],
        folder_bytes,
        folder_bytes_after,
        folder_bytes_fresh,
    })
}

/// Deletes `replaced` rows spread over all and inserts as many that were never there.
fn replace(
    source: &Source<'_>,
    index: &Index,
    rows: &mut [usize],
    generation: usize,
    replaced: usize,
) -> Outcome<()> {
    let (count, first) = (rows.len(), rows.len() + generation * replaced);
    let places = (0..replaced).map(|i| (i * (count / replaced) + generation * 7) % count);
    let (mut dead, mut born) = (Vec::new(), Vec::new());
    for (place, new) in places.zip(first..) {
        dead.push(ItemId::from(rows[place] as u64));
        born.push(source.item(new));
        rows[place] = new;
    }
    index.delete_items(dead)?;
    index.insert_items(born)?;
    Ok(())
}

/// The share of the ten exact nearest that the default effort finds.
fn recall(index: &Index, queries: &[&[f32]]) -> Outcome<f64> {
    let _progress = Progress::new("measuring recall");
    let mut right = 0;
    for query in queries {
        let exact = index.query(query).without_metadata().exact().run()?;
        let found = index.query(query).without_metadata().run()?;
        // Ties are answers of the same worth.
        let limit = exact.last().map_or(f32::INFINITY, |hit| hit.distance) + 1e-6;
        right += found.iter().filter(|hit| hit.distance <= limit).count();
    }
    Ok(right as f64 / (10 * queries.len()) as f64)
}

/// Walks the graphs of an index, of which every row is live, and asks for every item by its own vector.
fn lost(source: &Source<'_>, index: &Index, rows: &[usize]) -> Outcome<Lost> {
    let progress = Progress::new("asking for every item by its own vector");
    let checked = vectra::verify_deep(index.path())?;
    if let Some(finding) = checked.findings.first() {
        return Err(format!("{}: {}", finding.place, finding.problem).into());
    }
    let mut lost = Lost { unreachable: checked.unreachable, missed: 0, missed_widest: 0 };
    for (done, n) in rows.iter().enumerate() {
        let (id, vector) = (ItemId::from(*n as u64), &source.vectors[n * source.dim..][..source.dim]);
        let query = || index.query(vector).without_metadata();
        let hits = query().run()?;
        if !hits.iter().any(|hit| hit.id == id) {
            let exact = query().exact().run()?;
            lost.missed += usize::from(misses(&hits, &exact, &id));
            lost.missed_widest += usize::from(misses(&query().ef(EF_MAX).run()?, &exact, &id));
        }
        if done % 1000 == 0 {
            progress.at(done, rows.len());
        }
    }
    Ok(lost)
}

/// Whether `hits` lack an item of the exact answer that is nearer than the last of them. Others at the same distance
/// are answers of the same worth.
fn misses(hits: &[Hit], exact: &[Hit], id: &ItemId) -> bool {
    let last = hits.last().map_or(f32::INFINITY, |hit| hit.distance);
    let own = exact.iter().find(|hit| hit.id == *id);
    own.is_some_and(|own| own.distance + 1e-6 < last) && !hits.iter().any(|hit| hit.id == *id)
}

/// Updates the metadata of a hundredth of the items, in one batch, and says how much of log, overlay and anything else
/// that wrote.
fn update(index: &Index, rows: &[usize]) -> Outcome<(usize, [u64; 3])> {
    let before = index.stats().written;
    let ids = rows.iter().step_by(100);
    let updates: Vec<_> = ids.map(|n| ItemUpdate::new(*n as u64, [("seen", Value::from(1_u64))])).collect();
    let count = updates.len();
    index.update_items(updates)?;
    index.wait_optimized()?;
    let after = index.stats().written;
    let other = |w: vectra::Written| w.rows + w.metadata + w.index + w.deletes;
    Ok((count, [after.log - before.log, after.overlay - before.overlay, other(after) - other(before)]))
}

/// Deletes nine tenths and compacts; the folder before, after, and of a fresh index of what is left.
fn reclaim(source: &Source<'_>, index: Index, rows: &[usize]) -> Outcome<(u64, u64, u64)> {
    let folder = index.path().to_owned();
    let size = |folder: &Path| measure::folder_bytes(folder);
    let before = size(&folder)?;
    let (mut kept, mut dead) = (Vec::new(), Vec::new());
    for (i, n) in rows.iter().enumerate() {
        if i % 10 == 0 { kept.push(*n) } else { dead.push(ItemId::from(*n as u64)) }
    }
    for ids in dead.chunks(BATCH_ROWS) {
        index.delete_items(ids.to_vec())?;
    }
    index.compact()?;
    let after = size(&folder)?;
    index.close()?;
    let fresh = source.index("fresh-tenth", &kept)?;
    let aim = size(fresh.path())?;
    fresh.close()?;
    Ok((before, after, aim))
}
