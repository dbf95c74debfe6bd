//! Which parts are open.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::handle::{OpenError, PartHandle};
use crate::part::PartRef;

/// The handles that somebody holds.
#[derive(Debug, Default)]
pub(super) struct OpenParts(Mutex<BTreeMap<Uuid, Weak<PartHandle>>>);

impl OpenParts {
    /// The handle of `part`, opened if nobody has it open. The lock is held meanwhile, so that nobody opens it twice;
    /// opening reads a few blocks.
    pub(super) fn get(
        &self,
        part: &PartRef,
        open: impl FnOnce() -> Result<Arc<PartHandle>, OpenError>,
    ) -> Result<Arc<PartHandle>, OpenError> {
        let mut parts = self.0.lock();
        if let Some(handle) = parts.get(&part.id).and_then(Weak::upgrade)
            && handle.reference() == part
        {
            return Ok(handle);
        }
        let handle = open()?;
        parts.retain(|_, weak| weak.strong_count() > 0);
        parts.insert(part.id, Arc::downgrade(&handle));
        Ok(handle)
    }

    pub(super) fn in_use(&self, id: Uuid) -> bool {
        self.0.lock().get(&id).is_some_and(|weak| weak.strong_count() > 0)
    }

    /// Runs `remove` while nobody can open `id`, unless it is open; `None` if it is.
    pub(super) fn unless_in_use<T>(&self, id: Uuid, remove: impl FnOnce() -> T) -> Option<T> {
        let mut parts = self.0.lock();
        if parts.get(&id).is_some_and(|weak| weak.strong_count() > 0) {
            return None;
        }
        parts.remove(&id);
        Some(remove())
    }
}
