//! Tests of the crate through its public face.

mod damage;
mod dialect;
mod documents;
mod estimates;
mod exact_rows;
mod laws;
mod limits_of_numbers;
mod mixed_sections;
mod second_opinion;
mod segment;
mod semantics;
mod size;
