//! Showing everything that stands in the log, damaged or not.

use std::path::Path;
use std::sync::Arc;

use vectra_core::ItemId;
use vectra_wal::{DumpEntry, FileLog};

use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, ManifestStore};
use crate::recover::{Outside, open_log_error};
use crate::write::frame::{Logged, Shape};
use crate::write::op::Op;

/// What an operation of the log does to its item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// The item is now this.
    Put,
    /// The item is gone.
    Delete,
    /// The item has other metadata.
    Update,
}

/// One operation of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedOp {
    /// Its place in the order of all changes.
    pub lsn: u64,
    /// The item.
    pub id: ItemId,
    /// What happened to it.
    pub effect: Effect,
}

/// What a bulk load brought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedLoad {
    /// The place of the whole load in the order of all changes.
    pub lsn: u64,
    /// Rows in its segments.
    pub rows: u64,
    /// Its segments, whose parts were durable before the load was logged.
    pub segments: usize,
    /// The items of which it brought another version.
    pub replaced: Vec<ItemId>,
}

/// What a frame of the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoggedContent {
    /// The operations of a batch.
    Batch(Vec<LoggedOp>),
    /// A bulk load.
    Load(LoggedLoad),
}

/// Shows everything in the log of the index in the folder `path` to `visit`: files, frames, damage, names of others, in
/// the order of the files. With each frame comes its content, if a manifest tells how to read it and it can be
/// read. Changes nothing and takes no lock.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is no log, [`ErrorKind::Io`] if its folder cannot be listed. Damage is shown.
pub fn dump_log(
    path: impl AsRef<Path>,
    visit: &mut dyn FnMut(DumpEntry<'_>, Option<LoggedContent>),
) -> Result<()> {
    Builder::new().dump_log(path, visit)
}

pub(crate) fn dump_in(
    outside: &Outside,
    root: &Path,
    visit: &mut dyn FnMut(DumpEntry<'_>, Option<LoggedContent>),
) -> Result<()> {
    let manifests = ManifestStore::new(Arc::clone(&outside.fs), root);
    let generations = manifests.generations()?;
    let manifest = generations.iter().rev().find_map(|generation| manifests.read(*generation).ok());
    let manifest = manifest.map(|(manifest, _)| manifest);
    let mut show = |entry: DumpEntry<'_>| {
        let content = content(&entry, manifest.as_ref());
        visit(entry, content);
    };
    match FileLog::dump(&*outside.fs, &root.join("wal"), &mut show) {
        Ok(()) => Ok(()),
        Err(vectra_wal::OpenError::Missing { .. }) => {
            Err(Error::new(ErrorKind::NotFound, format!("{} holds no log", root.display())))
        }
        Err(error) => Err(open_log_error(error)),
    }
}

fn content(entry: &DumpEntry<'_>, manifest: Option<&Manifest>) -> Option<LoggedContent> {
    let (DumpEntry::Frame(frame), Some(manifest)) = (entry, manifest) else { return None };
    if frame.is_control {
        return None;
    }
    let shape = Shape::of(&manifest.settings, manifest.shards.len());
    let content = match Logged::decode(shape, frame.kind, frame.op_count, frame.payload).ok()? {
        Logged::Batch(ops) => {
            LoggedContent::Batch(ops.into_iter().zip(frame.first_lsn..).map(LoggedOp::of).collect())
        }
        Logged::Load(load) => LoggedContent::Load(LoggedLoad {
            lsn: frame.first_lsn,
            rows: load.segments.iter().map(|segment| u64::from(segment.rows)).sum(),
            segments: load.segments.len(),
            replaced: load.dead,
        }),
    };
    Some(content)
}

impl LoggedOp {
    fn of((op, lsn): (Op, u64)) -> Self {
        let effect = match op {
            Op::Put { .. } => Effect::Put,
            Op::Delete { .. } => Effect::Delete,
            Op::Update { .. } => Effect::Update,
        };
        Self { lsn, id: op.id().clone(), effect }
    }
}
