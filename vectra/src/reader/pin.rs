//! Pins: files by whose locks processes tell a writer's garbage collection what they read.
//!
//! A pin is `pins/<generation>-<uuid>`, locked by its reader for as long as it reads. Its name says everything, so that
//! it is complete as soon as it is there; its text is for people. A pin that can be locked belongs to nobody any more.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;
use vectra_core::env::Env;
use vectra_core::io::{Fs, LockGuard};

use crate::error::{Error, ErrorKind, Result};
use crate::folder::{holder, make_dir};
use crate::manifest::{Chain, ManifestStore};
use crate::recover::Outside;

/// The folder of pins.
const PINS: &str = "pins";
/// How often a pin that a collection came upon too early is made anew.
const TRIES: u32 = 64;

/// Holds a generation: while it lives, nothing that its manifest names is removed, nor the log from its floor on.
#[derive(Debug)]
pub(crate) struct Pin {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    _lock: Box<dyn LockGuard>,
}

impl Pin {
    /// Pins `generation`; nothing where the folder cannot be written to. The caller makes sure afterwards that it was
    /// not too late.
    pub(crate) fn take(fs: &Arc<dyn Fs>, root: &Path, env: &Env, generation: u64) -> Result<Option<Self>> {
        let dir = root.join(PINS);
        match make_dir(&**fs, &dir) {
            Err(error) if is_read_only(&error) => return Ok(None),
            made => made?,
        }
        for _ in 0..TRIES {
            let path = dir.join(format!("{generation:020}-{}", env.rng.uuid()));
            let failed = |e| Error::io(format!("{} cannot be made", path.display()), e);
            let lock = match fs.lock(&path, &holder(env)) {
                // A collection is looking at it, or another process drew the same name.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                Err(e) => {
                    let error = failed(e);
                    return if is_read_only(&error) { Ok(None) } else { Err(error) };
                }
                Ok(lock) => lock,
            };
            // A collection that came between making and locking has removed the name: then the lock pins nothing.
            if fs.exists(&path).map_err(failed)? {
                return Ok(Some(Self { fs: Arc::clone(fs), path, _lock: lock }));
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "the folder `pins` is too busy; try again"))
    }
}

/// The name goes first, while it is locked: nobody else ever sees it free.
impl Drop for Pin {
    fn drop(&mut self) {
        let _collected_by_the_next_writer_otherwise = self.fs.remove(&self.path);
    }
}

fn is_read_only(error: &Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, Unsupported};
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|e| {
        matches!(e.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull | Unsupported)
    })
}

/// The newest manifest that can be read, pinned so that no writer removes what it names; nothing if there is none.
///
/// # Errors
/// As [`ManifestStore::load`]; `Unavailable` if a writer commits again and again meanwhile.
pub(crate) fn pin_newest(
    manifests: &ManifestStore,
    root: &Path,
    outside: &Outside,
) -> Result<Option<(Chain, Option<Pin>)>> {
    for _ in 0..TRIES {
        let Some(chain) = manifests.load()? else { return Ok(None) };
        let Some(loaded) = &chain.loaded else { return Ok(Some((chain, None))) };
        let generation = loaded.manifest.generation;
        let pin = Pin::take(&outside.fs, root, &outside.env, generation)?;
        // Whatever collection did not see the pin keeps the two newest; the next one sees it.
        if manifests.generations()?.iter().rev().take(2).any(|number| *number == generation) {
            return Ok(Some((chain, pin)));
        }
    }
    Err(Error::new(ErrorKind::Unavailable, "the writer commits faster than can be read; try again"))
}

/// What a verification looks at: the newest manifest that can be read and the one before it, both pinned.
#[derive(Debug)]
pub(crate) struct BothPinned {
    pub(crate) chain: Chain,
    /// Whether the manifest before the newest is pinned, too. Otherwise a writer is at work and may be collecting what
    /// only that one names.
    pub(crate) previous: bool,
    /// Held for as long as anybody looks.
    pub(crate) pins: [Option<Pin>; 2],
}

/// As [`pin_newest`], and the generation before it as well, provided that it is not too late for that.
///
/// # Errors
/// As [`pin_newest`].
pub(crate) fn pin_both(
    manifests: &ManifestStore,
    root: &Path,
    outside: &Outside,
) -> Result<Option<BothPinned>> {
    let Some((chain, pin)) = pin_newest(manifests, root, outside)? else { return Ok(None) };
    let both = chain.loaded.as_ref().and_then(|loaded| {
        loaded.previous.as_ref().map(|previous| [previous.generation, loaded.manifest.generation])
    });
    let Some([before, newest]) = both else {
        return Ok(Some(BothPinned { chain, previous: false, pins: [pin, None] }));
    };
    let second = Pin::take(&outside.fs, root, &outside.env, before)?;
    // A collection that did not see this pin began before it, and keeps the two that were the newest then: these, if
    // nothing newer came since.
    let now = manifests.generations()?;
    let previous = now.ends_with(&[before, newest]);
    Ok(Some(BothPinned { chain, previous, pins: [pin, second] }))
}

/// The generation that a pin's name says.
pub(crate) fn pin_generation(name: &str) -> Option<u64> {
    let (digits, id) = name.split_at_checked(20)?;
    Uuid::parse_str(id.strip_prefix('-')?).ok()?;
    digits.parse().ok()
}

/// The generations that readers in all processes hold; pins whose readers are gone are removed. A pin of which nobody can
/// tell, perhaps one of another user, counts as held.
///
/// Whoever pins a generation after this looks again whether it is still among the two newest, so it misses nobody.
pub(crate) fn pins_held(fs: &dyn Fs, root: &Path) -> Result<BTreeSet<u64>> {
    let dir = root.join(PINS);
    let failed = |e| Error::io(format!("{} cannot be looked at", dir.display()), e);
    let entries = match fs.list(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(failed)?,
    };
    let mut held = BTreeSet::new();
    for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
        // Other names are not ours.
        let Some(generation) = pin_generation(&entry.name) else { continue };
        let path = dir.join(&entry.name);
        match fs.lock_existing(&path) {
            // Its reader is gone: where the name has to stay, it holds nothing all the same.
            Ok(_lock) => match fs.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "a pin left behind cannot be removed");
                }
                _ => {}
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => _ = held.insert(generation),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "nobody can tell whether a pin is held");
                held.insert(generation);
            }
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests;
