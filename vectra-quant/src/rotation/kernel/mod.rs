//! The rounds, compiled for each instruction set. [`Kernels`] is the safe door: its methods check the length, and a table
//! is handed out only where its instruction set is.

use std::sync::OnceLock;

use super::rounds::Rounds;
use crate::isa::{Isa, Table, choose};

#[cfg(target_arch = "x86_64")]
mod x86_64;

/// Rotations with one instruction set.
pub(super) struct Kernels {
    isa: Isa,
    forward: RotateFn,
    backward: RotateFn,
}

/// `rotate(rounds, components)`; needs the instruction set.
type RotateFn = unsafe fn(&Rounds, &mut [f32]);

impl Kernels {
    /// Rotates the components where they are.
    ///
    /// # Panics
    /// If there are not as many as the rounds are for.
    pub(super) fn forward(&self, rounds: &Rounds, x: &mut [f32]) {
        assert_eq!(x.len(), rounds.len(), "vector and rotation have different dimensions");
        // SAFETY: a `Kernels` is handed out only where its instruction set is.
        unsafe { (self.forward)(rounds, x) }
    }

    /// Rotates the components back.
    ///
    /// # Panics
    /// If there are not as many as the rounds are for.
    pub(super) fn backward(&self, rounds: &Rounds, x: &mut [f32]) {
        assert_eq!(x.len(), rounds.len(), "vector and rotation have different dimensions");
        // SAFETY: a `Kernels` is handed out only where its instruction set is.
        unsafe { (self.backward)(rounds, x) }
    }
}

/// The registers of the base target; those of NEON are among them on its architecture.
static PORTABLE: Kernels =
    Kernels { isa: Isa::Portable, forward: Rounds::forward, backward: Rounds::backward };

impl Table for Kernels {
    fn isa(&self) -> Isa {
        self.isa
    }

    fn all() -> Vec<&'static Self> {
        let mut all: Vec<&'static Self> = Vec::new();
        #[cfg(target_arch = "x86_64")]
        all.extend(x86_64::TABLES);
        all.extend([&PORTABLE]);
        all
    }
}

/// The kernels to use on this machine, chosen at the first call.
pub(super) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    choose(&CHOSEN)
}
