//! Segments that rest in an object store.

use std::path::Path;

#[cfg(feature = "remote")]
use vectra_tier::OpenError;

use super::Check;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, Tier};
use crate::recover::Outside;

impl Check<'_> {
    /// The parts of the segments that rest in an object store: every byte of the copies and of the objects. A store that
    /// cannot be reached is an error, not a finding.
    #[cfg(feature = "remote")]
    pub(super) fn cold(&mut self, outside: &Outside, root: &Path, manifest: &Manifest) -> Result<()> {
        let outside = Outside { mode: vectra_tier::Mode::Read, ..outside.clone() };
        let stores = crate::tiers::Stores::new(&outside, root, Some(manifest.index));
        let cold = manifest.segments().filter(|entry| entry.tier == Tier::Cold);
        let mut seen = std::collections::BTreeSet::new();
        for entry in cold.filter(|_| self.options.deep) {
            for part in entry.tiered_parts().filter(|part| seen.insert(part.id)) {
                self.report.parts += 1;
                self.report.bytes = self.report.bytes.saturating_add(part.length);
                let data = entry.index_part.as_ref().is_none_or(|index| index.id != part.id);
                match stores.tiers.verify_cold(part) {
                    Ok(()) => {}
                    Err(error @ OpenError::Away { .. }) => return Err(Error::open_part(part, error)),
                    Err(OpenError::Io { file, source }) if super::is_failure(&source) => {
                        return Err(Error::open_part(part, OpenError::Io { file, source }));
                    }
                    Err(OpenError::Corrupt(place)) if place.is_unreadable() => {
                        let text = format!("the part {} ({}) cannot be read", part.id, part.role);
                        return Err(Error::caused(ErrorKind::Io, text, place));
                    }
                    Err(error) => self.report.find(format!("part {} ({})", part.id, part.role), &error, data),
                }
            }
        }
        Ok(())
    }

    /// Without object stores in the build there is nothing to check them with.
    #[cfg(not(feature = "remote"))]
    pub(super) fn cold(&mut self, _: &Outside, _: &Path, manifest: &Manifest) -> Result<()> {
        if !self.options.deep || manifest.segments().all(|entry| entry.tier == Tier::Hot) {
            return Ok(());
        }
        let text = "a segment rests in an object store, which this build cannot read";
        Err(Error::new(ErrorKind::Unsupported, text))
    }
}
