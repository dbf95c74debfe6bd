//! From rows to columns.

use std::collections::{BTreeMap, BTreeSet};

use vectra_core::Value;
use vectra_core::codec::Writer;

use super::text::TextWriter;
use super::{
    ARRAY, CELLS_PER_BYTE, FALSE, FLOAT, HAS_ARRAYS, HAS_FLOATS, HAS_INTS, HAS_OBJECTS, HAS_SHARED,
    HAS_TEXTS, INT, MISSING, MIXED, NEGATIVE, NULL, OBJECT, SHARED, SharedStrings, TEXT, TRUE,
};

/// Takes `rows` apart; `value_len` is the length of all of them as encoded values.
///
/// `None` if they have too many different members to be worth it.
pub(crate) fn shred(rows: &[Value], value_len: usize, shared: &SharedStrings) -> Option<Vec<u8>> {
    let cells: Vec<Option<&Value>> = rows.iter().map(Some).collect();
    let mut cells_left = CELLS_PER_BYTE * value_len;
    let mut out = Writer::new();
    column(&cells, shared, &mut cells_left, &mut out)?;
    Some(out.into_bytes())
}

/// Streams of one column in the making.
#[derive(Default)]
struct Streams<'v> {
    kinds: Vec<u8>,
    ints: Writer,
    floats: Writer,
    shared: Writer,
    texts: TextWriter,
    counts: Writer,
    elements: Vec<Option<&'v Value>>,
    objects: Vec<&'v BTreeMap<String, Value>>,
}

fn column(
    cells: &[Option<&Value>],
    shared: &SharedStrings,
    cells_left: &mut usize,
    out: &mut Writer,
) -> Option<()> {
    *cells_left = cells_left.checked_sub(cells.len())?;
    let mut streams = Streams::default();
    for cell in cells {
        let kind = streams.push(*cell, shared);
        streams.kinds.push(kind);
    }
    streams.finish(shared, cells_left, out)
}

impl<'v> Streams<'v> {
    /// Puts a cell into its stream; its kind.
    fn push(&mut self, cell: Option<&'v Value>, shared: &SharedStrings) -> u8 {
        let Some(value) = cell else { return MISSING };
        match value {
            Value::Null => NULL,
            Value::Bool(false) => FALSE,
            Value::Bool(true) => TRUE,
            Value::Int(n) => {
                self.ints.varint(n.unsigned_abs());
                if *n < 0 { NEGATIVE } else { INT }
            }
            Value::UInt(n) => {
                self.ints.varint(*n);
                INT
            }
            Value::Float(n) => {
                self.floats.f64(*n);
                FLOAT
            }
            Value::Str(text) => match shared.number(text) {
                Some(number) => {
                    self.shared.varint(number.into());
                    SHARED
                }
                None => {
                    self.texts.push(text);
                    TEXT
                }
            },
            Value::Array(items) => {
                self.counts.varint(items.len() as u64);
                self.elements.extend(items.iter().map(Some));
                ARRAY
            }
            Value::Object(map) => {
                self.objects.push(map);
                OBJECT
            }
        }
    }

    fn finish(self, shared: &SharedStrings, cells_left: &mut usize, out: &mut Writer) -> Option<()> {
        match self.kinds.first() {
            Some(kind) if self.kinds.iter().all(|other| other == kind) => _ = out.u8(*kind),
            _ => _ = out.u8(MIXED).prefixed(&self.kinds),
        }
        let mut has = 0;
        for (bit, stream) in [(HAS_INTS, &self.ints), (HAS_FLOATS, &self.floats), (HAS_SHARED, &self.shared)]
        {
            has |= if stream.is_empty() { 0 } else { bit };
        }
        has |= if self.texts.is_empty() { 0 } else { HAS_TEXTS };
        has |= if self.counts.is_empty() { 0 } else { HAS_ARRAYS };
        has |= if self.objects.is_empty() { 0 } else { HAS_OBJECTS };
        out.u8(has);
        for stream in [&self.ints, &self.floats, &self.shared] {
            if !stream.is_empty() {
                out.prefixed(stream.as_bytes());
            }
        }
        if has & HAS_TEXTS != 0 {
            self.texts.finish(out);
        }
        if has & HAS_ARRAYS != 0 {
            out.prefixed(self.counts.as_bytes());
            column(&self.elements, shared, cells_left, out)?;
        }
        if has & HAS_OBJECTS != 0 {
            members(&self.objects, shared, cells_left, out)?;
        }
        Some(())
    }
}

fn members(
    objects: &[&BTreeMap<String, Value>],
    shared: &SharedStrings,
    cells_left: &mut usize,
    out: &mut Writer,
) -> Option<()> {
    let keys: BTreeSet<&str> = objects.iter().flat_map(|map| map.keys().map(String::as_str)).collect();
    out.varint(keys.len() as u64);
    for key in keys {
        match shared.number(key) {
            Some(number) => _ = out.varint(u64::from(number) + 1),
            None => _ = out.varint(0).text(key),
        }
        let cells: Vec<Option<&Value>> = objects.iter().map(|map| map.get(key)).collect();
        column(&cells, shared, cells_left, out)?;
    }
    Some(())
}
