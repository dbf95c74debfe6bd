//! Rows as JSON lines: `{"id": ..., "vector": [...], "metadata": {...}}`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use vectra::ItemId;

use super::error::{InputError, Result};
use super::lines::Lines;
use super::vectors::Row;

const HINT: &str = r#"each line is like {"id": 1, "vector": [0.1, 0.2], "metadata": {"k": "v"}}; id and metadata may be left out"#;

/// A file whose first line is sound.
#[derive(Debug, Clone)]
pub(crate) struct JsonlFile {
    path: PathBuf,
    dim: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<Json>,
    vector: Vec<f32>,
    metadata: Option<Json>,
}

impl JsonlFile {
    /// Reads the first line, whose vector tells the dimension.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut lines = Lines::open(path)?;
        let first = lines.next_line()?.map(|(number, line)| parse(line, path, number)).transpose()?;
        let first = first.ok_or_else(|| InputError::bad(path, "the file is empty", HINT))?;
        let dim = first.vector.len();
        if dim == 0 || dim > vectra::DIM_MAX as usize {
            let problem = format!("the vector has {dim} components; 1 to {} are possible", vectra::DIM_MAX);
            return Err(InputError::bad_line(path, 1, problem, HINT));
        }
        Ok(Self { path: path.to_owned(), dim })
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// All rows, from the first.
    pub(crate) fn rows(&self) -> Result<JsonlRows> {
        Ok(JsonlRows { lines: Lines::open(&self.path)?, dim: self.dim })
    }
}

/// The rows of a file, one after the other.
pub(crate) struct JsonlRows {
    lines: Lines,
    dim: usize,
}

impl Iterator for JsonlRows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = self.lines.path().to_owned();
        let row = match self.lines.next_line() {
            Ok(None) => return None,
            Ok(Some((number, line))) => parse(line, &path, number).map(|row| (number, row)),
            Err(e) => Err(e),
        };
        Some(row.and_then(|(number, row)| {
            if row.vector.len() == self.dim {
                return Ok(row);
            }
            let problem =
                format!("the vector has {} components, the first line has {}", row.vector.len(), self.dim);
            Err(InputError::bad_line(&path, number, problem, "all rows need one dimension"))
        }))
    }
}

fn parse(text: &str, path: &Path, number: u64) -> Result<Row> {
    let bad = |problem: String| InputError::bad_line(path, number, problem, HINT);
    let line: Line = serde_json::from_str(text).map_err(|e| bad(format!("this is not a row ({e})")))?;
    let id = line.id.map(|id| id_from_json(&id)).transpose().map_err(bad)?;
    let metadata = line.metadata.unwrap_or(Json::Null);
    if !metadata.is_object() && !metadata.is_null() {
        return Err(bad("the metadata is not an object".to_owned()));
    }
    Ok(Row { vector: line.vector, id, metadata, text_bytes: text.len() })
}

/// An id as it stands in a file: a number, or text that is read as on the command line.
pub(crate) fn id_from_json(json: &Json) -> std::result::Result<ItemId, String> {
    match json {
        Json::String(text) => ItemId::parse(text).map_err(|e| e.to_string()),
        Json::Number(n) => n
            .as_u64()
            .map(ItemId::from)
            .ok_or_else(|| format!("the id {n} is not a whole number from 0 to 2^64-1")),
        _ => Err("the id is neither a number nor text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Row>> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.jsonl");
        std::fs::write(&path, text).expect("written");
        JsonlFile::open(&path)?.rows()?.collect()
    }

    #[test]
    fn rows_come_back() {
        let text =
            "{\"vector\": [1, 2.5]}\n{\"id\": \"a\", \"vector\": [0, 1e-3], \"metadata\": {\"k\": 1}}\n";
        let rows = read(text).expect("rows");
        assert_eq!((rows[0].id.clone(), &rows[0].vector), (None, &vec![1.0, 2.5]));
        assert_eq!(rows[1].id, Some("a".into()));
        assert_eq!(rows[1].metadata, serde_json::json!({"k": 1}));
    }

    #[test]
    fn bad_rows_are_named() {
        let second =
            |line: &str| read(&format!("{{\"vector\": [1, 2]}}\n{line}\n")).expect_err(line).to_string();
        for (line, problem) in [
            ("{\"vector\": [1]}", "1 components"),
            ("{\"vector\": [1, \"x\"]}", "not a row"),
            ("{\"vectors\": [1, 2]}", "unknown field"),
            ("{\"id\": -1, \"vector\": [1, 2]}", "whole number"),
            ("{\"id\": \"\", \"vector\": [1, 2]}", "empty"),
            ("{\"id\": [], \"vector\": [1, 2]}", "neither"),
            ("{\"vector\": [1, 2], \"metadata\": 3}", "not an object"),
        ] {
            let text = second(line);
            assert!(text.contains("line 2") && text.contains(problem), "{text}");
        }
        assert!(read("").expect_err("empty").to_string().contains("empty"));
        assert!(read("{\"vector\": []}").expect_err("no components").to_string().contains("0 components"));
    }

    #[test]
    fn ids_read_as_on_the_command_line() {
        assert_eq!(id_from_json(&serde_json::json!("12")), Ok(ItemId::U64(12)));
        assert_eq!(id_from_json(&serde_json::json!(u64::MAX)), Ok(ItemId::U64(u64::MAX)));
        let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert!(matches!(id_from_json(&serde_json::json!(uuid)), Ok(ItemId::Uuid(_))));
    }
}
