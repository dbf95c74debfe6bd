//! Product quantization: a vector is cut into short pieces, and each piece is replaced by the number of the nearest of 16 or
//! 256 centroids that were trained for it (Jegou, Douze and Schmid 2011).
//!
//! Codes are as short as one likes, down to half a byte for many dimensions, and the only ones here that are trained: the
//! sample should look like the vectors to come. A query is compared through tables that hold, for each piece, its distances to
//! all centroids: what comes out is the exact distance to the vector that the codes stand for. Optimized product
//! quantization (Ge, He, Ke and Sun 2013) turns the vectors first, so that pieces are of the same weight and what belongs
//! together is in one; it helps most where components depend on each other, and costs a product with a matrix for each
//! vector and query. Where distances are made of products, codes may also be chosen for what they keep of these (Guo et al. 2020).

mod anisotropic;
mod blocks;
mod codec;
mod correction;
mod format;
mod model;
#[cfg(feature = "opq")]
mod opq;
mod pieces;
mod query;
mod train;
mod turn;

pub use blocks::PqBlocks;
pub use codec::Pq;
pub use format::PqFormatError;
pub use pieces::PqShape;
pub use query::PqQuery;
pub use train::{OPQ_DIM_MAX, PqRotation, PqSettings};

/// Rows of [`Pq`].
pub type PqRows<'a> = crate::store::Rows<'a, Pq>;
/// A section of rows of [`Pq`].
pub type PqView = crate::store::View<Pq>;
