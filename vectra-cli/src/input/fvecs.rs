//! `.fvecs` files: each row is its dimension as i32 and then as many f32, all little-endian.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use vectra::ElementKind;

use super::error::{InputError, Result};
use super::npy::widen;

/// A file whose first row is sound and whose size fits it.
#[derive(Debug, Clone)]
pub(crate) struct FvecsFile {
    path: PathBuf,
    dim: usize,
    rows: u64,
}

/// Why bytes are no such file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum FvecsError {
    #[error("the file has {0} bytes, too few for one row")]
    Short(u64),
    #[error("the first row says that it has {0} components; 1 to {max} are possible", max = vectra::DIM_MAX)]
    Dim(i32),
    #[error("the file has {length} bytes, which is no multiple of a row of {row} bytes: it is truncated")]
    Length { length: u64, row: u64 },
}

/// Dimension and number of rows of a file of `length` bytes that begins with `first`.
fn shape(first: &[u8], length: u64) -> std::result::Result<(usize, u64), FvecsError> {
    let Some(first) = first.first_chunk() else { return Err(FvecsError::Short(length)) };
    let dim = i32::from_le_bytes(*first);
    let limits = 1..=vectra::DIM_MAX;
    let components =
        u32::try_from(dim).ok().filter(|dim| limits.contains(dim)).ok_or(FvecsError::Dim(dim))?;
    let row = 4 + 4 * u64::from(components);
    if length < row || !length.is_multiple_of(row) {
        return Err(FvecsError::Length { length, row });
    }
    Ok((components as usize, length / row))
}

impl FvecsFile {
    /// Reads the first dimension and checks it against the size of the file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |e| InputError::io(path, e);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut first = Vec::new();
        file.take(4).read_to_end(&mut first).map_err(failed)?;
        let (dim, rows) = shape(&first, length).map_err(|e| {
            InputError::bad(
                path,
                e.to_string(),
                "copy the file again, or name it after what it is (.npy, .jsonl)",
            )
        })?;
        Ok(Self { path: path.to_owned(), dim, rows })
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows
    }

    /// All rows, from the first.
    pub(crate) fn rows(&self) -> Result<FvecsRows> {
        let file = File::open(&self.path).map_err(|e| InputError::io(&self.path, e))?;
        let reader = BufReader::with_capacity(1 << 18, file);
        Ok(FvecsRows { reader, buffer: vec![0; 4 + 4 * self.dim], file: self.clone(), at: 0 })
    }
}

/// The rows of a file, one after the other.
#[derive(Debug)]
pub(crate) struct FvecsRows {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    file: FvecsFile,
    at: u64,
}

impl Iterator for FvecsRows {
    type Item = Result<Vec<f32>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.file.rows {
            return None;
        }
        let row = self.at;
        if let Err(e) = self.reader.read_exact(&mut self.buffer) {
            self.at = self.file.rows;
            return Some(Err(InputError::io(&self.file.path, e)));
        }
        self.at += 1;
        let (dim, elements) = self.buffer.split_first_chunk().expect("a row is at least 8 bytes");
        let dim = i32::from_le_bytes(*dim);
        if usize::try_from(dim) != Ok(self.file.dim) {
            let problem =
                format!("it says that it has {dim} components, the first row has {}", self.file.dim);
            self.at = self.file.rows;
            return Some(Err(InputError::bad_row(
                &self.file.path,
                row,
                problem,
                "all rows need one dimension",
            )));
        }
        Some(Ok(widen(elements, ElementKind::F32)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<f32>>> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.fvecs");
        std::fs::write(&path, bytes).expect("written");
        FvecsFile::open(&path)?.rows()?.collect()
    }

    fn row(dim: i32, values: &[f32]) -> Vec<u8> {
        let values = values.iter().flat_map(|x| x.to_le_bytes());
        dim.to_le_bytes().into_iter().chain(values).collect()
    }

    #[test]
    fn rows_come_back() {
        let bytes = [row(2, &[1.0, 2.0]), row(2, &[3.0, -4.5])].concat();
        assert_eq!(read(&bytes).expect("rows"), [[1.0, 2.0], [3.0, -4.5]]);
    }

    #[test]
    fn what_is_not_read_is_named() {
        assert_eq!(shape(&[], 0), Err(FvecsError::Short(0)));
        assert_eq!(shape(&(-3i32).to_le_bytes(), 12), Err(FvecsError::Dim(-3)));
        assert_eq!(shape(&0i32.to_le_bytes(), 12), Err(FvecsError::Dim(0)));
        assert_eq!(shape(&2i32.to_le_bytes(), 23), Err(FvecsError::Length { length: 23, row: 12 }));
        let mixed = [row(2, &[1.0, 2.0]), row(7, &[3.0, -4.5])].concat();
        let text = read(&mixed).expect_err("mixed").to_string();
        assert!(text.contains("row 1") && text.contains("7 components"), "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_bytes_give_a_shape_or_an_error(first in proptest::collection::vec(any::<u8>(), 0..6), length: u64) {
            if let Ok((dim, rows)) = shape(&first, length) {
                prop_assert_eq!(rows * (4 + 4 * dim as u64), length);
            }
        }

        #[test]
        fn any_small_file_gives_rows_or_an_error(dim in 0i32..4, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&[dim.to_le_bytes().as_slice(), &bytes].concat());
        }
    }
}
