//! All rows of a segment: blocks of metadata, compressed, read at random.

mod cache;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use read::RowStore;
pub(crate) use write::RowBuffer;
