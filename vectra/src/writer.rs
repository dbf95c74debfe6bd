//! The write verbs, with a durability of their own.

use std::sync::Arc;

use vectra_core::ItemId;
use vectra_wal::Durability;

use crate::engine::Engine;
use crate::error::Result;
use crate::item::{Item, ItemUpdate};
use crate::write::batch::{Intent, Receipt};
use crate::write::validate;

/// Writes to an index with a given [`Durability`]; from [`crate::Index::with_durability`].
///
/// Each call is one atomic batch: one frame in the log, all or nothing, visible when it returns.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) durability: Durability,
}

impl Writer<'_> {
    /// Adds items whose ids must be new.
    ///
    /// # Errors
    /// Nothing is written and the error names the item: [`crate::ErrorKind::Invalid`] for a vector, id or metadata the
    /// index does not take or an id that stands twice in the batch, [`crate::ErrorKind::Conflict`] for an id that is
    /// taken; [`crate::ErrorKind::Full`] if the disk has no room for it, or too many rows lack a graph for which there
    /// is none. [`crate::ErrorKind::Uncertain`] if the log failed: reopen to see whether the batch is there.
    pub fn insert_items(&self, items: Vec<Item>) -> Result<Receipt> {
        validate::items(&items, &self.engine.settings)?;
        self.write(items.into_iter().map(Intent::Insert).collect())
    }

    /// Adds items, replacing those with the same ids.
    ///
    /// # Errors
    /// As [`Writer::insert_items`], without the conflict.
    pub fn upsert_items(&self, items: Vec<Item>) -> Result<Receipt> {
        validate::items(&items, &self.engine.settings)?;
        self.write(items.into_iter().map(Intent::Upsert).collect())
    }

    /// Replaces the metadata of items; their vectors stay and are not written again once sealed.
    ///
    /// # Errors
    /// As [`Writer::insert_items`]; [`crate::ErrorKind::NotFound`] for an id that is not there.
    pub fn update_items(&self, updates: Vec<ItemUpdate>) -> Result<Receipt> {
        for (position, update) in updates.iter().enumerate() {
            let checked = validate::id(&update.id)
                .and_then(|()| validate::metadata(&update.metadata, &self.engine.settings));
            checked.map_err(|text| validate::refuse(position, &update.id, &text))?;
        }
        validate::distinct(updates.iter().map(|update| &update.id))?;
        self.write(updates.into_iter().map(|update| Intent::Update(update.id, update.metadata)).collect())
    }

    /// Removes items; ids that are not there are passed over, and ids may repeat.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Uncertain`] if the log failed.
    pub fn delete_items(&self, mut ids: Vec<ItemId>) -> Result<Receipt> {
        ids.sort();
        ids.dedup();
        self.write(ids.into_iter().map(Intent::Delete).collect())
    }

    fn write(&self, intents: Vec<Intent>) -> Result<Receipt> {
        self.engine.write(intents, self.durability)
    }
}
