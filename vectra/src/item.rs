//! What goes in and what comes out.

use vectra_core::{ItemId, Value};

use crate::error::{Error, Result};

/// An id, a vector and its metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The caller's name for it, unique within the index.
    pub id: ItemId,
    /// Exactly as many components as the index has dimensions, all finite.
    pub vector: Vec<f32>,
    /// A JSON object (or null for none).
    pub metadata: Value,
}

impl Item {
    /// An item without metadata.
    pub fn new(id: impl Into<ItemId>, vector: impl Into<Vec<f32>>) -> Self {
        Self { id: id.into(), vector: vector.into(), metadata: Value::Null }
    }

    /// The same item with this metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<Value>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// The same item with metadata given as JSON.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] if the JSON holds something metadata cannot (nesting beyond 64 levels).
    pub fn with_json(self, metadata: serde_json::Value) -> Result<Self> {
        Ok(self.with_metadata(metadata_from_json(metadata)?))
    }
}

/// Turns JSON into a metadata value.
///
/// # Errors
/// [`crate::ErrorKind::Invalid`] if it holds something metadata cannot (nesting beyond 64 levels).
pub fn metadata_from_json(json: serde_json::Value) -> Result<Value> {
    vectra_metadata::value_from_json(json)
        .map_err(|e| Error::caused(crate::ErrorKind::Invalid, "the metadata cannot be stored", e))
}

/// Turns a metadata value into JSON.
pub fn metadata_to_json(value: &Value) -> serde_json::Value {
    vectra_metadata::value_to_json(value)
}

/// New metadata for an item whose vector stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemUpdate {
    /// The item.
    pub id: ItemId,
    /// Replaces all of the old metadata.
    pub metadata: Value,
}

impl ItemUpdate {
    /// Replaces the metadata of `id`.
    pub fn new(id: impl Into<ItemId>, metadata: impl Into<Value>) -> Self {
        Self { id: id.into(), metadata: metadata.into() }
    }
}

/// An answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The item.
    pub id: ItemId,
    /// Exact distance under the index's metric; smaller is nearer.
    pub distance: f32,
    /// Its metadata, unless the query asked to leave it out.
    pub metadata: Option<Value>,
    /// Its vector, if the query asked for it.
    pub vector: Option<Vec<f32>>,
}

/// A page of items in id order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Pass this as `after` to get the next page; `None` when there is no more.
    pub next: Option<ItemId>,
}
