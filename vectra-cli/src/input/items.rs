//! Items put together from a file of vectors and a file of metadata, row by row.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use vectra::{Item, ItemId, metadata_from_json};

use super::error::{InputError, Result};
use super::jsonl::id_from_json;
use super::metadata::{MetadataFile, MetadataRows};
use super::vectors::{Row, VectorFile};

/// The files of one import.
#[derive(Debug, Clone)]
pub(crate) struct ItemFiles {
    pub(crate) path: PathBuf,
    pub(crate) vectors: VectorFile,
    pub(crate) metadata: Option<MetadataFile>,
    /// The metadata field that holds the id.
    pub(crate) ids_from: Option<String>,
}

/// An item and about how many bytes it takes in a batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sized {
    pub(crate) item: Item,
    pub(crate) bytes: usize,
}

impl ItemFiles {
    /// All items, from the first row; fails at the end if the files do not have the same number of rows.
    pub(crate) fn items(&self) -> Result<Items<'_>> {
        let metadata = self.metadata.as_ref().map(MetadataFile::rows).transpose()?;
        Ok(Items { files: self, vectors: self.vectors.rows()?, metadata, row: 0 })
    }

    /// How many rows the import has, counted without keeping them; refuses files that do not agree.
    pub(crate) fn count(&self) -> Result<u64> {
        let rows = match self.vectors.len() {
            Some(rows) => rows,
            None => self.vectors.rows()?.try_fold(0, |n, row| row.map(|_| n + 1))?,
        };
        if let Some(file) = &self.metadata {
            let lines = file.rows()?.try_fold(0, |n, row| row.map(|_| n + 1))?;
            if lines != rows {
                let problem = format!("it has {lines} lines, but {} has {rows} rows", self.path.display());
                return Err(InputError::bad(file.path(), problem, "one line per row, in row order"));
            }
        }
        Ok(rows)
    }

    /// The id of a row: from the metadata field, its own, or its number.
    fn id(&self, row: u64, own: Option<ItemId>, metadata: &Json) -> std::result::Result<ItemId, String> {
        match &self.ids_from {
            None => Ok(own.unwrap_or(ItemId::U64(row))),
            Some(field) => match metadata.get(field) {
                None => Err(format!("its metadata has no field `{field}` to take the id from")),
                Some(json) => id_from_json(json).map_err(|e| format!("field `{field}`: {e}")),
            },
        }
    }

    fn metadata_path(&self) -> &Path {
        self.metadata.as_ref().map_or(&self.path, MetadataFile::path)
    }
}

/// The items of an import in row order.
pub(crate) struct Items<'a> {
    files: &'a ItemFiles,
    vectors: Box<dyn Iterator<Item = Result<Row>>>,
    metadata: Option<MetadataRows>,
    row: u64,
}

impl Items<'_> {
    fn item(&mut self, row: Row) -> Result<Sized> {
        let number = self.row;
        let mut bytes = row.vector.len() * 4 + row.text_bytes;
        let metadata = match &mut self.metadata {
            None => row.metadata,
            Some(rows) => {
                let ended = || {
                    let problem = format!("it ends before row {number}");
                    InputError::bad(self.files.metadata_path(), problem, "one line per row, in row order")
                };
                let (json, text_bytes) = rows.next().ok_or_else(ended)??;
                bytes += text_bytes;
                json
            }
        };
        let bad = |problem: String| {
            InputError::bad_row(
                self.files.metadata_path(),
                number,
                problem,
                "correct the row, or leave it out",
            )
        };
        let id = self.files.id(number, row.id, &metadata).map_err(bad)?;
        let metadata = metadata_from_json(metadata).map_err(|e| bad(e.to_string()))?;
        self.row += 1;
        Ok(Sized { item: Item::new(id, row.vector).with_metadata(metadata), bytes })
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Sized>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.vectors.next()?;
        Some(row.and_then(|row| self.item(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, vectors: &str, metadata: Option<&str>, ids_from: Option<&str>) -> ItemFiles {
        let path = dir.join("v.jsonl");
        std::fs::write(&path, vectors).expect("written");
        let metadata = metadata.map(|text| {
            let path = dir.join("m.jsonl");
            std::fs::write(&path, text).expect("written");
            MetadataFile::new(&path)
        });
        let vectors = VectorFile::open(&path).expect("sound");
        ItemFiles { path, vectors, metadata, ids_from: ids_from.map(str::to_owned) }
    }

    fn ids(files: &ItemFiles) -> Result<Vec<String>> {
        files.items()?.map(|sized| sized.map(|s| s.item.id.to_string())).collect()
    }

    const TWO: &str =
        "{\"vector\": [1]}\n{\"id\": \"x\", \"vector\": [2], \"metadata\": {\"name\": \"b\"}}\n";

    #[test]
    fn ids_come_from_the_row_its_own_or_a_field() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(ids(&files(dir.path(), TWO, None, None)).expect("ids"), ["0", "x"]);
        let names = Some("{\"name\": \"a\"}\n{\"name\": 7}\n");
        let named = files(dir.path(), TWO, names, Some("name"));
        assert_eq!(ids(&named).expect("ids"), ["a", "7"]);
        assert_eq!(named.count().expect("they agree"), 2);
        let missing = files(dir.path(), TWO, None, Some("name"));
        assert!(
            ids(&missing)
                .expect_err("no field")
                .to_string()
                .contains("row 0: its metadata has no field `name`")
        );
    }

    #[test]
    fn files_that_do_not_agree_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        for (metadata, lines) in [("{}\n", "1 lines"), ("{}\n{}\n{}\n", "3 lines")] {
            let files = files(dir.path(), TWO, Some(metadata), None);
            assert!(files.count().expect_err("differs").to_string().contains(lines));
        }
        let short = files(dir.path(), TWO, Some("{}\n"), None);
        assert!(ids(&short).expect_err("ends early").to_string().contains("before row 1"));
    }
}
