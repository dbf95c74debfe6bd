//! The exact scan against what the machine can read.

use std::time::{Duration, Instant};

use vectra::Index;

use crate::Outcome;
use crate::measure::{Reading, median};
use crate::report::{ExactScan, Rates};

/// How long turns are taken before they count: after work that found everything in caches, memory was seen to be slower for some
/// tenths of a second.
const WARM_UP: Duration = Duration::from_millis(300);

/// An index whose exact scans take turns with plain reading of as many bytes, all by the calling thread.
pub(super) struct Turns<'a> {
    index: &'a Index,
    queries: &'a [&'a [f32]],
    k: usize,
    bytes: u64,
    reading: Reading,
    asked: usize,
}

impl<'a> Turns<'a> {
    /// There is at least one query.
    pub(super) fn new(index: &'a Index, queries: &'a [&'a [f32]], k: usize) -> Self {
        let settings = index.settings();
        let bytes = scanned_bytes(index.stats().items, settings.dim, settings.element.size());
        Self { index, queries, k, bytes, reading: Reading::new(bytes), asked: 0 }
    }

    /// So many turns, at least one; medians.
    pub(super) fn take(&mut self, turns: usize) -> Outcome<ExactScan> {
        let start = Instant::now();
        while start.elapsed() < WARM_UP {
            self.by_turns(1)?;
        }
        Ok(ExactScan { bytes: self.bytes, by_turns: self.by_turns(turns)?, repeated: self.repeated(turns)? })
    }

    /// Whatever either leaves in a cache, the other drives out: what does not fit a cache twice comes from memory.
    fn by_turns(&mut self, turns: usize) -> Outcome<Rates> {
        let (mut scans, mut readings) = (Vec::new(), Reading::WAYS.map(|_| Vec::new()));
        for _ in 0..turns {
            for (way, rates) in Reading::WAYS.into_iter().zip(&mut readings) {
                scans.push(self.scan()?);
                rates.push(self.reading.pass(way));
            }
        }
        Ok(Rates { scan: median(scans), reading: readings.map(median).into_iter().fold(0.0, f64::max) })
    }

    /// One scan after the other, and one pass over the buffer after the other, of which the fastest of each turn counts: a
    /// cache may have some of it still.
    fn repeated(&mut self, turns: usize) -> Outcome<Rates> {
        let pass = |_| Reading::WAYS.map(|way| self.reading.pass(way)).into_iter().fold(0.0, f64::max);
        pass(0);
        let reading = median((0..turns).map(pass).collect());
        self.scan()?;
        let scans = (0..turns).map(|_| self.scan()).collect::<Outcome<_>>()?;
        Ok(Rates { scan: median(scans), reading })
    }

    /// Another query, in bytes per second.
    fn scan(&mut self) -> Outcome<f64> {
        let query = self.queries[self.asked % self.queries.len()];
        self.asked += 1;
        let start = Instant::now();
        self.index.query(query).top_k(self.k).without_metadata().exact().run()?;
        Ok(self.bytes as f64 / start.elapsed().as_secs_f64().max(f64::MIN_POSITIVE))
    }
}

/// The vectors alone: what else a scan reads (lengths under cosine) does not count in its favour.
fn scanned_bytes(rows: u64, dim: u32, element_bytes: usize) -> u64 {
    rows * u64::from(dim) * element_bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_elements_count() {
        assert_eq!(scanned_bytes(63_666, 384, 2), 48_895_488);
    }
}
