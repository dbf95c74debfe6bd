//! Which object store a URL means, and what keeps a directory's links from leading out of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Location;
use vectra_core::io::{Access, Fs, OsFs};

use super::error::{RemoteError, Source};

/// The store that a URL names, and the prefix within it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) prefix: Location,
    pub(super) fence: Option<Fence>,
}

/// Understands `memory:///prefix` and `file:///directory`.
pub(super) fn resolve(url: &str) -> Result<Place, RemoteError> {
    let wrong = |what: String| RemoteError::Url { url: url.to_owned(), what };
    let known = "this build knows memory:/// and file:///directory";
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong(format!("not a URL of an object store; {known}")));
    };
    let path = decoded(rest).ok_or_else(|| wrong("a % is followed by two hexadecimal digits".to_owned()))?;
    match scheme {
        "memory" => {
            let prefix = Location::parse(path.trim_matches('/')).map_err(|e| wrong(e.to_string()))?;
            Ok(Place { objects: Arc::new(InMemory::new()), prefix, fence: None })
        }
        "file" => {
            let path = path.strip_prefix("localhost").unwrap_or(&path);
            if !path.starts_with('/') {
                return Err(wrong(
                    "a directory is named from the root on, as in file:///mnt/archive".to_owned(),
                ));
            }
            let path = if cfg!(windows) { path.trim_start_matches('/') } else { path };
            directory(Path::new(path)).map_err(|e| {
                // Not made here: what is missing may be a volume that is not mounted.
                wrong(format!("the directory must exist and be readable ({e})"))
            })
        }
        other => Err(wrong(format!("{other}:// is not built in; {known}"))),
    }
}

fn directory(root: &Path) -> Result<Place, object_store::Error> {
    let objects = LocalFileSystem::new_with_prefix(root)?.with_fsync(true);
    // With its links resolved, which only the store can do; it names files, not directories.
    let inside = objects.path_to_filesystem(&Location::from("inside"))?;
    let root = inside.parent().unwrap_or(root).to_owned();
    Ok(Place { objects: Arc::new(objects), prefix: Location::default(), fence: Some(Fence { root }) })
}

/// `text` with each `%xx` replaced by its byte, if that gives UTF-8.
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let (digits, behind) = rest.split_at_checked(2)?;
            let digits =
                std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Below the directory of a store, links are refused: they would lead reads, and worse, writes, out of it.
///
/// This protects from links that are there, not from somebody who places one between the look and the request.
#[derive(Debug)]
pub(super) struct Fence {
    /// Itself resolved, once.
    root: PathBuf,
}

impl Fence {
    /// Looks at every name on the way from the root to `location`.
    pub(super) fn check(&self, location: &Location) -> Result<(), Source> {
        let mut parts = location.parts().peekable();
        let mut at = self.root.clone();
        while let Some(part) = parts.next() {
            let name = part.as_ref().to_owned();
            let path = at.join(&name);
            if parts.peek().is_some() {
                let entries = OsFs::new().list(&at)?;
                let Some(entry) = entries.iter().find(|entry| entry.name == name) else { return Ok(()) };
                if !entry.is_dir {
                    return Err(format!("{} is a link or a file, not a directory", path.display()).into());
                }
            } else {
                match OsFs::new().open(&path, Access::Read) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound && !is_directory(&at, &name) => {
                        return Err(format!("{} is not a regular file ({e})", path.display()).into());
                    }
                    _ => {}
                }
            }
            at = path;
        }
        Ok(())
    }
}

fn is_directory(dir: &Path, name: &str) -> bool {
    OsFs::new().list(dir).is_ok_and(|entries| entries.iter().any(|entry| entry.is_dir && entry.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_what_they_mean_or_what_is_known() -> Result<(), Box<dyn std::error::Error>> {
        let place = resolve("memory:///a/b")?;
        assert_eq!(place.prefix.as_ref(), "a/b");
        let dir = tempfile::tempdir()?;
        assert!(resolve(&format!("file://{}", dir.path().display()))?.fence.is_some());
        assert!(resolve(&format!("file://localhost{}", dir.path().display())).is_ok());
        for (url, what) in [
            ("s3://bucket/x", "s3:// is not built in; this build knows memory:/// and file:///directory"),
            ("/mnt/archive", "not a URL"),
            ("file://elsewhere/x", "from the root on"),
            ("file:///no/such/directory", "must exist"),
            ("memory:///%zz", "hexadecimal"),
            ("memory:///a/../b", ".."),
        ] {
            let text = resolve(url).err().ok_or(url)?.to_string();
            assert!(text.starts_with(url) && text.contains(what), "{text}");
        }
        Ok(())
    }

    #[test]
    fn percent_signs_are_decoded_or_refused() {
        assert_eq!(decoded("/a%20b/%C3%A4").as_deref(), Some("/a b/\u{e4}"));
        for bad in ["%", "%1", "%g0", "%+1", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
