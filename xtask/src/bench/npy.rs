//! Writing two-dimensional arrays in `NumPy`'s npy format, version 1.0.

use crate::Outcome;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The header's length, magic included, is a multiple of this.
const ALIGNMENT: usize = 64;
/// Magic, version and the length of the rest of the header.
const PREFIX: usize = 10;

/// Writes `values` as little-endian f32 with `columns` per row.
pub(super) fn write_f32(path: &Path, values: &[f32], columns: usize) -> Outcome<()> {
    write(path, "<f4", values.iter().map(|value| value.to_le_bytes()), columns)
}

/// Writes `values` as little-endian i32 with `columns` per row.
pub(super) fn write_i32(path: &Path, values: &[i32], columns: usize) -> Outcome<()> {
    write(path, "<i4", values.iter().map(|value| value.to_le_bytes()), columns)
}

/// Writes beside the final name and renames, so that a stopped run leaves no half array behind.
fn write<I>(path: &Path, element: &str, values: I, columns: usize) -> Outcome<()>
where
    I: ExactSizeIterator<Item = [u8; 4]>,
{
    let partial = path.with_extension("partial");
    let attempt = || -> std::io::Result<()> {
        let mut file = BufWriter::new(std::fs::File::create(&partial)?);
        file.write_all(&header(element, values.len() / columns, columns))?;
        for value in values {
            file.write_all(&value)?;
        }
        file.into_inner()?;
        std::fs::rename(&partial, path)
    };
    attempt().map_err(|error| format!("{}: {error}", path.display()).into())
}

fn header(element: &str, rows: usize, columns: usize) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '{element}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let unpadded = PREFIX + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_aligned_and_says_shape_and_type() {
        for (rows, columns) in [(1, 1), (20_000, 128), (123_456_789, 65_536)] {
            let bytes = header("<f4", rows, columns);
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
            assert_eq!(usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), bytes.len() - PREFIX);
            let text = std::str::from_utf8(&bytes[PREFIX..]).expect("the header is ASCII");
            assert!(
                text.contains(&format!("'shape': ({rows}, {columns})")) && text.ends_with('\n'),
                "{text}"
            );
        }
    }

    #[test]
    fn values_follow_the_header_and_nothing_else_is_left() {
        let folder = std::env::temp_dir().join(format!("xtask-npy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let path = folder.join("a.npy");
        write_f32(&path, &[1.5, -2.0], 2).expect("it is writable");
        let bytes = std::fs::read(&path).expect("it was written");
        assert_eq!(bytes[bytes.len() - 8..], [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0]);
        write_i32(&path, &[-1, 2, 3], 1).expect("it is writable");
        let bytes = std::fs::read(&path).expect("it was written");
        assert_eq!(bytes[bytes.len() - 12..], [255, 255, 255, 255, 2, 0, 0, 0, 3, 0, 0, 0]);
        let left = std::fs::read_dir(&folder).expect("it exists").count();
        std::fs::remove_dir_all(&folder).expect("it is ours");
        assert_eq!(left, 1);
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let error = write_i32(Path::new("no/such/folder/a.npy"), &[1], 1).expect_err("no folder");
        assert!(error.to_string().contains("no/such/folder"), "{error}");
    }
}
