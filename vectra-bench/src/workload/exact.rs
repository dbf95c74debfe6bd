//! The exact scan against what the machine can read.

use vectra::Index;

use crate::measure::read_bandwidth;
use crate::report::{ExactScan, Point};

/// Sets the exact `point` of `index` against plain reading of as many bytes.
pub(super) fn against_bandwidth(index: &Index, point: &Point) -> ExactScan {
    let settings = index.settings();
    let bytes = scanned_bytes(index.stats().items, settings.dim, settings.element.size());
    let bandwidth = read_bandwidth(bytes);
    ExactScan {
        bytes,
        bytes_per_s: bytes as f64 / (point.p50_us / 1e6),
        bandwidth_best: bandwidth.best,
        bandwidth_median: bandwidth.median,
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
