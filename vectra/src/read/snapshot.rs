//! A pinned point in time that can be read.

use std::sync::Arc;

use vectra_core::ItemId;

use super::context::ReadContext;
use super::hydrate;
use super::many::QueryBatch;
use super::query::QueryBuilder;
use crate::error::Result;
use crate::item::{Item, Page};
use crate::reader::Pin;
use crate::snapshot::{Located, State};

/// The index as it was at one moment. Writes that come later do not change what it answers.
///
/// It keeps the files it reads from until it is dropped, so do not keep it longer than needed.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) context: Arc<ReadContext>,
    pub(crate) state: Arc<State>,
    /// Keeps the files of a snapshot that another process's garbage collection must respect.
    pub(crate) pin: Option<Arc<Pin>>,
}

impl Snapshot {
    /// The LSN of the last write it shows.
    pub fn lsn(&self) -> u64 {
        self.state.visible_lsn
    }

    /// How many items it holds.
    pub fn len(&self) -> u64 {
        self.state.shards.iter().map(|shard| shard.live(self.state.visible_lsn)).sum()
    }

    /// Whether it holds no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Starts a query for the nearest neighbours of `vector`.
    pub fn query<'v>(&self, vector: &'v [f32]) -> QueryBuilder<'v> {
        QueryBuilder::new(self.clone(), vector)
    }

    /// Starts many queries at once, one for each of `vectors`, with the same options: answers are those of single queries,
    /// in the order of the vectors.
    pub fn query_batch<'v, V: AsRef<[f32]>>(&self, vectors: &'v [V]) -> QueryBatch<'v> {
        QueryBatch::new(self.clone(), vectors.iter().map(AsRef::as_ref).collect())
    }

    fn locate(&self, id: &ItemId) -> Result<Option<Located<'_>>> {
        let shard = usize::from(self.context.router.route(&id.encode()));
        self.state.shards[shard].find(id, self.state.visible_lsn)
    }

    /// The item with this id.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] if its stored bytes are damaged.
    pub fn get_item(&self, id: impl Into<ItemId>) -> Result<Option<Item>> {
        let id = id.into();
        let located = self.locate(&id)?;
        located.map(|located| hydrate::item(id, &located)).transpose()
    }

    /// Whether there is an item with this id.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] if stored bytes are damaged.
    pub fn contains(&self, id: impl Into<ItemId>) -> Result<bool> {
        Ok(self.locate(&id.into())?.is_some())
    }

    /// At most `limit` items in id order, beginning behind `after`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] if stored bytes are damaged.
    pub fn list_items(&self, after: Option<&ItemId>, limit: usize) -> Result<Page> {
        // One more than asked for tells whether there is a next page.
        let upto = limit.saturating_add(1);
        let mut found: Vec<(ItemId, Located<'_>)> = Vec::new();
        for shard in &self.state.shards {
            for segment in shard.unsealed() {
                let page = segment.page(after, upto, self.state.visible_lsn);
                found.extend(page.into_iter().map(|(id, slot)| (id, Located::Unsealed(segment, slot))));
            }
            for view in &shard.sealed {
                let page = view.page(after, upto)?;
                found.extend(page.into_iter().map(|(id, slot)| (id, Located::Sealed(view, slot))));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(id, _)| id.clone());
        let items =
            found.into_iter().map(|(id, located)| hydrate::item(id, &located)).collect::<Result<_>>()?;
        Ok(Page { items, next })
    }
}
