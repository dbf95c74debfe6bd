//! Codes of four bits: each component rounded to one of 16 levels around zero, whose width is the vector's own.
//!
//! Half the memory of [`Sq8`](crate::Sq8), for walks that are limited by what they read. Levels lie symmetrically around
//! zero, so the vectors should: the components that a [`Projection`](crate::Projection) keeps do, as differences to a
//! centre along directions that mix the vectors' own components. The width of the levels is the one whose code points
//! most like the vector, and the factor that turns levels into components makes the inner product of vector and code
//! the squared length of the vector (`RaBitQ` with several bits, Gao et al. 2025, there after a random rotation): what the
//! code is wrong by is at right angles to the vector and mixes with other vectors as noise does.
//!
//! Errors are larger than those of [`Sq8`](crate::Sq8): re-rank two or three times as many candidates as are wanted.

mod codec;
mod formula;
mod kernel;
mod levels;
mod query;
mod row;

pub use codec::Sq4;
pub use query::Sq4Query;

/// Rows of [`Sq4`].
pub type Sq4Rows<'a> = crate::store::Rows<'a, Sq4>;
/// A section of rows of [`Sq4`].
pub type Sq4View = crate::store::View<Sq4>;
