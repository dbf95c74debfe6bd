//! Writing arrays and other files row by row; what is cut off never has the name of what is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use half::f16;

use super::header::Dtype;

/// Elements start at a multiple of this.
const ALIGN: usize = 64;

/// A file that gets its name when it is finished.
#[derive(Debug)]
pub(crate) struct Partial {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Partial {
    /// Begins the file that is to be `path`; what another run left unfinished is replaced.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(File::create(unfinished(path))?), path: path.to_owned() })
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        std::fs::rename(unfinished(&self.path), &self.path)
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// An array that is written row after row.
#[derive(Debug)]
pub(crate) struct ArrayWriter {
    file: Partial,
    dtype: Dtype,
    /// Elements that are still to come.
    missing: u64,
}

impl ArrayWriter {
    /// Begins an array of `rows` rows of `columns` elements.
    pub(crate) fn create(path: &Path, dtype: Dtype, rows: u64, columns: usize) -> io::Result<Self> {
        let mut file = Partial::create(path)?;
        file.write_all(&header(dtype, rows, columns))?;
        Ok(Self { file, dtype, missing: rows * columns as u64 })
    }

    /// Appends numbers.
    ///
    /// # Panics
    /// If the array is one of whole numbers, or has fewer elements.
    pub(crate) fn floats(&mut self, row: &[f32]) -> io::Result<()> {
        self.count(row.len());
        match self.dtype {
            Dtype::F16 => row.iter().try_for_each(|x| self.file.write_all(&f16::from_f32(*x).to_le_bytes())),
            Dtype::F32 => row.iter().try_for_each(|x| self.file.write_all(&x.to_le_bytes())),
            found => panic!("floats do not go into an array of {found:?}"),
        }
    }

    /// Appends row numbers.
    ///
    /// # Panics
    /// If the array is not one of `i32`, or has fewer elements, or a number is beyond what an `i32` holds.
    pub(crate) fn numbers(&mut self, row: &[u32]) -> io::Result<()> {
        self.count(row.len());
        assert_eq!(self.dtype, Dtype::I32, "row numbers are written as i32");
        let signed = |number: &u32| i32::try_from(*number).expect("sets have fewer rows than 2^31");
        row.iter().try_for_each(|number| self.file.write_all(&signed(number).to_le_bytes()))
    }

    fn count(&mut self, elements: usize) {
        self.missing = self.missing.checked_sub(elements as u64).expect("no more elements than announced");
    }

    /// Gives the array its name.
    ///
    /// # Panics
    /// If elements are missing.
    pub(crate) fn finish(self) -> io::Result<()> {
        assert_eq!(self.missing, 0, "as many elements as announced");
        self.file.finish()
    }
}

/// Magic, version 1.0, length, and the dictionary filled up with blanks.
fn header(dtype: Dtype, rows: u64, columns: usize) -> Vec<u8> {
    let fields =
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}", dtype.descr());
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    let whole = (bytes.len() + 2 + fields.len() + 1).next_multiple_of(ALIGN);
    bytes.extend(((whole - bytes.len() - 2) as u16).to_le_bytes());
    bytes.extend(fields.as_bytes());
    bytes.resize(whole - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Array;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.npy");
        for dtype in [Dtype::F16, Dtype::F32] {
            let mut writer = ArrayWriter::create(&path, dtype, 2, 3).expect("writable");
            writer.floats(&[1.0, -0.5, 3.0]).expect("writable");
            assert!(Array::open(&unfinished(&path)).is_err(), "a row is missing");
            writer.floats(&[0.1, 0.0, 1e9]).expect("writable");
            writer.finish().expect("writable");
            let mut array = Array::open(&path).expect("whole");
            assert_eq!((array.rows(), array.columns(), array.dtype()), (2, 3, dtype));
            assert_eq!(array.vectors(0, 1).expect("there"), [1.0, -0.5, 3.0]);
            let last = array.vectors(1, 1).expect("there");
            let expected =
                if dtype == Dtype::F16 { [0.099_975_586, 0.0, f32::INFINITY] } else { [0.1, 0.0, 1e9] };
            assert_eq!(last, expected);
        }
        let mut writer = ArrayWriter::create(&path, Dtype::I32, 1, 2).expect("writable");
        writer.numbers(&[7, 0]).expect("writable");
        writer.finish().expect("writable");
        assert_eq!(Array::open(&path).expect("whole").integers(0, 1).expect("there"), [7, 0]);
    }

    #[test]
    fn elements_start_at_a_multiple_of_64() {
        for rows in [1, 1000, 1_000_000_000] {
            let header = header(Dtype::F32, rows, 768);
            assert!(header.len().is_multiple_of(ALIGN) && header.ends_with(b"\n"));
        }
    }

    #[test]
    fn an_unfinished_file_has_another_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("fields.jsonl");
        let mut file = Partial::create(&path).expect("writable");
        file.write_all(b"{}\n").expect("writable");
        assert!(!path.exists());
        file.finish().expect("writable");
        assert_eq!(std::fs::read(&path).expect("there"), b"{}\n");
    }
}
