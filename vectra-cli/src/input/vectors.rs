//! Files of vectors, whatever their format.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value as Json;
use vectra::{ElementKind, ItemId};

use super::error::{InputError, Result};
use super::fvecs::FvecsFile;
use super::jsonl::JsonlFile;
use super::npy::{MAGIC, NpyFile};

/// A row of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) vector: Vec<f32>,
    /// Only JSON lines carry ids.
    pub(crate) id: Option<ItemId>,
    /// Only JSON lines carry metadata; otherwise null.
    pub(crate) metadata: Json,
    /// Bytes it takes as text; 0 if it is binary.
    pub(crate) text_bytes: usize,
}

/// A file of vectors whose header is sound and whose size fits.
#[derive(Debug, Clone)]
pub(crate) enum VectorFile {
    Npy(NpyFile),
    Fvecs(FvecsFile),
    Jsonl(JsonlFile),
}

impl VectorFile {
    /// Tells the format from the name (a `NumPy` file also from its first bytes) and checks what can be checked cheaply.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let ends = |ending: &str| name.ends_with(ending);
        if ends(".npy") || (!ends(".fvecs") && begins_as_npy(path)?) {
            return NpyFile::open(path).map(Self::Npy);
        }
        if ends(".fvecs") {
            return FvecsFile::open(path).map(Self::Fvecs);
        }
        if [".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"].into_iter().any(ends) {
            return JsonlFile::open(path).map(Self::Jsonl);
        }
        let hint = "name the file after what it is: .npy, .fvecs, .jsonl or .jsonl.gz";
        Err(InputError::bad(path, "the name does not tell a format that can be read", hint))
    }

    /// Components per vector.
    pub(crate) fn dim(&self) -> usize {
        match self {
            Self::Npy(file) => file.dim(),
            Self::Fvecs(file) => file.dim(),
            Self::Jsonl(file) => file.dim(),
        }
    }

    /// The precision of the file.
    pub(crate) fn element(&self) -> ElementKind {
        match self {
            Self::Npy(file) => file.element(),
            Self::Fvecs(_) | Self::Jsonl(_) => ElementKind::F32,
        }
    }

    /// How many rows there are, if that is known without reading them.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Npy(file) => Some(file.len()),
            Self::Fvecs(file) => Some(file.len()),
            Self::Jsonl(_) => None,
        }
    }

    /// Whether its rows can carry ids and metadata themselves.
    pub(crate) fn carries_metadata(&self) -> bool {
        matches!(self, Self::Jsonl(_))
    }

    /// All rows, from the first.
    pub(crate) fn rows(&self) -> Result<Box<dyn Iterator<Item = Result<Row>>>> {
        let bare = |vector| Row { vector, id: None, metadata: Json::Null, text_bytes: 0 };
        Ok(match self {
            Self::Npy(file) => Box::new(file.rows()?.map(move |row| row.map(bare))),
            Self::Fvecs(file) => Box::new(file.rows()?.map(move |row| row.map(bare))),
            Self::Jsonl(file) => Box::new(file.rows()?),
        })
    }
}

fn begins_as_npy(path: &Path) -> Result<bool> {
    let failed = |e| InputError::io(path, e);
    let mut first = Vec::new();
    File::open(path).map_err(failed)?.take(MAGIC.len() as u64).read_to_end(&mut first).map_err(failed)?;
    Ok(first == MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_name_and_first_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            VectorFile::open(&path)
        };
        let fvecs = [1i32.to_le_bytes(), 2f32.to_le_bytes()].concat();
        assert!(matches!(write("a.FVECS", &fvecs), Ok(VectorFile::Fvecs(_))));
        assert!(matches!(write("a.jsonl", b"{\"vector\": [1]}"), Ok(VectorFile::Jsonl(_))));
        let mut npy = MAGIC.to_vec();
        npy.extend(b"\x01\x00");
        npy.extend(60u16.to_le_bytes());
        npy.extend(format!("{:60}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}").as_bytes());
        npy.extend(1f32.to_le_bytes());
        let file = write("vectors.bin", &npy).expect("told by its first bytes");
        assert_eq!((file.dim(), file.len(), file.element()), (1, Some(1), ElementKind::F32));
        assert!(write("a.parquet", b"PAR1").expect_err("foreign").to_string().contains("format"));
        assert!(write("a.npy", b"PAR1").expect_err("foreign").to_string().contains("not a NumPy file"));
        let gone = VectorFile::open(&dir.path().join("gone.npy")).expect_err("not there");
        assert!(matches!(gone, InputError::Io { .. }));
    }
}
