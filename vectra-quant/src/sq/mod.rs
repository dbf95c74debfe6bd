//! Scalar codes: each dimension rounded to a grid of 256 levels that spans the vector's own range.
//!
//! The range belongs to the vector, not to the collection (as in locally-adaptive quantization, LVQ, Aguerrebere et
//! al. 2023, there with a common mean that is left out here): nothing is trained, nothing drifts as data changes,
//! and a query encoded once can be compared with the codes of every segment.

mod codec;
mod cross;
mod formula;
pub mod kernel;
mod levels;
mod manhattan;
mod near;
mod packed;
mod query;
mod row;

pub(crate) use codec::sane;
pub use codec::{DIM_MAX, Sq8};
pub(crate) use packed::Packed;
pub use query::Sq8Query;
pub use row::RowFactors;

/// Rows of [`Sq8`].
pub type Sq8Rows<'a> = crate::store::Rows<'a, Sq8>;
/// A section of rows of [`Sq8`].
pub type Sq8View = crate::store::View<Sq8>;
