//! Opening, making and measuring the folder of an index.

use std::path::Path;

use vectra::{Index, ItemId, Reader, Settings, Snapshot};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::shell_word;

/// Opens the index at `path`.
pub(crate) fn open(path: &Path) -> Result<Index> {
    Index::open(path).map_err(|e| Failure::of_index(&e, path))
}

/// Opens the index at `path` for reading, beside a program that may be writing.
pub(crate) fn read(path: &Path) -> Result<Reader> {
    Reader::open(path).map_err(|e| Failure::of_index(&e, path))
}

/// Opens the index at `path` if there is one.
pub(crate) fn open_if_there(path: &Path) -> Result<Option<Index>> {
    match Index::open(path) {
        Ok(index) => Ok(Some(index)),
        Err(e) if e.kind() == vectra::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::of_index(&e, path)),
    }
}

/// Makes an index at `path`.
pub(crate) fn create(path: &Path, settings: Settings) -> Result<Index> {
    let name = shell_word(&path.display().to_string());
    Index::create(path, settings).map_err(|e| {
        let failure = Failure::from(&e);
        match failure.exit() {
            Exit::Conflict => failure.hint(format!(
                "choose a folder that is new or empty; vectra info {name} shows an index that is there"
            )),
            Exit::NotFound => failure.hint("make the folder above it first (mkdir -p)"),
            Exit::Invalid => failure.hint("vectra create --help lists the settings"),
            _ => failure,
        }
    })
}

/// The item with `id`; if there is none, the one whose string id is written the same way.
pub(crate) fn find(snapshot: &Snapshot, id: &ItemId) -> vectra::Result<Option<vectra::Item>> {
    match (snapshot.get_item(id.clone())?, id) {
        (None, ItemId::U64(_) | ItemId::Uuid(_)) => snapshot.get_item(ItemId::from(id.to_string())),
        (found, _) => Ok(found),
    }
}

/// Bytes of all files below `path`; what cannot be read counts nothing.
pub(crate) fn bytes_on_disk(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_on_disk(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |m| m.len()),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vectra::Item;

    #[test]
    fn a_string_id_of_digits_is_found_by_its_digits() {
        let dir = tempfile::tempdir().expect("a folder");
        let index = create(&dir.path().join("i"), Settings::new(2)).expect("created");
        index.insert_item(Item::new("42", [1.0, 0.0])).expect("inserted");
        let typed = ItemId::parse("42").expect("an id");
        assert_eq!(typed, ItemId::U64(42));
        assert_eq!(find(&index.snapshot(), &typed).expect("readable").expect("there").id, ItemId::from("42"));
        assert!(find(&index.snapshot(), &ItemId::U64(43)).expect("readable").is_none());
        assert!(bytes_on_disk(dir.path()) > 0);
    }
}
