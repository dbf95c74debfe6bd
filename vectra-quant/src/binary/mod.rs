//! One bit per component: its sign.
//!
//! Where two vectors point in directions that know nothing of the axes, each component has different signs in both with the
//! probability angle / pi (Charikar 2002), so that the share of bits that differ says how wide the angle is, more exactly the
//! more components there are. Vectors whose components have means or sizes of their own break the premise; turned by a random
//! rotation first, any vectors keep it. The order of nearness is a rough one at a thirty-second of the memory: keep ten to
//! fifty times as many rows as are wanted and re-rank them by the vectors.

mod angle;
mod codec;
mod kernel;
mod query;
mod row;

pub use codec::Binary;
pub use query::BinaryQuery;

/// Rows of [`Binary`].
pub type BinaryRows<'a> = crate::store::Rows<'a, Binary>;
/// A section of rows of [`Binary`].
pub type BinaryView = crate::store::View<Binary>;
