//! What an index is: plain data, fixed at creation and kept in its manifest.

use std::time::Duration;

use vectra_core::Metric;
use vectra_core::distance::ElementKind;
use vectra_metadata::{FieldKind, IndexedField};
use vectra_wal::Durability;

use crate::error::{Error, Result};
use crate::quantization::Quantization;

/// The most components a vector can have.
pub const DIM_MAX: u32 = 65_536;
/// The widest candidate pool of a query.
pub(crate) const EF_SEARCH_MAX: usize = 100_000;

/// The most rows a segment can have: their ids stay below 4 GiB.
const SEGMENT_ROWS_MAX: u64 = 1 << 22;

/// The properties of an index. Built with [`Settings::new`] and the `with_...` methods.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Components per vector.
    pub dim: u32,
    /// How distance is measured.
    pub metric: Metric,
    /// The precision in which vectors are stored.
    pub element: ElementKind,
    /// How vectors are encoded for search. [`Index::set_quantization`](crate::Index::set_quantization) changes it later.
    pub quantization: Quantization,
    /// How much memory codes and graphs may take under [`Quantization::Auto`], in bytes; `None` is as much as they like.
    pub memory_budget_bytes: Option<u64>,
    /// How many shards rows are spread over.
    pub shards: u16,
    /// Metadata fields that get an index of their own.
    pub indexed_fields: Vec<IndexedField>,
    /// When a write counts as done, unless it says otherwise itself.
    pub durability: Durability,
    /// Neighbours per graph node (twice as many on the lowest layer).
    pub m: usize,
    /// Width of the candidate pool while a graph is built.
    pub ef_construction: usize,
    /// Width of the candidate pool of a query, unless it says otherwise itself; 5/4 of the hits it wants where that is more.
    pub ef_search: usize,
    /// Rows a shard collects in memory before they are sealed into a segment.
    pub seal_rows: u32,
    /// The most rows one segment may have.
    pub segment_rows_max: u32,
    /// The largest encoded metadata of one item, in bytes.
    pub metadata_bytes_max: u32,
    /// Smallest log file, in bytes.
    pub log_bytes_min: u64,
    /// Largest log file, in bytes.
    pub log_bytes_max: u64,
    /// Makes graph construction repeatable.
    pub seed: u64,
}

impl Settings {
    /// Settings for vectors of `dim` components, cosine distance, stored as f32, one shard.
    pub fn new(dim: u32) -> Self {
        Self {
            dim,
            metric: Metric::Cosine,
            element: ElementKind::F32,
            quantization: Quantization::Auto,
            memory_budget_bytes: None,
            shards: 1,
            indexed_fields: Vec::new(),
            durability: Durability::Sync,
            m: 16,
            ef_construction: 160,
            ef_search: 96,
            seal_rows: 16_384,
            segment_rows_max: 1_000_000,
            metadata_bytes_max: 1 << 20,
            log_bytes_min: 1 << 20,
            log_bytes_max: 64 << 20,
            seed: 0,
        }
    }

    /// Measures distance by `metric`.
    #[must_use]
    pub fn with_metric(mut self, metric: Metric) -> Self {
        self.metric = metric;
        self
    }

    /// Stores vectors as `element`.
    #[must_use]
    pub fn with_element(mut self, element: ElementKind) -> Self {
        self.element = element;
        self
    }

    /// Encodes vectors by `quantization`.
    #[must_use]
    pub fn with_quantization(mut self, quantization: Quantization) -> Self {
        self.quantization = quantization;
        self
    }

    /// Has [`Quantization::Auto`] choose codes that, with their graphs, take at most `bytes` of memory.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget_bytes = Some(bytes);
        self
    }

    /// Spreads rows over `shards` shards.
    #[must_use]
    pub fn with_shards(mut self, shards: u16) -> Self {
        self.shards = shards;
        self
    }

    /// Declares an index on the metadata at `path`.
    #[must_use]
    pub fn with_indexed_field(mut self, path: impl Into<String>, kind: FieldKind) -> Self {
        self.indexed_fields.push(IndexedField { path: path.into(), kind });
        self
    }

    /// Sets when a write counts as done.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Seals a segment every `rows` rows.
    #[must_use]
    pub fn with_seal_rows(mut self, rows: u32) -> Self {
        self.seal_rows = rows;
        self
    }

    /// Sets the graph's degree and build effort.
    #[must_use]
    pub fn with_graph(mut self, m: usize, ef_construction: usize) -> Self {
        (self.m, self.ef_construction) = (m, ef_construction);
        self
    }

    /// Sets the default search effort.
    #[must_use]
    pub fn with_ef_search(mut self, ef_search: usize) -> Self {
        self.ef_search = ef_search;
        self
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`], naming the setting and what it may be.
    pub fn validate(&self) -> Result<()> {
        check("dim", self.dim.into(), 1, DIM_MAX.into())?;
        check("shards", self.shards.into(), 1, 1024)?;
        self.quantization.validate(self.metric)?;
        check("ef_search", self.ef_search as u64, 1, EF_SEARCH_MAX as u64)?;
        check("seal_rows", self.seal_rows.into(), 1, SEGMENT_ROWS_MAX)?;
        check("segment_rows_max", self.segment_rows_max.into(), self.seal_rows.into(), SEGMENT_ROWS_MAX)?;
        check(
            "metadata_bytes_max",
            self.metadata_bytes_max.into(),
            0,
            vectra_metadata::ROW_BYTES_MAX as u64,
        )?;
        check("log_bytes_min", self.log_bytes_min, 4096, 1 << 30)?;
        check("log_bytes_max", self.log_bytes_max, self.log_bytes_min, 1 << 32)?;
        if matches!(self.durability, Durability::Interval(d) if d < Duration::from_millis(1)) {
            return Err(Error::invalid("durability: an interval below one millisecond; use Sync instead"));
        }
        self.graph_params()
            .validate()
            .map_err(|e| Error::caused(crate::ErrorKind::Invalid, "graph settings", e))?;
        self.schema().map(|_| ())
    }

    pub(crate) fn graph_params(&self) -> vectra_hnsw::Params {
        vectra_hnsw::Params { m: self.m, ef_construction: self.ef_construction, seed: self.seed }
    }

    pub(crate) fn schema(&self) -> Result<vectra_metadata::Schema> {
        vectra_metadata::Schema::new(self.indexed_fields.clone())
            .map_err(|e| Error::caused(crate::ErrorKind::Invalid, "indexed fields", e))
    }
}

fn check(name: &str, value: u64, min: u64, max: u64) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} is {value}; it must be between {min} and {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_limits_name_the_setting() {
        Settings::new(384).validate().expect("defaults");
        for (settings, name) in [
            (Settings::new(0), "dim"),
            (Settings::new(70_000), "dim"),
            (Settings::new(4).with_shards(0), "shards"),
            (Settings::new(4).with_ef_search(0), "ef_search"),
            (Settings::new(4).with_seal_rows(0), "seal_rows"),
            (Settings::new(4).with_graph(1000, 100), "graph"),
        ] {
            let error = settings.validate().expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
