//! `NumPy` array files: little-endian f32 or f16, C order, two dimensions.
//!
//! Layout: NEP 1, "A Simple File Format for `NumPy` Arrays": magic, version, header length, a Python dictionary
//! literal padded with spaces, then the elements.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::f16;
use vectra::ElementKind;

use super::error::{InputError, Result};

mod header;

#[cfg(test)]
mod tests;

use header::{Header, PREFIX_MAX};

/// The bytes every such file begins with.
pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// A checked file: its header is sound and its size fits.
#[derive(Debug, Clone)]
pub(crate) struct NpyFile {
    path: PathBuf,
    header: Header,
}

impl NpyFile {
    /// Reads the header and checks it against the size of the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |e| InputError::io(path, e);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut prefix = Vec::new();
        file.take(PREFIX_MAX as u64).read_to_end(&mut prefix).map_err(failed)?;
        let header = Header::parse(&prefix).and_then(|header| header.check_length(length).map(|()| header));
        let header = header.map_err(|e| InputError::bad(path, e.to_string(), e.hint()))?;
        Ok(Self { path: path.to_owned(), header })
    }

    pub(crate) fn dim(&self) -> usize {
        self.header.columns as usize
    }

    pub(crate) fn element(&self) -> ElementKind {
        self.header.element
    }

    pub(crate) fn len(&self) -> u64 {
        self.header.rows
    }

    /// All rows, from the first.
    pub(crate) fn rows(&self) -> Result<NpyRows> {
        self.rows_from(0)
    }

    /// The row `row`.
    pub(crate) fn row(&self, row: u64) -> Result<Vec<f32>> {
        let outside = || {
            let problem = format!("there is no row {row}; the file has {} rows", self.len());
            InputError::bad(&self.path, problem, "rows are counted from 0")
        };
        if row >= self.len() {
            return Err(outside());
        }
        self.rows_from(row)?.next().ok_or_else(outside)?
    }

    fn rows_from(&self, row: u64) -> Result<NpyRows> {
        let failed = |e| InputError::io(&self.path, e);
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.header.data_at + row * self.header.row_bytes())).map_err(failed)?;
        let buffer = vec![0; self.header.row_bytes() as usize];
        let reader = BufReader::with_capacity(1 << 18, file);
        Ok(NpyRows {
            path: self.path.clone(),
            reader,
            buffer,
            element: self.header.element,
            left: self.len() - row,
        })
    }
}

/// The rows of a file, one after the other.
#[derive(Debug)]
pub(crate) struct NpyRows {
    path: PathBuf,
    reader: BufReader<File>,
    buffer: Vec<u8>,
    element: ElementKind,
    left: u64,
}

impl Iterator for NpyRows {
    type Item = Result<Vec<f32>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if let Err(e) = self.reader.read_exact(&mut self.buffer) {
            self.left = 0;
            return Some(Err(InputError::io(&self.path, e)));
        }
        Some(Ok(widen(&self.buffer, self.element)))
    }
}

/// Little-endian elements as f32.
pub(crate) fn widen(bytes: &[u8], element: ElementKind) -> Vec<f32> {
    match element {
        ElementKind::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        ElementKind::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    }
}

/// All rows of a file that is in memory, for data that ships inside the program.
pub(crate) fn rows_of(bytes: &[u8]) -> std::result::Result<Vec<Vec<f32>>, String> {
    let header = Header::parse(bytes).map_err(|e| e.to_string())?;
    header.check_length(bytes.len() as u64).map_err(|e| e.to_string())?;
    let data = &bytes[header.data_at as usize..];
    Ok(data.chunks_exact(header.row_bytes() as usize).map(|row| widen(row, header.element)).collect())
}
