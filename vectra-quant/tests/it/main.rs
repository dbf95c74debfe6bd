//! The crate from outside: what bytes it writes, what codes keep of vectors, how well they find neighbours.

mod drift;
mod fastscan;
mod golden;
mod kernels;
mod lsh;
mod pq;
mod rabitq;
mod recall;
mod rows;
mod signs;

use vectra_quant::{Codec, Sq8};

/// The rows of `vectors`, one after the other.
fn encode_all(sq8: Sq8, vectors: &[f32]) -> Vec<u8> {
    let mut rows = vec![0; vectors.len() / sq8.dim() * sq8.row_bytes()];
    for (vector, row) in vectors.chunks_exact(sq8.dim()).zip(rows.chunks_exact_mut(sq8.row_bytes())) {
        sq8.encode(vector, row);
    }
    rows
}
