#![doc = include_str!("../README.md")]
#![deny(unsafe_op_in_unsafe_fn)]

// What a section of codes says about itself, and the closed set of codecs.
pub mod format;
pub mod quantizer;

// Which instruction sets kernels are for.
mod isa;

// What codecs have in common, and the one store of rows for all of them.
pub mod codec;
pub mod store;

// Scalar codes: one byte per dimension.
pub mod sq;

// Half of that, for walks.
pub mod sq4;

// Signs alone.
pub mod binary;

// Sums of table entries over blocks of short codes.
pub mod fastscan;

// One to eight bits of rotated vectors, with bounds of their errors.
pub mod pruned;
pub mod rabitq;

// Centroids that stand for many vectors, and what finds the nearest of them.
mod columns;
pub mod kmeans;

// Codes of pieces, from centroids that were trained.
pub mod pq;

// Buckets of rows that are much alike.
pub mod lsh;

// Fewer dimensions first, where vectors differ in few.
pub mod coder;
pub mod projection;

// Components that are all alike, for codes of few bits.
pub mod rotated;
pub mod rotation;

pub use crate::binary::{Binary, BinaryQuery, BinaryRows, BinaryView};
pub use crate::codec::{CodeQuery, Codec};
pub use crate::coder::{Coded, Coder};
pub use crate::columns::Nearest;
pub use crate::format::{FormatError, Header};
pub use crate::kmeans::{Centroids, KMeans, TrainError};
pub use crate::pq::{Pq, PqBlocks, PqFormatError, PqQuery, PqRotation, PqRows, PqSettings, PqShape, PqView};
pub use crate::projection::Projection;
pub use crate::quantizer::Quantizer;
pub use crate::rabitq::{Estimate, RaBitQ, RaBitQQuery, RaBitQRows, RaBitQView};
pub use crate::rotated::Rotated;
pub use crate::rotation::Rotation;
pub use crate::sq::{RowFactors, Sq8, Sq8Query, Sq8Rows, Sq8View};
pub use crate::sq4::{Sq4, Sq4Query, Sq4Rows, Sq4View};
pub use crate::store::{RowScorer, Rows, View};
