//! Tables of buckets over rows.

use std::fmt;

use vectra_core::io::Blob;
use vectra_core::memory::AlignedBuf;

use super::format;
use super::probes::patterns;
use super::settings::LshPrefilter;
use crate::rotation::Rotation;
use crate::sq::{DIM_MAX, sane};

/// Which rows lie in which bucket of each table: 4 bytes of each row in each table, 4 of each bucket.
///
/// In memory it is the section that is written to a file. Opening checks the header and lengths; whatever the rest holds,
/// candidates are rows that there are, and at worst others than they should be.
#[derive(Clone)]
pub struct LshTables {
    settings: LshPrefilter,
    dim: usize,
    rows: u32,
    rotations: Vec<Rotation>,
    section: Blob,
}

impl LshPrefilter {
    /// Puts rows into buckets: `vectors` of `dim` components, one after the other. Holds 4 bytes of each row in each table
    /// beside the result while it works.
    ///
    /// # Panics
    /// If a setting is beyond its limit, `dim` not in `1..=`[`DIM_MAX`], `vectors` not a whole number of them, or not
    /// fewer than 2^32.
    pub fn build(&self, vectors: &[f32], dim: usize) -> LshTables {
        self.check();
        assert!((1..=DIM_MAX).contains(&dim), "the dimension is in 1..=65536");
        assert_eq!(vectors.len() % dim, 0, "a whole number of vectors");
        let rows = u32::try_from(vectors.len() / dim).expect("slots have 32 bits");
        let hasher = Hasher { settings: *self, rotations: rotations(*self, dim) };
        let tables = self.tables as usize;
        let mut keys = vec![0; tables * rows as usize];
        let mut components = Vec::new();
        for (row, vector) in vectors.chunks_exact(dim).enumerate() {
            hasher.components(vector, &mut components);
            for table in 0..tables {
                keys[table * rows as usize + row] = hasher.key(hasher.of_table(&components, table));
            }
        }
        let mut section =
            AlignedBuf::zeroed(usize::try_from(self.bytes(rows)).expect("the tables fit into memory"));
        let (header, body) = section.split_at_mut(format::HEADER_BYTES);
        header.copy_from_slice(&format::header(*self, dim, rows));
        let words = body.as_chunks_mut::<4>().0;
        let keys = keys.chunks_exact((rows as usize).max(1));
        for (keys, words) in keys.zip(words.chunks_exact_mut(self.table_bytes(rows) as usize / 4)) {
            fill(keys, self.bits, words);
        }
        let Hasher { rotations, .. } = hasher;
        LshTables { settings: *self, dim, rows, rotations, section: Blob::from_buf(section) }
    }
}

/// Writes a table: where each bucket begins and the last ends, then the rows, bucket by bucket, ascending.
fn fill(keys: &[u32], bits: u32, words: &mut [[u8; 4]]) {
    let (starts, slots) = words.split_at_mut((1 << bits) + 1);
    let mut counts = vec![0_u32; 1 << bits];
    keys.iter().for_each(|key| counts[*key as usize] += 1);
    let mut start = 0_u32;
    for (word, count) in starts.iter_mut().zip(&mut counts) {
        *word = start.to_le_bytes();
        (start, *count) = (start + *count, start);
    }
    starts[1 << bits] = start.to_le_bytes();
    for (slot, key) in (0_u32..).zip(keys) {
        let at = &mut counts[*key as usize];
        slots[*at as usize] = slot.to_le_bytes();
        *at += 1;
    }
}

impl LshTables {
    /// Opens a section, whose tables are used where they are.
    pub fn open_section(section: &Blob) -> Result<Self, crate::FormatError> {
        let (settings, dim, rows) = format::open(section)?;
        let rotations = rotations(settings, dim);
        Ok(Self { settings, dim, rows, rotations, section: section.clone() })
    }

    /// The bytes of a section, as they are in memory.
    pub fn section(&self) -> &Blob {
        &self.section
    }

    /// The settings they were built with.
    pub fn settings(&self) -> LshPrefilter {
        self.settings
    }

    /// Components per vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many rows lie in each table.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Writes the rows that share a bucket with `query` to `candidates`, each once and in ascending order. Total: a component that
    /// is not a number counts as zero, and a query without a direction as one of positive components.
    ///
    /// # Panics
    /// If `query` is not [`dim`](Self::dim) long.
    pub fn candidates(&self, query: &[f32], candidates: &mut Vec<u32>) {
        assert_eq!(query.len(), self.dim, "query and tables have different dimensions");
        let hasher = Hasher { settings: self.settings, rotations: self.rotations.clone() };
        let mut components = Vec::new();
        hasher.components(query, &mut components);
        let mut seen = vec![0_u64; (self.rows as usize).div_ceil(64)];
        let words = self.section[format::HEADER_BYTES..].as_chunks::<4>().0;
        let tables = words.chunks_exact(self.settings.table_bytes(self.rows) as usize / 4);
        for (at, table) in tables.enumerate() {
            let components = hasher.of_table(&components, at);
            let (starts, slots) = table.split_at((1 << self.settings.bits) + 1);
            let key = hasher.key(components);
            for pattern in patterns(components, self.settings.probes as usize) {
                let word = |at: u32| u32::from_le_bytes(starts[at as usize]) as usize;
                let bucket = key ^ pattern;
                let bucket = slots.get(word(bucket)..word(bucket + 1)).unwrap_or_default();
                for slot in bucket.iter().map(|bytes| u32::from_le_bytes(*bytes)) {
                    if slot < self.rows {
                        seen[slot as usize / 64] |= 1 << (slot % 64);
                    }
                }
            }
        }
        candidates.clear();
        for (first, mut bits) in (0_u32..).step_by(64).zip(seen) {
            while bits != 0 {
                candidates.push(first + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }
}

impl fmt::Debug for LshTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LshTables({} rows of {} dimensions, {:?})", self.rows, self.dim, self.settings)
    }
}

/// As many rotations as give a component for each bit of each table.
fn rotations(settings: LshPrefilter, dim: usize) -> Vec<Rotation> {
    let count = settings.directions().div_ceil(dim.next_multiple_of(64));
    (0..count as u64).map(|i| Rotation::new(dim, settings.seed.wrapping_add(i))).collect()
}

/// What turns vectors into numbers of buckets.
struct Hasher {
    settings: LshPrefilter,
    rotations: Vec<Rotation>,
}

impl Hasher {
    /// The components of `vector` in all directions.
    fn components(&self, vector: &[f32], out: &mut Vec<f32>) {
        let (vector, padded) = (sane(vector), self.rotations[0].padded());
        out.resize(self.rotations.len() * padded, 0.0);
        for (rotation, out) in self.rotations.iter().zip(out.chunks_exact_mut(padded)) {
            rotation.apply(&vector, out);
        }
    }

    /// Those of one table.
    fn of_table<'a>(&self, components: &'a [f32], table: usize) -> &'a [f32] {
        let bits = self.settings.bits as usize;
        &components[table * bits..][..bits]
    }

    /// The number of the bucket: a bit for each component below zero.
    fn key(&self, components: &[f32]) -> u32 {
        debug_assert_eq!(components.len(), self.settings.bits as usize, "the components of one table");
        components.iter().rev().fold(0, |key, x| key << 1 | u32::from(*x < 0.0))
    }
}

#[cfg(test)]
mod tests;
