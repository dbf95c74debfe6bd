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
    let failed = |e| Error::io(format!("{} cannot be emptied", dir.display()), e);
    let entries = match fs.list(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        if !entry.is_dir {
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
        let leftover: fn(&str) -> bool = match entry.name.as_str() {
            "wal" => |name| name.len() == 24 && has_extension(name, &["wal", "tmp"]),
            "tmp" => |name| name.starts_with("manifest-") || has_extension(name, &["part"]),
            "pins" => |name| pin_generation(name).is_some(),
            // Parts without a manifest: what is left of an index, and somebody may want to salvage it.
            "seg" => |_| false,
            "manifest" | "LOCK" | "FORMAT" | "FORMAT.tmp" => continue,
            _ => return foreign(entry.name),
        };
        if let Some(inner) = list(&root.join(&entry.name))?.iter().find(|inner| !leftover(&inner.name)) {
            return foreign(format!("{}/{}", entry.name, inner.name));
        }
    }
    Ok(())
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    Path::new(name).extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
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
    fn only_the_process_that_opened_it_writes() {
        check_process(process()).expect("it is this one");
        let error = check_process(process() ^ 1).expect_err("another one");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("forked"), "{error}");
    }
}
