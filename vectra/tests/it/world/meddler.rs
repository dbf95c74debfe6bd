//! A disk that lets somebody write to the index in the middle of other work, or that refuses some of it.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use vectra_core::io::sim::{CallKind, SimFs};
use vectra_core::io::{Access, Entry, File, Fs, LockGuard, Site};

type Hook = Box<dyn FnMut() + Send>;
type Watch = Box<dyn FnMut(CallKind, &Path) -> io::Result<()> + Send>;

/// Calls a hook whenever a file is begun in `tmp/`, which only background work does; otherwise a [`SimFs`].
#[derive(Clone)]
pub(crate) struct Meddler {
    inner: SimFs,
    hook: Arc<Mutex<Option<Hook>>>,
    watch: Arc<Mutex<Option<Watch>>>,
}

impl Meddler {
    pub(crate) fn new(inner: SimFs) -> Self {
        Self { inner, hook: Arc::default(), watch: Arc::default() }
    }

    /// From now on, `hook` is called.
    pub(crate) fn set(&self, hook: impl FnMut() + Send + 'static) {
        *self.hook.lock() = Some(Box::new(hook));
    }

    /// From now on, `watch` is asked before a file is opened, locked where it is, or removed; what it refuses fails.
    pub(crate) fn watch(&self, watch: impl FnMut(CallKind, &Path) -> io::Result<()> + Send + 'static) {
        *self.watch.lock() = Some(Box::new(watch));
    }

    /// Nobody is asked any more.
    pub(crate) fn unwatched(&self) {
        *self.watch.lock() = None;
    }

    fn ask(&self, kind: CallKind, path: &Path) -> io::Result<()> {
        // Taken out meanwhile, so that it does not meet itself.
        let watch = self.watch.lock().take();
        let Some(mut watch) = watch else { return Ok(()) };
        let answer = watch(kind, path);
        self.watch.lock().get_or_insert(watch);
        answer
    }
}

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddler")
    }
}

impl Fs for Meddler {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        if path.starts_with("/index/tmp") {
            // Taken out meanwhile, so that it does not meet itself.
            let hook = self.hook.lock().take();
            if let Some(mut hook) = hook {
                hook();
                self.hook.lock().get_or_insert(hook);
            }
        }
        self.inner.create_new(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        self.ask(CallKind::Open, path)?;
        self.inner.open(path, access)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(CallKind::Remove, path)?;
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn mkdir(&self, dir: &Path) -> io::Result<()> {
        self.inner.mkdir(dir)
    }

    fn sync_dir_at(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.inner.sync_dir_at(dir, site)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>> {
        self.inner.lock(path, holder)
    }

    fn lock_existing(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.ask(CallKind::Lock, path)?;
        self.inner.lock_existing(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_space(dir)
    }
}
