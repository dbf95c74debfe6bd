//! How many tables, of how many bits, visited how often.

use vectra_core::env::{Rng, SeededRng};

use super::probes::patterns;

/// The most tables there can be.
pub const TABLES_MAX: u32 = 1024;

/// The most bits of a bucket's number.
pub const BITS_MAX: u32 = 24;

/// The most buckets of a table that a query visits.
pub const PROBES_MAX: u32 = 4096;

/// Rows that a bucket holds on average, or half as many.
const BUCKET: f64 = 16.0;

/// Tables that [`LshPrefilter::for_recall`] makes before it has more buckets visited: four bytes of a row each.
const TABLES_AT_EASE: u32 = 16;

/// Queries that [`LshPrefilter::found`] averages over.
const SAMPLES: usize = 128;

/// The settings of [`LshTables`](super::LshTables).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LshPrefilter {
    /// Tables, each of which has every row: 1 to [`TABLES_MAX`].
    pub tables: u32,
    /// Bits of a bucket's number: 1 to [`BITS_MAX`]. A table has `2^bits` buckets.
    pub bits: u32,
    /// Buckets of each table that a query visits: 1 to [`PROBES_MAX`].
    pub probes: u32,
    /// What draws the directions.
    pub seed: u64,
}

impl LshPrefilter {
    /// Settings with which of `rows` rows those that have at least the cosine `cosine` with a query are among its candidates with the
    /// probability `recall`: buckets of some 8 to 16 rows if they were even, and then, rather than more than sixteen tables, more
    /// of them visited.
    ///
    /// What it costs follows from the cosine alone: see [`share`](Self::share).
    ///
    /// # Panics
    /// If `recall` is not between 0 and 0.9999, or `cosine` not between -1 and 1.
    pub fn for_recall(rows: u32, recall: f64, cosine: f64) -> Self {
        assert!((0.0..=0.9999).contains(&recall), "a recall is between 0 and 0.9999");
        assert!((-1.0..=1.0).contains(&cosine), "a cosine is between -1 and 1");
        let bits = ((f64::from(rows) / BUCKET).log2().ceil() as u32).clamp(1, BITS_MAX);
        let mut settings = Self { tables: 1, bits, probes: 1, seed: 0 };
        loop {
            let in_one = settings.found(cosine);
            // 1 - (1 - p)^tables = recall
            let tables = ((1.0 - recall).ln() / (1.0 - in_one).max(f64::MIN_POSITIVE).ln()).ceil();
            settings.tables = (tables as u32).clamp(1, TABLES_MAX);
            let most = PROBES_MAX.min(1 << bits);
            if settings.tables <= TABLES_AT_EASE || settings.probes == most {
                return settings;
            }
            settings = Self { tables: 1, probes: (2 * settings.probes).min(most), ..settings };
        }
    }

    /// The probability with which a row that has the cosine `cosine` with a query is among its candidates, on average over queries
    /// and directions; computed over some drawn queries.
    pub fn found(&self, cosine: f64) -> f64 {
        self.check();
        let cotangent = cosine / (1.0 - cosine * cosine).max(0.0).sqrt();
        let dice = SeededRng::new(0x6c73_6800);
        let mut in_one = 0.0;
        for _ in 0..SAMPLES {
            let margins: Vec<f32> = (0..self.bits).map(|_| normal(&dice)).collect();
            // The row's component is the query's times the cosine and a normal one times the sine.
            let differs: Vec<f64> = margins.iter().map(|z| below(-f64::from(z.abs()) * cotangent)).collect();
            let mut hit = 0.0;
            for pattern in patterns(&margins, self.probes as usize) {
                let bits = differs.iter().enumerate();
                hit +=
                    bits.map(|(bit, p)| if pattern >> bit & 1 == 1 { *p } else { 1.0 - p }).product::<f64>();
            }
            in_one += hit / SAMPLES as f64;
        }
        1.0 - (1.0 - in_one.clamp(0.0, 1.0)).powi(self.tables as i32)
    }

    /// The share of rows that are candidates though they are at right angles to the query: what the filter lets through at least.
    pub fn share(&self) -> f64 {
        self.check();
        let visited = f64::from(self.probes.min(1 << self.bits)) / f64::from(1_u32 << self.bits);
        1.0 - (1.0 - visited).powi(self.tables as i32)
    }

    /// Bytes that the tables of `rows` rows take, in memory as in a file: four of each row in each table, four of each bucket.
    pub fn bytes(&self, rows: u32) -> u64 {
        self.check();
        super::HEADER_BYTES as u64 + u64::from(self.tables) * self.table_bytes(rows)
    }

    /// Bytes of one table.
    pub(super) fn table_bytes(self, rows: u32) -> u64 {
        4 * ((1 << self.bits) + 1 + u64::from(rows))
    }

    /// Components in random directions that the tables take.
    pub(super) fn directions(self) -> usize {
        (self.tables * self.bits) as usize
    }

    /// Whether all settings are within their limits.
    pub(super) fn is_sound(self) -> bool {
        (1..=TABLES_MAX).contains(&self.tables)
            && (1..=BITS_MAX).contains(&self.bits)
            && (1..=PROBES_MAX).contains(&self.probes)
    }

    pub(super) fn check(self) {
        assert!(self.is_sound(), "1 to 1024 tables of 1 to 24 bits, 1 to 4096 buckets visited: {self:?}");
    }
}

/// About a normal number: the sum of twelve even ones.
fn normal(dice: &SeededRng) -> f32 {
    let uniform = || (dice.next_u64() >> 40) as f32 / (1 << 24) as f32;
    (0..12).map(|_| uniform()).sum::<f32>() - 6.0
}

/// The probability that a normal number is below `x` (Abramowitz and Stegun 7.1.26, within 1e-7).
fn below(x: f64) -> f64 {
    if x.is_nan() {
        return 0.5;
    }
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let tail = 0.5 * series.iter().fold(0.0, |sum, factor| (sum * t) + factor) * t * (-z * z).exp();
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests;
