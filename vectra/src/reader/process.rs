//! The public face of an index that is only read.

use std::path::Path;

use parking_lot::{Mutex, RwLock};
use vectra_core::ItemId;

use super::view::{Folder, View, folder};
use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::item::{Item, Page};
use crate::maintain::{Summary, Wanted};
use crate::opened::OpenReport;
use crate::read::{QueryBatch, QueryBuilder, Snapshot};
use crate::recover::Outside;
use crate::settings::Settings;
use crate::stats::Stats;

/// An index opened for reading: any number of them, in any processes, beside one writer or none.
///
/// It shows the index as of one moment until [`Reader::refresh`] brings it up to date. What it shows is durable: no
/// power cut takes it back, whatever [`Durability`](crate::Durability) the writer works with. To make sure of that, a
/// refresh that finds new writes syncs the log before it shows them; where it cannot, it shows what the log itself says
/// is durable, which lags one write behind. (A disk that has failed a sync of the writer is beyond this promise.)
///
/// Nothing in the folder is changed but its own file in `pins/`, by whose lock the writer knows what not to remove; the
/// lock ends with the process. Where none can be made, on a read-only file system for instance, it reads without: then
/// a writer may remove files between two moments of an opening, which is tried again with what is newest then, and
/// fails with [`ErrorKind::Corrupt`] or [`ErrorKind::Io`] if that goes on. What is open stays readable.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// use vectra::{Index, Item, Reader, Settings};
///
/// let path = folder.path().join("films");
/// let index = Index::create(&path, Settings::new(2))?;
/// let reader = Reader::open(&path)?; // in another process, say
/// index.insert_item(Item::new("alien", [1.0, 0.0]))?;
/// assert!(reader.get_item("alien")?.is_none(), "it shows one moment");
/// assert!(reader.refresh()?);
/// assert!(reader.get_item("alien")?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reader {
    folder: Folder,
    view: Mutex<View>,
    shown: RwLock<Snapshot>,
}

impl Reader {
    /// Opens the index in the folder `path` for reading, with everything that is durable now.
    ///
    /// A damaged newest manifest is passed over if the one before it and the log hold everything.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::Corrupt`] if stored bytes are damaged,
    /// [`ErrorKind::Unsupported`] if a newer program wrote what this one cannot read, [`ErrorKind::Unavailable`] if a
    /// writer commits again and again meanwhile, [`ErrorKind::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Builder::new().open_reader(path)
    }

    pub(crate) fn open_in(root: &Path, outside: Outside) -> Result<Self> {
        let folder = folder(root, outside);
        let view = folder.open(None)?;
        let shown = RwLock::new(view.snapshot(&folder.outside));
        Ok(Self { folder, view: Mutex::new(view), shown })
    }

    /// Brings it up to date; whether it shows something newer now. Snapshots taken before stay as they are.
    ///
    /// It follows new generations of the manifest, using again the parts that it has open, and what the log has grown
    /// by. After an error it shows what it showed before, and can be asked again.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn refresh(&self) -> Result<bool> {
        let mut view = self.view.lock();
        let before = self.snapshot();
        let same = !view.is_outdated(&self.folder.manifests)?
            && view.catch_up(&self.folder.outside).is_ok_and(|there| there)
            && !view.misses_one();
        if !same {
            let newer = self.folder.open(Some(&before.state))?;
            check_succession(&view, &newer, &before, &newer.snapshot(&self.folder.outside))?;
            *view = newer;
        }
        let now = view.snapshot(&self.folder.outside);
        let moved = |snapshot: &Snapshot| (snapshot.state.generation, snapshot.state.visible_lsn);
        let newer = moved(&now) != moved(&before);
        *self.shown.write() = now;
        Ok(newer)
    }

    /// What opening what it shows now found, and what it got over: [`Reader::refresh`] opens anew when there is a newer
    /// generation. A reader mends nothing; the next writer does.
    pub fn opened(&self) -> OpenReport {
        self.view.lock().report.clone()
    }

    /// The folder it reads.
    pub fn path(&self) -> &Path {
        &self.folder.root
    }

    /// What the index was created with.
    pub fn settings(&self) -> Settings {
        self.shown.read().context.settings.clone()
    }

    /// Whether a pin keeps the writer from removing what is read here.
    pub fn is_pinned(&self) -> bool {
        self.shown.read().pin.is_some()
    }

    /// Pins the moment that is shown.
    pub fn snapshot(&self) -> Snapshot {
        self.shown.read().clone()
    }

    /// Starts a query for the nearest neighbours of `vector`.
    pub fn query<'v>(&self, vector: &'v [f32]) -> QueryBuilder<'v> {
        self.snapshot().query(vector)
    }

    /// Starts many queries at once, one for each of `vectors`, with the same options: answers are those of single queries,
    /// in the order of the vectors.
    pub fn query_batch<'v, V: AsRef<[f32]>>(&self, vectors: &'v [V]) -> QueryBatch<'v> {
        self.snapshot().query_batch(vectors)
    }

    /// The item with this id.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if its stored bytes are damaged.
    pub fn get_item(&self, id: impl Into<ItemId>) -> Result<Option<Item>> {
        self.snapshot().get_item(id)
    }

    /// At most `limit` items in id order, beginning behind `after`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if stored bytes are damaged.
    pub fn list_items(&self, after: Option<&ItemId>, limit: usize) -> Result<Page> {
        self.snapshot().list_items(after, limit)
    }

    /// Sizes and counts. Everything visible is durable; of the log, the files are counted that this reader needs.
    pub fn stats(&self) -> Stats {
        let view = self.view.lock();
        let state = self.snapshot().state;
        let summary = Summary::of_manifest(&view.manifest, view.digest, true);
        let wanted = (Wanted::of(&view.manifest.settings), view.manifest.settings.dim);
        Stats::of(&state, summary, wanted, state.visible_lsn, view.log())
    }
}

/// A folder that suddenly holds another index, or less than before, is not what was opened.
fn check_succession(old: &View, new: &View, before: &Snapshot, after: &Snapshot) -> Result<()> {
    if old.manifest.index != new.manifest.index {
        return Err(Error::new(ErrorKind::Conflict, "the folder holds another index now; open it anew"));
    }
    let (had, has) = (before.state.visible_lsn, after.state.visible_lsn);
    if has < had {
        let text = format!("the index went back from LSN {had} to LSN {has}: durable writes were lost");
        return Err(Error::corrupt(text));
    }
    Ok(())
}
