//! The loops with registers of 512 and of 256 bits.

use super::super::rounds::Rounds;
use super::Kernels;
use crate::isa::Isa;

/// The entry points of one instruction set: the loops compiled with its features.
macro_rules! entry_points {
    ($module:ident, $isa:ident, $features:literal) => {
        mod $module {
            use super::{Isa, Kernels, Rounds};

            #[target_feature(enable = $features)]
            fn forward(rounds: &Rounds, x: &mut [f32]) {
                rounds.forward(x);
            }

            #[target_feature(enable = $features)]
            fn backward(rounds: &Rounds, x: &mut [f32]) {
                rounds.backward(x);
            }

            /// To be handed out only after the features were detected.
            pub(super) static KERNELS: Kernels = Kernels { isa: Isa::$isa, forward, backward };
        }
    };
}
// What has VNNI in 512 bits has the rest of what is needed in them.
entry_points!(avx512, Avx512Vnni, "avx512f");
entry_points!(avx2, Avx2, "avx2");

/// The preferred one first.
pub(super) static TABLES: [&Kernels; 2] = [&avx512::KERNELS, &avx2::KERNELS];
