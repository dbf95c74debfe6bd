//! Distances between vectors: the metrics, the sums they need and the kernels that compute the sums.
//!
//! A [`Metric`] names what the user asked for. It needs one of three sums over dimensions, an [`Op`]; a
//! [`Kernels`] computes that sum between an `f32` query and stored rows of an [`Element`] type with the registers
//! of this machine. [`kernels`] picks it.
//!
//! ```
//! use vectra_core::distance::{Metric, kernels};
//!
//! let rows = [0.0_f32, 0.0, 3.0, 4.0, 1.0, 1.0]; // three rows of two dimensions
//! let mut out = [0.0; 2];
//! kernels::<f32>(Metric::L2.op()).gather(&[0.0, 0.0], &rows, &[1, 2], &mut out);
//! assert_eq!(out, [25.0, 2.0]);
//! ```

mod dispatch;
mod element;
mod kernel;
pub(crate) mod metric;
pub mod reference;

pub use dispatch::{Op, all_kernels, kernels};
pub use element::{Element, ElementKind, UnknownElement};
pub use kernel::Kernels;
pub use metric::{Metric, UnknownMetric};

#[cfg(test)]
mod tests;
