//! The folder of an index: its lock, its format, the names in it.

use std::io;
use std::path::Path;

use vectra_core::env::Env;
use vectra_core::io::{Fs, LockGuard};

use crate::error::{Error, ErrorKind, Result};
use crate::manifest::ManifestStore;
use crate::reader::pin_generation;

/// What the folder says it is, for people and for older programs.
const FORMAT: &str = "vectra index, format 1\n";
/// The log makes its folder, `wal`, itself.
pub(crate) const FOLDERS: [&str; 4] = ["manifest", "seg", "tmp", "pins"];

/// The number of this process.
pub(crate) fn process() -> u32 {
    if cfg!(target_family = "wasm") { 0 } else { std::process::id() }
}

/// Refuses to write in another process than the one that opened the index: a fork has its memory, but not its lock.
pub(crate) fn check_process(opened_by: u32) -> Result<()> {
    if opened_by == process() {
        return Ok(());
    }
    let text =
        format!("process {opened_by} opened the index and writes; this one was forked from it and cannot");
    Err(Error::new(ErrorKind::Conflict, text))
}

/// What a lock says about who holds it.
pub(crate) fn holder(env: &Env) -> String {
    format!("process {}, since unix time {} ms\n", process(), env.clock.unix_ms())
}

pub(crate) fn take_lock(fs: &dyn Fs, root: &Path, env: &Env) -> Result<Box<dyn LockGuard>> {
    let holder = holder(env);
    fs.lock(&root.join("LOCK"), &holder).map_err(|e| {
        if e.kind() == io::ErrorKind::WouldBlock {
            let text = format!(
                "{} is open for writing elsewhere ({}); a `Reader` can read it meanwhile",
                root.display(),
                e.to_string().trim()
            );
            return Error::new(ErrorKind::Conflict, text);
        }
        Error::io(format!("{} cannot be locked", root.display()), e)
    })
}

/// Creates a directory; fine if it is there.
pub(crate) fn make_dir(fs: &dyn Fs, dir: &Path) -> Result<()> {
    match fs.mkdir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io(format!("{} cannot be created", dir.display()), e))
        }
        _ => Ok(()),
    }
}

/// Makes the name of a directory durable: also when it was there already, since whoever made it may not have come as
/// far as this.
pub(crate) fn sync_parent(fs: &dyn Fs, dir: &Path) -> Result<()> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    fs.sync_dir(parent).map_err(|e| Error::io(format!("{} cannot be synced", parent.display()), e))
}

pub(crate) fn remove_files(fs: &dyn Fs, dir: &Path) -> Result<()> {
    remove_those(fs, dir, &|_| true)
}

/// Removes from the folder `name` in `root` the files that an index may have left there; those of others stay.
pub(crate) fn remove_leftovers(fs: &dyn Fs, root: &Path, name: &str) -> Result<()> {
    remove_those(fs, &root.join(name), &|inner| is_leftover(name, inner))
}

fn remove_those(fs: &dyn Fs, dir: &Path, chosen: &dyn Fn(&str) -> bool) -> Result<()> {
    let failed = |e| Error::io(format!("{} cannot be emptied", dir.display()), e);
    let entries = match fs.list(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        if !entry.is_dir && chosen(&entry.name) {
            fs.remove(&dir.join(entry.name)).map_err(failed)?;
        }
    }
    Ok(())
}

pub(crate) fn not_a_folder(kind: ErrorKind, root: &Path) -> Error {
    Error::new(kind, format!("{} is not a folder; an index is one", root.display()))
}

/// A folder with other people's files in it does not become an index, nor are such files taken for leftovers.
pub(crate) fn refuse_foreign(fs: &dyn Fs, root: &Path, manifests: &ManifestStore) -> Result<()> {
    let list = |dir: &Path| {
        fs.list(dir).map_err(|e| match e.kind() {
            io::ErrorKind::NotADirectory => not_a_folder(ErrorKind::Conflict, dir),
            _ => Error::io(format!("{} cannot be listed", dir.display()), e),
        })
    };
    let foreign = |name: String| {
        let text = format!("{} is not empty (it holds `{name}`); name a new folder", root.display());
        Err(Error::new(ErrorKind::Conflict, text))
    };
    let entries = list(root)?;
    if !manifests.generations()?.is_empty() {
        // Whether somebody has it open is to be said first.
        return Ok(());
    }
    for entry in entries {
        match entry.name.as_str() {
            // Parts without a manifest are what is left of an index, and somebody may want to salvage it.
            "wal" | "tmp" | "pins" | "seg" => {}
            "manifest" | "LOCK" | "FORMAT" | "FORMAT.tmp" => continue,
            _ => return foreign(entry.name),
        }
        let is_ours = |inner: &str| is_leftover(&entry.name, inner);
        if let Some(inner) = list(&root.join(&entry.name))?.iter().find(|inner| !is_ours(&inner.name)) {
            return foreign(format!("{}/{}", entry.name, inner.name));
        }
    }
    Ok(())
}

/// Whether a writer may have left a file of this name in the folder `dir` of an index, for the next one to remove.
fn is_leftover(dir: &str, name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match dir {
        "wal" => [".wal", ".tmp"]
            .iter()
            .filter_map(|extension| name.strip_suffix(extension))
            .any(|number| number.len() == 20 && is_number(number)),
        "tmp" => match (name.strip_prefix("manifest-"), name.strip_suffix(".part")) {
            (Some(number), _) => is_number(number),
            (None, Some(id)) => uuid::Uuid::parse_str(id).is_ok(),
            (None, None) => false,
        },
        "pins" => pin_generation(name).is_some(),
        _ => false,
    }
}

pub(crate) fn write_format(fs: &dyn Fs, root: &Path) -> Result<()> {
    let failed = |e| Error::io("the file FORMAT cannot be written", e);
    let (tmp, path) = (root.join("FORMAT.tmp"), root.join("FORMAT"));
    match fs.remove(&tmp) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let file = fs.create_new(&tmp).map_err(failed)?;
    file.write_all_at(FORMAT.as_bytes(), 0).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs.rename(&tmp, &path).map_err(failed)
}

pub(crate) fn check_format(fs: &dyn Fs, root: &Path) -> Result<()> {
    let bytes = fs.read(&root.join("FORMAT"), 4096).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::corrupt(format!("{} lacks its file FORMAT", root.display())),
        io::ErrorKind::InvalidData => {
            let text = format!("the file FORMAT is not one; this program reads `{}`", FORMAT.trim());
            Error::caused(ErrorKind::Unsupported, text, e)
        }
        _ => Error::io("the file FORMAT cannot be read", e),
    })?;
    if bytes == FORMAT.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&bytes);
    let text = format!("the folder says `{}`; this program reads `{}`", found.trim(), FORMAT.trim());
    Err(Error::new(ErrorKind::Unsupported, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_are_leftovers() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        for (dir, name) in [
            ("wal", "00000000000000000001.wal".to_owned()),
            ("wal", "00000000000000000001.tmp".to_owned()),
            ("tmp", "manifest-12".to_owned()),
            ("tmp", format!("{id}.part")),
            ("pins", format!("00000000000000000012-{id}")),
        ] {
            assert!(is_leftover(dir, &name), "{dir}/{name}");
        }
        for (dir, name) in [
            ("wal", "letters-of-grandmother.tmp"),
            ("wal", "1.wal"),
            ("wal", "00000000000000000001.txt"),
            ("tmp", "manifest-destiny"),
            ("tmp", "manifest-"),
            ("tmp", "download.part"),
            ("pins", "12"),
            ("seg", "67e55044-10b1-426f-9247-bb680e5fe0c8.part"),
        ] {
            assert!(!is_leftover(dir, name), "{dir}/{name}");
        }
    }

    #[test]
    fn only_the_process_that_opened_it_writes() {
        check_process(process()).expect("it is this one");
        let error = check_process(process() ^ 1).expect_err("another one");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("forked"), "{error}");
    }
}
