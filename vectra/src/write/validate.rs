//! What is checked before anything is written: every item of a batch, by itself and among the others.

use std::collections::BTreeSet;

use half::f16;
use vectra_core::codec::{Writer, encode_value};
use vectra_core::distance::ElementKind;
use vectra_core::vector::normalize::{MIN_NORM, check_storable, norm_squared};
use vectra_core::{ItemId, Metric, Value};

use crate::error::{Error, Result};
use crate::item::Item;
use crate::settings::Settings;

/// Checks the vector, metadata and id of every item, and that no id stands twice. The error names the item.
pub(crate) fn items(items: &[Item], settings: &Settings) -> Result<()> {
    for (position, item) in items.iter().enumerate() {
        let checked = id(&item.id)
            .and_then(|()| vector(&item.vector, settings))
            .and_then(|()| metadata(&item.metadata, settings));
        checked.map_err(|text| refuse(position, &item.id, &text))?;
    }
    distinct(items.iter().map(|item| &item.id))
}

/// Checks that no id stands twice.
pub(crate) fn distinct<'a>(ids: impl Iterator<Item = &'a ItemId>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (position, id) in ids.enumerate() {
        if !seen.insert(id) {
            return Err(refuse(position, id, "the same id stands earlier in the batch"));
        }
    }
    Ok(())
}

/// An error about one item of a batch, of which nothing was written.
pub(crate) fn refuse(position: usize, id: &ItemId, text: &str) -> Error {
    Error::invalid(format!("item {position} of the batch (id `{}`): {text}; nothing was written", Shown(id)))
}

/// An id cut to a length that fits an error message.
pub(crate) struct Shown<'a>(pub(crate) &'a ItemId);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string();
        match text.char_indices().nth(60) {
            Some((cut, _)) => write!(f, "{}...", &text[..cut]),
            None => f.write_str(&text),
        }
    }
}

pub(crate) fn id(id: &ItemId) -> std::result::Result<(), String> {
    id.validate().map_err(|e| e.to_string())
}

/// Dimension, finiteness, magnitude, and a direction where the metric needs one, of a vector that is to be stored.
pub(crate) fn vector(vector: &[f32], settings: &Settings) -> std::result::Result<(), String> {
    components(vector, settings)?;
    direction(|| stored_norm_squared(vector, settings.element), settings)
}

/// The same of a vector that is asked for.
pub(crate) fn query(vector: &[f32], settings: &Settings) -> std::result::Result<(), String> {
    components(vector, settings)?;
    direction(|| norm_squared(vector), settings)
}

fn components(vector: &[f32], settings: &Settings) -> std::result::Result<(), String> {
    if vector.len() != settings.dim as usize {
        return Err(format!(
            "the vector has {} components, the index has {} dimensions",
            vector.len(),
            settings.dim
        ));
    }
    let checked = match settings.element {
        ElementKind::F32 => check_storable::<f32>(vector),
        ElementKind::F16 => check_storable::<f16>(vector),
    };
    checked.map_err(|at| {
        let found = vector[at];
        format!(
            "component {at} of the vector is {found}; it must be finite and within what {} holds",
            settings.element
        )
    })
}

fn direction(norm_squared: impl FnOnce() -> f64, settings: &Settings) -> std::result::Result<(), String> {
    if settings.metric == Metric::Cosine && norm_squared().sqrt() < f64::from(MIN_NORM) {
        return Err(
            "the vector has no direction (its length is zero), which cosine distance needs".to_owned()
        );
    }
    Ok(())
}

/// The squared length of the vector as it will be stored.
fn stored_norm_squared(vector: &[f32], element: ElementKind) -> f64 {
    match element {
        ElementKind::F32 => norm_squared(vector),
        ElementKind::F16 => {
            let row: Vec<f16> = vector.iter().map(|x| f16::from_f32(*x)).collect();
            norm_squared(&row)
        }
    }
}

/// An object or null, within the limits of depth and size.
pub(crate) fn metadata(value: &Value, settings: &Settings) -> std::result::Result<(), String> {
    if !matches!(value, Value::Null | Value::Object(_)) {
        return Err("the metadata is not an object".to_owned());
    }
    vectra_metadata::check_row(value).map_err(|e| e.to_string())?;
    let mut encoded = Writer::new();
    encode_value(value, &mut encoded);
    if encoded.len() > settings.metadata_bytes_max as usize {
        let (len, max) = (encoded.len(), settings.metadata_bytes_max);
        return Err(format!("the metadata takes {len} bytes; at most {max} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(item: Item, settings: &Settings) -> String {
        items(&[item], settings).expect_err("must be refused").to_string()
    }

    #[test]
    fn each_fault_is_named() {
        let settings = Settings::new(2);
        let item = |vector: [f32; 2]| Item::new("a", vector);
        assert!(items(&[item([1.0, 0.0])], &settings).is_ok());
        assert!(refused(Item::new("a", [1.0]), &settings).contains("1 components"));
        assert!(refused(item([1.0, f32::NAN]), &settings).contains("component 1"));
        assert!(refused(item([f32::INFINITY, 1.0]), &settings).contains("component 0"));
        assert!(refused(item([0.0, 0.0]), &settings).contains("direction"));
        assert!(refused(Item::new("", [1.0, 0.0]), &settings).contains("empty"));
        assert!(refused(Item::new("x".repeat(600), [1.0, 0.0]), &settings).contains("600 bytes"));
        assert!(refused(item([1.0, 0.0]).with_metadata(3), &settings).contains("not an object"));
        let long = [("text", Value::from("x".repeat(2 << 20)))];
        assert!(refused(item([1.0, 0.0]).with_metadata(long), &settings).contains("bytes"));
        let mut deep = Value::Null;
        for _ in 0..70 {
            deep = Value::from([("a", deep)]);
        }
        assert!(refused(item([1.0, 0.0]).with_metadata(deep), &settings).contains("nested"));
    }

    #[test]
    fn what_vanishes_in_half_precision_has_no_direction() {
        let settings = Settings::new(2).with_element(ElementKind::F16);
        assert!(refused(Item::new("a", [1e-12, 0.0]), &settings).contains("direction"));
        assert!(refused(Item::new("a", [1e9, 0.0]), &settings).contains("component 0"));
    }

    #[test]
    fn zero_vectors_are_fine_where_direction_does_not_matter() {
        assert!(items(&[Item::new("a", [0.0, 0.0])], &Settings::new(2).with_metric(Metric::L2)).is_ok());
    }

    #[test]
    fn a_repeated_id_is_named_with_its_position() {
        let batch = [Item::new("a", [1.0, 0.0]), Item::new("b", [1.0, 0.0]), Item::new("a", [1.0, 0.0])];
        let text = items(&batch, &Settings::new(2)).expect_err("repeated").to_string();
        assert!(
            text.contains("item 2") && text.contains("`a`") && text.contains("nothing was written"),
            "{text}"
        );
    }
}
