//! NEON: plain arrays, which the compiler keeps in the registers that every processor of the architecture has.

use super::super::Lane;
use super::Kernels;
use super::generic;
use crate::isa::Isa;

/// To be handed out only after the feature was detected.
pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::Neon,
    nearest: generic::nearest::<Lane>,
    squares: generic::sums::<Lane, true>,
    products: generic::sums::<Lane, false>,
};
