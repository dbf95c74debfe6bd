//! Saving what can still be read of a damaged index into a new one, and saying exactly what cannot.
//!
//! Rows come from the parts, page by page, whatever happened to their neighbours; the log comes on top, and the newest
//! LSN of an id wins. Nothing is guessed: what does not match its checksum is not used.

mod harvest;
mod log;
mod plan;
mod rows;
mod sow;

use std::path::Path;
use std::sync::Arc;

use vectra_core::ItemId;

use crate::backup::refuse_nested;
use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Meter, Watch};
use crate::recover::Outside;
use crate::settings::Settings;
use vectra_tier::{LocalStore, Mode};

/// How a damaged index is salvaged.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SalvageOptions<'a> {
    /// The settings of the index, for when no manifest of it can be read; otherwise the manifest's count.
    pub settings: Option<Settings>,
    /// Who is told how far it has come.
    pub watch: Watch<'a>,
}

impl<'a> SalvageOptions<'a> {
    /// Takes the settings from the manifest, tells nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Falls back to these settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Tells `watch` how far it has come.
    #[must_use]
    pub fn watch(mut self, watch: Watch<'a>) -> Self {
        self.watch = watch;
        self
    }
}

/// Live rows of one segment that could not be read, and of which the log does not know what became.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostRows {
    /// The part they were in.
    pub part: String,
    /// Their slots, as runs from first to last, ascending.
    pub slots: Vec<(u32, u32)>,
    /// Those of their ids that could be read.
    pub ids: Vec<ItemId>,
    /// What is wrong with the first of them.
    pub problem: String,
}

/// What [`salvage`] saved and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The generation of the manifest that was followed; none if no manifest could be read.
    pub generation: Option<u64>,
    /// Items in the new index.
    pub items: u64,
    /// Those among them whose vector came from the log.
    pub from_log: u64,
    /// Rows that are lost.
    pub rows: Vec<LostRows>,
    /// Items that are kept with their vector, but whose metadata is lost.
    pub metadata: Vec<ItemId>,
    /// Items that could be read, but that the new index does not take; `problems` says why.
    pub refused: Vec<ItemId>,
    /// Writes that are lost, as LSNs from first to last; `u64::MAX` where nobody knows how many there were.
    pub writes: Vec<(u64, u64)>,
    /// Checkpoints, none of which comes along.
    pub checkpoints: Vec<String>,
    /// What may have come back although it was deleted or replaced.
    pub returned: Vec<String>,
    /// Everything else that was found damaged.
    pub problems: Vec<String>,
}

impl SalvageReport {
    /// Whether everything there was is in the new index, and nothing else.
    pub fn is_complete(&self) -> bool {
        let Self { rows, metadata, refused, writes, checkpoints, returned, .. } = self;
        rows.is_empty()
            && metadata.is_empty()
            && refused.is_empty()
            && writes.is_empty()
            && checkpoints.is_empty()
            && returned.is_empty()
    }
}

/// Saves what can be read of the index in the folder `damaged` into a new index in `out`, which is new or empty. The
/// damaged folder is not changed; nobody should be writing to it.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is nothing of an index, [`ErrorKind::Invalid`] if no manifest can be read and no
/// settings are given, [`ErrorKind::Conflict`] if `out` is not empty, [`ErrorKind::Io`]. Damage is not an error.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// use vectra::{Index, Item, Settings};
///
/// let path = |name: &str| folder.path().join(name);
/// let index = Index::create(path("films"), Settings::new(2))?;
/// index.insert_item(Item::new("alien", [1.0, 0.0]))?;
/// index.close()?;
/// for manifest in std::fs::read_dir(path("films").join("manifest"))? {
///     std::fs::remove_file(manifest?.path())?;
/// }
/// let settings = Settings::new(2); // what the manifests said
/// let options = vectra::SalvageOptions::default().settings(settings);
/// let report = vectra::Builder::new().salvage(path("films"), path("saved"), &options)?;
/// assert_eq!((report.items, report.generation), (1, None));
/// assert!(Index::open(path("saved"))?.get_item("alien")?.is_some());
/// # Ok(())
/// # }
/// ```
pub fn salvage(damaged: impl AsRef<Path>, out: impl AsRef<Path>) -> Result<SalvageReport> {
    Builder::new().salvage(damaged, out, &SalvageOptions::default())
}

pub(crate) fn salvage_in(
    outside: &Outside,
    damaged: &Path,
    out: &Path,
    options: &SalvageOptions<'_>,
) -> Result<SalvageReport> {
    refuse_nested(damaged, out)?;
    let store = LocalStore::new(Arc::clone(&outside.fs), damaged, Arc::clone(&outside.env.rng), Mode::Read);
    let mut report = SalvageReport::default();
    let mut plan = plan::make(&outside.fs, damaged, &store, options, &mut report)?;
    plan.learn(log::loads(&*outside.fs, damaged, &plan));
    let meter = Meter::new(options.watch, 2 * plan.rows());
    let mut harvest = harvest::gather(&plan, &store, &meter, &mut report);
    let writes = log::read(&*outside.fs, damaged, &plan, &harvest, &mut report);
    sow::sow(outside, out, (&plan, &store), &mut harvest, writes, &meter, &mut report)?;
    Ok(report)
}

fn nothing(damaged: &Path) -> Error {
    Error::new(ErrorKind::NotFound, format!("{} holds nothing of an index", damaged.display()))
}
