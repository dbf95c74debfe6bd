//! Codes of one to eight bits of rotated vectors, whose distances say by how much they may be wrong.
//!
//! `RaBitQ` (Gao and Long, 2024, and Gao et al., 2025): a vector becomes the point of a grid around zero that points most like
//! it, and a factor that makes the inner product of both the squared length of the vector. What the code is wrong by is
//! then at right angles to the vector, and, since a random [rotation](crate::Rotated) came before, in a direction that chance
//! decides: products with any other vector are right on average, and their error is normally distributed with a deviation that
//! is known for each row. [`RaBitQQuery::estimate`] gives both; [`pruned`](crate::pruned) turns them into exact results with few
//! reads of vectors.
//!
//! Without a rotation codes work as well as those of [`Sq4`](crate::Sq4) do, but what is said of errors holds only after one.

mod codec;
mod formula;
mod kernel;
mod levels;
mod query;
mod row;
mod signs;
mod split;

pub use codec::{BITS_MAX, RaBitQ};
pub use formula::Estimate;
pub use query::{EPS, RaBitQQuery};
pub use signs::{HEADER_BYTES, SignBlocks, SignQuery};
pub use split::{Split, SplitQuery};

/// Rows of [`RaBitQ`].
pub type RaBitQRows<'a> = crate::store::Rows<'a, RaBitQ>;
/// A section of rows of [`RaBitQ`].
pub type RaBitQView = crate::store::View<RaBitQ>;
