//! Showing everything that stands in the log, damaged or not.

use std::path::Path;
use std::sync::Arc;

use vectra_core::ItemId;
use vectra_wal::{DumpEntry, FileLog};

use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, ManifestStore};
use crate::recover::{Outside, open_log_error};
use crate::write::op::{self, FRAME_BATCH, Op};

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

/// Shows everything in the log of the index in the folder `path` to `visit`: files, frames, damage, names of others, in
/// the order of the files. With each frame come its operations, if a manifest tells how to read them and they can be
/// read. Changes nothing and takes no lock.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is no log, [`ErrorKind::Io`] if its folder cannot be listed. Damage is shown.
pub fn dump_log(
    path: impl AsRef<Path>,
    visit: &mut dyn FnMut(DumpEntry<'_>, Option<Vec<LoggedOp>>),
) -> Result<()> {
    Builder::new().dump_log(path, visit)
}

pub(crate) fn dump_in(
    outside: &Outside,
    root: &Path,
    visit: &mut dyn FnMut(DumpEntry<'_>, Option<Vec<LoggedOp>>),
) -> Result<()> {
    let manifests = ManifestStore::new(Arc::clone(&outside.fs), root);
    let generations = manifests.generations()?;
    let manifest = generations.iter().rev().find_map(|generation| manifests.read(*generation).ok());
    let manifest = manifest.map(|(manifest, _)| manifest);
    let mut show = |entry: DumpEntry<'_>| {
        let ops = operations(&entry, manifest.as_ref());
        visit(entry, ops);
    };
    match FileLog::dump(&*outside.fs, &root.join("wal"), &mut show) {
        Ok(()) => Ok(()),
        Err(vectra_wal::OpenError::Missing { .. }) => {
            Err(Error::new(ErrorKind::NotFound, format!("{} holds no log", root.display())))
        }
        Err(error) => Err(open_log_error(error)),
    }
}

fn operations(entry: &DumpEntry<'_>, manifest: Option<&Manifest>) -> Option<Vec<LoggedOp>> {
    let DumpEntry::Frame(frame) = entry else { return None };
    let settings = &manifest?.settings;
    if frame.is_control || frame.kind != FRAME_BATCH {
        return None;
    }
    let ops = op::decode(frame.payload, frame.op_count, settings.dim as usize, settings.element).ok()?;
    let logged = |(op, lsn): (Op, u64)| {
        let effect = match op {
            Op::Put { .. } => Effect::Put,
            Op::Delete { .. } => Effect::Delete,
            Op::Update { .. } => Effect::Update,
        };
        LoggedOp { lsn, id: op.id().clone(), effect }
    };
    Some(ops.into_iter().zip(frame.first_lsn..).map(logged).collect())
}
