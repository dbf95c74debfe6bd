//! The strings that occur often in a segment, each under a small number.

use std::collections::{BTreeMap, HashMap};

use vectra_core::Value;
use vectra_core::codec::{DecodeError, Reader, Writer};

use crate::format::{SHARED_BYTES_MAX, SHARED_COUNT_MAX};

/// From how many occurrences on a string is shared.
const OCCURRENCES_MIN: u32 = 3;

/// Counts strings and keys of values.
#[derive(Default)]
pub(crate) struct SharedCounter {
    counts: BTreeMap<String, u32>,
}

impl SharedCounter {
    /// Counts every string and key inside `value`.
    pub(crate) fn count(&mut self, value: &Value) {
        match value {
            Value::Str(text) => self.add(text),
            Value::Array(items) => items.iter().for_each(|item| self.count(item)),
            Value::Object(map) => {
                for (key, item) in map {
                    self.add(key);
                    self.count(item);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, text: &str) {
        if text.len() > SHARED_BYTES_MAX {
            return;
        }
        match self.counts.get_mut(text) {
            Some(count) => *count += 1,
            None => _ = self.counts.insert(text.to_owned(), 1),
        }
    }

    /// The often counted, most frequent first, so that they get the shortest numbers.
    pub(crate) fn finish(self) -> SharedStrings {
        let mut often: Vec<(String, u32)> =
            self.counts.into_iter().filter(|(_, count)| *count >= OCCURRENCES_MIN).collect();
        often.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        often.truncate(SHARED_COUNT_MAX);
        SharedStrings::new(often.into_iter().map(|(text, _)| text.into_boxed_str()).collect())
    }
}

/// Shared strings by number and, for writing, numbers by string.
#[derive(Debug, Default)]
pub(crate) struct SharedStrings {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl SharedStrings {
    fn new(texts: Vec<Box<str>>) -> Self {
        let numbers = texts.iter().enumerate().map(|(at, text)| (text.clone(), at as u32)).collect();
        Self { texts, numbers }
    }

    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(crate) fn text(&self, number: u64) -> Option<&str> {
        self.texts.get(usize::try_from(number).ok()?).map(Box::as_ref)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.varint(self.texts.len() as u64);
        self.texts.iter().for_each(|text| _ = w.text(text));
        w.into_bytes()
    }

    /// Reads them for reading rows only: numbers by string stay empty.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count(1)?;
        if count > SHARED_COUNT_MAX {
            return Err(reader.error("count of shared strings"));
        }
        let mut texts = Vec::with_capacity(count);
        for _ in 0..count {
            let at = reader.position();
            let text = reader.text()?;
            if text.len() > SHARED_BYTES_MAX {
                return Err(DecodeError::new(at, "shared string"));
            }
            texts.push(text.into());
        }
        reader.finish()?;
        Ok(Self { texts, numbers: HashMap::new() })
    }
}
