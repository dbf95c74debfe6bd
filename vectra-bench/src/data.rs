//! Reading and writing two-dimensional arrays in `NumPy`'s npy format, row by row.
//!
//! Files are input: nothing in them makes the reader panic or allocate more than the file is long.

mod header;
mod synthetic;
mod writer;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use half::f16;

pub(crate) use header::Dtype;
use header::{Header, Malformed};
pub(crate) use synthetic::Synthetic;
pub(crate) use writer::{ArrayWriter, Partial};

/// Why an array cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ArrayError {
    /// The operating system refused.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What was refused.
        source: io::Error,
    },
    /// The header is not one that is understood.
    #[error("{file}: not an npy file that can be read: {source}")]
    Header {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: Malformed,
    },
    /// The file is shorter or longer than its header says.
    #[error("{file}: the header tells of {expected} bytes, the file has {found}: truncated or damaged")]
    Length {
        /// The file.
        file: String,
        /// Header and elements together.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The elements are of another type than is needed.
    #[error("{file}: elements are {found:?}, needed are {needed}")]
    Elements {
        /// The file.
        file: String,
        /// The type of the file.
        found: Dtype,
        /// The types that would do.
        needed: &'static str,
    },
    /// A row that the array does not have.
    #[error("{file}: asked for rows {first}..{end}, it has {rows}")]
    Row {
        /// The file.
        file: String,
        /// First row asked for.
        first: usize,
        /// One behind the last row asked for.
        end: usize,
        /// Rows there are.
        rows: usize,
    },
}

/// An open array; rows are read when they are asked for.
#[derive(Debug)]
pub(crate) struct Array<R> {
    file: String,
    source: R,
    header: Header,
}

impl Array<File> {
    /// Opens the array at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, ArrayError> {
        let file = path.display().to_string();
        let source = File::open(path).map_err(|source| ArrayError::Io { file: file.clone(), source })?;
        Self::new(file, source)
    }
}

impl<R: Read + Seek> Array<R> {
    /// Reads and checks the header in `source`; `file` is its name in errors.
    pub(crate) fn new(file: String, mut source: R) -> Result<Self, ArrayError> {
        let io = |source| ArrayError::Io { file: file.clone(), source };
        let found = source.seek(SeekFrom::End(0)).map_err(io)?;
        source.rewind().map_err(io)?;
        let mut start = Vec::new();
        source.by_ref().take(header::BYTES_MAX).read_to_end(&mut start).map_err(io)?;
        let header =
            Header::parse(&start).map_err(|source| ArrayError::Header { file: file.clone(), source })?;
        if header.file_bytes() != Some(found) {
            let expected = header.file_bytes().unwrap_or(u64::MAX);
            return Err(ArrayError::Length { file, expected, found });
        }
        Ok(Self { file, source, header })
    }

    /// The type of the elements.
    pub(crate) fn dtype(&self) -> Dtype {
        self.header.dtype
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.header.rows
    }

    /// Elements per row.
    pub(crate) fn columns(&self) -> usize {
        self.header.columns
    }

    /// The bytes of `count` rows from row `first` on.
    fn bytes(&mut self, first: usize, count: usize) -> Result<Vec<u8>, ArrayError> {
        let rows = self.rows();
        let end = first.saturating_add(count);
        if end > rows {
            return Err(ArrayError::Row { file: self.file.clone(), first, end, rows });
        }
        // Within the file's length, which was checked when it was opened.
        let row_bytes = self.columns() * self.dtype().size();
        let mut bytes = vec![0; count * row_bytes];
        let offset = self.header.data_offset + (first * row_bytes) as u64;
        self.source
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.source.read_exact(&mut bytes))
            .map_err(|source| ArrayError::Io { file: self.file.clone(), source })?;
        Ok(bytes)
    }

    /// `count` rows of numbers from row `first` on, widened to f32, row after row.
    pub(crate) fn vectors(&mut self, first: usize, count: usize) -> Result<Vec<f32>, ArrayError> {
        let decode: fn(&[u8]) -> f32 = match self.dtype() {
            Dtype::F16 => |b| f16::from_le_bytes([b[0], b[1]]).to_f32(),
            Dtype::F32 => |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            found => {
                return Err(ArrayError::Elements { file: self.file.clone(), found, needed: "f16 or f32" });
            }
        };
        Ok(self.bytes(first, count)?.chunks_exact(self.dtype().size()).map(decode).collect())
    }

    /// `count` rows of whole numbers from row `first` on, row after row.
    pub(crate) fn integers(&mut self, first: usize, count: usize) -> Result<Vec<i64>, ArrayError> {
        let decode: fn(&[u8]) -> i64 = match self.dtype() {
            Dtype::I32 => |b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]).into(),
            Dtype::I64 => |b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            found => {
                return Err(ArrayError::Elements { file: self.file.clone(), found, needed: "i32 or i64" });
            }
        };
        Ok(self.bytes(first, count)?.chunks_exact(self.dtype().size()).map(decode).collect())
    }
}

#[cfg(test)]
mod tests;
