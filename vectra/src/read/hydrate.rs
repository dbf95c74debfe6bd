//! From places to items: ids, metadata and vectors, read under the same pin as the search.

use std::sync::Arc;

use vectra_core::query::Place;
use vectra_core::{ItemId, Value};
use vectra_tier::ReadBuf;

use crate::error::Result;
use crate::item::Item;
use crate::snapshot::{Located, State};

/// Asks for the memory of the ids at `places`, which lie anywhere: together they arrive in the time of one.
pub(super) fn fetch_ids(state: &State, places: impl Iterator<Item = Place> + Clone) {
    let tables = places.filter_map(|place| match state.shards[usize::from(place.shard)].at(place) {
        Located::Unsealed(..) => None,
        Located::Sealed(view, slot) => Some((view.segment.truth.ids(), slot)),
    });
    tables.clone().for_each(|(ids, slot)| ids.fetch_place(slot));
    tables.for_each(|(ids, slot)| ids.fetch(slot));
}

/// The id at a place.
pub(super) fn id(state: &State, place: Place) -> Result<ItemId> {
    match state.shards[usize::from(place.shard)].at(place) {
        Located::Unsealed(segment, slot) => Ok(segment.row(slot).id.clone()),
        Located::Sealed(view, slot) => view.segment.truth.id(slot),
    }
}

/// The newest metadata of a located row.
pub(super) fn metadata(located: &Located<'_>) -> Result<Value> {
    match located {
        Located::Unsealed(segment, slot) => Ok(Value::clone(&segment.row(*slot).metadata)),
        Located::Sealed(view, slot) => view.metadata(*slot),
    }
}

/// The stored vector of a located row, widened to f32.
pub(super) fn vector(located: &Located<'_>) -> Result<Vec<f32>> {
    match located {
        Located::Unsealed(segment, slot) => Ok(segment.vector(*slot).to_f32()),
        Located::Sealed(view, slot) => {
            Ok(view.segment.truth.vectors(*slot, 1, &mut ReadBuf::default())?.to_f32())
        }
    }
}

/// The whole item of a located row.
pub(super) fn item(id: ItemId, located: &Located<'_>) -> Result<Item> {
    Ok(Item { id, vector: vector(located)?, metadata: metadata(located)? })
}

/// What stands at a place.
pub(super) fn at(state: &Arc<State>, place: Place) -> Located<'_> {
    state.shards[usize::from(place.shard)].at(place)
}
