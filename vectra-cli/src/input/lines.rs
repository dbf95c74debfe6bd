//! Lines of a text file, plain or gzip, of bounded length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::{InputError, Result};

/// The longest line accepted: more than the largest vector and metadata together.
const LINE_BYTES_MAX: usize = 8 << 20;

const HINT: &str = "one JSON value per line, as UTF-8 text, plain or gzip";

/// The lines of a file with their numbers, counted from 1. Blank lines are refused, but for the end of the file.
pub(crate) struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    number: u64,
    buffer: Vec<u8>,
}

impl Lines {
    /// Begins at the start of the file; its first bytes tell whether it is gzip.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |e| InputError::io(path, e);
        let mut file = File::open(path).map_err(failed)?;
        let mut magic = Vec::new();
        (&file).take(2).read_to_end(&mut magic).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let plain = BufReader::with_capacity(1 << 18, file);
        let reader: Box<dyn BufRead> = if magic == [0x1f, 0x8b] {
            Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        Ok(Self { path: path.to_owned(), reader, number: 0, buffer: Vec::new() })
    }

    /// The path the lines come from.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next line without its end, and its number.
    pub(crate) fn next_line(&mut self) -> Result<Option<(u64, &str)>> {
        self.number += 1;
        let bad = |number, problem: &str| Err(InputError::bad_line(&self.path, number, problem, HINT));
        self.buffer.clear();
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX as u64 + 1);
        match limited.read_until(b'\n', &mut self.buffer) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(e) if damaged(e.kind()) => {
                let problem = format!("the gzip data is damaged or truncated ({e})");
                return Err(InputError::bad_line(&self.path, self.number, problem, "copy the file again"));
            }
            Err(e) => return Err(InputError::io(&self.path, e)),
        }
        if self.buffer.len() > LINE_BYTES_MAX {
            return bad(self.number, "the line is longer than 8 MiB");
        }
        let Ok(line) = std::str::from_utf8(&self.buffer) else {
            return bad(self.number, "the line is not UTF-8 text");
        };
        let line = line.trim_end_matches(['\n', '\r']);
        if line.trim().is_empty() {
            return bad(self.number, "the line is blank");
        }
        Ok(Some((self.number, line)))
    }
}

fn damaged(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// A gzip file with this text.
    pub(in crate::input) fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lines");
        std::fs::write(&path, bytes).expect("written");
        let mut lines = Lines::open(&path)?;
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next_line()? {
            all.push(format!("{number}{line}"));
        }
        Ok(all)
    }

    #[test]
    fn plain_and_gzip_read_the_same() {
        for text in ["a\nb\n", "a\r\nb"] {
            assert_eq!(read(text.as_bytes()).expect("lines"), ["1a", "2b"]);
            assert_eq!(read(&gzip(text)).expect("lines"), ["1a", "2b"]);
        }
        assert!(read(b"").expect("no lines").is_empty());
        let members = [gzip("a\n"), gzip("b\n")].concat();
        assert_eq!(read(&members).expect("lines"), ["1a", "2b"]);
    }

    #[test]
    fn bad_lines_are_named() {
        assert!(read(b"a\n\nb\n").expect_err("blank").to_string().contains("line 2: the line is blank"));
        assert!(read(b"a\n\xff\n").expect_err("bytes").to_string().contains("line 2: the line is not UTF-8"));
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        assert!(read(&long).expect_err("long").to_string().contains("longer"));
    }

    #[test]
    fn a_cut_gzip_file_is_bad_input() {
        let whole = gzip(&"{\"a\": 1}\n".repeat(1000));
        let error = read(&whole[..whole.len() / 2]).expect_err("cut");
        assert!(matches!(error, InputError::Bad { .. }), "{error}");
    }
}
