//! Files of vectors and metadata. Every parser is total: any bytes give rows or a clear error.

mod check;
mod error;
mod fvecs;
mod items;
mod jsonl;
mod lines;
mod metadata;
mod npy;
mod vectors;

pub(crate) use check::{VectorRules, same_vector};
pub(crate) use error::InputError;
pub(crate) use items::{ItemFiles, Sized};
pub(crate) use metadata::MetadataFile;
pub(crate) use npy::{NpyFile, rows_of as npy_rows};
pub(crate) use vectors::VectorFile;
