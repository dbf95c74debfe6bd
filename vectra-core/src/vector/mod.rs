//! Vectors in memory: rows that grow while they are read, and the norms and checks a vector goes through first.

pub mod chunk;
pub mod column;
pub mod dense;
pub mod normalize;
