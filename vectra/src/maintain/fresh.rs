//! Parts on their way: written, but named by no manifest yet.

use uuid::Uuid;
use vectra_tier::PartRef;

use crate::engine::Engine;
use crate::error::{Error, Result};

/// The new parts of one step. What no manifest names by the time this is dropped is removed again, so that a step that
/// fails, and fails again, does not fill the disk.
#[derive(Debug)]
pub(crate) struct Fresh<'e> {
    engine: &'e Engine,
    written: Vec<Uuid>,
    published: Vec<Uuid>,
}

impl<'e> Fresh<'e> {
    /// Nothing yet. Declare it before whatever opens the parts: an open part cannot be removed.
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self { engine, written: Vec::new(), published: Vec::new() }
    }

    /// Publishes the files of parts, one after the other; durable under their final names when this returns.
    pub(crate) fn publish<'p>(
        &mut self,
        parts: impl IntoIterator<Item = &'p PartRef, IntoIter: Clone>,
    ) -> Result<()> {
        let parts = parts.into_iter();
        self.written.extend(parts.clone().map(|part| part.id));
        for part in parts {
            self.published.push(part.id);
            self.engine.publish_part(part)?;
            self.written.retain(|id| *id != part.id);
        }
        Ok(())
    }
}

impl Fresh<'_> {
    /// Leaves the parts to whoever names them: they stay until a manifest does, and longer if it does.
    pub(crate) fn keep(&mut self) {
        self.published.clear();
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        let Engine { store, maintenance, .. } = self.engine;
        // What cannot be removed now is collected by a later commit, or cleared when the index is next opened.
        for id in &self.written {
            let _still_in_tmp = store.discard(*id);
        }
        for id in &self.published {
            if maintenance.fresh.lock().contains(id) {
                let _collected_later = store.remove(*id);
                maintenance.fresh.lock().remove(id);
            }
        }
    }
}

impl Engine {
    /// Publishes a part's file; durable under its final name when this returns. Nobody collects it before a manifest
    /// names it.
    pub(crate) fn publish_part(&self, part: &PartRef) -> Result<()> {
        self.maintenance.fresh.lock().insert(part.id);
        self.maintenance.written.add(part);
        self.maintenance.space.wrote(part.length);
        self.store.publish(part).map_err(|e| Error::publish_part(part, e))
    }
}
