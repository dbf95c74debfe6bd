//! Metadata files: one JSON object per row, in row order.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::error::{InputError, Result};
use super::lines::Lines;

/// A metadata file.
#[derive(Debug, Clone)]
pub(crate) struct MetadataFile {
    path: PathBuf,
}

impl MetadataFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All rows, from the first.
    pub(crate) fn rows(&self) -> Result<MetadataRows> {
        Ok(MetadataRows { lines: Lines::open(&self.path)? })
    }
}

/// The rows of a metadata file, each with the bytes it takes as text.
pub(crate) struct MetadataRows {
    lines: Lines,
}

impl Iterator for MetadataRows {
    type Item = Result<(Json, usize)>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = self.lines.path().to_owned();
        match self.lines.next_line() {
            Ok(None) => None,
            Ok(Some((number, line))) => {
                Some(object(line).map(|json| (json, line.len())).map_err(|problem| {
                    InputError::bad_line(&path, number, problem, "each line is one JSON object, in row order")
                }))
            }
            Err(e) => Some(Err(e)),
        }
    }
}

/// A JSON object (or null for no metadata).
fn object(text: &str) -> std::result::Result<Json, String> {
    let json: Json = serde_json::from_str(text).map_err(|e| format!("this is not JSON ({e})"))?;
    if json.is_object() || json.is_null() { Ok(json) } else { Err("this is not a JSON object".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(Json, usize)>> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("m.jsonl");
        std::fs::write(&path, bytes).expect("written");
        MetadataFile::new(&path).rows()?.collect()
    }

    #[test]
    fn objects_come_back_in_order() {
        let text = "{\"a\": 1}\nnull\n{\"b\": [true]}\n";
        let rows = read(&super::super::lines::tests::gzip(text)).expect("rows");
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0], (serde_json::json!({"a": 1}), 8));
        assert_eq!(rows[2].0["b"][0], true);
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_line() {
        for (text, problem) in
            [("{}\n[1]\n", "not a JSON object"), ("{}\n{\"a\":\n", "not JSON"), ("{}\n7", "not a")]
        {
            let error = read(text.as_bytes()).expect_err("refused").to_string();
            assert!(error.contains("line 2") && error.contains(problem), "{error}");
        }
    }
}
