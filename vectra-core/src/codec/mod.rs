//! Bytes: bounded little-endian reading and writing, checksums and the encoding of values.
//!
//! Every number read from a file is hostile until checked: [`Reader`] never reads past its input and never allocates
//! by a length it has not compared with the bytes that are there.

mod checksum;
mod reader;
mod value;
mod writer;

pub use checksum::{Digest, Digester, crc32c, crc32c_append, digest};
pub use reader::{DecodeError, Reader};
pub use value::{decode_value, encode_value};
pub use writer::Writer;
