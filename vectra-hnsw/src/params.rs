//! What a caller chooses about a graph.

/// The smallest and largest `m`.
pub(crate) const M_RANGE: std::ops::RangeInclusive<usize> = 4..=32;

/// The largest `ef_construction`: beyond it a build only gets slower.
const EF_CONSTRUCTION_MAX: usize = 4096;

/// Shape of a graph and effort spent on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Links chosen per new node, 4 to 32; a list holds at most `m` of them above layer 0 and `2 * m` on layer 0.
    pub m: usize,
    /// Width of the candidate pool while a node looks for its neighbours, 1 to 4096 (raised to `m` when smaller).
    pub ef_construction: usize,
    /// Decides, with the slot, how many layers a node is on.
    pub seed: u64,
}

impl Default for Params {
    /// `m` 16, `ef_construction` 160, a fixed seed: a good start from 100 to 1,000 dimensions.
    fn default() -> Self {
        Self { m: 16, ef_construction: 160, seed: 0x5eed }
    }
}

impl Params {
    /// Whether the numbers are within their ranges.
    pub fn validate(&self) -> Result<(), ParamsError> {
        if !M_RANGE.contains(&self.m) {
            return Err(ParamsError::M(self.m));
        }
        if !(1..=EF_CONSTRUCTION_MAX).contains(&self.ef_construction) {
            return Err(ParamsError::EfConstruction(self.ef_construction));
        }
        Ok(())
    }

    /// The most links of a node on `layer`.
    pub(crate) fn degree_max(&self, layer: usize) -> usize {
        if layer == 0 { 2 * self.m } else { self.m }
    }

    /// Words per node on `layer`: a row of layer 0 fills whole cache lines.
    pub(crate) fn stride(&self, layer: usize) -> usize {
        if layer == 0 { self.degree_max(0).next_multiple_of(16) } else { self.m }
    }

    /// Width of the pool during construction.
    pub(crate) fn ef(&self) -> usize {
        self.ef_construction.max(self.m)
    }

    /// The highest layer `slot` is on: layer `l` is reached with probability `m^-l`.
    ///
    /// A hash of seed and slot and not a stream of random numbers, so that the order of insertion does not matter.
    pub(crate) fn level_of(&self, slot: u32) -> usize {
        let draw = mix(self.seed ^ mix(u64::from(slot)));
        let mut threshold = u64::MAX / self.m as u64;
        let mut level = 0;
        while draw < threshold && level < crate::format::LAYERS_MAX {
            threshold /= self.m as u64;
            level += 1;
        }
        level
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood 2014): every bit of the input moves half the bits of the output.
pub(crate) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// Which parameter is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// `m` is not within 4 to 32.
    #[error("m is {0}, it must be within 4 to 32")]
    M(usize),
    /// `ef_construction` is not within 1 to 4096.
    #[error("ef_construction is {0}, it must be within 1 to 4096")]
    EfConstruction(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert_eq!(Params::default().validate(), Ok(()));
        assert_eq!(Params { m: 3, ..Params::default() }.validate(), Err(ParamsError::M(3)));
        assert_eq!(Params { m: 33, ..Params::default() }.validate(), Err(ParamsError::M(33)));
        let bad = Params { ef_construction: 0, ..Params::default() };
        assert_eq!(bad.validate(), Err(ParamsError::EfConstruction(0)));
    }

    #[test]
    fn strides_hold_the_degrees_and_never_exceed_a_mask() {
        for m in M_RANGE {
            let params = Params { m, ..Params::default() };
            for layer in 0..3 {
                assert!(params.degree_max(layer) <= params.stride(layer) && params.stride(layer) <= 64);
            }
            assert_eq!(params.stride(0) * 4 % 64, 0, "whole cache lines");
        }
    }

    #[test]
    fn levels_thin_out_by_m_and_depend_on_the_seed() {
        let params = Params { m: 8, ..Params::default() };
        let count = |p: &Params, level: usize| (0..100_000).filter(|slot| p.level_of(*slot) >= level).count();
        for (level, expected) in [(1, 12_500.0), (2, 1_562.5), (3, 195.3)] {
            let found = count(&params, level) as f64;
            assert!(
                (found - expected).abs() < expected * 0.3,
                "{found} nodes on layer {level}, expected {expected}"
            );
        }
        let other = Params { seed: 1, ..params };
        assert!((0..1000).any(|slot| params.level_of(slot) != other.level_of(slot)));
    }
}
