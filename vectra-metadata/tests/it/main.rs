//! Tests of the crate through its public face.

mod damage;
mod dialect;
mod documents;
mod laws;
mod segment;
mod semantics;
mod size;
