//! The segment that takes writes: append-only rows in memory, scanned by their codes, without a graph.
//!
//! Rows carry two LSNs: the one that made them and the one that killed them. A row belongs to a snapshot with
//! `visible_lsn = v` if `lsn <= v < dead`. A row is appended before its LSN is known (and is then in no snapshot);
//! [`Row::stamp`] dates it once the log has queued its frame.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use half::f16;
use parking_lot::RwLock;
use vectra_core::distance::ElementKind;
use vectra_core::vector::chunk::{ChunkReader, ChunkWriter, chunked};
use vectra_core::vector::column::{ColumnReader, ColumnWriter, column};
use vectra_core::{ItemId, Value};
use vectra_quant::{RowFactors, Sq8};
use vectra_wal::Lsn;

use super::exact::Vectors;
use super::ledger::{MetadataTerms, vector_term};
use crate::settings::Settings;

/// No LSN yet, or not dead.
pub(crate) const NEVER: Lsn = Lsn::MAX;
const ROWS_PER_CHUNK: usize = 512;

/// What stands beside the vector of a row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: ItemId,
    pub(crate) metadata: Arc<Value>,
    /// What the row adds to the ledger.
    pub(crate) sum: u128,
    lsn: AtomicU64,
    dead: AtomicU64,
    /// The row of the same id before this one in this segment.
    previous: Option<u32>,
}

impl Row {
    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn.load(Ordering::Acquire)
    }

    pub(crate) fn dead(&self) -> Lsn {
        self.dead.load(Ordering::Acquire)
    }

    /// Dates the row.
    pub(crate) fn stamp(&self, lsn: Lsn) {
        self.lsn.store(lsn, Ordering::Release);
    }

    /// Ends the row as of `lsn`.
    pub(crate) fn kill(&self, lsn: Lsn) {
        self.dead.store(lsn, Ordering::Release);
    }

    pub(crate) fn visible_at(&self, visible_lsn: Lsn) -> bool {
        self.lsn() <= visible_lsn && visible_lsn < self.dead()
    }
}

#[derive(Debug, Clone)]
enum VectorReader {
    F32(ChunkReader<f32>),
    F16(ChunkReader<f16>),
}

#[derive(Debug)]
enum VectorWriter {
    F32(ChunkWriter<f32>),
    F16(ChunkWriter<f16>),
}

/// The readers' side; frozen segments are the same thing without a writer.
#[derive(Debug)]
pub(crate) struct MutableSegment {
    /// Unique within the process; newer segments have larger numbers.
    pub(crate) number: u64,
    vectors: VectorReader,
    codes: ChunkReader<u8>,
    factors: ChunkReader<RowFactors>,
    /// 1 / length of each vector.
    inverse_norms: ChunkReader<f32>,
    rows: ColumnReader<Row>,
    newest: RwLock<BTreeMap<ItemId, u32>>,
}

/// The writer's side; one per shard, under its lock.
#[derive(Debug)]
pub(crate) struct MutableWriter {
    pub(crate) segment: Arc<MutableSegment>,
    codec: Sq8,
    vectors: VectorWriter,
    codes: ChunkWriter<u8>,
    factors: ChunkWriter<RowFactors>,
    inverse_norms: ChunkWriter<f32>,
    rows: ColumnWriter<Row>,
    code: Vec<u8>,
    id: Vec<u8>,
    terms: MetadataTerms,
}

/// An empty mutable segment.
pub(crate) fn create(settings: &Settings, number: u64) -> MutableWriter {
    let dim = settings.dim as usize;
    let codec = Sq8::new(dim, settings.metric);
    let (codes, code_reader) = chunked(codec.code_bytes(), ROWS_PER_CHUNK);
    let (factors, factor_reader) = chunked(1, ROWS_PER_CHUNK);
    let (inverse_norms, norm_reader) = chunked(1, ROWS_PER_CHUNK);
    let (rows, row_reader) = column();
    let (vectors, vector_reader) = match settings.element {
        ElementKind::F32 => {
            let (w, r) = chunked(dim, ROWS_PER_CHUNK);
            (VectorWriter::F32(w), VectorReader::F32(r))
        }
        ElementKind::F16 => {
            let (w, r) = chunked(dim, ROWS_PER_CHUNK);
            (VectorWriter::F16(w), VectorReader::F16(r))
        }
    };
    let newest = RwLock::default();
    let segment = MutableSegment {
        number,
        vectors: vector_reader,
        codes: code_reader,
        factors: factor_reader,
        inverse_norms: norm_reader,
        rows: row_reader,
        newest,
    };
    let code = vec![0; codec.code_bytes()];
    let (id, terms) = (Vec::new(), MetadataTerms::default());
    let segment = Arc::new(segment);
    MutableWriter { segment, codec, vectors, codes, factors, inverse_norms, rows, code, id, terms }
}

impl MutableWriter {
    /// Appends an undated row; in no snapshot until [`Row::stamp`].
    pub(crate) fn push(&mut self, id: &ItemId, vector: &[f32], metadata: Arc<Value>) -> u32 {
        self.id.clear();
        id.encode_into(&mut self.id);
        // Before anything is copied: what becomes of the row later is compared with what came in.
        let mut sum = self.terms.term(&self.id, &metadata);
        let mut add = |stored: Vectors<'_>| {
            sum = sum.wrapping_add(vector_term(&self.id, stored.as_bytes()));
            stored.inverse_norm()
        };
        let inverse_norm = match &mut self.vectors {
            VectorWriter::F32(w) => {
                w.push(vector);
                add(Vectors::F32(vector))
            }
            VectorWriter::F16(w) => {
                let row: Vec<f16> = vector.iter().map(|x| f16::from_f32(*x)).collect();
                w.push(&row);
                add(Vectors::F16(&row))
            }
        };
        let factors = self.codec.encode_apart(vector, &mut self.code);
        self.codes.push(&self.code);
        self.factors.push(&[factors]);
        self.inverse_norms.push(&[inverse_norm]);
        let mut newest = self.segment.newest.write();
        let row = Row {
            id: id.clone(),
            metadata,
            sum,
            lsn: AtomicU64::new(NEVER),
            dead: AtomicU64::new(NEVER),
            previous: newest.get(id).copied(),
        };
        let slot = self.rows.push(row);
        newest.insert(id.clone(), slot);
        slot
    }
}

impl MutableSegment {
    /// How many rows there are, dated or not.
    pub(crate) fn len(&self) -> u32 {
        self.rows.len()
    }

    /// # Panics
    /// If `slot` is not below [`MutableSegment::len`].
    pub(crate) fn row(&self, slot: u32) -> &Row {
        self.rows.get(slot).expect("slots come from this segment")
    }

    /// The stored vector of `slot`.
    pub(crate) fn vector(&self, slot: u32) -> Vectors<'_> {
        match &self.vectors {
            VectorReader::F32(r) => Vectors::F32(r.row(slot)),
            VectorReader::F16(r) => Vectors::F16(r.row(slot)),
        }
    }

    /// 1 / the length of the vector of `slot`.
    pub(crate) fn inverse_norm(&self, slot: u32) -> f32 {
        self.inverse_norms.row(slot)[0]
    }

    /// Contiguous vectors covering the slots `0..len`, with the first slot of each run and 1 / their lengths.
    pub(crate) fn vector_runs(&self, len: u32) -> Vec<(u32, Vectors<'_>, &[f32])> {
        let norms = self.inverse_norms.runs(0..len);
        match &self.vectors {
            VectorReader::F32(r) => r
                .runs(0..len)
                .zip(norms)
                .map(|((first, x), (_, norms))| (first, Vectors::F32(x), norms))
                .collect(),
            VectorReader::F16(r) => r
                .runs(0..len)
                .zip(norms)
                .map(|((first, x), (_, norms))| (first, Vectors::F16(x), norms))
                .collect(),
        }
    }

    /// Contiguous codes covering the slots `0..len`, with the first slot of each run and the rows' factors.
    pub(crate) fn code_runs(&self, len: u32) -> impl Iterator<Item = (u32, &[u8], &[RowFactors])> {
        let factors = self.factors.runs(0..len);
        self.codes.runs(0..len).zip(factors).map(|((first, codes), (_, factors))| (first, codes, factors))
    }

    /// The newest row of `id`, dated or not, dead or alive.
    pub(crate) fn newest(&self, id: &ItemId) -> Option<u32> {
        self.newest.read().get(id).copied()
    }

    /// The row of `id` in the snapshot at `visible_lsn`.
    pub(crate) fn find(&self, id: &ItemId, visible_lsn: Lsn) -> Option<u32> {
        let mut slot = self.newest(id);
        while let Some(s) = slot {
            if self.row(s).visible_at(visible_lsn) {
                return Some(s);
            }
            slot = self.row(s).previous;
        }
        None
    }

    /// The visible rows with an id beyond `after`, in id order, at most `limit`.
    pub(crate) fn page(&self, after: Option<&ItemId>, limit: usize, visible_lsn: Lsn) -> Vec<(ItemId, u32)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let ids: Vec<ItemId> = {
            let newest = self.newest.read();
            newest.range((after.map_or(Unbounded, Excluded), Unbounded)).map(|(id, _)| id.clone()).collect()
        };
        let found = ids.into_iter().filter_map(|id| self.find(&id, visible_lsn).map(|slot| (id, slot)));
        found.take(limit).collect()
    }

    /// How many rows are visible at `visible_lsn`.
    pub(crate) fn visible_count(&self, visible_lsn: Lsn) -> u32 {
        self.rows.iter().filter(|row| row.visible_at(visible_lsn)).count() as u32
    }

    /// The smallest and the largest LSN of its dated rows.
    pub(crate) fn lsn_range(&self) -> Option<(Lsn, Lsn)> {
        let dated = || self.rows.iter().map(Row::lsn).filter(|lsn| *lsn != NEVER);
        Some((dated().min()?, dated().max()?))
    }

    /// Bytes of memory the rows take, metadata excluded.
    pub(crate) fn bytes(&self) -> usize {
        let vectors = match &self.vectors {
            VectorReader::F32(r) => r.bytes(),
            VectorReader::F16(r) => r.bytes(),
        };
        vectors + self.codes.bytes() + self.factors.bytes() + self.inverse_norms.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_belongs_to_the_snapshots_between_its_birth_and_its_death() {
        let mut writer = create(&Settings::new(2), 1);
        let id = ItemId::from(7_u64);
        let first = writer.push(&id, &[1.0, 0.0], Arc::new(Value::Null));
        let segment = Arc::clone(&writer.segment);
        assert_eq!(segment.find(&id, 100), None, "undated rows are in no snapshot");
        segment.row(first).stamp(5);
        let second = writer.push(&id, &[0.0, 2.0], Arc::new(Value::Null));
        segment.row(second).stamp(8);
        segment.row(first).kill(8);
        assert_eq!(segment.find(&id, 4), None);
        assert_eq!(segment.find(&id, 7), Some(first));
        assert_eq!(segment.find(&id, 8), Some(second));
        segment.row(second).kill(9);
        assert_eq!(segment.find(&id, 9), None);
        assert_eq!(segment.find(&id, 8), Some(second), "an older snapshot still sees it");
        assert_eq!(segment.lsn_range(), Some((5, 8)));
        assert_eq!(segment.page(None, 10, 8), [(id, second)]);
    }

    #[test]
    fn half_precision_rows_keep_what_half_precision_can() {
        let mut writer = create(&Settings::new(2).with_element(ElementKind::F16), 1);
        let slot = writer.push(&ItemId::from(1_u64), &[0.1, 3.0], Arc::new(Value::Null));
        let expected = [f16::from_f32(0.1).to_f32(), 3.0];
        assert_eq!(writer.segment.vector(slot).to_f32(), expected);
    }
}
